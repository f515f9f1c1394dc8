"""Logins on serial ports in inittab: moved, switched on, added, switched off, and nothing else touched."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from guestfix.base.errors import EditError
from guestfix.editors.system.inittab import serial_login

GONE = ["hvc*", "xvc*", "ttyS*", "ttyAMA*"]


def done(text: str, console: str = "ttyS0,115200n8", program: str = "/sbin/agetty", gone: list[str] = GONE) -> str:
    found = serial_login(text.encode(), console=console, gone=gone, program=program)
    assert isinstance(found, bytes)
    return found.decode()


@pytest.mark.parametrize(
    ("before", "after"),
    [
        ("co:2345:respawn:/sbin/agetty xvc0 9600 vt100\n", "co:2345:respawn:/sbin/agetty ttyS0 115200 vt100\n"),
        ("h:2345:respawn:/sbin/agetty /dev/hvc0 vt100\n", "h:2345:respawn:/sbin/agetty /dev/ttyS0 vt100\n"),
        ("hvc0::respawn:/sbin/getty 38400 hvc0\n", "ttyS0::respawn:/sbin/getty 115200 ttyS0\n"),
        ("ttyS1::askfirst:/sbin/getty -L ttyS1 9600\n", "ttyS0::askfirst:/sbin/getty -L ttyS0 115200\n"),
        ("#T0:23:respawn:/sbin/getty -L ttyS0 9600 vt100\n", "T0:23:respawn:/sbin/getty -L ttyS0 115200 vt100\n"),
        ("# # s0:12345:respawn:/sbin/agetty 9600 ttyS0\n", "s0:12345:respawn:/sbin/agetty 115200 ttyS0\n"),
        ("id:3:initdefault:", "id:3:initdefault:\nS0:2345:respawn:/sbin/agetty -L 115200 ttyS0 vt100\n"),
        ("S0:3:respawn:/bin/x\n", "S0:3:respawn:/bin/x\nS1:2345:respawn:/sbin/agetty -L 115200 ttyS0 vt100\n"),
        (
            "a:2:respawn:/sbin/getty 9600 ttyS0\nb:2:respawn:/sbin/mgetty ttyS1\n",
            "a:2:respawn:/sbin/getty 9600 ttyS0\n#b:2:respawn:/sbin/mgetty ttyS1\n",
        ),
    ],
)
def test_the_port_of_the_target_gets_the_login(before: str, after: str) -> None:
    assert done(before) == after
    assert done(after) == after


@pytest.mark.parametrize(
    "text",
    [
        "1:2345:respawn:/sbin/mingetty tty1\nx:2:respawn:/sbin/getty -L 9600 ttyS0 vt100\n",
        "x:2:off:/sbin/getty 9600 ttyS1\ny:2:respawn:/sbin/getty 9600 ttyS0\n",
        "x:2:respawn:/usr/sbin/faxgetty ttyS1\ny:2:respawn:/sbin/getty 9600 ttyS0\n",
        "x:2:respawn:/opt/ups --port ttyS1\ny:2:respawn:/sbin/getty 9600 ttyS0\n",
    ],
)
def test_what_is_right_stays(text: str) -> None:
    assert done(text) == text


def test_a_target_without_a_serial_port_loses_what_is_gone_alone() -> None:
    text = "a:2:respawn:/sbin/getty 9600 hvc0\nb:2:respawn:/sbin/getty 9600 ttyS1\n"
    assert done(text, console="", gone=["hvc*", "xvc*"]) == "#" + text


def test_without_a_program_none_is_added() -> None:
    assert done("id:3:initdefault:\n", program="") == "id:3:initdefault:\n"
    assert serial_login(None, console="ttyS0", gone=GONE) is None


@pytest.mark.parametrize("console", ["ttyS0;reboot", "a\nb", "ttyS", "tty S0", "../x0"])
def test_what_is_no_console_is_refused(console: str) -> None:
    with pytest.raises(EditError):
        done("", console=console)


PIECES = [
    "a:2:respawn:/sbin/getty ",
    "hvc0",
    "ttyS0",
    "ttyS1",
    " 9600",
    "\n",
    "#",
    ":",
    " ",
    "x::respawn:",
    "vt100",
    "é",
]


@given(st.lists(st.sampled_from(PIECES), max_size=25).map("".join))
def test_it_is_done_once_and_keeps_every_line(text: str) -> None:
    after = done(text)
    assert done(after) == after
    assert text.count("\n") <= after.count("\n") <= text.count("\n") + 2
