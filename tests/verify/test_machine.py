"""How QEMU is called: the target's devices, no file but the guest's, nothing outside; and what it can't show."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import time
from pathlib import Path

import pytest

from guestfix.backends import accel
from guestfix.backends.runfolder import RunFolder
from guestfix.base.errors import GuestfixError
from guestfix.base.record import replace
from guestfix.pack.cache import load_pack
from guestfix.verify import machine
from guestfix.verify.firmware import Uefi, find_uefi
from guestfix.verify.hardware import device_words, devices_of, firmware_of
from guestfix.verify.model import Hardware
from guestfix.verify.run import Setting, _Watch, slowed, start

TARGETS = load_pack().targets
QEMU = shutil.which("qemu-system-x86_64")
needs_qemu = pytest.mark.skipif(not QEMU or not shutil.which("qemu-img"), reason="QEMU is not installed")


def test_every_target_has_its_devices_or_says_why_not():
    made, refused = {}, {}
    for name, target in TARGETS.items():
        try:
            made[name] = devices_of(target, 1)
        except GuestfixError as error:
            refused[name] = error.what
    assert set(refused) >= {"aws-xen", "azure"} and all("QEMU has no" in what for what in refused.values())
    assert made["vmware"].nic == "vmxnet3" and made["vmware"].controller.startswith("pvscsi")
    assert made["aws-nitro"].stand_ins and not made["kvm-virtio"].stand_ins


def test_firmware_starts_from_the_first_disk_alone():
    words = device_words(devices_of(TARGETS["kvm-scsi"], 2), ["d0", "d1"])
    assert [one for one in words if "bootindex" in one] == ["scsi-hd,bus=bus.0,drive=d0,bootindex=1"]


@pytest.mark.parametrize(("target", "guest", "firmware"), [
    ("aws-nitro", "bios", "bios"), ("aws-nitro", "uefi", "uefi"), ("vmware", "", "bios"), ("aws-xen", "uefi", "bios"),
])  # fmt: skip
def test_the_guests_own_firmware_where_the_target_has_it(target, guest, firmware):
    assert firmware_of(TARGETS[target], guest) == firmware


def test_no_device_that_is_not_asked_for_and_no_network_outside(tmp_path):
    plan = machine.Plan(devices_of(TARGETS["kvm-virtio"], 1), None, "utc", "tcg", 512)
    words = machine._words(str(tmp_path), plan, {"console": 5, "screen": 6, "wire": 7}, 8, 1234)
    text = " ".join(words)
    assert words[:2] == ["-nodefaults", "-no-user-config"] and "spawn=deny" in text
    assert "restrict=on,hostfwd=tcp:127.0.0.1:1234-:22" in text and "romfile=" in text
    assert "base=localtime" in machine._words(
        str(tmp_path), replace(plan, clock="localtime"), {"console": 5, "screen": 6, "wire": 7}, 8, 0
    )


def descriptor(folder: Path, name: str, features: list[str], *, machines: str = "pc-q35-*") -> None:
    for one in ("code", "vars"):
        (folder / f"{name}.{one}").write_bytes(b"x")
    files = {"executable": {"filename": str(folder / f"{name}.code")},
             "nvram-template": {"filename": str(folder / f"{name}.vars")}}  # fmt: skip
    told = {"mapping": {"device": "flash", **files}, "features": features,
            "targets": [{"architecture": "x86_64", "machines": [machines]}]}  # fmt: skip
    (folder / f"{name}.json").write_text(json.dumps(told))


def test_firmware_is_found_by_its_descriptor(tmp_path):
    descriptor(tmp_path, "10-other", [], machines="microvm")
    descriptor(tmp_path, "20-keys", ["secure-boot", "enrolled-keys", "requires-smm"])
    descriptor(tmp_path, "30-setup", ["secure-boot"])
    descriptor(tmp_path, "40-plain", ["acpi-s3"])
    (tmp_path / "05-broken.json").write_text("{")
    place = (str(tmp_path),)
    assert find_uefi(secure_boot=True, folders=place).code.endswith("20-keys.code")
    assert find_uefi(secure_boot=False, folders=place) == Uefi(
        str(tmp_path / "40-plain.code"), str(tmp_path / "40-plain.vars"), False
    )
    with pytest.raises(GuestfixError, match="no UEFI firmware"):
        find_uefi(secure_boot=True, folders=("/nowhere",))


@pytest.mark.parametrize("arch", accel.DONE)
def test_the_probe_ends_qemu_by_itself_where_instructions_run(arch):
    """Emulation runs any instruction; so the ROM itself is right, whatever KVM does here."""
    program = shutil.which(f"qemu-system-{arch}")
    if program is None:
        pytest.skip(f"no QEMU of {arch} here")
    place = os.memfd_create("test")
    os.write(place, accel.rom(arch))
    command = accel.command(program, "tcg", f"/dev/fd/{place}", arch)
    done = subprocess.run(command, pass_fds=[place], timeout=60, capture_output=True, check=False)
    os.close(place)
    assert done.returncode == accel.DONE[arch], done.stderr


@needs_qemu
def test_the_probe_of_kvm_ends_soon_and_leaves_nothing():
    run = RunFolder()
    works, why = accel.kvm(str(QEMU), run)
    run.close()
    assert isinstance(works, bool) and why


@needs_qemu
@pytest.mark.parametrize("fmt", ["raw", "qcow2"])
def test_an_empty_disk_stops_at_the_firmware_and_stays_as_it_is(tmp_path, fmt):
    disk = tmp_path / f"disk.{fmt}"
    subprocess.run(["qemu-img", "create", "-q", "-f", fmt, str(disk), "10M"], check=True)
    before, pictures, signs = disk.read_bytes(), [], []
    seen = start(
        [str(disk)], TARGETS["kvm-virtio"], Setting(memory=64), lambda *one: signs.append(one), pictures.append
    )
    assert seen.ending == "stopped" and seen.stop is not None and seen.stop.step == "firmware", seen.console
    assert "SeaBIOS" in seen.console and disk.read_bytes() == before and signs == []
    assert len(pictures) == 1 and pictures[0].startswith(b"\x89PNG")


@needs_qemu
def test_uefi_without_a_loader_stops_at_the_firmware(tmp_path):
    try:
        find_uefi(secure_boot=False)
    except GuestfixError as error:
        pytest.skip(error.what)
    disk = tmp_path / "disk.raw"
    disk.write_bytes(bytes(10 << 20))
    seen = start([str(disk)], TARGETS["kvm-virtio"], Setting(firmware="uefi", memory=256))
    assert seen.stop is not None and seen.stop.step == "firmware", seen.console


@needs_qemu
def test_a_guest_that_prints_for_ever_ends_at_the_bound(tmp_path):
    """A boot sector that writes to the serial port without end: mov dx, 3f8h; mov al, 'x'; out dx, al; jmp."""
    sector = bytes.fromhex("baf803b078eeebfb").ljust(510, b"\0") + b"\x55\xaa"
    disk = tmp_path / "disk.raw"
    disk.write_bytes(sector + bytes(1 << 20))
    seen = start([str(disk)], TARGETS["kvm-virtio"], Setting(memory=64, patience=4.0, limit=8.0, ssh=False))
    assert seen.stop is not None and seen.stop.step == "firmware" and seen.seconds < 60 and len(seen.console) < 700_000


@needs_qemu
def test_an_address_is_waited_for_no_longer_than_asked_once_somebody_can_log_in(tmp_path):
    """A boot sector that writes a prompt: ds = 0; si = text; dx = 3f8h; lodsb; out dx, al until 0; cli; hlt."""
    code = bytes.fromhex("31c08ed8be147cbaf803ac84c07403eeebf8faf4") + b"\ndebian login: \0"
    disk = tmp_path / "disk.raw"
    disk.write_bytes(code.ljust(510, b"\0") + b"\x55\xaa" + bytes(1 << 20))
    seen = start([str(disk)], TARGETS["kvm-virtio"], Setting(memory=64, reach=2.0, ssh=False))
    (prompt,) = (one for one in seen.marks if one.name == "login")
    assert seen.ending == "unreachable" and 2.0 < seen.seconds - prompt.seconds < 30


@needs_qemu
@pytest.mark.parametrize(("target", "ending"), [("aws-nitro", "stopped"), ("vmware", "unproven")])
def test_firmware_that_reads_nothing_of_the_disks_says_nothing_of_the_guest(target, ending, tmp_path):
    """Debian's UEFI for QEMU has a driver for NVMe, and none for PVSCSI."""
    if not shutil.which("qemu-system-x86_64") or not Path("/usr/share/qemu/firmware").is_dir():
        pytest.skip("no UEFI firmware for QEMU")
    disk = tmp_path / "disk.raw"
    disk.write_bytes(bytes(4 << 20))
    seen = start([str(disk)], TARGETS[target], Setting(firmware="uefi", memory=256, patience=60, limit=120, ssh=False))
    assert seen.ending == ending, seen.console
    told = any("read nothing of any disk" in one for one in seen.hardware.stand_ins)
    assert told == (ending == "unproven") == (seen.stop is None)


