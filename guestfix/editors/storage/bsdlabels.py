"""Device names in the fstab(5) of a BSD: by the labels that its kernel makes nodes of, in whatever disk they are."""

from __future__ import annotations

from guestfix.base.edit import Content, Edit, Splice, Table
from guestfix.editors.storage.fstab import done, fits, replace, too_long
from guestfix.formats.storage.fstab import escape, readable


def set_label(src: bytes | None, *, table: Table) -> Content | Edit:
    """Name devices by the label that table has for them (``/dev/gpt/rootfs``); other lines stay as they are.

    ``table`` is the fact disks.labels_by_device.
    """
    if src is None:
        return src
    splices: list[Splice] = []
    notes = []
    for entry in readable(src):
        label = table.get(entry.spec)
        if label is None:
            continue
        change = replace(entry.fields[0], escape(label))
        if fits(entry, [change]):
            splices.append(change)
        else:
            notes.append(too_long(entry))
    return done(src, splices, notes)
