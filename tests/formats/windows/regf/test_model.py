"""Random edits against a dictionary: hivex, our reader and a separate structure check must agree after each."""

from __future__ import annotations

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from guestfix.formats.windows.regf import Hive, empty_hive
from tests.build.hive_model import Node, act, steps
from tests.build.hive_oracles import hivex, listing
from tests.build.hive_soundness import check


@settings(max_examples=60, deadline=None, suppress_health_check=list(HealthCheck))
@given(minor=st.sampled_from((3, 4, 5, 6)), todo=st.lists(steps, min_size=1, max_size=8))
def test_random_edits(minor: int, todo: list[tuple]) -> None:
    data = empty_hive("TEST", minor=minor)
    model = Node("")
    for step in todo:
        hive = Hive.open(data)
        act(hive, model, step)
        data = hive.to_bytes()
        found = check(data)
        assert found.problems == [] and found.leaked == 0 and found.split_free == 0
        expected = model.listing()
        assert listing(Hive.open(data)) == expected
        if minor > 3 or all(len(value[2]) < 2 * 1_000_000 for _, values in expected for value in values):
            assert hivex().read(data) == expected


@settings(max_examples=40, deadline=None, suppress_health_check=list(HealthCheck))
@given(todo=st.lists(steps, min_size=1, max_size=6))
def test_space_is_used_again(todo: list[tuple]) -> None:
    """Doing things and undoing them leaves nothing behind, and doing them again takes no more space."""
    hive, model = Hive.open(empty_hive("TEST")), Node("")
    for step in todo:
        act(hive, model, step)
    full = len(hive.to_bytes())
    for child in list(model.subkeys.values()):
        hive.delete_key(child.name, recursive=True)
    found = check(hive.to_bytes())
    assert found.problems == [] and len(found.used) == 2  # the root and its security cell
    for step in todo:
        if step[0] == "set":
            hive.set_value("\\".join(step[1]), *step[2:])
    assert len(hive.to_bytes()) <= full + 4096 * sum(step[0] == "set" for step in todo)
