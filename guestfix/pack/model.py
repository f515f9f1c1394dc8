"""What a rule pack holds once it is loaded: rules, targets, policies. Plain data."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from guestfix.base.record import field, frozen

CONFIDENCES = ("certain", "confident", "likely", "possible")
"""From the surest to the least sure."""

PHASES = ("storage", "network")


@frozen
class Target:
    """A platform to boot on. Read from ``rules/targets/<id>.yaml``.

    ``drivers`` names the Linux kernel modules per boot phase: ``storage`` must be there when the
    root filesystem is mounted, ``network`` once it is. ``windows_drivers`` likewise with service names, where
    ``pvscsi | lsi_sas`` means that either will do. ``hypervisor`` is kvm, xen, vmware or hyperv: the guest software
    that belongs to it stays.
    """

    id: str
    title: str
    source: str = ""
    date: str = ""
    disk_bus: str = ""
    disk_prefix: str = ""
    nic: str = ""
    firmware: tuple[str, ...] = ()
    drivers: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    windows_drivers: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    console: str = ""
    clock: str = "utc"
    kernel_args: tuple[str, ...] = ()
    hypervisor: str = ""


@frozen
class Policy:
    """A choice that belongs to the administrator, with the value used where none is given."""

    id: str
    title: str
    default: str
    values: tuple[str, ...] = ()


@frozen
class Step:
    """One step of a rule.

    An ``op`` step runs a pure editor on every file that ``globs`` match (a glob without pattern
    characters matches whether or not the file exists). An ``action`` step runs once with the whole
    guest in view, and may change only what ``globs`` match.
    """

    globs: tuple[str, ...]
    op: str = ""
    action: str = ""
    args: Mapping[str, Any] = field(default_factory=dict)


@frozen
class Rule:
    """One documented modification or check. ``settles`` has the codes of findings whose fault it takes away."""

    id: str
    title: str
    why: str
    sources: tuple[str, ...]
    since: str
    confidence: str
    severity: str
    when: tuple[Any, ...]
    steps: tuple[Step, ...]
    when_text: tuple[str, ...] = ()
    settles: tuple[str, ...] = ()
    place: str = ""


@frozen
class Pack:
    """A whole rule pack. ``digest`` is a SHA-256 over every file of it."""

    id: str
    version: str
    digest: str
    default_target: str
    rules: tuple[Rule, ...]
    targets: Mapping[str, Target]
    policies: Mapping[str, Policy]
    systems: tuple[Mapping[str, Any], ...] = ()
