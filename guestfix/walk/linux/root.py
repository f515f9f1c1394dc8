"""Step 6: the kernel or its initramfs finds the root filesystem that the default entry names."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from guestfix.base.catalog.facts.boot import BOOT_DEFAULT, BOOT_LOADERS, INITRAMFS_GENERATOR
from guestfix.base.catalog.facts.storage import DISKS_KNOWN, DISKS_MOUNTS
from guestfix.base.errors import GuestError
from guestfix.base.facts import Finding
from guestfix.detect.limits.firmware import disks_of
from guestfix.editors.boot.args import STACKED, stacked
from guestfix.formats.boot.cmdline import name_of, value_of
from guestfix.formats.storage import devices
from guestfix.walk.names import answers, known_to
from guestfix.walk.scene import Ground, Look, Scene, entry_place, is_whole, passes, unknown

_SYSTEMD = "/usr/lib/systemd/systemd"
"""What an initramfs with systemd starts first; a root that was never started before may have no /sbin yet."""

_USR = ("mount.usr", "usr", "verity.usr", "systemd.verity_usr_data")


def root_of(scene: Scene) -> str:
    """Return what the default entry's root= says, empty where there is none."""
    default = scene.facts.value(BOOT_DEFAULT)
    roots = [arg.removeprefix("root=") for arg in (default.args if default else ()) if arg.startswith("root=")]
    return roots[-1] if roots else ""


_NAMED = ("/dev/", "UUID=", "LABEL=", "PARTUUID=", "PARTLABEL=")
"""What root= begins with where it names a volume."""


def is_elsewhere(scene: Scene) -> bool:
    """Tell whether root= is no volume of the guest's disks: on the network, in memory, a pool or a live image.

    A disk with GPT may have a root that systemd finds by the partition's type (systemd-gpt-auto-generator(8)).
    """
    root = root_of(scene)
    if not root:
        return any(one.table == "gpt" for one in disks_of(scene.guest))
    return not root.startswith(_NAMED) and "$" not in root


def ground(scene: Scene) -> Ground:
    """Tell which volume is the root."""
    default, root = scene.facts.value(BOOT_DEFAULT), root_of(scene)
    if not default:
        return unknown("which entry boots by default is not to be seen")
    place = entry_place(default)
    if root in ("", "gpt-auto") and (found := _by_type(scene)):
        return passes(f"systemd finds the root by its partition's type: {found}", place)
    if not root:
        return unknown("the default entry names no root filesystem", place)
    if not root.startswith(_NAMED):
        return unknown(f"root={root} is not a volume that guestfix can look up", place)
    answer, why = answers(scene, root)
    return passes(f"root={root}: {why}", place) if answer == "yes" else unknown(f"root={root}: {why}", place)


def _by_type(scene: Scene) -> str:
    """Return the root that systemd-gpt-auto-generator(8) finds; only its own loader tells it on which disk to look."""
    loaders = scene.facts.value(BOOT_LOADERS) or ()
    told = next(iter(loaders), "") in ("systemd-boot", "uki")
    return next(
        (one.device for one in scene.facts.value(DISKS_MOUNTS, []) if told and one.mount == "/" and one.by == "type"),
        "",
    )


def check(scene: Scene) -> Iterable[Finding]:
    """Find a root that the target does not have by this name, and what dracut is told to open before it."""
    yield from _opened(scene)
    yield from _without_init(scene)
    yield from _usr(scene)
    default, root = scene.facts.value(BOOT_DEFAULT), root_of(scene)
    if not default or not root.startswith(_NAMED):
        return
    answer, why = answers(scene, root)
    if answer == "no":
        yield Finding(
            "GF-WALK-ROOT",
            "blocker",
            f"the default entry looks for its root at {root}, and {why}",
            (entry_place(default),),
            _remedy(scene, root),
            outcome="stops",
        )


def _usr(scene: Scene) -> Iterator[Finding]:
    """Find a /usr of its own that the target does not have by the name that an argument gives it."""
    default = scene.facts.value(BOOT_DEFAULT)
    for arg in default.args if default else ():
        name = value_of(arg)
        if name_of(arg) not in _USR or not (devices.tag(name) or devices.is_unstable(name)):
            continue
        answer, why = answers(scene, name)
        if default and answer == "no":
            summary = f"the default entry looks for /usr at {name}, and {why}"
            yield Finding(
                "GF-WALK-ROOT", "blocker", summary, (entry_place(default),), _remedy(scene, name), outcome="stops"
            )


def _remedy(scene: Scene, root: str) -> str:
    name = "name the root by the UUID of its filesystem"
    if not scene.facts.value(DISKS_KNOWN):
        return f"describe the guest's disks with --disks, so that it is known; else {name}"
    return f"give its volume this name too in the description of the disks, aliases: [{root}]; else {name}"


def _without_init(scene: Scene) -> Iterator[Finding]:
    """Find a root whose init is gone: what init= says, else /sbin/init (init/main.c of Linux)."""
    default = scene.facts.value(BOOT_DEFAULT)
    if default is None or not is_whole(scene):
        return
    told = [value_of(arg) for arg in default.args if name_of(arg) == "init"]
    path = told[-1] if told and told[-1].startswith("/") else "/sbin/init"
    paths = (
        [path, _SYSTEMD] if not told and any(one.by == "usr" for one in scene.facts.value(DISKS_MOUNTS, [])) else [path]
    )
    try:
        there = any(scene.guest.stat(one) is not None for one in paths)
    except GuestError:
        return
    if not there:
        summary = f"the root has no {path}, which the kernel is to start"
        remedy = "install the init system's package again in the guest (systemd-sysv, sysvinit-core, ...)"
        yield Finding("GF-WALK-INIT", "blocker", summary, (entry_place(default),), remedy, outcome="stops")


def _opened(scene: Scene) -> Iterator[Finding]:
    """Find arguments by which dracut waits for a volume that is gone, and ends in its emergency shell."""
    default = scene.facts.value(BOOT_DEFAULT)
    if default is None or scene.facts.value(INITRAMFS_GENERATOR) != "dracut" or not scene.facts.value(DISKS_KNOWN):
        return
    names = known_to(scene)
    for arg in default.args:
        name = stacked(name_of(arg), value_of(arg)) if name_of(arg) in STACKED else ""
        if name and names.is_gone(name):
            summary = f"dracut waits for the volume of {arg}, which did not come along, and does not go on without it"
            remedy = "attach the disk of that volume, or take the argument out of the loader's configuration"
            yield Finding("GF-WALK-ROOT", "blocker", summary, (entry_place(default),), remedy, outcome="stops")


LOOK = Look("root", "the root filesystem is found", ground, check)
