"""mdadm.conf as its manual page says."""

from __future__ import annotations

from pathlib import Path

import pytest

from guestfix.base.errors import TooLarge
from guestfix.formats.storage.mdadmconf import Line, read
from tests.build.corpus import corpus_params

EVERY = b"""\
# a comment
DEVICE partitions
   containers   # a comment

dev /dev/sd[a-z]
ARRAY /dev/md0 metadata=1.2 UUID=3aaa0122:29827cfa:5331ad66:ca767371 name=host:0
   # a comment of its own
   devices=/dev/sda1,/dev/sdb1
array <ignore> uuid=1
ARRAY uuid=2 NAME="a b"'c'
HOMEHOST <system>
ho x
MAILADDR root#1
AR x
"""


def test_every_form_and_its_line() -> None:
    found = read(EVERY)
    assert [(one.keyword, one.words, one.line) for one in found.lines if one.keyword != "ARRAY"] == [
        ("DEVICE", ("partitions", "containers"), 2),
        ("DEVICE", ("/dev/sd[a-z]",), 5),
        ("HOMEHOST", ("<system>",), 11),
        ("MAILADDR", ("root#1",), 13),
    ]
    first, second, third = found.arrays()
    assert (first.device, first.line, first.ignored) == ("/dev/md0", 6, False)
    assert first.tags["uuid"] == "3aaa0122:29827cfa:5331ad66:ca767371" and first.tags["name"] == "host:0"
    assert first.tags["devices"] == "/dev/sda1,/dev/sdb1"
    assert second.ignored and second.tags == {"uuid": "1"}
    assert (third.device, third.tags) == ("", {"uuid": "2", "name": "a bc"})
    assert [(odd.line, odd.text) for odd in found.odd] == [(12, "ho x"), (14, "AR x")]


@pytest.mark.parametrize("path", corpus_params("mdadm"))
def test_real_files(path: Path) -> None:
    """Each line of words is one of ours, in order; a file that was encrypted has none."""
    src = path.read_bytes()
    lines = [one for one in src.decode().splitlines() if one.strip() and not one.startswith("#")]
    if lines[0].startswith("U2FsdGVk"):
        assert read(src).lines == () and len(read(src).odd) == len(lines)
        return
    found = read(src)
    assert found.odd == () and [one.words for one in found.lines] == [tuple(one.split()[1:]) for one in lines]
    assert all(one.device.startswith("/dev/md") and len(one.tags["uuid"]) == 35 for one in found.arrays())


def test_a_line_that_only_goes_on() -> None:
    assert read(b"  ARRAY /dev/md0\n UUID=1\n").lines == (Line("ARRAY", ("/dev/md0", "UUID=1"), 1),)


def test_bounds() -> None:
    with pytest.raises(TooLarge, match=r"mdadm\.conf has more than"):
        read(b"ARRAY x\n" * 30_000)
