r"""What a Windows serves others with: roles whose clients know its address, and where they keep their data."""

from __future__ import annotations

from collections.abc import Iterator

from guestfix.base.catalog.facts.system import OS_INSTALLATION_TYPE
from guestfix.base.catalog.facts.windows import (
    WINDOWS_CLUSTER,
    WINDOWS_DOMAIN_CONTROLLER,
    WINDOWS_DRIVE_LETTERS,
    WINDOWS_HYPERV_ROLE,
    WINDOWS_NANO,
    WINDOWS_NICS,
    WINDOWS_PRODUCT_TYPE,
    WINDOWS_ROLES,
)
from guestfix.base.facts import Evidence, Finding
from guestfix.base.guest import Disks
from guestfix.detect.windows.os import VERSION
from guestfix.detect.windows.state import State
from guestfix.formats.windows.bcd import Device
from guestfix.formats.windows.bcdplaces import is_there
from guestfix.formats.windows.services import DISABLED, read_service

ROLES = {
    "NTDS": "domain controller",
    "DNS": "DNS server",
    "DHCPServer": "DHCP server",
    "ClusSvc": "cluster node",
    "WINS": "WINS server",
    "CertSvc": "certification authority",
}
"""Services of roles that clients reach by an address or a name that was entered at theirs."""
NTDS = r"Services\NTDS\Parameters"
DATA = ((NTDS, "DSA Database file"), (NTDS, "Database log files path"), (r"Services\Netlogon\Parameters", "SysVol"))
"""Where a domain controller keeps its database, its logs and what it shares."""


def learn_roles(state: State) -> list[Finding]:
    """Put the facts on roles and return what stands against moving them."""
    facts, system = state.facts, state.system
    product = system.text(state.key(r"Control\ProductOptions"), "ProductType")
    proof = system.evidence(state.key(r"Control\ProductOptions"), "ProductType")
    facts.put(WINDOWS_PRODUCT_TYPE, product.lower(), proof)
    facts.put(WINDOWS_DOMAIN_CONTROLLER, product.lower() == "lanmannt", proof)
    found = [*_hyperv(state), *_nano(state), *_cluster(state)]
    if facts.value(WINDOWS_DOMAIN_CONTROLLER):
        text = "this is a domain controller: never run its original and its copy at the same time"
        remedy = "shut the original down for good first; with several controllers, prefer a fresh one and replication"
        found.append(Finding("GF-WINDOWS-DOMAIN-CONTROLLER", "warning", text, (proof,), remedy))
    roles = {name: ROLES[name] for name in ROLES if _is_on(state, name)}
    proofs = tuple(system.evidence(state.key(rf"Services\{name}"), "Start") for name in roles)
    facts.put(WINDOWS_ROLES, list(roles.values()), *proofs)
    return found


def _is_on(state: State, name: str) -> bool:
    service = read_service(state.system, state.control, name)
    return service is not None and service.start not in (None, DISABLED)


def _hyperv(state: State) -> Iterator[Finding]:
    proof = state.system.evidence(state.key(r"Services\vmms"), "Start")
    state.facts.put(WINDOWS_HYPERV_ROLE, _has(state, "vmms"), proof)
    if state.facts.value(WINDOWS_HYPERV_ROLE):
        text = "the Hyper-V role is installed: a hypervisor inside the guest keeps many platforms from starting it"
        remedy = "remove the role on the old platform (Remove-WindowsFeature Hyper-V), or accept this finding"
        yield Finding("GF-WINDOWS-HYPERV-ROLE", "blocker", text, (proof,), remedy)


def _has(state: State, name: str) -> bool:
    service = read_service(state.system, state.control, name)
    return service is not None and service.start != DISABLED


