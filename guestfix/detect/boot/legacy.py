"""The menu of GRUB Legacy: its entries, which of them boots, and where that takes its kernel from."""

from __future__ import annotations

from guestfix.base.guest import GuestFS
from guestfix.base.patterns import regex
from guestfix.detect.boot.menu import GrubHost, Menu, Source, kernel_path
from guestfix.detect.boot.places import Config
from guestfix.detect.boot.volumes import Volumes
from guestfix.detect.files import read_small as read
from guestfix.formats.boot import cmdline, grublegacy
from guestfix.formats.boot.entry import BootEntry
from guestfix.formats.boot.grubsearch import Search


def legacy_menu(guest: GuestFS, config: Config, esp: str, volumes: Volumes | None = None) -> Menu:
    """Read a menu.lst or grub.conf and resolve its default and fallback."""
    host, menu = GrubHost(guest, esp, volumes), Menu("grub-legacy", config.path, visited=[config.path])
    parsed = grublegacy.parse(config.src)
    for at, stanza in enumerate(parsed.stanzas):
        entry = BootEntry(str(at), stanza.title, "grub-legacy", config.path, stanza.line)
        kernel = grublegacy.kernel_of(stanza)
        if kernel:
            entry.kernel, entry.line = kernel_path(host, kernel[0]), kernel[2].line
            entry.args = tuple(cmdline.split(kernel[1]))
            entry.initrd = tuple(kernel_path(host, one) for one in grublegacy.initrds_of(stanza))
        menu.entries.append(entry)
    menu.choice = parsed.setting("default") or "0"
    index = grublegacy.default_index(parsed, _saved_index(guest, config.path))
    menu.default = _at(menu.entries, index)
    words = {one.name for one in parsed.stanzas[index].commands} if menu.default and index is not None else set()
    menu.locked = "password" in words or ("lock" in words and parsed.setting("password") is not None)
    fallback = grublegacy.fallback_index(parsed)
    menu.fallback = _at(menu.entries, fallback)
    menu.source, menu.spare = (_source(host, parsed, one) for one in (index, fallback))
    if not menu.entries:
        menu.reason = "the menu has no entries"
    elif menu.default is None:
        menu.reason = f"the default {menu.choice!r} names no entry of the menu"
        if menu.fallback is not None:
            menu.default = menu.fallback
    elif not menu.default.kernel:
        menu.reason = f"the default entry {menu.default.title!r} loads no Linux kernel"
    return menu


def _source(host: GrubHost, menu: grublegacy.Menu, index: int | None) -> Source | None:
    """Return where an entry takes its kernel from, a device that it names by numbers as GRUB 2 names it."""
    found = grublegacy.kernel_of(menu.stanzas[index]) if index is not None and 0 <= index < len(menu.stanzas) else None
    if found is None or index is None:
        return None
    place = grublegacy.place_of(menu, menu.stanzas[index])
    if place.uuid:
        volume = host.volume(Search("fs-uuid", place.uuid, "root"))
        return Source(volume or "", place.path, f"UUID {place.uuid}", volume is None)
    disk, part = place.numbers
    return Source(f"hd{disk},{part + 1}" if part >= 0 else f"hd{disk}" if disk >= 0 else "", place.path, place.said)


def _at(entries: list[BootEntry], index: int | None) -> BootEntry | None:
    return entries[index] if index is not None and 0 <= index < len(entries) else None


def _saved_index(guest: GuestFS, config: str) -> int | None:
    src = read(guest, f"{config.rpartition('/')[0]}/default", 65536) or b""
    match = regex(rb"\s*(\d{1,6})").match(src)
    return int(match[1]) if match else None
