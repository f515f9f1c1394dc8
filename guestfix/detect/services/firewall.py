"""Whether the guest's own firewall lets SSH in: firewalld, ufw, SuSEfirewall2, Shorewall, iptables and nftables files.

Only what is switched on at boot counts. Each answer is ``open``, ``limited`` (from some addresses or
interfaces, or under conditions that can't be judged offline) or ``closed``, with the line that decides.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from itertools import islice

from guestfix.base.errors import GuestError
from guestfix.base.facts import Evidence
from guestfix.base.globs import glob
from guestfix.base.guest import GuestFS
from guestfix.base.patterns import regex
from guestfix.base.record import frozen
from guestfix.detect.files import exists, lines_of, paths_like, read_small
from guestfix.detect.network.entrance import Entrance
from guestfix.detect.system.initsystem import Services
from guestfix.formats import shellvars
from guestfix.formats.network.firewall import CLOSED, LIMITED, OPEN, port_in
from guestfix.formats.network.packetfilter import NO, YES

RULES_LIMIT = 1024 * 1024
"""Bytes of a rule file that is read; a larger one can't be judged."""


@frozen
class Filter:
    """One firewall that is switched on, and what it does with a new connection to the port."""

    name: str
    state: str
    evidence: tuple[Evidence, ...]


@frozen
class Asked:
    """What a firewall is asked: whether a connection to ``port`` comes in by ``entrance``."""

    guest: GuestFS
    services: Services
    port: int
    entrance: Entrance


def find_filters(guest: GuestFS, services: Services, port: int, entrance: Entrance | None = None) -> list[Filter]:
    """Return the answer of each firewall that starts at boot, by the names and zones that hold on the target."""
    asked = Asked(guest, services, port, entrance or Entrance())
    look: tuple[Callable[[Asked], Filter | None], ...] = (_firewalld, _ufw, _suse, _shorewall, _iptables, _nftables)
    return [found for one in look if (found := one(asked)) is not None]


def _read(guest: GuestFS, path: str) -> bytes | None:
    return read_small(guest, path, RULES_LIMIT)


# firewalld


MAX_TAGS = 1000
_TAG = regex(rb"<(zone|service|port|interface|source)\b([^<>]{0,2000})>")
_ATTRIBUTE = regex(rb"""([\w-]{1,40})\s*=\s*["']([^"'<>]{0,400})["']""")
_FIREWALLD = ("/etc/firewalld", "/usr/lib/firewalld", "/lib/firewalld")


def _firewalld(asked: Asked) -> Filter | None:
    guest = asked.guest
    service = asked.services.find(["firewalld.service"], ["firewalld"])
    if service.state != "on":
        return None
    conf = "/etc/firewalld/firewalld.conf"
    zone = asked.entrance.zone or _zone_of(guest, asked.entrance) or _conf_value(guest, conf, "DefaultZone") or "public"
    if "/" in zone:
        return Filter("firewalld", LIMITED, (Evidence(conf, 0, f"DefaultZone={zone}"),))
    for folder in _FIREWALLD:
        path = f"{folder}/zones/{zone}.xml"
        data = _read(guest, path)
        if data is not None:
            found = _zone(guest, path, data, asked.port)
            return _by_source(guest, found, asked.port) if found.state == CLOSED else found
    known = OPEN if zone in ("public", "trusted", "home", "work", "internal", "external", "dmz") else LIMITED
    state = CLOSED if zone in ("drop", "block") else known
    return Filter("firewalld", state, (Evidence(service.path, 0, f"zone {zone}, as it came"),))


def _zones(guest: GuestFS) -> list[tuple[str, bytes]]:
    paths = paths_like(guest, "/etc/firewalld/zones/*.xml", 64)
    return [(path, data) for path in paths if (data := _read(guest, path)) is not None]


def _zone_of(guest: GuestFS, entrance: Entrance) -> str:
    """Return the zone that the target's NIC is bound to by its name; "" where it falls into the default one."""
    for path, data in _zones(guest):
        for tag, attributes, _ in _tags(data):
            if tag == "interface" and entrance.name and entrance.match(attributes.get("name", "-")) == YES:
                return path.rpartition("/")[2].removesuffix(".xml")
    return ""


def _by_source(guest: GuestFS, closed: Filter, port: int) -> Filter:
    """Return the zone that lets some addresses in, where there is one; a zone by source goes before the NIC's."""
    for path, data in _zones(guest):
        source = next((one for one in _tags(data) if one[0] == "source"), None)
        if source is not None and _zone(guest, path, data, port).state != CLOSED:
            text = f"<source {' '.join(f'{key}={value}' for key, value in source[1].items())}>"
            return Filter("firewalld", LIMITED, (Evidence(path, source[2], text),))
    return closed


