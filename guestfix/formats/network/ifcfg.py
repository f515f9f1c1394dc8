"""What ifcfg-*, route-*, ifroute-* and /etc/sysconfig/network files say, in Red Hat's and SUSE's dialects.

Sources: /usr/share/doc/initscripts/sysconfig.txt, nm-settings-ifcfg-rh(5), ifcfg(5), ifcfg-routes(5) of wicked.
Changing the files is :mod:`guestfix.formats.shellvars`' matter; this module only reads.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from guestfix.base.catalog.records.network import Nic
from guestfix.base.patterns import regex
from guestfix.formats.network.nic import cidr, kind_of_name, norm_mac, number
from guestfix.formats.shellvars import assignments, decode

IGNORED = regex(r"(~|\.(bak|orig|old|rpmnew|rpmorig|rpmsave|dpkg-.*|cfsaved|saved?|swp|scpmbackup|YaST2save))\Z")
"""Names that Red Hat's and SUSE's scripts pass over (``__sed_discard_ignored_files``, wicked's blacklist)."""

_TYPES = {
    "ethernet": "ethernet",
    "bond": "bond",
    "vlan": "vlan",
    "bridge": "bridge",
    "ovsbridge": "bridge",
    "team": "team",
    "wireless": "wifi",
    "infiniband": "other",
    "ovsport": "ethernet",
    "ovsbond": "bond",
    "gre": "tunnel",
    "ipip": "tunnel",
    "sit": "tunnel",
    "tun": "tunnel",
    "tap": "tunnel",
    "xdsl": "tunnel",
    "modem": "other",
    "dummy": "dummy",
}
_BY_HARDWARE = regex(r"(?:eth-)?(?:id-(?P<mac>[0-9A-Fa-f:]{17})|bus-\w+-.+)\Z")
"""How SUSE's files of before version 11 could be named: after a MAC or a place on a bus, not an interface."""

_RANGE = regex(r"-range\d*\Z")
_METHODS = {"dhcp": "dhcp", "bootp": "dhcp", "dhcp4": "dhcp", "autoip": "auto", "dhcp+autoip": "dhcp", "ibft": "dhcp"}


def values(src: bytes) -> dict[str, str]:
    """Return the last plain value of every variable in the file."""
    return {one.name: one.value for one in assignments(src) if not one.append}


def kind_of(known: Mapping[str, str], name: str) -> str:
    """Return the interface's kind as the scripts decide it: TYPE, then the variables of each kind, then the name."""
    if known.get("TEAM_CONFIG") or known.get("TEAM_PORT_DEVICE_1") or known.get("DEVICETYPE", "").lower() == "team":
        return "team"
    if yes(known.get("BONDING_MASTER", "")) or known.get("BONDING_OPTS") or known.get("BONDING_SLAVE_0"):
        return "bond"
    if yes(known.get("VLAN", "")) or known.get("ETHERDEVICE") or known.get("PHYSDEV"):
        return "vlan"
    if yes(known.get("BRIDGE", "")):
        return "bridge"
    typed = _TYPES.get(known.get("TYPE", "").lower(), "")
    if (":" in name or _RANGE.search(name)) and typed in ("", "ethernet"):
        return "alias"
    return typed or kind_of_name(name)


def yes(text: str) -> bool:
    """Tell whether a variable is switched on (initscripts' is_true, wicked's boolean)."""
    return text.lower() in ("yes", "true", "t", "y", "on", "1")


def addresses(known: Mapping[str, str]) -> tuple[str, ...]:
    """Return every IPv4 and IPv6 address with its prefix: IPADDR, IPADDR0 to n, IPADDR_x, IPV6ADDR and the rest."""
    found = []
    for name in known:
        if name.startswith("IPADDR_START"):
            found.append(f"{known[name]}-{known.get(name.replace('START', 'END'), '')}")
        elif name.startswith("IPADDR") and name != "IPADDR6" and not name.startswith("IPADDR_END"):
            suffix = name[len("IPADDR") :]
            mask = known.get(f"PREFIX{suffix}") or known.get(f"PREFIXLEN{suffix}") or known.get(f"NETMASK{suffix}", "")
            found += [cidr(word, mask) for word in known[name].split()]
        elif name in ("IPV6ADDR", "IPV6ADDR_SECONDARIES", "IPADDR6"):
            found += known[name].split()
    return tuple(dict.fromkeys(found))


def _numbered(known: Mapping[str, str], *stems: str) -> tuple[str, ...]:
    found = [known[name] for name in known if name.rstrip("0123456789_") in stems and known[name]]
    return tuple(dict.fromkeys(word for value in found for word in value.split()))


def _parents(known: Mapping[str, str], kind: str, name: str) -> tuple[str, ...]:
    if kind == "vlan":
        return (known.get("PHYSDEV") or known.get("ETHERDEVICE") or name.rpartition(".")[0],)
    if kind == "alias":
        return (_RANGE.sub("", name).partition(":")[0],)
    stems = {"bond": ("BONDING_SLAVE",), "bridge": ("BRIDGE_PORTS",), "team": ("TEAM_PORT_DEVICE",)}.get(kind, ())
    return _numbered(known, *stems)


def _methods(known: Mapping[str, str], found: tuple[str, ...]) -> tuple[str, str]:
    proto = known.get("BOOTPROTO", "").lower()
    four = any(":" not in one for one in found)
    method = _METHODS.get(proto, "static" if four else "none")
    six = any(":" in one for one in found)
    if yes(known.get("DHCPV6C", "")) or proto in ("dhcp6",):
        return method, "dhcp"
    if six:
        return method, "static"
    return method, "auto" if yes(known.get("IPV6INIT", "yes")) and known.get("IPV6_AUTOCONF", "yes") != "no" else "none"


def nic(src: bytes, file_name: str, *, suse: bool = False) -> Nic:
    """Return what the ifcfg file with this name (``ifcfg-eth0``) says of its interface."""
    known = values(src)
    own = file_name.partition("-")[2]
    name = own if suse else known.get("DEVICE", "") or ""
    mac = norm_mac(known.get("LLADDR" if suse else "HWADDR", ""))
    placed = _BY_HARDWARE.match(own) if suse else None
    mac = norm_mac(placed["mac"] or "") if placed else mac
    kind, found = "ethernet" if placed else kind_of(known, name or own), addresses(known)
    method, method6 = _methods(known, found)
    return Nic(
        name=name or own,
        line=1,
        stack="ifcfg-suse" if suse else "ifcfg",
        kind=kind,
        mac=mac,
        method=method,
        method6=method6,
        addresses=found,
        gateway=known.get("GATEWAY", "") or next((v for k, v in known.items() if k.startswith("GATEWAY") and v), ""),
        gateway6=known.get("IPV6_DEFAULTGW", ""),
        dns=_numbered(known, "DNS"),
        search=tuple(f"{known.get('DOMAIN', '')} {known.get('SEARCH', '')}".split()),
        mtu=number(known.get("MTU", "")),
        parents=_parents(known, kind, name or own),
        auto=known.get("STARTMODE", "manual") in ("auto", "boot", "onboot", "on", "nfsroot", "hotplug", "ifplugd")
        if suse
        else yes(known.get("ONBOOT", "yes")),
        bound_name=(suse and not placed) or bool(known.get("DEVICE")),
        bound_mac=bool(mac) and (not suse or bool(placed)),
        id=known.get("NAME", ""),
        uuid=known.get("UUID", ""),
        unmanaged=known.get("NM_CONTROLLED", "yes").lower() in ("no", "false", "0", "n"),
        any_nic=not (suse or mac or known.get("DEVICE")),
        tied_to=_masters(known),
    )


def _masters(known: Mapping[str, str]) -> tuple[str, ...]:
    """Return the bond, bridge or team that this interface is a port of."""
    names = ("MASTER", "BRIDGE", "TEAM_MASTER", "OVS_BRIDGE", "BRIDGE_UUID", "MASTER_UUID", "TEAM_MASTER_UUID")
    return tuple(known[name] for name in names if known.get(name) and not yes(known[name]) and known[name] != "no")


NUMBERED = regex(r"ADDRESS(\d+)\Z")
"""The variable that opens a route in a file of ADDRESSn, NETMASKn and GATEWAYn; its group is the number."""


def numbered_route(known: Mapping[str, str], number: str) -> str:
    """Return the route of this number as text."""
    net = cidr(known[f"ADDRESS{number}"], known.get(f"NETMASK{number}", ""))
    gateway = known.get(f"GATEWAY{number}", "")
    return f"{net} via {gateway}" if gateway else net


def routes(src: bytes) -> tuple[str, ...]:
    """Return the routes of a route-*, route6-*, ifroute-* or routes file, each as one line of text."""
    known = values(src)
    numbers = [match[1] for name in known if (match := NUMBERED.match(name))]
    if numbers:
        return tuple(numbered_route(known, number) for number in numbers)
    lines = (line.strip() for line in decode(src).splitlines())
    return tuple(" ".join(line.split()) for line in lines if line and line[0] != "#" and "=" not in line)


def default_gateway(lines: tuple[str, ...]) -> str:
    """Return the gateway of the first default route of the main table among the lines of a routes file, or ""."""
    for line in lines:
        words = line.split()
        if words[0] in ("default", "0.0.0.0/0", "0/0", "0.0.0.0") and len(words) > 1 and not other_table(words):
            gateway = words[2] if words[1] == "via" and len(words) > 2 else words[1]
            if gateway not in ("-", "dev"):
                return gateway
    return ""


def other_table(words: Sequence[str]) -> bool:
    """Tell whether a route of ip-route(8) is for another table than the main one."""
    at = words.index("table") if "table" in words else len(words)
    return bool(words[at + 1 :]) and words[at + 1] not in ("main", "254")
