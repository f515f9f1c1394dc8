r"""What a Windows needs to have any network: the services of TCP/IP, and NICs that hang on others (teams, switches).

Sources: the services that Dhcp, NlaSvc and netprofm name in DependOnService, with the Start that Windows gives them;
"NIC Teaming" and "Switch Embedded Teaming" of Microsoft's documentation for what a team's adapter is called.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Literal

from guestfix.base.catalog.facts.windows import WINDOWS_NETWORK_SERVICES_OFF, WINDOWS_NICS, WINDOWS_TEAMS
from guestfix.base.facts import Finding
from guestfix.base.record import frozen
from guestfix.detect.windows.state import State
from guestfix.formats.windows.services import AUTO, BOOT, DEMAND, DISABLED, SYSTEM, read_service

Outcome = Literal["", "unknown", "stops"]


@frozen
class NetworkService:
    """A service that networking rests on: what it is for, and Windows' own Start for it (before Vista)."""

    name: str
    start: int
    lost: str
    needed: bool = True
    before_vista: int | None = None


NETWORK_SERVICES = (
    NetworkService("NDIS", BOOT, "no adapter works"),
    NetworkService("Tcpip", BOOT, "there is no TCP/IP", before_vista=SYSTEM),
    NetworkService("AFD", SYSTEM, "no program can open a socket"),
    NetworkService("nsiproxy", SYSTEM, "no adapter gets an address"),
    NetworkService("nsi", AUTO, "no adapter gets an address"),
    NetworkService("Dhcp", AUTO, "no adapter gets an address by itself"),
    NetworkService("NlaSvc", AUTO, "the firewall takes every network for a public one", needed=False),
    NetworkService("netprofm", DEMAND, "the firewall takes every network for a public one", needed=False),
)
TEAMS = {
    r"COMPOSITEBUS\MS_IMPLAT_MP": "NIC team (LBFO) or network bridge",
    r"ROOT\VMS_MP": "virtual switch of Hyper-V, with or without a team (SET)",
    r"ROOT\BRCM_BLFM": "Broadcom team",
    r"ROOT\IANSMINIPORT": "Intel team",
    r"ROOT\CQ_CPQTEAM": "HP team",
}
"""Adapters that hang on NICs of the old platform, by how their device's name begins."""


def find_network_services(state: State) -> Iterator[Finding]:
    """Put ``windows.network_services_off`` and ``windows.teams``; yield what keeps the guest off the network."""
    off = [one for one in NETWORK_SERVICES if _is_off(state, one.name)]
    proofs = {one.name: state.system.evidence(state.key(rf"Services\{one.name}"), "Start") for one in off}
    state.facts.put(WINDOWS_NETWORK_SERVICES_OFF, list(proofs), *proofs.values())
    remedy = "let the rule windows/network-services switch them on, or set their start type on the old platform"
    for needed in (True, False):
        found = [one for one in off if one.needed == needed]
        if found:
            shown = "; ".join(f"without {one.name} {one.lost}" for one in found)
            text = f"services of the network are switched off: {shown}"
            evidence = tuple(proofs[one.name] for one in found)
            outcome = _outcome(state, found) if needed else ""
            yield Finding("GF-WINDOWS-NETWORK-SERVICE", "warning", text, evidence, remedy, outcome=outcome)
    yield from _teams(state)


def _outcome(state: State, off: list[NetworkService]) -> Outcome:
    """Nothing is reached without TCP/IP; without DHCP alone where no policy lets the new adapter ask for an address."""
    by_hand = str(state.facts.value("policy.network") or "dhcp") not in ("dhcp", "dhcp-first")
    return "unknown" if by_hand and [one.name for one in off] == ["Dhcp"] else "stops"


def _is_off(state: State, name: str) -> bool:
    service = read_service(state.system, state.control, name)
    return service is not None and service.start == DISABLED


def _teams(state: State) -> Iterator[Finding]:
    found = {}
    for nic in state.facts.value(WINDOWS_NICS, []):
        kind = next((title for start, title in TEAMS.items() if nic.device.upper().startswith(start)), "")
        if kind:
            found[f"{nic.name or nic.guid} ({kind})"] = nic
    base = state.key(r"Services\Tcpip\Parameters\Interfaces")
    proofs = tuple(state.system.evidence(rf"{base}\{nic.guid}") for nic in found.values())[:8]
    state.facts.put(WINDOWS_TEAMS, list(found), *proofs)
    if found:
        text = (
            f"adapters that are made of others don't come along: {', '.join(found)}; their NICs are the old platform's"
        )
        remedy = (
            "the new NIC gets an address of its own; take the team or switch apart before the move, or make it anew"
        )
        yield Finding("GF-WINDOWS-NETWORK-TEAM", "warning", text, proofs, remedy)
