"""lvm.conf as its manual page says, and as lvm itself reads it."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

import pytest

from guestfix.base.errors import TooLarge
from guestfix.formats.storage.lvmconf import Setting, Value, patterns, read
from tests.build.corpus import corpus_params
from tests.build.images import have

EVERY = b"""\
# a comment {
devices {
    filter = [ "a|^/dev/sda$|",   # [ "not this" ]
               'r/.*/', ]
    dir = "/dev"
    scan=["/dev"] x = 1.5 y=-3
    a = 5k
    preferred_names = [ ]
}
devices/filter = "a|/dev/\\\\d \\"x\\"|"
tags { @one { host_list = [ "a" "b" ] } }
= odd
}
log { level = 7 umask = 077 zero = 08
"""


def test_every_form_and_its_line() -> None:
    found = read(EVERY)
    assert found.settings == (
        Setting("devices/filter", ("a|^/dev/sda$|", "r/.*/"), 3),
        Setting("devices/dir", "/dev", 5),
        Setting("devices/scan", ("/dev",), 6),
        Setting("devices/x", 1.5, 6),
        Setting("devices/y", -3, 6),
        Setting("devices/preferred_names", (), 8),
        Setting("devices/filter", 'a|/dev/\\d "x"|', 10),
        Setting("tags/@one/host_list", ("a", "b"), 11),
        Setting("log/level", 7, 14),
        Setting("log/umask", 63, 14),
        Setting("log/zero", 0, 14),
    )
    assert [(one.line, one.text) for one in found.odd] == [(7, "a = 5k"), (12, "= odd"), (13, "}")]


def test_the_last_setting_of_a_name_counts() -> None:
    found = read(EVERY)
    assert found.get("devices/filter") == Setting("devices/filter", 'a|/dev/\\d "x"|', 10)
    assert found.get("devices/nothing") is None


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        (("a|^/dev/sda$|", "r/.*/", "nothing", 5, "a"), ((True, "^/dev/sda$"), (False, ".*"))),
        ("r(/dev/cdrom)", ((False, "/dev/cdrom"),)),
        (("a{x}", "r[y]", "a|open"), ((True, "x"), (False, "y"), (True, "open"))),
        (7, ()),
    ],
)
def test_the_patterns_of_a_filter(value: Value, expected: object) -> None:
    assert patterns(Setting("devices/filter", value, 1)) == expected


def test_no_filter_has_no_patterns() -> None:
    assert patterns(None) == ()


def test_bounds() -> None:
    deep = read(b"a {\n" * 40 + b"x = 1\n")
    assert deep.settings[0].path.count("/") == 16 and len(deep.odd) == 24
    with pytest.raises(TooLarge, match=r"lvm\.conf has more than"):
        read(b"a = 1\n" * 30_000)
    with pytest.raises(TooLarge, match=r"lvm\.conf has more than"):
        read(b"#" * (1 << 20))


def flat(value: Value) -> Value:
    """lvm writes a list of one as that one."""
    return value[0] if isinstance(value, tuple) and len(value) == 1 else value


def settings(src: bytes) -> dict[str, Value]:
    return {one.path: flat(one.value) for one in read(src).settings}


@pytest.mark.skipif(not have("lvmconfig"), reason="lvm2 is not installed")
@pytest.mark.parametrize("path", [None, *corpus_params("lvm")])
def test_lvm_reads_the_same(path: Path | None, tmp_path: Path) -> None:
    """What ``lvmconfig`` tells of a file is what we read of it; it leaves out what it does not know."""
    src = (
        EVERY.replace(b"    a = 5k\n", b"").replace(b"= odd\n}\n", b"") + b"}\nglobal/umask = 027\n"
        if path is None
        else path.read_bytes()
    )
    (tmp_path / "lvm.conf").write_bytes(src)
    env = {"LVM_SYSTEM_DIR": str(tmp_path), "LVM_SUPPRESS_FD_WARNINGS": "1", "PATH": os.defpath + ":/usr/sbin:/sbin"}
    done = subprocess.run(["lvmconfig"], env=env, capture_output=True, check=False)
    ours = settings(src)
    if done.returncode:
        assert read(src).odd and not ours, done.stderr
        return
    theirs = settings(done.stdout)
    assert {name: value for name, value in ours.items() if name in theirs} == theirs
    assert path is not None or theirs
    missed = [name for name in ours if name not in theirs and f'"{name}" unknown'.encode() not in done.stderr]
    assert [name for name in missed if not name.startswith(("tags/", "devices/x", "devices/y"))] == []
