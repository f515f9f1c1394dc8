"""The order of systemd-boot's menu: its first entry boots where loader.conf names none."""

from __future__ import annotations

import pytest

from guestfix.formats.boot.bls import identity, parse, systemd_order

ORDERS = [
    ({"a-6.1.conf": "", "a-6.10.conf": "", "a-6.9.conf": ""}, ["a-6.10.conf", "a-6.9.conf", "a-6.1.conf"]),
    ({"new+0-3.conf": "", "old+2-1.conf": ""}, ["old+2-1.conf", "new+0-3.conf"]),
    ({"z.conf": "", "b.conf": "sort-key debian"}, ["b.conf", "z.conf"]),
    (
        {"1.conf": "sort-key x\nversion 6.1", "2.conf": "sort-key x\nversion 6.10", "3.conf": "sort-key a\nversion 5"},
        ["3.conf", "2.conf", "1.conf"],
    ),
    ({"1.conf": "sort-key x\nmachine-id bb", "2.conf": "sort-key x\nmachine-id aa"}, ["2.conf", "1.conf"]),
    ({}, []),
]


@pytest.mark.parametrize(("files", "order"), ORDERS)
def test_the_order_of_the_menu(files: dict[str, str], order: list[str]) -> None:
    assert systemd_order({name: parse(f"linux /k\n{text}\n".encode()) for name, text in files.items()}) == order


@pytest.mark.parametrize(
    ("name", "own"), [("a+3.conf", "a"), ("a+3-1.conf", "a"), ("a+b.conf", "a+b"), ("a.conf", "a")]
)
def test_boot_counters_are_no_part_of_an_id(name: str, own: str) -> None:
    assert identity(name) == own
