r"""Virtualization-based security of Windows, and what else starts a hypervisor inside the guest.

Sources: "Enable virtualization-based protection of code integrity", "Configure Credential Guard" and "DeviceGuard"
policies of Microsoft's documentation, which name these values.
"""

from __future__ import annotations

from collections.abc import Iterator

from guestfix.base.catalog.facts.windows import WINDOWS_HYPERV_ROLE, WINDOWS_VIRTUALIZATION_SECURITY
from guestfix.base.facts import Evidence, Finding
from guestfix.detect.windows.state import State
from guestfix.formats.windows.services import DISABLED, read_service

GUARD = r"Control\DeviceGuard"
POLICY = r"Policies\Microsoft\Windows\DeviceGuard"
HVCI = rf"{GUARD}\Scenarios\HypervisorEnforcedCodeIntegrity"
CREDENTIALS = rf"{GUARD}\Scenarios\CredentialGuard"
LOCKS = ((GUARD, "Locked"), (HVCI, "Locked"), (CREDENTIALS, "Locked"))
HOSTS = {"vmcompute": "Hyper-V host compute service", "lxssmanager": "WSL", "wslservice": "WSL"}
"""Services that only an optional feature with a hypervisor, or WSL, brings; the Hyper-V role is told elsewhere."""
UEFI_LOCK = 1
"""Value of LsaCfgFlags and of a policy: on, and kept in a variable of the firmware."""
DMA = 2
"""Bit of RequirePlatformSecurityFeatures: an IOMMU has to keep devices out; bit 0 is Secure Boot."""


def learn_security(state: State) -> list[Finding]:
    """Put ``windows.virtualization_security``: what of it is set; return what the target has to offer for it."""
    proofs: dict[str, list[Evidence]] = {}
    for name, value, proof in _settings(state):
        if value:
            proofs.setdefault(name, []).append(proof)
    shown = [one for those in proofs.values() for one in those]
    state.facts.put(WINDOWS_VIRTUALIZATION_SECURITY, list(proofs), *shown)
    hosts = dict(_hosts(state))
    found = [_security(state, proofs)] if proofs else []
    if hosts and not state.facts.value(WINDOWS_HYPERV_ROLE):
        text = f"{', '.join(dict.fromkeys(hosts.values()))} is installed: it starts virtual machines of its own"
        remedy = "the target has to offer nested virtualization for it; else remove the feature before the move"
        names = tuple(state.system.evidence(state.key(rf"Services\{name}"), "Start") for name in hosts)
        found.append(Finding("GF-WINDOWS-VIRTUAL-HOST", "warning", text, names, remedy))
    return found


def _settings(state: State) -> Iterator[tuple[str, bool, Evidence]]:
    """Yield (what, whether it is on, where that stands) of every value that switches a part on."""
    system, software = state.system, state.software
    for view, path in ((system, state.key(GUARD)), (software, POLICY)):
        proof = view.evidence(path, "EnableVirtualizationBasedSecurity")
        yield "vbs", view.number(path, "EnableVirtualizationBasedSecurity") == 1, proof
    old = state.key(GUARD)
    yield "hvci", _on(system.number(state.key(HVCI), "Enabled")), system.evidence(state.key(HVCI), "Enabled")
    for view, path in ((system, old), (software, POLICY)):
        proof = view.evidence(path, "HypervisorEnforcedCodeIntegrity")
        yield "hvci", _on(view.number(path, "HypervisorEnforcedCodeIntegrity")), proof
    guard = state.key(CREDENTIALS)
    yield "credential-guard", _on(system.number(guard, "Enabled")), system.evidence(guard, "Enabled")
    for view, path in ((system, state.key(r"Control\Lsa")), (software, POLICY)):
        flags, proof = view.number(path, "LsaCfgFlags"), view.evidence(path, "LsaCfgFlags")
        yield "credential-guard", flags in (1, 2), proof
        yield "uefi-lock", flags == UEFI_LOCK, proof
    for path, name in LOCKS:
        key = state.key(path)
        yield "uefi-lock", _on(system.number(key, name)), system.evidence(key, name)
    feature = system.number(old, "RequirePlatformSecurityFeatures") or software.number(
        POLICY, "RequirePlatformSecurityFeatures"
    )
    yield "dma-protection", bool((feature or 0) & DMA), system.evidence(old, "RequirePlatformSecurityFeatures")


def _on(value: int | None) -> bool:
    return bool(value)


def _security(state: State, proofs: dict[str, list[Evidence]]) -> Finding:
    titles = {
        "vbs": "virtualization-based security",
        "hvci": "memory integrity (HVCI)",
        "credential-guard": "Credential Guard",
    }
    on = [title for name, title in titles.items() if name in proofs] or ["virtualization-based security, in part"]
    locked = ", locked by UEFI" if "uefi-lock" in proofs else ""
    needs = "nested virtualization (VT-x or AMD-V, with SLAT), UEFI with Secure Boot"
    needs += ", an IOMMU" if "dma-protection" in proofs else ""
    text = f"{', '.join(on)}: switched on{locked}; the target has to offer {needs}, and drivers that are fit for it"
    remedy = "switch it off before the move where the target lacks that; credentials that it guards do not move along"
    if locked:
        remedy += "; the lock is a variable of the old firmware and stays behind, so set it anew"
    evidence = dict.fromkeys(one for those in proofs.values() for one in those)
    return Finding("GF-WINDOWS-VBS", "warning", text, tuple(evidence)[:8], remedy)


def _hosts(state: State) -> Iterator[tuple[str, str]]:
    for name, title in HOSTS.items():
        service = read_service(state.system, state.control, name)
        if service is not None and service.start != DISABLED:
            yield service.name, title
