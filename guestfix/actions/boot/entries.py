"""An entry of a menu as it stands in its file now, whatever rules before changed in it."""

from __future__ import annotations

from guestfix.actions.workbench import Workbench
from guestfix.base.bounds import MENU
from guestfix.base.catalog.records.boot import MenuEntry
from guestfix.base.errors import GuestError


def text_of(bench: Workbench, entry: MenuEntry) -> tuple[bytes, int] | None:
    """Return the file of an entry with all changes so far, and the entry's line in it; None where there is none."""
    content = bench.fs.content(entry.path, MENU) if entry.path else None
    if not isinstance(content, bytes):
        return None
    if not entry.line or entry.loader in ("bls", "systemd-boot") or not bench.fs.is_changed(entry.path):
        return content, entry.line
    from guestfix.formats.boot.entryline import moved  # few files are changed twice

    try:
        before = bench.fs.base.read(entry.path, MENU)
    except GuestError:
        return content, 0
    return content, moved(before, content, entry.loader, entry.line)
