"""Turns loaders' configuration files into boot entries, as the loaders themselves would list them."""

from __future__ import annotations

import posixpath
from collections.abc import Mapping

from guestfix.base.bounds import MENU_PROBLEM
from guestfix.base.guest import GuestFS
from guestfix.base.patterns import regex
from guestfix.base.record import field, frozen, mutable
from guestfix.detect.boot.places import CONFIG_LIMIT, Config
from guestfix.detect.boot.volumes import Volumes
from guestfix.detect.files import exists, real_path
from guestfix.detect.files import kind_of as kind
from guestfix.detect.files import names_in as names
from guestfix.detect.files import read_small as read
from guestfix.formats.boot import bls, grubargs, grubcfg, grubenv, grubitems, grubrun
from guestfix.formats.boot.entry import BootEntry, choose
from guestfix.formats.boot.grubsearch import Search

MAX_BLS = 2000
MAX_FILLED = 300
"""Entries of a GRUB menu whose kernels are looked at, besides the default and the fallback."""

_DEVICE = regex(r"\([^)]*\)")


@frozen
class Source:
    """Where an entry takes its kernel from: GRUB's device, the path, the device as it is written there.

    ``gone``: no filesystem answers to the UUID that it names.
    """

    device: str
    path: str
    said: str = ""
    gone: bool = False


@mutable
class Menu:
    """A loader's menu. ``default`` is what boots when nobody chooses; ``choice`` what the settings ask for.

    ``reason`` says why the default is another one than asked for, or why there is none. ``locked``: the default asks
    for a password; ``waits``: the menu has no countdown, so that somebody has to choose. ``blocks`` are the environment
    blocks that it loads, besides the default one. ``source`` is where the default takes its kernel from, ``spare``
    where the fallback does, ``lost`` what its searches did not find. ``signed``: GRUB
    reads no file whose detached signature does not hold.
    """

    loader: str
    path: str
    entries: list[BootEntry] = field(default_factory=list)
    default: BootEntry | None = None
    fallback: BootEntry | None = None
    choice: str = ""
    reason: str = ""
    visited: list[str] = field(default_factory=list)
    reasons: list[str] = field(default_factory=list)
    env: Mapping[str, str] = field(default_factory=dict)
    uses_bls: bool = False
    left: int = 0
    filled: int = 0
    locked: bool = False
    waits: bool = False
    blocks: list[str] = field(default_factory=list)
    source: Source | None = None
    spare: Source | None = None
    signed: bool = False
    lost: list[Search] = field(default_factory=list)
    items: dict[int, grubitems.MenuEntry | grubitems.BlsHere] = field(default_factory=dict)
    unfilled: dict[int, grubitems.MenuEntry] = field(default_factory=dict)


@mutable
class GrubHost:
    """The guest's files under the paths that GRUB uses. ``esp`` is where the EFI partition is mounted."""

    guest: GuestFS
    esp: str = ""
    volumes: Volumes | None = None
    listed: dict[str, frozenset[str]] = field(default_factory=dict)
    blocks: list[str] = field(default_factory=list)

    def find(self, path: str, wanted: tuple[str, ...] = ("file",)) -> str:
        """Return the guest path of a GRUB path, or empty where no filesystem has it."""
        plain = _DEVICE.sub("", path, count=1) if path.startswith("(") else path
        if path.startswith("(@") and (exact := self.on(path[1 : path.find(")")], plain, wanted)):
            return exact
        if path.startswith("()") or not plain.startswith("/") or len(plain) > 4096:
            return ""
        places = [plain, f"/boot{plain}", f"{self.esp}{plain}"]
        _, boot, rest = plain.partition("/boot/")
        places += [f"/boot/{rest}"] if boot else []
        return next((one for one in places if self._listed(one) and kind(self.guest, one) in wanted), "")

    def on(self, device: str, path: str, wanted: tuple[str, ...] = ("file",)) -> str:
        """Return the guest path of what a filesystem, named by where it is mounted, has at a path; else empty.

        GRUB sees one filesystem: a link that leads to another one leads nowhere.
        """
        mount = device[1:]
        whole = posixpath.normpath(f"{mount.rstrip('/')}/{path.lstrip('/')}")
        if kind(self.guest, whole) not in wanted:
            return ""
        inside = self.volumes is None or self.volumes.place_of(real_path(self.guest, whole)) == mount
        return whole if inside else ""

    def volume(self, search: Search) -> str | None:
        """See :class:`grubrun.Host`."""
        return "" if self.volumes is None else self.volumes.device(search, lambda path: exists(self.guest, path))

    def slot(self) -> str:
        """See :class:`grubrun.Host`."""
        return "" if self.volumes is None else self.volumes.partuuid_of("/usr")

    def _listed(self, path: str) -> bool:
        """Tell whether a folder has this name; folders are listed once, as a menu asks for many names."""
        folder, _, name = path.rpartition("/")
        if folder not in self.listed:
            self.listed[folder] = frozenset(names(self.guest, folder or "/"))
        return name in ("", ".", "..") or name in self.listed[folder] or self.guest.case_insensitive

    def exists(self, path: str) -> bool:
        """See :class:`grubrun.Host`."""
        return bool(self.find(path, ("file", "dir")))

    def read(self, path: str) -> tuple[str, bytes] | None:
        """See :class:`grubrun.Host`."""
        found = self.find(path)
        src = read(self.guest, found, CONFIG_LIMIT) if found else None
        return None if src is None else (found, src)

    def environment(self, path: str) -> Mapping[str, str]:
        """See :class:`grubrun.Host`."""
        found = self.find(path)
        src = read(self.guest, found, 65536) if found else None
        if src and found not in self.blocks and not found.endswith("/grubenv"):
            self.blocks.append(found)
        return grubenv.read(src) if src else {}


