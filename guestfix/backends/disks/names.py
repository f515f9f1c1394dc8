"""Addresses of disk images that are no local files, and how they are shown: without a secret."""

from __future__ import annotations

import os.path
import posixpath

from guestfix.backends.volumes.block import DiskError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from guestfix.backends.disks.formats import OpenDisk

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


def stem_of(image: OpenDisk) -> str:
    """Return where the outcome of an image goes, without suffix: beside what was named, or here where it is a device.

    A disk inside an OVA is called OVA:NAME, and NAME may have folders.
    """
    if image.file.device:
        return os.path.basename(image.path)
    if image.inside:
        outer, _, name = image.path.rpartition(":")
        return f"{outer}-{os.path.splitext(os.path.basename(name))[0]}"
    folder, name = os.path.split(os.path.splitext(image.path)[0])
    return os.path.join(folder if image.file.named else image.file.home, name.replace(":", "-"))


def commit_place(image: OpenDisk) -> str:
    """Return where the changes of an image lie while they are written into it."""
    return f"{stem_of(image)}.guestfix.commit"


def is_afar(place: str) -> bool:
    """Tell whether a place is an address of another machine's."""
    return place.partition("://")[0] in EXTRAS and "://" in place


def shown(place: str) -> str:
    """Return an address without user, password and query, in which signatures are; any other place as it is.

    A backend's name may stand in front.
    """
    if not is_afar(place):
        backend, _, rest = place.partition(":")
        return f"{backend}:{shown(rest)}" if is_afar(rest) else place
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
