"""The .modinfo section of a kernel module: what modinfo(8) shows (ELF; the kernel's linux/moduleparam.h)."""

from __future__ import annotations

import struct

MAX_SECTIONS = 4096


def modinfo(data: bytes) -> list[tuple[str, str]]:
    """Return a module's (key, value) pairs, such as ``depends``, ``alias``, ``softdep``; empty where it has none.

    ``data`` is the module without compression, of any word size and byte order. Never raises.
    """
    try:
        section = _section(data, b".modinfo")
    except (struct.error, IndexError, KeyError, OverflowError):
        return []
    pairs = []
    for item in section.split(b"\0"):
        key, equals, value = item.decode("utf-8", "surrogateescape").partition("=")
        if equals:
            pairs.append((key, value))
    return pairs


def _section(data: bytes, wanted: bytes) -> bytes:
    if data[:4] != b"\x7fELF":
        return b""
    wide, order = data[4] == 2, {1: "<", 2: ">"}[data[5]]
    at = struct.unpack_from(f"{order}Q", data, 40)[0] if wide else struct.unpack_from(f"{order}I", data, 32)[0]
    size, count, names = struct.unpack_from(f"{order}HHH", data, 58 if wide else 46)
    form = f"{order}IIQQQQ" if wide else f"{order}IIIIII"
    heads = [struct.unpack_from(form, data, at + size * index) for index in range(min(count, MAX_SECTIONS))]
    strings = data[heads[names][4] : heads[names][4] + heads[names][5]]
    for name, _type, _flags, _address, offset, length in heads:
        if strings[name : name + len(wanted) + 1] == wanted + b"\0":
            return data[offset : offset + length]
    return b""


def depends(pairs: list[tuple[str, str]]) -> list[str]:
    """Return the names of the modules that a module needs, normalised."""
    return [
        name.replace("-", "_") for key, value in pairs if key == "depends" for name in value.split(",") if name.strip()
    ]
