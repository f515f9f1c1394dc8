"""A few inputs of each target of `make fuzz`, always the same ones; the long run is `make fuzz`."""

from __future__ import annotations

import pytest
from hypothesis import HealthCheck, given, settings

from guestfix.editors import OPS
from tests.fuzz.run import fuzz
from tests.fuzz.targets import Target, inputs, targets

ALL = targets()


@pytest.mark.parametrize("target", ALL, ids=lambda one: one.name)
def test_the_laws_hold(target: Target) -> None:
    @settings(max_examples=12, deadline=None, derandomize=True, database=None, suppress_health_check=list(HealthCheck))
    @given(inputs(target.samples))
    def holds(src: bytes) -> None:
        target.check(src)

    holds()


def test_everything_is_a_target() -> None:
    names = {one.name for one in ALL}
    assert {name for name in OPS if not any(one.startswith(f"editor {name}") for one in names)} == set()
    assert len([name for name in names if name.startswith("parser ")]) > 60


def test_what_breaks_a_law_is_found_and_made_small() -> None:
    def check(src: bytes) -> None:
        if b"lo" in src:
            raise ValueError("not one of ours")

    tried, said = fuzz(Target("x", check, (b"auto lo\n",)), 5, 1)
    assert tried >= 1 and "ValueError: not one of ours" in said and "src=b'lo'" in said.replace('"', "'")
