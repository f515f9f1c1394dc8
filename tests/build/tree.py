"""Build small guest trees and the binary headers in them."""

from __future__ import annotations

import os
import struct
from collections.abc import Mapping
from pathlib import Path


def build(root: Path, files: Mapping[str, object]) -> Path:
    """Write text or bytes at each path below root; ``("link", target)`` makes a link, None a folder."""
    for name, content in files.items():
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        if content is None:
            path.mkdir(exist_ok=True)
        elif isinstance(content, tuple):
            os.symlink(str(content[1]), path)
        else:
            path.write_bytes(content if isinstance(content, bytes) else str(content).encode())
    return root


def elf(machine: int = 62, *, bits: int = 64, big: bool = False) -> bytes:
    """Return the start of an ELF program for this machine."""
    ident = b"\x7fELF" + bytes([2 if bits == 64 else 1, 2 if big else 1, 1]) + bytes(9)
    return ident + struct.pack(">HH" if big else "<HH", 2, machine) + bytes(44)


def bzimage(release: str, *, wide: bool = True) -> bytes:
    """Return the start of an x86 kernel image that names this release (the Linux/x86 boot protocol)."""
    head = bytearray(0x400)
    head[0x1FE:0x200] = b"\x55\xaa"
    head[0x202:0x206] = b"HdrS"
    struct.pack_into("<H", head, 0x206, 0x020F)
    struct.pack_into("<H", head, 0x236, 1 if wide else 0)
    text = f"{release} (builder@host) #1 SMP\0".encode()
    struct.pack_into("<H", head, 0x20E, 0x400 - 0x200)
    return bytes(head) + text
