r"""Windows boot settings: serial emergency management off, no waiting in recovery, the EFI fallback loader."""

from __future__ import annotations

from guestfix.actions.windows.registry import editing, seen
from guestfix.actions.workbench import Workbench
from guestfix.base.catalog.facts.boot import BOOT_FIRMWARE
from guestfix.base.catalog.facts.windows import WINDOWS_BCD, WINDOWS_EMS, WINDOWS_ESP
from guestfix.base.errors import EditError
from guestfix.base.facts import Evidence
from guestfix.formats.windows import bcd

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
            for one in bcd.objects(hive).values():
                wanted = _wanted(one, ems, uefi)
                for number, value in wanted.items():
                    bcd.set_element(hive, one.id, number, value)
                texts = [f"{one.name_of(number)} {_SHOWN.get(value, value)}" for number, value in wanted.items()]
                done += [f"{one.alias}: {', '.join(texts)}"] if texts else []
        if done:
            proofs = seen(bench, WINDOWS_EMS) or (Evidence(path),)
            bench.find("GF-WINDOWS-BOOT-SETTINGS", "info", f"{path}: {'; '.join(done)}", *proofs)


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
