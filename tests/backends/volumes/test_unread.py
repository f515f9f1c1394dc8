"""Filesystems that no backend reads: told by their first bytes, with who reads them."""

from __future__ import annotations

import io
import struct
from pathlib import Path

import pytest

from guestfix.backends import open_guest
from guestfix.backends.volumes.probe import probe
from guestfix.base.errors import GuestError

MIB = 1 << 20


class Memory(io.BytesIO):
    """A block device in memory."""

    def __init__(self, image: bytes) -> None:
        super().__init__(image)
        self.size = len(image)


def ufs(at: int, magic: int, order: str = "<", label: bytes = b"") -> bytes:
    image = bytearray(MIB)
    struct.pack_into(f"{order}I", image, at + 1372, magic)
    struct.pack_into(f"{order}2I", image, at + 144, 0x6B0CDC51, 0x6B8B4567)
    image[at + 680 : at + 680 + len(label)] = label
    return bytes(image)


@pytest.mark.parametrize(
    ("image", "label"),
    [
        (ufs(65536, 0x19540119, label=b"rootfs"), "rootfs"),
        (ufs(8192, 0x19540119, ">"), None),
        (ufs(8192, 0x11954), None),
        (ufs(262144, 0x19540119), None),
    ],
)
def test_ufs_is_told_as_blkid_tells_it(image: bytes, label: str | None) -> None:
    found = probe(Memory(image))
    assert found is not None and (found.type, found.uuid, found.label) == ("ufs", "6b0cdc516b8b4567", label)


@pytest.mark.parametrize("at", [65536, 8192])
def test_another_number_is_none(at: int) -> None:
    assert probe(Memory(ufs(at, 0x19540118))) is None


def test_a_member_of_a_pool(tmp_path: Path) -> None:
    image = bytearray(MIB)
    image[16384:16416] = b"\1\1\0\0 pool_guid \0 vdev_tree \0    "
    found = probe(Memory(bytes(image)))
    assert found is not None and found.type == "zfs_member"


@pytest.mark.parametrize(("image", "word"), [(ufs(65536, 0x19540119), "ufstype"), (b"", "disk images")])
def test_who_reads_it_is_said(tmp_path: Path, image: bytes, word: str) -> None:
    disk = tmp_path / "disk.img"
    disk.write_bytes(image.ljust(4 * MIB, b"\0"))
    with pytest.raises(GuestError) as caught:
        open_guest(str(disk))
    assert word in caught.value.remedy
