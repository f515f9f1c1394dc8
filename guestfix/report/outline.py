"""What a report says, in the order in which people ask, for every form it is written in.

An outline adds nothing to a plan: it groups findings by what they ask of the reader, and joins what lies apart.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any, Literal

from guestfix.base.facts import Finding, Unknown
from guestfix.base.record import frozen
from guestfix.plan.model import Change, Plan
from guestfix.report.disks import DiskRow, disk_rows
from guestfix.report.layout import count
from guestfix.walk.model import Step, Walk, Walks

Part = Literal["blockers", "before", "lost", "repairs", "unchecked", "notes"]

HEADINGS: dict[Part, str] = {
    "blockers": "Blockers: apply will refuse",
    "before": "Before you apply",
    "lost": "Lost, or other than before",
    "repairs": "The plan repairs",
    "unchecked": "Not checked",
    "notes": "Notes",
}
"""Every part of a report that holds findings, in order, with its heading."""

LOSES = frozenset(
    (
        "GF-BOOT-ARGS-LOST", "GF-FSTAB-DEPENDENT", "GF-FSTAB-VOLUME-MISSING", "GF-NETWORK-ADDED",
        "GF-NETWORK-ADDRESS-USED", "GF-NETWORK-DEVICE-LOST", "GF-NETWORK-HOOK-LOST", "GF-NETWORK-HOOK-MOVED",
        "GF-NETWORK-NAMES-TAKEN", "GF-NETWORK-STATIC-LOST", "GF-WINDOWS-DRIVE-LETTERS", "GF-WINDOWS-ROLE-ADDRESS",
        "GF-WINDOWS-ROUTE",
    )
)  # fmt: skip
"""Codes of what users of the guest miss, or find elsewhere, after the migration."""

UNCHECKED = frozenset(
    (
        "GF-BOOT-ENV-UNSEEN", "GF-BOOT-LOADER-UNREADABLE", "GF-DISK-LUKS", "GF-DISK-MOUNT-UNREADABLE",
        "GF-DISK-VOLUME-UNREADABLE", "GF-FILE-TOO-LARGE", "GF-FSTAB-LINE-UNREADABLE", "GF-INITRAMFS-MODULE-UNREADABLE",
        "GF-INITRAMFS-STORED-UNKNOWN", "GF-INITRAMFS-UNJUDGED", "GF-NETWORK-CONFIG-UNREADABLE",
        "GF-NETWORK-REPORT-ONLY", "GF-RULE-UNDECIDED", "GF-WINDOWS-HIVE-UNREADABLE",
    )
)  # fmt: skip
"""Codes that say what guestfix could not look at."""


@frozen
class Group:
    """Findings of one code, or an applied rule that no finding asked for."""

    name: str
    says: str
    findings: tuple[Finding, ...] = ()
    rule: str = ""


@frozen
class StepRow:
    """Steps of the boot that end alike, from ``first`` to ``last`` (1-based), before and with the plan."""

    first: int
    last: int
    names: tuple[str, ...]
    before: Step
    after: Step


@frozen
class ChangeRow:
    """A change with how many lines it takes away and adds, and which those are."""

    change: Change
    added: int
    removed: int
    lines: tuple[str, ...]


def part_of(finding: Finding) -> Part:
    """Return the part of the report that a finding belongs to."""
    if finding.severity == "blocker":
        return "blockers"
    if finding.settled_by:
        return "repairs"
    if finding.code in UNCHECKED or finding.outcome == "unknown":
        return "unchecked"
    if finding.code in LOSES:
        return "lost"
    return "before" if finding.severity == "warning" else "notes"


def groups(plan: Plan) -> dict[Part, tuple[Group, ...]]:
    """Return the findings of each part, of each code together; what the plan repairs has applied rules besides."""
    parts: dict[Part, dict[str, list[Finding]]] = {part: {} for part in HEADINGS}
    for one in sorted(plan.findings, key=lambda one: one.step == "services"):  # what the boot needs comes first
        parts[part_of(one)].setdefault(one.code, []).append(one)
    made = {part: tuple(_group(code, those) for code, those in found.items()) for part, found in parts.items()}
    told = {one.settled_by for one in plan.findings if one.settled_by}
    rules = [one for one in plan.decisions if one.outcome == "applied" and one.rule not in told]
    made["repairs"] += tuple(Group(one.rule, one.title, (), one.rule) for one in rules)
    steps = [one for one in plan.walk.after.steps if one.outcome == "unknown"]
    known = {one.step for group in made["unchecked"] for one in group.findings}
    made["unchecked"] += tuple(
        Group(f"step {one.id}", f"{one.title}: {one.because}") for one in steps if one.id not in known
    )
    return made


def _group(code: str, found: list[Finding]) -> Group:
    more = f" (and {count(len(found) - 1, 'more', 'more')})" if len(found) > 1 else ""
    return Group(code, f"{found[0].summary}{more}", tuple(found), found[0].settled_by)


def outcome(plan: Plan, *, done: bool = False) -> str:
    """Return in a sentence what the plan does, whether the guest starts with it, and what is left to do."""
    todo = sum(one.left == "warning" for one in plan.findings)
    left = f"{count(len(plan.blockers), 'blocker')}, {todo} for you to do"
    return "; ".join(text for text in (_does(plan, done), _starts(plan.target, plan.walk), left) if text)


def _does(plan: Plan, done: bool) -> str:
    images = sum(_is_initramfs(change) for change in plan.changes)
    kinds = [(len(plan.changes) - images, "file", "files"), (images, "initramfs image", "initramfs images")]
    counted = ", ".join(count(number, one, many) for number, one, many in kinds if number)
    if plan.blockers and not done:
        return f"blocked, would apply: {counted}" if counted else "blocked"
    return f"{'the plan' if done else 'would apply'}: {counted}" if counted else "nothing to apply"


def _is_initramfs(change: Change) -> bool:
    name = change.path.rpartition("/")[2]
    return change.path.startswith("/boot/") and name.startswith(("initr", "initramfs")) and change.kind != "link"


def _starts(target: str, walks: Walks) -> str:
    if not walks.before.steps:
        return ""
    return f"starts on {target}: as it is {_ends(walks.before)}, with this plan {_ends(walks.after)}"


def _ends(walk: Walk) -> str:
    """Return yes, no or ``can't be told``, with where it stops, how long it waits and how much is not known."""
    if walk.stops_at == "access":
        return "yes, out of reach (stops at 9)"
    if walk.stops_at is not None:
        number = next(number for number, one in enumerate(walk.steps, 1) if one.outcome == "stops")
        return f"no (stops at {number})"
    seconds = sum(one.seconds for one in walk.steps)
    waits = f" after waiting {seconds} s" if seconds else ""
    untold = f", {count(len(walk.untold), 'step')} not told" if walk.untold else ""
    return f"yes{waits}{untold}" if walk.outcome == "passes" else "can't be told"


