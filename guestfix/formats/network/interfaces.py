"""Debian's /etc/network/interfaces, read as ifupdown's own parser does, with byte offsets.

Source: interfaces(5) and ifupdown's config.c. A backslash at a line's end joins the next line, and on the last
line joins nothing; a ``#`` starts a comment only as the first thing on a line, and a comment is never continued.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from functools import lru_cache

from guestfix.base.catalog.records.network import Nic
from guestfix.base.patterns import regex
from guestfix.base.record import field, frozen, mutable
from guestfix.formats.network.ifcfg import other_table
from guestfix.formats.network.nic import MAX_NICS, cidr, kind_of_name, norm_mac, number
from guestfix.formats.shellvars import decode, encode

_TOP = ("iface", "mapping", "auto", "source", "source-directory", "rename", "no-auto-down", "no-scripts", "template")
_MAX_DEPTH = 16
_MAX_OPTIONS = 256
"""Options that are looked at of one stanza's bases."""

_ROUTE = regex(
    r"\b(?:ip\s+(?:-\w+\s+)*)?(?:route|r)\s+(?:add|a|append|replace)\s+(?:-net\s+|-host\s+)?([^\s;&|][^;&|]*)"
)
_UNROUTE = regex(r"\b(?:ip\s+(?:-\w+\s+)*)?(?:route|r)\s+d(?:el|elete)?\s+(?:-net\s+|-host\s+)?([^\s;&|][^;&|]*)")
_RULE = regex(r"\bip\s+(?:-\w+\s+)*(?:rule|ru)\s+(?:add|a)\s+([^\s;&|][^;&|]*)")
_ADDRESS = regex(
    r"\bip\s+(?:-\w+\s+)*(?:address|addr|ad|a)\s+(?:add|a)\s+(?:local\s+)?([0-9A-Fa-f.:]{3,45}(?:/\d{1,3})?)(?=\s|\Z)"
)
_PARTS = regex(r"&&|\|\||[;&]")
COMMANDS = ("up", "post-up", "pre-up", "down", "pre-down", "post-down")
_UP = COMMANDS[:3]


def words_of(text: str) -> list[str]:
    """Return the words of a text, parted by ASCII's blanks alone: a no-break space is a letter to ifupdown."""
    return [decode(one) for one in encode(text).split()]


@frozen
class Line:
    """One logical line: its first word, the rest, its 1-based first line and its whole lines' offsets."""

    keyword: str
    value: str
    line: int
    start: int
    end: int
    folded: bool = False


@mutable
class Stanza:
    """A line that opens a stanza, with the option lines that belong to it (iface and mapping only)."""

    head: Line
    options: list[Line] = field(default_factory=list)

    @property
    def keyword(self) -> str:
        """The stanza's first word, with ``allow-auto`` as ``auto``."""
        return "auto" if self.head.keyword == "allow-auto" else self.head.keyword

    @property
    def words(self) -> list[str]:
        """What follows the first word."""
        return words_of(self.head.value)

    @property
    def name(self) -> str:
        """The first word after the keyword: an iface stanza's logical interface."""
        return self.words[0] if self.words else ""

    @property
    def terms(self) -> tuple[str, str, str]:
        """Address family, method and base of an iface stanza; "" for what it takes from its base (``inherits``)."""
        words = self.words[1:]
        at = words.index("inherits") if "inherits" in words else len(words)
        own, base = words[:at], words[at + 1 : at + 2]
        return (own[0] if own else ""), (own[1] if len(own) > 1 else ""), (base[0] if base else "")

    def option(self, *names: str) -> str:
        """Return the value of the first option with one of these names (``_`` and ``-`` are the same)."""
        wanted = {name.replace("_", "-") for name in names}
        return next((one.value for one in self.options if one.keyword.replace("_", "-") in wanted), "")


@mutable
class Interfaces:
    """A whole file: its stanzas and the lines that belong to none (ifupdown refuses a file with such a line)."""

    stanzas: list[Stanza] = field(default_factory=list)
    misplaced: list[Line] = field(default_factory=list)


