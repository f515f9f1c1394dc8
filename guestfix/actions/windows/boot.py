r"""Windows boot settings: serial emergency management off, no waiting in recovery, the EFI fallback loader."""

from __future__ import annotations

from guestfix.actions.windows.registry import editing, seen
from guestfix.actions.workbench import Workbench
from guestfix.base.catalog.facts.boot import BOOT_FIRMWARE
from guestfix.base.catalog.facts.windows import (
    WINDOWS_BCD,
    WINDOWS_BOOT_DEVICES_GONE,
    WINDOWS_DRIVE_LETTERS,
    WINDOWS_EMS,
    WINDOWS_ESP,
)
from guestfix.base.errors import EditError
from guestfix.base.facts import Evidence
from guestfix.base.guest import Disks
from guestfix.detect.windows.boot_entries import store_in_use
from guestfix.formats.windows import bcd
from guestfix.formats.windows.bcdplaces import device_of, is_there, start_volume, system_volume, with_ids
from guestfix.formats.windows.regf import Hive

FALLBACK = {"x86_64": "bootx64.efi", "i686": "bootia32.efi", "aarch64": "bootaa64.efi"}
"""Names of the loader that firmware starts without a boot entry (UEFI specification, 3.5.1.1)."""
_SHOWN = {False: "no", bcd.IGNORE_ALL_FAILURES: "IgnoreAllFailures"}
"""New values as bcdedit shows them."""
MAX_LOADER = 16 * 1024 * 1024


def boot_settings(bench: Workbench, *, ems: str) -> None:
    """Change every BCD store of the guest: a failed start is ignored, EMS is off where ``ems`` is ``off``.

    With EMS on, the serial port belongs to Windows' emergency console, and a port that is not there can
    stop the start; after a failed start Windows would wait in recovery for somebody at the screen. By UEFI there is
    no text mode, so a loader that may not use graphics shows nothing, or stops.
    """
    uefi = bench.facts.value(BOOT_FIRMWARE) == "uefi"
    for path in bench.facts.value(WINDOWS_BCD, []):
        done: list[str] = []
        with editing(bench, path) as hive:
            found = bcd.objects(hive)
            for one in found.values():
                if one.id in bcd.menu(found).recovery:
                    continue
                wanted = _wanted(one, ems, uefi)
                for number, value in wanted.items():
                    bcd.set_element(hive, one.id, number, value)
                texts = [f"{one.name_of(number)} {_SHOWN.get(value, value)}" for number, value in wanted.items()]
                done += [f"{one.alias}: {', '.join(texts)}"] if texts else []
        if done:
            proofs = seen(bench, WINDOWS_EMS) or (Evidence(path),)
            remedy = "nothing to do" if ems != "off" else ""
            bench.find("GF-WINDOWS-BOOT-SETTINGS", "info", f"{path}: {'; '.join(done)}", *proofs, remedy=remedy)


def _wanted(one: bcd.Object, ems: str, uefi: bool) -> dict[int, bool | int]:
    """Return the elements of an object that are to change, with their new values."""
    off = [number for number in (bcd.EMS, bcd.BOOT_EMS) if ems == "off" and one.value(number) is True]
    if one.type != bcd.OS_LOADER:
        return dict.fromkeys(off, False)
    off += [bcd.GRAPHICS_MODE_DISABLED] if uefi and one.value(bcd.GRAPHICS_MODE_DISABLED) is True else []
    found: dict[int, bool | int] = dict.fromkeys(off, False)
    if one.value(bcd.BOOT_STATUS_POLICY) != bcd.IGNORE_ALL_FAILURES:
        found[bcd.BOOT_STATUS_POLICY] = bcd.IGNORE_ALL_FAILURES
    return found


def boot_entries(bench: Workbench) -> None:
    """Mend what the boot menu names, where it is certain what was meant.

    A partition that no disk has becomes the one that holds Windows (for the boot manager: the EFI system partition); a
    default entry that is not there becomes the only entry that starts a Windows, and such entries leave the menu.
    """
    path = store_in_use(bench.facts)
    disks = bench.fs.disks() or Disks()
    done: list[str] = []
    with editing(bench, path) as hive:
        done += _mend_devices(hive, disks, bench)
        done += _mend_menu(hive)
    if done:
        bench.find("GF-WINDOWS-BOOT-MENDED", "info", f"{path}: {'; '.join(done)}", Evidence(path))


def _mend_devices(hive: Hive, disks: Disks, bench: Workbench) -> list[str]:
    found = bcd.objects(hive)
    named = [element.device for one in found.values() for element in one.elements.values()]
    ids = with_ids(disks, [device for device in named if device is not None and device.style == "gpt"])
    letter = str((bench.facts.value(WINDOWS_DRIVE_LETTERS) or {}).get("C:", ""))
    home, start = system_volume(disks, letter), start_volume(disks)
    done = []
    for name in bench.facts.value(WINDOWS_BOOT_DEVICES_GONE, []):
        one = found.get(name)
        volume = start if one is not None and one.id == bcd.BOOTMGR else home
        wanted = device_of(volume, disks, ids) if volume is not None else None
        if one is None or volume is None or wanted is None:
            continue
        for number in (bcd.APPLICATION_DEVICE, bcd.OS_DEVICE):
            device = one.elements[number].device if number in one.elements else None
            if device is not None and is_there(device, disks) is False:
                bcd.set_element(hive, one.id, number, bcd.encode_device(wanted))
                done.append(f"{one.alias}: {one.name_of(number)} is {volume.device}")
    return done


def _mend_menu(hive: Hive) -> list[str]:
    found = bcd.objects(hive)
    menu = bcd.menu(found)
    systems = [one for one in found.values() if one.type == bcd.OS_LOADER and one.id not in menu.recovery]
    if menu.manager is None or not menu.missing:
        return []
    shown = [one for one in bcd.list_of(menu.manager, bcd.DISPLAY_ORDER) if one in found]
    default = menu.default if menu.default in found else ""
    if not default and len(systems) != 1:
        return []
    default = default or systems[0].id
    bcd.set_element(hive, bcd.BOOTMGR, bcd.DEFAULT, default)
    bcd.set_element(hive, bcd.BOOTMGR, bcd.DISPLAY_ORDER, list(dict.fromkeys([*shown, default])))
    return [f"bootmgr: default {default}, and {', '.join(menu.missing[:4])} left the menu"]


def efi_fallback(bench: Workbench, *, arch: str) -> None:
    r"""Copy the boot manager to ``\EFI\Boot``, where firmware that knows nothing of this guest looks.

    What is there stays: it may be another system's. Raises EditError where the boot manager is missing.
    """
    name = FALLBACK.get(arch)
    if name is None:
        raise EditError(f"UEFI has no fallback name for the architecture {arch}")
    esp = str(bench.facts.value(WINDOWS_ESP, "/")).rstrip("/")
    place = f"{esp}/EFI/Boot/{name}"
    if bench.fs.stat(place) is not None:
        return
    source = f"{esp}/EFI/Microsoft/Boot/bootmgfw.efi"
    if bench.fs.stat(source) is None:
        text = "the EFI system partition holds neither Windows' boot manager nor a fallback loader"
        proofs = seen(bench, WINDOWS_ESP) or (Evidence(source),)
        bench.find(
            "GF-WINDOWS-EFI-LOADER", "blocker", text, *proofs, remedy="run bcdboot C:\\Windows on the old platform"
        )
        return
    data = bench.fs.read(source, MAX_LOADER)
    bench.fs.put(place, data, diff=f"copy of {source}: {len(data)} bytes\n")
