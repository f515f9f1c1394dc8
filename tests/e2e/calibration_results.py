"""Results of the starts of tests/e2e/calibration.py beside what the walk says, and docs/calibration.md made of them.

A result is kept beside the other things that tests build, by the digest of what the guest is made of. What the walk
says is asked anew each time. ``python -m tests.e2e.calibration_results`` writes the page, and starts nothing.
"""

from __future__ import annotations

import json
import os
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

from tests.build import debian
from tests.e2e import calibration as states

PAGE = Path(__file__).resolve().parents[2] / "docs/calibration.md"


def walked(disk: Path, target: str) -> dict[str, Any]:
    """Return what the walk says of the guest as it is."""
    report = states.guestfix("report", disk, "--target", target, "--format", "json", status=(0, 1, 2))
    found: dict[str, Any] = report["walk"]["before"]
    return found


def place(state: states.State, work: Path) -> Path:
    """Return the file that a start's result is kept in."""
    folder = debian.cache_folder() / "calibration"
    folder.mkdir(exist_ok=True)
    return folder / f"{states.digest_of(state, work)}.json"


def started(state: states.State, disk: Path) -> dict[str, Any]:
    """Return what a start showed: as it was kept, where a guest in this very state was started before."""
    kept = place(state, disk.parent)
    if not kept.exists() or os.environ.get("GUESTFIX_AGAIN"):
        words = ("verify", disk, "--target", state.target, "--format", "json", "--memory", "512")
        document = states.guestfix(*words)["starts"][0]
        document["date"] = time.strftime("%Y-%m-%d")
        kept.write_text(json.dumps(document, indent=1))
    found: dict[str, Any] = json.loads(kept.read_text())
    return found


def where(seen: dict[str, Any]) -> str:
    """Return the step at which a start ended, empty where it was reached."""
    if seen["ending"] == "reached":
        return ""
    if seen["stop"]:
        return str(seen["stop"]["step"])
    return next((one["id"] for one in seen["steps"] if one["reached"] is False), "unproven")


def differences(said: dict[str, Any], seen: dict[str, Any]) -> list[str]:
    """Return where the walk said something else than a start showed: a step that stopped, or that was reached.

    A step that it can't tell says nothing, and of steps after a stop nothing is seen.
    """
    end = where(seen)
    ends = [end, *(seen["stop"]["also"] if seen["stop"] else ())]
    found = []
    for one in said["steps"]:
        if one["id"] in ends:
            also = [other["outcome"] for other in said["steps"] if other["id"] in ends]
            if not {"stops", "unknown"} & set(also):
                found.append(f"{end}: the walk says {one['outcome']} ({one['because']}), and the start ended there")
            break
        if one["outcome"] == "stops":
            found.append(f"{one['id']}: the walk says stops ({one['because']}), and it was reached")
    return found


# the page


HEAD = """# What the walk says, and what a start shows

A Debian 12 (kernel 6.1, GRUB 2, initramfs-tools, systemd, networkd, OpenSSH) is broken in one place at a time. The
[walk](walk.md) is asked before; then [`guestfix verify`](verify.md) starts the guest as it is. `make e2e` makes this
page (tests/e2e/test_calibration.py), and `make check` starts five of these guests. The result of a start is kept for
the state it is of: where a later walk says more, it is asked anew of the same guest, and compared with that start.

*Agrees*: the walk says that every step passes (or waits) that was reached, and that the step stops at which the start
ended. *Not told*: the walk says of the step at which it ended that it can't tell. *Differs*: it said something else.
Seconds are of an emulated machine beside other work; a guest that waits for a device does so by its own clock.

"""
COLUMNS = ("step", "state", "target", "the walk says", "the start", "seconds", "")


def main() -> None:
    rows, left, dates, by = [], [], set(), set()
    for state in states.STATES:
        with tempfile.TemporaryDirectory() as folder:
            if not place(state, Path(folder)).exists():
                left.append(state.name)
                continue
            disk = states.disk_of(state, Path(folder))
            said, seen = walked(disk, state.target), started(state, disk)
        rows.append(row(state, said, seen))
        dates.add(seen["date"])
        by.add(seen["hardware"]["accelerator"])
        sys.stderr.write(f"{rows[-1]}\n")
    verdicts = [one.rpartition("| ")[2].strip(" |") for one in rows]
    counts = ", ".join(f"{verdicts.count(one)} {one}" for one in ("agrees", "not told", "differs"))
    table = [f"| {' | '.join(COLUMNS)} |", "|" + "---|" * len(COLUMNS), *rows]
    when = " to ".join(sorted({min(dates), max(dates)}))
    text = f"{HEAD}{len(rows)} starts, {when}, by {', '.join(sorted(by))}: {counts}.\n\n"
    text += "\n".join(table) + "\n"
    if left:
        text += f"\nNot started: {'; '.join(left)}.\n"
    PAGE.write_text(text + NOTES)


NOTES = """
Not told, and why: a static address is right on some networks and wrong on others, and no file of the guest tells which
one the target has. The plan makes it DHCP, unless `--policy network=preserve` keeps it.
"""


def row(state: states.State, said: dict[str, Any], seen: dict[str, Any]) -> str:
    """Return the row of a state."""
    end = where(seen)
    outcomes = {one["id"]: one["outcome"] for one in said["steps"]}
    ends = [end, *(seen["stop"]["also"] if seen["stop"] else ())]
    if said["stops_at"]:
        walk = f"stops at {said['stops_at']}"
    elif end and (untold := [one for one in ends if outcomes.get(one) == "unknown"]):
        walk = f"{untold[0]} can't be told"
    else:
        waits = sum(one["seconds"] for one in said["steps"] if one["outcome"] == "waits")
        walk = f"passes, waits {waits} s" if waits else "passes"
    real = "reached" if not end else f"no {end}" if not seen["stop"] else f"stops at {end}: {seen['stop']['why']}"
    waited = f", waited for {', '.join(seen['waited_for'])}" if seen["waited_for"] and not end else ""
    verdict = "differs" if differences(said, seen) else "not told" if walk.endswith("be told") else "agrees"
    where_on = f"{state.target}, {'UEFI' if state.firmware == 'uefi' else 'BIOS'}"
    cells = (state.step, state.name, where_on, walk, real + waited, f"{seen['seconds']:.0f}", verdict)
    return f"| {' | '.join(cells)} |"


if __name__ == "__main__":
    main()
