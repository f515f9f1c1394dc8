"""Sources of time that are left: taken out, with the target's in their place, and the rest byte for byte."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from guestfix.base.edit import Content, Edit
from guestfix.base.errors import EditError
from guestfix.editors.system.timesync import PHC, replace
from guestfix.formats.timesync import DIALECTS, MOST_SOURCES, sources

OLD = "169.254.169.123"
WAS = "# guestfix: of the old platform: "
CLOCK = PHC.format("/dev/ptp_x")


def edit(src: bytes | None, dialect: str, **more: object) -> tuple[Content, tuple[str, ...]]:
    arguments: dict[str, object] = {"gone": [OLD, "/dev/ptp_hyperv"], "others": ["x"], **more}
    found = replace(src, dialect=dialect, **arguments)  # type: ignore[arg-type]
    return (found.content, tuple(one.code for one in found.notes)) if isinstance(found, Edit) else (found, ())


SAME = [
    ("chrony", "pool 2.debian.pool.ntp.org iburst\n"),
    ("chrony", f"# server {OLD}\n! server {OLD}\n; server {OLD}\n% server {OLD}\n"),
    ("chrony", f"allow {OLD}\nserver\nrefclock PPS /dev/ptp_hyperv\nrefclock PHC\nserver x # {OLD}\n"),
    ("ntp", f"restrict {OLD}\nserver 127.127.1.0\nrefclock PHC /dev/ptp_hyperv\n"),
    ("timesyncd", f"[Time]\n#NTP={OLD}\nNTP=a\n[Other]\nNTP={OLD}\n"),
    ("hosts", f"# {OLD}\nntp.example.org\n"),
]
CHANGED = [
    ("chrony", f"server {OLD} prefer\nx\n", f"{WAS}server {OLD} prefer\nserver a iburst prefer\n{CLOCK}\nx\n"),
    ("chrony", f"  SERVER {OLD}", f"{WAS}  SERVER {OLD}\nserver a iburst prefer\n{CLOCK}\n"),
    (
        "chrony",
        "refclock phc /dev/ptp_hyperv:extpps poll 3\nserver a\n",
        f"{WAS}refclock phc /dev/ptp_hyperv:extpps poll 3\n{CLOCK}\nserver a\n",
    ),
    (
        "chrony",
        f"initstepslew 30 {OLD} b\r\n",
        f"{WAS}initstepslew 30 {OLD} b\r\nserver a iburst prefer\r\n{CLOCK}\r\n",
    ),
    (
        "ntp",
        f"a\nserver -6 {OLD} iburst\npeer {OLD}\n",
        f"a\n{WAS}server -6 {OLD} iburst\nserver a iburst prefer\n{WAS}peer {OLD}\n",
    ),
    ("openntpd", f"servers {OLD} weight 5\n", f"{WAS}servers {OLD} weight 5\nserver a\n"),
    ("hosts", f"{OLD}\n", f"{WAS}{OLD}\na\n"),
    ("timesyncd", f"[Time]\nNTP=b {OLD}\nFallbackNTP={OLD} c\n", "[Time]\nNTP=a b\nFallbackNTP=c\n"),
    ("timesyncd", f"[Time]\nNTP={OLD} \\\n  b", "[Time]\nNTP=a b"),
]


@pytest.mark.parametrize(("dialect", "text"), SAME)
def test_what_is_not_old_stays_the_same_object(dialect, text):
    src = text.encode()
    assert edit(src, dialect, servers=["a"], device="/dev/ptp_x")[0] is src
    assert edit(None, dialect) == (None, ())


@pytest.mark.parametrize(("dialect", "before", "after"), CHANGED)
def test_the_targets_take_the_place_of_the_old_ones(dialect, before, after):
    found, told = edit(before.encode(), dialect, servers=["a"], device="/dev/ptp_x")
    assert isinstance(found, bytes) and found.decode() == after and told == ()
    assert edit(found, dialect, servers=["a"], device="/dev/ptp_x")[0] is found


def test_where_none_is_left_that_is_told():
    text = f"server {OLD}\n".encode()
    assert edit(text, "chrony", others=[])[1] == ("GF-TIME-SOURCE-NONE",)
    assert edit(text, "chrony", others=[], servers=["a"])[1] == edit(text, "chrony")[1] == ()
    assert edit(f"{OLD}\n".encode(), "hosts", others=[])[1] == ()


@pytest.mark.parametrize("bad", [{"dialect": "w32time"}, {"servers": ["a\nb"]}, {"device": "/dev/a b"}])
def test_what_can_be_no_source_is_refused(bad):
    with pytest.raises(EditError):
        replace(b"", **{"dialect": "chrony", "gone": [], "others": [], **bad})


WORD = st.sampled_from(["server", "pool", "peer", OLD, "a", "refclock", "PHC", "/dev/ptp_hyperv", "#", "NTP=",
    "FallbackNTP=", "[Time]", "\n", "\r\n", " ", "\\\n", "iburst", "\xff", "\0"])  # fmt: skip


@given(st.lists(WORD, max_size=40), st.sampled_from(DIALECTS))
def test_nothing_old_is_left_nothing_else_is_lost_and_again_changes_nothing(words, dialect):
    src = "".join(words).encode("utf-8", "surrogateescape")
    found, _ = edit(src, dialect, servers=["new.example"])
    assert isinstance(found, bytes)
    before, after = ([one.name for one in sources(text, dialect)] for text in (src, found))
    assert OLD not in after and "/dev/ptp_hyperv" not in after
    if dialect != "chrony":  # a line of initstepslew goes as a whole
        assert {one for one in before if one not in (OLD, "/dev/ptp_hyperv")} <= set(after)
    again, _ = edit(found, dialect, servers=["new.example"])
    assert again is found


def test_what_can_be_no_name_is_passed_over():
    src = b"server \xff169.254.169.123\nserver a\x01b\n[Time]\nNTP=\xff \n"
    assert sources(src, "chrony") == sources(src, "timesyncd") == []


def test_a_file_of_many_sources_is_bounded():
    assert len(sources(b"server a\n" * 100_000, "chrony")) == MOST_SOURCES
