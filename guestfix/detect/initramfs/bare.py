"""Entries that load no initramfs: what the kernel then has to have built in, and which image could be loaded.

Sources: the kernel's admin-guide/kernel-parameters (root=) and block/early-lookup.c: without an initramfs the kernel
knows PARTUUID=, PARTLABEL= and its own names of devices, arrays that it puts together itself among them.
"""

from __future__ import annotations

from guestfix.base.catalog.facts.boot import BOOT_DEFAULT
from guestfix.base.catalog.facts.system import KERNELS, SYSTEM_INITRAMFS
from guestfix.base.catalog.records.boot import MenuEntry
from guestfix.base.facts import Evidence, Facts, Finding
from guestfix.base.guest import GuestFS
from guestfix.base.record import frozen
from guestfix.detect.files import kind_of, read_head
from guestfix.detect.initramfs.find import release_of
from guestfix.detect.initramfs.modules import KernelModules, complete, kernel_modules
from guestfix.detect.initramfs.needs import needs_of
from guestfix.formats.storage import devices
from guestfix.pack.model import Target

INSIDE = "in-kernel"
"""What system.initramfs says of kernels that bring their initramfs in the same file."""


@frozen
class Bare:
    """What becomes of a start without an initramfs. ``lacks`` are modules, ``root`` a root= that the kernel can't find.

    ``told`` is false where nothing shows what the kernel has built in, an initramfs among it (``inside``).
    """

    release: str
    folder: str
    lacks: tuple[str, ...] = ()
    root: str = ""
    told: bool = True
    inside: bool = False

    @property
    def stops(self) -> bool:
        """True where the kernel surely finds no root filesystem."""
        return bool(self.lacks or self.root)

    @property
    def why(self) -> str:
        """Why it stops, as the end of a sentence."""
        modules = f"kernel {self.release} has not built in {', '.join(self.lacks)}" if self.lacks else ""
        root = f"the kernel itself can't look up {self.root}" if self.root else ""
        return " and ".join(one for one in (modules, root) if one)


def bare(guest: GuestFS, facts: Facts, target: Target, entry: MenuEntry | None) -> Bare | None:
    """Return what becomes of an entry without an initramfs on the target; None for any other entry."""
    if entry is None or entry.initrd or not entry.kernel or entry.loader == "uki":
        return None
    release = _release(facts, entry)
    kernel = kernel_modules(guest, release)
    needs = needs_of(guest, facts, target, entry.args)
    complete(guest, kernel, [one.module for one in needs])
    lacks = [one.module for one in needs if _is_module(kernel, one.module)] if kernel.builtin_known else []
    told = kernel.known and kernel.builtin_known
    if facts.value(SYSTEM_INITRAMFS) == INSIDE:  # what it lacks may be in there, and it looks up any root
        return Bare(release, kernel.folder, told=told and not lacks, inside=True)
    root = next((arg for arg in reversed(entry.args) if arg.startswith("root=")), "")
    lost = root if kernel.builtin_known and _needs_help(root[5:]) else ""
    return Bare(release, kernel.folder, tuple(lacks), lost, told)


def _release(facts: Facts, entry: MenuEntry) -> str:
    known = {one.image: one.release for one in facts.value(KERNELS) or ()}
    return known.get(entry.kernel) or release_of(entry.kernel)


def _is_module(kernel: KernelModules, name: str) -> bool:
    found = kernel.modules.resolve(name)
    return bool(found) and not any(one in kernel.modules.builtin for one in (*found, name))


def _needs_help(root: str) -> bool:
    """Tell whether only a program in an initramfs finds this root."""
    by_name = root.startswith(("UUID=", "LABEL=", "/dev/disk/", "ZFS=", "zfs:"))
    return by_name or (devices.is_layered(root) and not root.startswith("/dev/md"))


def image_for(guest: GuestFS, facts: Facts, entry: MenuEntry) -> str:
    """Return the path of the initramfs that belongs to an entry's kernel and lies beside it; empty where none does."""
    for one in facts.value(KERNELS) or ():
        if one.image == entry.kernel and one.initrd and kind_of(guest, one.initrd) == "file":
            beside = one.initrd.rpartition("/")[0] == entry.kernel.rpartition("/")[0]
            return one.initrd if beside and read_head(guest, one.initrd, 1) else ""
    return ""


def check(guest: GuestFS, facts: Facts, target: Target) -> list[Finding]:
    """Report a default entry that loads no initramfs, with a kernel that needs one on the target."""
    entry = facts.value(BOOT_DEFAULT)
    found = bare(guest, facts, target, entry)
    if entry is None or found is None or not found.stops:
        return []
    place = Evidence(entry.path, entry.line, entry.title or entry.id)
    summary = f"the default entry {entry.title!r} loads no initramfs, and {found.why}"
    return [Finding("GF-BOOT-NO-INITRD", "warning", summary, (place,), outcome="stops")]
