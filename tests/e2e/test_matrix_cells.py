"""The cells of the matrix: every two values that can be in one guest meet in a cell, and forty are to be started."""

from __future__ import annotations

from dataclasses import astuple

from tests.e2e import matrix_results
from tests.e2e.matrix import AT_LEAST, AXES, CELLS, Cell, every, groups, left_out, possible


def test_every_two_values_meet_that_can() -> None:
    met = {pair for cell in CELLS for pair in groups(cell, 2)}
    assert {pair for cell in every() for pair in groups(cell, 2)} == met


def test_every_two_values_that_are_started_meet_in_a_started_cell() -> None:
    here = [cell for cell in CELLS if not left_out(cell)]
    met = {pair for cell in here for pair in groups(cell, 2)}
    assert {pair for cell in every() if not left_out(cell) for pair in groups(cell, 2)} == met
    assert len(here) >= AT_LEAST


def test_cells_are_named_once_and_can_be() -> None:
    assert len({str(cell) for cell in CELLS}) == len(CELLS)
    assert all(possible(cell) for cell in CELLS)
    for number, values in enumerate(AXES.values()):
        assert {astuple(cell)[number] for cell in CELLS} == set(values)


def test_a_combination_that_debian_has_not_can_not_be() -> None:
    bios = Cell("bookworm", "bios", "grub", "ext4", "tools", "ifupdown", "systemd", "nvme")
    assert possible(bios)
    for name, value in (("loader", "sdboot"), ("disk", "arm64")):
        assert not possible(Cell(**{**vars(bios), name: value}))
    assert not possible(Cell(**{**vars(bios), "init": "sysvinit", "network": "networkd"}))


def test_the_page_is_made_of_the_published_results() -> None:
    assert matrix_results.PAGE.read_text() == matrix_results.page(matrix_results.published())


def test_a_start_that_is_not_as_it_must_be_is_told() -> None:
    def start(ending: str, *marks: str, agrees: bool = True) -> dict[str, object]:
        stop = {"step": "initramfs", "why": "no root is found"} if ending == "stopped" else None
        steps = [{"id": "root", "said": "passes", "agrees": agrees}]
        return {"ending": ending, "stop": stop, "marks": [{"name": one} for one in marks], "steps": steps}

    stopped, reached, back = start("stopped"), start("reached", "login"), start("unreachable", "login")
    assert matrix_results.faults({"starts": [stopped, reached, back]}) == []
    assert matrix_results.faults({"starts": [reached, reached, back]}) == ["before: login, lease"]
    assert matrix_results.faults({"starts": [stopped, back, back]}) == ["after: login, no lease"]
    assert matrix_results.faults({"starts": [stopped, reached, stopped]}) == ["reverted: initramfs: no root is found"]
    other = start("reached", "login", agrees=False)
    assert matrix_results.faults({"starts": [stopped, other, back]}) == [
        "after: the walk says otherwise of root (passes)"
    ]
