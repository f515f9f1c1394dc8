"""Menus of syslinux and extlinux: which label boots, through every kind of include, and how another is chosen."""

from __future__ import annotations

import pytest

from guestfix.editors.boot.menu import syslinux_timeout
from guestfix.editors.boot.syslinux import set_default
from guestfix.formats.boot import syslinux

A = "LABEL a\n LINUX /a\n APPEND root=/dev/sda1\n"
B = "LABEL b\n LINUX /b\n APPEND root=/dev/sda1 initrd=/one,/two\n"

DEFAULTS = [
    (f"DEFAULT b\n{A}{B}", "b"),
    (f"default b\n{A}{B}", "b"),
    (f"{A}{B}", "a"),
    (f"DEFAULT menu.c32\n{A}{B}", "a"),
    (f"DEFAULT vesamenu.c32\n{A}{B} MENU DEFAULT\n", "b"),
    (f"UI menu.c32\nDEFAULT a\n{A}{B} MENU DEFAULT\n", "a"),
    (f"UI menu.c32\nDEFAULT gone\n{A}{B} MENU DEFAULT\n", "b"),
    (f"UI menu.c32\n{A} MENU HIDE\n{B}", "b"),
    (f"DEFAULT a\nONTIMEOUT b\n{A}{B}", "a"),
    (f"DEFAULT a\nPROMPT 1\nONTIMEOUT b\n{A}{B}", "b"),
    (f"DEFAULT a\nUI menu.c32\nONTIMEOUT b\n{A}{B}", "b"),
    (f"DEFAULT a single\n{A}{B}", "a"),
    ("DEFAULT /k root=/dev/sda1\n", "/k"),
    (f"UI menu.c32\nDEFAULT B title\n{A}{B}", "a"),
    (f"DEFAULT gone\n{A}{B}", "gone"),
    ("", ""),
    (f"{A} TEXT HELP\nLABEL nothing\nDEFAULT nothing\n ENDTEXT\n{B}", "a"),
    (f"DEFAULT b\nINCLUDE other.cfg\n{A}", "b"),
    (f"MENU INCLUDE other.cfg Tag\n{A}", "b"),
    (f"UI menu.c32 other.cfg\n{A}", "b"),
    ("INCLUDE loop.cfg\n", "a"),
    (f"INCLUDE gone.cfg\n{A}", "a"),
]
FILES = {"other.cfg": B, "loop.cfg": f"INCLUDE loop.cfg\nINCLUDE /main\n{A}"}


def include(name: str) -> tuple[str, bytes] | None:
    return (f"/{name}", FILES[name].encode()) if name in FILES else None


@pytest.mark.parametrize(("text", "default"), DEFAULTS)
def test_the_label_that_boots(text: str, default: str) -> None:
    assert syslinux.parse(text.encode(), "/main", include).default == default


def test_labels_of_includes_say_where_they_stand_and_what_is_lost_is_named() -> None:
    menu = syslinux.parse(f"INCLUDE other.cfg\nINCLUDE gone.cfg\n\n{A}".encode(), "/main", include)
    assert [(one.name, one.path, one.line) for one in menu.labels] == [("b", "/other.cfg", 1), ("a", "/main", 4)]
    assert menu.files == ["/main", "/other.cfg"] and menu.lost == ["gone.cfg"]
    assert syslinux.arguments(menu, menu.labels[0]) == (["root=/dev/sda1"], ["/one", "/two"])


def test_includes_without_end_are_left() -> None:
    def more(name: str) -> tuple[str, bytes]:
        return f"/{name}", f"INCLUDE {name}x\nLABEL {name}\n".encode()

    menu = syslinux.parse(b"INCLUDE x\n", "/main", more)
    assert len(menu.files) <= syslinux.MOST_FILES and menu.lost


