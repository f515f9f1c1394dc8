"""Guests of the Red Hat and the SUSE family's layout: not before, after the repair, and the old way after revert.

Results are kept, so that an interrupted run is gone on with. docs/verify.md says what they show.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from guestfix.backends.status import usable
from tests.build import debian
from tests.e2e import calibration, matrix_guests, matrix_results, vm
from tests.e2e.family_guests import BUILD, FAMILIES, make

pytestmark = pytest.mark.e2e

NO_INITRAMFS = "VFS: Unable to mount root fs"
"""What a kernel says that was given none (init/do_mounts.c)."""


def result(name: str, folder: Path) -> dict[str, Any]:
    """Return what was kept of a family's guest, or make it, report on it and start it three times."""
    kept = debian.cache_folder() / "families" / f"{name}.{BUILD}.json"
    if not kept.exists():
        family = FAMILIES[name]
        guest = make(family, folder)
        target = ("--target", matrix_guests.TARGETS[family.cell.disk])
        report = calibration.guestfix("report", *guest.disks, *target, "--format", "json")
        words = (*target, "--from", matrix_guests.old_of(family.cell), "--before-and-after", "--format", "json")
        with vm.alone():
            starts = calibration.guestfix("verify", *guest.disks, *words, "--memory", "640")["starts"]
        document = {"kernel": guest.release, "versions": guest.versions, "report": report, "starts": starts}
        kept.parent.mkdir(exist_ok=True)
        kept.with_suffix(".new").write_text(json.dumps(document, indent=1))
        kept.with_suffix(".new").replace(kept)
    found: dict[str, Any] = json.loads(kept.read_text())
    return found


@pytest.mark.parametrize("name", FAMILIES)
def test_starts_after_the_repair_and_the_old_way_after_revert(name: str, tmp_path: Path) -> None:
    vm.need("qemu-system-x86_64", "mke2fs", "sfdisk", "mcopy")
    if not usable("uml"):
        pytest.skip("User-mode Linux is not installed")
    found = result(name, tmp_path)
    vm.tell(name, found["kernel"], *(f"{matrix_results.ends(one)}, {one['seconds']:.0f} s" for one in found["starts"]))
    if FAMILIES[name].fault and NO_INITRAMFS in found["starts"][1]["console"]["text"]:
        pytest.xfail(FAMILIES[name].fault)
    assert matrix_results.faults(found) == []
