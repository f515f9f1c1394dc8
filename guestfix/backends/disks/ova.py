"""OVA: a tar of an OVF descriptor and its disks (DMTF DSP0243)."""

from __future__ import annotations

import os
import tarfile

from guestfix.backends.disks.formats import OpenDisk, open_held, open_window, told_at
from guestfix.backends.disks.hostfiles import HostFile, HostFiles
from guestfix.backends.disks.names import commit_place
from guestfix.backends.disks.types import settle
from guestfix.backends.volumes.block import DiskError, Window, read_at
from guestfix.base.bounds import XML_BYTES
from guestfix.base.errors import UsageError
from guestfix.base.record import replace
from guestfix.base.xmldoc import parse_xml

TYPE_CHECKING = False
if TYPE_CHECKING:
    import xml.etree.ElementTree as ET

MAX_OVF = XML_BYTES
MAX_MEMBERS = 1000
_AGAIN = "copy or export it again"


def disk_files(ovf: bytes) -> tuple[str, ...]:
    """Return the disk files that an OVF descriptor names, in the order in which the machine sees them."""
    try:
        root = parse_xml(ovf, "the OVF descriptor")
    except ValueError as error:
        raise DiskError(str(error), remedy=_AGAIN) from error
    files = {_get(item, "id"): _checked(item) for item in _all(root, "File")}
    disks = {_get(item, "diskId"): files.get(_get(item, "fileRef"), "") for item in _all(root, "Disk")}
    ordered = [disks.get(ref, files.get(ref, "")) for ref in _attached(root)]
    named = tuple(dict.fromkeys(name for name in (*ordered, *disks.values()) if name))
    if not named:
        raise DiskError("the OVF descriptor names no disk file", remedy="export the machine again, with its disks")
    for name in named:
        if name.startswith("/") or ".." in name.split("/") or ":" in name or "\0" in name:
            raise DiskError(f"the OVF descriptor names a file that is not beside it: {name}", remedy=_BESIDE)
    return named


_BESIDE = "if you trust it, correct the href in the descriptor"


def _local(tag: str) -> str:
    return tag.rpartition("}")[2]


def _all(root: ET.Element, name: str) -> list[ET.Element]:
    return [item for item in root.iter() if isinstance(item.tag, str) and _local(item.tag) == name]


def _get(item: ET.Element, name: str) -> str:
    return next((value for key, value in item.attrib.items() if _local(key) == name), "")


def _checked(item: ET.Element) -> str:
    name = _get(item, "href")
    if _get(item, "compression") not in ("", "identity") or _get(item, "chunkSize"):
        raise DiskError(f"the OVF's file {name} is compressed or in chunks", remedy="unpack the OVA and the file first")
    return name


def _attached(root: ET.Element) -> list[str]:
    """Return the disk references of the hardware section, by controller and address on it."""
    found: list[tuple[str, int, str]] = []
    for item in [*_all(root, "Item"), *_all(root, "StorageItem")]:
        values = {_local(child.tag): (child.text or "").strip() for child in item if isinstance(child.tag, str)}
        if values.get("ResourceType") == "17" and values.get("HostResource"):
            address = values.get("AddressOnParent", "")
            place = int(address) if address.isdecimal() and len(address) < 6 else 0
            found.append((values.get("Parent", ""), place, values["HostResource"].rpartition("/")[2]))
    return [ref for _, _, ref in sorted(found)]


def open_ova(host: HostFiles, file: HostFile, path: str) -> list[OpenDisk]:
    """Open every disk of an OVA in place; nothing is unpacked."""
    try:
        members, text = _members(file)
    except (tarfile.TarError, OSError, ValueError) as error:
        raise DiskError(f"the OVA can't be read, perhaps cut off: {error}", where=path, remedy=_AGAIN) from error
    if text is None:
        raise DiskError("the tar archive holds no .ovf descriptor: it is no OVA", where=path, remedy=_UNPACK)
    return [_member(host, file, path, name, members.get(os.path.normpath(name))) for name in disk_files(text)]


_UNPACK = "unpack it, and give the disk images in it, in their order"


