"""The versioned compatibility table, applied: which systems and kernels are known to work after a move.

The table comes with the rule pack (``compat.yaml``, ``os/<id>/os.yaml``); judging needs only ``Pack.systems`` and
the facts about the guest.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from guestfix.base.catalog.facts.system import (
    COMPAT_KERNELS,
    KERNEL_DEFAULT,
    KERNEL_RELEASES,
    OS_ARCH,
    OS_BUILD,
    OS_EDITION,
    OS_FAMILY,
    OS_ID,
    OS_ID_LIKE,
    OS_SERVICE_PACK,
    OS_VARIANT,
    OS_VERSION,
    TARGET_ID,
    TARGET_OWNER,
)
from guestfix.base.catalog.facts.windows import WINDOWS_EDITION_ID
from guestfix.base.facts import Evidence, Facts, Finding
from guestfix.base.record import field, mutable
from guestfix.compat.kernel import describe, listed
from guestfix.compat.match import Match, find_row, system_of
from guestfix.compat.verdict import STATUSES, KernelVerdict, Verdict, worst
from guestfix.pack.model import Row, System
from guestfix.pack.traits import find_relative

__all__ = ["KernelVerdict", "Verdict", "judge", "put_kernels", "rows_of", "table_version"]

_X86 = ("i386", "i486", "i586", "i686", "x86")
Flavours = Mapping[str, Sequence[str]]
_WIDE = {"amd64": "x86_64", "arm64": "aarch64"}


@mutable
class _Case:
    """What a judgement gathers on its way."""

    facts: Facts
    name: str
    refusal: str = "blocker"
    findings: list[Finding] = field(default_factory=list)

    @property
    def told(self) -> bool:
        """Whether there is a target that the opinion is held against."""
        return self.facts.value(TARGET_ID) is not None

    @property
    def doubt(self) -> str:
        """What it weighs that the table is not sure: never more than a warning."""
        return "info" if self.refusal == "info" else "warning"

    def find(self, code: str, severity: str, summary: str, names: Sequence[str], remedy: str) -> str:
        seen = dict.fromkeys(one for name in names for one in self.facts.evidence(name))
        self.findings.append(Finding(code, severity, summary, tuple(seen) or _nowhere(names), remedy))
        return summary


def _nowhere(names: Sequence[str]) -> tuple[Evidence, ...]:
    return (Evidence("facts", 0, f"nothing shows {' or '.join(names)}"),)


def judge(systems: Sequence[System], facts: Facts) -> Verdict:
    """Return what the table says of the guest that facts describe. Never raises for what a guest holds."""
    name, system, match = _match(systems, facts)
    row = match.row or {}
    owner, refusal = _weight(systems, row, facts)
    case = _Case(facts, name, refusal)
    said = _say_system(case, match)
    kernels = _judge_kernels(facts, match, system.flavours if system is not None else {})
    parts = [_judge_arch(case, system, match), _judge_edition(case, match), _say_kernel(case, kernels, match)]
    status = worst(match.status, *(one for one, _ in parts))
    worse = [text for one, text in sorted(parts, key=lambda part: -STATUSES.index(part[0])) if text]
    if worse and match.status == "supported":
        said = f"{name} itself is supported"
    seen = [one for fact in ("os.id", "os.version", "os.arch", "kernel.default") for one in facts.evidence(fact)]
    return Verdict(
        status,
        "; ".join([*worse, said]),
        match.row,
        row.get("source", ""),
        row.get("date", ""),
        match.confidence,
        tuple(dict.fromkeys(seen)),
        kernels,
        tuple(case.findings),
        table_version(systems),
        owner,
        refusal != "info",
    )


def _weight(systems: Sequence[System], row: Row, facts: Facts) -> tuple[str, str]:
    """Return the owner of the opinion, and what a refusal weighs on the target: blocker, warning or info.

    Without a target (``compat show``) the table is asked for what it says.
    """
    table = systems[0].table.get("owner", {}) if systems else {}
    owner = str(row.get("owner") or table.get("id", ""))
    if facts.value(TARGET_ID) is None or not owner:
        return owner, "blocker"
    if facts.value(TARGET_OWNER) != owner:
        return owner, "info"
    return owner, "blocker" if facts.value("policy.compat") == "strict" else "warning"


def _name(facts: Facts, system: System | None, rest: str) -> str:
    """Return what the guest is called in sentences: Debian 12.4, CentOS Stream 9, Windows Server 2019."""
    ident = facts.value(OS_ID)
    if not ident:
        return "this system"
    title = system.title if system is not None else ident
    variant = system.names.variants.get(str(facts.value(OS_VARIANT)), "") if system is not None else ""
    if system is not None and rest:
        return f"{title} {next((one for one in system.releases if one.casefold() == rest), rest.upper())}"
    rolling = system is not None and all(row["version"] == "any" for row in system.rows) and bool(system.rows)
    version = facts.value(OS_VERSION) or ("" if rolling else "(version unknown)")
    return " ".join(part for part in (title, variant, version) if part)


def _match(systems: Sequence[System], facts: Facts) -> tuple[str, System | None, Match]:
    """Return the guest's name, the system it is or is related to, and the row."""
    ident = str(facts.value(OS_ID) or "")
    found = system_of(systems, ident) if ident else None
    name = _name(facts, *(found or (None, "")))
    if not ident:
        return name, None, Match("unknown", None, "possible", "which system this is could not be told")
    if found is not None and found[0].rows:
        system, rest = found
        version = rest or facts.value(OS_VERSION)
        return name, system, find_row(system, version, str(facts.value(OS_VARIANT) or ""))
    likes = (*(facts.value(OS_ID_LIKE) or ()), *(found[0].like if found is not None else ()))
    for related in [find_relative(systems, str(like)) for like in likes]:
        if related is not None and related.rows:
            why = f"{name} is not in the table; it is related to {related.title}, which is"
            return name, related, Match("unlisted", None, "likely", why)
    why = f"{name} is not in the table, nor is a system related to it"
    return name, None, Match("unknown", None, "possible", why)


