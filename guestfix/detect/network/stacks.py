"""How a Linux guest's network is set up, by which program, and whether it starts at boot.

Facts: network.stacks (every stack that has configuration or a service), network.active (those in charge),
network.stack (the one that has the wired NICs), network.manager (who applies ifcfg and netplan files),
network.service, network.enabled, network.dhcp_client, network.interfaces (see formats/nic.py), network.carrier
(the interface with the default route), network.primary (the wired NIC that it is or stands on),
network.bindings, network.predictable_names, network.cloud_init, network.resolv_conf.
"""

from __future__ import annotations

from guestfix.base.catalog.facts.network import (
    NETWORK_ACTIVE,
    NETWORK_CARRIER,
    NETWORK_DHCP_CLIENT,
    NETWORK_ENABLED,
    NETWORK_INTERFACES,
    NETWORK_MANAGER,
    NETWORK_NO_AUTO_DEFAULT,
    NETWORK_PRIMARY,
    NETWORK_SERVICE,
    NETWORK_STACK,
    NETWORK_STACKS,
)
from guestfix.base.catalog.facts.system import OS_FAMILY, SYSTEM_IFCFG, SYSTEM_NETWORK_FILES
from guestfix.base.catalog.records.network import NetworkService, Nic
from guestfix.base.facts import Evidence, Facts, Finding, Nothing, Unknown
from guestfix.base.guest import GuestFS
from guestfix.base.patterns import regex
from guestfix.base.record import replace
from guestfix.detect.files import exists, names_in, paths_like, read_small
from guestfix.detect.network.firewall import dhcp_findings
from guestfix.detect.network.read import READERS, Read
from guestfix.detect.network.resolver import fixed_findings
from guestfix.detect.network.services import SERVICES, Service, dhcp_client, look
from guestfix.detect.network.state import PIN, bindings, put_state, with_old_macs
from guestfix.detect.system.initsystem import Services
from guestfix.detect.system.programs import Programs
from guestfix.formats.network.keyfile import no_auto_default
from guestfix.formats.network.nic import MAX_CONFIG, MAX_NICS, printable
from guestfix.formats.network.udevnet import pinned_primary
from guestfix.formats.network.wired import route_of
from guestfix.pack.model import Target

REPORT_ONLY = {
    "dhcpcd": (
        "/etc/dhcpcd.conf",
        regex(
            r"\s*(static\s+(ip6?_address|routers|domain_name_servers)|nogateway|nooption\s.*\b(routers|domain_name_servers))"
        ),
    ),
    "connman": ("/var/lib/connman/*/settings", regex(r"IPv[46]\.(method=manual|local_address=|gateway=)")),
}
"""Programs that guestfix only reports: their files, and the lines that are static in them."""


def detect(guest: GuestFS, facts: Facts, target: Target) -> list[Finding]:
    """Record the network.* facts of a Linux guest."""
    if facts.value(OS_FAMILY) != "linux":
        return []
    reads = {stack: read(guest) for stack, read in READERS.items()}
    reads["ifcfg"] = _still_read(reads["ifcfg"], facts)
    index = Services(guest)
    services = {stack: look(guest, index, stack) for stack in SERVICES}
    own = [path for one in facts.value(SYSTEM_NETWORK_FILES, []) for path in paths_like(guest, one, MAX_NICS)]
    active = _active(reads, services) or ([] if own else _installed(reads, services, facts))
    bound = bindings(guest)
    nics = with_old_macs([nic for stack in active if stack in reads for nic in reads[stack].nics][:MAX_NICS], bound)
    findings = [finding for read in reads.values() for finding in read.findings]
    chosen = pinned_primary(read_small(guest, PIN) or b"")
    route, gated = route_of(nics, chosen), route_of(nics, chosen, wild=False)
    main = route[1] if route else None
    stack = main.stack if main is not None else next(iter(active), "")
    manager = _manager(stack, main, reads, services, facts.value(SYSTEM_IFCFG) == "networkmanager")
    _put_stacks(facts, reads, services, active, stack, manager)
    _put_nics(facts, nics, gated[0] if gated else None, main)
    _service(guest, facts, services, stack, manager)
    facts.put(NETWORK_NO_AUTO_DEFAULT, _no_auto_default(guest))
    findings += put_state(guest, facts, [nic.name for nic in nics], bound) + dhcp_findings(guest, index)
    findings += fixed_findings(guest, facts)
    return findings + _report_only(guest, active, own)


