"""A tree that meets every form in which NTFS keeps something. Filled and described through ntfs-3g by a kernel."""

from __future__ import annotations

import json
import os
import random
import struct
import sys
from pathlib import Path

from guestfix.backends.directory import DirectoryGuest
from tests.build.xfs_tree import describe

PACKED = struct.pack("<I", 0x800)
LIST = 160


def fill(base: Path) -> None:
    """Write the tree; base is NTFS, mounted by ntfs-3g with -o compression."""
    folders(base / "folders")
    data(base / "data")
    packed(base / "packed")
    reparse(base / "links")


def folders(base: Path) -> None:
    """Directories within a record, of one block, and of a tree of two levels with holes; names of every length."""
    for name, count in {"none": 0, "record": 3, "block": 20, "tree": 400, "deep": 1200}.items():
        folder = base / name
        folder.mkdir(parents=True)
        for index in range(count):
            (folder / f"{name}-{index:04d}-{'n' * (index % 40)}").touch()
    for index in range(400):
        if index % 150 < 100 or index % 7 == 0:
            (base / "tree" / f"tree-{index:04d}-{'n' * (index % 40)}").unlink()
    for name in ("caf\u00e9", "a" * 255, "with space", ".hidden", "\u65e5\u672c", "\U0001f600 four", "UPPER lower"):
        (base / name).write_text(name)


def data(base: Path) -> None:
    """Files within their record, of many pieces over several records, sparse, not initialized to their end; links."""
    base.mkdir()
    rng = random.Random(2)
    for length in (0, 1, 300, 700, 720, 760, 5000):
        (base / f"small-{length}").write_bytes(rng.randbytes(length))
    with (base / "many").open("wb") as stream:  # more pieces than one record can tell
        for index in range(1200):
            stream.seek(131_072 * index)
            stream.write(rng.randbytes(700))
    with (base / "sparse").open("wb") as stream:
        for index in range(40):
            stream.seek(300_000 * index)
            stream.write(rng.randbytes(700))
    (base / "hole").touch()
    os.truncate(base / "hole", 3_000_000_000)
    (base / "streams").write_bytes(b"the file")
    os.setxattr(base / "streams", "user.other", rng.randbytes(9000))
    for index in range(40):
        os.link(base / "small-300", base / f"also-{index}-{'l' * 60}")
    for name, when in {"small-0": 0, "small-1": 1_000_000_000, "small-700": 2**32 + 17}.items():
        os.utime(base / name, ns=(when * 10**9 + 123_456_700, when * 10**9 + 987_654_300))


def packed(base: Path) -> None:
    """Files that NTFS packs: texts, zeros, what can't be packed, and all of it in one with holes."""
    base.mkdir()
    os.setxattr(base, "system.ntfs_attrib_be", struct.pack(">I", 0x810))
    rng = random.Random(3)
    text = b"".join(b"%d bottles of beer on the wall, " % rng.randrange(1000) for _ in range(20_000))
    (base / "text").write_bytes(text)
    (base / "short").write_bytes(text[:5000])
    (base / "zeros").write_bytes(bytes(400_000) + b"end")
    (base / "random").write_bytes(rng.randbytes(300_001))
    pieces = [text[:70_000], bytes(200_000), rng.randbytes(100_000), b"a" * 99_999, text[:1], b"xyz" * 30_000]
    (base / "mixed").write_bytes(b"".join(pieces))
    with (base / "holes").open("wb") as stream:
        for index in range(9):
            stream.seek(200_000 * index)
            stream.write(text[: 30_000 + index])


def reparse(base: Path) -> None:
    """Symbolic links and junctions as Windows makes them."""
    base.mkdir()
    (base / "target").mkdir()
    os.setxattr(base / "target", "user.none", b"")
    links = {"file": "target\\x", "folder": "..\\folders", "wide": "\u65e5"}
    for name, target in links.items():
        place = base / name
        place.mkdir() if name == "folder" else place.touch()
        os.setxattr(place, "system.ntfs_reparse_data", symlink(target))
    (base / "junction").mkdir()
    os.setxattr(base / "junction", "system.ntfs_reparse_data", junction("\\??\\C:\\folders\\block"))


def symlink(target: str) -> bytes:
    """Return a relative symbolic link's reparse point ([MS-FSCC] 2.1.2.4)."""
    text = target.encode("utf-16-le")
    body = struct.pack("<HHHHI", 0, len(text), len(text), len(text), 1) + text * 2
    return struct.pack("<IHH", 0xA000000C, len(body), 0) + body


def junction(target: str) -> bytes:
    """Return a junction's reparse point ([MS-FSCC] 2.1.2.5)."""
    text = target.encode("utf-16-le") + b"\0\0"
    body = struct.pack("<HHHH", 0, len(text) - 2, len(text), 0) + text + b"\0\0"
    return struct.pack("<IHH", 0xA0000003, len(body), 0) + body


def told(base: Path) -> list[object]:
    """Return what ntfs-3g says: every path, and the bytes that are free."""
    space = os.statvfs(base)
    return [describe(DirectoryGuest(str(base))), space.f_bfree * space.f_frsize]


if __name__ == "__main__":
    task, *places = sys.argv[1:]
    if task == "fill":
        for place in places:
            fill(Path(place))
    else:
        with open(places.pop(), "r+b") as device:
            device.write(json.dumps([told(Path(place)) for place in places]).encode() + b"\n")
            os.fsync(device.fileno())
