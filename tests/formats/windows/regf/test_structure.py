"""What the writer builds: lists of every kind and their limits, names, shared security, classes, space."""

from __future__ import annotations

import mmap
import struct
import tempfile

import pytest

from guestfix.base.errors import EditError
from guestfix.formats.windows.regf import (
    REG_BINARY,
    REG_DWORD,
    REG_MULTI_SZ,
    REG_QWORD,
    REG_SZ,
    TYPES,
    Hive,
    empty_hive,
)
from guestfix.formats.windows.regf.keys import SECURITY, SUBKEY_LIST
from guestfix.formats.windows.regf.lists import leaves, root_entries
from guestfix.formats.windows.regf.new import DEFAULT_SECURITY
from guestfix.formats.windows.regf.values import decode, encode
from tests.build.hive_oracles import corpus_hive, hivex, listing
from tests.build.hive_soundness import check
from tests.build.hives import fresh, sound


@pytest.mark.parametrize(("minor", "kind"), [(3, b"lf"), (4, b"lf"), (5, b"lh"), (6, b"lh")])
def test_lists_are_of_the_versions_kind(minor: int, kind: bytes) -> None:
    hive = fresh(minor)
    for name in ("b", "a", "C", "\u00e9", "\u00c8"):
        hive.create_key(name)
    assert [key.name for key in hive.root.subkeys()] == ["a", "b", "C", "\u00c8", "\u00e9"]
    assert [leaf.kind for leaf in leaves(hive.store, hive.root.field(SUBKEY_LIST))] == [kind]
    sound(hive)


def as_li(hive: Hive) -> Hive:
    """Return the hive with the root's list made an index leaf, as old Windows has them."""
    data = bytearray(hive.to_bytes())
    start, _ = hive.store.cell(hive.root.field(SUBKEY_LIST))
    offsets = list(hive.root.subkey_offsets())
    struct.pack_into(f"<2sH{len(offsets)}I", data, start, b"li", len(offsets), *offsets)
    return Hive.open(bytes(data))


def test_index_leaves_are_read_grown_shrunk_and_kept() -> None:
    hive = fresh()
    for name in ("b", "d", "a"):
        hive.create_key(name)
    hive = as_li(hive)
    hive.create_key("c")
    hive.delete_key("b")
    assert [leaf.kind for leaf in leaves(hive.store, hive.root.field(SUBKEY_LIST))] == [b"li"]
    assert [key.name for key in hive.root.subkeys()] == ["a", "c", "d"]
    assert hive.key("D") is not None and hive.key("b") is None
    sound(hive)


def test_lists_split_where_windows_splits_them() -> None:
    hive = fresh()
    for number in range(507):
        hive.create_key(f"k{number:04}")
    assert root_entries(hive.store, hive.root.field(SUBKEY_LIST)) is None
    hive.create_key("k0507")
    assert [leaf.length for leaf in leaves(hive.store, hive.root.field(SUBKEY_LIST))] == [254, 254]
    for number in range(508, 3000):
        hive.create_key(f"k{number * 7919 % 2999:04}")
    lengths = [leaf.length for leaf in leaves(hive.store, hive.root.field(SUBKEY_LIST))]
    assert max(lengths) <= 507 and len(lengths) > 6
    sound(hive)
    for key in list(hive.root.subkeys()):
        if key.name != "k0100":
            hive.delete_key(key.name)
    assert [key.name for key in hive.root.subkeys()] == ["k0100"]
    hive.delete_key("k0100")
    assert hive.root.field(SUBKEY_LIST) == 0xFFFFFFFF
    sound(hive)


def test_index_root_of_a_real_hive_is_grown() -> None:
    data = corpus_hive("SYSTEM")
    hive = Hive.open(data)
    path = next(
        place for place in _big_keys(hive) if root_entries(hive.store, hive.key(place).field(SUBKEY_LIST)) is not None
    )
    for name in ("00000", "zzzzz", "{80000000-0000}"):
        hive.create_key(f"{path}\\{name}")
    found = check(hive.to_bytes())
    assert found.problems == [] and found.leaked == 0
    assert hive.key(f"{path}\\ZZZZZ") is not None