def step_rows(walks: Walks, *, merged: bool = True) -> list[StepRow]:
    """Return the steps of both walks; neighbours that pass in both, and of which nothing is to be told, are merged."""
    rows: list[StepRow] = []
    for number, (before, after) in enumerate(zip(walks.before.steps, walks.after.steps, strict=True), 1):
        last = rows[-1] if rows else None
        if merged and last is not None and _quiet(last.before, last.after) and _quiet(before, after):
            rows[-1] = StepRow(last.first, number, (*last.names, after.id), last.before, last.after)
        else:
            rows.append(StepRow(number, number, (after.id,), before, after))
    return rows


def _quiet(before: Step, after: Step) -> bool:
    return before.outcome == after.outcome == "passes" and not after.rule


def change_rows(plan: Plan) -> list[ChangeRow]:
    """Return each change with its count of lines."""
    return [_change_row(change) for change in plan.changes]


def _change_row(change: Change) -> ChangeRow:
    lines = tuple(line for line in change.diff.split("\n") if line[:1] in ("+", "-") and not is_head(line))
    added = sum(line.startswith("+") for line in lines)
    return ChangeRow(change, added, len(lines) - added, lines or tuple(change.diff.split("\n")[:1]))


def is_head(line: str) -> bool:
    """Tell whether a line of a diff names the file; that of a link is what the link was and becomes."""
    return line.startswith(("--- a/", "+++ b/", "--- /dev/null", "+++ /dev/null"))


def disks(plan: Plan) -> list[DiskRow]:
    """Return the guest's disks, with what is on them and what the target calls them."""
    return disk_rows({fact.name: fact.value for fact in plan.facts})


def known(plan: Plan, name: str) -> str:
    """Return a fact's value as text; empty where it is not known."""
    value = next((fact.value for fact in plan.facts if fact.name == name), None)
    return "" if value is None or isinstance(value, Unknown) else str(value)


def system_of(known: Mapping[str, object]) -> str:
    """Return the system as people call it, with its id, version and architecture."""

    def text(name: str) -> str:
        value = known.get(name)
        return "" if value is None or isinstance(value, Unknown) else str(value)

    identity = " ".join(one for one in (text("os.id"), text("os.version"), text("os.arch")) if one)
    title = text("os.name") or ("" if text("os.id") else "unknown")
    return f"{title} ({identity})" if title and identity else title or identity


def verdict_of(verdict: str, compat: Mapping[str, Any]) -> str:
    """Return what the compatibility table says of the system, with its source."""
    summary, source, date = (compat.get(name) or "" for name in ("summary", "source", "date"))
    origin = f" ({', '.join(text for text in (source, date) if text)})" if source or date else ""
    if compat.get("speaks") is False and verdict != "supported":
        verdict = f"{verdict} on the list of {compat.get('owner')}, a note for this target"
    return f"{verdict}: {summary}{origin}" if summary else verdict


def all_findings(found: Iterable[Group]) -> list[Finding]:
    """Return the findings of some groups, one after the other."""
    return [one for group in found for one in group.findings]
