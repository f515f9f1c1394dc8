"""Which initramfs images a guest boots with, and what is in each of them."""

from __future__ import annotations

import re
from collections.abc import Iterable
from contextlib import suppress
from typing import IO
from weakref import WeakKeyDictionary

from guestfix.base.catalog.facts.boot import BOOT_DEFAULT, BOOT_ENTRIES, BOOT_ESP, BOOT_FALLBACK
from guestfix.base.catalog.facts.system import KERNEL_DEFAULT, KERNELS
from guestfix.base.catalog.records.boot import MenuEntry
from guestfix.base.errors import GuestError
from guestfix.base.facts import Facts
from guestfix.base.guest import GuestFS
from guestfix.base.patterns import regex
from guestfix.base.record import frozen, replace
from guestfix.detect.files import exists, names_in, read_head
from guestfix.formats.boot.entry import release_in
from guestfix.formats.initramfs.image import Image, scan
from guestfix.formats.initramfs.moddep import is_module, module_name
from guestfix.formats.windows.pe import HEAD, Layout, layout

AT_ONCE = 1 << 20
"""Bytes of all images together up to which they are read one by one: starting threads takes as long."""

MAX_IMAGES = 40
"""Images of one guest that are read; /boot of a long-lived guest has four or five."""

_NAMES = (
    "initrd.img-{}",
    "initramfs-{}.img",
    "initrd-{}",
    "initrd-{}.img",
    "initramfs-{}",
    "initrd.img-{}.img",
    "initramfs-{}.gz",
)
_KERNELS = regex(r"(?:vmlinuz|vmlinux|bzImage|kernel|linux)-(.+)$")
_WANTED = regex(
    r"(?:usr/)?lib/modules/[^/]+/modules\.[a-z.]+$"
    r"|(?:etc|run|usr/local/lib|usr/lib|lib)/modprobe\.d/[^/]+\.conf$|etc/modprobe\.conf$"
    r"|conf/(?:modules|[^/]+\.conf|conf\.d/[^/]+)$"
    r"|etc/(?:cmdline|cmdline\.d/[^/]+|initrd-release|modules|modules-load\.d/[^/]+)$"
    r"|(?:usr/)?lib/(?:dracut/[^/]+\.txt|dracut/hostonly-[^/]+|initrd-release|modules-load\.d/[^/]+)$"
    r"|etc/(?:crypttab|fstab[^/]*|mdadm\.conf|mdadm/mdadm\.conf|lvm/lvm[^/]*\.conf|lvm/devices/[^/]+\.devices)$|cryptroot/crypttab$"
    r"|etc/udev/rules\.d/[^/]+\.rules$|etc/systemd/network/[^/]+\.link$"
    r"|(?:etc|var/lib)/multipath/(?:bindings|wwids)$|etc/multipath(?:\.conf|\.bindings)$"
    r"|(?:(?:(?:usr|var)/)?lib/dracut/hooks/initqueue/|initqueue-)finished/devexists-[^/]*\.sh$"
    r"|etc/systemd/system/[^/]+\.(?:mount|service|target)$"
    r"|(?:init|linuxrc|config|buildconfig|VERSION|run_all\.sh|mkinitrd\.config|config/[^/]+)$"
)
_MODULE_FOLDER = regex(r"((?:usr/)?lib/modules)/([^/]+)/")


@frozen
class Boot:
    """One kernel with its initramfs files (guest paths, in the order in which they are loaded)."""

    kernel: str
    image: str
    paths: tuple[str, ...]
    role: str = ""
    args: tuple[str, ...] = ()


@frozen
class Contents:
    """What was learned of an image from its names. ``folder`` is that of the kernel's modules in it."""

    release: str
    folder: str
    modules: dict[str, str]
    generator: str
    hostonly: bool | None


_Scans = dict[tuple[str, int, int], Image]
_scans: WeakKeyDictionary[object, _Scans] = WeakKeyDictionary()


def scan_image(guest: GuestFS, path: str) -> Image:
    """Return what the image at path holds; the same path of a guest is read once. Raises GuestError."""
    known, key = _known(guest, path)
    if key not in known:
        start, size = _inside(guest, path)
        with guest.open(path) as stream:
            known[key] = scan(stream, _wanted, start, size)
    return known[key]


def scan_ahead(guest: GuestFS, found: Iterable[Boot]) -> None:
    """Read images of several kernels at once, so that :func:`scan_image` has them, which tells what can't be read."""
    paths = dict.fromkeys(path for boot in found for path in boot.paths)
    with suppress(GuestError):
        fresh = [(path, *_known(guest, path)) for path in paths if not unreadable(guest, path)]
        if len(fresh) > 1 and sum(size for _, _, (_, size, _) in fresh) > AT_ONCE:
            from guestfix.detect.initramfs.ahead import each

            todo = [(*one, *_inside(guest, one[0])) for one in fresh if one[2] not in one[1]]
            each(todo, lambda one: guest.open(one[0]), _scan)


