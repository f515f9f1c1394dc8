"""Damaged and forged hives: our own error or a plain result, never another exception, a crash or a hang."""

from __future__ import annotations

import struct
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from guestfix.base.errors import EditError, GuestfixError
from guestfix.formats.windows.regf import REG_BINARY, REG_DWORD, REG_SZ, BadHive, Hive, empty_hive, regexport
from guestfix.formats.windows.regf.diff import diff
from guestfix.formats.windows.regf.keys import CLASS, SECURITY, SUBKEY_LIST, SUBKEYS, VALUE_LIST, VALUES
from guestfix.formats.windows.regf.store import checksum
from guestfix.formats.windows.regf.walk import walk
from tests.build.hive_oracles import corpus_hive

LIMIT = 5.0
"""Seconds that anything with a small hive may take."""


def small_hive() -> bytes:
    hive = Hive.open(empty_hive("TEST"))
    for number in range(12):
        hive.set_value(f"Key{number}\\Sub", "Value", REG_SZ, f"text {number}")
        hive.set_value(f"Key{number}", "Number", REG_DWORD, number)
    hive.set_value("Big", "Data", REG_BINARY, bytes(40_000))
    hive.create_key("Classy", class_name="class")
    for number in range(520):
        hive.create_key(f"Many\\n{number}")
    return hive.to_bytes()


SMALL = small_hive()


@contextmanager
def quick() -> Iterator[None]:
    start = time.process_time()
    yield
    assert time.process_time() - start < LIMIT


def use(data: bytes) -> None:
    """Do everything that can be done with a hive; only our errors may come out."""
    try:
        hive = Hive.open(data)
    except BadHive:
        return
    for action in (read_all, export_all, compare, change, remove):
        try:
            action(data)
        except GuestfixError as error:
            assert str(error)
    assert hive.to_bytes() is data


def read_all(data: bytes) -> None:
    for _, key in walk(Hive.open(data).root):
        assert isinstance(key.name + key.class_name, str) and key.security is not None
        for value in key.values():
            assert value.decoded is not None and isinstance(value.text, str)


def export_all(data: bytes) -> None:
    for piece in regexport.export(Hive.open(data).root, "HKLM\\X"):
        assert piece


def compare(data: bytes) -> None:
    diff(Hive.open(SMALL), Hive.open(data))
    diff(Hive.open(data), Hive.open(SMALL))


def change(data: bytes) -> None:
    hive = Hive.open(data)
    hive.set_value("Key3", "Number", REG_DWORD, 99)
    hive.set_value("Key3\\Sub", "Value", REG_SZ, "a text that is longer than the one before")
    hive.set_value("Many\\n7\\deeper", "x", REG_BINARY, bytes(20_000))
    hive.create_key("Key4", security=b"x" * 40)
    assert Hive.open(hive.to_bytes()).get("Key3", "Number") == 99


def remove(data: bytes) -> None:
    hive = Hive.open(data)
    for name in ("Big", "Many", "Classy", "Key5", "Key6\\Sub"):
        hive.delete_key(name, recursive=True)
    hive.delete_value("Key7", "Number")
    hive.to_bytes()


def sealed(data: bytearray) -> bytes:
    struct.pack_into("<I", data, 508, checksum(data))
    return bytes(data)