def _members(file: HostFile) -> tuple[dict[str, tarfile.TarInfo], bytes | None]:
    """Return the archive's members by name and the text of its descriptor, None where it holds none."""
    members: dict[str, tarfile.TarInfo] = {}
    file.block.seek(0)
    with tarfile.open(fileobj=file.block, mode="r:") as archive:
        for member in archive:
            name = os.path.normpath(member.name)
            if name in members:
                raise DiskError(f"the OVA holds {name} twice", where=file.path, remedy=_UNPACK)
            members[name] = member
            if len(members) > MAX_MEMBERS:
                raise DiskError("the OVA has too many members", where=file.path)
        descriptor = next((m for name, m in members.items() if name.lower().endswith(".ovf") and m.isreg()), None)
        stream = archive.extractfile(descriptor) if descriptor is not None else None
        return members, stream.read(MAX_OVF + 1) if stream is not None else None


def _member(host: HostFiles, file: HostFile, path: str, name: str, member: tarfile.TarInfo | None) -> OpenDisk:
    where = f"{path}:{name}"
    if member is None:
        what = "the OVA's descriptor names this disk, but the archive doesn't hold it"
        raise DiskError(what, where=where, remedy=_AGAIN)
    if not member.isreg() or member.issparse():
        raise DiskError("this disk is a link or another special file in the OVA", where=where, remedy=_UNPACK)
    if member.size <= 0 or member.offset_data + member.size > file.block.size:
        raise DiskError("the OVA was cut off: this disk goes beyond its end", where=where, remedy=_AGAIN)
    span = member.offset_data, member.size
    with told_at(where):
        kind = settle(host, where, Window(file.block, *span), named=False)
        if kind not in ("raw", "vmdk", "vpc", "vhdx"):
            raise DiskError(f"a disk of format {kind} inside an OVA can't be read", where=where, remedy=_UNPACK)
        return open_window(host, file, where, kind, span)


def open_images(paths: list[str], host: HostFiles | None = None, *, halves: bool = False) -> list[OpenDisk]:
    """Open disk images in the order given; an OVA or OVF stands for all of its disks.

    Blocked where one is half written, its change in place having been cut off, unless ``halves`` are wanted.

    DiskError as :func:`guestfix.backends.disks.formats.open_chain`, UsageError where one is given twice.
    """
    host = host or HostFiles()
    found: list[OpenDisk] = []
    for path in paths:
        try:
            found += _opened(host, path)
        except DiskError as error:
            error.where = error.where or path
            raise
    seen: dict[tuple[tuple[int, int], int], OpenDisk] = {}
    for disk in found:
        start = disk.node.get("offset", disk.node["file"].get("offset", 0)) if disk.inside else -1
        if seen.setdefault((disk.file.key, start), disk) is not disk:
            raise UsageError("the same image is given twice", where=disk.file.real, remedy="give each disk once")
    if not halves and any(map(_may_be_half, found)):
        from guestfix.backends.disks.commit import refuse_unfinished

        refuse_unfinished(found)
    return found


def _may_be_half(one: OpenDisk) -> bool:
    """Tell whether something beside an image tells that it is half written; it is named, or lies, there."""
    if one.file.afar:
        return False
    linked = one.path != one.file.real and not one.inside
    names = (commit_place(one), *((commit_place(replace(one, path=one.file.real)),) if linked else ()))
    return any(map(os.path.lexists, names))


def _opened(host: HostFiles, path: str) -> list[OpenDisk]:
    file = host.named(path)
    path = file.path if file.afar else path
    if path.lower().endswith(".ovf") and not host.told(path, named=True):
        names = disk_files(read_at(file.block, 0, MAX_OVF + 1))
        return [_beside(host, file, name) for name in names]
    if settle(host, path, file.block) == "ova":
        return open_ova(host, file, path)
    return [open_held(host, file, path)]


def _beside(host: HostFiles, ovf: HostFile, name: str) -> OpenDisk:
    file = host.inside(ovf, name, "disk", remedy="copy it there")
    opened = open_held(host, file, file.path)
    return replace(opened, fixed=opened.fixed or "the OVF names this disk; you did not: give the disk itself")