def _big_keys(hive: Hive) -> list[str]:
    from guestfix.formats.windows.regf.walk import walk

    return [place for place, key in walk(hive.root) if key.field(20) > 1012]


def test_keys_that_others_hashed_wrongly_are_found() -> None:
    hive = fresh()
    hive.create_key("\u00e9")
    data = bytearray(hive.to_bytes())
    leaf = next(leaves(hive.store, hive.root.field(SUBKEY_LIST)))
    struct.pack_into("<I", data, leaf.start + 4, 12345)
    again = Hive.open(bytes(data))
    assert again.key("\u00c9") is not None
    again.create_key("\u00c9")
    assert len(list(again.root.subkeys())) == 1


def test_security_cells_are_shared_and_counted() -> None:
    hive = fresh()
    other = DEFAULT_SECURITY[:4] + DEFAULT_SECURITY[4:].replace(b"\x3f\x00\x0f\x00", b"\x19\x00\x02\x00", 1)
    hive.create_key("A", security=other)
    hive.create_key("A\\Inherits")
    hive.create_key("B", security=other)
    hive.create_key("C")
    cells = {name: hive.key(name).field(SECURITY) for name in ("", "A", "A\\Inherits", "B", "C")}
    assert cells["A"] == cells["A\\Inherits"] == cells["B"] != cells["C"] == cells[""]
    assert hive.key("B").security == other
    sound(hive)
    hive.create_key("A\\Inherits", security=DEFAULT_SECURITY)
    hive.delete_key("B")
    sound(hive)
    hive.delete_key("A", recursive=True)
    found = check(sound(hive))
    assert len(found.security) == 1


def test_class_names() -> None:
    hive = fresh()
    hive.create_key("JD", class_name="0123abcd")
    hive.create_key("JD", class_name="0123abcd")
    again = Hive.open(sound(hive))
    assert again.key("JD").class_name == "0123abcd"
    again.create_key("JD", class_name="a much longer class name than the one before")
    assert Hive.open(sound(again)).key("JD").class_name.startswith("a much")
    again.delete_key("JD")
    sound(again)


def test_big_data_is_split_from_version_4_on() -> None:
    for minor, records in ((3, 0), (5, 1)):
        hive = fresh(minor)
        hive.set_value("Key", "Big", REG_BINARY, bytes(range(256)) * 256)
        data = sound(hive)
        assert data.count(b"db\x05\x00") == records
        assert Hive.open(data).get("Key", "Big") == bytes(range(256)) * 256
        hive.set_value("Key", "Big", REG_BINARY, b"small now")
        hive.set_value("Key", "Other", REG_BINARY, bytes(16345))
        sound(hive)


def test_data_of_old_hives_is_bounded() -> None:
    """Windows allows 1 MiB before version 1.4, where big data came."""
    for minor, allowed in ((3, False), (4, True)):
        hive = fresh(minor)
        hive.set_value("Key", "Most", REG_BINARY, bytes(1 << 20))
        if not allowed:
            with pytest.raises(EditError, match="longer than Windows allows"):
                hive.set_value("Key", "More", REG_BINARY, bytes((1 << 20) + 1))
        else:
            hive.set_value("Key", "More", REG_BINARY, bytes((1 << 20) + 1))
        assert check(hive.to_bytes()).problems == []


def test_more_than_hivex_can_write() -> None:
    hive = fresh()
    hive.set_value("Key", "Big", REG_BINARY, b"x" * 3_000_000)
    hive.set_value("Key", "Other", REG_DWORD, 1)
    assert hivex().read(hive.to_bytes()) == listing(hive)
    assert check(hive.to_bytes()).problems == []


def test_data_that_fits_stays_in_its_cell() -> None:
    hive = fresh()
    hive.set_value("Key", "Text", REG_SZ, "0123456789")
    before = hive.to_bytes()
    hive = Hive.open(before)
    hive.set_value("Key", "Text", REG_SZ, "012345678")
    after = hive.to_bytes()
    assert len(after) == len(before)
    assert sum(one != other for one, other in zip(before[4096:], after[4096:], strict=True)) <= 4


