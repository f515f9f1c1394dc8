"""Shell patterns mean what glob(7) says, with and without the short cut for a single star."""

from fnmatch import fnmatchcase

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from guestfix.backends.directory import DirectoryGuest
from guestfix.base.globs import glob, name_matcher, path_matches, text_matcher
from tests.build.tree import build

NAMES = st.text(alphabet="ab.*?[]-", min_size=1, max_size=6)


@given(NAMES, st.text(alphabet="ab.*?", min_size=1, max_size=6))
def test_names_match_as_fnmatch_says_but_for_leading_dots(name, pattern):
    hidden = name.startswith(".") and not pattern.startswith(".")
    assert name_matcher(pattern)(name) == (fnmatchcase(name, pattern) and not hidden)


TEXTS = st.text(alphabet="ab-/\n.*?[]!", max_size=8)


@settings(max_examples=600)
@given(TEXTS, TEXTS)
def test_texts_match_as_fnmatch_says(text, pattern):
    test = text_matcher(pattern)
    assert test(text) == fnmatchcase(text, pattern) == test(text)


@given(st.text(alphabet="ab", max_size=9), st.lists(st.text(alphabet="ab", max_size=2), min_size=1, max_size=5))
def test_stars_leave_the_rest_to_each_other(text, pieces):
    assert text_matcher("*".join(pieces))(text) == fnmatchcase(text, "*".join(pieces))


@pytest.mark.parametrize(
    ("path", "pattern", "expected"),
    [
        ("/etc/a.conf", "/etc/*.conf", True),
        ("/etc/.a.conf", "/etc/*.conf", False),
        ("/etc/.a.conf", "/etc/.*.conf", True),
        ("/etc/x/a.conf", "/etc/*.conf", False),
        ("/etc/x/y/a", "/etc/**/a", True),
        ("/etc/a", "/etc/**/a", True),
        ("/anything/at/all", "/**", True),
        ("/etc/a1", "/etc/a[0-9]", True),
        ("/etc/ab", "/etc/a?", True),
        ("/etc/A", "/etc/a", False),
    ],
)
def test_paths(path, pattern, expected):
    assert path_matches(path, pattern) is expected


def test_case_is_ignored_where_the_guest_does():
    assert path_matches("/Windows/System32/X", "/windows/system32/*", True)


def test_glob_lists_what_exists(tmp_path):
    files = {"etc/a.conf": "", "etc/b.conf": "", "etc/.c.conf": "", "etc/d/e.conf": "", "etc/l.conf": ("link", "none")}
    guest = DirectoryGuest(str(build(tmp_path / "g", files)))
    assert glob(guest, "/etc/*.conf") == ("/etc/a.conf", "/etc/b.conf", "/etc/l.conf")
    assert glob(guest, "/*/d/*") == ("/etc/d/e.conf",)
    assert glob(guest, "/etc/none") == ()
    assert glob(guest, "/etc/a.conf") == ("/etc/a.conf",)
