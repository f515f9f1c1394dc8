from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from guestfix.base.edit import Content, Edit
from guestfix.base.errors import EditError
from guestfix.editors.storage import crypttab
from tests.build.corpus import corpus_params

TABLE = {"/dev/sda2": "UUID=luks", "/dev/sda3": "UUID=swap", "/dev/sda5": "UUID=ext"}
PARTUUIDS = {"/dev/sda3": "PARTUUID=p3"}
TYPES = {"UUID=luks": "crypto_LUKS", "UUID=ext": "ext4"}


def op(src: bytes | None) -> Content | Edit:
    return crypttab.set_device(src, table=TABLE, partuuids=PARTUUIDS, types=TYPES)


@pytest.mark.parametrize(
    "src",
    [
        None,
        b"",
        b"# <target name> <source device>\n",
        b"root UUID=luks none luks\n",
        b"root /dev/disk/by-uuid/luks none luks\nhome /dev/vg/home none luks\n",
        b"broken\n",
    ],
)
def test_leaves(src: bytes | None) -> None:
    assert op(src) is src


@pytest.mark.parametrize(
    ("before", "after"),
    [
        (b"root /dev/sda2 none luks,discard\n", b"root UUID=luks none luks,discard\n"),
        (b"root\t/dev/sda2\r\nx", b"root\tUUID=luks\r\nx"),
        (b"swap /dev/sda3 /dev/urandom swap,cipher=aes\n", b"swap PARTUUID=p3 /dev/urandom swap,cipher=aes\n"),
        (b"old /dev/sda3 none plain,cipher=aes\n", b"old PARTUUID=p3 none plain,cipher=aes\n"),
    ],
)
def test_changes(before: bytes, after: bytes) -> None:
    assert op(before) == after
    assert op(after) is after


def test_an_unknown_device_with_a_random_key_is_disabled() -> None:
    """At the next boot this name could be a disk with data on it, and cryptsetup would overwrite it."""
    got = op(b"root /dev/sda2 none luks\nswap /dev/sdb9 /dev/urandom swap\r\n")
    assert isinstance(got, Edit)
    assert got.content == (
        b"root UUID=luks none luks\n# guestfix: disabled, the name may be another disk's now, "
        b"which would be overwritten: swap /dev/sdb9 /dev/urandom swap\r\n"
    )
    assert [note.level for note in got.notes] == ["follow_up"]
    assert op(got.content) is got.content


@pytest.mark.parametrize("device", [b"/dev/sdz1", b"/dev/sda5"])
def test_an_unknown_luks_device_is_reported(device: bytes) -> None:
    src = b"# x\ndata " + device + b" none luks\n"
    got = op(src)
    assert isinstance(got, Edit)
    assert got.content is src
    assert [(note.code, note.line) for note in got.notes] == [("GF-CRYPTTAB-UNRESOLVED", 2)]


@given(src=st.binary(max_size=200))
@settings(max_examples=150, deadline=None)
def test_laws(src: bytes) -> None:
    for text in (src, b"swap /dev/sdq1 /dev/urandom " + src):
        got = op(text)
        content = got.content if isinstance(got, Edit) else got
        assert isinstance(content, bytes)
        assert content.count(b"\n") == text.count(b"\n")
        again = op(content)
        assert (again.content if isinstance(again, Edit) else again) is content


@pytest.mark.parametrize("path", corpus_params("crypttab", "fstab"))
def test_corpus(path: Path) -> None:
    src = path.read_bytes()
    got = op(src)
    content = got.content if isinstance(got, Edit) else got
    assert isinstance(content, bytes)
    assert content.count(b"\n") == src.count(b"\n")


def test_a_huge_file_is_refused() -> None:
    with pytest.raises(EditError):
        op(b"x /dev/sda1\n" * 100_000)
