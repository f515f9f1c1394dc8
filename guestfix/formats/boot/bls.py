"""Boot Loader Specification entries, as GRUB's blscfg and systemd-boot read them.

Source: the UAPI group's Boot Loader Specification, type 1; the blscfg module of the Red Hat family's GRUB
(``$kernelopts`` and ``$tuned_params`` in options, entries sorted by file name, newest first).
"""

from __future__ import annotations

import functools
from collections.abc import Mapping

from guestfix.base.patterns import regex
from guestfix.base.record import frozen
from guestfix.formats.boot import cmdline
from guestfix.formats.boot.cmdline import ArgLine
from guestfix.formats.shellvars import decode

_LINE = regex(rb"[ \t]*+(?P<key>[^\s#][^\s]*+)(?:[ \t]++(?P<value>[^\n]*+))?[ \t\r]*+(?:\n|\Z)")
_VARIABLE = regex(r"\$(?:\{(\w+)\}|(\w+))")
_SEGMENT = regex(r"\d+|[A-Za-z]+|~")


@frozen
class Field:
    """One ``key value`` line; ``start`` to ``end`` is the value in the file."""

    key: str
    value: str
    line: int
    start: int
    end: int


@frozen
class LoaderEntry:
    """One file of loader/entries: its fields, in order."""

    fields: tuple[Field, ...]

    def get(self, key: str, default: str = "", *, grub: bool = False) -> str:
        """Return the last value of key, as systemd-boot takes it; ``grub``: the first, as GRUB's blscfg does."""
        fields = self.fields if grub else reversed(self.fields)
        return next((one.value for one in fields if one.key == key), default)

    def all(self, key: str) -> list[str]:
        """Return every value of key, in order."""
        return [one.value for one in self.fields if one.key == key]

    def line_of(self, key: str, *, grub: bool = False) -> int:
        """Return the 1-based line of the field that :meth:`get` takes, or 0."""
        fields = self.fields if grub else reversed(self.fields)
        return next((one.line for one in fields if one.key == key), 0)


def parse(src: bytes) -> LoaderEntry:
    """Read an entry. Comments and lines that are no field are passed over."""
    found, at, line = [], 0, 1
    while at < len(src):
        match = _LINE.match(src, at)
        if match:
            start = match.start("value") if match["value"] is not None else match.end("key")
            end = start + len((match["value"] or b"").rstrip(b" \t\r"))
            found.append(Field(decode(match["key"]), decode(src[start:end]), line, start, end))
        newline = src.find(b"\n", at)
        at = len(src) if newline < 0 else newline + 1
        line += 1
    return LoaderEntry(tuple(found))


def expand(text: str, env: Mapping[str, str]) -> str:
    """Put GRUB's variables in; one that isn't set becomes nothing, as GRUB does it."""
    return _VARIABLE.sub(lambda match: env.get(match[1] or match[2], ""), text)


def options(entry: LoaderEntry, env: Mapping[str, str], *, grub: bool = False) -> list[str]:
    """Return the kernel arguments with variables put in; of several ``options`` lines GRUB takes the first alone."""
    lines = entry.all("options")[: 1 if grub else None]
    if not lines:
        return cmdline.split(env.get("default_kernelopts") or env.get("kernelopts", ""))
    return cmdline.split(expand(" ".join(lines), env))


def arg_lines(src: bytes) -> list[ArgLine]:
    """Return the arguments written in the entry. An entry without options gets none."""
    entry = parse(src)
    kernel, initrd = entry.get("linux"), bool(entry.get("initrd"))
    found = []
    for one in entry.fields:
        if one.key == "options":
            words = cmdline.words_at(src[one.start : one.end])
            end = words[-1].end if words else 0
            shared = any(word.text in ("$kernelopts", "${kernelopts}") for word in words)
            found.append(ArgLine(words, one.start, end, one.start, "plain", initrd, kernel, not shared))
    return found


def _segments(text: str) -> list[tuple[int, int, str]]:
    """Return what rpmvercmp compares: numbers above letters, a tilde below everything."""
    found = []
    for part in _SEGMENT.findall(text):
        if part == "~":
            found.append((-1, 0, ""))
        else:
            found.append((1, int(part[:40]), "") if part.isdigit() else (0, 0, part))
    return found


def version_compare(one: str, other: str) -> int:
    """Compare as rpm does: negative where one is older than other."""
    left, right = _segments(one), _segments(other)
    for a, b in zip(left, right, strict=False):
        if a != b:
            return -1 if a < b else 1
    if len(left) == len(right):
        return 0
    longer, sign = (left, 1) if len(left) > len(right) else (right, -1)
    return -sign if longer[min(len(left), len(right))][0] == -1 else sign


def _name_parts(name: str) -> tuple[str, str, str]:
    """Split a file name as GRUB does, which takes it for name-version-release of a package."""
    parts = name.removesuffix(".conf").rsplit("-", 2)
    if len(parts) == 3:
        return parts[0], parts[1], parts[2]
    return (parts[0], parts[1], "") if len(parts) == 2 else (parts[0], "", "")


def _compare(one: str, other: str) -> int:
    for left, right in zip(_name_parts(one), _name_parts(other), strict=True):
        found = version_compare(left, right)
        if found:
            return found
    return 0


def sort_names(names: list[str]) -> list[str]:
    """Return entry file names in the order of GRUB's menu: newest first."""
    return sorted(names, key=functools.cmp_to_key(_compare), reverse=True)


_TRIES = regex(r"\+(\d{1,9})(?:-\d{1,9})?\Z")
"""The boot counter in an entry's file name: tries that are left, and done."""


def identity(name: str) -> str:
    """Return an entry's id as systemd-boot has it: its file's name without ending and boot counter."""
    return _TRIES.sub("", name.removesuffix(".conf"))


def systemd_order(entries: Mapping[str, LoaderEntry]) -> list[str]:
    """Return entry file names in the order of systemd-boot's menu, whose first entry boots where no default is set.

    Entries without tries left come last; those with a sort-key first, by it, the machine's id and the newest version.
    Source: systemd's src/boot/boot.c, config_entry_compare.
    """

    def compare(one: str, other: str) -> int:
        pairs = [
            (_is_bad(name), entries[name].get("sort-key"), entries[name].get("machine-id")) for name in (one, other)
        ]
        (bad, key, machine), (other_bad, other_key, other_machine) = pairs
        if bad != other_bad or bool(key) != bool(other_key):
            return -1 if (bad, not key) < (other_bad, not other_key) else 1
        if key and (key, machine) != (other_key, other_machine):
            return -1 if (key, machine) < (other_key, other_machine) else 1
        found = version_compare(entries[other].get("version"), entries[one].get("version")) if key else 0
        return found or version_compare(identity(other), identity(one))

    return sorted(entries, key=functools.cmp_to_key(compare))


def _is_bad(name: str) -> bool:
    match = _TRIES.search(name.removesuffix(".conf"))
    return bool(match and int(match[1]) == 0)
