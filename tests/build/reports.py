"""The golden text reports of the bundled guests: ``python -m tests.build.reports`` writes them again."""

from __future__ import annotations

from pathlib import Path

from guestfix.backends import open_guest
from guestfix.base.record import replace
from guestfix.pack.cache import load_pack
from guestfix.plan.model import Plan
from guestfix.plan.planner import make_plan
from guestfix.report.layout import View
from guestfix.report.text import render_plan

ROOT = Path(__file__).resolve().parents[2]
GUESTS = sorted(path.name for path in (ROOT / "testdata/guests").iterdir() if path.is_dir())
WIDTHS = (60, 80, 200)
GOLDEN = ROOT / "tests/report/golden"


def plan_of(guest: str) -> Plan:
    """Return the plan of a bundled guest, without what differs from place to place and release to release."""
    plan = make_plan(open_guest([str(ROOT / "testdata/guests" / guest)]), load_pack(), "aws-nitro")
    versions = {**plan.versions, "pack": "PACK", "guestfix": "VERSION"}
    return replace(plan, guest={**plan.guest, "uri": f"dir:{guest}"}, versions=versions)


def text_of(plan: Plan, width: int) -> str:
    """Return a report without the plan's digest, in which every fact counts."""
    return render_plan(plan, View(width)).replace(plan.digest, "DIGEST")


def golden(guest: str, width: int) -> Path:
    """Return the file that holds a report."""
    return GOLDEN / f"{guest}-{width}.txt"


if __name__ == "__main__":
    GOLDEN.mkdir(exist_ok=True)
    for name in GUESTS:
        plan = plan_of(name)
        for width in WIDTHS:
            golden(name, width).write_text(text_of(plan, width))
