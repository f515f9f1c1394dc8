"""Firewall rules that are loaded at boot and shut DHCP out.

The first lease is taken by a raw socket that no filter sees; renewals are ordinary UDP from port 68 to port 67
of the server, and what comes back. firewalld, ufw and SuSEfirewall2 let both through by themselves.
"""

from __future__ import annotations

import re

from guestfix.base.facts import Evidence, Finding
from guestfix.base.guest import GuestFS
from guestfix.base.patterns import regex
from guestfix.detect.files import lines_of, read_small
from guestfix.detect.services.firewall import SAVED
from guestfix.detect.system.initsystem import Services
from guestfix.formats.network.nic import MAX_CONFIG

_OPEN = {
    "INPUT": regex(r"ESTABLISHED|--dport\s+(68|67:68|bootpc)\b|--sport\s+(67|67:68|bootps)\b|-p udp -j"),
    "OUTPUT": regex(r"--dport\s+(67|67:68|bootps)\b|--sport\s+(68|67:68|bootpc)\b|-p udp -j|NEW"),
}
_WHAT = {"INPUT": "the answers by which a DHCP lease is renewed", "OUTPUT": "the requests that renew a DHCP lease"}
_SHUT = regex(r":(INPUT|OUTPUT) DROP|-A (INPUT|OUTPUT|RH-Firewall-1-INPUT) -j (DROP|REJECT)\b")
_ALL = regex(r"-A (INPUT|OUTPUT)( -[io] (?!lo\b)\S+)? -j ACCEPT")
_NFT = (["nftables.service"], ["nftables"], ("/etc/nftables.conf", "/etc/sysconfig/nftables.conf"))


def dhcp_findings(guest: GuestFS, services: Services) -> list[Finding]:
    """Return a finding for each rule file, loaded at boot as far as can be seen, that drops DHCP renewals."""
    found = []
    for units, names, path in (*SAVED, (["iptables-restore.service"], [], "/etc/iptables.rules")):
        if services.find(units, names).state not in ("off", "masked"):
            found += _iptables(path, read_small(guest, path, MAX_CONFIG) or b"")
    units, names, paths = _NFT
    if services.find(units, names).state == "on":
        for path in paths:
            found += _nftables(path, read_small(guest, path, MAX_CONFIG) or b"")
    return found


def _iptables(path: str, data: bytes) -> list[Finding]:
    lines = list(lines_of(data))
    found = []
    for chain, way in _OPEN.items():
        other = "OUTPUT" if chain == "INPUT" else "INPUT"
        mine = [(n, line) for n, line in lines if not re.match(rf"-A ({other}|FORWARD)\b|:({other}|FORWARD) ", line)]
        shut = next(((n, line) for n, line in mine if _SHUT.match(line)), None)
        opened = any(("ACCEPT" in line and way.search(line)) or _ALL.match(line) for _, line in mine)
        if shut is not None and not opened:
            found.append(_finding(path, shut[0], shut[1], _WHAT[chain]))
    return found


def _nftables(path: str, data: bytes) -> list[Finding]:
    for number, line in lines_of(data):
        plain = line.partition("#")[0]
        if "hook input" in plain and "policy drop" in plain:
            rest = regex(rb"#[^\n]*").sub(b"", data)
            if not regex(rb"established|dport\s+(\{[^}]*)?(68|bootpc)\b|sport\s+(\{[^}]*)?(67|bootps)\b").search(rest):
                return [_finding(path, number, line, _WHAT["INPUT"])]
    return []


def _finding(path: str, line: int, text: str, what: str) -> Finding:
    remedy = "accept UDP to port 67 and to port 68, or packets of established connections"
    place = Evidence(path, line, text.strip())
    return Finding("GF-NETWORK-FIREWALL-DHCP", "warning", f"{path} drops {what}", (place,), remedy)
