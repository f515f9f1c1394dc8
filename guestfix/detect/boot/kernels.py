"""The installed kernels, and which of them the boot loader starts.

Facts: kernels (release, image, modules, initrd), kernel.releases, kernel.default, kernel.rescue (images),
kernel.custom (releases that the distribution did not build), kernel.last_booted.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from guestfix.base.catalog.facts.boot import BOOT_DEFAULT, BOOT_ENTRIES
from guestfix.base.catalog.facts.system import (
    KERNEL_CUSTOM,
    KERNEL_DEFAULT,
    KERNEL_LAST_BOOTED,
    KERNEL_RELEASES,
    KERNEL_RESCUE,
    KERNELS,
    OS_ARCH,
    OS_FAMILY,
    SYSTEM_KERNELS,
)
from guestfix.base.catalog.records import boot as records
from guestfix.base.facts import Evidence, Facts, Finding, Unknown
from guestfix.base.guest import GuestFS
from guestfix.base.patterns import regex
from guestfix.base.record import field, mutable
from guestfix.base.versions import version_key
from guestfix.detect.boot.lastboot import WTMP, last_booted
from guestfix.detect.files import exists, is_link, kind_of, lines_of, names_in, read_head, read_small, real_path
from guestfix.formats.boot.kernelimage import HEAD, arch_of, release_of
from guestfix.pack.model import Target
from guestfix.pack.traits import fits

MOST = 256
"""Kernels that are looked at; nobody has more."""

MOST_INSIDE = 8
"""Kernels that are unpacked for their release, since neither name nor header has it."""

MOST_NAMES = 4096
"""Names in /boot that are looked at."""

MODULE_FOLDERS = ("/lib/modules", "/usr/lib/modules")
_IMAGE = regex(r"(?:vmlinuz|vmlinux|bzImage|kernel|Image)(?:-(.+))?\Z")
_NO_IMAGE = regex(r"(?:\.(?:old|bak|orig|hmac|sig|rpmsave|dpkg-\w+)|~)\Z")
_RESCUE = regex(r"rescue|recovery")
_SPECIAL = regex(r"debug|kdump|xen|trace")
_RELEASE = regex(r"\d+\.\d+")


@mutable
class Kernel:
    """One installed kernel; a path is None where that part of it is missing."""

    release: str
    image: str | None = None
    modules: str | None = None
    initrd: str | None = None
    seen: list[Evidence] = field(default_factory=list)


def detect(guest: GuestFS, facts: Facts, target: Target) -> list[Finding]:
    """Record the kernel facts."""
    if facts.value(OS_FAMILY) != "linux":
        return []
    found, rescue = _images(guest, _named_by_loader(guest, facts))
    _add_modules(guest, found)
    kernels = sorted(found.values(), key=lambda one: version_key(one.release))
    evidence = [one for kernel in kernels for one in kernel.seen[:1]]
    told = [records.Kernel(one.release, one.image, one.modules, one.initrd) for one in kernels]
    facts.put(KERNELS, told, *evidence)
    facts.put(KERNEL_RELEASES, [kernel.release for kernel in kernels], *evidence)
    if rescue:
        facts.put(KERNEL_RESCUE, rescue, *(Evidence(path) for path in rescue))
    _put_default(guest, facts, kernels)
    _put_origin(facts, kernels)
    _put_last(guest, facts)
    _put_arch(guest, facts)
    return []


def _named_by_loader(guest: GuestFS, facts: Facts) -> list[str]:
    """Return the image paths that boot entries name: of every loader where known, else of BLS entries."""
    entries = facts.value(BOOT_ENTRIES)
    if entries is not None:
        return [one.kernel for one in entries if one.kernel]
    return list(_bls_images(guest))


def _bls_images(guest: GuestFS) -> Iterator[str]:
    for boot in ("/boot", "/boot/efi", "/efi"):
        folder = f"{boot}/loader/entries"
        for name in names_in(guest, folder)[:MOST]:
            data = read_small(guest, f"{folder}/{name}") if name.endswith(".conf") else None
            for _, line in lines_of(data or b""):
                key, _, value = line.partition(" ")
                if key == "linux" and value.strip().startswith("/"):
                    path = value.strip()
                    yield path if path.startswith("/boot/") else boot + path


def _candidates(guest: GuestFS, named: Iterable[str]) -> Iterator[tuple[str, str]]:
    """Yield each image path with the release in its name (perhaps empty), links left out, each once."""
    seen: set[str] = set()
    for name in names_in(guest, "/boot")[:MOST_NAMES]:
        match = _IMAGE.match(name)
        if match and not _NO_IMAGE.search(name) and not _leads_beside(guest, f"/boot/{name}"):
            seen.add(f"/boot/{name}")
            yield f"/boot/{name}", match[1] or ""
    for path in named:
        if path not in seen:
            seen.add(path)
            folder, _, name = path.rpartition("/")
            match = _IMAGE.match(name)
            yield path, (match[1] if match and match[1] else folder.rpartition("/")[2])
    for folder in MODULE_FOLDERS[1:]:
        for release in names_in(guest, folder)[:MOST]:
            yield f"{folder}/{release}/vmlinuz", release


def _images(guest: GuestFS, named: Iterable[str]) -> tuple[dict[str, Kernel], list[str]]:
    """Return the kernels by release, and the images that are for rescue only."""
    found: dict[str, Kernel] = {}
    rescue: list[str] = []
    looked = 0
    for path, written in _candidates(guest, named):
        known = path.startswith(MODULE_FOLDERS) and written in found
        if known or len(found) + len(rescue) >= MOST or kind_of(guest, path) != "file":
            continue
        if _RESCUE.search(path):
            rescue.append(path)
            continue
        said = release_of(read_head(guest, path, HEAD))
        release = said or (written if _RELEASE.match(written) else "")
        if not release and looked < MOST_INSIDE:
            release, looked = _inside(guest, path), looked + 1
        if not release or (release in found and found[release].image):
            continue
        inside = "release from its name" if release == written else f"release {release}, from the kernel itself"
        text = f"release {said}, from the image's header" if said else inside
        found[release] = Kernel(release, path, None, _initrd(guest, path, release, written), [Evidence(path, 0, text)])
    return found, rescue


def _inside(guest: GuestFS, path: str) -> str:
    """Return the release that a kernel says which neither its header nor its name says."""
    from guestfix.detect.boot.kernelversion import release_inside  # few kernels are of such a kind

    return release_inside(guest, path) or ""


def _leads_beside(guest: GuestFS, path: str) -> bool:
    """Tell whether path is a link to another name in /boot, which is listed itself."""
    return is_link(guest, path) and exists(guest, path) and real_path(guest, path).startswith("/boot/")


def _initrd(guest: GuestFS, image: str, release: str, written: str) -> str | None:
    folder = "/boot" if image.startswith(MODULE_FOLDERS) else image.rpartition("/")[0]
    for name in dict.fromkeys((release, written)):
        for pattern in ("initrd.img-{}", "initramfs-{}.img", "initrd-{}", "initrd-{}.img", "initramfs-{}"):
            path = f"{folder}/{pattern.format(name)}"
            if name and exists(guest, path):
                return path
    inside = f"{folder}/initrd"
    return inside if folder.rpartition("/")[2] == release and exists(guest, inside) else None


def _add_modules(guest: GuestFS, found: dict[str, Kernel]) -> None:
    """Give each kernel its modules; modules without an image count as a kernel where they are complete."""
    for folder in MODULE_FOLDERS:
        for release in names_in(guest, folder)[:MOST]:
            path = f"{folder}/{release}"
            if release in found:
                found[release].modules = found[release].modules or path
            elif _RELEASE.match(release) and (exists(guest, f"{path}/modules.dep") or exists(guest, f"{path}/kernel")):
                found[release] = Kernel(release, None, path, None, [Evidence(path, 0, "modules without an image")])


def _put_default(guest: GuestFS, facts: Facts, kernels: list[Kernel]) -> None:
    entry = facts.value(BOOT_DEFAULT)
    image = entry.kernel if entry else ""
    if entry and image:
        real = real_path(guest, image)
        for kernel in kernels:
            if kernel.image and real == real_path(guest, kernel.image):
                seen = facts.evidence(BOOT_DEFAULT)[:1] or (Evidence(entry.path or image),)
                facts.put(KERNEL_DEFAULT, kernel.release, *seen, *kernel.seen[:1])
                return
        if release := _release_in_name(image):
            missing = Evidence(image, 0, "the default boot entry names this image, which is not in the guest")
            facts.put(KERNEL_DEFAULT, release, *facts.evidence(BOOT_DEFAULT)[:1], missing)
            return
    usable = [one for one in kernels if one.image] or kernels
    if not usable:
        facts.put(KERNEL_DEFAULT, Unknown("no kernel is installed in this tree"))
        return
    best = max(usable, key=lambda one: (not _SPECIAL.search(one.release), version_key(one.release)))
    known = "is not known" if not image else "starts no ordinary kernel"
    why = f"the boot loader's default {known}; this is the highest release" if len(usable) > 1 else "the only one"
    facts.put(KERNEL_DEFAULT, best.release, Evidence(best.image or best.modules or "/boot", 0, why))


def _release_in_name(image: str) -> str:
    match = _IMAGE.match(image.rpartition("/")[2])
    written = match[1] if match and match[1] else ""
    return written if _RELEASE.match(written) and not _RESCUE.search(written) else ""


def _put_origin(facts: Facts, kernels: list[Kernel]) -> None:
    """Record the kernels whose release isn't one that the distribution gives its own."""
    own = facts.value(SYSTEM_KERNELS)
    if own is None or not kernels:
        reason = "how this system names its own kernels is not known" if kernels else "no kernel is installed"
        facts.put(KERNEL_CUSTOM, Unknown(reason))
        return
    custom = [one for one in kernels if not fits(one.release, own)]
    facts.put(KERNEL_CUSTOM, [one.release for one in custom], *(seen for one in custom for seen in one.seen[:1]))


def _put_last(guest: GuestFS, facts: Facts) -> None:
    release = last_booted(guest)
    if release is None:
        facts.put(KERNEL_LAST_BOOTED, Unknown("no boot record was found"))
    else:
        facts.put(KERNEL_LAST_BOOTED, release, Evidence(WTMP, 0, f"last boot record: {release}"))


def _put_arch(guest: GuestFS, facts: Facts) -> None:
    """Where no program showed the architecture, take the default kernel's."""
    if facts.value(OS_ARCH) is not None:
        return
    default = facts.value(KERNEL_DEFAULT)
    image = next((one.image for one in facts.value(KERNELS) or () if one.release == default), None)
    arch = arch_of(read_head(guest, image, HEAD)) if image else None
    if arch is not None:
        facts.put(OS_ARCH, arch, Evidence(image or "", 0, f"kernel image header: {arch}"))
