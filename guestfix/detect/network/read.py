"""Reading every network stack's files of a guest into Nics. Nothing here raises for what a guest holds."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping
from typing import TYPE_CHECKING

from guestfix.base.catalog.records.network import Nic
from guestfix.base.errors import GuestError
from guestfix.base.facts import Evidence, Finding
from guestfix.base.globs import glob
from guestfix.base.guest import GuestFS
from guestfix.base.patterns import regex
from guestfix.base.record import field, mutable, replace
from guestfix.detect.files import names_in, read_small
from guestfix.formats.network import ifcfg, keyfile, networkd
from guestfix.formats.network.nic import MAX_CONFIG, MAX_NICS, named

if TYPE_CHECKING:
    from guestfix.formats.network.netplan import Merged

SCRIPTS = "/etc/sysconfig/network-scripts"
SUSE = "/etc/sysconfig/network"
PROFILES = "/etc/NetworkManager/system-connections"
NETWORKD = "/etc/systemd/network"
NETWORKD_BEHIND = ("/usr/local/lib/systemd/network", "/usr/lib/systemd/network")
"""Where systemd-networkd looks for what /etc has no file of the same name for."""
_SYSTEMDS = ("80-", "89-")
"""What systemd's own .network files begin with: they are for containers, virtual machines' links and Wi-Fi."""
NETPLAN = ("/usr/lib/netplan", "/lib/netplan", "/etc/netplan")
INTERFACES = "/etc/network/interfaces"
MAX_SOURCES = 256


@mutable
class Read:
    """What a stack's files say, and what is wrong with them."""

    nics: list[Nic] = field(default_factory=list)
    findings: list[Finding] = field(default_factory=list)
    files: list[str] = field(default_factory=list)
    renderer: str = ""


def _files(guest: GuestFS, folder: str, names: Iterable[str]) -> Iterator[tuple[str, bytes]]:
    for name in list(names)[:MAX_NICS]:
        path = f"{folder}/{name}"
        data = read_small(guest, path, MAX_CONFIG)
        if data is not None:
            yield path, data


def _unreadable(path: str, why: str, line: int = 0, text: str = "") -> Finding:
    return Finding(
        "GF-NETWORK-CONFIG-UNREADABLE",
        "warning",
        f"{path} can't be read as network configuration: {why}",
        (Evidence(path, line, text),),
        "correct the file; its own program refuses it too",
    )


def red_hat(guest: GuestFS) -> Read:
    """Read Red Hat's ifcfg-*, route-* and route6-* files and the global gateway."""
    found = Read()
    names = [one for one in names_in(guest, SCRIPTS) if one.startswith("ifcfg-") and not ifcfg.IGNORED.search(one)]
    for path, data in _files(guest, SCRIPTS, names):
        if _no_variables(found, path, data):
            continue
        one = ifcfg.nic(data, path.rpartition("/")[2]).with_path(path)
        suffix = path.rpartition("ifcfg-")[2]
        one = _with_routes(guest, one, SCRIPTS, ("route-", "route6-"), suffix)
        found.nics.append(replace(one, routes=one.routes + _rules(guest, suffix)))
    found.nics = named(found.nics)
    common = ifcfg.values(read_small(guest, "/etc/sysconfig/network", MAX_CONFIG) or b"")
    return _with_gateway(found, common.get("GATEWAY", ""))


def _no_variables(found: Read, path: str, data: bytes) -> bool:
    """Tell whether a file holds no variable but something else (encrypted, another format), and say so."""
    lines = [line for line in data.split(b"\n") if line.strip() and not line.lstrip().startswith(b"#")]
    if not lines or ifcfg.values(data):
        return False
    found.findings.append(_unreadable(path, "it sets no variable"))
    return True


def _with_routes(guest: GuestFS, one: Nic, folder: str, starts: tuple[str, ...], suffix: str) -> Nic:
    for start in starts:
        lines = ifcfg.routes(read_small(guest, f"{folder}/{start}{suffix}", MAX_CONFIG) or b"")
        gateway = ifcfg.default_gateway(lines)
        six = start.startswith("route6")
        others = tuple(line for line in lines if ifcfg.default_gateway((line,)) not in (gateway or "-",))
        one = replace(
            one,
            routes=one.routes + others,
            gateway=one.gateway if six else one.gateway or gateway,
            gateway6=one.gateway6 or gateway if six else one.gateway6,
        )
    return one


def _rules(guest: GuestFS, suffix: str) -> tuple[str, ...]:
    """Return the lines of the routing rules (rule-*, rule6-*) that go with an interface."""
    texts = [read_small(guest, f"{SCRIPTS}/{start}{suffix}", MAX_CONFIG) or b"" for start in ("rule-", "rule6-")]
    return tuple(f"rule {line}" for text in texts for line in ifcfg.routes(text))


def _with_gateway(found: Read, gateway: str) -> Read:
    """Give a gateway that no file ties to an interface to the one in whose network it is, else to the first."""
    if gateway and not any(one.gateway for one in found.nics):
        static = [index for index, one in enumerate(found.nics) if one.method == "static" and one.kind != "loopback"]
        index = next((one for one in static if _reaches(found.nics[one], gateway)), next(iter(static), -1))
        if index >= 0:
            found.nics[index] = replace(found.nics[index], gateway=gateway)
    return found