@lru_cache(maxsize=4)
def _logical_lines(src: bytes) -> tuple[Line, ...]:
    """Return a file's logical lines: detectors, rules and the second look read the same bytes some twenty times."""
    found: list[Line] = []
    at, number_ = 0, 1
    while at < len(src):
        start, first = at, number_
        parts: list[bytes] = []
        while True:
            stop = src.find(b"\n", at)
            piece = src[at : stop if stop >= 0 else len(src)]
            at, number_ = (stop + 1 if stop >= 0 else len(src)), number_ + 1
            comment = not parts and piece.lstrip()[:1] == b"#"
            bare = piece.rstrip(b"\r")
            if comment or not bare.endswith(b"\\"):
                parts += [] if comment else [piece]
                break
            parts.append(bare[:-1] + b" ")
            if at == len(src):
                break
        words = b"".join(parts).split(None, 1)
        if words:
            value = decode(words[1].rstrip()) if len(words) > 1 else ""
            found.append(Line(decode(words[0]), value, first, start, at, number_ - first > 1))
    return tuple(found)


def parse(src: bytes) -> Interfaces:
    """Return the file's stanzas in order. Never fails; a line out of place is in ``misplaced``."""
    result, owner = Interfaces(), None
    for line in _logical_lines(src):
        if line.keyword in _TOP or line.keyword.startswith("allow-"):
            stanza = Stanza(line)
            result.stanzas.append(stanza)
            owner = stanza if line.keyword in ("iface", "mapping", "template") else None
        elif owner is not None:
            owner.options.append(line)
        else:
            result.misplaced.append(line)
    return result


def raised(found: Interfaces) -> dict[str, str]:
    """Return how each interface is raised: ``auto`` or ``allow-hotplug``; patterns stay as they are written."""
    how: dict[str, str] = {}
    for stanza in found.stanzas:
        if stanza.keyword in ("auto", "allow-hotplug"):
            for word in stanza.words:
                name = word if word.startswith("/") else word.partition("=")[0]
                if how.get(name) != "auto":
                    how[name] = stanza.keyword
    return how


def sources(found: Interfaces) -> list[tuple[str, str]]:
    """Return the ``source`` and ``source-directory`` lines as (keyword, argument), in order."""
    return [(one.keyword, one.head.value) for one in found.stanzas if one.keyword in ("source", "source-directory")]


def kind_of(stanza: Stanza) -> str:
    """Return the kind of interface that an iface stanza describes, from its options, else from its name."""
    if stanza.option("bond-slaves", "slaves", "bond-mode"):
        return "bond"
    if stanza.option("bridge-ports", "bridge_ports", "ovs-type") or stanza.option("bridge-vlan-aware"):
        return "bridge"
    if stanza.option("vlan-raw-device", "vlan_raw_device"):
        return "vlan"
    method = stanza.terms[1]
    if method == "loopback":
        return "loopback"
    if method in ("ppp", "tunnel", "v4tunnel", "6to4", "wvdial"):
        return "tunnel"
    return kind_of_name(stanza.name)


def _parents(stanza: Stanza, kind: str) -> tuple[str, ...]:
    if kind == "vlan":
        return (stanza.option("vlan-raw-device") or stanza.name.rpartition(".")[0],)
    if kind == "alias":
        return (stanza.name.partition(":")[0],)
    ports = stanza.option("bond-slaves", "slaves") or stanza.option("bridge-ports")
    return tuple(word for word in ports.split() if word not in ("none", "all", "regex"))


