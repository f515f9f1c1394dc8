"""Judge one boot entry's initramfs: what it has, what the target's boot needs, what is missing and why."""

from __future__ import annotations

from collections.abc import Iterable

from guestfix.base.catalog.facts.boot import INITRAMFS_IMAGES
from guestfix.base.catalog.facts.storage import FSTAB_ENTRIES
from guestfix.base.catalog.records.boot import BlockedModule, InitramfsImage, NeededModule
from guestfix.base.errors import GuestError
from guestfix.base.facts import Facts
from guestfix.base.guest import GuestFS
from guestfix.base.record import field, mutable, replace
from guestfix.detect.files import exists
from guestfix.detect.initramfs.find import Boot, Contents, contents_of, scan_image, sealed, unreadable
from guestfix.detect.initramfs.held import Stored
from guestfix.detect.initramfs.modules import (
    KernelModules,
    blocks_in_guest,
    blocks_in_image,
    complete,
    kernel_modules,
)
from guestfix.detect.initramfs.needs import Need, needs_of
from guestfix.detect.initramfs.stored import stored
from guestfix.formats.initramfs.image import Image
from guestfix.formats.initramfs.moddep import Closure, builtin_names, closure, load_index
from guestfix.formats.initramfs.modprobe import command_line_blocks
from guestfix.formats.storage import devices
from guestfix.pack.model import Target


@mutable
class Verdict:
    """What was found out about one image. ``problem`` says why it couldn't be judged.

    ``sealed`` names the kind of file that the image is inside of and can't be changed in.
    """

    boot: Boot
    path: str
    image: Image | None = None
    contents: Contents | None = None
    kernel: KernelModules | None = None
    needed: list[str] = field(default_factory=list)
    wanted: list[str] = field(default_factory=list)
    missing: list[str] = field(default_factory=list)
    absent: list[str] = field(default_factory=list)
    needs: list[NeededModule] = field(default_factory=list)
    reasons: dict[str, str] = field(default_factory=dict)
    blocked: list[BlockedModule] = field(default_factory=list)
    problem: str = ""
    offset: int = -1
    sealed: str = ""
    gone: bool = False
    stored: list[Stored] = field(default_factory=list)

    @property
    def broken(self) -> bool:
        """True where the kernel finds no archive to start from: none beside it, an empty or a damaged one."""
        if self.image is None:
            return self.gone
        return self.image.kind == "empty" or (self.offset > 0 and bool(self.image.entries))

    @property
    def judged(self) -> bool:
        """True where the missing list can be trusted."""
        return not self.problem

    def told(self) -> InitramfsImage:
        """Return what is told of the verdict, as the fact ``initramfs.images``."""
        contents, image = self.contents, self.image
        return InitramfsImage(
            kernel=self.boot.kernel,
            path=self.path,
            role=self.boot.role,
            generator=contents.generator if contents else "",
            hostonly=contents.hostonly if contents else None,
            compression=[one.compression for one in image.segments] if image else [],
            size=image.size if image else 0,
            modules=sorted(contents.modules) if contents else [],
            builtin=sorted(self.kernel.modules.builtin) if self.kernel else [],
            firmware=sum(1 for name in image.entries if "lib/firmware/" in name) if image else 0,
            support=_support(image, contents, self.kernel),
            needs=self.needs,
            missing=self.missing,
            absent=self.absent,
            reasons=self.reasons,
            blacklisted=self.blocked,
            problem=self.problem,
            broken=self.broken,
            sealed=self.sealed,
        )


VERDICTS = INITRAMFS_IMAGES.held_as(Verdict)
"""The fact ``initramfs.images`` for those who continue from the verdicts themselves."""


_TOOLS = {
    "crypt": ("dm_crypt", ("sbin/cryptsetup", "bin/cryptsetup", "usr/lib/systemd/systemd-cryptsetup")),
    "lvm": ("dm_mod", ("sbin/lvm", "bin/lvm")),
    "md": ("md_mod", ("sbin/mdadm", "bin/mdadm")),
}


def _support(image: Image | None, contents: Contents | None, kernel: KernelModules | None) -> dict[str, bool]:
    """Tell for encryption, LVM and software RAID whether both the module and the program are there."""
    if image is None or contents is None:
        return {}
    builtin = kernel.modules.builtin if kernel else set()
    return {
        name: (module in contents.modules or module in builtin) and image.has(*programs)
        for name, (module, programs) in _TOOLS.items()
    }


def judge(guest: GuestFS, facts: Facts, target: Target, boot: Boot) -> Verdict:
    """Return the verdict on one kernel with its initramfs files. Never raises for what the guest holds."""
    found = Verdict(boot, boot.paths[-1])
    needs = needs_of(guest, facts, target, boot.args)
    found.needed = [need.module for need in needs]
    try:
        found.image = _merged(guest, boot.paths, found)
    except GuestError as error:
        found.problem = error.what
    if found.image is not None:
        found.contents = contents_of(found.image, boot.kernel)
        if found.contents.generator == "booster":
            found.sealed = "a booster image, whose init reads lists of its own,"
        found.kernel = _modules_of(guest, found.contents.release, boot.kernel, found.image, found.contents)
        found.problem = found.problem or _why_not(found, found.image, found.kernel)
        if not found.problem:
            _compare(guest, found, needs)
            found.stored = stored(facts, found.image, boot.args, _root(facts, boot.args))
    else:
        found.gone = not exists(guest, found.path) and exists(guest, boot.image)
    _add_blocks(found, guest, boot.args)
    return found