def _scan(one: tuple[str, _Scans, tuple[str, int, int], int, int | None], stream: IO[bytes]) -> None:
    _, known, key, start, size = one
    known[key] = scan(stream, _wanted, start, size)


def _known(guest: GuestFS, path: str) -> tuple[_Scans, tuple[str, int, int]]:
    """Return what was read of this guest's images, and under which key this one is."""
    found = guest.stat(path)
    key = (path, found.size if found else -1, found.mtime_ns if found else -1)
    return _scans.setdefault(getattr(guest, "base", guest), {}), key


def _inside(guest: GuestFS, path: str) -> tuple[int, int | None]:
    """Return where the image begins in its file, and its size where that is not the file's end."""
    inside = sealed(guest, path)
    return inside.sections[".initrd"] if inside else (0, None)


def _wanted(name: str) -> bool:
    return _WANTED.match(name) is not None


def sealed(guest: GuestFS, path: str) -> Layout | None:
    """Return the sections of a unified kernel image, or None for any other file."""
    found = layout(read_head(guest, path, HEAD))
    return found if found is not None and ".initrd" in found.sections else None


def unified(guest: GuestFS, facts: Facts) -> list[Boot]:
    """Return the unified kernel images of the EFI system partition: kernel, initrd and arguments in one file."""
    found = []
    for mount in dict.fromkeys((facts.value(BOOT_ESP) or "/boot/efi", "/boot/efi", "/efi", "/boot")):
        folder = f"{mount}/EFI/Linux"
        for name in names_in(guest, folder):
            path = f"{folder}/{name}"
            inside = sealed(guest, path) if name.lower().endswith(".efi") else None
            if inside is not None:
                release = _section(guest, path, inside, ".uname") or release_of(name.rpartition(".")[0])
                arguments = _section(guest, path, inside, ".cmdline").split()
                found.append(Boot(release, path, (path,), "", tuple(arguments)))
    return found


def _section(guest: GuestFS, path: str, inside: Layout, name: str) -> str:
    start, size = inside.sections.get(name, (0, 0))
    try:
        with guest.open(path) as stream:
            stream.seek(start)
            return stream.read(min(size, 4096)).rstrip(b"\0").decode("utf-8", "replace").strip()
    except (GuestError, OSError):
        return ""


def boots(guest: GuestFS, facts: Facts) -> list[Boot]:
    """Return each kernel with an initramfs once, the default entry first, then the fallback.

    Taken from the boot entries where they are known; kernels that no entry names follow, paired with
    their images by name.
    """
    found: dict[tuple[str, tuple[str, ...]], Boot] = {}
    marked = [(facts.value(BOOT_DEFAULT), "default"), (facts.value(BOOT_FALLBACK), "fallback")]
    releases = {one.image: one.release for one in facts.value(KERNELS) or ()}
    for entry, role in [*marked, *((one, "") for one in facts.value(BOOT_ENTRIES) or ())]:
        boot = _from_entry(entry, role, releases) if entry else None
        if boot is not None and boot.paths:
            found.setdefault((boot.image, boot.paths), boot)
    named = {path for boot in found.values() for path in boot.paths}
    default = facts.value(KERNEL_DEFAULT)
    for boot in _paired(guest, facts):
        if not named.intersection(boot.paths):
            is_default = not found and boot.kernel == default
            role = "default" if is_default else ""
            found.setdefault((boot.image, boot.paths), Boot(boot.kernel, boot.image, boot.paths, role))
    for boot in unified(guest, facts):
        found.setdefault((boot.image, boot.paths), _with_role(boot, marked))
    ordered = sorted(found.values(), key=lambda boot: ("default", "fallback", "").index(boot.role))
    if len(ordered) == 1 and not ordered[0].role:
        ordered = [replace(ordered[0], role="default")]
    return ordered[:MAX_IMAGES]


def _with_role(boot: Boot, marked: list[tuple[MenuEntry | None, str]]) -> Boot:
    role = next((role for entry, role in marked if entry and entry.kernel == boot.image), "")
    return replace(boot, role=role)


def _from_entry(entry: MenuEntry, role: str, releases: dict[str | None, str]) -> Boot:
    return Boot(releases.get(entry.kernel) or release_of(entry.kernel), entry.kernel, entry.initrd, role, entry.args)


