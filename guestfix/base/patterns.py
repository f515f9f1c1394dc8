"""Regular expressions that are compiled when they are first used, and whose compiled form is kept between runs.

A report uses some hundred of guestfix's patterns, and compiling them, in Python, was a tenth of its time; making a
pattern of its compiled form (the numbers that the standard library's compiler hands to its matcher, which checks
them) takes a fiftieth. They stand in the user's cache folder, for one release of Python and of guestfix.

Python 3.11.0 to 3.11.4 (Debian 12 has 3.11.2) don't go back to where a repetition began that fails half way, if
the repeated group is possessive (gh-106052): patterns then match what they must not, even nothing for ever. There
each such group is compiled as an atomic one around a repetition that is not possessive, which means the same.
"""

from __future__ import annotations

import re
import sys
from typing import TYPE_CHECKING, Any, AnyStr, cast

if TYPE_CHECKING:
    from types import ModuleType

_PATCHED = sys.version_info >= (3, 11, 5)
_KNOWN = sys.implementation.name == "cpython" and sys.version_info < (3, 15)
"""Whether this Python's compiler is one of those that were tried: else patterns are compiled as anybody does it."""

MOST_KEPT = 2000
"""Patterns that are kept; guestfix has some four hundred."""

_NO_FORM = (AttributeError, LookupError, TypeError, ValueError, RuntimeError, OverflowError)

Form = tuple[int, int, dict[str, int], str]
"""A pattern's compiled form: flags, number of groups, their names, and the matcher's numbers in hex."""

_kept: dict[str, Form] = {}
_fresh: dict[str, Form] = {}
_recalled = False


class _Lazy:
    """Stands for a pattern; the first use of a method compiles it and puts its methods here."""

    def __init__(self, source: Any, flags: int) -> None:
        self._args = (source, flags)

    def __getattr__(self, name: str) -> Any:
        if name.startswith("__"):
            raise AttributeError(name)
        compiled = compile_once(*self._args) if _KNOWN else re.compile(*self._args)
        for method in ("match", "fullmatch", "search", "sub", "split", "finditer", "findall", "flags", "pattern"):
            self.__dict__[method] = getattr(compiled, method)
        return getattr(compiled, name)


_made: dict[tuple[str | bytes, int], _Lazy] = {}


def compile_once(source: AnyStr, flags: int) -> re.Pattern[AnyStr]:
    """Return the pattern, of its compiled form where that was kept. Raises re.error."""
    key = f"{flags} text {source}" if isinstance(source, str) else f"{flags} bytes {source.decode('latin-1')}"
    if key in _kept:
        try:
            return made_of(source, *_kept[key])
        except _NO_FORM:  # not what was written there: the matcher refuses wrong numbers
            del _kept[key]
    _fresh[key] = form = form_of(source, flags)
    return made_of(source, *form)


def import_kept(library: str) -> ModuleType:
    """Import a library whose modules compile patterns while they load, and keep the compiled forms of these too.

    Only in a run of the command line, which keeps forms (:func:`recall`) and has the process for itself: in another
    program's, patterns of its threads would go the same way meanwhile.
    """
    import importlib

    if library in sys.modules or not _recalled:
        return importlib.import_module(library)
    from re import _compiler  # type: ignore[attr-defined]

    compiled, _compiler.compile = _compiler.compile, lambda source, flags=0: compile_once(source, int(flags))
    try:
        return importlib.import_module(library)
    finally:
        _compiler.compile = compiled


def form_of(source: str | bytes, flags: int, *, atomic: bool = not _PATCHED) -> Form:
    """Return a pattern's compiled form; ``atomic``: without possessive groups."""
    from array import array
    from re import _compiler, _parser  # type: ignore[attr-defined]

    tree = _parser.parse(source, flags)
    if atomic:
        _make_atomic(tree)
    numbers = array("I", _compiler._code(tree, flags))
    return int(flags | tree.state.flags), tree.state.groups - 1, dict(tree.state.groupdict), numbers.tobytes().hex()


def made_of(source: AnyStr, flags: int, groups: int, names: dict[str, int], numbers: str) -> re.Pattern[AnyStr]:
    """Return the pattern that a compiled form stands for. Raises one of _NO_FORM for none."""
    from re import _compiler  # type: ignore[attr-defined]

    named: list[str | None] = [None] * (groups + 1)
    for name, group in names.items():
        named[group] = name
    code = memoryview(bytes.fromhex(numbers)).cast("I").tolist()
    made: re.Pattern[AnyStr] = _compiler._sre.compile(source, flags, code, groups, names, tuple(named))
    return made


def _make_atomic(tree: Any) -> None:
    """Put atomic groups in the place of possessive ones, at any depth.

    What repeats one character or class is right in every release, and fast.
    """
    from re import _compiler, _parser  # type: ignore[attr-defined]

    for number, (code, value) in enumerate(tree):
        parts = value if isinstance(value, tuple | list) else (value,)
        for part in parts:
            for inner in part if isinstance(part, list) else (part,):
                if isinstance(inner, _parser.SubPattern):
                    _make_atomic(inner)
        if code is _parser.POSSESSIVE_REPEAT and not _compiler._simple(value[2]):
            repeat = _parser.SubPattern(tree.state, [(_parser.MAX_REPEAT, value)])
            tree[number] = (_parser.ATOMIC_GROUP, repeat)


def _name() -> str:
    from re import _compiler  # type: ignore[attr-defined]

    from guestfix import __version__

    return f"patterns-1-{__version__}-{sys.hexversion:x}-{_compiler.MAGIC}-{sys.byteorder}"


def recall() -> None:
    """Take up the compiled forms of earlier runs."""
    global _recalled
    from guestfix.base import cache

    _recalled = _KNOWN
    kept = cache.read(_name()) if _KNOWN else None
    if isinstance(kept, dict):
        _kept.update(kept)


def retain() -> None:
    """Keep what this run has compiled for the next ones."""
    if _fresh and _KNOWN and len(_kept) + len(_fresh) <= MOST_KEPT:
        from guestfix.base import cache

        cache.write(_name(), _kept | _fresh)
        _kept.update(_fresh)
        _fresh.clear()


def regex(source: AnyStr, flags: int = 0) -> re.Pattern[AnyStr]:
    """Return what :func:`re.compile` would, compiled at its first use; ``re.error`` comes then, too.

    For patterns that stand in the source, of a module or beside their one use (``regex("...").match(text)``); one that
    is put together of what a guest or pack says is for ``re`` itself: it is not to be kept.
    """
    known = _made.get((source, flags))
    if known is None:
        known = _made[source, flags] = _Lazy(source, flags)
    return cast("re.Pattern[AnyStr]", known)
