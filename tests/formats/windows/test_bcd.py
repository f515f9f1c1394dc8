"""Boot configuration data."""

from __future__ import annotations

import pytest

from guestfix.base.errors import EditError
from guestfix.formats.windows import bcd
from guestfix.formats.windows.regf import REG_BINARY, REG_SZ, Hive, empty_hive, regtext
from tests.build.hive_oracles import corpus_hive, hivex, listing
from tests.build.hive_soundness import check

LOADER = "{11111111-2222-3333-4444-555555555555}"
TEXT = rf"""
[Description]
"KeyName"="BCD00000000"
[Objects\{bcd.BOOTMGR}\Description]
"Type"=dword:10100002
[Objects\{bcd.BOOTMGR}\Elements\23000003]
"Element"="{LOADER}"
[Objects\{bcd.BOOTMGR}\Elements\24000001]
"Element"=str(7):"{LOADER}"
[Objects\{LOADER.upper()}\Description]
"Type"=dword:10200003
[Objects\{LOADER}\Elements\260000b0]
"Element"=hex:01
[Objects\{LOADER}\Elements\250000E0]
"Element"=hex:00,00,00,00,00,00,00,00
[Objects\{LOADER}\Elements\12000004]
"Element"="Windows Server"
[Objects\{LOADER}\Elements\notanumber]
"Element"="x"
[Objects\{LOADER}\Elements\26000022]
[Objects\{{odd}}]
"""


def store() -> Hive:
    hive = Hive.open(empty_hive("BCD", minor=3))
    regtext.apply(hive, TEXT)
    return Hive.open(hive.to_bytes())


def test_objects_and_elements() -> None:
    hive = store()
    found = bcd.objects(hive)
    assert set(found) == {bcd.BOOTMGR, LOADER, "{odd}"}
    assert found[LOADER].type == bcd.OS_LOADER and found["{odd}"].type == 0
    assert {number: one.value for number, one in found[LOADER].elements.items()} == {
        bcd.EMS: True,
        bcd.BOOT_STATUS_POLICY: 0,
        bcd.DESCRIPTION: "Windows Server",
    }
    assert [one.id for one in bcd.loaders(hive)] == [LOADER]
    assert (found[LOADER].name_of(bcd.EMS), found[bcd.BOOTMGR].name_of(bcd.DEFAULT)) == ("ems", "default")
    assert (found[LOADER].name_of(bcd.DEFAULT), found[LOADER].name_of(0x2600FFFF)) == (
        "resumeobject",
        "custom:2600ffff",
    )


def test_elements_are_set() -> None:
    hive = store()
    assert bcd.set_element(hive, LOADER, bcd.EMS, False)
    assert bcd.set_element(hive, LOADER, bcd.BOOT_STATUS_POLICY, bcd.IGNORE_ALL_FAILURES)
    assert bcd.set_element(hive, bcd.BOOTMGR, bcd.TIMEOUT, 5)
    assert not bcd.set_element(hive, LOADER, bcd.EMS, False)
    found = bcd.objects(Hive.open(hive.to_bytes()))
    assert found[LOADER].value(bcd.EMS) is False
    assert found[LOADER].value(bcd.BOOT_STATUS_POLICY) == 1
    assert found[bcd.BOOTMGR].value(bcd.TIMEOUT) == 5
    assert found[LOADER].value(bcd.DESCRIPTION) == "Windows Server"
    value = hive.value(f"Objects\\{LOADER}\\Elements\\250000e0", "Element")
    assert value is not None and (value.type, value.data) == (REG_BINARY, b"\x01" + bytes(7))
    with pytest.raises(EditError, match="no BCD object"):
        bcd.set_element(hive, "{none}", bcd.EMS, False)


@pytest.mark.parametrize(
    ("number", "value"), [(bcd.EMS, 1), (bcd.TIMEOUT, -1), (bcd.TIMEOUT, "5"), (bcd.DESCRIPTION, 3), (0x27000030, [-1])]
)
def test_values_of_another_form_are_refused(number: int, value: bcd.Content) -> None:
    with pytest.raises(EditError):
        bcd.encode(number, value)


@pytest.mark.parametrize(
    ("number", "value"),
    [(bcd.EMS, True), (bcd.TIMEOUT, 7), (bcd.DESCRIPTION, "x"), (bcd.INHERIT, ["{a}", "{b}"]), (0x27000030, [1, 2])],
)
def test_values_are_stored_so_that_they_are_read_back(number: int, value: bcd.Content) -> None:
    hive = store()
    bcd.set_element(hive, LOADER, number, value)
    assert bcd.objects(hive)[LOADER].value(number) == value


