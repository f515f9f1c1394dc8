"""The boot menu against the disks, and what it leads to."""

from __future__ import annotations

from pathlib import Path

import pytest

from guestfix.base.guest import Disk, Disks, Volume
from guestfix.formats.windows import bcd
from guestfix.formats.windows.bcdplaces import device_of, is_there, start_volume, system_volume, with_ids
from guestfix.formats.windows.regf import Hive, empty_hive
from tests.build.windows import learn, make

DISK, OTHER = "aaaaaaaa-0000-4000-8000-000000000001", "bbbbbbbb-0000-4000-8000-000000000001"
ESP, HOME = "aaaaaaaa-0000-4000-8000-00000000000e", "aaaaaaaa-0000-4000-8000-00000000000c"
ONE, TWO = "{11111111-0000-0000-0000-000000000001}", "{22222222-0000-0000-0000-000000000002}"
GPT = Disks(
    (
        Disk(
            "/dev/sda",
            table="gpt",
            partitions=(
                Volume("/dev/sda1", fstype="vfat", partuuid=ESP),
                Volume("/dev/sda2", fstype="ntfs", partuuid=HOME.upper()),
            ),
            id=DISK,
        ),
    )
)
MBR = Disks(
    (
        Disk(
            "/dev/sda",
            table="mbr",
            partitions=(Volume("/dev/sda1", fstype="ntfs", partuuid="0a1b2c3d-01", start=1048576),),
        ),
    )
)


def gpt(part: str, disk: str = DISK) -> bcd.Device:
    return bcd.Device("partition", "gpt", disk, part)


def mbr(signature: str, offset: int) -> bcd.Device:
    return bcd.Device("partition", "mbr", signature, str(offset))


@pytest.mark.parametrize(
    ("device", "disks", "there"),
    [
        (gpt(HOME), GPT, True),
        (gpt(OTHER), GPT, False),
        (gpt(HOME), Disks(), None),
        (gpt(OTHER), Disks((Disk("/dev/sda", partitions=(Volume("/dev/sda1"),)),)), None),
        (gpt(OTHER), Disks((Disk("/dev/sda", partitions=(Volume("/dev/sda1"),)),), read=True), False),
        (mbr("0a1b2c3d", 1048576), MBR, True),
        (mbr("0a1b2c3d", 4096), MBR, False),
        (mbr("deadbeef", 1048576), MBR, False),
        (mbr("deadbeef", 1), Disks((Disk("/dev/sda", table="mbr"),)), None),
        (bcd.Device("boot"), GPT, True),
        (bcd.Device("locate"), GPT, True),
        (bcd.Device("vhd"), GPT, None),
        (bcd.Device("partition"), GPT, None),
    ],
)
def test_whether_a_device_is_there(device: bcd.Device, disks: Disks, there: bool | None) -> None:
    assert is_there(device, disks) is there


@pytest.mark.parametrize("device", [gpt(HOME), mbr("0a1b2c3d", 105906176)])
def test_a_device_that_is_written_reads_alike(device: bcd.Device) -> None:
    raw = bcd.encode_device(device)
    assert len(raw) == 88 and bcd.decode_device(raw) == device


def test_naming_a_partition() -> None:
    home, start = GPT.disks[0].partitions[1], GPT.disks[0].partitions[0]
    assert system_volume(GPT, "") == home and start_volume(GPT) == start
    assert device_of(home, GPT, with_ids(GPT, ())) == gpt(HOME)
    blind = Disks((Disk("/dev/sda", table="gpt", partitions=GPT.disks[0].partitions),))
    assert device_of(home, blind, with_ids(blind, ())) is None
    assert device_of(home, blind, with_ids(blind, [gpt(ESP, OTHER)])) == gpt(HOME, OTHER)
    assert device_of(MBR.disks[0].partitions[0], MBR, {}) == mbr("0a1b2c3d", 1048576)
    two = Disks((Disk("/dev/sda", partitions=(Volume("a", fstype="ntfs"), Volume("b", fstype="ntfs", partuuid=HOME))),))
    assert system_volume(two, "") is None
    found = system_volume(two, f"volume {HOME}")
    assert found is not None and found.device == "b"


