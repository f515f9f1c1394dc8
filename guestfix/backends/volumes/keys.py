"""The keys of encrypted volumes as the operator gives them: which volume, and where its passphrase or key file is.

What is read of them is held in memory alone: it stands in no message, document or log, and on no command line.
"""

from __future__ import annotations

import os
from collections.abc import Iterable, Sequence

from guestfix.base.errors import UsageError
from guestfix.base.nearest import did_you_mean
from guestfix.base.patterns import regex

MOST = 8 << 20
"""Bytes of a key file that are read, as cryptsetup does."""

EVERY = "all"
FORM = "VOLUME:FILE, VOLUME:env:NAME or VOLUME:fd:N, where VOLUME is a UUID, a device as the guest names it, or all"
_KEY = regex(r"([^:]+):(?:(env|fd|file):)?(.+)")


class Keys:
    """The keys of one guest's encrypted volumes, as ``--key`` takes them; each is read when it is first needed."""

    def __init__(self, given: Iterable[str] = ()) -> None:
        self._given: list[tuple[str, str, str]] = []
        self._read: dict[int, bytes] = {}
        self._used: set[int] = set()
        self.opened: dict[str, bytes] = {}
        """The keys of volumes that were opened, by UUID: deriving one takes a second or two, and once is enough."""
        for text in given:
            match = _KEY.fullmatch(text)
            if match is None or (match[2] == "fd" and not match[3].isdecimal()):
                raise UsageError("this names no key of a volume", where=text.partition(":")[0], remedy=f"write {FORM}")
            self._given.append((match[1], match[2] or "file", match[3]))

    def __bool__(self) -> bool:
        return bool(self._given)

    def __repr__(self) -> str:
        return f"Keys({len(self._given)})"

    def of(self, uuid: str, names: Sequence[str]) -> list[bytes]:
        """Return what may open a volume: its keys as they are, then without the newline that ends a typed file.

        Raises UsageError where a key can't be read.
        """
        found: list[bytes] = []
        for index, (volume, kind, place) in enumerate(self._given):
            if volume == EVERY or volume in names or _plain(volume) == _plain(uuid):
                self._used.add(index)
                if index not in self._read:
                    self._read[index] = _read(kind, place)
                found.append(self._read[index])
        return [*found, *(one[:-1] for one in found if one.endswith(b"\n"))]

    def names(self, uuid: str, names: Sequence[str]) -> bool:
        """Tell whether a key was given for this volume by its name, not for all of them."""
        return any(volume in names or _plain(volume) == _plain(uuid) for volume, _, _ in self._given)

    def check(self, volumes: Sequence[str]) -> None:
        """Raise UsageError for a key that no volume had use for; ``volumes`` are the names of those there are."""
        for index, (volume, _, _) in enumerate(self._given):
            if index not in self._used:
                what = (
                    f"--key names {volume}, and no encrypted volume is called so"
                    if volumes
                    else ("--key was given, and no volume is encrypted with LUKS")
                )
                raise UsageError(what, remedy=did_you_mean(volume, volumes) if volumes else "")


def _plain(uuid: str) -> str:
    return uuid.lower().removeprefix("uuid=").replace("-", "")


def _read(kind: str, place: str) -> bytes:
    try:
        if kind == "env":
            return os.environb[os.fsencode(place)]
        with open(int(place) if kind == "fd" else place, "rb", closefd=kind != "fd") as stream:
            found = stream.read(MOST + 1)
    except KeyError:
        raise UsageError("--key names a variable that is not set", where=place) from None
    except OSError as error:
        where = f"descriptor {place}" if kind == "fd" else place
        raise UsageError(f"a key can't be read: {error.strerror}", where=where) from error
    if not found or len(found) > MOST:
        raise UsageError("a key is empty" if not found else "a key file has more than 8 MiB", where=place)
    return found