# a busy host


@pytest.mark.parametrize(("seconds", "starved", "factor"), [
    (100.0, 0.0, 1.0), (100.0, 50.0, 2.0), (100.0, 75.0, 4.0), (100.0, 130.0, 20.0), (0.0, 0.0, 1.0),
])  # fmt: skip
def test_bounds_grow_by_as_much_as_a_start_is_slowed(seconds, starved, factor):
    assert slowed(seconds, starved) == factor


def test_two_programs_on_one_processor_wait_for_each_other():
    cpu = min(os.sched_getaffinity(0))
    command = [sys.executable, "-c", f"import os\nos.sched_setaffinity(0, [{cpu}])\nwhile True: pass"]
    both = [subprocess.Popen(command) for _ in range(2)]
    try:
        time.sleep(3)
        assert all(machine.waited(one.pid) > 0.3 for one in both)
    finally:
        for one in both:
            one.kill()
            one.wait()
    assert machine.waited(both[0].pid) == 0.0, "a process that is gone"


class Recorded:
    """A machine whose console was recorded, on a host that starved it for these seconds."""

    running, resets, port = True, 0, 0

    def __init__(self, console: str, starved: float) -> None:
        self.console, self.lack = console.encode(), starved

    def read(self, seconds: float) -> dict[str, bytes]:
        time.sleep(0.01)
        came, self.console = self.console, b""
        return {"console": came} if came else {}

    def transfers(self) -> int:
        return 1000

    reads = transfers

    def starved(self) -> float:
        return self.lack


@pytest.mark.parametrize(("starved", "ending"), [(0.0, "stopped"), (9.0, "unproven")])
@pytest.mark.parametrize("waited", [True, False])
def test_a_device_that_a_starved_guest_gave_up_proves_nothing(waited, starved, ending, monkeypatch):
    monkeypatch.setattr("guestfix.verify.run.LOOK_SECONDS", 0.5)
    text = "Welcome to Debian GNU/Linux 13 (trixie)!\r\n"
    text += "[ TIME ] Timed out waiting for device dev-vda2.device - /dev/vda2.\r\n" if waited else ""
    hardware = Hardware("kvm-virtio", "emulation", "", "bios", False, "virtio-blk-pci", "virtio-net-pci", (), "qemu")
    console = f"{text}You are in emergency mode. Press Enter for maintenance\r\n"
    seen = _Watch(Recorded(console, starved), Setting(ssh=False), hardware, None, None, None).run()
    assert seen.ending == (ending if waited else "stopped")
    assert any("too busy" in one for one in seen.hardware.stand_ins) == (seen.ending == "unproven")