ARGUMENTS = [
    ("LABEL l\n LINUX /k\n APPEND x\n INITRD /i\n", ("/k", True)),
    ("LABEL l\n APPEND x initrd=/i\n KERNEL /k\n", ("/k", True)),
    ("LABEL l\n KERNEL /k\n APPEND x\nLABEL m\n INITRD /i\n", ("/k", False)),
    ("APPEND x\nLABEL l\n KERNEL /k\n", ("", None)),
]


@pytest.mark.parametrize(("text", "expected"), ARGUMENTS)
def test_arguments_know_their_labels_kernel_and_initrd(text: str, expected: tuple[str, bool | None]) -> None:
    line = syslinux.arg_lines(text.encode())[0]
    assert (line.kernel, line.initrd) == expected


CHOICES = [
    (f"DEFAULT a\n{A}{B}", f"DEFAULT b\n{A}{B}"),
    (f"DEFAULT b\n{A}{B}", None),
    (f"DEFAULT menu.c32\nONTIMEOUT a\n{A}{B}", f"DEFAULT menu.c32\nONTIMEOUT b\n{A}LABEL b\n  MENU DEFAULT\n{B[8:]}"),
    (f"UI menu.c32\n{A} MENU DEFAULT\n{B}", f"UI menu.c32\n{A}# MENU DEFAULT\nLABEL b\n  MENU DEFAULT\n{B[8:]}"),
    (f"UI menu.c32\r\n{A}LABEL b", f"UI menu.c32\r\n{A}LABEL b\r\n  MENU DEFAULT\r\n"),
    (f"DEFAULT a # not a comment\n{A}{B}", f"DEFAULT b\n{A}{B}"),
    (A, None),
]


@pytest.mark.parametrize(("before", "after"), CHOICES)
def test_another_label_is_chosen(before: str, after: str | None) -> None:
    src = before.encode()
    out = set_default(src, "b", {"a", "b"})
    assert out == (src if after is None else after.encode())
    assert set_default(out, "b", {"a", "b"}) == out


WAITS = [
    (f"DEFAULT a\n{A}", False),
    (f"DEFAULT a\nPROMPT 0\n{A}", False),
    (f"DEFAULT a\nPROMPT 1\n{A}", True),
    (f"DEFAULT a\nPROMPT 1\nTIMEOUT 0\n{A}", True),
    (f"DEFAULT a\nPROMPT 1\nTIMEOUT 30\n{A}", False),
    (f"UI menu.c32\n{A}", True),
    (f"DEFAULT vesamenu.c32\nTOTALTIMEOUT 100\n{A}", False),
]


@pytest.mark.parametrize(("text", "waits"), WAITS)
def test_a_menu_or_prompt_without_a_time_out_waits_and_gets_one(text: str, waits: bool) -> None:
    src = text.encode()
    assert syslinux.parse(src).waits == waits
    after = syslinux_timeout(src, seconds=5, longest=10)
    assert isinstance(after, bytes) and not syslinux.parse(after).waits
    assert syslinux_timeout(after, seconds=5, longest=10) == after
    assert (after == src) == (not waits)


def test_arguments_behind_default_are_those_of_its_label() -> None:
    menu = syslinux.parse(b"DEFAULT a single x=1\n" + A.encode())
    assert syslinux.arguments(menu, menu.labels[0])[0] == ["root=/dev/sda1", "single", "x=1"]


def test_a_kernel_behind_default_is_an_entry_of_its_own() -> None:
    src = b"APPEND quiet\nDEFAULT /k initrd=/i root=/dev/sda1\n"
    menu = syslinux.parse(src, "/main")
    assert [(one.name, one.kernel, one.line) for one in menu.labels] == [("/k", "/k", 2)]
    assert syslinux.arguments(menu, menu.labels[0]) == (["quiet", "root=/dev/sda1"], ["/i"])
    lines = {line.kernel: (line.texts(), line.initrd, line.takes_more) for line in syslinux.arg_lines(src)}
    assert lines["/k"] == (["initrd=/i", "root=/dev/sda1"], True, True)
