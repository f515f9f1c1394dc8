"""What a rule pack holds once it is loaded: rules, targets, policies, systems. Plain data."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from guestfix.base.catalog.records.system import ServiceLimits
from guestfix.base.record import field, frozen, replace

CONFIDENCES = ("certain", "confident", "likely", "possible")
"""From the surest to the least sure."""

FAMILIES = ("linux", "windows", "freebsd", "openbsd", "netbsd")
"""Of systems; those besides the first two are told apart, and served where one file says it."""

PHASES = ("storage", "network")


Row = Mapping[str, Any]
"""A row of the compatibility table, or what its head says, as systems.py reads them from YAML."""

Tables = Mapping[str, Any]
"""The tables of a pack by name, each as its reader in tables.py gives it."""

Condition = list[Any]
"""A compiled condition: nested lists, so that a compiled pack can be kept as JSON."""

Argument = Sequence[Any]
"""How a step's argument is made, ``[kind, given]``: const, fact, text or texts."""


@frozen
class Refusal:
    """What a platform does not take: a guest for which all of ``when`` holds. Where one is unknown, nothing is said."""

    id: str
    when: tuple[Condition, ...]
    says: str
    remedy: str
    severity: str
    source: str
    date: str


@frozen
class Target:
    """A platform to boot on. Read from ``rules/targets/<id>.yaml``.

    ``drivers`` names the Linux kernel modules per boot phase: ``storage`` must be there when the
    root filesystem is mounted, ``network`` once it is. ``windows_drivers`` likewise with service names, where
    ``pvscsi | lsi_sas`` means that either will do; ``windows_buses`` what each of them stands on
    (:func:`guestfix.formats.windows.storage.buses_of`), and ``windows_offers`` the drivers of further devices that the
    platform has and the administrator can choose. ``hypervisor`` is kvm, xen, vmware or hyperv: the guest software
    that belongs to it stays, and that of ``cloud``. ``limits`` is what its import service takes: volumes,
    disk_bytes, root_filesystems.
    ``arch`` are its processors (empty: not known), ``by_arch`` what is otherwise on one of them, ``windows_clock`` the
    clock that it gives a Windows, where that is another one (:meth:`on`).
    ``refuses`` is what else it does not take, ``sources`` who says so of which keys; ``source`` stands for all others.
    ``agents`` are the platforms, as the table guest-software names them, whose guest software is at home there: unless
    said otherwise ``hypervisor`` and ``cloud``. ``data_sources`` are cloud-init's names of what it finds there,
    ``time_servers`` the platform's own NTP servers, ``time_device`` the PTP clock of its host (/dev/ptp_hyperv).
    ``owner`` is that import service, whose compatibility table speaks for this target.
    ``tables`` are those of the pack, for detectors and actions, which all know the target.
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
    limits: ServiceLimits = field(default_factory=ServiceLimits)
    tables: Tables = field(default_factory=dict)
    owner: str = ""
    windows_buses: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    windows_offers: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    cloud: str = ""
    arch: tuple[str, ...] = ()
    by_arch: Mapping[str, Mapping[str, str | tuple[str, ...]]] = field(default_factory=dict)
    agents: tuple[str, ...] = ()
    time_servers: tuple[str, ...] = ()
    time_device: str = ""
    data_sources: tuple[str, ...] = ()
    addresses: str = ""
    mtu: int = 0
    dns: tuple[str, ...] = ()
    network_notes: tuple[str, ...] = ()
    refuses: tuple[Refusal, ...] = ()
    sources: tuple[Mapping[str, object], ...] = ()
    windows_clock: str = ""

    def on(self, arch: str, family: str = "") -> Target:
        """Return the target as it is for a guest of this architecture and family; itself where nothing differs."""
        own = dict(self.by_arch.get(arch, {}))
        if family == "windows" and self.windows_clock not in ("", self.clock):
            own["clock"] = self.windows_clock
        return replace(self, **own) if own else self


@frozen
class PolicyDefault:
    """A policy's default for one target, one system, or one system on one target; "" stands for any."""

    value: str
    target: str = ""
    system: str = ""