def _root(facts: Facts, args: tuple[str, ...]) -> str:
    """Return what / is mounted from: by fstab where it names a volume of several disks, else by root=."""
    entries = facts.value(FSTAB_ENTRIES, [])
    named = [one.spec for one in entries if one.mount == "/"] + [one[5:] for one in args if one.startswith("root=")]
    return next((one for one in named if devices.is_layered(one)), named[-1] if named else "")


def _why_not(found: Verdict, image: Image, kernel: KernelModules) -> str:
    """Return why the image can't be judged although it could be read, or nothing."""
    nested = _nested(image)
    if image.kind != "cpio":
        return "it is empty" if image.kind == "empty" else f"it is not an archive of files but {image.kind}"
    if nested:
        return f"its modules are inside {nested}, which is not read"
    return "" if kernel.known else f"the guest has no modules or lists of them for kernel {found.boot.kernel}"


def _merged(guest: GuestFS, paths: Iterable[str], found: Verdict) -> Image | None:
    """Read the files as the kernel does, one after the other; the result has the segments of the last one."""
    whole: Image | None = None
    for path in paths:
        why = unreadable(guest, path)
        if why:
            found.problem, found.path = why, path
            return None
        image = scan_image(guest, path)
        inside = sealed(guest, path)
        if inside is not None:
            found.sealed = "a signed unified kernel image" if inside.signed else "a unified kernel image"
        if image.problem is not None:
            found.problem, found.offset, found.path = image.problem.what, image.problem.offset, path
        if whole is not None:
            before = {name: replace(entry, segment=-1) for name, entry in whole.entries.items()}
            files = {**whole.files, **image.files}
            image = replace(image, entries={**before, **image.entries}, files=files)
        whole = image
    return whole


def _nested(image: Image) -> str:
    """Return the name of a root filesystem image inside the archive (dracut's squash module), or nothing."""
    names = ("squash-root.img", "squash/root.img", "squashfs-root.img", "erofs-root.img", "usr/lib/dracut/squash.img")
    return next((name for name in names if name in image.entries), "")


def _modules_of(guest: GuestFS, release: str, kernel: str, image: Image, contents: Contents) -> KernelModules:
    """Return the guest's modules for a kernel; what the image says of them where the guest has none."""
    known = kernel_modules(guest, kernel)
    if not known.known and release != kernel:
        known = kernel_modules(guest, release)
    prefix = contents.folder + "/"
    files = {name.removeprefix(prefix): data for name, data in image.files.items() if name.startswith(prefix)}
    builtin = builtin_names(files)
    known.modules.builtin |= builtin
    known = replace(known, builtin_known=known.builtin_known or bool(builtin))
    if not known.modules.paths:
        inside = load_index(files)
        inside.builtin |= known.modules.builtin
        return KernelModules(inside, "", {}, bool(inside.paths), False, known.builtin_known)
    return known


def _compare(guest: GuestFS, found: Verdict, needs: list[Need]) -> None:
    assert found.contents is not None and found.kernel is not None
    modules, present = found.kernel.modules, found.contents.modules
    complete(guest, found.kernel, [need.module for need in needs])
    names = {need.module: _known_name(found.kernel, need) for need in needs}
    needed = closure(modules, [name for name in names.values() if name])
    reasons = {names[need.module]: need.reason for need in reversed(needs)}
    found.needed = needed.order
    for name in needed.order:
        if name in present or (name in needed.soft and _optional(found, name, needed)):
            continue
        found.missing.append(name)
        found.reasons[name] = needed.because(name) or reasons.get(name, "")
    for need in needs:
        name = names[need.module]
        if need.target and (not name or name in needed.absent) and need.module not in present:
            found.absent.append(need.module)
            found.reasons[need.module] = need.reason
    for need in needs:
        state = _state(found, names[need.module] or need.module, need)
        found.needs.append(NeededModule(need.module, need.reason, state))
    found.wanted = [names[need.module] for need in needs if need.target and names[need.module] in found.missing]


def _state(found: Verdict, name: str, need: Need) -> str:
    """Return what became of a need: builtin, present, missing (the guest has it), absent, unknown."""
    assert found.contents is not None and found.kernel is not None
    answers = found.kernel.modules.resolve(name) or [name]
    if any(one in found.kernel.modules.builtin for one in answers):
        return "builtin"
    if any(one in found.missing for one in answers):
        return "missing"
    if any(one in found.contents.modules for one in answers):
        return "present"
    return "absent" if need.module in found.absent else "unknown"


def _known_name(kernel: KernelModules, need: Need) -> str:
    """Return the name under which the kernel has what is needed, or nothing; a filesystem by its alias too."""
    for name in (need.module, f"fs-{need.module}"):
        if kernel.modules.resolve(name):
            return name
    return ""


def _optional(found: Verdict, name: str, needed: Closure) -> bool:
    """Tell whether a module that only a soft dependency leads to may stay out.

    So it is where the asker is in the image already (its maker chose so), and where another module that
    answers to the same name is there or built in.
    """
    assert found.contents is not None and found.kernel is not None
    present, modules = found.contents.modules, found.kernel.modules
    asker = needed.asker.get(name, "")
    if not asker or asker in present:
        return bool(asker)
    if name not in needed.softly:
        return asker in needed.soft and _optional(found, asker, needed)
    before, after = modules.softdeps.get(asker, ([], []))
    answers = next((some for one in [*before, *after] if name in (some := modules.resolve(one))), [])
    return any(one in present or one in modules.builtin for one in answers)


def _add_blocks(found: Verdict, guest: GuestFS, args: tuple[str, ...]) -> None:
    inside = blocks_in_image(found.image, found.needed) if found.image is not None else []
    found.blocked = inside + blocks_in_guest(guest, found.needed)
    for module, arg in command_line_blocks(args).items():
        if module in found.needed:
            found.blocked.append(BlockedModule(module, "kernel command line", 0, arg, False))
