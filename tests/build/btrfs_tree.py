"""A tree that meets every form in which Btrfs keeps something, filled and described by the kernel's own Btrfs."""

from __future__ import annotations

import json
import os
import random
import subprocess
import sys
from pathlib import Path
from typing import Any

from guestfix.backends.directory import DirectoryGuest
from tests.build.images import tricky
from tests.build.xfs_tree import describe, inodes

PACKINGS = ("zlib", "lzo", "zstd")


def fill(base: Path) -> None:
    """Write the tree; needs root, and a Btrfs at base."""
    tricky(base / "tricky")
    inodes(base / "inodes")
    (base / "attributes").mkdir()
    for index, length in enumerate((5, 0, 9, 40, 3000)):
        os.setxattr(base / "attributes", f"user.{index}", random.Random(index).randbytes(length))
    for name in (b"\xff\xfe", b"a" * 255, b"with space", b"\n", b".hidden"):
        os.symlink(b"t", os.fsencode(base) + b"/" + name)
    folder = base / "folder"
    folder.mkdir()
    for index in range(1200):
        os.symlink("x" * (index % 60 + 1), folder / f"{index:04d}-{'n' * (index % 40)}")
    data(base / "data")
    for packing in PACKINGS:
        place = base / packing
        place.mkdir()
        subprocess.run(["btrfs", "property", "set", str(place), "compression", packing], check=True)
        packed(place)
    subvolumes(base)


def data(base: Path) -> None:
    """Files within the tree, of many pieces, with holes, preallocated, shared in part."""
    base.mkdir()
    rng = random.Random(2)
    for length in (0, 1, 300, 2048, 4096, 5000):
        (base / f"small-{length}").write_bytes(rng.randbytes(length))
    with (base / "many").open("wb") as stream:
        for index in range(900):
            stream.seek(8192 * index)
            stream.write(rng.randbytes(700))
    with (base / "prealloc").open("wb") as stream:
        stream.write(b"begin")
        os.posix_fallocate(stream.fileno(), 0, 300_000)
        stream.seek(100_000)
        stream.write(b"middle")
    (base / "origin").write_bytes(rng.randbytes(400_000))
    subprocess.run(["cp", "--reflink=always", str(base / "origin"), str(base / "clone")], check=True)
    with (base / "clone").open("r+b") as stream:
        stream.seek(65536)
        stream.write(b"changed" * 1000)
    (base / "hole").touch()
    os.truncate(base / "hole", 3_000_000_000_000)


def packed(base: Path) -> None:
    """Texts, zeros and random bytes, packed where that pays; pieces of packed extents; short ones within the tree."""
    rng = random.Random(3)
    text = b"".join(b"%d bottles of beer on the wall, " % rng.randrange(1000) for _ in range(12_000))
    for name, content in {"text": text, "inline": text[:1500], "odd": text[:131_073], "zeros": bytes(400_000)}.items():
        (base / name).write_bytes(content)
    (base / "mixed").write_bytes(text[:70_000] + rng.randbytes(100_000) + b"a" * 99_999 + text[:1])
    os.sync()
    with (base / "text").open("r+b") as stream:
        stream.seek(50_000)
        stream.write(rng.randbytes(9000))


def subvolumes(base: Path) -> None:
    """Subvolumes in one another and below a folder, snapshots, one that is read only, and what they lack."""
    run = ["btrfs", "-q", "subvolume"]
    for name in ("@", "@/inner", "data/deep"):
        subprocess.run([*run, "create", str(base / name)], check=True)
        (base / name / "file").write_text(name)
    (base / "@/inner/below").mkdir()
    subprocess.run([*run, "snapshot", str(base / "@"), str(base / "snapshot")], check=True)
    subprocess.run([*run, "snapshot", "-r", str(base / "data/deep"), str(base / "frozen")], check=True)
    (base / "snapshot/file").write_text("changed since")


def kernel(base: Path) -> list[Any]:
    """Return what the kernel says: every path, and the subvolumes with their paths."""
    told = subprocess.run(["btrfs", "subvolume", "list", str(base)], check=True, capture_output=True, text=True).stdout
    rows = [line.split(maxsplit=8) for line in told.splitlines()]
    return [describe(DirectoryGuest(str(base))), {row[8]: int(row[1]) for row in rows}]


if __name__ == "__main__":
    task, *places = sys.argv[1:]
    if task == "fill":
        for place in places:
            fill(Path(place))
    else:
        with open(places.pop(), "r+b") as device:
            device.write(json.dumps([kernel(Path(place)) for place in places]).encode() + b"\n")
            os.fsync(device.fileno())
