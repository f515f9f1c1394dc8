"""The versioned compatibility table, applied: which systems and kernels are known to work after a move.

The table comes with the rule pack (``compat.yaml``, ``os/<id>/os.yaml``); judging needs only the plain
mappings that ``Pack.systems`` holds and the facts about the guest.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

from guestfix.compat.kernel import describe, listed
from guestfix.compat.match import Match, System, find_row, system_of
from guestfix.compat.verdict import KernelVerdict, Verdict, worst
from guestfix.facts import Facts, Finding

__all__ = ["KernelVerdict", "Verdict", "judge", "rows_of", "table_version"]

_X86 = ("i386", "i486", "i586", "i686", "x86")
_WIDE = {"amd64": "x86_64", "arm64": "aarch64"}


@dataclass(slots=True)
class _Case:
    """What a judgement gathers on its way."""

    facts: Facts
    name: str
    findings: list[Finding] = field(default_factory=list)

    def find(self, code: str, severity: str, summary: str, names: Sequence[str], remedy: str) -> str:
        seen = dict.fromkeys(one for name in names for one in self.facts.evidence(name))
        self.findings.append(Finding(code, severity, summary, tuple(seen), remedy))
        return summary


def judge(systems: Sequence[System], facts: Facts) -> Verdict:
    """Return what the table says of the guest that facts describe. Never raises for what a guest holds."""
    case = _Case(facts, _name(facts))
    system, match = _match(systems, facts, case.name)
    summary = _say_system(case, match)
    arch_status, arch_said = _judge_arch(case, system, match)
    kernels = _judge_kernels(facts, match)
    kernel_status, kernel_said = _say_kernel(case, kernels, match)
    status = worst(match.status, arch_status, kernel_status)
    seen = [one for name in ("os.id", "os.version", "os.arch", "kernel.default") for one in facts.evidence(name)]
    row = match.row or {}
    return Verdict(
        status,
        "; ".join(dict.fromkeys(text for text in (summary, arch_said, kernel_said) if text)),
        match.row,
        row.get("source", ""),
        row.get("date", ""),
        match.confidence,
        tuple(dict.fromkeys(seen)),
        kernels,
        tuple(case.findings),
        _drop(status, match),
        table_version(systems),
    )


def _drop(status: str, match: Match) -> int:
    if status in ("supported", "deprecated"):
        return 0
    return 0 if status == "unlisted" and match.confidence in ("certain", "confident") else 1


def _name(facts: Facts) -> str:
    """Return what the guest is called in sentences."""
    ident = facts.value("os.id")
    if not ident:
        return "this system"
    version = facts.value("os.version")
    variant = " Stream" if facts.value("os.variant") == "stream" else ""
    named = facts.value("os.name") if facts.value("os.family") == "windows" else None
    return str(named or f"{ident}{variant} {version or '(version unknown)'}")


def _match(systems: Sequence[System], facts: Facts, name: str) -> tuple[System | None, Match]:
    ident = facts.value("os.id")
    if not ident:
        return None, Match("unknown", None, "possible", "which system this is could not be told")
    found = system_of(systems, str(ident))
    if found is not None:
        system, rest = found
        version = rest or facts.value("os.version")
        return system, find_row(system, version, str(facts.value("os.variant") or ""))
    for like in facts.value("os.id_like") or ():
        related = system_of(systems, str(like))
        if related is not None:
            why = f"{name} is not in the table; it is related to {related[0]['title']}, which is"
            return related[0], Match("unlisted", None, "likely", why)
    return None, Match("unknown", None, "possible", f"{name} is not in the table, nor is a system related to it")


_SYSTEM_FACTS = ("os.id", "os.version")
_GENERIC = "fixes that hold for any such system are offered at lower confidence; read the plan before you apply it"


def _say_system(case: _Case, match: Match) -> str:
    row = match.row or {}
    if match.status == "supported":
        return f"{case.name} is supported" + (f" ({match.why})" if match.why else "")
    if match.status == "deprecated":
        summary = f"{case.name} is supported but deprecated since {row.get('deprecated', '')}: its support has ended"
        remedy = "plan to upgrade the guest after the migration"
        return case.find("GF-OS-DEPRECATED", "warning", summary, _SYSTEM_FACTS, remedy)
    if match.status == "unsupported":
        summary = f"{case.name} is not supported: {match.why or row.get('note') or 'the table refuses it'}"
        remedy = "upgrade the guest to a version that `guestfix compat list` has, before it is migrated"
        return case.find("GF-OS-UNSUPPORTED", "blocker", summary, _SYSTEM_FACTS, remedy)
    if match.status == "unknown":
        return case.find("GF-OS-UNKNOWN", "warning", match.why, _SYSTEM_FACTS, _GENERIC)
    note = f": {row['note']}" if row.get("note") else ""
    summary = match.why or f"{case.name} is known but not listed as supported ({match.confidence}){note}"
    sure = match.confidence in ("certain", "confident")
    remedy = "try the migrated guest before it goes into service" if sure else _GENERIC
    return case.find("GF-OS-UNLISTED", "warning", summary, _SYSTEM_FACTS, remedy)


def _judge_arch(case: _Case, system: System | None, match: Match) -> tuple[str, str]:
    arch = str(case.facts.value("os.arch") or "").lower()
    arch = "x86" if arch in _X86 else _WIDE.get(arch, arch)
    if not arch:
        return "supported", ""
    taken = (match.row or {}).get("arch") or (system["arch"] if system else ["x86_64"])
    linux = case.facts.value("os.family") == "linux"
    if arch not in taken and (system is not None or linux):
        code = "GF-ARCH-32BIT" if arch == "x86" else "GF-ARCH-UNSUPPORTED"
        summary = f"{case.name} is built for {arch}; the table takes {', '.join(taken)}"
        remedy = "install a 64-bit x86 system and move the workload to it"
        return "unsupported", case.find(code, "blocker", summary, ("os.arch",), remedy)
    since = (system or {}).get("table", {}).get("deprecated_arch", {}).get(arch)
    if since:
        summary = f"{arch} systems are deprecated since {since}"
        remedy = "plan to move the workload to a 64-bit system"
        return "deprecated", case.find("GF-ARCH-32BIT", "warning", summary, ("os.arch",), remedy)
    return "supported", ""


def _judge_kernels(facts: Facts, match: Match) -> tuple[KernelVerdict, ...]:
    default = facts.value("kernel.default")
    releases = dict.fromkeys(str(one) for one in facts.value("kernel.releases") or ())
    if default:
        releases.setdefault(str(default))
    return tuple(_judge_kernel(release, match, release == default) for release in releases)


def _judge_kernel(release: str, match: Match, default: bool) -> KernelVerdict:
    row = match.row
    if row is None or match.status not in ("supported", "deprecated", "unlisted"):
        return KernelVerdict(release, match.status, f"kernel {release} is judged as its system is", default)
    if listed(release, row):
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
    summary = case.find("GF-KERNEL-UNSUPPORTED", "blocker", default.summary, ("kernel.default",), remedy)
    return default.status, summary


def rows_of(systems: Sequence[System]) -> list[dict[str, Any]]:
    """Return every row of the table as one flat mapping, systems by id and rows in their order."""
    return [
        {"id": row["id"], "title": system["title"], "family": system["family"], **row}
        for system in systems
        for row in system["rows"]
    ]


def table_version(systems: Sequence[System]) -> str:
    """Return the version of the table; empty where the pack has none."""
    return str(systems[0]["table"].get("version", "")) if systems else ""
