"""Name servers of the old network that stay in use: what writes nothing into /etc/resolv.conf, or writes others there.

Sources: NetworkManager.conf(5) (dns=, rc-manager=, [global-dns-domain-*]), resolved.conf(5), netconfig(8) of SUSE
(an empty NETCONFIG_DNS_POLICY leaves the file alone), dhclient-script(8) (make_resolv_conf of an enter hook).
"""

from __future__ import annotations

from guestfix.base.catalog.facts.network import NETWORK_MANAGER, NETWORK_RESOLV_CONF
from guestfix.base.catalog.records.network import ResolvConf
from guestfix.base.facts import Evidence, Facts, Finding
from guestfix.base.guest import GuestFS
from guestfix.base.patterns import regex
from guestfix.detect.files import lines_of, names_in, paths_like, read_small
from guestfix.detect.network.managed import manager_files
from guestfix.detect.network.state import resolved_starts
from guestfix.formats.ini import entries, groups
from guestfix.formats.network import networkd
from guestfix.formats.network.nic import MAX_CONFIG
from guestfix.formats.shellvars import find

_HOOKS = "/etc/dhcp*/dhclient-enter-hooks.d/*"
_ALONE = ("none", "unmanaged")
SUSE_CONFIG = "/etc/sysconfig/network/config"


def fixed_findings(guest: GuestFS, facts: Facts) -> list[Finding]:
    """Return a finding for each place that keeps name servers which were entered by hand in use."""
    resolv = facts.value(NETWORK_RESOLV_CONF)
    file = _fixed_file(guest, facts, resolv) if resolv is not None else []
    return [*file, *_fixed_resolved(guest), *_global_servers(guest, facts)]


def _elsewhere(servers: tuple[str, ...]) -> list[str]:
    return [one for one in servers if not one.startswith("127.") and one != "::1"]


def _fixed_file(guest: GuestFS, facts: Facts, resolv: ResolvConf) -> list[Finding]:
    """Return a finding where the old network's name servers stay, since nothing rewrites /etc/resolv.conf."""
    servers = _elsewhere(resolv.nameservers)
    why = _not_written(guest, facts.value(NETWORK_MANAGER, "")) if resolv.kind == "file" and servers else None
    if why is None:
        return []
    summary = f"/etc/resolv.conf keeps the name servers {' '.join(servers[:8])}: {why[0]}"
    remedy = "see that they can be reached from the new network, or let the network's manager write the file"
    return [Finding("GF-NETWORK-RESOLV-FIXED", "warning", summary, (Evidence("/etc/resolv.conf"), *why[1:]), remedy)]


def _not_written(guest: GuestFS, manager: str) -> tuple[str, Evidence] | tuple[str] | None:
    """Return why the program that sets the network up writes no /etc/resolv.conf, and where that is said."""
    if manager == "networkd":
        return None if resolved_starts(guest) else ("systemd-networkd does not rewrite it",)
    if manager == "networkmanager":
        said = [(path, one) for path, data in manager_files(guest) for one in entries(groups(data), "main")]
        for key in ("dns", "rc-manager"):
            own = [(path, one) for path, one in said if one.key == key]
            if own and own[-1][1].value in _ALONE:
                path, one = own[-1]
                return "NetworkManager is told to leave it alone", Evidence(path, one.line, f"{key}={one.value}")
    if manager in ("wicked", "ifup"):
        policy = find(read_small(guest, SUSE_CONFIG) or b"", "NETCONFIG_DNS_POLICY")
        if policy is not None and not policy.value:
            return "netconfig is told to leave it alone", Evidence(SUSE_CONFIG, policy.line, 'NETCONFIG_DNS_POLICY=""')
    return _by_hook(guest) if manager in ("ifupdown", "initscripts") else None


def _by_hook(guest: GuestFS) -> tuple[str, Evidence] | None:
    for path in ["/etc/dhclient-enter-hooks", *paths_like(guest, _HOOKS, 64)]:
        data = read_small(guest, path) or b""
        if regex(rb"make_resolv_conf\s*\(\)\s*\{\s*(:|true|return(?: 0)?)\s*;?\s*\}").search(data):
            line = next((n for n, text in lines_of(data) if "make_resolv_conf" in text), 0)
            return "a hook of dhclient keeps it as it is", Evidence(path, line, "make_resolv_conf")
    return None


def _global_servers(guest: GuestFS, facts: Facts) -> list[Finding]:
    """Return a finding where NetworkManager has name servers for all connections, in place of any lease's."""
    if facts.value(NETWORK_MANAGER) != "networkmanager":
        return []
    for path, data in manager_files(guest):
        for group in groups(data):
            for one in group.entries if group.name.startswith("global-dns-domain") else ():
                if one.key == "servers" and _elsewhere(tuple(regex(r"[,;\s]+").split(one.value))):
                    summary = (
                        f"{path} has the name servers {one.value[:200]} for all connections, whatever a lease says"
                    )
                    remedy = "see that they can be reached from the new network, or take the section out"
                    place = Evidence(path, one.line, f"[{group.name}] servers={one.value[:200]}")
                    return [Finding("GF-NETWORK-RESOLV-FIXED", "warning", summary, (place,), remedy)]
    return []


def _fixed_resolved(guest: GuestFS) -> list[Finding]:
    """Return a finding where systemd-resolved is told name servers that hold beside those of any NIC."""
    if not resolved_starts(guest):
        return []
    folder = "/etc/systemd/resolved.conf.d"
    paths = [f"{folder}/{name}" for name in names_in(guest, folder) if name.endswith(".conf")]
    for path in ["/etc/systemd/resolved.conf", *paths]:
        for one in entries(networkd.parse(read_small(guest, path, MAX_CONFIG) or b""), "Resolve", "DNS"):
            if one.value:
                summary = f"{path} keeps the name servers {one.value[:200]} for all NICs"
                remedy = "see that they can be reached from the new network, or take the line out"
                place = Evidence(path, one.line, f"DNS={one.value[:200]}")
                return [Finding("GF-NETWORK-RESOLV-FIXED", "warning", summary, (place,), remedy)]
    return []
