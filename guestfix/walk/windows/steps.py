"""What the steps of a Windows boot rest on where nothing was found against them; that of the drivers is beside.

What is wrong at a step is told by the detectors that read its files: the filters, the boot menu, the services.
"""

from __future__ import annotations

from guestfix.base.catalog.facts.boot import BOOT_FIRMWARE
from guestfix.base.catalog.facts.kind import Asked
from guestfix.base.catalog.facts.windows import (
    WINDOWS_BCD,
    WINDOWS_BITLOCKER,
    WINDOWS_BOOT_ENTRIES,
    WINDOWS_CONTROL_SET,
    WINDOWS_ESP,
    WINDOWS_IMAGE_STATE,
    WINDOWS_REMOTE_ACCESS,
    WINDOWS_ROOT,
    WINDOWS_STATIC_ADDRESSES,
)
from guestfix.walk.scene import Ground, Look, Scene, nothing, passes, unknown
from guestfix.walk.windows import drivers

WAYS_IN = {"rdp": "Remote Desktop", "winrm": "WinRM", "ssh": "OpenSSH"}


def _lacks(scene: Scene, kind: Asked[object], otherwise: str) -> Ground:
    return unknown(scene.facts.why_unknown(kind) or otherwise, *scene.facts.evidence(kind))


def firmware(scene: Scene) -> Ground:
    """Tell what the target's firmware starts."""
    kind, seen = scene.facts.value(BOOT_FIRMWARE), scene.facts.evidence(BOOT_FIRMWARE)
    if kind == "uefi" and scene.facts.value(WINDOWS_ESP, ""):
        return passes("UEFI starts the boot manager of the EFI system partition", *seen)
    if kind == "bios":
        return passes("the guest boots by BIOS", *seen)
    return unknown("nothing shows how the firmware finds the boot manager", *seen)


def loader(scene: Scene) -> Ground:
    """Tell whether the store of boot entries was read."""
    if scene.facts.value(WINDOWS_BCD):
        return passes("the store of boot entries can be read", *scene.facts.evidence(WINDOWS_BCD))
    return _lacks(scene, WINDOWS_BCD, "no store of boot entries is to be seen")


def entry(scene: Scene) -> Ground:
    """Tell which entry the boot manager starts by itself."""
    entries, seen = scene.facts.value(WINDOWS_BOOT_ENTRIES, []), scene.facts.evidence(WINDOWS_BOOT_ENTRIES)
    if entries:
        return passes(f"the default entry is {entries[0]!r}", *seen)
    return unknown("no boot entry is to be seen", *seen)


def kernel(scene: Scene) -> Ground:
    """Tell where Windows lies."""
    root = scene.facts.value(WINDOWS_ROOT)
    if root:
        return passes(f"Windows lies in {root}", *scene.facts.evidence(WINDOWS_ROOT))
    return _lacks(scene, WINDOWS_ROOT, "no folder of Windows is to be seen")


def registry(scene: Scene) -> Ground:
    """Tell which control set starts."""
    current = scene.facts.value(WINDOWS_CONTROL_SET)
    if current:
        return passes(f"control set {current} starts", *scene.facts.evidence(WINDOWS_CONTROL_SET))
    return _lacks(scene, WINDOWS_CONTROL_SET, "the SYSTEM hive is not to be seen")


def root(scene: Scene) -> Ground:
    """Tell whether the system volume was read."""
    if scene.facts.value(WINDOWS_ROOT) is None:
        return unknown("no folder of Windows is to be seen")
    return passes("its filesystem was read", *scene.facts.evidence(WINDOWS_BITLOCKER))


def setup(scene: Scene) -> Ground:
    """Tell whether setup is over."""
    if scene.facts.value(WINDOWS_IMAGE_STATE) is not None:
        return passes("setup is complete", *scene.facts.evidence(WINDOWS_IMAGE_STATE))
    return _lacks(scene, WINDOWS_IMAGE_STATE, "the state of setup is not to be seen")


def network(scene: Scene) -> Ground:
    """Tell how adapters get their addresses."""
    static, seen = scene.facts.value(WINDOWS_STATIC_ADDRESSES), scene.facts.evidence(WINDOWS_STATIC_ADDRESSES)
    if static is None:
        return _lacks(scene, WINDOWS_STATIC_ADDRESSES, "no adapter is to be seen")
    if static:
        return unknown("a static address is bound to the old adapter", *seen)
    return passes("adapters ask DHCP for their addresses", *seen)


def access(scene: Scene) -> Ground:
    """Tell by which way an administrator comes in."""
    ways, seen = scene.facts.value(WINDOWS_REMOTE_ACCESS, []), scene.facts.evidence(WINDOWS_REMOTE_ACCESS)
    if not ways:
        return unknown("neither Remote Desktop, WinRM nor OpenSSH is seen to let anybody in", *seen)
    return passes(f"administrators come in by {', '.join(WAYS_IN[one] for one in ways if one in WAYS_IN)}", *seen)


LOOKS = (
    Look("firmware", "firmware finds the boot manager", firmware, nothing),
    Look("loader", "the boot manager finds its store", loader, nothing),
    Look("entry", "an entry is chosen", entry, nothing),
    Look("kernel", "winload starts the kernel", kernel, nothing),
    Look("registry", "the SYSTEM hive is read", registry, nothing),
    drivers.LOOK,
    Look("root", "the system volume is mounted", root, nothing),
    Look("setup", "setup is over", setup, nothing),
    Look("network", "the network comes up", network, nothing),
    Look("access", "an administrator can log in", access, nothing),
)
"""The steps, in the order of a boot."""
