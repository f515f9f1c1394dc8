"""Guests of every kind: no start or no network as they are, login and lease once repaired, a login after revert.

Results are kept (tests/e2e/matrix_results.py), so that an interrupted run is gone on with.
"""

from __future__ import annotations

import pytest

from guestfix.backends.status import usable
from tests.e2e import matrix_results, vm
from tests.e2e.matrix import CELLS, Cell, left_out

pytestmark = pytest.mark.e2e


@pytest.mark.parametrize("cell", [one for one in CELLS if not left_out(one)], ids=str)
def test_starts_after_the_repair_and_the_old_way_after_revert(cell: Cell) -> None:
    vm.need("qemu-system-x86_64", "mke2fs", "sfdisk", "mcopy")
    if not usable("uml"):
        pytest.skip("User-mode Linux is not installed")
    assert matrix_results.faults(matrix_results.result(cell)) == []
