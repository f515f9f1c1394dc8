"""The default entry starts without a password; to edit entries or to open a command line goes on asking for one.

Sources: GNU GRUB manual, "Authentication and authorisation in GRUB" (superusers, --unrestricted, --users); Fedora's
blscfg (grub_users, grub_arg); GRUB Legacy manual, "lock" and "password".
"""

from __future__ import annotations

import re
from collections.abc import Iterator

from guestfix.actions.boot.entries import text_of
from guestfix.actions.workbench import Workbench
from guestfix.base.catalog.facts.boot import BOOT_DEFAULT
from guestfix.base.edit import Splice, apply_splices
from guestfix.base.patterns import regex
from guestfix.formats.boot import grubcfg, grublegacy
from guestfix.formats.boot.grubcfg import Node, Script

MAKER = "/etc/grub.d/10_linux"
_CLASS = regex(rb"^CLASS=\"(?P<words>[^\"\n]*--class[^\"\n]*)\"", re.MULTILINE)
_USERS = regex(rb"(?P<option>[ \t]+--users(?:=|[ \t]+)(?:'[^']*'|\"[^\"]*\"|[^\s'\"{]+))")
_BLS_USERS = regex(rb"^(?=[ \t]*grub_users[ \t])", re.MULTILINE)


def unlock_default(bench: Workbench) -> None:
    """Let the default entry, and the submenus that it lies in, start without a password.

    What grub-mkconfig writes its entries from says so too, so that the next menu does not ask again.
    """
    entry = bench.facts.value(BOOT_DEFAULT)
    if entry is None:
        return
    found = text_of(bench, entry)
    if found is None:
        return
    content, line = found
    if entry.loader == "bls":
        after = _BLS_USERS.sub(b"#", content)
    elif entry.loader == "grub-legacy":
        after = _unlocked_stanza(content, line)
    else:
        after = _unrestricted(content, line)
    if after != content:
        bench.fs.put(entry.path, after)
    maker = bench.fs.content(MAKER)
    if isinstance(maker, bytes) and b"--unrestricted" not in maker and (match := _CLASS.search(maker)):
        bench.fs.put(MAKER, apply_splices(maker, [Splice(match.end("words"), 0, b" --unrestricted")]))


def _unrestricted(src: bytes, line: int) -> bytes:
    script = grubcfg.parse(src)
    splices = []
    for node in _around(script, line):
        words = src[node.rest_start : node.rest_end]
        splices += [Splice(node.rest_start + one.start(), len(one[0]), b"") for one in _USERS.finditer(words)]
        if b"--unrestricted" not in words:
            splices.append(Splice(node.rest_start + len(words.rstrip()), 0, b" --unrestricted"))
    return apply_splices(src, sorted(splices, key=lambda one: one.offset))


def _around(script: Script, line: int) -> Iterator[Node]:
    """Yield the entry, and the submenus, in which a line lies."""
    for node in script.walk():
        if node.name in (b"menuentry", b"submenu") and script.line_of(node.start) <= line <= script.line_of(node.end):
            yield node


def _unlocked_stanza(src: bytes, line: int) -> bytes:
    """Make comments of the lock and password lines of the stanza in which a line lies."""
    for stanza in grublegacy.parse(src).stanzas:
        if any(one.line == line for one in stanza.commands):
            gone = [one for one in stanza.commands if one.name in ("lock", "password")]
            return apply_splices(src, [Splice(one.at, 0, b"#") for one in gone])
    return src
