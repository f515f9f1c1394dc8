"""A report as JUnit XML, which CI shows as tests: a case for each step of the planned boot, and for each finding.

What blocks or stops fails, what can't be told is skipped, what the plan repairs passes.
"""

from __future__ import annotations

from xml.sax.saxutils import escape, quoteattr

from guestfix.base.facts import Finding
from guestfix.base.patterns import regex
from guestfix.base.text import clean, utf8
from guestfix.plan.model import Plan
from guestfix.report import outline
from guestfix.walk.model import Step

TYPE_CHECKING = False
if TYPE_CHECKING:
    from guestfix.verify.model import Starts

_NO_XML = regex(r"[^\t\n\r\x20-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")
"""What XML 1.0 has no way to write (section 2.2)."""


def render_junit(plan: Plan, starts: Starts | None = None) -> str:
    """Return a plan as JUnit XML, with a suite for each start of its guest."""
    boot = [_step(one, plan.target) for one in plan.walk.after.steps]
    found = [_finding(one) for one in plan.findings]
    suites = {f"boot on {plan.target}": boot, "findings": found}
    if starts is None:
        return _document(suites)
    from guestfix.report.verify import misfit

    why = misfit(starts, plan)
    fits = _case("starts", "the starts are of this plan", "failure" if why else "", why, why)
    return _document({**suites, **_started(starts), "starts": [fits]})


def render_starts(starts: Starts) -> str:
    """Return what verify saw as JUnit XML: a suite for each start, a case for each step."""
    return _document(_started(starts))


def _document(suites: dict[str, list[str]]) -> str:
    cases = [one for found in suites.values() for one in found]
    head = f'<testsuites name="guestfix" tests="{len(cases)}" failures="{_failed(cases)}" errors="0">'
    made = [_suite(name, found) for name, found in suites.items()]
    return "\n".join(['<?xml version="1.0" encoding="UTF-8"?>', head, *made, "</testsuites>"]) + "\n"


def _started(starts: Starts) -> dict[str, list[str]]:
    """Return the suite of each start; a guest that was broken by its move is meant not to start before the repair."""
    from guestfix.report import verify

    found = {}
    for number, one in enumerate(starts.starts, 1):
        name = f"start {number}, {one.state}, on {one.seen.hardware.target}"
        ends = "skipped" if one.state == "before" else "failure"
        cases = []
        for step in one.steps:
            said = f"the walk said {step.said}"
            kind = "" if step.reached else "skipped" if step.reached is None else ends
            text = f"{verify.WORDS[step.reached]} {verify.when(step)}\n{said}"
            cases.append(_case(name, step.id, kind, said, text))
        kind = "" if one.seen.ending == "reached" else ends
        told = [*(f"{left}: {right}" for left, right in verify.rows(one)), "", *verify.console(one.seen)]
        cases.append(_case(name, "ending", kind, verify.ending(one.seen), "\n".join(told)))
        found[name] = cases
    return found


def _suite(name: str, cases: list[str]) -> str:
    skipped = sum("<skipped" in one for one in cases)
    counts = f'tests="{len(cases)}" failures="{_failed(cases)}" errors="0" skipped="{skipped}"'
    return "\n".join([f" <testsuite name={_attribute(name)} {counts}>", *cases, " </testsuite>"])


def _failed(cases: list[str]) -> int:
    return sum("<failure" in one for one in cases)


def _step(step: Step, target: str) -> str:
    ends = {"stops": "failure", "unknown": "skipped"}
    places = "\n".join(f"at {item}" for item in step.evidence)
    return _case(f"boot.{target}", step.title, ends.get(step.outcome, ""), step.because, f"{step.because}\n{places}")


def _finding(finding: Finding) -> str:
    part = outline.part_of(finding)
    ends = {"blockers": "failure", "unchecked": "skipped"}
    places = "\n".join(f"at {item}" for item in finding.evidence)
    text = f"{finding.severity}: {finding.summary}\n{places}\nwhat to do: {finding.remedy}"
    return _case(f"findings.{part}", f"{finding.code}: {finding.summary}", ends.get(part, ""), finding.summary, text)


def _case(group: str, name: str, ends: str, message: str, text: str) -> str:
    head = f"  <testcase classname={_attribute(group)} name={_attribute(name)}>"
    if ends:
        kind = ' type="guestfix"' if ends == "failure" else ""
        return f"{head}\n   <{ends} message={_attribute(message)}{kind}>{_content(text)}</{ends}>\n  </testcase>"
    return f"{head}\n   <system-out>{_content(text)}</system-out>\n  </testcase>"


def _visible(text: str) -> str:
    return _NO_XML.sub("?", clean(utf8(text)))


def _attribute(text: str) -> str:
    return quoteattr(_visible(text), {"\n": "&#10;"})


def _content(text: str) -> str:
    return escape(_visible(text))
