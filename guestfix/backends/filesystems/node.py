"""What the image backend needs of a filesystem, and what its readers share."""

from __future__ import annotations

import struct
from abc import ABC, abstractmethod
from bisect import bisect_right
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from functools import cached_property
from typing import IO, Generic, Protocol, TypeVar

from guestfix.backends.volumes.block import COPY, Block, DiskError, SeekableBlock, read_at, told
from guestfix.base.errors import GuestfixError, TooLarge, Unreadable
from guestfix.base.guest import Space, Stat

MAX_DIR = 64 << 20
"""Bytes of one directory that are looked at."""

MAX_RUNS = 1 << 20
"""Pieces of one file."""

MAX_KEPT = 4096

Key = TypeVar("Key")
Value = TypeVar("Value")

Xattrs = tuple[tuple[str, bytes], ...]


class Memo(dict[Key, Value]):
    """What was read lately, by its number; all goes once there is much of it.

    ``functools.lru_cache`` over a method would hold the filesystem, and by it the image's descriptor, in a cycle.
    """

    def put(self, key: Key, value: Value) -> Value:
        """Keep a value and return it."""
        if len(self) >= MAX_KEPT:
            self.clear()
        self[key] = value
        return value


class Node(Protocol):
    """A file, directory or link of a filesystem inside an image. Raises guestfix's errors only."""

    def stat(self) -> Stat:
        """Return what lstat(2) would say."""

    def names(self) -> Sequence[str]:
        """Return the names in this directory, without ``.`` and ``..``."""

    def child(self, name: str) -> Node | None:
        """Return what is under this exact name in this directory."""

    def link(self) -> str:
        """Return a symbolic link's text."""

    def open(self) -> IO[bytes]:
        """Open a regular file's data; it can seek."""

    def xattrs(self) -> Xattrs:
        """Return the extended attributes as listxattr(2) and getxattr(2) give them, sorted."""


class Tree(Protocol):
    """A filesystem inside an image. ``case_insensitive`` as for GuestFS."""

    @property
    def case_insensitive(self) -> bool:
        """True for FAT and NTFS."""

    @property
    def warnings(self) -> tuple[str, ...]:
        """Sentences about the filesystem's state: not unmounted cleanly, hibernated."""

    def root(self, subvolume: str = "") -> Node:
        """Return the root directory; of a Btrfs subvolume (path or id) where one is named."""

    def space(self) -> Space | None:
        """Return the room on it."""


@contextmanager
def guarded(what: str) -> Iterator[None]:
    """Turn whatever a reader trips over in a damaged image into Unreadable; guestfix's own errors pass."""
    try:
        yield
    except GuestfixError:
        raise
    except Exception as error:
        text = f"{type(error).__name__}: {error}" if str(error) else type(error).__name__
        raise Unreadable(f"{what} can't be read, it looks damaged ({text[:200]})") from error


Entry = TypeVar("Entry")


class EntryNode(ABC, Generic[Entry]):
    """What the nodes of every filesystem share: names and children, from one table of a directory's entries.

    ``most_names`` bounds the table; where entries are read from blocks, MAX_DIR does already.
    """

    most_names = MAX_DIR

    @abstractmethod
    def read_entries(self) -> Iterable[tuple[str, Entry]]:
        """Yield names and entries of this directory; nothing where it is none. May raise whatever damage raises."""

    @abstractmethod
    def node(self, entry: Entry) -> Node:
        """Return what an entry stands for."""

    @cached_property
    def entries(self) -> dict[str, Entry]:
        """The directory's entries by name, without ``.`` and ``..``."""
        found: dict[str, Entry] = {}
        with guarded("a directory"):
            for name, entry in self.read_entries():
                if name not in (".", ".."):
                    found[name] = entry
                if len(found) > self.most_names:
                    raise TooLarge(f"more than {self.most_names} names in this directory")
        return found

    def names(self) -> Sequence[str]:
        """See Node."""
        return list(self.entries)

    def child(self, name: str) -> Node | None:
        """See Node."""
        if name not in self.entries:
            return None
        with guarded("a directory entry"):
            return self.node(self.entries[name])


def not_replayed(log: str, unclean: bool, lost: str = "the newest changes are missing") -> tuple[str, ...]:
    """Return the warning about a filesystem that was not unmounted, and whose log nobody replays here."""
    return (f"its {log} was not replayed: the guest was not shut down cleanly, so {lost}",) if unclean else ()


Run = tuple[int, int, int | None]
"""Start within the file, length, start on the device (None: zeros); all in bytes."""


class SpanFile(SeekableBlock):
    """A file's data as spans of it (start, length) in order. What no span covers is zero."""

    def __init__(self, spans: Iterable[tuple[int, int]], size: int) -> None:
        super().__init__()
        self.size = size
        self._spans = list(spans)
        self._starts = [start for start, _ in self._spans]

    def _next(self, count: int) -> bytes:
        index = bisect_right(self._starts, self._at) - 1
        if index >= 0:
            start, length = self._spans[index]
            within = self._at - start
            if within < length:
                return self._of(index, within, min(count, length - within))
        following = self._starts[index + 1] if index + 1 < len(self._starts) else self.size
        return bytes(min(count, max(1, following - self._at)))

    def _of(self, index: int, within: int, count: int) -> bytes:
        """Return at most so many bytes of a span, at least one."""
        raise NotImplementedError


class RunFile(SpanFile):
    """A file's data as pieces of a block device."""

    def __init__(self, block: Block, runs: list[Run], size: int) -> None:
        self.block, self.runs = block, sorted(runs, key=lambda run: run[0])
        super().__init__((run[:2] for run in self.runs), size)

    def _of(self, index: int, within: int, count: int) -> bytes:
        device = self.runs[index][2]
        if device is None:
            return bytes(count)
        data = read_at(self.block, device + within, count)
        if len(data) < count:
            raise DiskError(told("a file's data lies beyond the end of its disk; the image is truncated", COPY))
        return data


def acl_xattr(entries: Sequence[tuple[int, int, int]]) -> bytes:
    """Return POSIX ACL entries (tag, permissions, id) in the form of the system call (acl(5), version 2)."""
    return struct.pack("<I", 2) + b"".join(struct.pack("<HHI", tag, perm, who) for tag, perm, who in entries)
