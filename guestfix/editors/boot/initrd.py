"""An initrd for an entry that loads none, written as its kernel is.

Sources: GNU GRUB manual ("initrd"), GRUB Legacy manual ("initrd"), the Boot Loader Specification (``initrd``), the
Syslinux wiki ("INITRD").
"""

from __future__ import annotations

from guestfix.base.edit import Splice, apply_splices, insert_lines
from guestfix.formats.boot import bls, grubargs, grubcfg, grublegacy, syslinux
from guestfix.formats.shellvars import decode, encode

FORMS = {"grub2": "grubcfg", "bls": "bls", "systemd-boot": "bls", "grub-legacy": "menu", "extlinux": "syslinux"}
"""By loader: how its entries are written."""


def add(src: bytes, form: str, line: int, name: str) -> bytes:
    """Make the entry whose kernel is named in a line load an initrd too: ``name`` in the folder that the kernel is in.

    src itself comes back where the line names no kernel in a folder that can be read off it, or an initrd follows.
    """
    if not line and form != "bls":
        return src
    if form == "bls" and any(one.key == "initrd" for one in bls.parse(src).fields):
        return src
    if form == "grubcfg":
        return _grub(src, line, name)
    if form == "bls":
        one = next((one for one in reversed(bls.parse(src).fields) if one.key == "linux"), None)
        return _after(src, b"initrd", one.value, one.end, name) if one else src
    if form == "menu":
        return _legacy(src, line, name)
    return _label(src, line, name)


def _beside(kernel: str, name: str) -> str:
    """Return a name in the kernel's folder as the entry writes it; empty where a shell would have to tell."""
    written = kernel.split()[0] if kernel.split() else ""
    return "" if any(char in written for char in "$'\"\\") else written[: written.rfind("/") + 1] + name


def _after(src: bytes, command: bytes, kernel: str, at: int, name: str) -> bytes:
    """Insert a line with the initrd behind the one that ends at or behind ``at``, indented as it."""
    path = _beside(kernel, name)
    if not path:
        return src
    start = src.rfind(b"\n", 0, at) + 1
    text = src[start:at]
    indent = text[: len(text) - len(text.lstrip(b" \t"))]
    return apply_splices(
        src, [insert_lines(src, src.find(b"\n", at) + 1 or len(src), indent + command + b" " + encode(path))]
    )


def _grub(src: bytes, line: int, name: str) -> bytes:
    script = grubcfg.parse(src)
    nodes = iter(script.walk())
    for node in nodes:
        if node.name in grubargs.LINUX and script.line_of(node.start) == line:
            words = grubcfg.raw_words(src, node)
            path = _beside(decode(src[words[0][0] : words[0][1] + 1]), name) if words else ""  # a quote may follow
            command = node.name.replace(b"linux", b"initrd") + b" " + encode(path)
            indent = src[src.rfind(b"\n", 0, node.start) + 1 : node.start]
            stop = src.find(b"\n", node.rest_end) + 1 or len(src)
            following = next(nodes, None)
            if not path or (following is not None and following.name in grubargs.INITRD):
                return src
            alone = not indent.strip() and not src[node.rest_end : stop].strip()
            splice = insert_lines(src, stop, indent + command) if alone else Splice(node.rest_end, 0, b"; " + command)
            return apply_splices(src, [splice])
    return src


def _legacy(src: bytes, line: int, name: str) -> bytes:
    for stanza in grublegacy.parse(src).stanzas:
        found = grublegacy.kernel_of(stanza)
        if found and found[2].line == line:
            if any(one.name == "initrd" and one.at > found[2].at for one in stanza.commands):
                return src
            return _after(src, b"initrd", found[0], found[2].end, name)
    return src


def _label(src: bytes, line: int, name: str) -> bytes:
    """``line`` is where the label begins."""
    own: list[syslinux.Directive] = []
    inside = False
    for one in syslinux.directives(src):
        inside = one.line == line if one.name == "label" else inside
        own += [one] if inside else []
    kernel = next((one for one in own if one.name in ("kernel", "linux")), None)
    if kernel is None or any(one.name == "initrd" for one in own):
        return src
    return _after(src, b"INITRD", kernel.rest, kernel.rest_end, name)
