"""What the walk says of guests that are broken in one place each, against a start of each: docs/calibration.md.

A result is kept beside the other things that tests build, by the digest of what the guest is made of; so that an
interrupted run is gone on with. What the walk says is asked anew each time.
"""

from __future__ import annotations

import json
import os
import time
from pathlib import Path
from typing import Any

import pytest

from tests.build import debian
from tests.e2e import calibration as states
from tests.e2e import vm

pytestmark = pytest.mark.e2e

IN_CHECK = ("no grub.cfg", "no kernel file", "an initramfs without virtio_blk", "root=/dev/sda2 on virtio-blk")
"""Started by `make check` too, besides the healthy one: each ends before a login, so that they are quick."""


def cases() -> list[Any]:
    quick = ("healthy", *IN_CHECK)
    return [
        pytest.param(one, id=one.name.replace(" ", "-"), marks=[pytest.mark.boot] if one.name in quick else [])
        for one in states.STATES
    ]


def walked(disk: Path, target: str) -> dict[str, Any]:
    """Return what the walk says of the guest as it is."""
    report = states.guestfix("report", disk, "--target", target, "--format", "json", status=(0, 1, 2))
    found: dict[str, Any] = report["walk"]["before"]
    return found


def started(state: states.State, disk: Path) -> dict[str, Any]:
    """Return what a start showed: as it was kept, where a guest in this very state was started before."""
    folder = debian.cache_folder() / "calibration"
    folder.mkdir(exist_ok=True)
    kept = folder / f"{states.digest_of(state, disk.parent)}.json"
    if not kept.exists() or os.environ.get("GUESTFIX_AGAIN"):
        words = ("verify", disk, "--target", state.target, "--format", "json", "--memory", "512")
        document = states.guestfix(*words)["starts"][0]
        document["date"] = time.strftime("%Y-%m-%d")
        kept.write_text(json.dumps(document, indent=1))
    found: dict[str, Any] = json.loads(kept.read_text())
    return found


@pytest.mark.parametrize("state", cases())
def test_a_start_ends_where_the_walk_says(state: states.State, tmp_path: Path) -> None:
    vm.need("qemu-system-x86_64", "mke2fs", "sfdisk")
    disk = states.disk_of(state, tmp_path)
    said = walked(disk, state.target)
    seen = started(state, disk)
    disk.unlink()
    row(state, said, seen)
    assert where(seen) == state.expected, seen["console"]["text"][-3000:]
    assert differences(said, seen) == []


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


def row(state: states.State, said: dict[str, Any], seen: dict[str, Any]) -> None:
    """Append the row of docs/calibration.md, where a file for it is named."""
    table = os.environ.get("GUESTFIX_CALIBRATION_TABLE")
    if not table:
        return
    end = where(seen)
    at = next((one for one in said["steps"] if one["id"] == end), None)
    walk = f"stops at {said['stops_at']}" if said["outcome"] == "stops" else said["outcome"]
    waits = sum(one["seconds"] for one in said["steps"])
    walk += f", waits {waits} s" if waits else ""
    if at and at["outcome"] == "unknown":
        walk += f"; {end} can't be told"
    real = f"stops at {end}: {seen['stop']['why']}" if seen["stop"] else "reached" if not end else f"no {end}"
    verdict = "differs" if differences(said, seen) else "agrees" if not at or at["outcome"] != "unknown" else "not told"
    cells = (state.step, state.name, state.target, state.firmware, walk, real, f"{seen['seconds']:.0f} s", verdict)
    with open(table, "a", encoding="utf-8") as stream:
        stream.write(f"| {' | '.join(cells)} |\n")
