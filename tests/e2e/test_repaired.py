"""Guests that did not start on the target: not before, after the repair, and the old way after revert."""

from __future__ import annotations

import json
import os
from pathlib import Path

import pytest

from guestfix.backends.status import usable
from tests.e2e import vm
from tests.e2e.calibration import guestfix
from tests.e2e.repaired_guests import GUESTS, Guest, make

pytestmark = pytest.mark.e2e


@pytest.mark.parametrize("guest", GUESTS, ids=lambda one: one.name.replace(" ", "-").replace("/", "_"))
def test_starts_after_the_repair_and_the_old_way_after_revert(guest: Guest, tmp_path: Path) -> None:
    vm.need("qemu-system-x86_64", "mke2fs", "sfdisk")
    if not usable("uml"):
        pytest.skip("User-mode Linux is not installed")
    disks = make(guest, tmp_path)
    words = ("--target", "kvm-virtio", "--from", "vmware", "--before-and-after", "--format", "json", "--memory", "512")
    starts = guestfix("verify", *disks, *words)["starts"]
    kept = os.environ.get("GUESTFIX_KEEP")
    if kept:
        (Path(kept) / f"{guest.name.replace('/', '_')}.json").write_text(json.dumps(starts, indent=1))
    before, after, reverted = starts
    ends = [one["stop"]["step"] if one["stop"] else one["ending"] for one in starts]
    vm.tell(guest.name, *(f"{end}, {one['seconds']:.0f} s" for end, one in zip(ends, starts, strict=True)))
    assert before["ending"] == "stopped", before["console"]["text"][-3000:]
    assert after["ending"] == "reached", after["console"]["text"][-3000:]
    if not guest.returns:
        return
    # its static address is of a network that is not here: that somebody can log in is all there is to be seen
    assert "login" in [one["name"] for one in reverted["marks"]], reverted["console"]["text"][-3000:]
