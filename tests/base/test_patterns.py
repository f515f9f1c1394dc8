"""Lazy patterns do what compiled ones do, and every pattern of guestfix compiles."""

import importlib
import json
import pkgutil
import re
import sys
from pathlib import Path

import pytest

import guestfix
from guestfix.base import cache, patterns
from guestfix.base.patterns import _Lazy, form_of, made_of, regex

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


def atomic(source, flags=0):
    return made_of(source, *form_of(source, flags, atomic=True))


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
    for compiled in (atomic(source, 0), regex(source)):
        assert compiled.match(text).end() == end
    assert atomic(source.encode(), 0).match(text.encode()).end() == end


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
            one, other = re.compile(source, flags), atomic(source, flags)
            assert [m.span() for m in one.finditer(text)] == [m.span() for m in other.finditer(text)], source
            compared += 1
    assert compared > 7


def test_a_kept_form_stands_for_the_same_pattern():
    for value in every_pattern():
        source, flags = value._args
        made = made_of(source, *json.loads(json.dumps(form_of(source, flags, atomic=False))))
        real = re.compile(source, flags)
        assert (made.pattern, made.flags, made.groups, made.groupindex) == (
            real.pattern,
            real.flags,
            real.groups,
            real.groupindex,
        )
        data = (
            b"root=UUID=1 /dev/sda1 ext4 defaults,noatime 0 1\nmenuentry 'x' { linux /vmlinuz-6.1 quiet }\n# 10.0.0.1"
        )
        text = data if isinstance(source, bytes) else data.decode()
        if b"+" not in (source if isinstance(source, bytes) else source.encode()):  # else gh-106052 has its say
            assert [m.span() for m in made.finditer(text)] == [m.span() for m in real.finditer(text)], source


@pytest.fixture
def an_empty_cache(tmp_path, monkeypatch):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    monkeypatch.setattr(patterns, "_kept", {})
    monkeypatch.setattr(patterns, "_fresh", {})


def test_what_was_compiled_is_kept_for_the_next_run(an_empty_cache, monkeypatch):
    assert regex(r"(?P<a>x)|(y)").fullmatch("x")["a"] == "x"
    patterns.retain()
    patterns._kept.clear()
    patterns.recall()
    monkeypatch.setattr(patterns, "form_of", None)
    again = regex(r"(?P<a>x)|(y)")
    assert again.fullmatch("y")[2] == "y" and again.fullmatch("x")["a"] == "x" and again.pattern == r"(?P<a>x)|(y)"
    with pytest.raises(TypeError, match="string pattern"):
        again.match(b"x")


NUMBERS = ("00", "zz", "", "ffffffff")
NO_FORMS = [[0], None, 7, [0, 0, {"a": 5}, ""], [0, 0, [], ""], ["", 0, {}, ""], *([0, 1, {}, one] for one in NUMBERS)]


@pytest.mark.parametrize("form", NO_FORMS)
def test_what_is_kept_and_is_no_form_is_compiled_again(an_empty_cache, form):
    cache.write(patterns._name(), {"0 text a|b": form})
    patterns.recall()
    assert regex("a|b").fullmatch("b")


@pytest.mark.parametrize("kept", [[], 5, None, "text", {}])
def test_what_is_kept_and_is_no_table_is_none(an_empty_cache, kept):
    cache.write(patterns._name(), kept)
    patterns.recall()
    assert regex("a|b").fullmatch("b") and patterns._kept == {}


def test_no_more_is_kept_than_a_bound(an_empty_cache, monkeypatch):
    monkeypatch.setattr(patterns, "MOST_KEPT", 1)
    regex("one").match("one"), regex("two").match("two")
    patterns.retain()
    assert cache.read(patterns._name()) is None


@pytest.mark.parametrize("recalled", [False, True])
def test_a_library_is_imported_as_anybody_does_it_in_another_program(tmp_path, monkeypatch, recalled):
    name = f"with_patterns_{recalled}"
    (tmp_path / f"{name}.py").write_text("import re\nfrom re import _compiler\nFOUND = _compiler.compile\n")
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.setattr(patterns, "_recalled", recalled)
    from re import _compiler

    own = _compiler.compile
    assert (patterns.import_kept(name).FOUND is own) is not recalled
    assert _compiler.compile is own
