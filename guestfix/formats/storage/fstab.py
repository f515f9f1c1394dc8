r"""Tables of fstab(5): one entry a line, up to six fields split by blanks and tabs, ``\040`` for a blank.

The reader gives byte spans and builds nothing that would be printed back. It takes what both readers of
a booting guest take, libmount's and glibc's getmntent(3): fields 4 to 6 are optional, a line may end
with CR LF or with the file, text after the sixth field is passed over.
"""

from __future__ import annotations

import posixpath
from collections.abc import Iterator

from guestfix.base.patterns import regex
from guestfix.base.record import frozen
from guestfix.formats.storage.devices import is_bare_uuid, tag

MAX_LINE = 4095
"""Bytes of a line that getmntent(3), and so systemd's fstab generator, reads; the rest of the line is lost."""

NO_MOUNT_POINT = ("none", "swap", "-", "ignore")
"""What stands in the second field where nothing is mounted."""

VITAL = ("/", "/usr", "/boot", "/boot/efi", "/efi", "/var")
"""Without these a guest boots into nothing, or (/var) with daemons that start over with empty databases."""

_LINE = regex(rb"[^\n]*\n|[^\n]+\Z")
_FIELD = regex(rb"[^ \t]+")
_CONTROL = regex(rb"[\x00-\x08\x0b-\x1f\x7f]")
_HASH = ord("#")
_OCTAL = regex(rb"\\([0-3][0-7]{2})")
_ESCAPED = regex(rb"[\x00-\x20\x7f\\]")


@frozen
class Span:
    """Where a field is, in bytes of the file."""

    start: int
    end: int


@frozen
class FstabEntry:
    """One line that is neither blank nor a comment. ``start`` to ``end`` is the line without its ending.

    ``problem`` says why the line can't be an entry, or is empty. Texts have their escapes resolved, bytes
    that are no UTF-8 as surrogates. ``type`` is ``auto`` where the line has none; missing numbers are 0.
    """

    number: int
    start: int
    end: int
    raw: bytes
    fields: tuple[Span, ...]
    spec: str
    mount: str
    type: str
    options: str
    dump: str
    fsck: str
    problem: str = ""

    def option_names(self) -> tuple[str, ...]:
        """Return the options without their values."""
        return tuple(option.partition("=")[0] for option in self.options.split(",") if option)

    def has(self, *names: str) -> bool:
        """Tell whether one of these options is set."""
        return not set(names).isdisjoint(self.option_names())

    @property
    def bound(self) -> bool:
        """True where the line mounts a folder somewhere else, not a filesystem."""
        return self.has("bind", "rbind", "move") or self.type == "bind"

    @property
    def place(self) -> str:
        """The mount point without a slash at its end."""
        return "/" + posixpath.normpath(self.mount).lstrip("/") if self.mount.startswith("/") else self.mount

    @property
    def text(self) -> str:
        """The line to show to a reader: printable, of bounded length."""
        return show(self.raw)


def show(raw: bytes, limit: int = 160) -> str:
    """Return bytes as printable text that isn't longer than limit characters or so."""
    text = raw[: limit + 1].decode("utf-8", "backslashreplace")
    text = "".join(char if char.isprintable() or char == "\t" else ascii(char)[1:-1] for char in text)
    return text if len(text) <= limit else text[: limit - 3] + "..."


def unescape(raw: bytes) -> str:
    r"""Return a field's text: ``\040`` is a blank, likewise every other three-digit octal number."""
    plain = _OCTAL.sub(lambda match: bytes([int(match[1], 8)]), raw) if b"\\" in raw else raw
    return plain.decode("utf-8", "surrogateescape")


def escape(text: str) -> bytes:
    """Return text as one field of the file: :func:`unescape` gives it back, and nothing splits it."""
    raw = text.encode("utf-8", "surrogateescape")
    return _ESCAPED.sub(lambda match: b"\\%03o" % match[0][0], raw)


def lines(src: bytes) -> Iterator[tuple[int, int, bytes]]:
    """Yield the number, the offset and the text without its ending of lines neither blank nor a comment."""
    for number, match in enumerate(_LINE.finditer(src), 1):
        raw = match[0].removesuffix(b"\n").removesuffix(b"\r")
        bare = raw.lstrip(b" \t")
        if bare and not bare.startswith(b"#"):
            yield number, match.start(), raw


def fields(raw: bytes, start: int) -> tuple[Span, ...]:
    """Return the spans of a line's fields; start is the line's offset in the file."""
    return tuple(Span(start + match.start(), start + match.end()) for match in _FIELD.finditer(raw))


def entries(src: bytes) -> list[FstabEntry]:
    """Return every line that is neither blank nor a comment, in file order, the unreadable ones too."""
    return [_entry(number, start, raw) for number, start, raw in lines(src)]


def readable(src: bytes) -> list[FstabEntry]:
    """Return the entries that have no problem."""
    return [entry for entry in entries(src) if not entry.problem]


def _entry(number: int, start: int, raw: bytes) -> FstabEntry:
    spans = fields(raw, start)[:6]
    remark = next((at for at, span in enumerate(spans) if at > 2 and raw[span.start - start] == _HASH), 6)
    spans = spans[:remark]
    texts = [unescape(raw[span.start - start : span.end - start]) for span in spans]
    spec, mount, kind, options, dump, fsck = (texts + [""] * 6)[:6]
    problem = _problem(raw, spec, mount, len(spans))
    return FstabEntry(
        number,
        start,
        start + len(raw),
        raw,
        spans,
        spec,
        mount,
        kind or "auto",
        options,
        dump or "0",
        fsck or "0",
        problem,
    )


def _problem(raw: bytes, spec: str, mount: str, fields: int) -> str:
    if _CONTROL.search(raw):
        return "control characters in it"
    if fields < 2:
        return "no mount point"
    if not mount.startswith("/") and (mount not in NO_MOUNT_POINT or fields < 3):
        return "its mount point is no absolute path"
    if fields < 3 and not (spec.startswith("/") or tag(spec) or is_bare_uuid(spec)):
        return "no filesystem type"
    return ""


def number_of(text: str) -> int:
    """Return the number in field 5 or 6 as getmntent(3) would: what isn't one counts as 0."""
    match = regex(r"[0-9]{1,9}").match(text)
    return int(match[0]) if match else 0
