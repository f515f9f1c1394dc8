"""``guestfix diff`` on a terminal: a pager, colour, and nothing else on the screen while somebody reads."""

from __future__ import annotations

import os
import pty
import select
import sys
import time
from pathlib import Path

import pytest

from tests.build.tree import build, elf

FSTAB = "UUID=1 / ext4 defaults 0 1\n/dev/sdb9 /gone ext4 defaults 0 2\n"
PROGRAM = """
import sys
from guestfix.commands import bar
bar.Bar.__init__.__defaults__ = (0.0,)  # at once, however fast this machine is
from guestfix.cli import run
sys.exit(run(sys.argv[1:]))
"""
PAGER = """#!/bin/sh
trap 'printf INTERRUPTED' INT
printf BEGIN; cat >"$SEEN"; printf READ; sleep 1; printf END
"""


@pytest.fixture
def diff(tmp_path, monkeypatch):
    guest = build(
        tmp_path / "guest", {"etc/os-release": 'ID=debian\nVERSION_ID="12"\n', "etc/fstab": FSTAB, "bin/sh": elf()}
    )
    pager = tmp_path / "pager"
    pager.write_text(PAGER)
    pager.chmod(0o755)

    def call(*words: str, keys: bytes = b"", **env: str) -> tuple[int, str, str]:
        """Return the exit status, what stood on the terminal, and what the pager was given."""
        seen = tmp_path / "seen"
        seen.unlink(missing_ok=True)
        pid, fd = pty.fork()
        if pid == 0:
            place = {"PAGER": str(pager), "SEEN": str(seen), "TERM": "xterm", "LC_ALL": "C.UTF-8"}
            os.environ.pop("NO_COLOR", None)
            os.environ.update({**place, **env})
            os.execv(sys.executable, [sys.executable, "-c", PROGRAM, "diff", str(guest), *words])
        screen = read(fd, keys)
        status = os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])
        return status, screen, seen.read_text() if seen.exists() else ""

    return call


def read(fd: int, keys: bytes) -> str:
    text, end = "", time.monotonic() + 60
    while time.monotonic() < end:
        if select.select([fd], [], [], 0.2)[0]:
            try:
                data = os.read(fd, 65536)
            except OSError:  # the other side is closed
                return text
            text += data.decode(errors="replace")
        if keys and "READ" in text:  # earlier, the key would end the pager's cat
            os.write(fd, keys)
            keys = b""
    raise AssertionError(text)


def test_a_terminal_gets_a_pager_with_colour(diff):
    status, screen, seen = diff("/etc/fstab")
    assert status == 0 and "BEGIN" in screen
    assert "\x1b[31m-/dev/sdb9 /gone ext4 defaults 0 2" in seen and "\x1b[32m+" in seen and "\x1b[36m@@" in seen


def test_no_colour_where_it_is_not_wanted(diff):
    for words, env in (((), {"NO_COLOR": "1"}), (("--color", "never"), {}), ((), {"TERM": "dumb"})):
        _, _, seen = diff("/etc/fstab", *words, **env)
        assert "-/dev/sdb9 /gone ext4 defaults 0 2\n" in seen and "\x1b" not in seen


def test_the_bar_is_gone_before_the_pager_begins(diff):
    _, screen, _ = diff()
    before, _, rest = screen.partition("BEGIN")
    assert "%" in before, "this test needs a bar"
    assert rest.partition("END")[0] == "READ" and rest.partition("END")[2].strip() == ""


def test_ctrl_c_is_the_pagers(diff):
    status, screen, seen = diff(keys=b"\x03")
    assert status == 0 and "INTERRUPTED" in screen and "END" in screen and "Traceback" not in screen and seen


def test_a_pager_that_there_is_not_loses_nothing(diff):
    for pager in ("/no/such/pager", "'unclosed"):
        status, screen, _ = diff("/etc/fstab", PAGER=pager)
        assert status == 0 and "/dev/sdb9 /gone ext4 defaults 0 2" in screen


def test_less_quits_where_all_fits(diff):
    if not Path("/usr/bin/less").exists():
        pytest.skip("less is not installed")
    status, screen, _ = diff("/etc/fstab", PAGER="less", LESS="FRX")
    assert status == 0 and "/dev/sdb9 /gone ext4" in screen
