"""Lazy patterns do what compiled ones do, and every pattern of guestfix compiles."""

import importlib
import pkgutil
import re
import sys
from pathlib import Path

import pytest

import guestfix
from guestfix.base.patterns import _Lazy, compile_atomic, regex

GUESTS = Path(__file__).resolve().parents[2] / "testdata" / "guests"


def test_it_behaves_as_a_compiled_pattern():
    lazy = regex(r"(\d+)-(?P<word>\w+)", re.IGNORECASE)
    real = re.compile(r"(\d+)-(?P<word>\w+)", re.IGNORECASE)
    for text in ("12-ab", "x 3-c y", "", "none"):
        for method in ("match", "fullmatch", "search"):
            one, other = getattr(lazy, method)(text), getattr(real, method)(text)
            assert (one and one.groups()) == (other and other.groups())
        assert lazy.findall(text) == real.findall(text) and lazy.split(text) == real.split(text)
        assert lazy.sub("!", text) == real.sub("!", text)
    assert lazy.pattern == real.pattern and lazy.flags == real.flags
    assert lazy.groups == 2
    assert regex(rb"a+").match(b"aa")[0] == b"aa"


def test_a_broken_pattern_tells_at_its_first_use():
    with pytest.raises(re.error):
        regex("(").match("x")


def every_pattern() -> list[_Lazy]:
    names = [one.name for one in pkgutil.walk_packages(guestfix.__path__, "guestfix.")]
    modules = [importlib.import_module(name) for name in names if not name.endswith("__main__")]
    return [value for module in modules for value in vars(module).values() if isinstance(value, _Lazy)]


def test_every_pattern_of_the_package_compiles():
    found = [value.match for value in every_pattern()]
    assert len(found) > 50


@pytest.mark.parametrize(
    ("source", "text", "end"),
    [
        (r"(?:.(?!D))++", "ABCDE", 2),
        (r"(?:.(?!D))*+", "ABCDE", 2),
        (r"(?:ab?c)++", "aca", 2),
        (r"(?:ab?c)*+", "aca", 2),
        (r"(?:ab?c){1,3}+", "aca", 2),
        (r"x|(?=a)((?:ab?c)*+|y)a?+", "aca", 3),
        (r"(?:a|\\.)*+", "a\\", 1),
        (r"(?:(?:ab?c)*+x|a)", "acax", 1),
        (r"[ab]++b?", "abab", 4),
    ],
)
def test_a_possessive_group_goes_back_where_a_repetition_fails(source, text, end):
    """gh-100061 and gh-106052: so on every Python, as Debian 12's is one that gets it wrong."""
    for compiled in (compile_atomic(source, 0), regex(source)):
        assert compiled.match(text).end() == end
    assert compile_atomic(source.encode(), 0).match(text.encode()).end() == end


def test_patterns_mean_the_same_without_possessive_groups():
    if sys.version_info < (3, 11, 5):
        pytest.skip("this Python's own possessive groups go wrong, so there is nothing to compare with")
    data = b"".join(path.read_bytes()[:20000] for path in sorted(GUESTS.rglob("*")) if path.is_file())[:300_000]
    compared = 0
    for value in every_pattern():
        source, flags = value._args
        raw = source if isinstance(source, bytes) else source.encode()
        if b")*+" in raw or b")++" in raw or b")?+" in raw or b"}+" in raw:
            text = data if isinstance(source, bytes) else data.decode("utf-8", "replace")
            one, other = re.compile(source, flags), compile_atomic(source, flags)
            assert [m.span() for m in one.finditer(text)] == [m.span() for m in other.finditer(text)], source
            compared += 1
    assert compared > 7