def kernel_path(host: GrubHost, named: str) -> str:
    """Return the guest path of a kernel or initrd; a file that isn't there is taken to be below /boot."""
    if not named:
        return ""
    found = host.find(named)
    if found:
        return found
    plain = _DEVICE.sub("", named, count=1) if named.startswith("(") else named
    _, boot, rest = plain.partition("/boot/")
    return f"/boot/{rest}" if boot else f"/boot/{plain.lstrip('/')}"


# GRUB 2


def grub2_menu(guest: GuestFS, config: Config, esp: str, volumes: Volumes | None = None, cpu: str = "x86_64") -> Menu:
    """Run a grub.cfg and resolve its default and fallback; ``cpu`` is what a GRUB for UEFI was built for."""
    host = GrubHost(guest, esp, volumes)
    prefix = config.path.rpartition("/")[0]
    efi = config.firmware == "uefi"
    root = volumes.named(config.path) if volumes else ""
    start = {"prefix": prefix, "root": root or "hd0", "grub_platform": "efi" if efi else "pc", "grub_cpu": cpu}
    if not efi:
        start["grub_cpu"] = "i386"
    result = grubrun.run(host, config.path, config.src, start)
    reasons = result.reasons
    reasons += [what for _, what in grubcfg.parse(config.src).problems if what == MENU_PROBLEM]
    menu = Menu("grub2", result.path, visited=result.visited, reasons=reasons, env=result.env)
    menu.entries = _listed(host, result, result.items, "", menu)
    menu.choice = result.env.get("default", "")
    menu.default = choose(menu.entries, menu.choice or "0")
    words = result.env.get("fallback", "").split()
    menu.fallback = choose(menu.entries, words[0]) if words else None
    if menu.default is None and menu.entries:
        menu.reason = f"the default {menu.choice!r} names no entry of the menu; GRUB takes the first one"
        menu.default = choose(menu.entries, "0")
    for entry in (menu.default, menu.fallback):
        if entry is not None and id(entry) in menu.unfilled:
            _fill(host, entry, menu.unfilled[id(entry)], result)
    menu.blocks = host.blocks
    menu.lost = result.lost
    menu.source, menu.spare = (_source(host, menu, one, result) for one in (menu.default, menu.fallback))
    menu.waits = result.env.get("timeout", "").strip().startswith("-")  # normal/menu.c: below 0 it waits for a key
    menu.signed = result.env.get("check_signatures") == "enforce"
    menu.locked = "superusers" in result.env and menu.default is not None and menu.default.restricted
    _say_reason(menu)
    return menu


def _source(host: GrubHost, menu: Menu, entry: BootEntry | None, result: grubitems.Result) -> Source | None:
    """Learn where an entry takes its kernel from, and prefer the file that is there."""
    item = menu.items.get(id(entry))
    if entry is None or item is None or not entry.kernel:
        return None
    if isinstance(item, grubitems.BlsHere):
        written, device = entry.written, item.env.get("root", "")
    else:
        machine = grubrun.open_entry(host, item, result)
        written = machine.linux[-1][1][0] if machine.linux and machine.linux[-1][1] else ""
        device = machine.env.get("root", "")
    if written.startswith("("):
        device, written = written[1:].split(")", 1) if ")" in written else (device, written)
    if device.startswith("@") and (exact := host.on(device, written)):
        entry.kernel = exact
    return Source(device, written)


def _say_reason(menu: Menu) -> None:
    found = menu.default
    if found is None:
        menu.reason = "the menu has no entries"
    elif not found.kernel:
        menu.reason = f"the default entry {found.title!r} loads no Linux kernel"