def _zone(guest: GuestFS, path: str, data: bytes, port: int) -> Filter:
    """Read a zone (firewalld.zone(5)): plain services and ports stand before rich rules, which may be limited."""
    plain, rich, rest = _without_comments(data).partition(b"<rule")
    target = ""
    for name, attributes, line in _tags(plain):
        text = f"<{name} {' '.join(f'{key}={value}' for key, value in attributes.items())}>"
        if name == "zone":
            target = attributes.get("target", "")
        elif name in ("service", "port") and port in _zone_ports(guest, name, attributes, port):
            return Filter("firewalld", OPEN, (Evidence(path, line, text),))
    if target == "ACCEPT":
        return Filter("firewalld", OPEN, (Evidence(path, 0, "target ACCEPT"),))
    if rich and (b"ssh" in rest or str(port).encode() in rest):
        return Filter("firewalld", LIMITED, (Evidence(path, plain.count(b"\n") + 1, "a rich rule"),))
    return Filter("firewalld", CLOSED, (Evidence(path, 0, "neither the service ssh nor its port is allowed"),))


def _zone_ports(guest: GuestFS, name: str, attributes: dict[str, str], port: int) -> list[int]:
    """Return the TCP ports that a service or port tag opens; of a range only the one that is asked for."""
    if name == "service":
        return _service_ports(guest, attributes.get("name", ""))
    return [port] if attributes.get("protocol") == "tcp" and port_in(attributes.get("port", ""), port) else []


def _tags(data: bytes) -> list[tuple[str, dict[str, str], int]]:
    plain = _without_comments(data)
    found = []
    for match in islice(_TAG.finditer(plain), MAX_TAGS):
        pairs = {key.decode(): value.decode("utf-8", "replace") for key, value in _ATTRIBUTE.findall(match[2])}
        found.append((match[1].decode(), pairs, plain.count(b"\n", 0, match.start()) + 1))
    return found


def _without_comments(data: bytes) -> bytes:
    """Return XML with each comment replaced by its line ends, so that lines keep their numbers."""
    first, *others = data.split(b"<!--")
    kept = [first]
    for part in others:
        comment, _, rest = part.partition(b"-->")
        kept += [b"\n" * comment.count(b"\n"), rest]
    return b"".join(kept)


def _service_ports(guest: GuestFS, name: str) -> list[int]:
    """Return the TCP ports of a firewalld service; ssh is 22 where its file is not there."""
    if not name or "/" in name:
        return []
    for folder in _FIREWALLD:
        data = _read(guest, f"{folder}/services/{name}.xml")
        if data is not None:
            ports = [a.get("port", "") for tag, a, _ in _tags(data) if tag == "port" and a.get("protocol") == "tcp"]
            return [int(one) for one in ports if one.isascii() and one.isdigit() and len(one) < 6]
    return [22] if name == "ssh" else []


def _conf_value(guest: GuestFS, path: str, name: str) -> str:
    data = _read(guest, path)
    return (shellvars.get(data, name) or "").strip() if data is not None else ""


# ufw

_TUPLE = regex(r"### tuple ### (allow|limit|deny|reject)(?:_log)? (\w+) (\S+) (\S+) (\S+) (\S+)")


def _ufw(asked: Asked) -> Filter | None:
    """Read ufw(8): switched on by ENABLED, its service loads user.rules, whose tuples say what was asked for."""
    guest, conf, rules = asked.guest, "/etc/ufw/ufw.conf", "/etc/ufw/user.rules"
    if _conf_value(guest, conf, "ENABLED").lower() != "yes":
        return None
    if asked.services.find(["ufw.service"], ["ufw"]).state in ("off", "masked"):
        return None
    for path in (rules, "/lib/ufw/user.rules", "/var/lib/ufw/user.rules"):
        for number, line in lines_of(_read(guest, path) or b""):
            state = _ufw_rule(line, asked.port, asked.entrance)
            if state:
                return Filter("ufw", state, (Evidence(path, number, line),))
    policy = _conf_value(guest, "/etc/default/ufw", "DEFAULT_INPUT_POLICY") or "DROP"
    state = OPEN if policy == "ACCEPT" else CLOSED
    return Filter("ufw", state, (Evidence("/etc/default/ufw", 0, f"DEFAULT_INPUT_POLICY={policy}"),))


