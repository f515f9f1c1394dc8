"""Which format a disk image has: what its name or the operator says, checked against its bytes.

What the bytes look like decides nothing by itself, for the guest may have written them into its own raw disk
(CVE-2006-3597 and its like). Where they and the name disagree, the operator is asked.
"""

from __future__ import annotations

import os

from guestfix.backends.disks.hostfiles import HostFile, HostFiles, type_name
from guestfix.backends.volumes.block import Block, DiskError, read_at
from guestfix.base.record import frozen

BY_NAME = {
    ".qcow2": "qcow2",
    ".qcow": "qcow2",
    ".vmdk": "vmdk",
    ".vhd": "vpc",
    ".vpc": "vpc",
    ".vhdx": "vhdx",
    ".vdi": "vdi",
    ".ova": "ova",
}
"""Format by the end of a name; any other name is that of a raw disk."""


@frozen
class Seen:
    """What a file's bytes look like: the format (``raw`` where they look like none), where, and which bytes."""

    format: str
    what: str = ""


def look(block: Block) -> Seen:
    """Return what a file's bytes look like. DiskError for packed or foreign containers."""
    head = read_at(block, 0, 512)
    for magic, name in _MAGICS:
        if head.startswith(magic):
            return _seen(name, magic, "first bytes")
    if _is_descriptor(head):
        return _seen("vmdk", head.strip()[:21], "first text")
    if head[64:68] == b"\x7f\x10\xda\xbe":
        return _seen("vdi", head[64:68], "bytes 64 to 67")
    if head[257:262] == b"ustar":
        return _seen("ova", head[257:262], "bytes 257 to 261")
    if head[:8] == b"conectix":
        return _seen("vpc", head[:8], "first bytes")
    if read_at(block, block.size - 512, 8) == b"conectix":
        return _seen("vpc", b"conectix", "last sector's first bytes")
    for magic, name in _FOREIGN:
        if head.startswith(magic):
            raise DiskError(f"the file is {name}", remedy=f"unpack it or convert it with qemu-img convert first{_RAW}")
    if read_at(block, 16 * 2048 + 1, 5) == b"CD001":
        what = "the file is an ISO 9660 image, a CD or DVD"
        raise DiskError(what, remedy=f"leave it out, and give the disks of the guest{_RAW}")
    return Seen("raw")


def _seen(fmt: str, data: bytes, where: str) -> Seen:
    shown = data.decode("latin-1") if data.isascii() else data.hex(" ")
    return Seen(fmt, f"its {where} are {shown!r}")


def _is_descriptor(head: bytes) -> bool:
    """Tell a VMDK's descriptor as QEMU's vmdk_probe does: comments and blank lines, then a version."""
    if head.lstrip().startswith(b"# Disk DescriptorFile"):
        return True
    for line in head.replace(b"\r\n", b"\n").split(b"\n"):
        if line.startswith(b"#") or not line.strip(b" "):
            continue
        return line in (b"version=1", b"version=2", b"version=3")
    return False


_MAGICS = ((b"QFI\xfb", "qcow2"), (b"KDMV", "vmdk"), (b"COWD", "vmdk"), (b"vhdxfile", "vhdx"))
_RAW = "; or, if these are the bytes of the disk itself: --image-type raw"
_FOREIGN = (
    (b"\x1f\x8b", "compressed with gzip"),
    (b"\xfd7zXZ", "compressed with xz"),
    (b"\x28\xb5\x2f\xfd", "compressed with zstd"),
    (b"BZh", "compressed with bzip2"),
    (b"PK\3\4", "a ZIP archive"),
    (b"7z\xbc\xaf", "a 7z archive"),
    (b"QED\0", "a QED image, which QEMU itself has given up"),
    (b"WithoutFreeSpace", "a Parallels image"),
    (b"WithouFreSpacExt", "a Parallels image"),
    (b"EVF\t", "an EnCase evidence file"),
    (b"\xfe\xed\xfe\xed", "a split sparse image of another kind"),
    (b"OOOM", "a copy-on-write file of User-mode Linux"),
    (b"MOOO", "a copy-on-write file of User-mode Linux"),
)


def settle(host: HostFiles, path: str, block: Block, *, named: bool = True) -> str:
    """Return the format of an image that the operator named, or that an OVF names by a file name alone.

    DiskError, which says what was seen and what to type, where its name says another than its bytes look like.
    """
    told = host.told(path, named=named)
    if told:
        return told
    wanted = BY_NAME.get(os.path.splitext(path)[1].lower(), "raw")
    seen = look(block)
    if seen.format == wanted:
        return wanted
    if wanted == "raw":
        what = f"by its name this is a raw disk, but it looks like {_title(seen.format)}: {seen.what}"
        why = "raw if these are the bytes of the disk, which a guest may have written"
    else:
        found = f"looks like {_title(seen.format)}: {seen.what}" if seen.what else "has no mark of one; was it cut off?"
        what, why = f"by its name this is {_title(wanted)}, but it {found}", "or copy it again"
    choices = " or ".join(f"--image-type {type_name(one)}" for one in dict.fromkeys(("raw", seen.format, wanted)))
    raise DiskError(what, where=path, remedy=f"say which it is: {choices} ({why})")


def settle_below(host: HostFiles, file: HostFile, fmt: str, above: str) -> str:
    """Return the format of an image that ``above`` names as its backing file, of which it says ``fmt``.

    DiskError where neither it nor the operator says one, where they say two, and where the bytes are another's.
    """
    told = host.told(file.path, named=False)
    if not fmt and not told:
        what = f"{above} names this as its backing file without its format, which is never guessed"
        name = os.path.basename(file.path)
        remedy = f"write it down with qemu-img rebase -u -F FORMAT -b FILE, or say it: --image-type {name}=TYPE"
        raise DiskError(what, where=file.path, remedy=remedy)
    if fmt and told and fmt != told:
        what = f"this should be a {fmt} image, as {above} says, but you say {type_name(told)}"
        raise DiskError(what, where=file.path, remedy=REBASE)
    if told == "raw":
        return told
    seen = look(file.block).format if fmt != "raw" else _magic(file.block)
    if (told or fmt) != seen:
        what = f"this should be a {told or fmt} image, as {above} says, but it is {seen}"
        name = os.path.basename(file.path)
        right = f"; or, if its guest wrote that into a raw disk: --image-type {name}=raw" if fmt == "raw" else ""
        raise DiskError(what, where=file.path, remedy=REBASE + right)
    return told or fmt


def _magic(block: Block) -> str:
    """Return what a raw disk looks like; what is packed or foreign is raw here, for no reader takes it for more."""
    try:
        return look(block).format
    except DiskError:
        return "raw"


REBASE = "give the image above it the right backing file and format: qemu-img rebase -u -F FORMAT -b FILE"


def _title(fmt: str) -> str:
    return {"raw": "a raw disk", "ova": "an OVA"}.get(fmt, f"a {type_name(fmt)} image")