def _listed(
    host: GrubHost,
    result: grubitems.Result,
    items: list[grubitems.Item],
    above: str,
    menu: Menu,
    depth: int = 0,
    restricted: bool = False,
) -> list[BootEntry]:
    found: list[BootEntry] = []
    for item in items:
        if isinstance(item, grubitems.BlsHere):
            menu.uses_bls = True
            listed = _bls_entries(host, item.env, above, menu)
            menu.items |= dict.fromkeys(map(id, listed), item)
            found += listed
            continue
        entry = BootEntry(item.id, item.title, "grub2", item.path, item.line, above=above)
        entry.restricted = restricted or item.restricted
        found.append(entry)
        menu.items[id(entry)] = item
        if item.is_submenu:
            entry.is_submenu = True
            inner = grubrun.open_entry(host, item, result).items if depth < 32 else []
            entry.children = _listed(host, result, inner, f"{entry.full_id}>", menu, depth + 1, entry.restricted)
        elif menu.filled < MAX_FILLED:
            menu.filled += 1
            _fill(host, entry, item, result)
        else:
            menu.unfilled[id(entry)] = item
    return found


def _fill(host: GrubHost, entry: BootEntry, item: grubitems.MenuEntry, result: grubitems.Result) -> None:
    """Learn what an entry loads."""
    if not _fill_plain(host, entry, item):
        machine = grubrun.open_entry(host, item, result)
        if machine.linux:
            _fill_from(host, entry, machine)


def _fill_plain(host: GrubHost, entry: BootEntry, item: grubitems.MenuEntry) -> bool:
    """Fill an entry whose commands depend on nothing without running it; most of a large menu is such."""
    plain = grubargs.plain_entry(item.script.src, *item.node.unread) if item.node.unread else None
    if plain is None:
        return False
    at, kernel, entry.args, initrds = plain
    entry.line = item.script.line_of(at)
    entry.kernel = kernel_path(host, kernel)
    entry.initrd = tuple(kernel_path(host, one) for one in initrds)
    return True


def _fill_from(host: GrubHost, entry: BootEntry, machine: grubrun.Machine) -> None:
    node, words = machine.linux[-1]
    entry.line = machine.line_of(node)
    entry.kernel = kernel_path(host, words[0]) if words else ""
    entry.args = tuple(words[1:])
    entry.initrd = tuple(kernel_path(host, one) for one in machine.initrds)


def bls_folder(guest: GuestFS, esp: str = "") -> str:
    """Return the folder of BLS entries: /boot's, or the EFI partition's, or empty."""
    for folder in ("/boot/loader/entries", f"{esp}/loader/entries" if esp else "", "/efi/loader/entries"):
        if folder and any(name.endswith(".conf") for name in names(guest, folder)):
            return folder
    return ""


def _bls_entries(host: GrubHost, env: Mapping[str, str], above: str, menu: Menu) -> list[BootEntry]:
    folder = host.find(env.get("blsdir", ""), ("dir",)) or bls_folder(host.guest, host.esp)
    files = [name for name in names(host.guest, folder) if name.endswith(".conf")] if folder else []
    menu.left = max(menu.left, len(files) - MAX_BLS)
    found = []
    for name in bls.sort_names(files[:MAX_BLS]):
        entry = bls_entry(host, f"{folder}/{name}", env, above, grub=True)
        if entry:
            found.append(entry)
    return found


def bls_entry(host: GrubHost, path: str, env: Mapping[str, str], above: str, *, grub: bool = False) -> BootEntry | None:
    """Read one BLS entry, as GRUB does or as systemd-boot does; None where it can't be read."""
    src = read(host.guest, path, 65536)
    if src is None:
        return None
    one = bls.parse(src)
    name = path.rpartition("/")[2].removesuffix(".conf")
    found = BootEntry(
        name,
        one.get("title", grub=grub) or one.get("linux", grub=grub) or name,
        "bls",
        path,
        one.line_of("linux", grub=grub),
        above=above,
    )
    kernel = bls.expand(one.get("linux", grub=grub), env).split(" ")[0]
    initrds = [word for line in one.all("initrd") for word in bls.expand(line, env).split()]
    found.kernel, found.written = kernel_path(host, kernel), kernel
    found.initrd = tuple(kernel_path(host, word) for word in initrds)
    found.args = tuple(bls.options(one, env, grub=grub))
    users = bls.expand(one.get("grub_users", grub=grub), env).strip() if grub else ""
    found.restricted = bool(users) and "--unrestricted" not in one.get("grub_arg", grub=grub).split()
    return found
