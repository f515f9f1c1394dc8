"""Reports for people: what stands on the first screen, how wide lines are, what a terminal gets."""

import os
import pty
import re
import subprocess
import sys
from functools import cache

import pytest

from guestfix.base.catalog.findings import FINDINGS
from guestfix.base.facts import Finding
from guestfix.base.record import replace
from guestfix.cli import run
from guestfix.commands.terminal import columns_of, is_unicode, wants_color
from guestfix.plan.model import Change
from guestfix.report import outline
from guestfix.report.layout import View, columns, size, wrapped
from guestfix.report.screen import first_screen
from guestfix.report.text import diff_lines, plan_lines, render_plan
from tests.build.reports import GUESTS, PICTURE, ROOT, SHOWN, WIDTHS, golden, picture, text_of
from tests.build.reports import plan_of as make
from tests.build.tree import build, elf

plan_of = cache(make)


@pytest.mark.parametrize("width", WIDTHS)
@pytest.mark.parametrize("guest", GUESTS)
def test_the_report_is_as_it_was_read(guest, width):
    told = "read the difference, then: python -m tests.build.reports"
    assert text_of(plan_of(guest), width) == golden(guest, width).read_text(), told


def test_the_picture_of_a_report_is_of_this_report():
    assert picture(plan_of(SHOWN)) == PICTURE.read_text(), "python -m tests.build.reports"


@pytest.mark.parametrize("guest", GUESTS)
def test_the_first_screen_is_a_screen(guest):
    assert not plan_of(guest).blockers
    for width in (60, 80, 120, 200):
        assert len(first_screen(plan_of(guest), View(width))) <= 24


@pytest.mark.parametrize("width", WIDTHS)
@pytest.mark.parametrize("guest", GUESTS)
def test_nothing_but_diffs_and_long_words_is_wider(guest, width):
    for line, style in plan_lines(plan_of(guest), View(width, "verbose")):
        words = max((len(word) for word in line.split()), default=0)
        assert len(line) <= width or style in ("add", "del") or words > width - 16, line


def test_much_to_tell_still_is_one_screen():
    many = [Finding(code, "warning", "x " * 200) for code, kind in FINDINGS.items() if kind.allows("warning")]
    plan = replace(plan_of("debian-12"), findings=tuple(many))
    assert len(first_screen(plan, View(80))) <= 24
    assert all(len(line) <= 80 for line, _ in first_screen(plan, View(80)))


def test_all_blockers_are_on_the_first_screen():
    many = [Finding(code, "blocker", f"this is {code}") for code, kind in FINDINGS.items() if kind.allows("blocker")]
    plan = replace(plan_of("debian-12"), findings=tuple(many))
    lines = [line for line, _ in first_screen(plan, View(80))]
    assert sum("this is GF-" in line for line in lines) == len(many)
    assert re.match(r"Blocked, would apply: \d+ files, 2 initramfs images", lines[1])


def test_each_finding_is_in_one_part():
    plan = plan_of("sles-15")
    told = [one for found in outline.groups(plan).values() for one in outline.all_findings(found)]
    assert sorted(map(str, told)) == sorted(map(str, plan.findings))


def test_the_tables_of_parts_name_codes_that_there_are():
    assert FINDINGS.keys() >= outline.LOSES and FINDINGS.keys() >= outline.UNCHECKED
    assert not outline.LOSES & outline.UNCHECKED


def test_a_change_has_its_count_and_its_first_lines():
    diff = "--- a/x\n+++ b/x\n@@ -1,3 +1,9 @@\n same\n---- dashes\n" + "".join(f"+{n}\n" for n in range(9))
    plan = replace(plan_of("debian-12"), changes=(Change("/x", "edit", ("a/b",), None, None, diff=diff),))
    text = render_plan(plan, View(80))
    assert "  edit /x +9 -1 [a/b]\n      ---- dashes\n      +0\n      +1\n      +2\n      ... 6 more lines\n" in text
    assert "\n     same\n" not in text and "\n     same\n" in render_plan(plan, View(80, diff=True))


def test_brief_and_verbose():
    plan = plan_of("rhel7-vmware")
    brief, normal, verbose = (render_plan(plan, View(80, detail)) for detail in ("brief", "normal", "verbose"))
    assert len(brief.splitlines()) <= 28 and brief.splitlines()[:20] == normal.splitlines()[:20]
    assert "why: " in verbose and "why: " not in normal


def test_words_are_kept_whole():
    assert wrapped("a b /a/very/long/path c", 8, "- ") == ["- a b", "  /a/very/long/path", "  c"]
    assert wrapped("", 8, "- ") == ["-"]
    assert wrapped("a\nb\x1b[2J", 80) == ["a\\x0ab\\x1b[2J"]
    assert columns([("a" * 50, "b" * 50), ("c", "d")], 40, "")[0] == "a" * 23 + "...  " + "b" * 9 + "..."