def test_devices() -> None:
    gpt = bytes(16) + bytes.fromhex("060000000000000048000000000000000011223344556677 8899aabbccddeeff") + bytes(8)
    gpt += bytes.fromhex("ffeeddccbbaa99887766554433221100") + bytes(16)
    assert bcd.decode_device(gpt) == bcd.Device(
        "partition", "gpt", "ccddeeff-aabb-8899-7766-554433221100", "33221100-5544-7766-8899-aabbccddeeff"
    )
    mbr = gpt[:32] + (0x100000).to_bytes(16, "little") + bytes(4) + b"\1\0\0\0" + b"\xef\xbe\xad\xde" + bytes(28)
    assert bcd.decode_device(mbr) == bcd.Device("partition", "mbr", "deadbeef", "1048576")
    assert bcd.decode_device(bytes(16) + b"\5" + bytes(15)).kind == "boot"
    locate = bytes(16) + bytes.fromhex("08000000 00000000 3c000000 00000000 00000000 02000012") + bytes(40)
    assert bcd.decode_device(locate).kind == "locate"
    disks = {number: bytes(24) + b"\x48" + bytes(7) + bytes([number]) + bytes(60) for number in (0, 3, 5, 6, 9)}
    assert [bcd.decode_device(one).kind for one in disks.values()] == ["disk", "ramdisk", "file", "vhd", "other"]
    short = bytes(16) + b"\6" + bytes(20)
    assert bcd.decode_device(short) == bcd.Device("partition")
    for odd in (b"", bytes(31), bytes(40), bytes(16) + b"\7" + bytes(20)):
        assert bcd.decode_device(odd).kind == "other"


def test_real_store() -> None:
    found = bcd.objects(Hive.open(corpus_hive("BCD")))
    named = [one for one in found.values() if one.type == bcd.OS_LOADER]
    assert [one.value(bcd.DESCRIPTION) for one in named] == ["Windows 10", "Windows Recovery Environment"]
    device = named[0].elements[bcd.OS_DEVICE].device
    assert device == bcd.Device(
        "partition", "gpt", "0b2394a9-095e-487d-8d48-719ecd4d78ca", "8e0f2c38-e4ea-47ba-b7fc-9d8c74dccf0b"
    )
    assert named[1].elements[bcd.OS_DEVICE].device.kind == "ramdisk"
    assert found[bcd.EMS_SETTINGS].value(bcd.BOOT_EMS) is False
    assert found[bcd.BOOTMGR].value(bcd.TIMEOUT) == 30
    assert found[bcd.BOOTMGR].alias == "bootmgr" and named[0].alias == named[0].id


def test_real_store_is_edited_without_loss() -> None:
    before = corpus_hive("BCD")
    hive = Hive.open(before)
    loader = bcd.loaders(hive)[0].id
    assert not bcd.set_element(hive, bcd.EMS_SETTINGS, bcd.BOOT_EMS, False)
    assert bcd.set_element(hive, loader, bcd.EMS, False)
    assert bcd.set_element(hive, loader, bcd.BOOT_STATUS_POLICY, bcd.IGNORE_ALL_FAILURES)
    after = hive.to_bytes()
    assert len(after) == len(before) and check(after).problems == []
    was, now = dict(listing(Hive.open(before))), dict(hivex().read(after))
    elements = f"Objects\\{loader}\\Elements"
    assert {place: now[place] for place in now if now[place] != was.get(place)} == {
        f"{elements}\\250000e0": [("Element", REG_BINARY, "0100000000000000")],
        f"{elements}\\260000b0": [("Element", REG_BINARY, "00")],
    }
    assert all(place in now for place in was)


@pytest.mark.parametrize("path", [r"\Windows\system32\winload.exe", r"\Windows\system32\winload.efi"])
def test_every_element_of_a_store_survives_being_set_again(path: str) -> None:
    hive = store()
    bcd.set_element(hive, LOADER, bcd.APPLICATION_PATH, path)
    for source in (hive.to_bytes(), corpus_hive("BCD")):
        hive = Hive.open(source)
        found = bcd.objects(hive)
        for one in found.values():
            for number, element in one.elements.items():
                bcd.set_element(hive, one.id, number, element.value)
        assert bcd.objects(Hive.open(hive.to_bytes())) == found and len(found) > 2


def test_other_hives_are_no_store() -> None:
    hive = Hive.open(empty_hive("SYSTEM"))
    assert bcd.objects(hive) == {} and bcd.loaders(hive) == []
    hive.set_value("Objects\\x", "y", REG_SZ, "z")
    assert list(bcd.objects(hive)) == ["x"]
