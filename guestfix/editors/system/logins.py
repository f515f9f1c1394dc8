"""nsswitch.conf and files of pam.d: sources of accounts and modules that only the old cloud has.

Sources: nsswitch.conf(5), pam.conf(5); google_oslogin_control of GoogleCloudPlatform/guest-oslogin, which takes out the
same when OS Login is switched off.
"""

from __future__ import annotations

from collections.abc import Sequence

from guestfix.base.edit import Content, Splice, apply_splices
from guestfix.base.errors import EditError
from guestfix.base.patterns import regex
from guestfix.editors.system.text import MARK, lines_at
from guestfix.formats.shellvars import decode, encode

_DATABASE = regex(r"(?P<name>[ \t]*[a-z_]{1,32}[ \t]*:)(?P<sources>[^#]*)")
_WORD = regex(r"[ \t]*(?P<name>\[[^\]]*\]|[^\s\[\]]+)")
_MODULE = regex(r"-?(?P<kind>auth|account|session|password)\s+(?P<control>\[[^\]]*\]|\S+)\s+(?P<path>\S+)")
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


def drop_modules(src: bytes | None, *, modules: Sequence[str]) -> Content:
    """Comment each line of a file of pam.d out that calls one of these modules (file names such as ``pam_x.so``).

    Raises EditError where a line before it jumps over a number of lines that would then be others.
    """
    gone = set(modules)
    splices, reach = [], dict.fromkeys(("auth", "account", "session", "password"), 0)
    for start, end in lines_at(src or b""):
        found = _MODULE.match(decode((src or b"")[start:end]).strip())
        if found is None:
            continue
        kind = found["kind"]
        if found["path"].rpartition("/")[2] in gone:
            if reach[kind] > 0:
                raise EditError(f"a line before {found['path'][:80]} jumps by number over it, so it can't be taken out")
            splices.append(Splice(start, 0, MARK))
        jumps = [int(one["lines"]) for one in _JUMP.finditer(found["control"])]
        reach[kind] = max([reach[kind] - 1, *jumps])
    return apply_splices(src, splices) if src is not None else None
