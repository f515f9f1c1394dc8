"""From an overlay's drafts to the changes of a Plan: states before and after, splices, diffs."""

from __future__ import annotations

import difflib
import itertools
from collections.abc import Iterable, Iterator, Sequence

from guestfix.base.bounds import DIFF_LINES, DIFF_SHOWN, DIFF_STEPS
from guestfix.base.digest import digest_bytes, state_of
from guestfix.base.edit import Link, Splice
from guestfix.base.errors import GuestError
from guestfix.base.guest import GuestFS, Meta
from guestfix.base.overlay import BIG, Draft, Overlay
from guestfix.base.secrets import masked_lines
from guestfix.base.text import one_line
from guestfix.plan.labels import with_label
from guestfix.plan.model import Change, new_chunks

BLOCK = 4096
WHOLE = 1 << 20
"""Files up to this size get one splice; larger ones are compared block by block."""
AHEAD = 24
"""Lines, of both files together, that are looked ahead for where they meet again."""

CONTEXT = 3

Sides = tuple[Sequence[str], Sequence[str]]
"""Lines of a file before and after."""


def changes_of(overlay: Overlay) -> tuple[Change, ...]:
    """Return every path whose planned state differs from the guest's, sorted by path."""
    found = [_change(overlay.base, draft) for draft in overlay.drafts()]
    return tuple(change for change in found if change is not None)


def _change(base: GuestFS, draft: Draft) -> Change | None:
    rules = tuple(draft.rules)
    before = state_of(base, draft.path)
    if draft.splices is not None:
        return _spliced(base, draft, before, rules)
    if draft.content is None:
        if before is None:
            return None
        return Change(draft.path, "delete", rules, before, None, diff=_diff_of_delete(base, draft, before))
    if isinstance(draft.content, Link):
        after = f"link:{draft.content.target}"
        if after == before:
            return None
        shown = f"--- {one_line(before or 'nothing')}\n+++ link to {one_line(draft.content.target)}\n"
        return Change(draft.path, "link", rules, before, after, meta=_new_meta(base, draft, "symlink"), diff=shown)
    after = digest_bytes([draft.content])
    if after == before:
        return None
    old = base.read(draft.path, BIG) if before is not None else b""
    return Change(
        draft.path,
        "edit" if before is not None else "create",
        rules,
        before,
        after,
        tuple(make_splices(old, draft.content)),
        None if before is not None else _new_meta(base, draft, "file"),
        _own(draft) or unified(draft.path, _file_bytes(before, old), draft.content, existed=before is not None),
        len(draft.content),
    )


def _own(draft: Draft) -> str:
    """Return what an editor shows of its change in its own form, each line after its sign, without secrets."""
    lines = draft.diff.splitlines(keepends=True)
    shown = masked_lines(draft.path, [line[1:] for line in lines])
    return "".join(line[:1] + rest for line, rest in zip(lines, shown, strict=True))


def _new_meta(base: GuestFS, draft: Draft, kind: str) -> Meta:
    return with_label(base, draft.path, kind, draft.meta or Meta())


def _spliced(base: GuestFS, draft: Draft, before: str | None, rules: tuple[str, ...]) -> Change | None:
    change = Change(draft.path, "edit", rules, before, None, tuple(draft.splices or ()))
    stat = base.stat(draft.path)
    size = (stat.size if stat else 0) + sum(len(s.data) - s.length for s in change.splices)
    after = digest_bytes(new_chunks(base, change))
    if after == before:
        return None
    shown = _own(draft) or f"binary file: {stat.size if stat else 0} bytes, {size} after\n"
    return Change(draft.path, "edit", rules, before, after, change.splices, None, shown, size)


def make_splices(old: bytes, new: bytes) -> list[Splice]:
    """Return splices that turn old into new: one for small files, one for each changed stretch of big ones."""
    if max(len(old), len(new)) <= WHOLE:
        return [_narrow(0, old, new)]
    splices: list[Splice] = []
    common = min(len(old), len(new)) // BLOCK * BLOCK
    start = None
    for at in range(0, common, BLOCK):
        same = old[at : at + BLOCK] == new[at : at + BLOCK]
        if not same and start is None:
            start = at
        elif same and start is not None:
            splices.append(_narrow(start, old[start:at], new[start:at]))
            start = None
    tail = common if start is None else start
    if old[tail:] != new[tail:]:
        splices.append(_narrow(tail, old[tail:], new[tail:]))
    return splices


def _narrow(offset: int, old: bytes, new: bytes) -> Splice:
    """Return one splice without the common beginning and end of the two."""
    head = _common(old, new)
    tail = _common(old[head:][::-1], new[head:][::-1])
    return Splice(offset + head, len(old) - head - tail, new[head : len(new) - tail])


def _common(one: bytes, other: bytes) -> int:
    """Return how many leading bytes are equal, by halving."""
    low, high = 0, min(len(one), len(other))
    while low < high:
        middle = (low + high + 1) // 2
        if one[low:middle] == other[low:middle]:
            low = middle
        else:
            high = middle - 1
    return low


