"""Learning about a guest: its identity, and all facts with those of the target and the policies."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Collection, Mapping

from guestfix.base.catalog.facts.system import OS_ARCH, OS_FAMILY, OS_ID, TARGET_ID
from guestfix.base.errors import GuestError, UsageError
from guestfix.base.facts import Facts, Finding
from guestfix.base.guest import GuestFS
from guestfix.base.nearest import did_you_mean
from guestfix.base.record import names_of
from guestfix.base.recorder import Recorder
from guestfix.compat.match import system_of
from guestfix.detect import detect_by
from guestfix.detect.windows.detector import find_root
from guestfix.pack.model import Pack, Target
from guestfix.plan.osinfo import put_osinfo

IDENTITY_FILES = ("/etc/machine-id", "/etc/os-release", "/etc/redhat-release", "/etc/debian_version", "/etc/hostname")

UNTOLD = ("tables", "windows_buses", "windows_offers", "by_arch", "refuses", "sources", "windows_clock")
"""What a target has and what is no fact."""


def identity_of(guest: GuestFS) -> str:
    """Return a digest of what tells one guest from another: machine id or GUID, host name, release."""
    total = hashlib.sha256()
    for path in IDENTITY_FILES:
        try:
            data = guest.read(path, 65536)
        except GuestError:
            continue
        total.update(f"{path}\0{len(data)}\0".encode())
        total.update(data)
    for root in _windows_roots(guest):
        from guestfix.detect.windows.identity import windows_identity

        total.update(windows_identity(guest, root))
    return total.hexdigest()


def _windows_roots(guest: GuestFS) -> list[str]:
    try:
        return find_root(guest)
    except GuestError:
        return []


def learn(
    guest: GuestFS,
    pack: Pack,
    target: Target,
    policies: Mapping[str, str],
    extra: Mapping[str, object],
    looked: dict[str, Recorder] | None = None,
    tell: Callable[[str, int, int], None] = lambda stage, done, total: None,
    names: Collection[str] | None = None,
) -> tuple[Facts, dict[str, list[Finding]], Target]:
    """Return all facts about the guest, with those of the target and the policies, and what each detector found.

    The target is returned as it is for the guest's processor and family. ``policies`` are the administrator's
    choices, ``extra`` facts from outside the guest; ``looked`` is given what each detector looked at, ``tell`` how
    many detectors have run; ``names`` are those that run, None for all. Raises UsageError for a policy, or a value of
    one, that the pack doesn't have.
    """
    facts = Facts()
    check_policies(pack, policies)
    _put_target(facts, target)
    for name, value in extra.items():
        facts.put(name, value)

    def identified() -> Target:
        _put_policies(facts, pack, policies)
        put_osinfo(facts, pack.tables.get("osinfo", {}))
        own = target.on(facts.value(OS_ARCH) or "", facts.value(OS_FAMILY) or "")
        if own is not target:
            _put_target(facts, own)
        return own

    found = detect_by(guest, facts, target, pack.systems, names, looked, identified, tell)
    return facts, found, target.on(facts.value(OS_ARCH) or "", facts.value(OS_FAMILY) or "")


def _put_target(facts: Facts, target: Target) -> None:
    for name in names_of(target):
        value = getattr(target, name)
        if name in UNTOLD:
            continue
        if name in ("drivers", "windows_drivers"):
            for phase, drivers in value.items():
                facts.put(f"target.{name}.{phase}", list(drivers))
        else:
            facts.put(f"target.{name}", list(value) if isinstance(value, tuple) else value)


def check_policies(pack: Pack, given: Mapping[str, str]) -> None:
    """Raise UsageError for a policy, or a value of one, that the pack doesn't have."""
    for name, value in given.items():
        policy = pack.policies.get(name)
        if policy is None:
            raise UsageError(f"there is no policy {name!r}", remedy=did_you_mean(name, pack.policies))
        if policy.values and value not in policy.values:
            raise UsageError(f"policy {name} can't be {value!r}", remedy=did_you_mean(value, policy.values))


def _put_policies(facts: Facts, pack: Pack, given: Mapping[str, str]) -> None:
    """Record what is decided: by the administrator, else by the pack for this target and system, else by default."""
    ident = str(facts.value(OS_ID) or "")
    system = system_of(pack.systems, ident) if ident else None
    systems, targets = ("", ident, system[0].id if system is not None else ident), ("", facts.value(TARGET_ID))
    for name, policy in pack.policies.items():
        fitting = [one.value for one in policy.default_for if one.target in targets and one.system in systems]
        facts.put(f"policy.{name}", given.get(name, [policy.default, *fitting][-1]))
