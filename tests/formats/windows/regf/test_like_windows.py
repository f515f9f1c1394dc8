"""What Windows does and other writers don't: its capitals, hashes and hints, its leaves, links, tombstones, times."""

from __future__ import annotations

import struct
import subprocess
import time
from pathlib import Path

import pytest

from guestfix.base.errors import EditError
from guestfix.formats.windows.regf import REG_BINARY, REG_DWORD, REG_NONE, REG_SZ, TYPES, Hive, empty_hive
from guestfix.formats.windows.regf.keys import FLAG_LINK, MAX_SUBKEY_NAME, SUBKEY_LIST
from guestfix.formats.windows.regf.lists import leaves, root_entries
from guestfix.formats.windows.regf.names import name_hash, name_hint, sort_key, upcase
from guestfix.formats.windows.regf.store import checksum
from tests.build.hive_oracles import corpus_hive, tool
from tests.build.hive_soundness import check
from tests.build.hives import fresh, sound


def test_upper_case_is_that_of_windows() -> None:
    pairs = {
        "a": "A",
        "\u00e9": "\u00c9",
        "\u00ff": "\u0178",
        "\u03c3": "\u03a3",
        "\u1fb3": "\u1fbc",
    }
    kept = "\u03c2\u00df\u0131\u017f\u00b5\u0149\u10d0\u4e2d\U00010428"
    pairs |= dict(zip(kept, kept, strict=True))
    assert {name: upcase(name) for name in pairs} == pairs
    assert sort_key("\U0001f4be") < sort_key("\uff21")  # by code units, not by characters


def test_hashes_are_those_of_real_lists() -> None:
    hive = Hive.open(corpus_hive("SYSTEM"))
    key = hive.key("ControlSet001\\services")
    assert key is not None
    for leaf in leaves(hive.store, key.field(SUBKEY_LIST)):
        words = struct.unpack_from(f"<{leaf.length * 2}I", hive.store.data, leaf.start)
        names = [one.name for one in key.subkeys()]
        assert [name_hash(name) for name in names] == list(words[1::2]) and len(names) > 300


def test_hints_are_those_of_real_lists() -> None:
    hive = Hive.open(corpus_hive("BCD"))
    key = hive.key("Objects")
    assert key is not None
    leaf = next(leaves(hive.store, key.field(SUBKEY_LIST)))
    words = struct.unpack_from(f"<{leaf.length * 2}I", hive.store.data, leaf.start)
    assert [name_hint(one.name) for one in key.subkeys()] == list(words[1::2])
    assert name_hint("\u00e9a") == 0x61E9 and name_hint("\u4e2da") == 0x6100 and name_hint("ab\u4e2dd") == 0x64000000


def test_every_capital_is_that_of_the_table_in_ntfs(tmp_path: Path) -> None:
    """mkntfs writes the table of Windows 7, which is made of the one that the registry compares names with."""
    image = tmp_path / "ntfs"
    image.write_bytes(b"")
    with image.open("r+b") as file:
        file.truncate(8 << 20)
    subprocess.run([tool("mkntfs"), "-Q", "-F", "-f", str(image)], check=True, capture_output=True)
    command = [tool("ntfscat"), "-f", "-i", "10", str(image)]
    raw = subprocess.run(command, check=True, capture_output=True).stdout
    table = struct.unpack("<65536H", raw[:131072])
    ours = [ord(upcase(chr(code))) for code in range(0x10000)]
    assert [hex(code) for code in range(0x10000) if ours[code] != table[code]] == []


@pytest.mark.parametrize("minor", [3, 4])
def test_a_full_fast_leaf_becomes_an_index_leaf(minor: int) -> None:
    hive = fresh(minor)
    for number in range(507):
        hive.create_key(f"k{number:04}")
    assert [leaf.kind for leaf in leaves(hive.store, hive.root.field(SUBKEY_LIST))] == [b"lf"]
    for number in range(507, 1012):
        hive.create_key(f"k{number:04}")
    assert [(leaf.kind, leaf.length) for leaf in leaves(hive.store, hive.root.field(SUBKEY_LIST))] == [(b"li", 1012)]
    sound(hive)
    hive.create_key("k1012")
    assert root_entries(hive.store, hive.root.field(SUBKEY_LIST)) is not None
    assert {leaf.kind for leaf in leaves(hive.store, hive.root.field(SUBKEY_LIST))} == {b"li"}
    assert hive.key("K0700") is not None and hive.delete_key("k0700")
    sound(hive)


