"""A tree that meets every form in which XFS keeps something, and its description through any GuestFS.

Filled and described inside User-mode Linux by the kernel's own XFS; described outside by guestfix's.
"""

from __future__ import annotations

import ctypes
import errno
import fcntl
import hashlib
import json
import os
import random
import socket
import struct
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from guestfix.backends.directory import DirectoryGuest
from guestfix.base.guest import GuestFS
from tests.build.images import tricky

FICLONE = 0x40049409
ACL = struct.pack("<I", 2) + b"".join(
    struct.pack("<HHI", *one)
    for one in [
        (1, 7, 0xFFFFFFFF),
        (2, 5, 1234),
        (4, 5, 0xFFFFFFFF),
        (8, 4, 99),
        (16, 7, 0xFFFFFFFF),
        (32, 0, 0xFFFFFFFF),
    ]
)


def fill(base: Path) -> None:
    """Write the tree; needs root, and an XFS below base."""
    tricky(base / "tricky")
    folders(base / "folders")
    attributes(base / "attributes")
    data(base / "data")
    inodes(base / "inodes")


def folders(base: Path) -> None:
    """Directories inside the inode, in one block, with one leaf, with a tree, with holes, and of many extents."""
    for name, count in {"none": 0, "inode": 3, "block": 60, "leaf": 250, "tree": 1500}.items():
        folder = base / name
        folder.mkdir(parents=True)
        for index in range(count):
            os.symlink("x", folder / f"{name}-{index:04d}-{'n' * (index % 40)}")
    for index in range(1500):
        if index % 300 < 200 or index % 7 == 0:
            (base / "tree" / f"tree-{index:04d}-{'n' * (index % 40)}").unlink()
    scattered = base / "scattered"
    scattered.mkdir()
    for index in range(600):  # each block of the directory comes after one of a file, so that its extents are many
        os.symlink("y", scattered / f"{index:04d}{'m' * 200}")
        if index % 6 == 0:
            with (base / "between").open("ab") as stream:
                stream.write(b"z" * 8192)
                os.fsync(stream.fileno())
    for name in (b"\xff\xfe", "caf\u00e9".encode(), b"a" * 255, b"with space", b"\n", b".hidden"):
        os.symlink(b"t", os.fsencode(base) + b"/" + name)


def attributes(base: Path) -> None:
    """Attributes inside the inode, in one leaf, in a tree, with values of their own blocks; ACLs; on folders too."""
    base.mkdir()
    rng = random.Random(1)
    sizes = {"inode": [5, 0, 9], "leaf": [40] * 20, "tree": [60] * 300, "remote": [3000, 17, 65536, 4040, 4096, 8192]}
    for name, lengths in sizes.items():
        place = base / name
        place.write_text(name)
        for index, length in enumerate(lengths):
            space = ("user", "trusted", "security")[index % 3]
            os.setxattr(place, f"{space}.{name}-{index}", rng.randbytes(length))
    for index in range(0, 300, 2):
        space = ("user", "trusted", "security")[index % 3]
        os.removexattr(base / "tree", f"{space}.tree-{index}")
    (base / "acl").touch()
    os.setxattr(base / "acl", "system.posix_acl_access", ACL)
    (base / "folder").mkdir()
    os.setxattr(base / "folder", "system.posix_acl_default", ACL)
    os.setxattr(base / "folder", "security.selinux", b"system_u:object_r:etc_t:s0\0")
    (base / "folder" / "heir").mkdir()
    for index in range(40):  # the attributes are there first, then the folder outgrows what they leave of the inode
        (base / "folder" / f"{index}-{'o' * 30}").touch()


def data(base: Path) -> None:
    """Files of many extents, with holes, preallocated, shared and copied on write; links of every length."""
    base.mkdir()
    rng = random.Random(2)
    with (base / "tree").open("wb") as stream:
        for index in range(1500):
            stream.seek(8192 * index)
            stream.write(rng.randbytes(700))
    with (base / "few").open("wb") as stream:
        for index in range(9):
            stream.seek(12288 * index)
            stream.write(rng.randbytes(4097))
    with (base / "prealloc").open("wb") as stream:
        stream.write(b"begin")
        os.posix_fallocate(stream.fileno(), 0, 300_000)
        stream.seek(100_000)
        stream.write(b"middle")
        os.truncate(stream.fileno(), 290_001)
    (base / "origin").write_bytes(rng.randbytes(200_000))
    with (base / "origin").open("rb") as source, (base / "clone").open("wb") as target:
        try:
            fcntl.ioctl(target.fileno(), FICLONE, source.fileno())
        except OSError as error:
            assert error.errno in (errno.EOPNOTSUPP, errno.EINVAL), error
        target.seek(65536)
        target.write(b"changed" * 1000)
    (base / "hole").touch()
    os.truncate(base / "hole", 3_000_000_000_000)
    for length in (1, 59, 155, 156, 157, 335, 336, 337, 400, 500, 968, 969, 1000, 1023):
        os.symlink("l" * length, base / f"link-{length}")
    os.symlink("l" * 100, base / "link-attr")
    os.setxattr(base / "link-attr", "trusted.big", b"v" * 600, follow_symlinks=False)


