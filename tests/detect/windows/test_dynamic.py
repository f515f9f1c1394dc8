"""Dynamic disks as the registry shows them."""

from __future__ import annotations

import struct
from pathlib import Path
from uuid import UUID

import pytest

from guestfix.base.guest import Disk, Disks, Volume
from tests.build.windows import KVM, codes, learn, make
from tests.build.windows_texts import bcd

VOLUME = UUID("03020100-0504-0706-0809-0a0b0c0d0e0f")
CODE = "GF-DISK-DYNAMIC"
UEFI = {"EFI/Microsoft/Boot/BCD": bcd("\\\\Windows\\\\system32\\\\winload.efi")}
BIOS = {"Boot/BCD": bcd()}


def letters(**devices: bytes) -> str:
    lines = [f'"\\\\DosDevices\\\\{letter}:"=hex:{data.hex(",")}\n' for letter, data in devices.items()]
    return "[MountedDevices]\n" + "".join(lines)


def volume(ident: UUID = VOLUME) -> bytes:
    return b"DMIO:ID:" + ident.bytes_le


def gpt(*idents: UUID) -> Disks:
    parts = tuple(Volume(f"/dev/sda{number}", partuuid=str(one)) for number, one in enumerate(idents, 1))
    return Disks((Disk("/dev/sda", table="gpt", partitions=parts),))


@pytest.mark.parametrize(
    ("files", "disks", "found"),
    [
        (UEFI, None, False),
        (UEFI, gpt(VOLUME), False),
        (UEFI, gpt(UUID(int=7)), True),
        (BIOS, None, True),
        (BIOS, gpt(VOLUME), False),
        (UEFI, Disks((Disk("/dev/sda", table="ldm"),)), True),  # the disks show it, so the registry need not
    ],
)
def test_drive_c_by_a_volume_id(tmp_path: Path, files: dict[str, bytes], disks: Disks | None, found: bool) -> None:
    facts, findings = learn(make(tmp_path, letters(C=volume()), files=files), KVM, disks)
    assert facts.value("windows.drive_letters") == {"C:": f"volume {VOLUME}"}
    assert [one.code for one in findings].count(CODE) == found


def test_another_volume_of_a_bios_guest_may_be_gpt(tmp_path: Path) -> None:
    text = letters(C=struct.pack("<IQ", 1, 1048576), D=volume())
    assert CODE not in codes(learn(make(tmp_path, text, files=BIOS))[1])


def test_the_disk_group_of_server_2003(tmp_path: Path) -> None:
    text = '[ControlSet001\\Services\\dmio\\Boot Info\\Primary Disk Group]\n"Name"="SERVER1Dg0"\n'
    facts, findings = learn(make(tmp_path, text, files={"boot.ini": b"[boot loader]\r\n"}))
    assert facts.value("windows.disk_group") == "SERVER1Dg0"
    assert CODE in codes(findings)
