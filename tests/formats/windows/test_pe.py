from __future__ import annotations

import re
import shutil
import struct
import subprocess
import sysconfig
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from guestfix.formats.windows.pe import MACHINES, imports, machine
from tests.build.windows_payload import linked


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


@pytest.mark.parametrize("wide", [True, False])
def test_imports(wide: bool) -> None:
    assert imports(linked("ntoskrnl.exe", "storport.sys", wide=wide)) == ["ntoskrnl.exe", "storport.sys"]
    assert imports(linked(wide=wide)) == []


def test_imports_of_real_programs() -> None:
    """What binutils reads of the launchers that pip brings along."""
    folder = Path(sysconfig.get_paths()["purelib"])
    programs = sorted(folder.rglob("pip/_vendor/distlib/[tw]??.exe"))
    if not programs or shutil.which("objdump") is None:
        pytest.skip("no Windows program beside pip, or no objdump")
    for program in programs:
        said = subprocess.run(["objdump", "-p", program], capture_output=True, text=True, check=False).stdout
        names = re.findall(r"DLL Name: (\S+)", said)
        if names:
            assert imports(program.read_bytes()) == names


@given(st.binary(max_size=400), st.integers(0, 1100), st.integers(0, 255))
def test_law_imports_end(tail: bytes, at: int, byte: int) -> None:
    data = bytearray(linked("a.sys", "b.sys") + tail)
    data[at % len(data)] = byte
    assert len(imports(bytes(data))) <= 256
    assert imports(tail) == []
