from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from guestfix.base.edit import Content, Edit
from guestfix.base.errors import EditError
from guestfix.editors.boot import grubdefault
from guestfix.formats import shellvars
from tests.build.corpus import corpus_params


def timeout(src: bytes | None) -> Content | Edit:
    return grubdefault.set_timeout(src, seconds=5, longest=10, recordfail=30)


def default(src: bytes | None) -> Content:
    got = grubdefault.set_default(src)
    return got.content if isinstance(got, Edit) else got


@pytest.mark.parametrize(
    "src",
    [
        None,
        b"",
        b"# GRUB_TIMEOUT=0\n",
        b"GRUB_TIMEOUT=5\n",
        b"GRUB_TIMEOUT=1\nGRUB_TIMEOUT_STYLE=countdown\n",
        b'GRUB_TIMEOUT="10"\n',
        b"GRUB_TIMEOUT=\nGRUB_HIDDEN_TIMEOUT=\n",
        b"GRUB_TIMEOUT=$(cat /x)\nGRUB_TIMEOUT_STYLE=$STYLE\n",
        b"GRUB_RECORDFAIL_TIMEOUT=0\n",
        b"GRUB_CMDLINE_LINUX='GRUB_TIMEOUT=0'\n",
        b"GRUB_TIMEOUT=2.5\n",
    ],
)
def test_timeout_leaves(src: bytes | None) -> None:
    assert timeout(src) is src


@pytest.mark.parametrize(
    ("before", "after"),
    [
        (b"GRUB_TIMEOUT=-1\n", b"GRUB_TIMEOUT=5\n"),
        (b"GRUB_TIMEOUT=0\r\nX=1\r\n", b"GRUB_TIMEOUT=5\r\nX=1\r\n"),
        (b"GRUB_TIMEOUT='60' # slow\n", b"GRUB_TIMEOUT='5' # slow\n"),
        (b"export GRUB_TIMEOUT=soon", b"export GRUB_TIMEOUT=5"),
        (b"GRUB_TIMEOUT=3\nGRUB_TIMEOUT=0\n", b"GRUB_TIMEOUT=3\nGRUB_TIMEOUT=5\n"),
        (b"GRUB_TIMEOUT_STYLE=hidden\nGRUB_TIMEOUT=0\n", b"GRUB_TIMEOUT_STYLE=menu\nGRUB_TIMEOUT=5\n"),
        (b"GRUB_HIDDEN_TIMEOUT=0\nGRUB_TIMEOUT=10\n", b"#GRUB_HIDDEN_TIMEOUT=0\nGRUB_TIMEOUT=10\n"),
        (b"GRUB_RECORDFAIL_TIMEOUT=-1\n", b"GRUB_RECORDFAIL_TIMEOUT=30\n"),
    ],
)
def test_timeout_changes(before: bytes, after: bytes) -> None:
    assert timeout(before) == after
    assert timeout(after) is after


@pytest.mark.parametrize(
    "src",
    [
        None,
        b"",
        b"GRUB_DEFAULT=0\n",
        b"GRUB_DEFAULT=saved\n",
        b'GRUB_DEFAULT="Advanced options>Debian, with Linux 6.1"\n',
        b"GRUB_DEFAULT=gnulinux-advanced-1>gnulinux-2\n",
        b"GRUB_DEFAULT=\n",
        b"GRUB_DEFAULT=`x`\n",
    ],
)
def test_default_leaves(src: bytes | None) -> None:
    assert grubdefault.set_default(src) is src


@pytest.mark.parametrize(
    ("before", "after"),
    [
        (b"GRUB_DEFAULT=2\n", b"GRUB_DEFAULT=0\n"),
        (b'GRUB_DEFAULT="1>2"\nX=1', b'GRUB_DEFAULT="0"\nX=1'),
    ],
)
def test_default_changes(before: bytes, after: bytes) -> None:
    got = grubdefault.set_default(before)
    assert isinstance(got, Edit)
    assert got.content == after
    assert [note.level for note in got.notes] == ["follow_up"]
    assert default(after) is after


NAMES = st.sampled_from(
    [b"GRUB_TIMEOUT=", b"GRUB_DEFAULT=", b"GRUB_HIDDEN_TIMEOUT=", b"GRUB_TIMEOUT_STYLE=", b"GRUB_RECORDFAIL_TIMEOUT="]
)
VALUES = st.sampled_from([b"0", b"-1", b"99", b"'", b'"', b"hidden", b"1>2", b"$x", b"(", b"\\", b"\0", b"\xff", b" #"])
ENDS = st.sampled_from([b"\n", b"\r\n", b" ", b""])
FILES = st.lists(st.tuples(NAMES, VALUES, ENDS), max_size=12).map(lambda rows: b"".join(b"".join(row) for row in rows))


def check_laws(src: bytes) -> None:
    for op in (timeout, default):
        try:
            got = op(src)
        except EditError as error:
            assert "never closed" in error.what and error.where.startswith("line ")
            continue
        assert isinstance(got, bytes)
        assert got.count(b"\n") == src.count(b"\n")
        assert op(got) is got
        if got == src:
            assert got is src
        old, new = src.split(b"\n"), got.split(b"\n")
        changed = [index for index, (one, other) in enumerate(zip(old, new, strict=True)) if one != other]
        assert all(b"GRUB_" in old[index] for index in changed)


@given(src=st.one_of(st.binary(max_size=200), FILES))
@settings(max_examples=200, deadline=None)
def test_laws(src: bytes) -> None:
    check_laws(src)


@pytest.mark.parametrize("path", corpus_params("grubdefault", "fstab", "grub1"))
def test_corpus(path: Path) -> None:
    src = path.read_bytes()
    check_laws(src)
    check_laws(src.replace(b"\n", b"\r\n"))


@pytest.mark.parametrize("path", corpus_params("grubdefault"))
def test_corpus_without_anything_to_do_comes_back_itself(path: Path) -> None:
    src = path.read_bytes()
    seconds = shellvars.get(src, "GRUB_TIMEOUT")
    hidden = b"\nGRUB_HIDDEN_TIMEOUT=" in src or b"hidden" in (shellvars.get(src, "GRUB_TIMEOUT_STYLE") or "").encode()
    assert (timeout(src) is src) == (seconds in (None, "", *map(str, range(1, 11))) and not hidden)


@pytest.mark.parametrize("op", [timeout, grubdefault.set_default])
def test_a_huge_file_is_refused(op: Callable[[bytes], Content | Edit]) -> None:
    with pytest.raises(EditError):
        op(b"A=(\n" * 100_000)
