"""Where else a name or an address is said that no NIC of the new platform will have."""

from __future__ import annotations

import re
from collections.abc import Container, Iterable
from functools import cached_property

from guestfix.actions.workbench import Workbench
from guestfix.base.facts import Evidence
from guestfix.base.patterns import regex
from guestfix.base.text import some
from guestfix.detect.files import paths_like, read_small
from guestfix.detect.network.state import PIN
from guestfix.formats.network.nic import IFNAME, MAX_CONFIG

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
    "/etc/shorewall*/*",
    "/var/lib/*tables/rules-save",
    "/etc/ferm/*.conf",
    "/etc/firehol/firehol.conf",
    "/etc/conf.d/*",
    "/etc/rc.conf",
    "/etc/sysconfig/SuSEfirewall2",
    "/etc/sysctl.conf",
    "/etc/sysctl.d/*.conf",
    "/etc/dnsmasq.conf",
    "/etc/dnsmasq.d/*",
    "/etc/default/isc-dhcp-*",
    "/etc/sysconfig/dhcp*",
    "/etc/kea/*.conf",
    "/etc/radvd.conf",
    "/etc/keepalived/*.conf",
    "/etc/keepalived/conf.d/*",
    "/etc/frr/frr.conf",
    "/etc/quagga/*.conf",
    "/etc/bird*.conf",
    "/etc/bird/*.conf",
    "/etc/wireguard/*.conf",
    "/etc/openvpn/*.conf",
    "/etc/openvpn/server/*.conf",
    "/etc/samba/smb.conf",
    "/etc/avahi/avahi-daemon.conf",
    "/etc/vnstat.conf",
    "/etc/suricata/suricata.yaml",
    "/etc/docker/daemon.json",
    "/etc/rancher/*/config.yaml",
    "/etc/libvirt/qemu/networks/*.xml",
    "/etc/lxc/default.conf",
    "/etc/hostapd/hostapd.conf",
    "/etc/nftables.d/*",
    "/etc/nftables/*.conf",
    "/etc/ipsec.conf",
    "/etc/swanctl/conf.d/*.conf",
    "/etc/default/networkd-dispatcher",
    "/etc/networkd-dispatcher/*.d/*",
    "/etc/chrony.conf",
    "/etc/chrony/*.conf",
    "/etc/chrony*/*.d/*.conf",
    "/etc/ntp.conf",
    "/etc/ntpsec/ntp.conf",
    "/etc/udev/rules.d/*.rules",
    "/etc/NetworkManager/dispatcher.d/*",
    "/etc/network/if-*.d/*",
    "/sbin/ifup-local",
    "/usr/sbin/ifup-local",
    "/etc/rc.local",
    "/etc/rc.d/rc.local",
    "/etc/init.d/boot.local",
    "/etc/local.d/*",
    "/etc/init.d/*",
    "/etc/crontab",
    "/etc/cron.d/*",
    "/var/spool/cron/*",
    "/var/spool/cron/crontabs/*",
    "/var/spool/cron/tabs/*",
    "/etc/systemd/system/*.service",
    "/etc/systemd/system/*.timer",
    "/etc/systemd/system/*.d/*.conf",
    "/usr/local/bin/*",
    "/usr/local/sbin/*",
)
"""Firewall rules, kernel settings, services and administrators' scripts that go by an interface's name."""

_KEEP = "write these without the name, or keep names with --policy network=preserve (or dhcp-first)"
_NO_PROFILE = "write these without the name, or name the NIC in a profile of its own: then it is kept"
MAX_PLACES = 12
_BY_PLACE = r"en(?:s[0-9]{1,4}|o[0-9]{1,5}|p[0-9]{1,3}s[0-9]{1,3}(?:f[0-9]{1,2})?|x[0-9a-f]{12})"
"""Names that udev gives by the hardware's place (systemd.net-naming-scheme(7))."""

_NAMES = regex(r"\bNAME[ \t]*:?=[ \t]*\"")
"""A udev rule that gives a NIC a name; the others say it."""

_BARE = regex(r"[0-9A-Fa-f.:]{3,45}\Z")


Row = tuple[str, int, str]
"""A line that is no comment: its file, its number, its text."""