_SYSTEM_FACTS = ("os.id", "os.version")
_GENERIC = "read the plan before you apply it, and try the migrated guest before it goes into service"


def _say_system(case: _Case, match: Match) -> str:
    row = match.row or {}
    if match.status == "supported":
        return f"{case.name} is supported" + (f" ({match.why})" if match.why else "")
    if match.status == "deprecated":
        since = row.get("deprecated", "")
        summary = f"{case.name} is supported, but deprecated since {since}: its vendor no longer maintains it"
        remedy = "plan to upgrade the guest after the migration"
        return case.find("GF-OS-DEPRECATED", case.doubt, summary, _SYSTEM_FACTS, remedy)
    if match.status == "unsupported":
        summary = f"{case.name} is not supported: {match.why or row.get('note') or 'the table refuses it'}"
        remedy = "upgrade the guest to a version that `guestfix compat list` has, before it is migrated"
        return case.find("GF-OS-UNSUPPORTED", case.refusal, summary, _SYSTEM_FACTS, remedy)
    if match.status == "unknown":
        return case.find(
            "GF-OS-UNKNOWN", case.doubt if case.facts.value(OS_ID) else "warning", match.why, _SYSTEM_FACTS, _GENERIC
        )
    note = f": {row['note']}" if row.get("note") else ""
    summary = match.why or f"{case.name} is known, but not listed as supported{note}"
    sure = match.confidence in ("certain", "confident")
    remedy = "try the migrated guest before it goes into service" if sure else _GENERIC
    return case.find("GF-OS-UNLISTED", "info" if sure and case.told else case.doubt, summary, _SYSTEM_FACTS, remedy)


def _judge_arch(case: _Case, system: System | None, match: Match) -> tuple[str, str]:
    arch = str(case.facts.value(OS_ARCH) or "").lower()
    arch = "x86" if arch in _X86 else _WIDE.get(arch, arch)
    if not arch:
        return "supported", ""
    taken = (match.row or {}).get("arch") or (system.arch if system else ("x86_64",))
    linux = case.facts.value(OS_FAMILY) == "linux"
    if arch not in taken and (system is not None or linux):
        code = "GF-ARCH-32BIT" if arch == "x86" else "GF-ARCH-UNSUPPORTED"
        summary = f"{case.name} is built for {arch}; the table takes {', '.join(taken)}"
        remedy = "install a 64-bit x86 system and move the workload to it, or bring the guest without that service"
        return "unsupported", case.find(code, case.refusal, summary, ("os.arch",), remedy)
    since = system.table.get("deprecated_arch", {}).get(arch) if system is not None else None
    if since and match.status != "deprecated":
        summary = f"{arch} systems are deprecated since {since}"
        remedy = "plan to move the workload to a 64-bit system"
        return "deprecated", case.find("GF-ARCH-32BIT", case.doubt, summary, ("os.arch",), remedy)
    return "supported", ""


