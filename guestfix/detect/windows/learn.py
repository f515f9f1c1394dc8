"""Everything that is learned of a Windows guest whose system folder is known."""

from __future__ import annotations

from functools import partial

from guestfix.base.catalog.facts.system import OS_FAMILY
from guestfix.base.catalog.facts.windows import WINDOWS_HIVES, WINDOWS_ROOT, WINDOWS_WRITABLE_HIVES
from guestfix.base.facts import Evidence, Facts, Finding
from guestfix.base.guest import GuestFS
from guestfix.detect.windows.access import learn_access
from guestfix.detect.windows.accounts import find_accounts
from guestfix.detect.windows.boot import (
    learn_boot_drivers,
    learn_control_sets,
    learn_dirty,
    learn_hibernation,
    learn_packed,
    learn_pending,
)
from guestfix.detect.windows.boot_entries import learn_entries
from guestfix.detect.windows.boot_files import learn_boot_files
from guestfix.detect.windows.cloud import find_cloud
from guestfix.detect.windows.devices import learn_devices
from guestfix.detect.windows.filters import learn_filters
from guestfix.detect.windows.hardware import find_hardware
from guestfix.detect.windows.hives import damaged, open_registry
from guestfix.detect.windows.netservices import find_network_services
from guestfix.detect.windows.nic import find_nic_driver
from guestfix.detect.windows.os import learn_os
from guestfix.detect.windows.roles import find_addressed, find_lost_data, learn_roles
from guestfix.detect.windows.security import learn_security
from guestfix.detect.windows.state import State, learn_state
from guestfix.formats.windows.files import has_driver
from guestfix.formats.windows.registry import Registry
from guestfix.pack.model import Target


def learn_windows(guest: GuestFS, facts: Facts, target: Target, root: str) -> list[Finding]:
    """Put all facts of the guest's Windows in ``root`` and return what was found."""
    facts.put(OS_FAMILY, "windows", Evidence(root))
    facts.put(WINDOWS_ROOT, root, Evidence(root))
    hives, findings = _open_hives(guest, facts, root)
    findings += learn_boot_files(guest, facts, root)
    system, software = hives.get("SYSTEM"), hives.get("SOFTWARE")
    if system is None or software is None:
        return findings
    control = learn_control_sets(system, facts)
    learn_os(guest, facts, root, system, software, control)
    findings += learn_boot_drivers(guest, system, facts, root)
    learn_devices(guest, system, facts, target, root, control)
    findings += find_nic_driver(guest, system, facts, target, root, control)
    findings += learn_packed(guest, system, facts, root)
    findings += learn_hibernation(guest, system, facts, control)
    findings += learn_dirty(guest, facts)
    findings += learn_pending(guest, system, software, facts, root, control)
    state = State(system, software, control, facts, target, root, partial(has_driver, guest, root))
    findings += learn_roles(state)
    findings += learn_state(state)
    findings += find_lost_data(state, guest.disks())
    findings += find_addressed(state)
    findings += find_network_services(state)
    findings += learn_security(state)
    findings += find_cloud(state)
    findings += find_hardware(state)
    findings += find_accounts(guest, state)
    findings += learn_access(state)
    findings += learn_filters(state)
    findings += learn_entries(guest, facts)
    for hive in (system, software):
        if hive.damage:
            findings.append(damaged(hive.name, hive.path, hive.damage))
    return findings


def _open_hives(guest: GuestFS, facts: Facts, root: str) -> tuple[dict[str, Registry], list[Finding]]:
    found: dict[str, Registry] = {}
    findings: list[Finding] = []
    for name in ("SYSTEM", "SOFTWARE"):
        registry, problem = open_registry(guest, f"{root}/System32/config/{name}", name)
        findings += [problem] if problem else []
        if registry is not None:
            found[name] = registry
    paths = {name: registry.path for name, registry in found.items()}
    facts.put(WINDOWS_HIVES, paths, *(Evidence(path) for path in paths.values()))
    writable = [name for name, registry in found.items() if not registry.hive.refusal]
    facts.put(WINDOWS_WRITABLE_HIVES, writable, *(Evidence(found[name].path) for name in writable))
    return found, findings
