"""Entries that load no initramfs get the one of their kernel, where the target's drivers are modules."""

from __future__ import annotations

from collections.abc import Iterable

from guestfix.actions.boot.entries import text_of
from guestfix.actions.workbench import Workbench
from guestfix.base.catalog.facts.boot import BOOT_DEFAULT, BOOT_FALLBACK
from guestfix.base.catalog.records.boot import MenuEntry


def load_initrd(bench: Workbench) -> None:
    """Make the default entry and the fallback load the initramfs beside their kernel, where they need one.

    An entry whose kernel has all built in stays; so does one whose kernel has no initramfs, which detection tells.
    """
    entries = [one for kind in (BOOT_DEFAULT, BOOT_FALLBACK) if (one := bench.facts.value(kind)) and not one.initrd]
    if entries:
        _load(bench, entries)


def _load(bench: Workbench, entries: Iterable[MenuEntry]) -> None:
    from guestfix.detect.initramfs.bare import bare, image_for  # few entries load none
    from guestfix.editors.boot.initrd import FORMS, add

    for entry in entries:
        found = bare(bench.fs, bench.facts, bench.target, entry)
        if found is None or not found.stops or entry.loader not in FORMS:
            continue
        image = image_for(bench.fs, bench.facts, entry)
        found_in = text_of(bench, entry) if image else None
        if found_in is not None:
            content, line = found_in
            after = add(content, FORMS[entry.loader], line, image.rpartition("/")[2])
            if after != content:
                bench.fs.put(entry.path, after)
