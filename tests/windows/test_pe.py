from __future__ import annotations

import struct

import pytest
from hypothesis import given
from hypothesis import strategies as st

from guestfix.formats.pe import MACHINES, machine


def pe(number: int, at: int = 0x80) -> bytes:
    head = bytearray(b"MZ".ljust(at, b"\0") + b"PE\0\0" + struct.pack("<H", number))
    struct.pack_into("<I", head, 0x3C, at)
    return bytes(head)


@pytest.mark.parametrize(("number", "word"), MACHINES.items())
def test_machine(number: int, word: str) -> None:
    assert machine(pe(number)) == word


@pytest.mark.parametrize(
    "head",
    [b"", b"MZ", b"MZ" + b"\xff" * 62, pe(0x8664)[:-1], pe(0x8664).replace(b"PE", b"NE"), pe(0x1234), b"\x7fELF" * 40],
)
def test_no_pe(head: bytes) -> None:
    assert machine(head) is None


@given(st.binary(max_size=200))
def test_law_any_bytes(head: bytes) -> None:
    assert machine(head) is None or machine(head) in MACHINES.values()
    assert machine(b"MZ" + head) is None or machine(b"MZ" + head) in MACHINES.values()
