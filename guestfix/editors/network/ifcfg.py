"""ifcfg-* files of Red Hat and SUSE, and the global files beside them: static to DHCP, MAC bindings.

Lines are removed or one value is replaced; nothing else moves. Sources: sysconfig.txt of initscripts,
nm-settings-ifcfg-rh(5), ifcfg(5) of wicked.
"""

from __future__ import annotations

from guestfix.base.patterns import regex
from guestfix.formats.network.nic import is_mac
from guestfix.formats.shellvars import Assignment, drop, find, get, quote, set_value, settled, unset

_STATIC = regex(
    r"(IPADDR|NETMASK|PREFIX|PREFIXLEN|GATEWAY|BROADCAST|NETWORK|REMOTE_IPADDR|DNS|LABEL)(_?\w{0,12}|\d*)\Z"
    r"|(DOMAIN|SEARCH|IPV6ADDR|IPV6ADDR_SECONDARIES|IPADDR6|IPV6_DEFAULTGW|IPV6_DEFAULTDEV)\Z"
    r"|(HWADDR|MACADDR|LLADDR|MTU|IPV6_MTU|GATEWAYDEV|SRCADDR)\Z"
)
_FROM_PEER = regex(r"(IPV6_)?PEER(DNS|ROUTES)\Z|DHCLIENT_(SET_DEFAULT_ROUTE|MODIFY_RESOLV_CONF)\Z")
_STRUCTURE = regex(
    r"(MASTER|SLAVE|BRIDGE|TEAM_MASTER|TEAM_PORT_CONFIG|MASTER_UUID|BRIDGE_UUID|TEAM_MASTER_UUID)\Z"
    r"|(DEVICETYPE|OVS_\w+|BONDING_\w+|ETHERDEVICE|PHYSDEV|VLAN_ID|BRIDGE_\w+)\Z"
)


def _says_something(src: bytes, leave_bonds: bool) -> list[Assignment]:
    found = [one for one in settled(src) if one.value]
    six = any(one.name in ("IPV6ADDR", "IPV6ADDR_SECONDARIES") for one in found)
    return [
        one
        for one in found
        if _STATIC.match(one.name)
        or (leave_bonds and _STRUCTURE.match(one.name))
        or (_FROM_PEER.match(one.name) and _no(one) and (six or not one.name.startswith("IPV6_")))
        or (six and one.name == "IPV6_AUTOCONF" and _no(one))
    ]


def _no(one: Assignment) -> bool:
    return one.value.lower() in ("no", "false", "f", "n", "off", "0")


def dhcp(src: bytes | None, *, any_nic: bool = False, suse: bool = False, leave_bonds: bool = True) -> bytes | None:
    """Make an ifcfg file take its address by DHCP and come up at boot.

    Addresses, gateways, DNS servers, MTU and hardware addresses go; with ``leave_bonds`` also what makes it a bond,
    bridge, team or VLAN, or a port of one.
    ``any_nic`` takes DEVICE and NM_CONTROLLED away too, so that NetworkManager uses the profile for any wired NIC.
    """
    if src is None:
        return None
    out = drop(src, _says_something(src, leave_bonds))
    for name in ("DEVICE", "NM_CONTROLLED") if any_nic else ():
        out = unset(out, name)
    out = _set(out, "BOOTPROTO", "dhcp", ("dhcp", "dhcp4", "dhcp+autoip"))
    out = _set(out, "STARTMODE", "auto", ("auto", "boot", "onboot", "on", "nfsroot")) if suse else _raise(out)
    kind = find(out, "TYPE")
    if leave_bonds and not suse and (any_nic if kind is None else kind.value.lower() != "ethernet"):
        out = set_value(out, "TYPE", "Ethernet")
    if any_nic and out != src:
        out = set_value(out, "MULTI_CONNECT", "3")
    return src if out == src else out


def _raise(src: bytes) -> bytes:
    """Make a Red Hat file's interface come up at boot and carry the default route."""
    onboot, defroute = find(src, "ONBOOT"), find(src, "DEFROUTE")
    if onboot is None or onboot.value.lower() not in ("yes", "true", "t", "y", "1"):
        src = set_value(src, "ONBOOT", "yes")
    if defroute is not None and defroute.value.lower() == "no":
        src = set_value(src, "DEFROUTE", "yes")
    return src