def _active(reads: dict[str, Read], services: dict[str, Service]) -> list[str]:
    """Return the stacks that apply their files at boot, or would if their service were on."""
    on = {stack for stack, service in services.items() if service.state == "on"}
    off = {stack for stack, service in services.items() if service.state in ("off", "masked")}
    wired = {stack for stack, read in reads.items() if any(nic.kind != "loopback" for nic in read.nics)}
    absent = {stack for stack in ("ifupdown", "ifcfg-suse") if on and services[stack].state == "absent"}
    if "networkmanager" in on:
        off.discard("ifcfg")  # it applies these itself
    chosen = []
    for stack, read in reads.items():
        if stack in absent:
            continue  # left by a program that was taken off
        present = stack in wired or (stack == "netplan" and bool(read.files))
        if present and (stack not in off or not on - {"networkd", "ifupdown"}):
            chosen.append(stack)
    for stack in ("networkmanager", "networkd"):
        covered = stack == "networkd" and bool(chosen)
        if stack in on and stack not in chosen and not covered:
            chosen.append(stack)
    chosen += [stack for stack in REPORT_ONLY if stack in on]
    return chosen


def _installed(reads: dict[str, Read], services: dict[str, Service], facts: Facts) -> list[str]:
    """Return the stack that could be used where none has configuration: one that is there, best first."""
    for stack in ("networkmanager", "networkd", "ifcfg-suse", "ifcfg", "ifupdown"):
        if services[stack].state in ("on", "off", "masked") and _fits(stack, facts):
            return [stack]
    return ["ifupdown"] if reads["ifupdown"].files else []


def _fits(stack: str, facts: Facts) -> bool:
    """Tell whether the system has this dialect of ifcfg files; other stacks fit everywhere."""
    suse = facts.value(SYSTEM_IFCFG) in ("ifup", "wicked")
    return suse == (stack == "ifcfg-suse") if stack in ("ifcfg", "ifcfg-suse") else True


def _still_read(found: Read, facts: Facts) -> Read:
    """Return what ifcfg files say; nothing but a finding on a system that reads none any more."""
    left = [nic for nic in found.nics if nic.kind != "loopback"]
    if not left or facts.value(SYSTEM_IFCFG) != "none":
        return found
    places = tuple(Evidence(nic.path) for nic in left[:8])
    remedy = "nmcli connection migrate makes profiles of them, before the migration"
    summary = "NetworkManager of this version reads no ifcfg files, so these do nothing and are left as they are"
    return Read(findings=[Finding("GF-NETWORK-CONFIG-UNREADABLE", "warning", summary, places, remedy)])


def _manager(stack: str, main: Nic | None, reads: dict[str, Read], services: dict[str, Service], modern: bool) -> str:
    """Return who applies the stack's files: a stack's own name, networkmanager, networkd, initscripts or wicked."""
    if stack == "netplan":
        renderer = reads["netplan"].renderer
        return "networkmanager" if renderer == "NetworkManager" else "networkd"
    if stack in ("ifcfg", "ifcfg-suse"):
        own, nm = services[stack].state, services["networkmanager"].state
        taken = (main is not None and main.unmanaged) or services["networkmanager"].system == "sysv"
        if (nm == "on" and not (taken and own == "on")) or (nm != "absent" and own in ("absent", "off", "masked")):
            return "networkmanager"
        if stack == "ifcfg" and own == nm == "absent" and not taken and modern:
            return "networkmanager"
        suse = "wicked" if services[stack].name == "wicked.service" else "ifup"
        return "initscripts" if stack == "ifcfg" else suse
    return stack


def _put_stacks(
    facts: Facts, reads: dict[str, Read], services: dict[str, Service], active: list[str], stack: str, manager: str
) -> None:
    present = [one for one, read in reads.items() if read.nics or read.files]
    present += [one for one, service in services.items() if service.state != "absent" and one not in present]
    places = [Evidence(path) for one in active if one in reads for path in reads[one].files[:4]]
    facts.put(NETWORK_STACKS, present)
    facts.put(NETWORK_ACTIVE, active, *places)
    facts.put(NETWORK_STACK, stack, *places)
    facts.put(NETWORK_MANAGER, manager)


