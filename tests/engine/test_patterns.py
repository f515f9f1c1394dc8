"""Lazy patterns do what compiled ones do, and every pattern of guestfix compiles."""

import importlib
import pkgutil
import re

import pytest

import guestfix
from guestfix.patterns import _Lazy, regex


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


def test_every_pattern_of_the_package_compiles():
    found = 0
    for module in pkgutil.walk_packages(guestfix.__path__, "guestfix."):
        if module.name.endswith("__main__"):
            continue
        for value in vars(importlib.import_module(module.name)).values():
            if isinstance(value, _Lazy):
                assert value.pattern is not None
                found += 1
    assert found > 50