def _reaches(nic: Nic, gateway: str) -> bool:
    import ipaddress

    try:
        target = ipaddress.ip_address(gateway)
        return any(target in ipaddress.ip_interface(one).network for one in nic.addresses)
    except ValueError:
        return False


def suse(guest: GuestFS) -> Read:
    """Read SUSE's ifcfg-*, ifroute-* and routes files."""
    found = Read()
    names = [one for one in names_in(guest, SUSE) if one.startswith("ifcfg-") and not ifcfg.IGNORED.search(one)]
    for path, data in _files(guest, SUSE, names):
        name = path.rpartition("/")[2]
        if name == "ifcfg.template" or _no_variables(found, path, data):
            continue
        one = ifcfg.nic(data, name, suse=True).with_path(path)
        found.nics.append(_with_routes(guest, one, SUSE, ("ifroute-",), one.name))
    lines = ifcfg.routes(read_small(guest, f"{SUSE}/routes", MAX_CONFIG) or b"")
    _with_gateway(found, ifcfg.default_gateway(lines))
    _with_common(found, lines, ifcfg.values(read_small(guest, f"{SUSE}/config", MAX_CONFIG) or b""))
    return found


def _with_common(found: Read, lines: tuple[str, ...], config: Mapping[str, str]) -> None:
    """Give the routes and DNS servers of SUSE's files for all interfaces to the ones that use them."""
    real = [one for one in found.nics if one.kind != "loopback"]
    main = next((one for one in real if one.gateway), None) or next(
        (one for one in real if one.method == "static"), None
    )
    main = main or next((one for one in real if one.auto), None)
    gateway = main.gateway if main is not None else ""
    rows = [
        (line, (line.split()[3:4] or ["-"])[0])
        for line in lines
        if ifcfg.default_gateway((line,)) not in (gateway or "-",)
    ]
    for index, one in enumerate(found.nics):
        own = tuple(line for line, device in rows if device == one.name or (device == "-" and one is main))
        now = replace(one, routes=one.routes + own)
        if one is main:
            servers = config.get("NETCONFIG_DNS_STATIC_SERVERS", "").split()
            search = config.get("NETCONFIG_DNS_STATIC_SEARCHLIST", "").split()
            now = replace(now, dns=one.dns + tuple(servers), search=one.search + tuple(search))
        found.nics[index] = now


def debian(guest: GuestFS) -> Read:
    """Read /etc/network/interfaces and all that it sources, as ifupdown finds them."""
    found, texts = Read(), []
    if read_small(guest, INTERFACES, MAX_CONFIG) is None:
        return found
    from guestfix.formats.network import interfaces

    for path, data in _sourced(guest):
        parsed = interfaces.parse(data)
        texts.append((path, data, parsed))
        found.files.append(path)
        for line in parsed.misplaced[:1]:
            found.findings.append(_unreadable(path, "an option stands outside any stanza", line.line, line.keyword))
    how: dict[str, str] = {}
    for _, _, parsed in texts:
        how |= {name: kind for name, kind in interfaces.raised(parsed).items() if how.get(name) != "auto"}
    bases = interfaces.bases_of([parsed for _, _, parsed in texts])
    for path, data, _ in texts:
        found.nics += [one.with_path(path) for one in interfaces.nics(data, how, bases)]
    return found


def _sourced(guest: GuestFS) -> Iterator[tuple[str, bytes]]:
    from guestfix.formats.network import interfaces

    todo: list[str] = [INTERFACES]
    seen: set[str] = set()
    while todo and len(seen) < MAX_SOURCES:
        path = todo.pop(0)
        if path in seen:
            continue
        seen.add(path)
        data = read_small(guest, path, MAX_CONFIG)
        if data is None:
            continue
        yield path, data
        more: list[str] = []
        for keyword, argument in interfaces.sources(interfaces.parse(data)):
            more += _targets(guest, path, keyword, argument)
        todo = more + todo


def _targets(guest: GuestFS, path: str, keyword: str, argument: str) -> list[str]:
    pattern = argument.strip("\"'")
    if not pattern.startswith("/"):
        pattern = f"{path.rpartition('/')[0]}/{pattern}"
    try:
        hits = list(glob(guest, pattern))[:MAX_SOURCES]
        if keyword == "source-directory":
            hits = [
                f"{hit}/{name}" for hit in hits for name in guest.list(hit) if regex(r"[\w-]+\Z", re.ASCII).match(name)
            ]
    except GuestError:
        return []
    return hits[:MAX_SOURCES]


def netplan_files(guest: GuestFS) -> list[tuple[str, bytes]]:
    """Return netplan's files in its own order: by base name, /etc before /lib for the same name."""
    chosen: dict[str, str] = {}
    for folder in NETPLAN:
        for name in names_in(guest, folder):
            if name.endswith(".yaml") and not name.startswith("."):
                chosen[name] = folder
    return [pair for name in sorted(chosen) for pair in _files(guest, chosen[name], [name])]


