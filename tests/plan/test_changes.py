"""The diffs that reports show: `patch` turns the old file into the new one with them, and long files are quick."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from guestfix.base import bounds
from guestfix.plan import changes

LONG = bounds.DIFF_LINES + 50
PLACES = st.lists(st.integers(0, LONG - 1), max_size=12)


def lines(changed: list[int], tail: str = "") -> bytes:
    return "".join(f"{'new' if at in changed else 'old'} {at % 7}\n" for at in range(LONG)).encode() + tail.encode()


@settings(max_examples=40, deadline=None)
@given(PLACES, st.sampled_from(["", "no newline"]))
def test_a_long_file_shows_the_changed_lines_and_their_context(places: list[int], tail: str) -> None:
    shown = changes.unified("/etc/long", lines([], tail), lines(places, tail)).splitlines()[2:]
    assert [line for line in shown if line[0] == "+"] == [f"+new {at % 7}" for at in sorted(set(places))]
    near = {at + by for at in places for by in range(-3, 4)} & set(range(LONG))
    kept = [line for line in shown if line[0] == " " and line != f" {tail}"]
    assert len(kept) == len(near - set(places))


@pytest.mark.skipif(not shutil.which("patch"), reason="patch is not installed")
@pytest.mark.parametrize(
    ("old", "new"),
    [
        (b"a\nb\nc\n", b"a\nB\nc\n"),
        (b"a\nb", b"a\nb\n"),
        (lines([]), lines([0, 5, 6, 20, LONG - 1])),
        (lines([], "end"), lines([LONG - 1], "END")),
        (lines([]), lines([], "one more\n")),
    ],
)
def test_patch_takes_the_diff(old: bytes, new: bytes, tmp_path: Path) -> None:
    (tmp_path / "file").write_bytes(old)
    shown = changes.unified("/file", old, new)
    subprocess.run(["patch", "-p1", "--fuzz=0"], input=shown.encode(), cwd=tmp_path, check=True, capture_output=True)
    assert (tmp_path / "file").read_bytes() == new


def test_lines_that_only_look_alike_show_nothing() -> None:
    old, new = lines([], "\\xff\n"), lines([]) + b"\xff\n"
    assert changes.unified("/etc/long", old, new) == ""
