"""multipath.conf as its manual page says."""

from __future__ import annotations

import pytest

from guestfix.base.errors import TooLarge
from guestfix.formats.storage.multipath import Keyword, read

EVERY = b"""\
! a comment
defaults {
    user_friendly_names yes # a comment {
    find_multipaths "strict"
    user_friendly_names no
}
blacklist {
    devnode "^(ram|loop)[0-9]*"
    device {
        vendor "A ""B"" {C}"
        product X.*
    }
    device {
        vendor "#!"
    }
}
multipaths {
    multipath { wwid 1
    multipath {
        wwid 3600508b4000156d700012000000b0000
        alias yellow
    }
}
odd
}
}
"""


def test_every_form_and_its_line() -> None:
    found = read(EVERY)
    defaults, blacklist, multipaths = found.root.sections
    assert (defaults.name, defaults.line, blacklist.line) == ("defaults", 2, 7)
    assert defaults.get("find_multipaths") == Keyword("find_multipaths", "strict", 4)
    assert blacklist.keywords == [Keyword("devnode", "^(ram|loop)[0-9]*", 8)]
    devices = blacklist.all("device")
    assert [one.line for one in devices] == [9, 13]
    assert devices[0].keywords == [Keyword("vendor", 'A "B" {C}', 10), Keyword("product", "X.*", 11)]
    assert devices[1].get("vendor") == Keyword("vendor", "#!", 14)
    (one,) = multipaths.all("multipath")
    assert one.get("alias") == Keyword("alias", "yellow", 21)
    assert [(odd.line, odd.text) for odd in found.odd] == [
        (18, "multipath { wwid 1"),
        (24, "odd"),
        (25, "}"),
        (26, "}"),
    ]


def test_the_last_keyword_of_a_name_counts() -> None:
    (defaults,) = read(EVERY).root.all("defaults")
    assert defaults.get("user_friendly_names") == Keyword("user_friendly_names", "no", 5)
    assert defaults.get("nothing") is None


def test_bounds() -> None:
    deep = read(b"a {\n" * 40)
    assert len(deep.odd) == 32
    with pytest.raises(TooLarge, match=r"multipath\.conf has more than"):
        read(b"a b\n" * 30_000)
