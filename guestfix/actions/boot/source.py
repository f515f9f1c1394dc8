"""GRUB finds the default entry's kernel by the volume that has it, whatever the disks' order and names.

Source: GNU GRUB manual, "search" (``--fs-uuid``, ``--file``, ``--set``).
"""

from __future__ import annotations

from guestfix.actions.workbench import Workbench
from guestfix.base.bounds import MENU
from guestfix.base.catalog.facts.boot import BOOT_CONFIGS, BOOT_DEFAULT, BOOT_SOURCE_AMISS
from guestfix.base.edit import Splice, apply_splices, insert_lines
from guestfix.base.patterns import regex
from guestfix.detect.boot.volumes import Volumes, volumes_of
from guestfix.formats.boot import grubargs, grubcfg
from guestfix.formats.boot.grubcfg import Node
from guestfix.formats.shellvars import encode

_UUID = regex(r"[0-9A-Fa-f-]{4,64}\Z")
_PLAIN = regex(r"[A-Za-z0-9_@%+:,./=~-]+\Z")


def find_source(bench: Workbench) -> None:
    """Make the default entry search for the filesystem that has its kernel, and name its files as they lie there.

    Nothing is changed where detection found nothing amiss, or where an entry computes its paths.
    """
    entry = bench.facts.value(BOOT_DEFAULT)
    if entry is None or not bench.facts.value(BOOT_SOURCE_AMISS, ""):
        return
    volumes = volumes_of(bench.fs.base, bench.facts)
    mount = volumes.place_of(entry.kernel)
    search = _search(volumes, mount, entry.kernel)
    if not search:
        return
    path, line = entry.path, entry.line
    if entry.loader == "bls":
        used = next((one.path for one in bench.facts.value(BOOT_CONFIGS, []) if one.used), "")
        path, line = used, 0
    content = bench.fs.content(path, MENU) if path else None
    if isinstance(content, bytes):
        after = _with_search(content, line, search)
        if line:
            added = after.count(b"\n") - content.count(b"\n")
            after = _relative(after, line + added, mount, (entry.kernel, *entry.initrd))
        if after != content:
            bench.fs.put(path, after)


def _search(volumes: Volumes, mount: str, kernel: str) -> str:
    uuid = volumes.uuid_of(mount)
    if uuid and _UUID.match(uuid):
        return f"search --no-floppy --fs-uuid --set=root {uuid}"
    path = _inside(mount, kernel) if mount else ""
    return f"search --no-floppy --file --set=root {path}" if path and _PLAIN.match(path) else ""


def _inside(mount: str, path: str) -> str:
    return path if mount == "/" else path.removeprefix(mount)


def _with_search(src: bytes, line: int, search: str) -> bytes:
    """Insert the search before the linux command in a line, or before blscfg; a menu that has it there stays."""
    script = grubcfg.parse(src)
    for node in script.walk():
        if not _is_place(node, script.line_of(node.start), line):
            continue
        start = src.rfind(b"\n", 0, node.start) + 1
        indent = src[start : node.start]
        if src[:start].rstrip().endswith(encode(search)):
            return src
        command = encode(search)
        splice = (
            Splice(node.start, 0, command + b"; ") if indent.strip() else insert_lines(src, start, indent + command)
        )
        return apply_splices(src, [splice])
    return src


def _is_place(node: Node, at: int, line: int) -> bool:
    return node.name in grubargs.LINUX and at == line if line else node.name == b"blscfg"


def _relative(src: bytes, line: int, mount: str, paths: tuple[str, ...]) -> bytes:
    """Write the entry's files as they lie on their own filesystem, without a device; words that are computed stay."""
    script = grubcfg.parse(src)
    names = {
        path.rpartition("/")[2]: _inside(mount, path) for path in paths if path.startswith(mount.rstrip("/") + "/")
    }
    at = _at(src, line)
    around = [one for one in script.walk() if one.name == b"menuentry" and one.start <= at <= one.end]
    splices = []
    for node in script.walk() if around else ():
        known = node.name in grubargs.LINUX or node.name in grubargs.INITRD
        if not known or not around[-1].start <= node.start <= around[-1].end:
            continue
        for start, end in grubcfg.raw_words(src, node)[: 1 if node.name in grubargs.LINUX else None]:
            text = grubcfg.literal(src[start:end]) or ""
            wanted = names.get(text.rpartition("/")[2], "")
            if wanted and text != wanted and _PLAIN.match(wanted):
                splices.append(Splice(start, end - start, encode(wanted)))
    return apply_splices(src, splices)


def _at(src: bytes, line: int) -> int:
    """Return where a 1-based line begins; only a line feed ends one, as for GRUB."""
    return sum(len(one) + 1 for one in src.split(b"\n")[: line - 1])
