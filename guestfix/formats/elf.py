"""What an ELF program or library asks of the loader: its interpreter, its libraries, and where they may lie.

Source: elf(5), ld.so(8); System V ABI, chapters 4 and 5.
"""

from __future__ import annotations

import struct

from guestfix.base.record import frozen

_LOAD, _DYNAMIC, _INTERP = 1, 2, 3
_NEEDED, _STRTAB, _RPATH, _RUNPATH = 1, 5, 15, 29
_MOST_HEADERS, _MOST_ENTRIES, _LONGEST = 256, 4096, 4096


@frozen
class Program:
    """An ELF file. ``machine`` tells word size, byte order and processor: only files of one machine go together.

    ``folders`` are where its libraries are looked for first, as written (``$ORIGIN`` is the file's own folder).
    """

    machine: tuple[int, int, int]
    interpreter: str
    needed: tuple[str, ...]
    folders: tuple[str, ...]


def machine_of(head: bytes) -> tuple[int, int, int] | None:
    """Return the machine that a file with these first 20 bytes is for, None where it is no ELF file."""
    if head[:4] != b"\x7fELF" or len(head) < 20 or head[5] not in (1, 2):
        return None
    return head[4], head[5], int.from_bytes(head[18:20], "little" if head[5] == 1 else "big")


def read(data: bytes) -> Program | None:
    """Return what an ELF file asks for, None where it is none or damaged. Never raises."""
    try:
        return _read(data)
    except (struct.error, KeyError, IndexError, OverflowError):
        return None


def _read(data: bytes) -> Program | None:
    machine = machine_of(data)
    if machine is None:
        return None
    wide, order = {1: False, 2: True}[data[4]], {1: "<", 2: ">"}[data[5]]
    at = struct.unpack_from(f"{order}Q", data, 32)[0] if wide else struct.unpack_from(f"{order}I", data, 28)[0]
    size, count = struct.unpack_from(f"{order}HH", data, 54 if wide else 42)
    loads, dynamic, interpreter = [], (0, 0), ""
    for index in range(min(count, _MOST_HEADERS)):
        kind, offset, address, length = _header(data, at + index * size, wide, order)
        if kind == _LOAD:
            loads.append((address, offset, length))
        elif kind == _DYNAMIC:
            dynamic = offset, length
        elif kind == _INTERP:
            interpreter = _text(data, offset)
    entries = _entries(data, dynamic, wide, order)
    strings = next((_offset(value, loads) for tag, value in entries if tag == _STRTAB), 0)
    needed = tuple(_text(data, strings + value) for tag, value in entries if tag == _NEEDED)
    paths = [_text(data, strings + value) for tag, value in entries if tag in (_RPATH, _RUNPATH)]
    folders = tuple(folder for path in paths for folder in path.split(":") if folder)
    return Program(machine, interpreter, needed, folders)


def _header(data: bytes, at: int, wide: bool, order: str) -> tuple[int, int, int, int]:
    if wide:
        kind, _, offset, address, _, length = struct.unpack_from(f"{order}IIQQQQ", data, at)
    else:
        kind, offset, address, _, length = struct.unpack_from(f"{order}IIIII", data, at)
    return kind, offset, address, length


def _entries(data: bytes, place: tuple[int, int], wide: bool, order: str) -> list[tuple[int, int]]:
    offset, length = place
    form = struct.Struct(f"{order}QQ" if wide else f"{order}II")
    found = []
    for index in range(min(length // form.size, _MOST_ENTRIES)):
        tag, value = form.unpack_from(data, offset + index * form.size)
        if tag == 0:
            break
        found.append((tag, value))
    return found


def _offset(address: int, loads: list[tuple[int, int, int]]) -> int:
    return next((offset + address - start for start, offset, length in loads if 0 <= address - start < length), 0)


def _text(data: bytes, at: int) -> str:
    return data[at : at + _LONGEST].split(b"\0", 1)[0].decode("utf-8", "surrogateescape")
