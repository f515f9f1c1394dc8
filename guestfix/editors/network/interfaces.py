"""/etc/network/interfaces and the files it sources: static to DHCP, by removing lines and replacing words."""

from __future__ import annotations

from collections.abc import Collection
from fnmatch import fnmatchcase

from guestfix.base.edit import Splice, append_lines, apply_splices, insert_lines
from guestfix.base.patterns import regex
from guestfix.formats.network.interfaces import (
    COMMANDS,
    Line,
    Stanza,
    is_read,
    parse,
    parts_of,
    raised,
    route_in,
    words_of,
)
from guestfix.formats.network.nic import IFNAME, is_link_local, norm_mac
from guestfix.formats.shellvars import encode

_STATIC = regex(
    r"(address|netmask|gateway|broadcast|network|pointopoint|scope|metric|mtu|hwaddress|accept-ra|dns-[\w-]+"
    r"|dad-attempts|autoconf|privext)\Z"
)
_STRUCTURE = regex(r"(bridge|slaves|lacp-rate|(bond|bridge|vlan|ovs)-[\w-]+)\Z")
_OLD_NETWORK = regex(
    r"(?:^|[\s;&|/])(route|ifup|ifdown|ifenslave|brctl|vconfig)\s|\bip\s+(-\w+\s+)*(r|a|addr|add|route|rule|link)"
)


def _is_static(line: Line, leave_bonds: bool) -> bool:
    """Tell whether an option of a static stanza means nothing, or harm, on another network."""
    key = line.keyword.replace("_", "-")
    gone = bool(_STATIC.match(key)) or (leave_bonds and bool(_STRUCTURE.match(key)))
    return gone or (key in COMMANDS and bool(_OLD_NETWORK.search(line.value)) and not _on_link(line))


def _on_link(line: Line) -> bool:
    """Tell whether all that a command does is a route on the link itself, which any network has."""
    parts = [part for part in parts_of(line.value) if not _HARMLESS.match(part)]
    return bool(parts) and all(is_link_local(route_in(part)) for part in parts)


_UP_DOWN = regex(
    r"\bip\s+(?:-\w+\s+)*l\w*\s+set\s+(?:dev\s+)?\S+\s+(?:up|down)\s*\Z|\b(?:ifup|ifdown|ifenslave|brctl|vconfig)\s"
)
_HARMLESS = regex(r"(?:\S*/)?(?:true|:|exit|sleep|ethtool|mii-tool|tc)(?:\s|\Z)")


def is_hook(line: Line) -> bool:
    """Tell whether an option is a command that does more than set up this network: loads a firewall, say."""
    own = any(not _OLD_NETWORK.search(f"{part} ") and not _HARMLESS.match(part) for part in parts_of(line.value))
    return line.keyword.replace("_", "-") in COMMANDS and own


def is_lost_command(line: Line) -> bool:
    """Tell whether :func:`dhcp` takes out a command of the interface that stays, other than what its reader tells."""
    if line.keyword not in ("up", "post-up", "pre-up") or not _is_static(line, True):
        return False
    parts = [part for part in parts_of(line.value) if not _HARMLESS.match(part) and not _UP_DOWN.search(part)]
    return any(not is_read(part) for part in parts)


def _gone(start: int, end: int) -> Splice:
    return Splice(start, end - start, b"")


def _word_spans(src: bytes, line: Line) -> list[tuple[str, int, int]]:
    """Return the words of a line with their offsets."""
    found = regex(rb"(?:[^\s\\]|\\(?!\r?(?:\n|\Z)))+").finditer(src[line.start : line.end])
    return [
        (match[0].decode("utf-8", "surrogateescape"), line.start + match.start(), line.start + match.end())
        for match in found
    ]


def _without_names(src: bytes, line: Line, names: set[str]) -> list[Splice]:
    """Take these interfaces out of an auto or allow- line; the whole line goes with its last one."""
    words = _word_spans(src, line)
    hit = [index for index, (word, _, _) in enumerate(words) if index and word.partition("=")[0] in names]
    if not hit:
        return []
    if len(hit) == len(words) - 1:
        return [_gone(line.start, line.end)]
    return [_gone(words[index - 1][2], words[index][2]) for index in hit]


