"""What a plan settles is told as repaired in every form, never as left to do; no remedy is a choice that was made."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from guestfix.base.events import Events
from guestfix.cases.runner import plan_case, read_case
from guestfix.fleet.job import Guest, Job, of_plan
from guestfix.pack.cache import load_pack
from guestfix.report import outline
from guestfix.report.events import tell_plan
from guestfix.report.importers import Seen, concerns, leapp

ROOT = Path(__file__).resolve().parents[2]
PACK = load_pack()
CODE = "GF-WINDOWS-RDP"


@pytest.fixture(scope="module")
def plan():
    found = plan_case(read_case(ROOT / "rules/fix/windows/remote-desktop/cases/windows-2019"), PACK)
    (one,) = [one for one in found.findings if one.code == CODE]
    assert (one.severity, one.settled_by, one.left) == ("warning", "windows/remote-desktop", "info")
    return found


def test_the_outline(plan):
    parts = outline.groups(plan)
    assert CODE in [one.name for one in parts["repairs"]] and CODE not in [one.name for one in parts["before"]]
    left = [one for one in plan.findings if one.severity == "warning" and not one.settled_by]
    assert f"{len(left)} for you to do" in outline.outcome(plan)


def test_events(plan):
    told = []
    tell_plan(Events(sinks=[told.append]), plan)
    (one,) = [event for event in told if event.code == CODE]
    assert one.type == "info"


def test_what_importers_read(plan):
    seen = Seen(plan.facts, plan.findings, None, {})
    (one,) = [one for one in concerns(plan.findings) if one["id"] == "guestfix.windows.rdp"]
    assert one["category"] == "Information"
    (one,) = [one for one in leapp(seen, "x", "host")["entries"] if one["summary"].startswith("Remote Desktop is off")]
    assert one["severity"] == "info" and "inhibitor" not in one["groups"]


def test_a_fleet(plan):
    result = of_plan(Job(Guest("guest", ()), "report", (), "", 60), "", plan)
    assert (CODE, "info") in [(code, severity) for code, severity, _, _ in result.findings]


@pytest.mark.parametrize(
    "folder",
    ["windows/remote-desktop", "windows/boot-settings", "windows/automatic-logon", "network/interfaces"],
    ids=str,
)
def test_no_remedy_is_a_choice_that_was_made(folder):
    for case in sorted((ROOT / "rules/fix" / folder / "cases").glob("*")):
        plan = plan_case(read_case(case), PACK)
        for one in plan.findings:
            named = [] if one.settled_by else re.findall(r"\b([a-z_]+)=([a-z-]+)", one.remedy)
            assert [name for name, value in named if plan.policies.get(name) == value] == [], (case.name, one)
