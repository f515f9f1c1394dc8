"""A hive as a whole: opening it (with its logs), looking things up, changing it, and its new bytes."""

from __future__ import annotations

import struct
from collections.abc import Callable, Sequence

from guestfix.base.errors import EditError
from guestfix.formats.windows.regf import values
from guestfix.formats.windows.regf.keys import Key, split_path
from guestfix.formats.windows.regf.store import BASE, BadHive, Buffer, Store, checksum, read_header
from guestfix.formats.windows.regf.values import Data, Value

TYPE_CHECKING = False  # typing takes a tenth of the time of a small edit
if TYPE_CHECKING:
    from guestfix.formats.windows.regf.alloc import Allocator

MAX_MINOR = 6
"""The newest hive version 1.x that is written."""


class Hive:
    """An open hive. Reading is lazy; the first change copies the bytes, the original is never touched.

    ``header`` is the base block as found; ``dirty`` says that the last write to the file was not
    finished; ``recovered`` that the logs were replayed, so that what is read is what Windows would load;
    ``refusal`` is why the hive must not be changed, or "".
    """

    def __init__(self, original: Buffer, store: Store) -> None:
        self.original = original
        self.store = store
        self.header = read_header(original) if original[:4] == b"regf" else read_header(store.data)
        self.dirty = self.recovered = False
        self.refusal = ""
        self.timestamp: int | None = None
        self.sequence = max(self.header.sequence1, self.header.sequence2)
        self.changed = False
        self.touched_keys: dict[str, None] = {}
        self._broken = self._writing = self._sound = False
        self._allocator: Allocator | None = None

    @classmethod
    def open(cls, data: Buffer, logs: Sequence[Buffer] = (), *, timestamp: int | None = None) -> Hive:
        """Open a hive from its bytes (or an mmap) and those of its transaction logs, .LOG1 before .LOG2.

        The logs are used only where the hive is dirty; they are replayed in memory. Dirty without usable
        logs: it opens as it is and ``refusal`` says so. ``timestamp`` (FILETIME) becomes the
        last-written time of a changed hive and of every key that is changed or made; by default these keep
        theirs and new keys take their parent's, so that the same edits give the same bytes. Raises BadHive.
        """
        hive = cls(data, Store(data, read_header(data))) if is_clean(data) else cls._recover(data, logs)
        hive.timestamp = timestamp
        if not 3 <= hive.store.minor <= MAX_MINOR:
            hive.refusal = f"hive version 1.{hive.store.minor} is only read"
        return hive

    @classmethod
    def _recover(cls, data: Buffer, logs: Sequence[Buffer]) -> Hive:
        """Open a hive whose last write was not finished."""
        from guestfix.formats.windows.regf.logs import recover

        outcome = recover(data, logs)
        source = data if outcome.data is None else outcome.data
        hive = cls(data, Store(source, read_header(source)))
        hive.dirty, hive.recovered = True, outcome.data is not None
        hive.refusal = outcome.refusal
        hive.sequence = max(hive.sequence, outcome.sequence)
        return hive

    # reading

    @property
    def root(self) -> Key:
        """Return the root key. Raises BadHive where there is none."""
        return Key(self.store, self.store.u32(36))

    def key(self, path: str) -> Key | None:
        r"""Return the key at a path below the root (``Select``, ``ControlSet001\Services``), case ignored."""
        return self.root.find(path)

    def value(self, path: str, name: str) -> Value | None:
        """Return a key's value, or None where there is no such key or value."""
        found = self.key(path)
        return None if found is None else found.value(name)

    def get(self, path: str, name: str) -> object:
        """Return a value decoded (str, int, list of str, bytes), or None where it doesn't exist."""
        found = self.value(path, name)
        return None if found is None else found.decoded

    # changing

    @property
    def allocator(self) -> Allocator:
        """Return the allocator of this hive's cells."""
        from guestfix.formats.windows.regf.alloc import Allocator

        if self._allocator is None:
            self._allocator = Allocator(self.store)
        return self._allocator

    def _edit(self, change: Callable[[], bool]) -> bool:
        """Do a change and return what it returns. Raises EditError; one that failed half-way is remembered."""
        if self.refusal:
            raise EditError(f"the hive is not changed: {self.refusal}")
        if self._broken:
            raise EditError("the hive is not changed: an earlier change of it failed half-way")
        self._writing = False
        try:
            return change()
        except BaseException as error:
            self._broken = self._writing
            if isinstance(error, BadHive):
                raise EditError(f"the hive is not changed: {error.what}") from error
            raise

    def touched(self) -> None:
        """Take note that bytes are about to change; called by the writer. Raises BadHive where they must not be."""
        if not self._sound:
            from guestfix.formats.windows.regf.tree import require_tree

            require_tree(self.store)
            self._sound = True
        self.changed = self._writing = True

    def diff(self) -> list[str]:
        """Return what the changes so far did to keys and values; see :mod:`guestfix.formats.windows.regf.diff`."""
        from guestfix.formats.windows.regf.diff import diff_keys

        before = Hive(self.original, Store(self.store.original, read_header(self.store.original)))
        return diff_keys(before, self, self.touched_keys)

    def set_value(self, path: str, name: str, kind: int, data: Data) -> bool:
        """Make a key have this value; keys of the path that are missing are created. Return whether it changed.

        ``kind`` is a type number; ``data`` raw bytes, or a str, int or list of str for the types that
        have them (a NUL is added to strings). Raises EditError.
        """
        from guestfix.formats.windows.regf import writer

        if not 0 <= kind <= 0xFFFFFFFF:
            raise EditError(f"{kind} is no number of a registry type")
        raw = values.encode(kind, data)
        self.touched_keys[path] = None
        return self._edit(lambda: writer.set_value(self, writer.make_key(self, path), name, kind, raw))

    def create_key(self, path: str, *, class_name: str = "", security: bytes = b"") -> Key:
        """Return the key at path; what is missing of it is created, with its parent's security descriptor.

        ``class_name`` and ``security`` (a self-relative descriptor) are given to the last key where they
        are not empty. Raises EditError.
        """
        from guestfix.formats.windows.regf import writer

        made: list[Key] = []

        def change() -> bool:
            key = writer.make_key(self, path)
            made.append(key)
            if class_name:
                writer.set_class(self, self._parent(path), key, class_name)
            if security:
                writer.set_security(self, key, security)
            return True

        self.touched_keys[path] = None
        self._edit(change)
        return made[0]

    def delete_value(self, path: str, name: str) -> bool:
        """Remove a value. Return whether there was one. Raises EditError."""
        from guestfix.formats.windows.regf import writer

        def change() -> bool:
            key = self.key(path)
            return key is not None and writer.delete_value(self, key, name)

        self.touched_keys[path] = None
        return self._edit(change)

    def delete_key(self, path: str, *, recursive: bool = False) -> bool:
        """Remove a key. Return whether there was one.

        Raises EditError where it is the root, or has subkeys and recursive is not set.
        """
        from guestfix.formats.windows.regf import writer

        def change() -> bool:
            key = self.key(path)
            if key is None:
                return False
            self.touched_keys[path] = None
            writer.delete_key(self, self._parent(path), key, recursive)
            return True

        return self._edit(change)

    def _parent(self, path: str) -> Key | None:
        """Return the key whose subkey the path names, or None for the root's path."""
        names = split_path(path)
        return self.root.find("\\".join(names[:-1])) if names else None

    def to_bytes(self) -> bytes:
        """Return the hive's bytes: the very object that was opened where nothing was changed.

        A changed hive is clean: its sequence numbers are equal and above those of the file and its logs,
        so that Windows does not replay these over it; its checksum is right.
        """
        if self._broken:
            raise EditError("the hive is not written: a change of it failed half-way")
        if not self.changed:
            return self.original if isinstance(self.original, bytes) else bytes(self.original)
        number = (self.sequence + 1) & 0xFFFFFFFF or 1
        self.store.put32(4, number)
        self.store.put32(8, number)
        if self.timestamp is not None:
            for place in (12, BASE + 20):  # the first bin has a copy of the base block's
                self.store.put(place, struct.pack("<Q", self.timestamp))
        self.store.put32(508, checksum(self.store.data))
        written = bytes(self.store.data)
        if self._sound:
            from guestfix.formats.windows.regf.tree import remember

            remember(written)
        return written


def is_clean(data: Buffer) -> bool:
    """Return whether the last write to the hive was finished, so that it needs no logs."""
    if len(data) < BASE or data[:4] != b"regf":
        return False
    return not read_header(data).dirty