def test_freed_cells_are_wiped() -> None:
    hive = fresh()
    hive.set_value("Winlogon", "DefaultPassword", REG_SZ, "hunter2 hunter2")
    hive.set_value("Winlogon", "Other", REG_SZ, "stays")
    hive.delete_value("Winlogon", "DefaultPassword")
    data = sound(hive)
    assert "hunter2".encode("utf-16-le") not in data and b"DefaultPassword" not in data


def test_repeated_edits_do_not_grow_the_hive() -> None:
    hive = fresh()
    hive.set_value("Key", "Value", REG_BINARY, bytes(100))
    size = len(hive.to_bytes())
    for number in range(300):
        hive.set_value("Key", "Value", REG_BINARY, bytes(100 + number % 37))
        hive.set_value("Key\\Sub", f"v{number}", REG_DWORD, number)
        hive.delete_key("Key\\Sub")
    assert len(sound(hive)) <= size + 4096


def test_timestamps_come_only_from_the_caller() -> None:
    data = empty_hive("TEST", timestamp=1000)
    hive = Hive.open(data)
    hive.set_value("Key", "Value", REG_DWORD, 1)
    assert hive.key("Key").timestamp == hive.root.timestamp == 1000
    hive = Hive.open(hive.to_bytes(), timestamp=2000)
    hive.set_value("Key", "Value", REG_DWORD, 2)
    hive.create_key("Other")
    stamps = {name: hive.key(name).timestamp for name in ("", "Key", "Other")}
    assert stamps == {"": 2000, "Key": 2000, "Other": 2000}


def test_sequence_numbers_and_checksum() -> None:
    hive = fresh()
    hive.create_key("Key")
    header = Hive.open(hive.to_bytes()).header
    assert (header.sequence1, header.sequence2, header.sum_ok, header.file_name) == (2, 2, True, "TEST")


@pytest.mark.parametrize("path", ["a\\\\b", "x" * 256, "a\0b", "\U0001f4be" * 128])
def test_names_that_windows_has_not_are_refused(path: str) -> None:
    hive = fresh()
    with pytest.raises(EditError):
        hive.create_key(path)


@pytest.mark.parametrize(
    ("kind", "data"),
    [
        (REG_DWORD, -1),
        (REG_DWORD, 1 << 32),
        (REG_DWORD, "1"),
        (REG_SZ, 1),
        (REG_SZ, "a\0"),
        (REG_MULTI_SZ, ["a", ""]),
        (3, "x"),
    ],
)
def test_data_that_does_not_fit_its_type_is_refused(kind: int, data: object) -> None:
    with pytest.raises(EditError):
        encode(kind, data)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("kind", "raw", "decoded"),
    [
        (REG_SZ, b"a\0\0\0junk", "a"),
        (REG_SZ, b"a\0b", "a"),
        (REG_SZ, b"", ""),
        (REG_SZ, b"\x3d\xd8", "\ud83d"),
        (REG_DWORD, b"\x01\0\0\0", 1),
        (REG_DWORD, b"\x01\0", b"\x01\0"),
        (TYPES["REG_DWORD_BIG_ENDIAN"], b"\0\0\0\x01", 1),
        (REG_QWORD, b"\x01" + bytes(7), 1),
        (REG_MULTI_SZ, b"a\0\0\0b\0\0\0\0\0", ["a", "b"]),
        (REG_MULTI_SZ, b"a\0\0\0b\0", ["a", "b"]),
        (REG_MULTI_SZ, b"", []),
        (REG_MULTI_SZ, b"\0\0", []),
        (REG_BINARY, b"a", b"a"),
        (0xFFFF0011, b"\xff", b"\xff"),
    ],
)
def test_decoding(kind: int, raw: bytes, decoded: object) -> None:
    assert decode(kind, raw) == decoded


def test_root_and_keys_with_subkeys_are_not_deleted() -> None:
    hive = fresh()
    hive.create_key("A\\B")
    for path, recursive in (("", True), ("A", False)):
        with pytest.raises(EditError):
            hive.delete_key(path, recursive=recursive)
    assert hive.key("A\\B") is not None


def test_unknown_versions_are_only_read() -> None:
    data = bytearray(empty_hive("TEST", minor=6))
    struct.pack_into("<I", data, 24, 7)
    struct.pack_into("<I", data, 508, struct.unpack_from("<I", data, 508)[0] ^ 6 ^ 7)
    hive = Hive.open(bytes(data))
    assert list(hive.root.subkeys()) == []
    with pytest.raises(EditError, match="only read"):
        hive.create_key("x")


