"""OVA: a tar of an OVF descriptor and its disks (DMTF DSP0243)."""

from __future__ import annotations

import os
import tarfile
import xml.etree.ElementTree as ET  # DTDs are refused before it sees them
from collections.abc import Callable

from guestfix.backends.disks.formats import OpenDisk, detect, file_node, open_chain, open_file
from guestfix.backends.volumes.block import Block, DiskError, FileBlock, Window
from guestfix.base.errors import UsageError

MAX_OVF = 8 << 20
MAX_MEMBERS = 1000
_AGAIN = "copy or export it again"


def disk_files(ovf: bytes) -> tuple[str, ...]:
    """Return the disk files that an OVF descriptor names, in the order in which the machine sees them."""
    if len(ovf) > MAX_OVF or b"<!DOCTYPE" in ovf or b"<!ENTITY" in ovf:
        raise DiskError("the OVF descriptor is too large or has a document type, which no OVF needs", remedy=_AGAIN)
    try:
        root = ET.fromstring(ovf)
    except (ET.ParseError, ValueError, LookupError) as error:
        raise DiskError(f"the OVF descriptor is no XML: {error}", remedy=_AGAIN) from error
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


_BESIDE = "if you trust it, mend the href in the descriptor"


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


def open_ova(path: str, block: FileBlock) -> list[OpenDisk]:
    """Open every disk of an OVA in place; nothing is unpacked."""
    try:
        with tarfile.open(path, "r:") as archive:
            members = {}
            for member in archive:
                members[os.path.normpath(member.name)] = member
                if len(members) > MAX_MEMBERS:
                    raise DiskError("the OVA has too many members", where=path)
            descriptor = next((m for name, m in members.items() if name.lower().endswith(".ovf")), None)
            stream = archive.extractfile(descriptor) if descriptor is not None else None
            text = stream.read(MAX_OVF + 1) if stream is not None else b""
    except (tarfile.TarError, OSError, ValueError) as error:
        raise DiskError(f"the OVA can't be read, perhaps cut off: {error}", where=path, remedy=_AGAIN) from error
    if descriptor is None:
        raise DiskError("the tar archive holds no .ovf descriptor: it is no OVA", where=path, remedy=_UNPACK)
    return [_member(path, block, name, members.get(os.path.normpath(name))) for name in disk_files(text)]


_UNPACK = "unpack it, and give the disk images in it, in their order"


def _member(path: str, block: FileBlock, name: str, member: tarfile.TarInfo | None) -> OpenDisk:
    where = f"{path}:{name}"
    if member is None:
        what = "the OVA's descriptor names this disk, but the archive doesn't hold it"
        raise DiskError(what, where=where, remedy=_AGAIN)
    if not member.isreg():
        raise DiskError("this disk is a link or another special file in the OVA", where=where, remedy=_UNPACK)
    if member.offset_data + member.size > block.size:
        raise DiskError("the OVA was cut off: this disk goes beyond its end", where=where, remedy=_AGAIN)
    part = Window(block, member.offset_data, member.size)
    node = {"driver": "raw", "offset": member.offset_data, "size": member.size, "file": file_node(path)}
    return _inner(where, part, node, path)


def _inner(where: str, part: Block, node: dict[str, object], path: str) -> OpenDisk:
    from guestfix.backends.disks import hyperv as image_hyperv
    from guestfix.backends.disks import vmdk as image_vmdk

    kind = detect(part)
    openers: dict[str, Callable[[str, Block, tuple[str, ...]], OpenDisk]] = {
        "vmdk": image_vmdk.open_sparse, **image_hyperv.OPENERS
    }  # fmt: skip
    if kind == "raw":
        return OpenDisk(where, "raw", part, node, (os.path.realpath(path),))
    if kind not in openers:
        raise DiskError(f"a disk of format {kind} inside an OVA can't be read", where=where, remedy="unpack the OVA")
    inner = openers[kind](where, part, (os.path.realpath(path),))
    return OpenDisk(where, inner.format, inner.block, {"driver": inner.format, "file": node}, inner.files)


def open_images(paths: list[str]) -> list[OpenDisk]:
    """Open disk images in the order given; an OVA or OVF stands for all of its disks."""
    found: list[OpenDisk] = []
    for path in paths:
        try:
            found += _opened(path, open_file(path))
        except DiskError as error:
            error.where = error.where or path
            raise
    files = [file for disk in found for file in disk.files[-1:] if not file.lower().endswith(".ova")]
    for file in files:
        if files.count(file) > 1:
            raise UsageError("the same image is given twice", where=file, remedy="give each disk once")
    return found


def _opened(path: str, block: FileBlock) -> list[OpenDisk]:
    if path.lower().endswith(".ovf"):
        folder = os.path.dirname(os.path.abspath(path))
        return [open_chain(os.path.join(folder, name)) for name in disk_files(block.read(MAX_OVF + 1))]
    if detect(block) == "ova":
        return open_ova(path, block)
    return [open_chain(path)]
