"""What every network configuration format says of one interface, as a :class:`Nic`."""

from __future__ import annotations

from collections.abc import Sequence

from guestfix.base.catalog.records.network import Nic
from guestfix.base.patterns import regex
from guestfix.base.record import names_of, replace

MAX_CONFIG = 1024 * 1024
"""Bytes of one network configuration file; a larger one is not read."""

MAX_NICS = 1024
"""Interfaces that are looked at; a configuration that names more is cut there."""

_MAC = regex(r"[0-9A-Fa-f]{1,2}(?:[:-][0-9A-Fa-f]{1,2}){5}\Z")
_IPV4 = regex(r"\d{1,3}(?:\.\d{1,3}){3}\Z")
_KERNEL_NAME = regex(r"eth\d+\Z")
_GATEWAY = regex(r"(?:\b(?:via|gw)\s+|\A[^,]*,)([0-9a-fA-F:.]+|-)")
_FROM = regex(r"\b(?:src|from)[\s=]")
IFNAME = regex(r"[A-Za-z0-9_.:@-]{1,15}\Z")


def printable(nic: Nic) -> Nic:
    r"""Return the interface with texts that UTF-8 can hold: bytes that were none become ``\xe9``."""
    return replace(nic, **{name: _shown(getattr(nic, name)) for name in names_of(nic)})


def _shown(value: object) -> object:
    if isinstance(value, tuple):
        return tuple(_shown(one) for one in value)
    if isinstance(value, str):
        return value.encode("utf-8", "surrogateescape").decode("utf-8", "backslashreplace")
    return value


def called(nic: Nic) -> str:
    """Return what a sentence calls an interface: its name, its profile's, else the file that describes it."""
    return nic.name or nic.id or f"of {nic.path.rpartition('/')[2] or 'no name'}"


def is_link_local(route: str) -> bool:
    """Tell whether a route leads to addresses of the link itself, through no gateway and from no address given.

    Any network has these; the data source of a cloud is behind one.
    """
    to = regex(r"[\s,]").split(route.removeprefix("to ").strip(), maxsplit=1)[0].lower()
    through = _GATEWAY.search(route)
    tied = is_from(route) or (through is not None and through[1] not in ("-", "0.0.0.0", "::"))
    return to.startswith(("169.254.", "fe80:", "169.254/")) and not tied


def is_from(route: str) -> bool:
    """Tell whether a route, or its options, names the address that packets are sent from."""
    return _FROM.search(route) is not None


def named(nics: Sequence[Nic]) -> list[Nic]:
    """Return the same interfaces, with ports and masters that were given by a profile's UUID by name."""
    names = {one.uuid.lower(): one.name for one in nics if one.uuid}

    def known(words: tuple[str, ...]) -> tuple[str, ...]:
        return tuple(names.get(word.lower(), word) for word in words)

    return [replace(one, parents=known(one.parents), tied_to=known(one.tied_to)) for one in nics]


def is_mac(text: str) -> bool:
    """Tell whether text is a 48-bit hardware address with colons or dashes."""
    return _MAC.match(text) is not None


def norm_mac(text: str) -> str:
    """Return a hardware address as the kernel prints it (lower case, colons), or "" where it is none."""
    if not is_mac(text):
        return ""
    return ":".join(part.zfill(2) for part in text.lower().replace("-", ":").split(":"))


def kernel_name(name: str) -> bool:
    """Tell whether the kernel itself may give this name to a wired NIC."""
    return _KERNEL_NAME.match(name) is not None


def prefix_of(netmask: str) -> str:
    """Return a dotted IPv4 netmask as prefix length; "" where it is no contiguous mask. ``24`` is kept."""
    if netmask.isascii() and netmask.isdigit() and len(netmask) <= 3:
        return netmask
    if not _IPV4.match(netmask) or any(int(part) > 255 for part in netmask.split(".")):
        return ""
    bits = "".join(f"{int(part):08b}" for part in netmask.split("."))
    return "" if "01" in bits else str(bits.count("1"))


def cidr(address: str, netmask: str = "") -> str:
    """Return ``address/prefix`` where a prefix is known, else the address as it is."""
    bare, slash, mask = address.partition("/")
    prefix = prefix_of(mask if slash else netmask)
    return f"{bare}/{prefix}" if prefix else bare


def number(text: str) -> int | None:
    """Return a small decimal number, or None."""
    return int(text) if text.isascii() and text.isdigit() and len(text) < 10 else None


def kind_of_name(name: str) -> str:
    """Guess an interface's kind from its name alone, as the tools that have no TYPE= do."""
    if name == "lo":
        return "loopback"
    if ":" in name:
        return "alias"
    if regex(r"\.\d+\Z").search(name) or regex(r"vlan\d+\Z").match(name):
        return "vlan"
    for start, kind in _NAMES:
        if name.startswith(start):
            return kind
    return "ethernet"


_NAMES = (
    ("bond", "bond"),
    ("team", "team"),
    ("vmbr", "bridge"),
    ("virbr", "bridge"),
    ("br-", "bridge"),
    ("docker", "bridge"),
    ("wl", "wifi"),
    ("ath", "wifi"),
    ("ww", "other"),
    ("ppp", "tunnel"),
    ("tun", "tunnel"),
    ("tap", "tunnel"),
    ("wg", "tunnel"),
    ("gre", "tunnel"),
    ("sit", "tunnel"),
    ("ib", "other"),
    ("dummy", "dummy"),
    ("veth", "other"),
)