HURTFUL = (0, 1, 8, 24, 32, 76, 0x78, 0xFFFF, 0x7FFFFFFF, 0x80000000, 0x80000004, 0xFFFFFFFF, 0xFFFFFFF8)
numbers = st.sampled_from(HURTFUL)
words = st.one_of(numbers, st.integers(0, 0xFFFFFFFF))
patches = st.lists(st.tuples(st.integers(0, len(SMALL) // 4 - 1), words), min_size=1, max_size=12)


@settings(max_examples=100, deadline=None, suppress_health_check=list(HealthCheck))
@given(patches)
def test_damaged_words(patched: list[tuple[int, int]]) -> None:
    data = bytearray(SMALL)
    for at, word in patched:
        struct.pack_into("<I", data, at * 4, word)
    with quick():
        use(sealed(data))


KINDS = (b"nk", b"vk", b"lh", b"ri", b"sk", b"db")
RECORDS = [at for at in range(4096, len(SMALL), 8) if SMALL[at + 4 : at + 6] in KINDS]


@settings(max_examples=120, deadline=None, suppress_health_check=list(HealthCheck))
@given(st.lists(st.tuples(st.sampled_from(RECORDS), st.integers(0, 19), st.data()), min_size=1, max_size=4), st.data())
def test_damaged_records(where: list[tuple[int, int, object]], draw: st.DataObject) -> None:
    """Fields of records are set to what hurts: offsets of other cells, huge counts, zero."""
    data = bytearray(SMALL)
    for at, field, _ in where:
        cell = draw.draw(st.one_of(numbers, st.sampled_from(RECORDS).map(lambda place: place - 4096)))
        struct.pack_into("<I", data, at + field * 4, cell)
    with quick():
        use(sealed(data))


@settings(max_examples=60, deadline=None)
@given(st.binary(max_size=9000))
def test_noise(noise: bytes) -> None:
    for data in (noise, SMALL[:4096] + noise, b"regf" + noise, SMALL[: len(noise)]):
        with quick():
            use(data)
            with suppress(BadHive):
                Hive.open(data, (noise, SMALL))


@pytest.mark.parametrize("length", [0, 3, 4, 100, 511, 512, 4095, 4096, 5000, 8191, len(SMALL) - 1])
def test_truncated(length: int) -> None:
    with pytest.raises(BadHive):
        Hive.open(SMALL[:length])


# forged structures, each with the error that names the fault

Forge = Callable[[Hive, bytearray], None]


def node(hive: Hive, path: str) -> int:
    key = hive.key(path)
    assert key is not None
    return key.at


def put(data: bytearray, at: int, number: int) -> None:
    struct.pack_into("<I", data, at, number)


def child_is_parent(hive: Hive, data: bytearray) -> None:
    put(data, node(hive, "Key1") + SUBKEY_LIST, hive.root.field(SUBKEY_LIST))


def list_is_itself(hive: Hive, data: bytearray) -> None:
    put(data, node(hive, "Many") + SUBKEY_LIST, key := hive.root.field(SUBKEY_LIST))
    at = 4096 + key + 4
    data[at : at + 4] = b"ri\x01\x00"
    put(data, at + 4, key)


def lying_cell(hive: Hive, data: bytearray) -> None:
    put(data, node(hive, "Key2") - 4, 0x100000000 - 0x70000)


def free_cell(hive: Hive, data: bytearray) -> None:
    put(data, node(hive, "Key2") - 4, 96)


def zero_cell(hive: Hive, data: bytearray) -> None:
    put(data, node(hive, "Key2") - 4, 0)


def many_values(hive: Hive, data: bytearray) -> None:
    put(data, node(hive, "Key2") + VALUES, 0x01000000)


def long_name(hive: Hive, data: bytearray) -> None:
    struct.pack_into("<H", data, node(hive, "Key2") + 72, 0xFFF0)


def long_class(hive: Hive, data: bytearray) -> None:
    struct.pack_into("<H", data, node(hive, "Classy") + 74, 0xFFF0)


def class_elsewhere(hive: Hive, data: bytearray) -> None:
    put(data, node(hive, "Classy") + CLASS, 0x12345678)


def security_elsewhere(hive: Hive, data: bytearray) -> None:
    put(data, node(hive, "Key2") + SECURITY, hive.root.offset)


def long_list(hive: Hive, data: bytearray) -> None:
    struct.pack_into("<H", data, 4096 + hive.root.field(SUBKEY_LIST) + 6, 0xFFFF)


def one_segment_twice(hive: Hive, data: bytearray) -> None:
    value = hive.value("Big", "Data")
    assert value is not None
    record = 4096 + hive.store.u32(4096 + value.offset + 4 + 8) + 4
    segments = 4096 + struct.unpack_from("<I", data, record + 4)[0] + 4
    put(data, segments + 4, struct.unpack_from("<I", data, segments)[0])


def cell_in_a_cell(hive: Hive, data: bytearray) -> None:
    """The data of a value holds what looks like a cell with a value of its own."""
    value = hive.value("Big", "Data")
    assert value is not None
    record = 4096 + hive.store.u32(4096 + value.offset + 4 + 8) + 4
    segment = struct.unpack_from("<I", data, 4096 + struct.unpack_from("<I", data, record + 4)[0] + 4)[0]
    inside = 4096 + segment + 64
    struct.pack_into("<i2sHIIIHH4s", data, inside, -32, b"vk", 4, 0x80000004, 7, 4, 1, 0, b"Fake")
    cell = struct.unpack_from("<I", data, node(hive, "Key2") + VALUE_LIST)[0]
    put(data, 4096 + cell + 4, inside - 4096)


FORGED: list[tuple[Forge, str]] = [
    (child_is_parent, "found twice|deeper"),
    (list_is_itself, "no subkey list"),
    (lying_cell, "reaches into another bin|impossible size|outside"),
    (free_cell, "is free"),
    (zero_cell, "is free"),
    (many_values, "more values than there is room"),
    (long_name, "name longer"),
    (long_class, "class name"),
    (class_elsewhere, "outside the hive"),
    (security_elsewhere, "no sk record"),
    (long_list, "too short for 65535"),
    (one_segment_twice, "one segment twice"),
]


@pytest.mark.parametrize(("forge", "reason"), FORGED, ids=lambda one: getattr(one, "__name__", ""))
def test_forged_structures_are_named(forge: Forge, reason: str) -> None:
    data = bytearray(SMALL)
    forge(Hive.open(SMALL), data)
    with quick(), pytest.raises(BadHive, match=reason):
        read_all(bytes(data))
    with quick():
        use(bytes(data))


def test_values_shared_by_many_keys_end_an_export() -> None:
    """A few kilobytes of values, named by every key, would become gigabytes of text."""
    hive = Hive.open(empty_hive("X"))
    for number in range(200):
        hive.set_value("First", f"v{number}", REG_BINARY, bytes(1000))
    for number in range(1500):
        hive.create_key(f"Other\\k{number}")
    first = hive.key("First")
    assert first is not None
    data = bytearray(hive.to_bytes())
    for _, key in walk(hive.root):
        put(data, key.at + VALUES, first.field(VALUES))
        put(data, key.at + VALUE_LIST, first.field(VALUE_LIST))
    with quick(), pytest.raises(BadHive, match="more values than there is room"):
        export_all(bytes(data))


def test_keys_deeper_than_windows_allows_are_refused() -> None:
    hive = Hive.open(empty_hive("X"))
    hive.create_key("\\".join(["k" * 200] * 150))
    with pytest.raises(EditError, match="depth"):
        hive.create_key("\\".join(["k"] * 600))
    deep = Hive.open(empty_hive("X"))
    deep.create_key("\\".join(["k" * 200] * 200))
    with quick(), pytest.raises(BadHive, match="deeper than Windows allows"):
        export_all(deep.to_bytes())


def test_a_change_that_fails_half_way_is_never_written() -> None:
    data = bytearray(SMALL)
    hive = Hive.open(SMALL)
    put(data, 4096 + hive.root.field(SUBKEY_LIST), 0)  # the list's cell size: free
    hive = Hive.open(bytes(data))
    with pytest.raises(EditError):
        hive.create_key("New")
    hive = Hive.open(SMALL)
    hive.set_value("Key1", "first", REG_DWORD, 1)  # from here on the hive counts as looked at
    bad = hive.key("Key5")
    assert bad is not None
    hive.store.put32(bad.at + VALUE_LIST, bad.offset)
    with pytest.raises(EditError):
        hive.delete_key("Key5", recursive=True)
    with pytest.raises(EditError, match="half-way"):
        hive.to_bytes()
    with pytest.raises(EditError, match="half-way"):
        hive.set_value("Key1", "x", REG_DWORD, 1)


def test_cells_inside_others_end_walks_of_the_whole_hive() -> None:
    data = bytearray(SMALL)
    cell_in_a_cell(Hive.open(SMALL), data)
    for action in (export_all, compare):
        with pytest.raises(BadHive, match="lies inside another one"):
            action(bytes(data))
    use(bytes(data))


def test_overlapping_cells_are_not_written() -> None:
    """A cell that claims its neighbour's bytes is seen before it is freed or grown."""
    hive = Hive.open(SMALL)
    key = hive.key("Key5")
    assert key is not None
    data = bytearray(SMALL)
    size = -struct.unpack_from("<i", SMALL, key.at - 4)[0]
    struct.pack_into("<i", data, key.at - 4, -(size + 8))
    hive = Hive.open(bytes(data))
    with pytest.raises(EditError):
        hive.set_value("Key5", "Number", REG_SZ, "longer than a number is")


@pytest.mark.parametrize("count", [SUBKEYS])
def test_a_wrong_count_of_subkeys_forbids_new_ones(count: int) -> None:
    data = bytearray(SMALL)
    put(data, Hive.open(SMALL).root.at + count, 77)
    with pytest.raises(EditError, match="not as many subkeys"):
        Hive.open(bytes(data)).create_key("New")


def test_real_corrupted_hive_in_every_use() -> None:
    use(corpus_hive("corrupted_system_hive"))