def test_a_name_is_never_listed_twice() -> None:
    """Windows finds no key with a wrong hash; a second one of that name would hide it for good."""
    hive = fresh()
    hive.create_key("abc")
    data = bytearray(hive.to_bytes())
    leaf = next(leaves(hive.store, hive.root.field(SUBKEY_LIST)))
    struct.pack_into("<I", data, leaf.start + 4, 12345)
    again = Hive.open(bytes(data))
    assert again.key("abc") is None
    with pytest.raises(EditError, match="wrong hash"):
        again.create_key("ABC")


def test_a_name_in_halves_of_pairs_is_the_same_name() -> None:
    """JSON and .reg files may hold a character as two halves of UTF-16, which is what a hive has too."""
    hive = fresh()
    hive.set_value("Services\\a\U0001f600", "v\U0001f600", 1, "text")
    halves = "Services\\A\ud83d\ude00"
    assert hive.key(halves) is not None
    hive.set_value(halves, "V\ud83d\ude00", 1, "text")
    again = Hive.open(hive.to_bytes())
    services = again.key("Services")
    assert services is not None and len(list(services.subkeys())) == 1
    assert [len(list(one.values())) for one in services.subkeys()] == [1]
    again.create_key("\ud83d\ude00")
    assert again.key("\U0001f600") is not None
    sound(again)


def test_values_without_data_are_read_and_replaced() -> None:
    hive = fresh()
    for name in ("Empty", "Other"):
        hive.set_value("Key", name, REG_BINARY, b"1234")
    value = hive.value("Key", "Empty")
    data = bytearray(hive.to_bytes())
    struct.pack_into("<II", data, 4096 + value.offset + 8, 0, 0xFFFFFFFF)  # as Windows stores a tombstone
    hive = Hive.open(bytes(data))
    assert hive.value("Key", "Empty").data == b""
    hive.set_value("Key", "Other", REG_BINARY, b"longer than inline")
    hive.set_value("Key", "Empty", REG_BINARY, b"longer than inline")
    hive.delete_value("Key", "Other")
    sound(hive)


def test_what_follows_the_last_bin_is_kept_until_a_bin_needs_the_room() -> None:
    data = empty_hive("TEST")
    hive = Hive.open(data + b"\xaa" * 10_000)
    hive.set_value("Key", "Small", REG_DWORD, 1)
    assert hive.to_bytes()[len(data) :] == b"\xaa" * 10_000
    hive.set_value("Key", "Big", REG_BINARY, bytes(5000))
    after = hive.to_bytes()
    assert len(after) == len(data) + 10_000 and after[len(data) + 8192 :] == b"\xaa" * (10_000 - 8192)
    assert check(after).problems == []


def test_the_same_edits_give_the_same_bytes() -> None:
    made = []
    for _ in range(2):
        hive = Hive.open(corpus_hive("BCD"))
        for number in range(50):
            hive.set_value(f"Objects\\{{{number}}}", "Value", REG_BINARY, bytes(number * 9))
        hive.delete_key("Objects\\{7}")
        made.append(hive.to_bytes())
    assert made[0] == made[1]
    assert check(made[0]).problems == []


def test_reading_needs_no_copy() -> None:
    with tempfile.TemporaryFile() as file:
        file.write(empty_hive("TEST"))
        file.flush()
        view = mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ)
        hive = Hive.open(view)
        assert hive.key("None") is None and hive.store.data is view
        assert hive.to_bytes() == empty_hive("TEST")
        hive.create_key("Key")
        assert view[:] == empty_hive("TEST") != hive.to_bytes()


def test_a_wrong_parent_pointer_misleads_nobody() -> None:
    hive = fresh()
    hive.set_value("A\\B", "Value", REG_DWORD, 1)
    hive.create_key("Other")
    data = bytearray(hive.to_bytes())
    struct.pack_into("<I", data, hive.key("A\\B").at + 16, hive.key("Other").offset)
    hive = Hive.open(bytes(data))
    hive.delete_key("A\\B")
    assert [place for place, _ in listing(hive)] == ["", "A", "Other"]
    sound(hive)
