"""``guestfix.toml``: the choices of a site, so that nobody has to give them again each time.

It is ``--config FILE``, else ``guestfix.toml`` in the working folder, else ``/etc/guestfix/guestfix.toml``. One that
nobody named counts only where none but the user and root can have written it, and never out of a guest: a guest must
not accept its own blockers.
"""

from __future__ import annotations

import os
import stat
from collections.abc import Callable, Mapping, Sequence

from guestfix.base.errors import GuestfixError, UsageError
from guestfix.base.nearest import did_you_mean
from guestfix.base.patterns import regex
from guestfix.base.record import field, frozen

TYPE_CHECKING = False
if TYPE_CHECKING:
    import datetime

NAME = "guestfix.toml"
PLACES = (NAME, f"/etc/guestfix/{NAME}")
MAX_CONFIG = 1 << 20


@frozen
class Accepted:
    """A blocker's code that a site continues despite, why, and the last day on which it does."""

    code: str
    reason: str
    expires: datetime.date


@frozen
class Config:
    """The choices of a file; ``lines`` tells where in it each was made, by its key."""

    path: str = ""
    target: str = ""
    confidence: str = ""
    events: str = ""
    only: tuple[str, ...] = ()
    skip: tuple[str, ...] = ()
    packs: tuple[str, ...] = ()
    policies: Mapping[str, str] = field(default_factory=dict)
    accept: tuple[Accepted, ...] = ()
    lines: Mapping[str, int] = field(default_factory=dict)

    def origin(self, key: str) -> str:
        """Return where a choice was made: ``guestfix.toml:3``."""
        return f"{self.path}:{self.lines[key]}" if key in self.lines else self.path


def read_config(path: str | None, guests: Sequence[str]) -> Config:
    """Return the choices of the file that counts; none where there is no file.

    Raises UsageError for a file that is none of its kind, with its key and the nearest right one, and GuestfixError
    where it can't be read.
    """
    if path is not None:
        return _parse(path, _read(path))
    for place in PLACES:
        if os.path.lexists(place) and _counts(place, guests):
            return _parse(place, _read(place))
    return Config()


def _counts(place: str, guests: Sequence[str]) -> bool:
    """Tell whether a file that nobody named may make choices. Raises UsageError where others may have written it."""
    real = os.path.realpath(place)
    if any(_holds(guest, real) for guest in guests):
        return False
    for one in (real, os.path.dirname(real)):
        found = os.stat(one)
        loose = found.st_mode & (stat.S_IWGRP | stat.S_IWOTH) and not (one != real and found.st_mode & stat.S_ISVTX)
        if found.st_uid not in (0, os.geteuid()) or loose:
            what = "others may have written this file, so it makes no choices"
            raise UsageError(what, where=place, remedy=f"name it: --config {place}; or chmod go-w {one}")
    return True


def _holds(guest: str, file: str) -> bool:
    folder = os.path.realpath(guest.removeprefix("dir:"))
    return os.path.isdir(folder) and os.path.commonpath([folder, file]) == folder


def refuse_inside(config: Config, guests: Sequence[str]) -> None:
    """Raise UsageError where the file, which nobody named, lies in one of these guests, known once it had been read."""
    inside = next((one for one in guests if config.path and _holds(one, os.path.realpath(config.path))), None)
    if inside is not None:
        what = f"this file lies in the guest {inside}, so it makes no choices"
        raise UsageError(what, where=config.path, remedy=f"run this elsewhere, or name it: --config {config.path}")


def _read(path: str) -> bytes:
    try:
        with open(path, "rb") as stream:
            data = stream.read(MAX_CONFIG + 1)
    except OSError as error:
        raise GuestfixError(f"can't read the choices: {error.strerror}", where=path) from error
    if len(data) > MAX_CONFIG:
        raise UsageError(f"more than {MAX_CONFIG} bytes", where=path)
    return data


def _parse(path: str, data: bytes) -> Config:
    import tomllib

    try:
        text = data.decode("utf-8")
        found = tomllib.loads(text)
    except (UnicodeDecodeError, tomllib.TOMLDecodeError, RecursionError) as error:
        raise UsageError(f"not a file of choices: {error}", where=path, remedy="see docs/config.md") from error
    lines = _lines(text)
    made: dict[str, object] = {}
    for key, value in found.items():
        where = f"{path}:{lines.get(key, 1)}"
        if key not in _KEYS:
            raise UsageError(f"{key!r} is no choice", where=where, remedy=did_you_mean(key, _KEYS))
        made[key] = _KEYS[key](value, where)
    if "packs" in made:
        made["packs"] = tuple(os.path.join(os.path.dirname(path), one) for one in _texts(found["packs"], path))
    make: Callable[..., Config] = Config
    return make(path=path, lines=lines, **made)


_LINE = regex(r"\s*(?:\[\[?\s*([A-Za-z_]+)\s*\]\]?|(?:policies\s*\.\s*)?\"?([A-Za-z_0-9-]+)\"?\s*=)")


def _lines(text: str) -> dict[str, int]:
    """Return where each key stands first, ``policies.ID`` for a policy, ``accept.N`` for the N-th code accepted."""
    found: dict[str, int] = {}
    table, accepts = "", 0
    for number, line in enumerate(text.split("\n"), 1):
        match = _LINE.match(line)
        if match is None:
            continue
        if match[1]:
            table = match[1]
            found.setdefault(table, number)
            if table == "accept":
                found[f"accept.{accepts}"] = number
                accepts += 1
        elif table == "policies" or line.lstrip().startswith("policies"):
            found.setdefault(f"policies.{match[2]}", number)
        elif not table:
            found.setdefault(match[2], number)
    return found


def _text(value: object, where: str) -> str:
    if not isinstance(value, str) or not value:
        raise UsageError("must be a text", where=where)
    return value


def _texts(value: object, where: str) -> tuple[str, ...]:
    if not isinstance(value, list):
        raise UsageError("must be a list of texts", where=where, remedy='such as ["one", "two"]')
    return tuple(_text(one, where) for one in value)


def _table(value: object, where: str) -> dict[str, str]:
    if not isinstance(value, dict):
        raise UsageError("must be a table", where=where, remedy='such as [policies] and below it network = "dhcp"')
    return {key: _text(one, where) for key, one in value.items()}


def _accepted(value: object, where: str) -> tuple[Accepted, ...]:
    import datetime

    remedy = "[[accept]] and below it code, reason and expires = 2027-01-31"
    if not isinstance(value, list):
        raise UsageError("must be one table for each code", where=where, remedy=remedy)
    made = []
    for one in value:
        if not isinstance(one, dict):
            raise UsageError("must be one table for each code", where=where, remedy=remedy)
        for key in one:
            if key not in ("code", "reason", "expires"):
                raise UsageError(
                    f"accept has no {key!r}", where=where, remedy=did_you_mean(key, ("code", "reason", "expires"))
                )
        expires = one.get("expires")
        if isinstance(expires, str):
            try:
                expires = datetime.date.fromisoformat(expires)
            except ValueError:
                expires = None
        if "code" not in one or "reason" not in one or type(expires) is not datetime.date:
            raise UsageError(
                "accept needs a code, a reason and the last day on which it counts", where=where, remedy=remedy
            )
        made.append(Accepted(_text(one["code"], where), _text(one["reason"], where), expires))
    return tuple(made)


_KEYS: dict[str, Callable[[object, str], object]] = {
    "target": _text,
    "confidence": _text,
    "events": _text,
    "only": _texts,
    "skip": _texts,
    "packs": _texts,
    "policies": _table,
    "accept": _accepted,
}