def _judge_edition(case: _Case, match: Match) -> tuple[str, str]:
    """Judge a Windows guest's edition and service pack."""
    row = match.row or {}
    edition, pack = case.facts.value(OS_EDITION), case.facts.value(OS_SERVICE_PACK)
    least = row.get("min_service_pack")
    if least and isinstance(pack, int) and pack < least:
        summary = f"{case.name} has service pack {pack}; the table takes it from service pack {least} on"
        remedy = f"install service pack {least} or later before the guest is migrated"
        return "unsupported", case.find("GF-OS-UNSUPPORTED", case.refusal, summary, ("os.service_pack",), remedy)
    build = case.facts.value(OS_BUILD)
    if build and row.get("builds") and str(build) not in row["builds"]:
        summary = f"build {build} of {case.name} is not listed; the table has {', '.join(row['builds'])}"
        return "unlisted", case.find("GF-OS-UNLISTED", case.doubt, summary, ("os.build",), _GENERIC)
    raw = case.facts.value(WINDOWS_EDITION_ID)
    if raw and edition is None and row.get("editions"):
        summary = f"the edition {raw!a} of {case.name} is not known, so not listed"
        return "unlisted", case.find("GF-OS-UNLISTED", case.doubt, summary, ("windows.edition_id",), _GENERIC)
    if edition and row.get("editions") and edition not in row["editions"]:
        summary = f"the edition {edition} of {case.name} is not listed; the table has {', '.join(row['editions'])}"
        return "unlisted", case.find("GF-OS-UNLISTED", case.doubt, summary, ("os.edition",), _GENERIC)
    return "supported", ""


def _judge_kernels(facts: Facts, match: Match, flavours: Flavours) -> tuple[KernelVerdict, ...]:
    default = facts.value(KERNEL_DEFAULT)
    releases = dict.fromkeys(str(one) for one in facts.value(KERNEL_RELEASES) or ())
    if default:
        releases.setdefault(str(default))
    return tuple(_judge_kernel(release, match, flavours, release == default) for release in releases)


def _judge_kernel(release: str, match: Match, flavours: Flavours, default: bool) -> KernelVerdict:
    row = match.row
    if row is None or match.status not in ("supported", "deprecated", "unlisted"):
        return KernelVerdict(release, match.status, f"kernel {release} is judged as its system is", default)
    if listed(release, row, flavours):
        return KernelVerdict(release, match.status, f"kernel {release} is in the table ({describe(row)})", default)
    status = "unlisted" if match.status == "unlisted" else "unsupported"
    summary = f"unsupported kernel version {release}: the table has {describe(row)} for {row['id']} {row['version']}"
    return KernelVerdict(release, status, summary, default)


def _say_kernel(case: _Case, kernels: Sequence[KernelVerdict], match: Match) -> tuple[str, str]:
    """Return the status and summary of the kernel that is booted by default, as a finding where it is bad."""
    default = next((one for one in kernels if one.default), kernels[0] if len(kernels) == 1 else None)
    if default is None or default.status == match.status:
        return "supported", ""
    better = [one.release for one in kernels if one.status == match.status]
    remedy = "install a kernel that the table names and make it the default"
    if better:
        remedy = f"make {', '.join(better)} the default kernel, which the table has"
    if case.refusal == "blocker":
        remedy += "; where it is known to work: --accept GF-KERNEL-UNSUPPORTED"
    summary = case.find("GF-KERNEL-UNSUPPORTED", case.refusal, default.summary, ("kernel.default",), remedy)
    return default.status, summary


def put_kernels(verdict: Verdict, facts: Facts) -> None:
    """Put down what the table says of each kernel, where it speaks for the target."""
    if verdict.kernels and verdict.speaks:
        facts.put(COMPAT_KERNELS, {kernel.release: kernel.status for kernel in verdict.kernels})


def rows_of(systems: Sequence[System]) -> list[dict[str, object]]:
    """Return every row of the table as one flat mapping, systems by id and rows in their order.

    Linux rows have ``kernels`` (empty: any), Windows rows ``editions`` (empty: any).
    """
    holds = {"linux": "kernels", "windows": "editions"}
    return [
        {
            "table": table_version(systems),
            "title": system.title,
            "family": system.family,
            holds.get(system.family, "kernels"): [],
            **row,
        }
        for system in systems
        for row in system.rows
    ]


def table_version(systems: Sequence[System]) -> str:
    """Return the version of the table; empty where the pack has none."""
    return str(systems[0].table.get("version", "")) if systems else ""
