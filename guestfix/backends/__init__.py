"""Backends: how a guest's files are reached. ``open_guest`` picks one by the URI's scheme.

A backend is a function ``open(place: str, request: Request) -> GuestFS``. Others can add one through the
entry-point group ``guestfix.backends``; the name of the entry point is the scheme.
"""

from __future__ import annotations

import importlib
import os
import re
from collections.abc import Callable, Sequence
from typing import cast

from guestfix.backends.disks.names import COPY_FIRST, WORD, is_afar, shown
from guestfix.backends.volumes.keys import Keys
from guestfix.base.errors import GuestError, UsageError
from guestfix.base.guest import Disks, GuestFS, GuestWriter
from guestfix.base.nearest import did_you_mean
from guestfix.base.patterns import regex
from guestfix.base.record import frozen

BACKENDS: dict[str, str] = {
    "dir": "directory:open_place",
    "image": "image:open_place",
    "uml": "uml.guest:open_place",
    "qemu": "qemu.guest:open_place",
    "libguestfs": "libguestfs.guest:open_place",
    "mount": "mount.guest:open_place",
}
"""Scheme to ``module:function`` below this package."""

WRITERS = ("uml", "qemu", "libguestfs")
"""The backends that can write to disk images, the one to prefer first; where KVM works, that is ``qemu``."""

GROUP = "guestfix.backends"


@frozen
class Request:
    """What the user asked for besides the place.

    ``disks`` is the path of a disks description, ``host`` to ask the host, or None. ``more`` are the
    guest's further disk images in order, ``root`` the volume to take where several hold a system.
    ``allow_backing`` are host folders in which images may name files, ``image_types`` the formats that were told:
    ``TYPE``, or ``FILE=TYPE`` (see :class:`guestfix.backends.disks.hostfiles.HostFiles`). ``in_place``: what is written
    is to go into the images themselves, so a change of them that was cut off is finished first. ``keys`` open encrypted
    volumes.
    """

    disks: str | None = None
    writable: bool = False
    more: tuple[str, ...] = ()
    root: str = ""
    allow_backing: tuple[str, ...] = ()
    image_types: tuple[str, ...] = ()
    in_place: bool = False
    keys: Keys | None = None


_SCHEME = regex(r"([a-z][a-z0-9+-]*):(.+)", re.DOTALL)


def open_guest(
    uri: str | Sequence[str],
    *,
    disks: str | Disks | None = None,
    writable: bool = False,
    root: str = "",
    allow_backing: Sequence[str] = (),
    image_types: Sequence[str] = (),
    in_place: bool = False,
    keys: Keys | Sequence[str] = (),
) -> GuestFS:
    """Return the guest at ``dir:PATH``, ``image:FILE`` or at a plain path: a folder or a disk image.

    Several paths are the disks of one guest, in the order of the old platform. ``disks`` is the path of a
    disks description (``--disks``), ``host``, or a Disks value. ``allow_backing`` are folders in which disk images
    may name files (``--allow-backing``), ``image_types`` their formats where their names don't tell
    (``--image-type``: TYPE or FILE=TYPE). ``in_place`` finishes a change of the images in place that was cut off, which
    is Blocked otherwise. ``keys`` open encrypted volumes (``--key``).
    Raises NotAGuest where the place can't be opened, UsageError for an unknown scheme, and GuestError where several
    roots are found and ``root`` names none.
    """
    first, *more = (uri,) if isinstance(uri, str) else uri
    scheme, place = split_uri(first, writable=writable)
    more = [one if os.path.exists(one) else one.removeprefix(f"{scheme}:") for one in more]
    if isinstance(disks, Disks):
        from guestfix.backends.directory import open_directory

        return open_directory(place, disks)
    if scheme == "dir" and (more or root or allow_backing or image_types or keys):
        what = "a folder is one guest by itself: neither further disks nor --root, --allow-backing, --image-type, --key"
        raise UsageError(f"{what} go with it")
    request = Request(
        disks, writable, tuple(more), root, tuple(allow_backing), tuple(image_types), in_place, _keys(keys)
    )
    try:
        return _function(scheme)(place, request)
    except GuestError as error:
        error.where = error.where or ", ".join(shown(one) for one in (place, *more))
        raise


