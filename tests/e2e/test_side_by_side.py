"""docs/side-by-side.md is of the results that are kept, and a guest is compared from making it to its start."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from guestfix.backends.status import usable
from tests.e2e import side_by_side, vm
from tests.e2e.matrix import Cell, possible

NAME = side_by_side.GUESTS[0]


def test_the_page_is_of_the_results() -> None:
    assert side_by_side.page() == side_by_side.PAGE.read_text()


def test_each_result_shows_guestfix_and_names_what_it_was_made_with() -> None:
    for name, one in side_by_side.results().items():
        assert not side_by_side.empty(one), name
        assert {"virt-v2v", "libguestfs", "QEMU", "guestfix"} == set(one["versions"]), name
        assert one["machine"]["cores"] and one["date"], name


def test_guests_can_be_and_are_mounted_with_all_their_volumes() -> None:
    for cell in (Cell(*name.split("-")) for name in side_by_side.GUESTS):
        assert possible(cell) and cell.disk == "virtio"
        before, after = side_by_side.opened(cell)
        assert sum("mount " in one and "umount" not in one for one in before) == sum("umount" in one for one in after)
    before, _ = side_by_side.opened(Cell("bookworm", "uefi", "grub", "lvm", "tools", "ifupdown", "systemd", "virtio"))
    assert [words.split()[-2:] for words in before[1:]] == [
        ["/dev/mapper/vg0-root", "/run/mnt"],
        ["/dev/ubda2", "/run/mnt/boot"],
        ["/dev/ubda1", "/run/mnt/boot/efi"],
    ]


def test_differences_are_told_apart() -> None:
    before = {"./a": "f644 1", "./b": "f644 2", "./c": "l /x"}
    after = {"./a": "f600 1", "./c": "l /x", "./d": "d755"}
    told = {"changed": ["/a"], "added": ["/d"], "removed": ["/b"]}
    assert side_by_side.differences(before, after) == told


def test_what_a_tool_took_is_measured(tmp_path: Path) -> None:
    took = side_by_side.measured(["sh", "-c", "i=0; while [ $i -lt 300000 ]; do i=$((i+1)); done; echo bad; exit 3"],
                                 tmp_path / "said")  # fmt: skip
    assert (took.status, took.said) == (3, "bad\n")
    assert 0 < took.cpu <= took.wall + 0.2 and took.memory >= 1
    found = {**vars(took), "start": None}
    assert side_by_side.outcome(found) == "the tool ended with status 3"
    assert side_by_side.empty({"guestfix": found})
    assert side_by_side.outcome({**found, "status": 0}) == "nothing was changed"


@pytest.mark.e2e
def test_a_guest_is_converted_by_both_and_started(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    vm.need("virt-v2v", "nbdcopy", "guestfish", "qemu-system-x86_64", "sfdisk")
    if not usable("uml"):
        pytest.skip("User-mode Linux is not installed")
    monkeypatch.setattr(side_by_side, "RESULTS", tmp_path / "results.json")
    assert side_by_side.run_all([NAME]) == 0
    found: dict[str, Any] = json.loads((tmp_path / "results.json").read_text())[NAME]
    assert side_by_side.outcome(found["guestfix"]) == "login, lease", found["guestfix"]
    assert "/etc/network/interfaces" in found["guestfix"]["changed"]
    assert found["virt-v2v"]["status"] == 0, found["virt-v2v"]["said"]