@frozen
class Policy:
    """A choice that belongs to the administrator, with the value used where none is given.

    Of ``default_for`` the last one that fits the target and the guest's system wins over ``default``.
    """

    id: str
    title: str
    default: str
    values: tuple[str, ...] = ()
    default_for: tuple[PolicyDefault, ...] = ()


@frozen
class Step:
    """One step of a rule.

    An ``op`` step runs a pure editor on every file that ``globs`` match (a glob without pattern
    characters matches whether or not the file exists). An ``action`` step runs once with the whole
    guest in view, and may change only what ``globs`` match. It is done where ``when`` holds as well as the rule's
    own; ``follow_up`` is told for after the migration where it changed something.
    """

    globs: tuple[str, ...]
    op: str = ""
    action: str = ""
    args: Mapping[str, Argument] = field(default_factory=dict)
    when: tuple[Condition, ...] = ()
    when_text: tuple[str, ...] = ()
    follow_up: str = ""


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
    when: tuple[Condition, ...]
    steps: tuple[Step, ...]
    when_text: tuple[str, ...] = ()
    settles: tuple[str, ...] = ()


@frozen
class Names:
    """By which words and files a distribution is known; see rules/README.md. All words are in lower case.

    ``point_files`` say the point release that os-release lacks, of which ``point_parts`` numbers count.
    ``shared_ids`` are other systems' IDs too, so that NAME must begin with one of ``words``. A guest that says it is
    the system's base, and has one of the files ``marks``, is this one.
    """

    aliases: tuple[str, ...] = ()
    shared_ids: tuple[str, ...] = ()
    lsb: tuple[str, ...] = ()
    families: tuple[str, ...] = ()
    words: tuple[str, ...] = ()
    cpe: tuple[str, ...] = ()
    release_files: tuple[str, ...] = ()
    shared_files: tuple[str, ...] = ()
    version_files: tuple[str, ...] = ()
    upstream_files: tuple[str, ...] = ()
    marks: tuple[str, ...] = ()
    point_files: tuple[str, ...] = ()
    point_parts: int = 0
    codenames: Mapping[str, str] = field(default_factory=dict)
    variants: Mapping[str, str] = field(default_factory=dict)


@frozen
class System:
    """A distribution or a line of Windows. Read from ``rules/os/<id>/os.yaml``.

    ``rows`` are what the compatibility table says of its versions, ``table`` that table's own version. ``like`` are
    its relatives, nearest first; version N of it is built like the version of ``base`` that ``base_versions`` names
    (empty: the same N). ``facts`` has for each name the values by range of versions, in order.
    """

    id: str
    title: str
    family: str = "linux"
    scheme: str = "plain"
    releases: tuple[str, ...] = ()
    arch: tuple[str, ...] = ()
    rows: tuple[Row, ...] = ()
    table: Row = field(default_factory=dict)
    like: tuple[str, ...] = ()
    base: str = ""
    base_versions: tuple[tuple[str, str], ...] = ()
    names: Names = field(default_factory=Names)
    flavours: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    facts: Mapping[str, tuple[tuple[str, object], ...]] = field(default_factory=dict)


@frozen
class PackPart:
    """One pack of a stack, and what it changed in those beneath it: ``what``, ``kind`` and ``id`` of each."""

    id: str
    version: str
    digest: str
    changes: tuple[Mapping[str, str], ...] = ()


@frozen
class Pack:
    """A whole rule pack, or several on top of each other (``parts``). ``digest`` is a SHA-256 over every file.

    ``tables`` are names and numbers that detectors and actions look up (:mod:`guestfix.pack.tables`).
    """

    id: str
    version: str
    digest: str
    default_target: str
    rules: tuple[Rule, ...]
    targets: Mapping[str, Target]
    policies: Mapping[str, Policy]
    systems: tuple[System, ...] = ()
    tables: Tables = field(default_factory=dict)
    parts: tuple[PackPart, ...] = ()
