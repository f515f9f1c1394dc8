"""GRUB finds the default entry's kernel by the volume that has it, whatever the disks' order and names.

Source: GNU GRUB manual, "search" (``--fs-uuid``, ``--file``, ``--set``).
"""

from __future__ import annotations

from guestfix.actions.boot.entries import text_of
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
    if entry.loader == "bls":
        used = next((one.path for one in bench.facts.value(BOOT_CONFIGS, []) if one.used), "")
        content = bench.fs.content(used, MENU) if used else None
        found, path = ((content, 0), used) if isinstance(content, bytes) else (None, used)
    else:
        found, path = text_of(bench, entry), entry.path
    if found is None or (not found[1] and entry.loader != "bls"):
        return
    files = (entry.kernel, *entry.initrd)
    after = (
        _legacy(volumes, mount, *found, files)
        if entry.loader == "grub-legacy"
        else _grub(volumes, mount, *found, files)
    )
    if after != found[0]:
        bench.fs.put(path, after)


def _grub(volumes: Volumes, mount: str, src: bytes, line: int, files: tuple[str, ...]) -> bytes:
    search = _search(volumes, mount, files[0])
    if not search:
        return src
    after = _with_search(src, line, search)
    return _relative(after, line + after.count(b"\n") - src.count(b"\n"), mount, files) if line else after


def _legacy(volumes: Volumes, mount: str, src: bytes, line: int, files: tuple[str, ...]) -> bytes:
    """GRUB Legacy knows filesystems by the firmware's numbers of disks alone: the guest's disks, in their order."""
    from guestfix.editors.boot.legacyroot import set_root  # few guests still have it

    place = volumes.numbers_of(mount)
    inside = {path.rpartition("/")[2]: _inside(mount, path) for path in files if _is_below(path, mount)}
    return set_root(src, line, place, inside) if place else src


def _search(volumes: Volumes, mount: str, kernel: str) -> str:
    uuid = volumes.uuid_of(mount)
    if uuid and _UUID.match(uuid):
        return f"search --no-floppy --fs-uuid --set=root {uuid}"
    path = _inside(mount, kernel) if mount else ""
    return f"search --no-floppy --file --set=root {path}" if path and _PLAIN.match(path) else ""


def _inside(mount: str, path: str) -> str:
    return path if mount == "/" else path.removeprefix(mount)


def _is_below(path: str, mount: str) -> bool:
    return path.startswith(mount.rstrip("/") + "/")


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
    names = {path.rpartition("/")[2]: _inside(mount, path) for path in paths if _is_below(path, mount)}
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
