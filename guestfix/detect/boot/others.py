"""The menus of systemd-boot, with unified kernel images, and of extlinux."""

from __future__ import annotations

import posixpath
from fnmatch import fnmatchcase

from guestfix.base.errors import GuestError
from guestfix.base.guest import GuestFS
from guestfix.detect.boot.menu import MAX_BLS, GrubHost, Menu, bls_entry, kernel_path
from guestfix.detect.boot.places import Config, child
from guestfix.detect.files import names_in as names
from guestfix.detect.files import read_head
from guestfix.detect.files import read_small as read
from guestfix.formats import shellvars
from guestfix.formats.boot import bls, cmdline, syslinux
from guestfix.formats.boot.entry import BootEntry, choose
from guestfix.formats.windows import pe

HEAD = 8192
MAX_SECTION = 65536
MAX_CONFIGS = 8
"""Configurations of syslinux that lead to one another."""


def systemd_boot_menu(guest: GuestFS, esp: str, images: list[str]) -> Menu | None:
    """Read systemd-boot's entries and the unified kernel images; None where there are none."""
    base = next((one for one in (esp, "/boot", "/efi") if one and child(guest, one, "loader")), "")
    folder = f"{base}/loader/entries"
    files = [name for name in names(guest, folder) if name.endswith(".conf")] if base else []
    if not files and not images:
        return None
    host = GrubHost(guest, base)
    menu = Menu("systemd-boot", f"{base or esp}/loader/loader.conf", left=max(0, len(files) - MAX_BLS))
    texts = {name: read(guest, f"{folder}/{name}", 65536) or b"" for name in files[:MAX_BLS]}
    for name in bls.systemd_order({name: bls.parse(text) for name, text in texts.items()}):
        entry = bls_entry(host, f"{folder}/{name}", {}, "")
        if entry:
            entry.loader, entry.id = "systemd-boot", bls.identity(name)
            menu.entries.append(entry)
    menu.entries += [image_entry(guest, path) for path in sorted(images, reverse=True)]
    src = read(guest, menu.path, 65536) or b""
    menu.choice = bls.parse(src).get("default")
    _match_systemd_default(menu)
    return menu


def _match_systemd_default(menu: Menu) -> None:
    """Choose by loader.conf's default; what ``@saved`` means is kept in NVRAM, which stays behind."""
    pattern = "" if menu.choice.startswith("@") else menu.choice
    found = [
        one
        for one in menu.entries
        if pattern and (fnmatchcase(one.id, pattern) or fnmatchcase(f"{one.id}.conf", pattern))
    ]
    if pattern and not found:
        menu.reason = f"the default {menu.choice!r} matches no entry; systemd-boot takes the newest"
    menu.default = next(iter(found or menu.entries), None)


def image_entry(guest: GuestFS, path: str) -> BootEntry:
    """Return a unified kernel image as an entry; its kernel, initrd and arguments are inside of it."""
    name = path.rpartition("/")[2]
    found = pe.layout(read_head(guest, path, HEAD))
    sections = found.sections if found else {}
    text = _section(guest, path, sections.get(".osrel"))
    title = shellvars.get(text, "PRETTY_NAME") or name
    args = cmdline.split(shellvars.decode(_section(guest, path, sections.get(".cmdline")).split(b"\0")[0]))
    return BootEntry(name, title, "uki", path, 0, path, (), tuple(args))


def _section(guest: GuestFS, path: str, place: tuple[int, int] | None) -> bytes:
    if place is None or place[1] > MAX_SECTION:
        return b""
    try:
        with guest.open(path) as stream:
            stream.seek(place[0])
            return stream.read(place[1])
    except (GuestError, OSError, ValueError):
        return b""


def syslinux_menu(guest: GuestFS, config: Config, esp: str) -> Menu:
    """Read an extlinux.conf or syslinux.cfg, with what it includes, and the one that its default label leads to."""
    host, base = GrubHost(guest, esp), config.path.rpartition("/")[0]
    menu, path, src = Menu("extlinux", config.path), config.path, config.src
    for _ in range(MAX_CONFIGS):
        parsed = syslinux.parse(src, path, lambda name: host.read(_beside(base, name)))
        menu.visited += [one for one in parsed.files if one not in menu.visited]
        menu.reasons += [f"the file {name} that it includes is not to be seen" for name in parsed.lost]
        menu.waits = menu.waits or parsed.waits
        there = next((one.config for one in parsed.labels if one.name == parsed.default), "")
        other = host.read(_beside(base, there)) if there else None
        if other is None or other[0] in menu.visited:
            break
        path, src = other
    for label in parsed.labels:
        args, initrds = syslinux.arguments(parsed, label)
        entry = BootEntry(label.name, label.title or label.name, "extlinux", label.path, label.line)
        entry.kernel = kernel_path(host, _beside(base, label.kernel))
        entry.initrd = tuple(kernel_path(host, _beside(base, one)) for one in initrds if one)
        entry.args = tuple(args)
        menu.entries.append(entry)
    menu.choice = parsed.default
    menu.default = choose(menu.entries, parsed.default)
    if menu.default is None:
        menu.reason = f"the default {parsed.default!r} names no label" if menu.entries else "the menu has no entries"
    return menu


def _beside(base: str, named: str) -> str:
    """Return a path that is relative to the configuration's own folder as an absolute one."""
    return posixpath.normpath(f"{base}/{named}") if named and not named.startswith(("/", "(")) else named