def _nano(state: State) -> Iterator[Finding]:
    proof = state.software.evidence(VERSION + r"\Server\ServerLevels", "NanoServer")
    state.facts.put(WINDOWS_NANO, state.facts.value(OS_INSTALLATION_TYPE) == "Nano Server", proof)
    if state.facts.value(WINDOWS_NANO):
        text = "this is Nano Server, which can't run the services that a migrated guest needs"
        remedy = "install the workload on Server Core and migrate that"
        yield Finding("GF-WINDOWS-NANO", "blocker", text, (proof,), remedy)


def _cluster(state: State) -> Iterator[Finding]:
    proof = state.system.evidence(state.key(r"Services\ClusSvc"), "Start")
    state.facts.put(WINDOWS_CLUSTER, _has(state, "ClusSvc"), proof)
    if state.facts.value(WINDOWS_CLUSTER):
        text = "this is a node of a failover cluster: its shared disks must not be written to from two places"
        remedy = "evict the node before the move, or move the whole cluster; its SAN policy stays as it is"
        yield Finding("GF-WINDOWS-CLUSTER", "warning", text, (proof,), remedy)


def find_lost_data(state: State, disks: Disks | None) -> Iterator[Finding]:
    """Yield where a domain controller's database or log lies on a volume that did not come along.

    A blocker where what is known of the disks says so for sure: without its database it stops (c00002e2).
    """
    if not state.facts.value(WINDOWS_DOMAIN_CONTROLLER):
        return
    letters = state.facts.value(WINDOWS_DRIVE_LETTERS) or {}
    for key, name in DATA:
        path = state.system.text(state.key(key), name)
        letter = path[:2].upper()
        if letter[1:] != ":" or letter == "C:":
            continue
        there = _volume_there(letters.get(letter, ""), disks)
        if there:
            continue
        text = f"the domain controller keeps {path} ({name}) on a volume that "
        text += "did not come along" if there is False else "nothing shows among the disks"
        remedy = "bring the disk of that volume along; without it the domain controller stops with c00002e2"
        proofs = (state.system.evidence(state.key(key), name), state.system.evidence("MountedDevices"))
        yield Finding("GF-WINDOWS-ROLE-DATA", "blocker" if there is False else "warning", text, proofs, remedy)


def _volume_there(named: str, disks: Disks | None) -> bool | None:
    """Tell whether the volume of a drive letter, as MountedDevices names it, is among the disks."""
    if disks is None:
        return None
    kind, _, rest = named.partition(" ")
    if kind == "volume":
        known = {(one.partuuid or "").lower() for one in disks.all_volumes()}
        return rest in known or is_there(Device("partition", "gpt", "", rest), disks)
    signature, _, offset = rest.partition(" offset ")
    if kind == "mbr":
        return is_there(Device("partition", "mbr", signature, offset), disks)
    return None if named else False


def find_addressed(state: State) -> Iterator[Finding]:
    """Yield the roles whose clients know the guest by an address that the network policy takes or does not bring."""
    roles = state.facts.value(WINDOWS_ROLES, [])
    static = [nic for nic in state.facts.value(WINDOWS_NICS, []) if nic.static]
    if not roles or not static:
        return
    policy = str(state.facts.value("policy.network") or "dhcp")
    shown = "; ".join(f"{nic.name or nic.guid}: {', '.join(nic.addresses)}" for nic in static[:4])
    text = f"this is a {', a '.join(roles)}, whose clients know it by its address ({shown})"
    text += f"; with network={policy} the new adapter asks DHCP for one" if policy.startswith("dhcp") else ""
    remedy = "set the same address, its name servers and suffix on the new adapter (they are in network-before.txt), or"
    remedy += " reserve it; name servers that point to the guest itself (127.0.0.1) have to be entered again"
    proofs: tuple[Evidence, ...] = state.facts.evidence(WINDOWS_ROLES) + state.facts.evidence(WINDOWS_NICS)
    yield Finding("GF-WINDOWS-ROLE-ADDRESS", "warning", text, proofs[:8], remedy)
