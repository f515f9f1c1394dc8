"""Devices by old names in what an administrator wrote: commands of scripts and cron tables, targets of kdump.

Sources: mount(8), swapon(8), fsck(8), tune2fs(8), blockdev(8), which all take a link in /dev/disk; kdump.conf(5).
"""

from __future__ import annotations

from guestfix.base.edit import Content, Splice, Table, apply_splices
from guestfix.base.patterns import regex
from guestfix.formats.shellvars import decode, encode
from guestfix.formats.storage import devices

TAKERS = (
    "mount", "umount", "swapon", "swapoff", "fsck", "e2fsck", "xfs_repair", "tune2fs", "e2label", "xfs_admin",
    "resize2fs", "blockdev", "dumpe2fs", "cryptsetup",
)  # fmt: skip
"""Commands that are given a block device and open it by any name that it has."""

_LINE = regex(rb"^(?P<text>[^\n]{1,4096})$", 8)
_COMMAND = regex(
    rb"(?:^|[;&|(`]|=[-@+!:]*|[ \t])[ \t]*(?:/usr)?(?:/s?bin/)?(?P<name>"
    + b"|".join(one.encode() for one in TAKERS)
    + rb"|fsck\.[a-z0-9]{2,8})(?=[ \t])"
)
_WORD = regex(rb"(?<=[ \t])(?P<quote>[\"']?)(?P<name>/dev/[A-Za-z0-9/_.:+-]{2,200})(?P=quote)(?=[ \t;&|)<>\r]|$)")
_END = regex(rb"[;&|]|[ \t]#")
_DUMP = regex(rb"^(?P<kind>ext[234]|xfs|btrfs|raw)[ \t]++(?P<name>/dev/\S{2,200})[ \t\r]*$", 8)


def set_device(src: bytes | None, *, table: Table) -> Content:
    """Name devices by their UUID's link where a command that opens a block device is given an old name.

    Only whole words behind such a command, on its line, count; names in comments, patterns and other commands stay,
    as does what the table does not resolve.
    """
    if src is None or b"/dev/" not in src or b"\0" in src:
        return src
    splices = []
    for line in _LINE.finditer(src):
        text = line["text"]
        if b"/dev/" not in text or text.lstrip().startswith(b"#"):
            continue
        for command in _COMMAND.finditer(text):
            ends = _END.search(text, command.end())
            for word in _WORD.finditer(text, command.end(), ends.start() if ends else len(text)):
                link = _link(decode(word["name"]), table)
                if link:
                    start = line.start() + word.start("name")
                    splices.append(Splice(start, len(word["name"]), encode(link)))
    return apply_splices(src, list({one.offset: one for one in splices}.values()))


def set_dump_target(src: bytes | None, *, table: Table, partuuids: Table) -> Content:
    """Name the target of a kernel dump by what goes with the data: its filesystem by UUID, a raw one by PARTUUID."""
    if src is None or b"/dev/" not in src:
        return src
    splices = []
    for found in _DUMP.finditer(src):
        name = decode(found["name"])
        if not devices.is_unstable(name):
            continue
        spec = devices.resolve(name, partuuids if found["kind"] == b"raw" else table)
        if spec:
            new = devices.link_of(spec) if found["kind"] == b"raw" else spec
            splices.append(Splice(found.start("name"), len(found["name"]), encode(new)))
    return apply_splices(src, splices)


def _link(name: str, table: Table) -> str:
    spec = devices.resolve(name, table) if devices.is_unstable(name) else None
    return devices.link_of(spec) if spec else ""
