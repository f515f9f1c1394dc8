"""Copies in an initramfs of files that name the old hardware in ways of their own: NICs, multipath's LUNs, devices.

Each outlives what a plan changes in the root's own file. Sources: udev(7), systemd.link(5) (a link to /dev/null masks a
file); multipath.conf(5), multipath(8) (bindings, wwids); mkinitrd(8) of SUSE (config/*.sh).
"""

from __future__ import annotations

from collections.abc import Callable, Iterator

from guestfix.base.errors import GuestfixError
from guestfix.editors.network import networkd, udevnet
from guestfix.formats import shellvars
from guestfix.formats.network import networkd as units
from guestfix.formats.network.udevnet import name_rules
from guestfix.formats.shellvars import decode
from guestfix.formats.storage import devices
from guestfix.formats.storage.known import Known


def rules_of_nics(src: bytes) -> tuple[int, str, bytes | None] | None:
    """Return the first rule that names a NIC by its hardware, and the file without such; None where there is none.

    The file is None where it then says nothing.
    """
    found = name_rules(src)
    return (found[0].line, found[0].text, udevnet.unbind(src)) if found else None


def link_of_nic(src: bytes) -> tuple[int, str, bytes | None] | None:
    """Return the same of a .link file."""
    bound = units.link_binding(src)
    if not bound:
        return None
    text = bound.encode("utf-8", "surrogateescape")
    at = src.find(text)
    return (src.count(b"\n", 0, at) + 1 if at >= 0 else 1, bound, networkd.unbind_link(src))


def without_luns(src: bytes, names: Known, bindings: bool) -> tuple[int, str, bytes] | None:
    """Return the first LUN of the old storage that multipath's own file lists, and the file without such lines.

    A line of ``bindings`` is a name and a number (WWID), one of wwids a number between slashes.
    """
    kept, first = [], (0, "")
    for number, line in enumerate(src.splitlines(keepends=True), 1):
        text = decode(line.strip())
        words = text.split() if bindings else [text.strip("/")]
        old = bool(text) and not text.startswith("#") and len(words) == (2 if bindings else 1)
        if old and not _is_here(names, words[-1], words[0] if bindings else ""):
            first = first if first[0] else (number, text[:200])
        else:
            kept.append(line)
    return (*first, b"".join(kept)) if first[0] else None


def without_aliases(src: bytes, names: Known) -> tuple[int, str, bytes] | None:
    """Return the first multipath section of a LUN of the old storage, and multipath.conf with such as comments."""
    from guestfix.formats.storage import multipath  # pyparsing: few images have one

    if b"multipaths" not in src:
        return None
    try:
        sections = [one for every in multipath.read(src).root.all("multipaths") for one in every.all("multipath")]
    except GuestfixError:
        return None
    lines = src.splitlines(keepends=True)
    first, gone = (0, ""), set[int]()
    for section in sections:
        wwid, alias = section.get("wwid"), section.get("alias")
        if wwid is None or _is_here(names, wwid.value, alias.value if alias else ""):
            continue
        first = first if first[0] else (wwid.line, f"wwid {wwid.value}")
        gone |= set(range(section.line, _end_of(lines, section.line) + 1))
    after = [b"#" + line if number in gone else line for number, line in enumerate(lines, 1)]
    return (*first, b"".join(after)) if first[0] else None


def _end_of(lines: list[bytes], start: int) -> int:
    """Return the line with the brace that closes the section which begins in a line."""
    depth = 0
    for number in range(start, len(lines) + 1):
        text = lines[number - 1].split(b"#")[0].split(b"!")[0]
        depth += text.count(b"{") - text.count(b"}")
        if depth <= 0 and (b"}" in text or number > start):
            return number
    return len(lines)


def _is_here(names: Known, wwid: str, alias: str) -> bool:
    """Tell whether a volume that came along answers to a LUN's number or name."""
    known = names.specs
    return (bool(alias) and f"/dev/mapper/{alias}" in known) or any(wwid in one for one in known if "/by-id/" in one)


def start_variables(src: bytes, root: bool, resolve: Callable[[str], str | None]) -> Iterator[tuple[str, str, bytes]]:
    """Yield the name and value of a variable of SUSE's start scripts that names an old disk, and the file without it.

    ``root``: rootdev counts, since no root= goes before it. ``resolve`` gives a name that lasts, empty for a volume
    that is gone, None where the name stays.
    """
    for name in ("rootdev", "resumedev", "journaldev") if root else ("resumedev", "journaldev"):
        value = shellvars.get(src, name) or ""
        after = resolve(value) if value.startswith("/dev/") or devices.tag(value) else None
        if after is not None and (after or name != "rootdev"):
            src = shellvars.set_value(src, name, after)
            yield name, value, src
