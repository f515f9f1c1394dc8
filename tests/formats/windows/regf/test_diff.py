"""Differences of hives, as the report shows them."""

from __future__ import annotations

from hypothesis import given, settings
from hypothesis import strategies as st

from guestfix.formats.windows.regf import (
    REG_BINARY,
    REG_DWORD,
    REG_EXPAND_SZ,
    REG_MULTI_SZ,
    REG_SZ,
    Hive,
    empty_hive,
    regtext,
)
from guestfix.formats.windows.regf.diff import MAX_LINES, diff, show
from tests.build.hive_model import Node, act, steps
from tests.build.hive_oracles import Listing, corpus_hive, listing

BEFORE = r"""
[ControlSet001\Services\old]
"Start"=dword:00000003
[ControlSet001\Services\old\Parameters]
"Long"=hex:00
[ControlSet001\Services\viostor]
"Start"=dword:00000003
"Gone"="x"
"Same"="y"
[Other]
@="z"
"""
CHANGE = r"""
[-ControlSet001\Services\old]
[ControlSet001\Services\viostor]
"start"=dword:00000000
"Gone"=-
"Image"=str(2):"%SystemRoot%\\a.sys"
[ControlSet001\Services\new]
[ControlSet001\Services\new\Sub]
"List"=str(7):"a\0b"
"""
LINES = r""" [ControlSet001\Services\viostor]
-"Start"=dword:00000003
+"Start"=dword:00000000
-"Gone"="x"
+"Image"=str(2):"%SystemRoot%\\a.sys"
+[ControlSet001\Services\new]
+[ControlSet001\Services\new\Sub]
+"List"=str(7):"a\0b"
-[ControlSet001\Services\old]
-"Start"=dword:00000003
-[ControlSet001\Services\old\Parameters]
-"Long"=hex:00"""


def two() -> tuple[bytes, Hive]:
    hive = Hive.open(empty_hive("SYSTEM"))
    regtext.apply(hive, BEFORE)
    before = hive.to_bytes()
    hive = Hive.open(before)
    regtext.apply(hive, CHANGE)
    return before, hive


def test_what_a_hive_tells_of_its_own_changes() -> None:
    _, hive = two()
    assert sorted(hive.diff()) == sorted(LINES.split("\n"))
    assert hive.diff()[:3] == [
        r"+[ControlSet001\Services\new]",
        r"+[ControlSet001\Services\new\Sub]",
        r'+"List"=str(7):"a\0b"',
    ]


def test_difference_of_two_hives() -> None:
    before, hive = two()
    assert sorted(diff(Hive.open(before), Hive.open(hive.to_bytes()))) == sorted(LINES.split("\n"))
    assert diff(Hive.open(before), Hive.open(before)) == []


def test_classes_and_descriptors() -> None:
    before, _ = two()
    hive = Hive.open(before)
    hive.create_key("Other", class_name="klass", security=hive.root.security + b"\0\0\0\0")
    assert hive.diff() == [" [Other]", '-class ""', '+class "klass"', " security descriptor changed"]


def test_changes_that_were_undone_are_no_changes() -> None:
    before, _ = two()
    hive = Hive.open(before)
    hive.set_value("Other", "", REG_SZ, "else")
    hive.set_value("Other", "", REG_SZ, "z")
    hive.create_key("Brief")
    hive.delete_key("Brief")
    assert hive.diff() == []


def test_long_data_is_cut() -> None:
    assert show("a", REG_BINARY, bytes(65)) == '"a"=hex:' + ",".join(["00"] * 64) + ",... (65 bytes)"
    assert show("", REG_DWORD, b"\1\0\0\0") == "@=dword:00000001"
    assert show("a", REG_EXPAND_SZ, "x\0".encode("utf-16-le")) == '"a"=str(2):"x"'
    assert show("a", REG_MULTI_SZ, b"\0\0") == '"a"=str(7):""'
    assert show("a", REG_MULTI_SZ, b"x") == '"a"=hex(7):78'
    for kind, form in ((REG_SZ, ""), (REG_EXPAND_SZ, "str(2):")):
        text = show("a", kind, ("x" * 257 + "\0").encode("utf-16-le"))
        assert text == f'"a"={form}"{"x" * 256}"... (257 characters)'


