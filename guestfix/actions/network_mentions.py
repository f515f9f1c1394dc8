"""Where else a name or an address is said that no NIC of the new platform will have."""

from __future__ import annotations

import re

from guestfix.errors import GuestError
from guestfix.facts import Evidence
from guestfix.formats.nic import IFNAME, MAX_CONFIG
from guestfix.patterns import regex
from guestfix.workbench import Workbench

_PLACES = (
    "/etc/sysconfig/ip*tables",
    "/etc/iptables/*",
    "/etc/iptables.rules",
    "/etc/nftables.conf",
    "/etc/sysconfig/nftables.conf",
    "/etc/nftables/*.nft",
    "/etc/ufw/user*.rules",
    "/etc/ufw/*fore*.rules",
    "/etc/firewalld/zones/*.xml",
    "/etc/firewalld/direct.xml",
    "/etc/shorewall/interfaces",
    "/etc/sysconfig/SuSEfirewall2",
    "/etc/sysctl.conf",
    "/etc/sysctl.d/*.conf",
    "/etc/dnsmasq.conf",
    "/etc/dnsmasq.d/*",
    "/etc/default/isc-dhcp-server",
    "/etc/keepalived/keepalived.conf",
    "/etc/rc.local",
    "/etc/rc.d/rc.local",
)
"""Firewall rules, kernel settings and services that go by an interface's name."""

MAX_PLACES = 12
_BARE = regex(r"[0-9A-Fa-f.:]{3,45}\Z")


def names_used(bench: Workbench, names: list[str]) -> None:
    """Record where these names are still said."""
    known = [re.escape(name) for name in names if IFNAME.match(name)]
    wanted = re.compile(rf"(?<![\w-])(?:in_|out_)?({'|'.join(known)})(?![\w-])")
    found = _all_said(bench, _PLACES, wanted) if known else []
    if found:
        bench.find(
            "GF-NETWORK-NAME-USED",
            "warning",
            f"{_words(wanted, found)}, but the NICs of the new platform get other names",
            *found[:MAX_PLACES],
            remedy="write these without the name, or keep names with --policy network=preserve (or dhcp-first)",
        )


def addresses_used(bench: Workbench, addresses: list[str]) -> None:
    """Record where these addresses, with or without their prefix, are still said."""
    known = [re.escape(one) for one in dict.fromkeys(one.partition("/")[0] for one in addresses) if _BARE.match(one)]
    wanted = re.compile(rf"(?<![\w.:])({'|'.join(known)})(?![\w.:])")
    found = _all_said(bench, ("/etc/hosts", *_PLACES), wanted) if known else []
    if found:
        bench.find(
            "GF-NETWORK-ADDRESS-USED",
            "info",
            f"{_words(wanted, found)}, but no longer an address of the guest",
            *found[:MAX_PLACES],
            remedy="correct these once the new address is known",
        )


def _words(wanted: re.Pattern[str], found: list[Evidence]) -> str:
    said = dict.fromkeys(word for place in found for word in wanted.findall(place.text))
    more = f" ({len(found) - MAX_PLACES} more places)" if len(found) > MAX_PLACES else ""
    return f"{', '.join(list(said)[:20])}: also written elsewhere{more}"


def _all_said(bench: Workbench, patterns: tuple[str, ...], wanted: re.Pattern[str]) -> list[Evidence]:
    return [place for pattern in patterns for path in _paths(bench, pattern) for place in _said(bench, path, wanted)]


def _paths(bench: Workbench, pattern: str) -> tuple[str, ...]:
    try:
        return bench.fs.glob(pattern)[:64]
    except GuestError:
        return ()


def _said(bench: Workbench, path: str, wanted: re.Pattern[str]) -> list[Evidence]:
    try:
        text = bench.fs.read(path, MAX_CONFIG).decode("utf-8", "replace")
    except GuestError:
        return []
    lines = [(n, line.strip()) for n, line in enumerate(text.splitlines(), 1)]
    return [Evidence(path, n, line[:200]) for n, line in lines if not line.startswith("#") and wanted.search(line)]
