"""Regular expressions that are compiled when they are first used.

A report touches a few of guestfix's several hundred patterns, and compiling one takes a third of a
millisecond: all of them at import would be a good part of a report's whole time.

Python 3.11.0 to 3.11.4 (Debian 12 has 3.11.2) don't go back to where a repetition began that fails half way, if
the repeated group is possessive (gh-106052): patterns then match what they must not, even nothing for ever. There
each such group is compiled as an atomic one around a repetition that is not possessive, which means the same.
"""

from __future__ import annotations

import re
import sys
from typing import Any, AnyStr, cast

_PATCHED = sys.version_info >= (3, 11, 5)
_POSSESSIVE = ("*+", "++", "?+", "}+")
_POSSESSIVE_BYTES = tuple(mark.encode() for mark in _POSSESSIVE)


class _Lazy:
    """Stands for a pattern; the first use of a method compiles it and puts its methods here."""

    def __init__(self, source: Any, flags: int) -> None:
        self._args = (source, flags)

    def __getattr__(self, name: str) -> Any:
        if name.startswith("__"):
            raise AttributeError(name)
        compiled = re.compile(*self._args) if _PATCHED else compile_atomic(*self._args)
        for method in ("match", "fullmatch", "search", "sub", "split", "finditer", "findall", "flags"):
            self.__dict__[method] = getattr(compiled, method)
        self.__dict__["pattern"] = self._args[0]
        return getattr(compiled, name)


def compile_atomic(source: Any, flags: int) -> re.Pattern[Any]:
    """Return the pattern without possessive groups: of the standard library's parser and compiler, as 3.11 has them."""
    from re import _compiler, _parser  # type: ignore[attr-defined]

    if not any(mark in source for mark in (_POSSESSIVE if isinstance(source, str) else _POSSESSIVE_BYTES)):
        return re.compile(source, flags)
    tree = _parser.parse(source, flags)
    _make_atomic(tree)
    compiled: re.Pattern[Any] = _compiler.compile(tree, flags)
    return compiled


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


def regex(source: AnyStr, flags: int = 0) -> re.Pattern[AnyStr]:
    """Return what :func:`re.compile` would, compiled at its first use; ``re.error`` comes then, too."""
    return cast("re.Pattern[AnyStr]", _Lazy(source, flags))
