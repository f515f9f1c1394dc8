"""Addresses of disk images that are no local files, and how they are shown: without a secret."""

from __future__ import annotations

import posixpath

from guestfix.backends.volumes.block import DiskError

EXTRAS = {
    "nbd": "",
    "nbd+unix": "",
    "http": "http",
    "https": "http",
    "s3": "s3",
    "gs": "gs",
    "az": "az",
    "ssh": "ssh",
}
"""Schemes, and the extra of guestfix that each needs; none for those that guestfix reads by itself."""

WORD = "writing stays local: a disk image from afar is only read"
COPY_FIRST = "copy it here first: qemu-img convert -O qcow2 ADDRESS disk.qcow2, or the tool of its store"


def is_afar(place: str) -> bool:
    """Tell whether a place is an address of another machine's."""
    return place.partition("://")[0] in EXTRAS and "://" in place


def shown(place: str) -> str:
    """Return an address without user, password and query, in which signatures are; any other place as it is."""
    if not is_afar(place):
        return place
    from urllib.parse import urlsplit

    try:
        parts = urlsplit(place)
    except ValueError:
        return f"{place.partition('://')[0]}://…"
    query = parts.query if parts.scheme == "nbd+unix" else ""
    return f"{parts.scheme}://{parts.netloc.rpartition('@')[2]}{parts.path}{'?' * bool(query)}{query}"


def key_of(place: str) -> tuple[int, int]:
    """Return what tells one address from another, as device and inode tell files."""
    import hashlib

    return -1, int.from_bytes(hashlib.sha256(place.encode("utf-8", "surrogateescape")).digest()[:8], "big")


def beside(place: str, name: str) -> str:
    """Return the address of a file that an image names. DiskError unless that is a mere name, in the same folder."""
    from urllib.parse import quote, urlsplit, urlunsplit

    parts = urlsplit(place)
    if parts.scheme.startswith("nbd") or "/" in name or name.startswith(".") or not name:
        what = f"it names {name}: an image from afar may only name files in its own folder"
        raise DiskError(what, where=shown(place), remedy="convert the chain to one image with qemu-img convert")
    folder = posixpath.dirname(parts.path)
    return urlunsplit((parts.scheme, parts.netloc, f"{folder}/{quote(name)}", parts.query, ""))