def test_long_data_is_shown_where_it_differs() -> None:
    hive = Hive.open(empty_hive("X"))
    hive.set_value("Key", "Path", REG_EXPAND_SZ, "C:\\x;" * 100)
    hive.set_value("Key", "List", REG_MULTI_SZ, ["abc"] * 100)
    hive.set_value("Key", "Bytes", REG_BINARY, bytes(100) + b"\1" + bytes(100))
    hive = Hive.open(hive.to_bytes())
    hive.set_value("Key", "Path", REG_EXPAND_SZ, "C:\\x;" * 100 + "C:\\y")
    hive.set_value("Key", "List", REG_MULTI_SZ, ["abc"] * 99 + ["abd"])
    hive.set_value("Key", "Bytes", REG_BINARY, bytes(100) + b"\2" + bytes(100))
    before, after = (",".join(["00"] * 32 + [one] + ["00"] * 31) for one in ("01", "02"))
    assert hive.diff() == [
        " [Key]",
        '-"Path"=str(2):...";C:\\\\x;C:\\\\x;C:\\\\x;"... (500 characters)',
        '+"Path"=str(2):...";C:\\\\x;C:\\\\x;C:\\\\x;C:\\\\y"... (504 characters)',
        '-"List"=str(7):..."c\\0abc\\0abc\\0abc\\0abc"... (399 characters)',
        '+"List"=str(7):..."c\\0abc\\0abc\\0abc\\0abd"... (399 characters)',
        f'-"Bytes"=hex:...{before},... (201 bytes)',
        f'+"Bytes"=hex:...{after},... (201 bytes)',
    ]


def test_a_hostile_name_makes_no_line_of_its_own() -> None:
    hive = Hive.open(empty_hive("X"))
    hive.set_value("evil\n+[Fake]", "x\r\n-y\x1b[0m", REG_DWORD, 1)
    assert hive.diff() == ["+[evil\\n+[Fake]]", '+"x\\r\\n-y\\x1b[0m"=dword:00000001']
    before = hive.to_bytes()
    hive = Hive.open(before)
    hive.set_value("evil\n+[Fake]", "x\r\n-y\x1b[0m", REG_DWORD, 2)
    assert len(hive.diff()) == 3 and all("\n" not in line for line in hive.diff())


def test_long_differences_are_cut() -> None:
    hive = Hive.open(empty_hive("X"))
    for number in range(MAX_LINES + 5):
        hive.set_value("Key", f"v{number}", REG_DWORD, number)
    assert hive.diff()[-1] == "... and 6 more lines"


def test_difference_of_a_real_hive() -> None:
    data = corpus_hive("SYSTEM")
    hive = Hive.open(data)
    hive.set_value("ControlSet002\\services\\atapi", "Start", REG_DWORD, 3)
    hive.set_value("ControlSet002\\services\\atapi", "DisplayName", REG_SZ, "a name longer than the one it had")
    lines = hive.diff()
    assert lines == [
        r" [ControlSet002\services\atapi]",
        '-"Start"=dword:00000000',
        '+"Start"=dword:00000003',
        '-"DisplayName"="IDE Channel"',
        '+"DisplayName"="a name longer than the one it had"',
    ]
    assert diff(Hive.open(data), Hive.open(hive.to_bytes())) == lines


def plain(lines: list[str], sign: str) -> set[str]:
    return {line[1:] for line in lines if line[0] == sign}


def expected(one: Listing, other: Listing) -> set[str]:
    """Return the lines for what only the first of two hives has."""
    has = {place: {(name, kind, raw) for name, kind, raw in values} for place, values in other}
    lines = set()
    for place, values in one:
        if place not in has:
            lines.add(f"[{place}]")
        for name, kind, raw in values:
            if (name, kind, raw) not in has.get(place, set()):
                lines.add(show(name, kind, bytes.fromhex(raw)))
    return lines


@settings(max_examples=60, deadline=None)
@given(st.lists(steps, min_size=1, max_size=4), st.lists(steps, min_size=1, max_size=4))
def test_both_ways_of_telling_agree_with_full_listings(first: list[tuple], second: list[tuple]) -> None:
    model, hive = Node(""), Hive.open(empty_hive("X"))
    for step in first:
        act(hive, model, step)
    before = hive.to_bytes()
    hive = Hive.open(before)
    for step in second:
        act(hive, model, step)
    was, now = listing(Hive.open(before)), listing(hive)
    for lines in (hive.diff(), diff(Hive.open(before), Hive.open(hive.to_bytes()))):
        if len(lines) <= MAX_LINES:
            assert plain(lines, "-") == expected(was, now)
            assert plain(lines, "+") == expected(now, was)