def nic_of(stanza: Stanza, how: dict[str, str], bases: Mapping[str, Stanza] | None = None) -> Nic:
    """Return what one iface stanza says, with what it takes from its ``bases``."""
    stanza, family, method = _inherited(stanza, bases or {})
    inet6, name = family == "inet6", stanza.name
    method = {"loopback": "none"}.get(method, method)
    kind, address = kind_of(stanza), stanza.option("address")
    default, routes = _routes(stanza)
    gateway = stanza.option("gateway") or default
    mac = norm_mac(stanza.option("hwaddress").removeprefix("ether").strip() or stanza.option("bridge_hw"))
    return Nic(
        name=name,
        line=stanza.head.line,
        stack="ifupdown",
        kind=kind,
        mac=mac,
        method="" if inet6 else method,
        method6=method if inet6 else "",
        addresses=((cidr(address, stanza.option("netmask")),) if address else ()) + _more_addresses(stanza),
        gateway="" if inet6 else gateway,
        gateway6=gateway if inet6 else "",
        dns=tuple(stanza.option("dns-nameservers", "dns-nameserver").split()),
        search=tuple(stanza.option("dns-search", "dns-domain").split()),
        routes=routes,
        mtu=number(stanza.option("mtu")),
        parents=_parents(stanza, kind),
        auto=name in how,
    )


def _routes(stanza: Stanza) -> tuple[str, tuple[str, ...]]:
    """Return the default gateway of the main table, and the other routes and rules, that the stanza's commands set."""
    gateway, routes = "", []
    for value in _raising(stanza):
        for found in _ROUTE.finditer(value):
            words = found[1].split()
            at = next((index for index, word in enumerate(words) if word in ("via", "gw")), len(words))
            if words[0] == "default" and not gateway and not other_table(words):
                gateway = next(iter(words[at + 1 :]), "")
            else:
                routes.append(" ".join(words))
        routes += [f"rule {' '.join(found[1].split())}" for found in _RULE.finditer(value)]
    return gateway, tuple(routes)


def _more_addresses(stanza: Stanza) -> tuple[str, ...]:
    return tuple(dict.fromkeys(found[1] for value in _raising(stanza) for found in _ADDRESS.finditer(value)))


def _raising(stanza: Stanza) -> list[str]:
    return [one.value for one in stanza.options if one.keyword in _UP]


def parts_of(command: str) -> list[str]:
    """Return the commands that a shell runs of a line, without what joins them."""
    return [part for text in _PARTS.split(command) if (part := text.strip())]


def route_in(command: str) -> str:
    """Return the route that one command adds or deletes, as ip-route(8) writes it, or ""."""
    found = _ROUTE.search(command) or _UNROUTE.search(command)
    return found[1] if found else ""


def is_read(command: str) -> bool:
    """Tell whether one command adds a route, a rule or an address, so that :func:`nic_of` has it."""
    return any(one.search(command) for one in (_ROUTE, _RULE, _ADDRESS))


def _inherited(stanza: Stanza, bases: Mapping[str, Stanza]) -> tuple[Stanza, str, str]:
    """Return the stanza with its bases' options behind its own, and the family and method that hold for it."""
    options = list(stanza.options)
    family, method, base = stanza.terms
    for _ in range(_MAX_DEPTH):
        below = bases.get(base)
        if below is None or len(options) > _MAX_OPTIONS:
            break
        options += below.options[:_MAX_OPTIONS]
        above, base = below.terms[:2], below.terms[2]
        family, method = family or above[0], method or above[1]
    return Stanza(stanza.head, options), family, method


def bases_of(found: Iterable[Interfaces]) -> dict[str, Stanza]:
    """Return, by name, the iface stanzas that others inherit from, over all files."""
    ifaces = [one for file in found for one in file.stanzas if one.keyword == "iface"]
    wanted = {one.terms[2] for one in ifaces} - {""}
    return {one.name: one for one in reversed(ifaces) if one.name in wanted}


def nics(src: bytes, how: dict[str, str] | None = None, bases: Mapping[str, Stanza] | None = None) -> list[Nic]:
    """Return one Nic an iface stanza; none for a mere base of others, which nothing raises.

    ``how`` is what :func:`raised` says over all files, ``bases`` what :func:`bases_of` says; default: this file's.
    """
    found = parse(src)
    known = raised(found) if how is None else how
    below = bases_of([found]) if bases is None else bases
    stanzas = [one for one in found.stanzas if one.keyword == "iface" and one.words]
    real = [one for one in stanzas if one.name not in below or one.name in known]
    return [nic_of(one, known, below) for one in real[:MAX_NICS]]