def _unmapped(src: bytes, line: Line, names: set[str], name: str) -> list[Splice]:
    """Make ``name=LOGICAL`` plain where the logical interface is one that goes."""
    pairs = [(word.partition("="), start, end) for word, start, end in _word_spans(src, line)[1:]]
    return [
        Splice(start, end - start, encode(name))
        for (physical, _, logical), start, end in pairs
        if physical == name and logical in names
    ]


def _whole(stanza: Stanza) -> list[Splice]:
    """Remove a stanza: its head and its options, but not the comments between them."""
    return [_gone(line.start, line.end) for line in (stanza.head, *stanza.options)]


def _to_dhcp(src: bytes, stanza: Stanza, leave_bonds: bool) -> list[Splice]:
    splices = _without_static(stanza, leave_bonds)
    words = _word_spans(src, stanza.head)
    family, method, _ = stanza.terms
    if method and method != "dhcp":
        splices.append(Splice(words[3][1], words[3][2] - words[3][1], b"dhcp"))
    elif not method:
        splices.append(Splice(words[2 if family else 1][2], 0, b" dhcp" if family else b" inet dhcp"))
    return splices


def _without_static(stanza: Stanza, leave_bonds: bool) -> list[Splice]:
    return [_gone(line.start, line.end) for line in stanza.options if _is_static(line, leave_bonds)]


def _parted(src: bytes, stanza: Stanza) -> list[Splice]:
    """Take ``inherits BASE`` off a stanza: ifupdown refuses all files for a base that is nowhere."""
    words = _word_spans(src, stanza.head)
    at = next(index for index, word in enumerate(words) if index > 1 and word[0] == "inherits")
    return [_gone(words[at - 1][2], words[at + 1][2])]


def dhcp(
    src: bytes | None,
    *,
    name: str,
    drop: list[str],
    up: bool = True,
    leave_bonds: bool = True,
    bases: Collection[str] = (),
) -> bytes | None:
    """Make the interface ``name`` take its address by DHCP, and take the interfaces in ``drop`` out.

    Its further stanzas (more addresses, inet6 static) and the mappings to another logical name go. ``up``:
    some file raises it already; else an ``auto`` line is put before it. A line that belongs to no stanza,
    for which ifupdown refuses the whole file, is commented out. ``leave_bonds``: it stops being a bond, bridge or VLAN.
    ``bases``: what only it inherits from; these stay, without what is static in them.
    """
    if src is None:
        return None
    found, gone = parse(src), set(drop)
    up = up or name in raised(found)
    splices: list[Splice] = []
    first = True
    for stanza in found.stanzas:
        if stanza.keyword == "auto" or stanza.keyword.startswith("allow-") or stanza.keyword.startswith("no-"):
            splices += _without_names(src, stanza.head, gone)
            splices += _unmapped(src, stanza.head, gone, name)
        elif _goes(stanza, name, gone):
            splices += _whole(stanza)
        elif stanza.keyword == "iface" and stanza.name == name:
            now = _one_of(src, stanza, first, up, leave_bonds)
            splices += now + (_parted(src, stanza) if stanza.terms[2] in gone and now != _whole(stanza) else [])
            first = first and not _is_inet(stanza)
        elif stanza.keyword == "iface" and stanza.name in bases:
            splices += _without_static(stanza, leave_bonds)
        elif stanza.keyword == "iface" and stanza.terms[2] in gone:
            splices += _parted(src, stanza)
    splices += [_commented(line) for line in found.misplaced]
    return apply_splices(src, splices)


def _commented(line: Line) -> Splice:
    """Put a line that belongs to no stanza out of force: ifupdown refuses a whole file for it."""
    return _gone(line.start, line.end) if line.folded else Splice(line.start, 0, b"# guestfix: ")