def _ufw_rule(line: str, port: int, entrance: Entrance) -> str:
    """Return what a rule's comment line says of the port, or an empty text where it says nothing."""
    found = _TUPLE.match(line)
    if not found or found[2] not in ("tcp", "any") or (found[3] != "any" and not port_in(found[3], port)):
        return ""
    comes = regex(r" in_([\w.:+-]{1,16})").search(line)
    by = entrance.match(comes[1]) if comes else YES
    anywhere = found[6] in ("0.0.0.0/0", "any") and found[4] in ("0.0.0.0/0", "any") and by == YES
    if found[1] in ("deny", "reject") or by == NO:
        return CLOSED if anywhere else ""
    return OPEN if anywhere else LIMITED


# firewalls of zones


def _suse(asked: Asked) -> Filter | None:
    if not _seen(asked, "sysconfig/SuSEfirewall2"):
        return None
    from guestfix.detect.services.zonewalls import suse  # few guests have one

    told = suse(asked.guest, asked.services, asked.port, asked.entrance)
    return Filter(*told) if told else None


def _shorewall(asked: Asked) -> Filter | None:
    if not _seen(asked, "shorewall"):
        return None
    from guestfix.detect.services.zonewalls import shorewall

    told = shorewall(asked.guest, asked.services, asked.port, asked.entrance)
    return Filter(*told) if told else None


def _seen(asked: Asked, name: str) -> bool:
    return exists(asked.guest, f"/etc/{name}")


# rule files


_PERSISTENT = ("netfilter-persistent", "iptables-persistent")
SAVED: tuple[tuple[Sequence[str], Sequence[str], str], ...] = (
    (["iptables.service"], ["iptables"], "/etc/sysconfig/iptables"),
    ([f"{name}.service" for name in _PERSISTENT], _PERSISTENT, "/etc/iptables/rules.v4"),
    (["iptables.service"], ["iptables"], "/etc/iptables/iptables.rules"),
    ([], ["iptables"], "/etc/iptables/rules-save"),
    ([], ["iptables"], "/var/lib/iptables/rules-save"),
)
"""Units, SysV names and the file that they load at boot."""


_RESTORED = regex(r"\biptables-restore\b[^;&|\n<]{0,80}?<?\s*(/[\w./+-]{1,200})")
_SCRIPTS = ("/etc/network/if-pre-up.d/*", "/etc/network/if-up.d/*", "/etc/rc.local", "/etc/rc.d/rc.local")


def _restored(guest: GuestFS) -> list[str]:
    """Return the rule files that hooks of interfaces, which are there, and scripts at boot load."""
    from guestfix.detect.network.read import debian

    homes = [*debian(guest).files, *(path for pattern in _SCRIPTS for path in paths_like(guest, pattern, 64))]
    texts = [line for path in homes for _, line in lines_of(_read(guest, path) or b"") if not line.startswith("#")]
    return list(dict.fromkeys(one for line in texts for one in _RESTORED.findall(line)))[:8]


def _iptables(asked: Asked) -> Filter | None:
    guest = asked.guest
    paths = [path for units, names, path in SAVED if asked.services.find(units, names).state == "on"]
    for path in [*paths, *_restored(guest)]:
        data = _read(guest, path)
        if data is None:
            continue
        from guestfix.formats.network import iptables

        answer = iptables.judge(data, asked.port, asked.entrance.match)
        if answer is not None:
            return Filter("iptables", answer.state, (Evidence(path, answer.line, answer.text),))
    return None


def _nftables(asked: Asked) -> Filter | None:
    guest = asked.guest
    if asked.services.find(["nftables.service"], ["nftables"]).state != "on":
        return None
    from guestfix.formats.network import nftables

    for path in (
        "/etc/nftables.conf",
        "/etc/sysconfig/nftables.conf",
        "/etc/nftables.nft",
        "/var/lib/nftables/rules-save",
    ):
        data = _read(guest, path)
        if data is None:
            continue
        parts = [(path, data), *_included(guest, data)]
        names = {name: value for _, text in parts for name, value in nftables.defined(text).items()}
        for part, text in parts:
            answer = nftables.judge(text, asked.port, asked.entrance.match, names)
            if answer is not None:
                return Filter("nftables", answer.state, (Evidence(part, answer.line, answer.text),))
    return None


def _included(guest: GuestFS, data: bytes) -> list[tuple[str, bytes]]:
    from guestfix.formats.network import nftables

    found = []
    for pattern in nftables.includes(data)[:32]:
        place = pattern if pattern.startswith("/") else f"/etc/nftables/{pattern}"
        try:
            paths = glob(guest, place)
        except GuestError:
            continue
        found += [(path, text) for path in paths[:64] if (text := _read(guest, path)) is not None]
    return found
