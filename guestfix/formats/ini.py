"""Files of groups and keys: NetworkManager's keyfiles (GKeyFile) and systemd's units, with byte offsets.

Sources: NetworkManager nm-settings-keyfile(5), the Desktop Setting specification that GKeyFile follows, and
systemd.syntax(7). Reading never fails: a line that is neither group, entry nor comment is passed over.
"""

from __future__ import annotations

from guestfix.base.edit import Splice, append_lines, apply_splices, insert_lines
from guestfix.base.record import field, frozen, mutable
from guestfix.formats.shellvars import decode, encode


@frozen
class Setting:
    """One ``key = value``, the value trimmed. ``start`` to ``end`` are its whole lines; ``line`` is 1-based."""

    key: str
    value: str
    line: int
    start: int
    end: int
    value_start: int
    value_end: int


@mutable
class Group:
    """One ``[name]`` with its entries. ``start`` is its header's line, ``body`` the offset after it.

    ``end`` is where the next group starts, or the file's end. The same name may come again.
    """

    name: str
    line: int
    start: int
    body: int
    end: int = 0
    entries: list[Setting] = field(default_factory=list)


def _lines(src: bytes, joined: bool) -> list[tuple[int, int, int, int]]:
    """Return (1-based line, start, end of text, end with newline) of each line; joined: by a final backslash."""
    found, at, number = [], 0, 1
    while at < len(src):
        start, first = at, number
        while True:
            begin, stop = at, src.find(b"\n", at)
            at, number = (len(src) if stop < 0 else stop + 1), number + 1
            comment = src[begin : begin + 1] in b"#;" and joined
            if not joined or stop < 0 or (comment and begin == start):
                break
            if not comment and not src[max(begin, stop - 2) : stop].rstrip(b"\r").endswith(b"\\"):
                break
        text_end = at - 1 if src[at - 1 : at] == b"\n" else at
        found.append((first, start, text_end, at))
    return found


def groups(src: bytes, *, continued: bool = False) -> list[Group]:
    """Return every group in file order. ``continued``: a final backslash joins lines, as in systemd's files."""
    found: list[Group] = []
    for line, start, stop, end in _lines(src, continued):
        text = src[start:stop].strip()
        if text[:1] == b"[" and text[-1:] == b"]":
            if found:
                found[-1].end = start
            found.append(Group(decode(text[1:-1]), line, start, end, len(src)))
        elif found and text and text[:1] not in b"#;" and b"=" in text:
            found[-1].entries.append(_entry(src, line, start, stop, end))
    return found


def _entry(src: bytes, line: int, start: int, stop: int, end: int) -> Setting:
    equals = src.index(b"=", start)
    raw = src[equals + 1 : stop]
    value = raw.strip()
    value_start = equals + 1 + (len(raw) - len(raw.lstrip())) if value else equals + 1
    text = decode(value).replace("\\\r\n", " ").replace("\\\n", " ")
    return Setting(decode(src[start:equals].strip()), text, line, start, end, value_start, value_start + len(value))


def get(found: list[Group], group: str, key: str) -> str | None:
    """Return the value of the last entry of that group and key, or None."""
    values = [one.value for one in entries(found, group, key)]
    return values[-1] if values else None


def entries(found: list[Group], group: str, key: str = "") -> list[Setting]:
    """Return the entries of every group of that name, of one key or of all."""
    return [one for item in found if item.name == group for one in item.entries if not key or one.key == key]


def set_value(src: bytes, group: str, key: str, value: str, *, continued: bool = False) -> bytes:
    """Make the last entry of group and key say value; add the entry, and the group, where there is none.

    An added entry comes after the group's last one. Returns src itself where it already says so.
    """
    found = groups(src, continued=continued)
    known = entries(found, group, key)
    if known:
        last = known[-1]
        if last.value == value:
            return src
        return src[: last.value_start] + encode(value) + src[last.value_end :]
    line = encode(f"{key}={value}")
    home = next((item for item in reversed(found) if item.name == group), None)
    if home is None:
        return append_lines(src, *([b""] if src else []), encode(f"[{group}]"), line)
    at = home.entries[-1].end if home.entries else home.body
    return apply_splices(src, [insert_lines(src, at, line)])


def remove(src: bytes, spans: list[tuple[int, int]]) -> bytes:
    """Return src without these spans (start, end), which don't overlap; src itself where there are none."""
    return apply_splices(src, [Splice(start, end - start, b"") for start, end in spans])