@pytest.mark.parametrize(
    ("number", "said"), [(0, ""), (None, ""), (512, "512 bytes"), (1 << 30, "1 GiB"), (1500 << 30, "1.5 TiB")]
)
def test_sizes(number, said):
    assert size(number) == said


@pytest.mark.parametrize(
    ("environment", "terminal", "unicode"),
    [({}, False, True), ({}, True, False), ({"LC_ALL": "C", "LANG": "de_DE.UTF-8"}, False, False),
     ({"LANG": "de_DE.utf8"}, True, True), ({"LC_ALL": "", "LC_CTYPE": "C.UTF-8"}, True, True)],
)  # fmt: skip
def test_the_locale_decides_on_utf_8(environment, terminal, unicode):
    assert is_unicode(environment, terminal=terminal) is unicode


def test_colour_is_for_terminals():
    assert wants_color("auto", {}, terminal=True) and not wants_color("auto", {}, terminal=False)
    assert not wants_color("auto", {"NO_COLOR": "1"}, terminal=True)
    assert not wants_color("auto", {"TERM": "dumb"}, terminal=True)
    assert wants_color("always", {"NO_COLOR": "1"}, terminal=False) and not wants_color("never", {}, terminal=True)
    assert columns_of({"COLUMNS": "77"}) == 77 and columns_of({"COLUMNS": "x"}) == columns_of({})


def on_a_terminal(*command, **environment):
    master, slave = pty.openpty()
    with subprocess.Popen(
        [sys.executable, "-m", "guestfix", *command],
        stdin=subprocess.DEVNULL,
        stdout=slave,
        env={"PATH": os.environ["PATH"], "TERM": "xterm", "HOME": os.environ.get("HOME", "/"), **environment},
    ) as process:
        os.close(slave)
        data = b""
        while True:
            try:
                more = os.read(master, 65536)
            except OSError:
                break
            if not more:
                break
            data += more
        process.wait(60)
    os.close(master)
    return data


GUEST = str(ROOT / "testdata/guests/amazon-linux-2")


def test_a_terminal_gets_colour_and_symbols_where_it_may():
    plain = on_a_terminal("report", GUEST, COLUMNS="80", NO_COLOR="1", LANG="C.UTF-8")
    assert b"\x1b" not in plain and plain.isascii()
    colour = on_a_terminal("report", GUEST, COLUMNS="80", LANG="C.UTF-8")
    assert b"\x1b[" in colour and "\u25b2".encode() in colour
    assert on_a_terminal("report", GUEST, COLUMNS="80", LANG="C").isascii()


def test_a_pipe_gets_neither_and_loads_no_rich():
    code = "import sys; from guestfix.cli import run; run(['report', sys.argv[1]]); assert 'rich' not in sys.modules"
    done = subprocess.run([sys.executable, "-c", code, GUEST], capture_output=True)
    assert done.returncode == 0 and b"\x1b" not in done.stdout and done.stdout.isascii()


def test_what_a_guest_says_does_nothing_to_a_terminal(tmp_path, capfd):
    evil = "\x1b[2J\u202e\x9b31m\r\n"
    files = {
        "etc/os-release": f'ID=debian\nPRETTY_NAME="a{evil}"\n',
        "bin/sh": elf(),
        "etc/fstab": f"/dev/sdz1 /a\x1b[2J ext4 {evil} 0\n",
    }
    root = build(tmp_path / "guest", files)
    for options in ([], ["--verbose"], ["--diff"], ["--color", "always"]):
        run(["report", str(root), *options])
        out = capfd.readouterr().out
        assert "\x1b[2J" not in out and "\u202e" not in out and "\x9b" not in out and "\r" not in out
    run(["inspect", str(root)])
    out = capfd.readouterr().out
    assert "\x1b" not in out and "\u202e" not in out


def test_diff_shows_all_lines_of_some_files(tmp_path, capfd):
    assert run(["diff", GUEST, "/etc/fstab"]) == 0
    out = capfd.readouterr().out
    assert out.startswith("--- a/etc/fstab\n+++ b/etc/fstab\n@@ ") and "sysconfig" not in out
    assert run(["report", GUEST, "--format", "json"]) == 0
    plan = tmp_path / "plan.json"
    plan.write_text(capfd.readouterr().out)
    assert run(["diff", str(plan), "/etc"]) == 0
    assert capfd.readouterr().out.startswith("--- a/etc/")
    assert run(["diff", str(plan), "/etc/fstap"]) == 64
    assert "did you mean /etc/fstab?" in capfd.readouterr().err
    assert diff_lines("") == []
