"""udev rules as udev(7) says, over those of this host and the corpus."""

from __future__ import annotations

import glob
from pathlib import Path

import pytest

from guestfix.base.errors import TooLarge
from guestfix.formats.network import udevnet
from guestfix.formats.udevrules import Key, keys_of, read
from tests.build.corpus import corpus_params

EVERY = rb"""
# a comment
SUBSYSTEM=="net", ACTION!="remove", \
  # a comment within
  ATTR{address}=="00:11:22:33:44:55", NAME="eth0"
KERNEL=="sd*" ENV{ID_SERIAL}=="?*", SYMLINK+="disk/by-id/$env{ID_SERIAL}", TAG-="x", OPTIONS:="nowatch"
PROGRAM=="/bin/sh -c \"x\"", RESULT==i"YES", ENV{A}=e"tab\tA\x41\101\"", LABEL="end",
KERNEL="unquoted
NAME=eth0
"""


def test_every_form_and_its_line() -> None:
    found = read(EVERY)
    assert [(one.line, len(one.keys)) for one in found.rules] == [(3, 4), (6, 5), (7, 4)]
    assert found.rules[0].keys == (
        Key("SUBSYSTEM", "", "==", "net"),
        Key("ACTION", "", "!=", "remove"),
        Key("ATTR", "address", "==", "00:11:22:33:44:55"),
        Key("NAME", "", "=", "eth0"),
    )
    assert [one.operator for one in found.rules[1].keys] == ["==", "==", "+=", "-=", ":="]
    assert found.rules[2].keys == (
        Key("PROGRAM", "", "==", '/bin/sh -c "x"'),
        Key("RESULT", "", "==", "YES", "i"),
        Key("ENV", "A", "=", 'tab\tAAA"', "e"),
        Key("LABEL", "", "=", "end"),
    )
    assert [(odd.line, odd.text) for odd in found.odd] == [(8, 'KERNEL="unquoted'), (9, "NAME=eth0")]


def test_what_matches_and_what_assigns() -> None:
    rule = read(EVERY).rules[0]
    assert [one.name for one in rule.matching()] == ["SUBSYSTEM", "ACTION", "ATTR"]
    assert [one.name for one in rule.assigning()] == ["NAME"]


def test_the_keys_before_what_is_none() -> None:
    text = 'SUBSYSTEM=="net", NAME="a", oops'
    assert keys_of(text) == (Key("SUBSYSTEM", "", "==", "net"), Key("NAME", "", "=", "a"))
    assert keys_of(text, whole=True) is None


@pytest.mark.parametrize("path", sorted(glob.glob("/usr/lib/udev/rules.d/*.rules")) or [None])
def test_the_rules_of_this_host(path: str | None) -> None:
    """Each line of a rule that udev itself ships is one of ours, and every quoted value is in it."""
    if path is None:
        pytest.skip("this host has no udev rules")
    src = Path(path).read_bytes()
    found = read(src)
    assert found.odd == ()
    lines = src.decode().split("\n")
    joined = "\n".join(lines).replace("\\\n", " ").split("\n")
    assert len(found.rules) == len([one for one in joined if one.strip() and not one.strip().startswith("#")])
    assert sum(len(one.keys) for one in found.rules) * 2 <= src.count(b'"')
    for rule in found.rules:
        assert lines[rule.line - 1].strip().startswith(rule.keys[0].name)


@pytest.mark.parametrize("path", corpus_params("udev-net"))
def test_real_files(path: Path) -> None:
    src = path.read_bytes()
    found = read(src)
    assert found.odd == () or (src.startswith(b"U2FsdGVk") and found.rules == ())


def test_bounds() -> None:
    with pytest.raises(TooLarge, match="a file of udev rules has more than"):
        read(b'A="b"\n' * 30_000)


@pytest.mark.parametrize(
    "path", [*map(Path, sorted(glob.glob("/usr/lib/udev/rules.d/*.rules"))), *corpus_params("udev-net")]
)
def test_the_short_way_says_what_the_grammar_says(path: Path) -> None:
    """Rules as udev's own generator writes them are read without the grammar; all others are left to it."""
    plain = 0
    for line in path.read_text("utf-8", "surrogateescape").splitlines():
        if keys := udevnet.plain_keys(line):
            plain += 1
            read = keys_of(line, whole=True)
            assert read is not None
            assert keys == [
                (f"{k.name}{{{k.attribute}}}" if k.attribute else k.name, k.operator, k.value) for k in read
            ]
    assert plain or "persistent-net.rules" not in path.name
