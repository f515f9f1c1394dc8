"""Hives made for a test, and what every hive that was written must be."""

from __future__ import annotations

from guestfix.formats.windows.regf import Hive, empty_hive
from tests.build.hive_oracles import hivex, listing
from tests.build.hive_soundness import check


def fresh(minor: int = 5, **more: int) -> Hive:
    return Hive.open(empty_hive("TEST", minor=minor), **more)


def sound(hive: Hive) -> bytes:
    data = hive.to_bytes()
    found = check(data)
    assert found.problems == [] and found.leaked == 0 and found.split_free == 0
    assert hivex().read(data) == listing(hive)
    return data
