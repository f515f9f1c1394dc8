"""The golden text reports of the bundled guests, and README's picture of one: ``python -m tests.build.reports`` writes
them again.
"""

from __future__ import annotations

from html import escape
from pathlib import Path

from guestfix.backends import open_guest
from guestfix.base.record import replace
from guestfix.pack.cache import load_pack
from guestfix.plan.model import Plan
from guestfix.plan.planner import make_plan
from guestfix.report.layout import Style, View
from guestfix.report.screen import first_screen
from guestfix.report.text import render_plan

ROOT = Path(__file__).resolve().parents[2]
GUESTS = sorted(path.name for path in (ROOT / "testdata/guests").iterdir() if path.is_dir())
WIDTHS = (60, 80, 200)
GOLDEN = ROOT / "tests/report/golden"
PICTURE = ROOT / "docs/report.svg"
SHOWN = "rhel7-vmware"
COLORS: dict[Style, str] = {"title": "#fff", "head": "#fff", "good": "#7ec699", "bad": "#f08080", "warn": "#e6c07b"}


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


def picture(plan: Plan) -> str:
    """Return a report's first screen as an SVG, as a dark terminal shows it; no font is fetched."""
    command = f"$ guestfix report {SHOWN} --target {plan.target}"
    lines: list[tuple[str, Style]] = [(command, "title"), ("", ""), *first_screen(plan, View(80))]
    rows = [
        f'<text x="16" y="{30 + 18 * at}" fill="{COLORS.get(style, "#c8ccd4")}">{escape(text)}</text>'
        for at, (text, style) in enumerate(lines)
        if text
    ]
    height = 30 + 18 * len(lines)
    head = f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 708 {height}" role="img" font-size="14"'
    style = "text{font-family:ui-monospace,'DejaVu Sans Mono',Menlo,Consolas,monospace;white-space:pre}"
    title = f"<title>{escape(command[2:])}: its first screen</title><style>{style}</style>"
    body = "\n".join([f"{head}>{title}", f'<rect width="708" height="{height}" rx="8" fill="#1e222a"/>', *rows])
    return f"{body}\n</svg>\n"


if __name__ == "__main__":
    GOLDEN.mkdir(exist_ok=True)
    for name in GUESTS:
        plan = plan_of(name)
        for width in WIDTHS:
            golden(name, width).write_text(text_of(plan, width))
        if name == SHOWN:
            PICTURE.write_text(picture(plan))