def _set(src: bytes, name: str, value: str, good: tuple[str, ...]) -> bytes:
    found = find(src, name)
    if found is not None and found.value.lower() in good and not found.dynamic:
        return src
    return set_value(src, name, value)


def rebind(src: bytes | None, *, mac: str = "", suse: bool = False) -> bytes | None:
    """Make the MAC binding (HWADDR; SUSE: LLADDR) name the new NIC, or drop it where no MAC is given.

    An address that Red Hat's MACADDR gives to the interface (a bond too) goes: it is that of the old hardware.
    """
    name = "LLADDR" if suse else "HWADDR"
    if src is not None and not suse:
        src = drop(src, [one for one in settled(src) if one.name == "MACADDR" and is_mac(one.value)])
    if src is None or find(src, name) is None:
        return src
    found = find(src, name)
    if mac and found is not None and found.value:
        return src if found.value.lower() == mac.lower() else set_value(src, name, mac)
    return drop(src, [one for one in settled(src) if one.name == name and one.value])


def optional(src: bytes | None) -> bytes | None:
    """Make a SUSE interface one that is set up when its NIC is there and not waited for (STARTMODE=hotplug)."""
    found = find(src, "STARTMODE") if src is not None else None
    if src is None or found is None or found.value not in ("auto", "boot", "onboot", "on"):
        return src
    return set_value(src, "STARTMODE", "hotplug")


def no_gateway(src: bytes | None) -> bytes | None:
    """Take the default gateway out of Red Hat's /etc/sysconfig/network, where it would outlive the addresses."""
    if src is None:
        return None
    names = ("GATEWAY", "GATEWAYDEV", "IPV6_DEFAULTGW", "IPV6_DEFAULTDEV")
    return drop(src, [one for one in settled(src) if one.name in names and one.value])


def networking_on(src: bytes | None) -> bytes | None:
    """Make /etc/sysconfig/network say NETWORKING=yes where it says anything else."""
    found = find(src, "NETWORKING") if src is not None else None
    if src is None or found is None or found.value.lower() in ("yes", "true", "1"):
        return src
    return set_value(src, "NETWORKING", "yes")


def no_fixed_dns(src: bytes | None, *, whole: bool = True) -> bytes | None:
    """Empty the name servers and search domains that SUSE's /etc/sysconfig/network/config sets beside DHCP's.

    Servers on the guest itself stay with the policy for them: that resolver is no part of the old network. A policy
    that takes no lease's servers becomes ``auto``; without ``whole`` only where there were other servers.
    """
    if src is None:
        return None
    servers = (get(src, "NETCONFIG_DNS_STATIC_SERVERS") or "").split()
    if servers and all(one.startswith("127.") or one == "::1" for one in servers):
        return src
    for name in ("NETCONFIG_DNS_STATIC_SERVERS", "NETCONFIG_DNS_STATIC_SEARCHLIST"):
        found = find(src, name)
        if found is not None and found.value:
            src = set_value(src, name, "")
    policy = find(src, "NETCONFIG_DNS_POLICY")
    if policy is not None and (whole or servers) and not _takes_leases(policy.value):
        src = set_value(src, policy.name, "auto")
    return src


def _takes_leases(policy: str) -> bool:
    """Tell whether netconfig(8) puts name servers of a lease into resolv.conf by this policy."""
    return any(word.lower() == "auto" or word not in ("STATIC", "STATIC_FALLBACK") for word in policy.split())


def lease_in_use(src: bytes | None) -> bytes | None:
    """Take refusals of a lease's default route and name servers out of SUSE's /etc/sysconfig/network/dhcp."""
    if src is None:
        return None
    return drop(src, [one for one in settled(src) if _FROM_PEER.match(one.name) and _no(one)])


def in_zone(src: bytes | None, *, zone: str) -> bytes | None:
    """Put the file's interface into this zone of the firewall; "" leaves the file as it is."""
    return src if src is None or not zone else set_value(src, "ZONE", zone)


def fresh(name: str, *, suse: bool = False) -> bytes:
    """Return a new ifcfg file that takes any address by DHCP for the interface of this name."""
    if suse:
        return b"BOOTPROTO='dhcp'\nSTARTMODE='auto'\n"
    return b"DEVICE=" + quote(name) + b"\nTYPE=Ethernet\nBOOTPROTO=dhcp\nONBOOT=yes\n"
