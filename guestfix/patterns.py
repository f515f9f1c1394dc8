"""Regular expressions that are compiled when they are first used.

A report touches a few of guestfix's several hundred patterns, and compiling one takes a third of a
millisecond: all of them at import would be a good part of a report's whole time.
"""

from __future__ import annotations

import re
from typing import Any, AnyStr, cast


class _Lazy:
    """Stands for a pattern; the first use of a method compiles it and puts its methods here."""

    def __init__(self, source: Any, flags: int) -> None:
        self._args = (source, flags)

    def __getattr__(self, name: str) -> Any:
        if name.startswith("__"):
            raise AttributeError(name)
        compiled = re.compile(*self._args)
        for method in ("match", "fullmatch", "search", "sub", "split", "finditer", "findall", "pattern", "flags"):
            self.__dict__[method] = getattr(compiled, method)
        return getattr(compiled, name)


def regex(source: AnyStr, flags: int = 0) -> re.Pattern[AnyStr]:
    """Return what :func:`re.compile` would, compiled at its first use; ``re.error`` comes then, too."""
    return cast("re.Pattern[AnyStr]", _Lazy(source, flags))
