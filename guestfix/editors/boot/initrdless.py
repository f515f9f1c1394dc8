"""First tries without an initramfs, which Ubuntu's cloud images make (GRUB_FORCE_PARTUUID, /etc/grub.d/10_linux).

The kernel then has to have the disk's driver built in, as it has on the cloud that the image was made for.
"""

from __future__ import annotations

from collections.abc import Iterator

from guestfix.base.edit import Content, Edit, Note, Splice, apply_splices, insert_lines
from guestfix.formats.boot import cmdline, grubargs, grubcfg
from guestfix.formats.boot.grubcfg import Node
from guestfix.formats.shellvars import decode, drop, settled


def default_initrd(src: bytes | None) -> Content:
    """Let grub-mkconfig write entries that load their initramfs at once: GRUB_FORCE_PARTUUID becomes a comment."""
    if src is None:
        return src
    return drop(src, [one for one in settled(src) if one.name == "GRUB_FORCE_PARTUUID" and one.value], b"#")


def grub_initrd(src: bytes | None) -> Content | Edit:
    """Let an entry that loads the same kernel with and without an initramfs always load it with the initramfs.

    The try without one loses its ``panic=-1`` too, by which the kernel starts the machine again at once.
    """
    if src is None or b"initrdfail" not in src:
        return src
    splices: list[Splice] = []
    notes: list[Note] = []
    script = grubcfg.parse(src)
    for entry in script.walk():
        if entry.name != b"menuentry":
            continue
        pairs = list(_pairs(entry.block or []))
        known = {_kernel(src, linux): initrd for linux, initrd in pairs if initrd is not None}
        for linux, initrd in pairs:
            other = known.get(_kernel(src, linux))
            if initrd is None and other is not None:
                splices += _loaded(src, linux, other)
                line = script.line_of(linux.start)
                text = f"the menu tries {_kernel(src, linux)} without an initramfs first (GRUB_FORCE_PARTUUID)"
                notes.append(
                    Note("info", text, line, decode(src[linux.start : linux.rest_end]), code="GF-BOOT-INITRDLESS")
                )
    return Edit(apply_splices(src, splices), tuple(notes)) if splices else src


def _pairs(nodes: list[Node]) -> Iterator[tuple[Node, Node | None]]:
    """Yield each linux command with the initrd command beside it, in a block and its branches."""
    linux = next((one for one in nodes if one.name in grubargs.LINUX), None)
    if linux is not None:
        yield linux, next((one for one in nodes if one.name in grubargs.INITRD), None)
    for node in nodes:
        for _, body in node.branches or ():
            yield from _pairs(body)


def _kernel(src: bytes, linux: Node) -> str:
    spans = grubcfg.raw_words(src, linux)
    return decode(src[slice(*spans[0])]) if spans else ""


def _loaded(src: bytes, linux: Node, other: Node) -> Iterator[Splice]:
    """Yield the changes that give a linux command another's initrd command."""
    for start, end in grubcfg.raw_words(src, linux)[1:]:
        if cmdline.name_of(decode(src[start:end])) == "panic":
            yield Splice(start - 1, end - start + 1, b"")
    indent = src[src.rfind(b"\n", 0, linux.start) + 1 : linux.start]
    command = src[other.start : other.rest_end].rstrip()
    stop = src.find(b"\n", linux.rest_end) + 1 or len(src)
    if not indent.strip() and not src[linux.rest_end : stop].strip():
        yield insert_lines(src, stop, indent + command)
    else:
        yield Splice(linux.rest_end, 0, b"; " + command)
