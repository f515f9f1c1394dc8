r"""What changed between two states of a hive, as lines for the report.

::

    [ControlSet001\Services\viostor]
    -"Start"=dword:00000003
    +"Start"=dword:00000000
    +[ControlSet001\Services\new]
    +"ImagePath"=str(2):"system32\\drivers\\new.sys"
    -[ControlSet001\Services\old]

A key that is new or gone is listed with its values and subkeys. Long data is cut, with its length, and shown from
shortly before where it differs.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import TYPE_CHECKING

from guestfix.formats.windows.regf.keys import Key, split_path
from guestfix.formats.windows.regf.names import printable, sort_key, upcase
from guestfix.formats.windows.regf.regexport import plain_text, quote
from guestfix.formats.windows.regf.store import PAGE, BadHive, Store
from guestfix.formats.windows.regf.values import (
    REG_BINARY,
    REG_DWORD,
    REG_EXPAND_SZ,
    REG_MULTI_SZ,
    REG_SZ,
    SEGMENT,
    decode,
    encode,
)
from guestfix.formats.windows.regf.walk import Budget, walk

if TYPE_CHECKING:
    from guestfix.formats.windows.regf.hive import Hive

MAX_SHOWN = 64
"""Bytes of binary data that a line shows."""
MAX_TEXT = 256
"""Characters of text that a line shows."""
_TEXTS = {REG_SZ: "", REG_EXPAND_SZ: "str(2):", REG_MULTI_SZ: "str(7):"}
MAX_LINES = 2000
"""Lines of one diff; the rest is counted."""


def diff(before: Hive, after: Hive) -> list[str]:
    """Return every difference between two hives, in the order of the keys. Raises BadHive.

    What lies in pages of the file that are equal in both is not looked at closely.
    """
    before.store.map_cells()
    after.store.map_cells()
    same = _Same(before.store, after.store)
    return _cut(_compare(before.root, after.root, same))


def diff_keys(before: Hive, after: Hive, paths: Iterable[str]) -> list[str]:
    """Return the differences in these keys only (and what is below those that came or went)."""
    lines: list[str] = []
    done: set[str] = set()
    for path in sorted(_tops(before, after, paths), key=lambda one: [sort_key(name) for name in split_path(one)]):
        if upcase(path) not in done:
            done.add(upcase(path))
            lines += _difference(path, before.key(path), after.key(path))
    return _cut(lines)


def _tops(before: Hive, after: Hive, paths: Iterable[str]) -> Iterator[str]:
    """Yield each path, cut after the first key that only one of the hives has: it is shown with all below it."""
    for path in paths:
        names, depth = split_path(path), 0
        old: Key | None = before.root
        new: Key | None = after.root
        while depth < len(names) and old is not None and new is not None:
            old, new, depth = old.subkey(names[depth]), new.subkey(names[depth]), depth + 1
        if old is not None or new is not None:
            yield "\\".join(names[:depth])


def _cut(lines: Iterable[str]) -> list[str]:
    found = list(lines)
    if len(found) <= MAX_LINES:
        return found
    return [*found[:MAX_LINES], f"... and {len(found) - MAX_LINES} more lines"]


def _difference(path: str, old: Key | None, new: Key | None) -> list[str]:
    if old is None and new is None:
        return []
    if new is None or old is None:
        whole = new or old
        assert whole is not None
        return _whole("-" if new is None else "+", path, whole)
    return _values_difference(path, old, new)


def _whole(sign: str, path: str, key: Key) -> list[str]:
    """Return the lines for a key that is new or gone, and all below it."""
    lines, budget = [], Budget(key.store)
    for place, one in walk(key, path):
        lines.append(f"{sign}[{printable(place)}]")
        lines += [sign + show(value.name, value.type, data) for value, data in budget.values(one)]
    return lines


def _values_difference(path: str, old: Key, new: Key) -> list[str]:
    """Return the lines for one key that both hives have, with its values but not its subkeys."""
    was = {upcase(value.name): (value.name, value.type, value.data) for value in old.values()}
    now = {upcase(value.name): (value.name, value.type, value.data) for value in new.values()}
    lines = []
    for name in [*was, *(name for name in now if name not in was)]:
        if was.get(name) != now.get(name):
            both = name in was and name in now and was[name][1] == now[name][1]
            skip = _skip(now[name][1], was[name][2], now[name][2]) if both else 0
            lines += [f"-{show(*was[name], skip)}"] if name in was else []
            lines += [f"+{show(*now[name], skip)}"] if name in now else []
    if old.class_name != new.class_name:
        lines += [f"-class {printable(quote(old.class_name))}", f"+class {printable(quote(new.class_name))}"]
    if old.security != new.security:
        lines.append(" security descriptor changed")
    return [f" [{printable(path)}]", *lines] if lines else []


def show(name: str, kind: int, data: bytes, skip: int = 0) -> str:
    """Return a value as one line, in the form that :func:`guestfix.formats.windows.regf.regtext.parse` reads.

    Long data is cut, with its length; ``skip`` is how many bytes at its start are left out as well.
    """
    lead = f"{printable(quote(name))}=" if name else "@="
    cut = "..." if skip else ""
    text = _text(kind, data)
    if text is not None:
        part = text[skip // 2 :]
        quoted = quote(part[:MAX_TEXT]).replace("\0", "\\0")
        end = f"... ({len(text)} characters)" if cut or len(part) > MAX_TEXT else ""
        return f"{lead}{_TEXTS[kind]}{cut}{quoted}{end}"
    if kind == REG_DWORD and len(data) == 4:
        return f"{lead}dword:{int.from_bytes(data, 'little'):08x}"
    digits = data[skip : skip + MAX_SHOWN].hex(",")
    end = f",... ({len(data)} bytes)" if cut or len(data) > MAX_SHOWN else ""
    return f"{lead}hex{'' if kind == REG_BINARY else f'({kind:x})'}:{cut}{digits}{end}"


def _text(kind: int, data: bytes) -> str | None:
    """Return a string's text, or a list's texts with NULs between them, where that tells all of the data."""
    if kind == REG_MULTI_SZ:
        texts = decode(kind, data)
        exact = isinstance(texts, list) and encode(kind, texts) == data and all(map(str.isprintable, texts))
        return "\0".join(texts) if exact and isinstance(texts, list) else None
    return plain_text(data) if kind in _TEXTS else None


def _skip(kind: int, old: bytes, new: bytes) -> int:
    """Return how many bytes two data of a value have in common at the start and need not be shown."""
    longest = max(len(old), len(new))
    if longest <= (MAX_TEXT * 2 if kind in _TEXTS else MAX_SHOWN):
        return 0
    pairs = enumerate(zip(old, new, strict=False))
    same = next((at for at, (one, other) in pairs if one != other), min(len(old), len(new)))
    return max(0, same - MAX_SHOWN // 2) & ~1


class _Same:
    """Which pages of two files are equal, for skipping what can't have changed."""

    def __init__(self, before: Store, after: Store) -> None:
        self._sums = [0]
        for at in range(0, max(before.end, after.end), PAGE):
            equal = before.data[at : at + PAGE] == after.data[at : at + PAGE]
            self._sums.append(self._sums[-1] + (not equal))

    def clean(self, start: int, end: int) -> bool:
        """Return whether all pages that the bytes from start to end lie in are equal."""
        return self._sums[start // PAGE] == self._sums[(end - 1) // PAGE + 1]

    def values(self, key: Key) -> bool:
        """Return whether the key node and its values can't differ, where both files have it at this offset."""
        store = key.store
        if not self.clean(*store.cell(key.offset)):
            return False
        for offset in key.value_offsets():
            start, end = store.cell(offset)
            size = store.u32(start + 4) if end - start >= 20 else SEGMENT + 1
            if not self.clean(start, end) or SEGMENT < size < 1 << 31:
                return False
            if 0 < size < 1 << 31 and not self.clean(*store.cell(store.u32(start + 8))):
                return False
        return not key.field(36) or self.clean(*store.cell(key.field(40)))


_Place = tuple["_Place", Key] | None


def _path(place: _Place) -> str:
    names: list[str] = []
    while place is not None and place[0] is not None:
        names.append(place[1].name)
        place = place[0]
    return "\\".join(reversed(names))


def _compare(old: Key, new: Key, same: _Same) -> Iterator[str]:
    """Yield the differences between two trees."""
    pending: list[tuple[_Place, Key | None, Key | None]] = [((None, new), old, new)]
    seen: tuple[set[int], set[int]] = (set(), set())
    while pending:
        place, was, now = pending.pop()
        if was is None or now is None:
            yield from _difference(_path(place), was, now)
            continue
        if was.offset in seen[0] or now.offset in seen[1]:
            raise BadHive(f"damaged hive: key {now.name!r} is found twice, so its keys form no tree")
        seen[0].add(was.offset)
        seen[1].add(now.offset)
        if was.offset != now.offset or not same.values(now):
            yield from _values_difference(_path(place), was, now)
        pending += reversed(list(_children(place, was, now, same)))


def _children(place: _Place, was: Key, now: Key, same: _Same) -> Iterator[tuple[_Place, Key | None, Key | None]]:
    """Yield the subkeys of both, paired by name; equal offsets in equal pages need no names."""
    olds, news = list(was.subkey_offsets()), list(now.subkey_offsets())
    if olds == news and all(same.clean(*now.store.cell(offset)) for offset in news):
        for offset in news:
            key = Key(now.store, offset)
            yield (place, key), Key(was.store, offset), key
        return
    left = {upcase(key.name): key for key in was.subkeys()}
    for key in now.subkeys():
        yield (place, key), left.pop(upcase(key.name), None), key
    for key in left.values():
        yield (place, key), key, None
