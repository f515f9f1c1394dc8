"""The condition language: its grammar, its three values."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from guestfix.base.facts import Facts, Unknown
from guestfix.pack.when import ConditionError, evaluate, facts_of, read_condition


def facts():
    known = Facts()
    known.put("os.id", "rhel")
    known.put("os.version", "8.10")
    known.put("os.list", ["grub2", "bls"])
    known.put("a.yes", True)
    known.put("a.no", False)
    known.put("a.number", 7)
    known.put("a.empty", "")
    known.put("a.unknown", Unknown("never seen"))
    return known


TABLE = [
    ("os.id == rhel", True),
    ("os.id != rhel", False),
    ('os.id == "rhel"', True),
    ("os.version > 8.9", True),
    ("os.version >= 8.10", True),
    ("os.version < 8.9", False),
    ("os.version <= 8.10.1", True),
    ("os.version == 8.1", False),
    ("a.number == 7", True),
    ("a.yes == true", True),
    ("a.no == false", True),
    ("a.yes", True),
    ("a.no", False),
    ("a.empty", False),
    ("os.id in [centos, rhel]", True),
    ("os.id not in [centos, rhel]", False),
    ("os.list has bls", True),
    ("os.list has uki", False),
    ("os.id has rhel", False),
    ("exists /etc/fstab", True),
    ("exists /etc/none", False),
    ("not exists /etc/none", True),
    ("known os.id", True),
    ("known a.unknown", False),
    ("known a.missing", False),
    ("a.unknown == x", None),
    ("a.missing == x", None),
    ("not a.unknown", None),
    ("a.unknown == x and a.no", False),
    ("a.unknown == x and a.yes", None),
    ("a.unknown == x or a.yes", True),
    ("a.unknown == x or a.no", None),
    ("a.no or a.no or a.yes", True),
    ("a.yes and a.yes and a.no", False),
    ("not (a.yes and a.no) and os.id == rhel", True),
    ("a.no and a.no or a.yes", True),
    ("not a.no and not a.no", True),
]


@pytest.mark.parametrize(("text", "expected"), TABLE, ids=[text for text, _ in TABLE])
def test_conditions(text, expected):
    assert evaluate(read_condition(text)[0], facts(), lambda path: path == "/etc/fstab") is expected


MISTAKES = [
    ("", 1),
    ("linux", 1),
    ("os.id =", 7),
    ("os.id == ", 10),
    ("os.id = rhel", 7),
    ("os.id == rhel and", 18),
    ("(os.id == rhel", 15),
    ("os.id in rhel", 10),
    ("exists etc/fstab", 8),
    ("os.id == rhel rhel", 15),
]


@pytest.mark.parametrize(("text", "column"), MISTAKES, ids=[repr(text) for text, _ in MISTAKES])
def test_mistakes_have_a_column(text, column):
    with pytest.raises(ConditionError) as caught:
        read_condition(text)[0]
    assert caught.value.column == column


def test_the_facts_of_a_condition():
    assert facts_of(read_condition("os.id == a and (b.c or not d.e has f) or exists /x")[0]) == ["os.id", "b.c", "d.e"]


@given(st.text(max_size=40))
def test_any_text_compiles_or_says_where(text):
    try:
        read_condition(text)[0]
    except ConditionError as error:
        assert error.column >= 1
