"""Device names in the files of a BSD: by the labels that its kernel makes nodes of, in whatever disk they are."""

from __future__ import annotations

from guestfix.base.edit import Content, Edit, Splice, Table, apply_splices
from guestfix.base.patterns import regex
from guestfix.editors.storage.fstab import done, fits, replace, too_long
from guestfix.formats.storage.fstab import escape, readable

ONE_TIME = ".eli"
"""What follows the device of a swap area that geli(8) encrypts with a key of its own at each start (fstab(5))."""

_SETTING = regex(rb"[^\n]*")
_NODE = regex(rb"(?<![\w./-])/dev/[A-Za-z0-9]++(?![\w./-])")


def set_label(src: bytes | None, *, table: Table) -> Content | Edit:
    """Name devices by the label that table has for them (``/dev/gpt/rootfs``); other lines stay as they are.

    ``table`` is the fact disks.labels_by_device.
    """
    if src is None:
        return src
    splices: list[Splice] = []
    notes = []
    for entry in readable(src):
        layer = ONE_TIME if entry.type == "swap" and entry.spec.endswith(ONE_TIME) else ""
        label = table.get(entry.spec.removesuffix(layer))
        if label is None:
            continue
        change = replace(entry.fields[0], escape(label + layer))
        if fits(entry, [change]):
            splices.append(change)
        else:
            notes.append(too_long(entry))
    return done(src, splices, notes)


def set_label_in(src: bytes | None, *, table: Table) -> Content:
    """Name devices by the label that table has for them in a file of settings (``dumpdev="/dev/da0p3"``).

    Only whole names count, and none in a comment. ``table`` is the fact disks.labels_by_device.
    """
    if src is None:
        return src
    splices = []
    for line in _SETTING.finditer(src):
        end = line[0].find(b"#")
        for node in _NODE.finditer(src, line.start(), line.end() if end < 0 else line.start() + end):
            label = table.get(node[0].decode())
            if label is not None:
                splices.append(Splice(node.start(), len(node[0]), label.encode("utf-8", "surrogateescape")))
    return apply_splices(src, splices)