def netplan_read(guest: GuestFS) -> Read:
    """Read and merge netplan's files."""
    files = netplan_files(guest)
    if not files:
        return Read()
    from guestfix.formats.network import netplan

    merged = netplan.merge(files)
    why_all = "netplan makes nothing of any other file while it is there"
    broken = [_unreadable(path, f"{why.partition(chr(10))[0]}; {why_all}") for path, why in merged.errors]
    broken += [_refused(path, line, what, why_all) for path, line, what in _faults(files, merged)]
    return Read(merged.nics(), broken, [path for path, _ in files], merged.renderer)


def _faults(files: list[tuple[str, bytes]], merged: Merged) -> list[tuple[str, int, str]]:
    """Return (path, line, what) of what netplan refuses, the first of each file, and of devices that need another."""
    from guestfix.formats.network import netplanrules
    from guestfix.formats.yamltree import parse

    unreadable = {path for path, _ in merged.errors}
    found = []
    for path, data in files:
        known = netplanrules.faults(parse(data)) if path not in unreadable else []
        found += [(path, one.line, one.what) for one in known[:1]]
    for name, why in netplanrules.unfit(merged.devices, merged.renderer).items():
        path, line = next(place for (_, known), place in merged.places.items() if known == name)
        found.append((path, line, f"{name}: {why}"))
    return found


def _refused(path: str, line: int, what: str, why_all: str) -> Finding:
    summary = f"netplan refuses {path}: {what}; {why_all}"
    remedy = "write it as netplan(5) says; netplan generate tells the line"
    return Finding("GF-NETWORK-NETPLAN-FAULT", "warning", summary, (Evidence(path, line),), remedy, outcome="unknown")


def profiles(guest: GuestFS) -> Read:
    """Read NetworkManager's keyfiles."""
    names = [name for name in names_in(guest, PROFILES) if keyfile.readable_name(name)]
    pairs = list(_files(guest, PROFILES, names))
    nics = named([keyfile.nic(data).with_path(path) for path, data in pairs])
    return Read(nics, files=[path for path, _ in pairs])


def networkd_read(guest: GuestFS) -> Read:
    """Read systemd-networkd's files: those in /etc, and those of images and packages that are for wired NICs."""
    names = [name for name in names_in(guest, NETWORKD) if not name.startswith(".")]
    kinds = dict(
        networkd.netdev(data) for _, data in _files(guest, NETWORKD, (n for n in names if n.endswith(".netdev")))
    )
    found = Read()
    links: dict[str, str] = {}
    homes = {name: NETWORKD for name in names if name.endswith(".network")} | _behind(guest, names)
    texts = [pair for name in sorted(homes) for pair in _files(guest, homes[name], [name])]
    for path, data in texts:
        beside = [text for _, text in drop_ins(guest, path)]
        data = b"\n".join([data, *beside])  # what comes later adds to what was said, or takes its place
        one = networkd.nic(data, kinds).with_path(path)
        if homes[path.rpartition("/")[2]] != NETWORKD and one.kind != "ethernet":
            continue
        if one.bound_mac and not one.name:
            one = replace(one, name=f"lan{len(found.nics)}")
        links |= dict.fromkeys(networkd.vlans(data), one.name)
        found.nics.append(one)
        found.files.append(path)
    found.nics = [replace(one, parents=(links[one.name],)) if one.name in links else one for one in found.nics]
    return found


def _behind(guest: GuestFS, own: list[str]) -> dict[str, str]:
    """Return the folder of each .network file behind /etc that no file of its name in /etc hides."""
    found: dict[str, str] = {}
    for folder in NETWORKD_BEHIND:
        for name in names_in(guest, folder):
            if name.endswith(".network") and not name.startswith((".", *_SYSTEMDS)) and name not in own:
                found.setdefault(name, folder)
    return found


def home_of(path: str) -> str:
    """Return the path in /etc whose file counts in the place of one behind it."""
    behind = next((one for one in NETWORKD_BEHIND if path.startswith(f"{one}/")), "")
    return path.replace(behind, NETWORKD, 1) if behind else path


def drop_ins(guest: GuestFS, path: str) -> list[tuple[str, bytes]]:
    """Return the drop-ins (x.network.d/*.conf) of a file of systemd-networkd, in the order in which they are read."""
    folder, chosen = f"{path.rpartition('/')[2]}.d", {}
    for home in (*reversed(NETWORKD_BEHIND), NETWORKD):
        for name in names_in(guest, f"{home}/{folder}"):
            if name.endswith(".conf") and not name.startswith("."):
                chosen[name] = f"{home}/{folder}"
    return [pair for name in sorted(chosen) for pair in _files(guest, chosen[name], [name])]


READERS = {
    "netplan": netplan_read,
    "ifcfg": red_hat,
    "ifcfg-suse": suse,
    "ifupdown": debian,
    "networkmanager": profiles,
    "networkd": networkd_read,
}
"""Every stack whose files guestfix changes, in the order in which they win over each other."""