def test_links_are_named_and_not_written_through() -> None:
    hive = fresh()
    target = "\\Registry\\Machine\\Software\\WOW6432Node"
    hive.set_value("Classes\\Link", "SymbolicLinkValue", TYPES["REG_LINK"], target)
    data = bytearray(hive.to_bytes())
    key = hive.key("Classes\\Link")
    assert key is not None
    struct.pack_into("<H", data, key.at + 2, key.flags | FLAG_LINK)
    hive = Hive.open(bytes(data))
    for change in (
        lambda: hive.set_value("Classes\\Link", "x", REG_DWORD, 1),
        lambda: hive.create_key("Classes\\Link\\Sub"),
        lambda: hive.set_value("Classes\\Link\\Sub", "x", REG_DWORD, 1),
    ):
        with pytest.raises(EditError, match=r"is a link to .*WOW6432Node"):
            change()
    assert hive.to_bytes() == bytes(data)
    assert hive.set_value("Classes\\Link", "symboliclinkvalue", TYPES["REG_LINK"], "\\Registry\\Machine\\X")
    assert hive.delete_key("Classes\\Link")
    sound(hive)


def test_a_tombstone_that_is_set_is_a_value_again() -> None:
    hive = fresh()
    hive.set_value("Key", "Hidden", REG_NONE, b"")
    value = hive.value("Key", "Hidden")
    assert value is not None
    at = 4096 + value.offset + 4
    data = bytearray(hive.to_bytes())
    struct.pack_into("<IIIH", data, at + 4, 0, 0xFFFFFFFF, REG_NONE, 3)
    hive = Hive.open(bytes(data))
    hive.set_value("Key", "Hidden", REG_SZ, "seen")
    after = sound(hive)
    assert struct.unpack_from("<H", after, at + 16)[0] == 1


def test_new_keys_take_virtualization_flags_that_are_passed_on() -> None:
    for flags, passed in ((0xA0000, 0xA0000), (0x20000, 0)):
        hive = fresh()
        hive.create_key("Software")
        data = bytearray(hive.to_bytes())
        at = hive.key("Software").at + MAX_SUBKEY_NAME
        struct.pack_into("<I", data, at, flags)
        hive = Hive.open(bytes(data))
        hive.create_key("Software\\Vendor\\Product")
        found = [hive.key(f"Software{rest}").field(MAX_SUBKEY_NAME) for rest in ("", "\\Vendor", "\\Vendor\\Product")]
        assert found == [flags | 12, passed | 14, passed]
        sound(hive)


def test_a_given_time_is_that_of_the_hive_too() -> None:
    hive = Hive.open(empty_hive("TEST", timestamp=1000))
    hive.create_key("Key")
    assert Hive.open(hive.to_bytes()).header.timestamp == 1000
    hive = Hive.open(hive.to_bytes(), timestamp=2000)
    assert hive.to_bytes() is hive.original
    hive.create_key("Other")
    data = sound(hive)
    assert Hive.open(data).header.timestamp == 2000 == struct.unpack_from("<Q", data, 4096 + 20)[0]


def test_lists_grow_without_leaving_holes() -> None:
    hive = fresh()
    for number in range(1500):
        hive.set_value("Values", f"v{number:04}", REG_DWORD, number)
        hive.create_key(f"Keys\\k{number:04}")
    found = check(sound(hive))
    needed = sum(found.used.values())
    assert len(found.data) - 4096 < needed * 1.15


def big_bin(size: int) -> bytes:
    """Return a hive whose one bin has this many bytes of cells of eight bytes each, all in use."""
    hive = fresh()
    hive.set_value("Key", "Value", REG_BINARY, bytes(100))
    data = bytearray(hive.to_bytes()) + (struct.pack("<i", -8) + bytes(4)) * (size // 8)
    for place in (40, 4096 + 8):
        struct.pack_into("<I", data, place, 4096 + size)
    struct.pack_into("<I", data, 508, checksum(data))
    return bytes(data)


def test_a_change_takes_no_longer_in_a_bin_of_many_cells() -> None:
    hive = Hive.open(big_bin(8 << 20))
    hive.set_value("Key", "First", REG_DWORD, 1)
    start = time.process_time()
    for number in range(200):
        hive.set_value("Key", "Value", REG_BINARY, bytes(101 + number))
    assert time.process_time() - start < 1