def release_of(image: str) -> str:
    """Return the release in a kernel image's name, else its folder's where that is one, or its whole base name."""
    name = image.rsplit("/", 1)[-1]
    match = _KERNELS.match(name)
    return match[1] if match else release_in(image)


def _paired(guest: GuestFS, facts: Facts) -> list[Boot]:
    kernels = facts.value(KERNELS)
    if kernels:
        return [Boot(one.release, one.image or "", (one.initrd,)) for one in kernels if one.release and one.initrd]
    names = names_in(guest, "/boot")
    pairs = []
    for name in names:
        match = _KERNELS.match(name)
        if match and not match[1].endswith((".orig", ".old", ".bak")):
            image = next((one.format(match[1]) for one in _NAMES if one.format(match[1]) in names), None)
            if image:
                pairs.append(Boot(match[1], f"/boot/{name}", (f"/boot/{image}",)))
    return pairs


def contents_of(image: Image, kernel: str) -> Contents:
    """Return the modules in an image and who made it. The kernel's own folder wins where there are several."""
    folders: dict[str, str] = {}
    modules: dict[str, str] = {}
    for name in image.entries:
        match = _MODULE_FOLDER.match(name)
        if match:
            folders.setdefault(match[2], f"{match[1]}/{match[2]}")
    release = kernel if kernel in folders or not folders else sorted(folders)[-1]
    for name, entry in image.entries.items():
        if is_module(name) and not entry.is_dir and _of_kernel(name, release):
            modules[module_name(name)] = name
    folder = folders.get(release) or f"{_modules_root(image)}/{release}"
    maker = generator(image)
    return Contents(release, folder, modules, maker, hostonly(image, maker))


def _of_kernel(name: str, release: str) -> bool:
    match = _MODULE_FOLDER.match(name)
    return match is None or match[2] == release


def _modules_root(image: Image) -> str:
    return "usr/lib/modules" if image.resolve("lib") == "usr/lib" else "lib/modules"


def generator(image: Image) -> str:
    """Return the program that made the image: dracut, initramfs-tools, mkinitcpio, mkinitrd-suse,
    mkinitrd-rh, booster, mkinitfs, mkosi, or an empty string.
    """
    release = image.read("etc/initrd-release") or image.read("usr/lib/initrd-release") or b""
    if image.has("usr/lib/dracut", "lib/dracut", "sbin/dracut-shell", "lib/dracut-lib.sh") or b"dracut" in release:
        return "dracut"
    if image.has("scripts/functions", "conf/initramfs.conf"):
        return "initramfs-tools"
    if image.has("run_all.sh", "mkinitrd.config"):
        return "mkinitrd-suse"
    if b"nash" in (image.read("init") or image.read("linuxrc") or b"")[:200]:
        return "mkinitrd-rh"
    if image.has("etc/booster.init.yaml"):
        return "booster"
    if image.has("sbin/nlplug-findfs", "usr/sbin/nlplug-findfs"):
        return "mkinitfs"
    if image.has("buildconfig") or (image.has("hooks", "init_functions") and image.has("config")):
        return "mkinitcpio"
    return "mkosi" if release or image.has("etc/initrd-release") else ""


def hostonly(image: Image, maker: str) -> bool | None:
    """Tell whether the image was made for the machine that it was made on; None where that can't be told."""
    if maker == "dracut":
        parameters = b" ".join(data for name, data in image.files.items() if name.endswith("build-parameter.txt"))
        if image.has("usr/lib/dracut/hostonly-files", "lib/dracut/hostonly-files"):
            return True
        if regex(rb"--(?:no-hostonly|no-host-only)\b|-N\b").search(parameters):
            return False
        return True if regex(rb"--(?:hostonly|host-only)\b|-H\b").search(parameters) else None
    if maker == "initramfs-tools":
        found = regex(rb"^[ \t]*MODULES=[\"']?(\w+)", re.MULTILINE).findall(image.read("conf/initramfs.conf") or b"")
        return found[-1] in (b"dep", b"list") if found else None
    if maker == "mkinitcpio":
        hooks = regex(rb"^HOOKS=.*\bautodetect\b", re.MULTILINE).search(image.read("buildconfig") or b"")
        return hooks is not None if image.has("buildconfig") else None
    return True if maker.startswith("mkinitrd") else None


def unreadable(guest: GuestFS, path: str) -> str:
    """Return why an image can't be read, or an empty string."""
    try:
        if not exists(guest, path):
            return "there is no such file"
        found = guest.stat(path)
        return "" if found and found.kind == "file" else "it is not a regular file"
    except GuestError as error:
        return error.what
