"""Addresses in files of lines: the host that a table has, and the rest byte for byte."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from guestfix.base.errors import EditError
from guestfix.editors.system.urls import replace_hosts

TABLE = {"a.example": "b.example"}
SAME = [
    "",
    "deb http://c.example/ x\n",
    "# deb http://a.example/ x\n  # http://a.example\n",
    "deb http://a.example.org/ x\ndeb http://x.a.example/\na.example\nhttp:/a.example\n",
]
CHANGED = [
    ("deb http://A.example/u x", "deb http://b.example/u x"),
    ("x=https://u:p@a.example:80/a.example\r\ny", "x=https://u:p@b.example:80/a.example\r\ny"),
    ("URIs: http://a.example/ ftp://a.example\n", "URIs: http://b.example/ ftp://b.example\n"),
]


@pytest.mark.parametrize("text", SAME)
def test_other_hosts_and_comments_stay(text):
    src = text.encode()
    assert replace_hosts(src, table=TABLE) is src and replace_hosts(None, table=TABLE) is None
    assert replace_hosts(src, table={}) is src


@pytest.mark.parametrize(("before", "after"), CHANGED)
def test_a_host_of_the_table_is_replaced(before, after):
    found = replace_hosts(before.encode(), table=TABLE)
    assert found == after.encode() and replace_hosts(found, table=TABLE) is found


def test_what_is_no_host_is_refused():
    with pytest.raises(EditError):
        replace_hosts(b"", table={"a": "b/c"})


@given(
    st.lists(st.sampled_from(["://", "a.example", "b.example", "#", "\n", "\r\n", " ", "@", "/", "\xff", "plugin:"]))
)
def test_lines_stay_lines_and_again_changes_nothing(words):
    src = "".join(words).encode("utf-8", "surrogateescape")
    found = replace_hosts(src, table=TABLE)
    assert isinstance(found, bytes) and found.count(b"\n") == src.count(b"\n")
    assert found.replace(b"b.example", b"a.example") == src.replace(b"b.example", b"a.example")
    assert replace_hosts(found, table=TABLE) is found