def _keys(given: Keys | Sequence[str]) -> Keys | None:
    keys = given if isinstance(given, Keys) else Keys(given)
    return keys if keys else None


def open_writable(
    uri: str | Sequence[str],
    *,
    disks: str | Disks | None = None,
    root: str = "",
    allow_backing: Sequence[str] = (),
    image_types: Sequence[str] = (),
    in_place: bool = False,
    keys: Keys | Sequence[str] = (),
) -> GuestWriter:
    """Return the guest for writing, else as :func:`open_guest`. Raises UsageError where its backend only reads."""
    guest = open_guest(
        uri,
        disks=disks,
        writable=True,
        root=root,
        allow_backing=allow_backing,
        image_types=image_types,
        in_place=in_place,
        keys=keys,
    )
    if not hasattr(guest, "put"):
        raise UsageError(f"{guest.uri} can only be read", remedy="see: guestfix backends")
    return cast(GuestWriter, guest)


def named_backend(uri: str) -> tuple[str, str]:
    """Return the backend that a guest's URI names, empty where it names none or is a file's name, and the place."""
    scheme, colon, place = uri.partition(":")
    return (scheme, place) if colon and scheme in BACKENDS and not os.path.exists(uri) else ("", uri)


def split_uri(uri: str, *, writable: bool = False) -> tuple[str, str]:
    """Return the scheme and the place of a guest's URI.

    A plain path is a ``dir``, or where it is a file an ``image``; for writing, the first backend that can
    write to images and is usable here. An address (``nbd://…``, ``https://…``) is an ``image`` and never written to.
    """
    if is_afar(uri):
        if writable:
            raise UsageError(WORD, where=shown(uri), remedy=COPY_FIRST)
        return "image", uri
    match = _SCHEME.fullmatch(uri)
    if match and not os.path.exists(uri):
        return match[1], match[2]
    if not os.path.exists(uri) or os.path.isdir(uri):
        return "dir", uri
    return (_writer() if writable else "image"), uri


def of_backend(scheme: str, uri: str) -> str:
    """Return the URI by which a guest is reached through this backend.

    Raises UsageError where the URI names another one, or the place is a folder.
    """
    named, _ = named_backend(uri)
    if named == scheme:
        return uri
    if named:
        raise UsageError(f"--backend {scheme} and {named}: name two backends", remedy="leave one of them out")
    if scheme != "dir" and os.path.isdir(uri):
        raise UsageError("a folder has no backend to choose", where=uri, remedy="leave out --backend")
    return f"{scheme}:{uri}"


def _writer() -> str:
    from guestfix.backends.status import first_writer

    if found := first_writer():
        return found
    raise UsageError("no backend that can write to disk images is usable here", remedy="see: guestfix backends")


def _function(scheme: str) -> Callable[[str, Request], GuestFS]:
    if scheme in BACKENDS:
        module, _, name = BACKENDS[scheme].partition(":")
        found: Callable[[str, Request], GuestFS] = getattr(importlib.import_module(f"{__name__}.{module}"), name)
        return found
    from importlib.metadata import entry_points

    for point in entry_points(group=GROUP, name=scheme):
        try:
            loaded: Callable[[str, Request], GuestFS] = point.load()
        except (ImportError, AttributeError) as error:
            package = point.dist.name if point.dist else point.value
            raise UsageError(f"the backend {scheme} of the package {package} can't be loaded: {error}") from error
        return loaded
    raise UsageError(f"there is no backend {scheme!r}", remedy=did_you_mean(scheme, BACKENDS))