def store(**more: object) -> bytes:
    """A store with one entry; ``more`` are further elements of it, by number in hex with an underscore before."""
    hive = Hive.open(empty_hive("BCD"))
    for one, kind in ((bcd.BOOTMGR, 0x10100002), (ONE, bcd.OS_LOADER), (TWO, bcd.OS_LOADER)):
        hive.set_value(f"Objects\\{one}\\Description", "Type", 4, kind)
    default, order = more.pop("default", ONE), more.pop("order", [ONE])
    bcd.set_element(hive, bcd.BOOTMGR, bcd.DEFAULT, default)
    bcd.set_element(hive, bcd.BOOTMGR, bcd.DISPLAY_ORDER, order)
    bcd.set_element(hive, bcd.BOOTMGR, bcd.TIMEOUT, 30)
    bcd.set_element(hive, ONE, bcd.APPLICATION_PATH, "\\Windows\\system32\\winload.efi")
    for name, value in more.items():
        value = bcd.encode_device(value) if isinstance(value, bcd.Device) else value
        bcd.set_element(hive, ONE, int(name[1:], 16), value)
    return hive.to_bytes()


def told(tmp_path: Path, disks: Disks | None = None, **more: object) -> dict[str, object]:
    root = make(tmp_path, files={"EFI/Microsoft/Boot/BCD": store(**more)})
    facts, findings = learn(root, disks=disks)
    by_code = {one.code: one for one in findings if one.code.startswith("GF-WINDOWS-")}
    return {**by_code, "facts": facts}


def test_the_default_entry_stops_where_no_disk_has_its_partition(tmp_path: Path) -> None:
    found = told(tmp_path, GPT, _21000001=gpt(OTHER), _11000001=gpt(OTHER))
    assert found["GF-WINDOWS-BOOT-DEVICE"].outcome == "stops"
    assert "GF-WINDOWS-BOOT-DEVICE" not in told(tmp_path / "there", GPT, _21000001=gpt(HOME))
    assert "GF-WINDOWS-BOOT-DEVICE" not in told(tmp_path / "unknown", None, _21000001=gpt(OTHER))


@pytest.mark.parametrize(
    ("more", "code", "severity", "outcome"),
    [
        ({"default": TWO.replace("2", "9"), "order": []}, "GF-WINDOWS-BOOT-DEFAULT", "warning", "stops"),
        ({"default": TWO.replace("2", "9"), "order": [ONE]}, "GF-WINDOWS-BOOT-DEFAULT", "warning", "unknown"),
        ({"order": [ONE, TWO.replace("2", "9")]}, "GF-WINDOWS-BOOT-DEFAULT", "info", ""),
        ({"order": [ONE, TWO]}, "GF-WINDOWS-BOOT-SEVERAL", "info", ""),
        ({"_14000008": [TWO.replace("2", "9")]}, "GF-WINDOWS-BOOT-REFERENCE", "info", ""),
        ({"_23000003": TWO.replace("2", "9")}, "GF-WINDOWS-BOOT-REFERENCE", "info", ""),
        ({"_25000080": 0}, "GF-WINDOWS-SAFE-MODE", "warning", "unknown"),
        ({"_25000080": 1}, "GF-WINDOWS-SAFE-MODE", "warning", "unknown"),
        ({"_250000f0": 1}, "GF-WINDOWS-VIRTUAL-HOST", "info", ""),
        ({"_16000049": True}, "GF-WINDOWS-TEST-SIGNING", "warning", ""),
        ({"_16000048": True}, "GF-WINDOWS-TEST-SIGNING", "warning", ""),
    ],
)
def test_what_else_a_store_says(
    tmp_path: Path, more: dict[str, object], code: str, severity: str, outcome: str
) -> None:
    one = told(tmp_path, **more)[code]
    assert (one.severity, one.outcome) == (severity, outcome)


def test_a_sound_store_says_nothing(tmp_path: Path) -> None:
    found = told(tmp_path, GPT, _21000001=gpt(HOME), _11000001=gpt(HOME), _14000008=[TWO])
    assert not [code for code in found if "BOOT" in code or "SAFE" in code or "SIGNING" in code]
    assert found["facts"].value("windows.boot_entries") == [ONE]


def test_another_windows_is_the_default(tmp_path: Path) -> None:
    parts = (*GPT.disks[0].partitions, Volume("/dev/sda3", fstype="ntfs", partuuid=OTHER))
    disks = Disks((Disk("/dev/sda", table="gpt", partitions=parts, id=DISK),), root="/dev/sda2")
    assert told(tmp_path, disks, _21000001=gpt(OTHER))["GF-WINDOWS-BOOT-SEVERAL"].severity == "warning"