def _goes(stanza: Stanza, name: str, gone: set[str]) -> bool:
    if stanza.keyword == "mapping":
        return any(fnmatchcase(name, pattern) for pattern in stanza.words)
    return stanza.keyword == "iface" and stanza.name in gone


def _is_inet(stanza: Stanza) -> bool:
    return stanza.terms[0] in ("inet", "")


def _one_of(src: bytes, stanza: Stanza, first: bool, up: bool, leave_bonds: bool) -> list[Splice]:
    """Return the change for one stanza of the interface that is to use DHCP."""
    if not _is_inet(stanza):
        return _whole(stanza) if stanza.terms[0] == "inet6" and stanza.terms[1] in ("static", "") else []
    if not first:
        return _whole(stanza)
    splices = _to_dhcp(src, stanza, leave_bonds)
    if not up:
        splices.insert(0, insert_lines(src, stanza.head.start, encode(f"auto {stanza.name}")))
    return splices


def add(src: bytes | None, *, name: str) -> bytes | None:
    """Add a DHCP stanza for the interface at the end, where the file defines it nowhere."""
    known = src or b""
    found = parse(known)
    if not IFNAME.match(name) or any(one.keyword == "iface" and one.name == name for one in found.stanzas):
        return src
    up = [] if name in raised(found) else [encode(f"auto {name}")]
    return append_lines(known, *([b""] if known else []), *up, encode(f"iface {name} inet dhcp"))


def with_hooks(src: bytes | None, *, name: str, hooks: list[tuple[str, str]]) -> bytes | None:
    """Have commands (keyword, command) run for the first IPv4 stanza of this interface, where it has them not yet."""
    if src is None:
        return None
    own = next(
        (one for one in parse(src).stanzas if one.keyword == "iface" and one.name == name and _is_inet(one)), None
    )
    if own is None:
        return src
    known = {(line.keyword, line.value) for line in own.options}
    new = [
        encode(f"    {keyword} {command}")
        for keyword, command in dict.fromkeys(hooks)
        if (keyword, command) not in known
    ]
    return apply_splices(src, [insert_lines(src, own.head.end, *new)]) if new else src


def optional(src: bytes | None, *, names: list[str]) -> bytes | None:
    """Make these interfaces come up when their NIC appears (allow-hotplug), not wait for it (auto)."""
    if src is None:
        return None
    splices, wanted = [], set(names)
    for stanza in parse(src).stanzas:
        if stanza.keyword != "auto":
            continue
        hit = [word for word in stanza.words if word in wanted]
        if hit and len(hit) == len(stanza.words):
            word = _word_spans(src, stanza.head)[0]
            splices.append(Splice(word[1], word[2] - word[1], b"allow-hotplug"))
        elif hit:
            splices += _without_names(src, stanza.head, set(hit))
            splices.append(insert_lines(src, stanza.head.end, encode(f"allow-hotplug {' '.join(hit)}")))
    return apply_splices(src, splices)


def rebind(src: bytes | None, *, name: str, mac: str = "") -> bytes | None:
    """Take the old hardware address off an interface: ``hwaddress`` would give it to the new NIC.

    With ``mac`` the line names that address; without it the line goes, and so does a bridge's ``bridge_hw``.
    """
    if src is None:
        return None
    splices = []
    for stanza in parse(src).stanzas:
        if stanza.keyword != "iface" or stanza.name != name:
            continue
        for line in stanza.options:
            if line.keyword.replace("_", "-") == "bridge-hw" and norm_mac(line.value):
                splices.append(_gone(line.start, line.end))
            elif line.keyword == "hwaddress" and norm_mac(words_of(line.value)[-1] if line.value else "") != mac:
                splices.append(_new_mac(src, line, mac))
    return apply_splices(src, splices)


def _new_mac(src: bytes, line: Line, mac: str) -> Splice:
    words = _word_spans(src, line)
    if mac and len(words) > 1:
        return Splice(words[-1][1], words[-1][2] - words[-1][1], encode(mac))
    return _gone(line.start, line.end)
