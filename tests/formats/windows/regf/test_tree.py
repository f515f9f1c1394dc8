"""A hive whose keys form no tree is read, and never written: an edit would take a cell away from a second owner."""

from __future__ import annotations

import struct
from collections.abc import Callable

import pytest

from guestfix.base.errors import EditError
from guestfix.editors.windows import registry
from guestfix.formats.windows.regf import REG_DWORD, REG_SZ, Hive, empty_hive
from guestfix.formats.windows.regf.keys import SUBKEY_LIST, SUBKEYS, VALUE_LIST, VALUES
from guestfix.formats.windows.regf.lists import entries, leaves
from guestfix.formats.windows.regf.store import BadHive
from guestfix.formats.windows.regf.tree import check_tree
from tests.build.hive_oracles import corpus_hive


def sound() -> bytes:
    hive = Hive.open(empty_hive("X"))
    for key in ("A\\sub", "B\\sub", "C"):
        hive.set_value(key, "text", REG_SZ, f"a text of {key}, longer than four bytes")
        hive.set_value(key, "more", REG_SZ, "another")
    return hive.to_bytes()


def put(data: bytearray, at: int, value: int) -> None:
    struct.pack_into("<I", data, at, value)


def key_at(hive: Hive, path: str) -> int:
    key = hive.key(path)
    assert key is not None
    return key.at


def shared_key(hive: Hive, data: bytearray) -> None:
    leaf = next(iter(leaves(hive.store, hive.root.field(SUBKEY_LIST))))
    put(data, leaf.start + 8, entries(hive.store, leaf)[0])


def shared_list(hive: Hive, data: bytearray) -> None:
    put(data, key_at(hive, "B") + SUBKEY_LIST, hive.key("A").field(SUBKEY_LIST))


def shared_values(hive: Hive, data: bytearray) -> None:
    put(data, key_at(hive, "C") + VALUE_LIST, hive.key("A\\sub").field(VALUE_LIST))


def shared_value(hive: Hive, data: bytearray) -> None:
    start, _ = hive.store.cell(hive.key("C").field(VALUE_LIST))
    put(data, start, hive.key("A\\sub").value_offsets()[0])


def shared_data(hive: Hive, data: bytearray) -> None:
    one, two = (hive.store.cell(hive.key(path).value_offsets()[0])[0] for path in ("C", "A\\sub"))
    put(data, one + 8, hive.store.u32(two + 8))


def a_parent_below_itself(hive: Hive, data: bytearray) -> None:
    leaf = next(iter(leaves(hive.store, hive.key("A").field(SUBKEY_LIST))))
    put(data, leaf.start, hive.key("A").offset)


def list_of_another_kind(hive: Hive, data: bytearray) -> None:
    put(data, key_at(hive, "C") + SUBKEYS, 1)
    put(data, key_at(hive, "C") + SUBKEY_LIST, hive.key("C").field(VALUE_LIST))


def too_many_values(hive: Hive, data: bytearray) -> None:
    put(data, key_at(hive, "C") + VALUES, 1 << 30)


FAULTS = [
    shared_key, shared_list, shared_values, shared_value, shared_data,
    a_parent_below_itself, list_of_another_kind, too_many_values,
]  # fmt: skip


@pytest.mark.parametrize("fault", FAULTS)
def test_what_is_no_tree_is_refused_for_writing(fault: Callable[[Hive, bytearray], None]) -> None:
    data = bytearray(sound())
    fault(Hive.open(bytes(data)), data)
    source = bytes(data)
    with pytest.raises(EditError, match="damaged hive"):
        Hive.open(source).set_value("New", "x", REG_DWORD, 1)
    for edit in (
        lambda: registry.set_value(source, key="A", name="x", data="y"),
        lambda: registry.delete_key(source, key="C"),
    ):
        with pytest.raises(EditError):
            edit()


def test_it_is_still_read_and_an_edit_without_effect_stays_one() -> None:
    data = bytearray(sound())
    shared_data(Hive.open(bytes(data)), data)
    hive = Hive.open(bytes(data))
    assert isinstance(hive.get("C", "text"), str)
    assert not hive.set_value("B\\sub", "more", REG_SZ, "another")


def test_edits_of_a_sound_hive_leave_one_that_is_sound() -> None:
    hive = Hive.open(sound())
    hive.delete_key("A", recursive=True)
    hive.set_value("B\\sub", "text", REG_SZ, "much longer " * 400)
    check_tree(Hive.open(hive.to_bytes()).store)


@pytest.mark.parametrize("name", ["SYSTEM", "BCD", "transactions_NTUSER.DAT"])
def test_real_hives_are_trees(name: str) -> None:
    check_tree(Hive.open(corpus_hive(name)).store)


def test_the_real_corrupted_hive_is_told() -> None:
    with pytest.raises(BadHive):
        check_tree(Hive.open(corpus_hive("corrupted_system_hive")).store)


def test_names_longer_than_their_cells_are_refused() -> None:
    for place, length in ((72, 400), (2, 400)):
        data = bytearray(sound())
        hive = Hive.open(bytes(data))
        key = hive.key("C")
        assert key is not None
        at = key.at if place == 72 else hive.store.cell(key.value_offsets()[0])[0]
        struct.pack_into("<H", data, at + place, length)
        with pytest.raises(EditError, match="damaged hive"):
            Hive.open(bytes(data)).set_value("New", "x", REG_DWORD, 1)