def _diff_of_delete(base: GuestFS, draft: Draft, before: str) -> str:
    """Show what is moved aside; a big file is neither shown nor read."""
    stat = base.stat(draft.path)
    if draft.diff:
        return _own(draft)
    if stat is not None and stat.size > WHOLE:
        return f"binary file of {stat.size} bytes, moved aside\n"
    if before.startswith("link:"):
        return f"--- link to {one_line(before.removeprefix('link:'))}\n+++ nothing\n"
    try:
        old = base.read(draft.path, WHOLE) if before.startswith("sha256:") else b""
    except GuestError:
        old = b""
    return unified(draft.path, old, b"", remains=False)


def _file_bytes(before: str | None, old: bytes) -> bytes:
    """Return the old bytes where a file stood there, and none where a link did."""
    return old if before and before.startswith("sha256:") else b""


def unified(path: str, old: bytes, new: bytes, *, existed: bool = True, remains: bool = True) -> str:
    """Return a unified diff with a/ and b/ prefixes, secrets hidden; for binary content, its sizes."""
    path = one_line(path)
    if b"\0" in old[:8192] or b"\0" in new[:8192]:
        return f"binary file {path}: {len(old)} bytes before, {len(new)} after\n"
    names = (f"a{path}" if existed else "/dev/null", f"b{path}" if remains else "/dev/null")
    before, after = _lines(old), _lines(new)
    shown = masked_lines(path, before), masked_lines(path, after)
    return "".join(_shown(_ended(_unified(before, after, shown, names))))


def _shown(lines: Iterable[str]) -> Iterator[str]:
    """Yield the lines of a diff up to a bound, and say how many more there are."""
    more = iter(lines)
    yield from itertools.islice(more, DIFF_SHOWN)
    left = sum(1 for _ in more)
    if left:
        yield f"... and {left} more lines\n"


def _unified(before: list[str], after: list[str], shown: Sides, names: tuple[str, str]) -> Iterator[str]:
    """Yield the lines of a unified diff of two files, each as ``shown`` has it.

    Long files are compared in one pass, as editors leave most lines where they were; difflib's time grows squared.
    """
    long = len(before) + len(after) > DIFF_LINES
    matcher = difflib.SequenceMatcher(None, [] if long else before, [] if long else after)
    if long:
        matcher.opcodes = list(_pieces(before, after))  # type: ignore[attr-defined]
    if before != after:
        yield from (f"--- {names[0]}\n", f"+++ {names[1]}\n")
    for group in matcher.get_grouped_opcodes(CONTEXT) if before != after else ():
        first, last = group[0], group[-1]
        yield f"@@ -{_range(first[1], last[2])} +{_range(first[3], last[4])} @@\n"
        for kind, i, k, j, m in group:
            if kind == "equal":
                yield from (f" {line}" for line in shown[0][i:k])
            else:
                yield from (f"-{line}" for line in shown[0][i:k])
                yield from (f"+{line}" for line in shown[1][j:m])


def _range(start: int, stop: int) -> str:
    """Return the lines of a hunk as diff(1) writes them."""
    count = stop - start
    return f"{start + 1}" if count == 1 else f"{start + 1 if count else start},{count}"


def _pieces(before: list[str], after: list[str]) -> Iterator[tuple[str, int, int, int, int]]:
    """Yield difflib's opcodes, found by looking a little ahead wherever the files part."""
    i = j = 0
    steps = DIFF_STEPS
    while i < len(before) or j < len(after):
        start = i, j
        while i < len(before) and j < len(after) and before[i] == after[j]:
            i, j = i + 1, j + 1
        if i > start[0]:
            yield "equal", start[0], i, start[1], j
            continue
        while i < len(before) or j < len(after):
            ahead, used = _meet(before, after, i, j, AHEAD if steps > 0 else 1)
            steps -= used
            if ahead is not None:
                i, j = i + ahead[0], j + ahead[1]
                break
            i, j = min(i + 1, len(before)), min(j + 1, len(after))
        yield "replace", start[0], i, start[1], j


def _meet(before: list[str], after: list[str], i: int, j: int, most: int) -> tuple[tuple[int, int] | None, int]:
    """Return how many lines on the two files are the same again, None where not soon; and the comparisons made."""
    used = 0
    for total in range(most + 1):
        for down in (total // 2, *(one for one in range(total + 1) if one != total // 2)):
            used += 1
            one, other = i + down, j + total - down
            if one < len(before) and other < len(after) and before[one] == after[other]:
                return (down, total - down), used
    return None, used


def _lines(data: bytes) -> list[str]:
    text = data.decode("utf-8", "backslashreplace")
    return [line + "\n" for line in text.split("\n")[:-1]] + ([last] if (last := text.rpartition("\n")[2]) else [])


def _ended(lines: Iterable[str]) -> Iterable[str]:
    for line in lines:
        yield line if line.endswith("\n") else f"{line}\n\\ No newline at end of file\n"
