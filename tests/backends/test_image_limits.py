"""What an image shows of limits: hibernated swap and Windows dynamic disks."""

from __future__ import annotations

import io
import struct

import pytest

from guestfix.backends.layout.model import DiskInfo, Part
from guestfix.backends.layout.mounts import _disks
from guestfix.backends.volumes.names import Names
from guestfix.backends.volumes.partitions import LDM_TYPES, read_table
from guestfix.backends.volumes.probe import probe


class Bytes(io.BytesIO):
    """Bytes in memory as a Block."""

    def __init__(self, data: bytes) -> None:
        super().__init__(data)
        self.size = len(data)


def swap(magic: bytes) -> Bytes:
    data = bytearray(65536)
    data[1036:1052] = bytes(range(16))
    data[4086:4096] = magic
    return Bytes(bytes(data))


@pytest.mark.parametrize(
    ("magic", "kind"),
    [(b"SWAPSPACE2", "swap"), (b"S1SUSPEND\0", "swsuspend"), (b"LINHIB0001", "swsuspend"), (b"\0" * 10, None)],
)
def test_hibernated_swap(magic: bytes, kind: str | None) -> None:
    found = probe(swap(magic))
    assert (found.type if found else None) == kind
    assert found is None or found.uuid == "00010203-0405-0607-0809-0a0b0c0d0e0f"


def mbr(kind: int) -> Bytes:
    data = bytearray(4 * 1024 * 1024)
    data[446:462] = struct.pack("<B3sB3sII", 0x80, b"\0\2\0", kind, b"\0\0\0", 2048, 4096)
    data[510:512] = b"\x55\xaa"
    return Bytes(bytes(data))


@pytest.mark.parametrize(("kind", "table"), [(0x42, "ldm"), (0x07, "mbr")])
def test_dynamic_disks(kind: int, table: str) -> None:
    found = read_table(mbr(kind))
    parts = [Part(0, None, 0, one.number, type=one.type) for one in found.partitions]
    assert len(parts) == 1
    names = Names()
    names.add(0, ["/dev/sda1"])
    disks = _disks([DiskInfo(4 << 20, found.kind)], parts, names)
    assert disks.disks[0].table == table


def test_types_are_written_as_the_reader_writes_them() -> None:
    assert all(one == one.lower() for one in LDM_TYPES)