def inodes(base: Path) -> None:
    """Every kind, wide owners, times far off, more inodes than one chunk has, and more names for one."""
    base.mkdir()
    for index in range(200):
        (base / f"{index}").write_text(f"{index}")
    for index in range(0, 200, 3):
        (base / f"{index}").unlink()
    os.mknod(base / "char", 0o20600, os.makedev(5, 1))
    os.mknod(base / "block", 0o60640, os.makedev(259, 300))
    os.mkfifo(base / "fifo")
    socket.socket(socket.AF_UNIX).bind(str(base / "socket"))
    os.chown(base / "1", 4_000_000_000, 3_999_999_999)
    os.chmod(base / "2", 0o7777)
    seconds = {"4": -1_000_000_000, "5": 0, "7": 2**31 - 1, "8": 2**32 + 17, "10": -(2**31), "11": 10_000_000_000}
    for name, when in seconds.items():
        os.utime(base / name, ns=(when * 10**9 + 123_456_789, when * 10**9 + 987_654_321))
    for index in range(30):
        os.link(base / "13", base / f"also-{index}")


def walk(guest: GuestFS, folder: str = "/") -> Iterator[str]:
    yield folder
    for name in guest.list(folder):
        path = f"{folder.rstrip('/')}/{name}"
        stat = guest.stat(path, follow=False)
        if stat is not None and stat.kind == "dir":
            yield from walk(guest, path)
        else:
            yield path


def told(guest: GuestFS, path: str) -> list[Any]:
    """Return all that a GuestFS says about one path, its bytes as a sum."""
    stat = guest.stat(path, follow=False)
    assert stat is not None, path
    facts: list[Any] = [stat.kind, stat.size, stat.mode, stat.uid, stat.gid, stat.mtime_ns, stat.atime_ns, stat.nlink]
    if stat.kind == "symlink":
        return [*facts, hashlib.sha256(os.fsencode(guest.readlink(path))).hexdigest()]
    if stat.kind == "file":
        with guest.open(path) as stream:
            total = hashlib.sha256()
            while chunk := stream.read(1 << 20) if stat.size < 1 << 26 else b"":
                total.update(chunk)
        facts.append(total.hexdigest())
    return [*facts, [[name, hashlib.sha256(value).hexdigest()] for name, value in guest.meta(path).xattrs]]


def describe(guest: GuestFS) -> dict[str, list[Any]]:
    """Return what is told about every path."""
    return {path: told(guest, path) for path in walk(guest)}


def crowd(base: Path) -> None:
    """Leave the free space in pieces that hold a part of an inode chunk each, then make inodes in them."""
    libc = ctypes.CDLL(None, use_errno=True)
    for index, size in enumerate((64 << 20, 1 << 20, 4096)):
        with (base / f"ballast-{index}").open("wb") as stream:
            at = 0
            while libc.fallocate64(stream.fileno(), 0, ctypes.c_int64(at), ctypes.c_int64(size)) == 0:
                at += size
    with (base / "ballast-0").open("r+b") as stream:
        for index in range(40):
            spot = (1 << 20) * index, 28 << 10
            assert libc.fallocate64(stream.fileno(), 3, *map(ctypes.c_int64, spot)) == 0
    for index in range(600):
        os.symlink("s", base / f"crowded-{index}")


def kernel(base: Path) -> list[Any]:
    """Return what the kernel says: every path, and the bytes that are free and there at all."""
    space = os.statvfs(base)
    return [describe(DirectoryGuest(str(base))), space.f_bavail * space.f_frsize, space.f_blocks * space.f_frsize]


if __name__ == "__main__":
    task, *places = sys.argv[1:]
    if task == "fill":
        for place in places:
            fill(Path(place))
    elif task == "crowd":
        crowd(Path(places[0]))
    else:
        with open(places.pop(), "r+b") as device:
            device.write(json.dumps([kernel(Path(place)) for place in places]).encode() + b"\n")
            os.fsync(device.fileno())