def _put_nics(facts: Facts, nics: list[Nic], carrier: Nic | None, primary: Nic | None) -> None:
    facts.put(NETWORK_INTERFACES, [printable(nic) for nic in nics], *(Evidence(nic.path, nic.line) for nic in nics))
    for kind, nic in ((NETWORK_CARRIER, carrier), (NETWORK_PRIMARY, primary)):
        facts.put(kind, printable(nic) if nic else Nothing(), *((Evidence(nic.path, nic.line),) if nic else ()))


def _service(guest: GuestFS, facts: Facts, services: dict[str, Service], stack: str, manager: str) -> None:
    """Record service and DHCP client."""
    used = manager if manager in SERVICES else stack
    service = services.get(used, Service("", "absent"))
    seen = (Evidence(service.evidence),) if service.evidence else ()
    if stack == "netplan" and used == "networkd" and service.state == "off":
        service = replace(service, state="on")  # netplan's generator starts it whenever it has something to do
    facts.put(NETWORK_SERVICE, NetworkService(service.name, service.state, service.unit, service.system), *seen)
    known = service.state != "absent"
    facts.put(NETWORK_ENABLED, service.state == "on" if known else Unknown("its service was not seen"), *seen)
    client = dhcp_client(Programs(guest), stack, manager) if stack else None
    facts.put(NETWORK_DHCP_CLIENT, Unknown("no programs were seen") if client is None else client)


def _no_auto_default(guest: GuestFS) -> bool:
    sources = []
    for folder in ("/usr/lib/NetworkManager/conf.d", "/etc/NetworkManager/conf.d"):
        names = [name for name in names_in(guest, folder) if name.endswith(".conf")]
        sources += [read_small(guest, f"{folder}/{name}") or b"" for name in names]
    return no_auto_default([read_small(guest, "/etc/NetworkManager/NetworkManager.conf") or b"", *sources])


def _report_only(guest: GuestFS, active: list[str], own: list[str]) -> list[Finding]:
    found = [_reported(guest, stack) for stack in REPORT_ONLY if stack in active]
    found += [_left(path, "sets the network up in a way of this system's own") for path in own]
    found += _left_alone(guest)
    if not active and not own and exists(guest, "/etc"):
        found.append(
            Finding(
                "GF-NETWORK-NONE",
                "warning",
                "no network configuration that guestfix knows was found; whether a NIC comes up is unknown",
                (Evidence("/etc"),),
                "configure DHCP for any wired NIC before the migration",
            )
        )
    return found


def _reported(guest: GuestFS, stack: str) -> Finding:
    """Return the finding that names the static addresses of dhcpcd or connman, which guestfix does not change."""
    home, pattern = REPORT_ONLY[stack]
    places = []
    for path in paths_like(guest, home, MAX_NICS):
        lines = (read_small(guest, path, MAX_CONFIG) or b"").decode("utf-8", "replace").splitlines()
        places += [Evidence(path, n, line.strip()) for n, line in enumerate(lines, 1) if pattern.match(line)]
    if not places:
        summary = f"{stack} configures the network; no static address was found, and it is left as it is"
        return Finding("GF-NETWORK-REPORT-ONLY", "info", summary, (Evidence(home.partition("*")[0].rstrip("/")),))
    summary = f"{stack} configures the network; its addresses, and what it refuses of DHCP's, are not changed"
    remedy = "take these lines out before the migration, unless the guest keeps its addresses"
    return Finding("GF-NETWORK-REPORT-ONLY", "warning", summary, tuple(places[:8]), remedy)


def _left_alone(guest: GuestFS) -> list[Finding]:
    """Return findings for configuration beside the files that are changed, which may undo a change."""
    folder, wicked = "/etc/systemd/network", "/etc/wicked/ifconfig"
    paths = [f"{wicked}/{name}" for name in names_in(guest, wicked) if name.endswith(".xml")]
    known = names_in(guest, folder)
    for name in known:
        if name.endswith(".network.d") and name.removesuffix(".d") not in known:  # of a file that the system ships
            paths += [f"{folder}/{name}/{one}" for one in names_in(guest, f"{folder}/{name}") if one.endswith(".conf")]
    return [_left(path, "also configures the network") for path in paths[:MAX_NICS]]


def _left(path: str, what: str) -> Finding:
    summary, remedy = f"{path} {what} and is left as it is", "look for old addresses, names and MACs in it"
    return Finding("GF-NETWORK-REPORT-ONLY", "warning", summary, (Evidence(path),), remedy)
