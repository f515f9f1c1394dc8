"""What the walk says of guests that are broken in one place each, against a start of each: docs/calibration.md.

Results are kept (tests/e2e/calibration_results.py), so that an interrupted run is gone on with.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from tests.e2e import calibration as states
from tests.e2e import calibration_results as results
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


@pytest.mark.parametrize("state", cases())
def test_a_start_ends_where_the_walk_says(state: states.State, tmp_path: Path) -> None:
    vm.need("qemu-system-x86_64", "mke2fs", "sfdisk")
    disk = states.disk_of(state, tmp_path)
    said = results.walked(disk, state.target)
    seen = results.started(state, disk)
    disk.unlink()
    assert results.where(seen) == state.expected, seen["console"]["text"][-3000:]
    assert results.differences(said, seen) == []
