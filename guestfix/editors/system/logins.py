"""nsswitch.conf and files of pam.d: sources of accounts and modules that only the old cloud has.

Sources: nsswitch.conf(5), pam.conf(5); google_oslogin_control of GoogleCloudPlatform/guest-oslogin, which takes out the
same when OS Login is switched off.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence

from guestfix.base.edit import Content, Splice, apply_splices
from guestfix.base.errors import EditError
from guestfix.base.patterns import regex
from guestfix.base.record import mutable
from guestfix.editors.system.text import MARK, lines_at
from guestfix.formats.shellvars import decode, encode

_DATABASE = regex(r"(?P<name>[ \t]*[a-z_]{1,32}[ \t]*:)(?P<sources>[^#]*)")
_WORD = regex(r"[ \t]*(?P<name>\[[^\]]*\]|[^\s\[\]]+)")
_MODULE = regex(r"-?(?P<kind>auth|account|session|password)\s+(?P<control>\[[^\]]*\]|\S+)\s+(?P<path>\S+)")
_INCLUDE = regex(r"[ \t]*@include\s")
_JUMP = regex(r"=\s*(?P<lines>[0-9]{1,3})\b")


def drop_sources(src: bytes | None, *, names: Sequence[str]) -> Content:
    """Take these sources out of every database of nsswitch.conf, with the reactions in brackets behind each.

    A database that has no other source stays as it is, and so do comments and the blanks between the others.
    """
    gone = set(names)
    splices = []
    for start, end in lines_at(src or b""):
        text = decode((src or b"")[start:end])
        found = _DATABASE.match(text)
        kept = _kept(found["sources"], gone) if found else None
        if found and kept is not None:
            blank = "" if found.end() == len(text) else " "
            splices.append(Splice(start, end - start, encode(found["name"] + kept + blank + text[found.end() :])))
    return apply_splices(src, splices) if src is not None else None


def _kept(sources: str, gone: set[str]) -> str | None:
    """Return a database's sources without those; None where nothing of them is there, or nothing else."""
    kept, left, dropped = [], False, False
    for word in _WORD.finditer(sources):
        bracket = word["name"].startswith("[")
        left = left if bracket else word["name"] in gone
        dropped = dropped or left
        if not left:
            kept.append(word[0])
    return "".join(kept) if dropped and any(not one.strip().startswith("[") for one in kept) else None


@mutable
class _Call:
    """A line of a stack that calls a module: where it begins, its jumps with their places, and whether it goes."""

    start: int
    path: str
    jumps: list[tuple[int, int, int]]
    included: bool
    gone: bool


def drop_modules(src: bytes | None, *, modules: Sequence[str]) -> Content:
    """Comment each line of a file of pam.d out that calls one of these modules (file names such as ``pam_x.so``).

    A line before it that jumps over it by a number jumps over one less, and one that jumped over nothing else says
    ``ok``, which is the same without the jump. Raises EditError where such a jump also passes over what is included.
    """
    stacks: dict[str, list[_Call]] = {}
    for start, end in lines_at(src or b""):
        text = decode((src or b"")[start:end])
        found = _MODULE.match(text, len(text) - len(text.lstrip()))
        if found is not None:
            stacks.setdefault(found["kind"], []).append(_call(found, text, start, set(modules)))
        elif _INCLUDE.match(text):
            for stack in stacks.values():
                stack.append(_Call(start, "@include", [], included=True, gone=False))
    splices = [one for stack in stacks.values() for one in _without(stack)]
    return apply_splices(src, splices) if src is not None else None


def _call(found: re.Match[str], text: str, start: int, gone: set[str]) -> _Call:
    at, control, path = found.start("control"), found["control"], found["path"]
    jumps = []
    for one in _JUMP.finditer(control):
        begin, end = (len(encode(text[: at + place])) for place in one.span("lines"))
        jumps.append((start + begin, end - begin, int(one["lines"])))
    included = control in ("include", "substack")
    return _Call(start, path, jumps, included, not included and path.rpartition("/")[2] in gone)


def _without(stack: list[_Call]) -> Iterator[Splice]:
    for index, call in enumerate(stack):
        if call.gone:
            yield Splice(call.start, 0, MARK)
            continue
        for at, length, lines in call.jumps:
            over = stack[index + 1 : index + 1 + lines]
            gone = [one for one in over if one.gone]
            if gone and any(one.included for one in over):
                raise EditError(f"a line jumps by number over {gone[0].path[:80]} and over what is included")
            if gone:
                left = lines - len(gone)
                yield Splice(at, length, str(left).encode() if left else b"ok")
