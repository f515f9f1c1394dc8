r"""Windows boot settings: serial emergency management off, no waiting in recovery, the EFI fallback loader."""

from __future__ import annotations

from guestfix.actions.windows_registry import editing, seen
from guestfix.errors import EditError
from guestfix.facts import Evidence
from guestfix.formats import bcd
from guestfix.formats.regf import Hive
from guestfix.workbench import Workbench

FALLBACK = {"x86_64": "bootx64.efi", "i686": "bootia32.efi", "aarch64": "bootaa64.efi"}
"""Names of the loader that firmware starts without a boot entry (UEFI specification, 3.5.1.1)."""
MAX_LOADER = 16 * 1024 * 1024


def boot_settings(bench: Workbench, *, ems: str) -> None:
    """Change every BCD store of the guest: a failed start is ignored, EMS is off where ``ems`` is ``off``.

    With EMS on, the serial port belongs to Windows' emergency console, and a port that is not there can
    stop the start; after a failed start Windows would wait in recovery for somebody at the screen.
    """
    for path in bench.facts.value("windows.bcd", []):
        with editing(bench, path) as hive:
            if ems == "off":
                _ems_off(hive)
            for loader in bcd.loaders(hive):
                if loader.value(bcd.BOOT_STATUS_POLICY) != bcd.IGNORE_ALL_FAILURES:
                    bcd.set_element(hive, loader.id, bcd.BOOT_STATUS_POLICY, bcd.IGNORE_ALL_FAILURES)


def _ems_off(hive: Hive) -> None:
    for one in bcd.objects(hive).values():
        for number in (bcd.EMS, bcd.BOOT_EMS):
            if one.value(number) is True:
                bcd.set_element(hive, one.id, number, False)


def efi_fallback(bench: Workbench, *, arch: str) -> None:
    r"""Copy the boot manager to ``\EFI\Boot``, where firmware that knows nothing of this guest looks.

    What is there stays: it may be another system's. Raises EditError where the boot manager is missing.
    """
    name = FALLBACK.get(arch)
    if name is None:
        raise EditError(f"UEFI has no fallback name for the architecture {arch}")
    esp = str(bench.facts.value("windows.esp", "/")).rstrip("/")
    place = f"{esp}/EFI/Boot/{name}"
    if bench.fs.stat(place) is not None:
        return
    source = f"{esp}/EFI/Microsoft/Boot/bootmgfw.efi"
    if bench.fs.stat(source) is None:
        text = "the EFI system partition holds neither Windows' boot manager nor a fallback loader"
        proofs = seen(bench, "windows.esp") or (Evidence(source),)
        bench.find(
            "GF-WINDOWS-EFI-LOADER", "blocker", text, *proofs, remedy="run bcdboot C:\\Windows on the old platform"
        )
        return
    data = bench.fs.read(source, MAX_LOADER)
    bench.fs.put(place, data, diff=f"copy of {source}: {len(data)} bytes\n")