class Mentions:
    """The lines of firewall rules, kernel settings, services and scripts, read once, when they are first asked for."""

    def __init__(self, bench: Workbench) -> None:
        self._bench = bench

    @cached_property
    def _rows(self) -> list[Row]:
        return _rows(self._bench, _PLACES)

    def say(self, name: str) -> bool:
        """Tell whether any line says the interface's name."""
        wanted = _wanted([name])
        return any(wanted.search(text) for _, _, text in self._rows)

    def tell(self, names: list[str], addresses: list[str], kept: set[str], by_place: bool) -> None:
        """Record where these names, and these addresses with or without their prefix, are still said.

        ``by_place``: also any name that udev gave by the old hardware's place, but for those that are ``kept``.
        """
        if names or addresses or by_place:
            _names_used(self._bench, names, self._rows, kept, by_place)
            _addresses_used(self._bench, addresses, [*_rows(self._bench, ("/etc/hosts",)), *self._rows])

    def tell_kept(self, names: list[str], by: str) -> None:
        """Record where names are said that NICs keep by a file of ours: these places rest on it."""
        wanted = _wanted(names)
        found = _said(self._rows, wanted)
        what = f"{_words(wanted, found)}, so the NIC keeps it by {by}"
        remedy = "keep that file as long as they say it"
        self._bench.find("GF-NETWORK-NAME-USED", "info", what, *found[:MAX_PLACES], remedy=remedy)


def _wanted(names: list[str], by_place: bool = False) -> re.Pattern[str]:
    words = [re.escape(name) for name in names if IFNAME.match(name)] + [_BY_PLACE] * by_place
    return re.compile(rf"(?<![\w-])(?:in_|out_)?({'|'.join(words)})(?![\w-])")


def _names_used(bench: Workbench, names: list[str], rows: list[Row], kept: set[str], by_place: bool) -> None:
    if not by_place and not any(map(IFNAME.match, names)):
        return
    wanted = _wanted(names, by_place)
    found = _said(rows, wanted, kept)
    if found:
        bench.find(
            "GF-NETWORK-NAME-USED",
            "warning",
            f"{_words(wanted, found, kept)}, but the NICs of the new platform get other names",
            *found[:MAX_PLACES],
            remedy=_NO_PROFILE if by_place else _KEEP,
        )


def _addresses_used(bench: Workbench, addresses: list[str], rows: list[Row]) -> None:
    bare = dict.fromkeys(one.partition("/")[0] for one in addresses)
    known = [re.escape(one) for one in _written(bare, rows) if _BARE.match(one)]
    if not known:
        return
    wanted = re.compile(rf"(?<![\w.:])({'|'.join(known)})(?![\w.:])")
    found = _said(rows, wanted)
    if found:
        bench.find(
            "GF-NETWORK-ADDRESS-USED",
            "info",
            f"{_words(wanted, found)}, but no longer an address of the guest",
            *found[:MAX_PLACES],
            remedy="correct these once the new address is known",
        )


def _written(words: Iterable[str], rows: list[Row]) -> list[str]:
    """Return the words that any line has, if only as a part of others: an expression is compiled for no other."""
    return [word for word in words if any(word in line for _, _, line in rows)]


def _words(wanted: re.Pattern[str], found: list[Evidence], kept: Container[str] = ()) -> str:
    said = dict.fromkeys(word for place in found for word in wanted.findall(place.text) if word not in kept)
    more = f" ({len(found) - MAX_PLACES} more places)" if len(found) > MAX_PLACES else ""
    return f"{some(said)}: also written elsewhere{more}"


def _said(rows: list[Row], wanted: re.Pattern[str], kept: Container[str] = ()) -> list[Evidence]:
    return [
        Evidence(path, n, line[:200]) for path, n, line in rows if any(one not in kept for one in wanted.findall(line))
    ]


def _rows(bench: Workbench, patterns: tuple[str, ...]) -> list[Row]:
    paths = [path for pattern in patterns for path in paths_like(bench.fs, pattern, 64) if path != PIN]
    return [row for path in paths for row in _lines(bench, path)]


def _lines(bench: Workbench, path: str) -> list[Row]:
    data = read_small(bench.fs, path, MAX_CONFIG) or b""
    text = "" if b"\0" in data else data.decode("utf-8", "replace")
    lines = [(path, n, line.strip()) for n, line in enumerate(text.splitlines(), 1)]
    named = path.startswith("/etc/udev/")
    return [row for row in lines if not row[2].startswith(("#", ";", "//")) and not (named and _NAMES.search(row[2]))]
