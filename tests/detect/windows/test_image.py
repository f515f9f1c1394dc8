"""A Windows guest on a disk image: its system partition is shown, read without a kernel, written through UML."""

from __future__ import annotations

import struct
from pathlib import Path

import pytest

from guestfix.apply.apply import carry_out
from guestfix.backends import open_guest
from guestfix.pack.cache import load_pack
from guestfix.plan.planner import Options, make_plan
from tests.build.images import PartSpec, disk, filesystem, have
from tests.build.windows import hive, learn, make, pe
from tests.build.windows_corpus import RULES
from tests.build.windows_images import TOOLS, ntfs, tree_of, windows
from tests.build.windows_texts import bcd

pytestmark = pytest.mark.skipif(not have(*TOOLS), reason=f"needs {', '.join(TOOLS)}")


def uefi(tmp_path: Path) -> Path:
    esp = tree_of(
        tmp_path / "esp",
        {
            "EFI/Microsoft/Boot/BCD": bcd("\\\\Windows\\\\system32\\\\winload.efi", ems=True),
            "EFI/Microsoft/Boot/bootmgfw.efi": pe(),
        },
    )
    parts = [
        PartSpec(filesystem("vfat", tmp_path / "p1", 34 << 20, esp), "C12A7328-F81F-11D2-BA4B-00A0C93EC93B"),
        PartSpec(ntfs(tmp_path / "p2", windows(tmp_path)), "EBD0A0A2-B9E5-4433-87C0-68B6B72699C7"),
    ]
    return disk(tmp_path / "disk.raw", parts)


def bios(tmp_path: Path) -> Path:
    system = tree_of(tmp_path / "s", {"bootmgr": b"x", "Boot/BCD": bcd(ems=True)})
    parts = [
        PartSpec(ntfs(tmp_path / "p1", system), "7", bootable=True),
        PartSpec(ntfs(tmp_path / "p2", windows(tmp_path)), "7"),
    ]
    return disk(tmp_path / "disk.raw", parts, "mbr")


@pytest.mark.parametrize(
    ("maker", "store", "firmware"),
    [(uefi, "/efi/EFI/Microsoft/Boot/BCD", "uefi"), (bios, "/system-reserved/Boot/BCD", "bios")],
    ids=["uefi", "bios"],
)
def test_an_image_is_read_and_written(tmp_path: Path, maker, store: str, firmware: str) -> None:
    image = maker(tmp_path)
    pack = load_pack(RULES)
    plan = make_plan(open_guest(f"image:{image}"), pack, "kvm-virtio", Options(("windows/*",)))
    facts = {fact.name: fact.value for fact in plan.facts}
    assert facts["windows.bcd"] == [store]
    assert facts["boot.firmware"] == firmware
    assert facts["windows.ems"] is True
    changed = {change.path for change in plan.changes}
    assert {store, "/Windows/System32/config/SYSTEM"} <= changed
    assert ("/efi/EFI/Boot/bootx64.efi" in changed) is (firmware == "uefi")
    guest = open_guest(f"uml:{image}", writable=True)
    try:
        again = make_plan(guest, pack, "kvm-virtio", Options(("windows/*",)))
        assert {(one.path, one.after) for one in again.changes} == {(one.path, one.after) for one in plan.changes}
        carry_out(guest, again)
        left = make_plan(guest, pack, "kvm-virtio", Options(("windows/*",)))
        assert left.changes == ()
        assert guest.stat(store) is not None
        assert False not in [check.clean for check in guest.check()]
    finally:
        guest.close()


def test_a_folder_of_the_guest_with_that_name_stays(tmp_path: Path) -> None:
    facts, _ = learn(make(tmp_path, files={"efi/note.txt": b"mine", "Boot/BCD": hive("[Objects]")}))
    assert facts.value("windows.bcd") == ["/Boot/BCD"]


def test_hibernation_and_a_dirty_volume_are_told_once(tmp_path: Path) -> None:
    root = windows(tmp_path)
    (root / "hiberfil.sys").write_bytes(b"HIBR".ljust(4096, b"\0"))
    place = ntfs(tmp_path / "c.ntfs", root)
    record = bytearray(place.read_bytes())
    flags = record.index(struct.pack("<II", 0x70, 0x28), _mft(record) + 3 * 1024) + 24 + 10
    record[flags] |= 1
    place.write_bytes(record)
    plan = make_plan(open_guest(f"image:{place}"), load_pack(RULES), "kvm-virtio", Options(("windows/boot-ini",)))
    found = [one.code for one in plan.findings if "HIBER" in one.code or "DIRTY" in one.code or "UNCLEAN" in one.code]
    assert found == ["GF-DISK-HIBERNATED"]
    assert {one.name: one.value for one in plan.facts}["windows.dirty_volumes"] == ["/dev/sda"]


def _mft(volume: bytes) -> int:
    """Return where the MFT begins: sectors of a cluster, then the cluster's number, in the boot sector."""
    return struct.unpack_from("<Q", volume, 48)[0] * volume[13] * struct.unpack_from("<H", volume, 11)[0]
