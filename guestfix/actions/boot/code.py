"""Arguments that grub-mkconfig gets from code: what is written in it, in files that it reads, and how to add behind it.

Source: GNU GRUB manual, "Simple configuration handling" (grub-mkconfig sources /etc/default/grub, then the files of
/etc/default/grub.d, and runs /etc/grub.d/*).
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator

from guestfix.actions.workbench import Workbench
from guestfix.base.edit import append_lines
from guestfix.base.errors import GuestError
from guestfix.base.facts import Evidence
from guestfix.base.patterns import regex
from guestfix.detect.files import names_in, read_small
from guestfix.formats import shellvars

SCRIPTS = "/etc/grub.d"
MOST_FILES, MOST_SCRIPTS = 16, 64
_READ = regex(rb"(?m)(?:^[ \t]*(?:\.|source)|\bcat|<)[ \t]+[\"']?(/[A-Za-z0-9._/-]{1,200})")
_COMMENT = regex(rb"(?m)^[ \t]*#.*$")
_SPLIT = regex(rb"[\s\"'`;(){}]+")
_SAFE = regex(r"[A-Za-z0-9_@%+:,./= ^~-]*\Z")
_RESCUE = (b"recovery", b"single")


def written(bench: Workbench, sources: Iterable[tuple[str, bytes]]) -> dict[str, Evidence]:
    """Return each word that code may make arguments from, with the line that has it.

    These are the words of ``sources`` (paths and texts), of files that they read by name, and of the lines of
    grub-mkconfig's scripts that are about arguments.
    """
    found: dict[str, Evidence] = {}
    texts = list(sources)
    for path in dict.fromkeys(match.decode() for _, src in texts[:MOST_FILES] for match in _READ.findall(src)):
        data = _text(bench, path) if len(texts) < 2 * MOST_FILES else b""
        texts += [(path, data)] if data else []
    texts += list(_of_scripts(bench))
    for path, src in texts:
        for number, line in enumerate(_COMMENT.sub(b"", src).split(b"\n"), 1):
            for word in _SPLIT.split(line):
                if word:
                    text = shellvars.decode(word)
                    found.setdefault(text, Evidence(path, number, shellvars.decode(line.strip())[:200]))
    return found


def _of_scripts(bench: Workbench) -> Iterator[tuple[str, bytes]]:
    """Yield the scripts, of each only the lines about arguments: those for a rescue start are another entry's."""
    for name in names_in(bench.fs, SCRIPTS)[:MOST_SCRIPTS]:
        src = _text(bench, f"{SCRIPTS}/{name}")
        if b"GRUB_CMDLINE" in src or b"linux_entry" in src:
            lines = src.split(b"\n")
            kept = [line if _about_arguments(line) else b"" for line in lines]
            yield f"{SCRIPTS}/{name}", b"\n".join(kept)


def _about_arguments(line: bytes) -> bool:
    named = b"GRUB_CMDLINE" in line or b"linux_entry" in line
    return named and not any(word in line for word in _RESCUE)


def _text(bench: Workbench, path: str) -> bytes:
    try:
        return read_small(bench.fs, path) or b""
    except GuestError:
        return b""


def assign(src: bytes, name: str, words: str) -> bytes:
    """Give a variable these words in a file that has no plain assignment of it, behind what code made of it before."""
    plain = _COMMENT.sub(b"", src)
    code = re.search(rb"\b%s\b" % name.encode(), plain) or _READ.search(plain)
    if code and _SAFE.match(words):
        return append_lines(src, f'{name}="${name} {words}"'.encode())
    return shellvars.set_value(src, name, words)
