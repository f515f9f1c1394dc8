"""Path resolution inside a guest, shared by the backends that see one name at a time."""

from __future__ import annotations

from collections.abc import Callable

from guestfix.base.bounds import LINKS
from guestfix.base.errors import NotFound, SymlinkLoop

MAX_LINKS = LINKS
"""Links followed in one look-up, as in the kernel (path_resolution(7))."""


def pieces(path: str) -> list[str]:
    """Return the components of a path or link target, without the empty ones and ``.``."""
    return [part for part in path.split("/") if part not in ("", ".")]


def resolve(
    path: str, child: Callable[[str, str], str], link_target: Callable[[str], str | None], *, follow: bool = True
) -> str:
    """Return the guest path without links, as openat2(2) does with RESOLVE_IN_ROOT.

    ``child(folder, name)`` joins a link-free folder and a name (and may correct the name's case);
    ``link_target(path)`` gives a symbolic link's text, or None for anything else. What comes after a
    missing component is kept as it is. With ``follow=False`` a link in the last component stays.
    """
    if "\0" in path:
        raise NotFound("a path can't hold a NUL byte", where=path.replace("\0", "\\0"))
    todo = pieces(path)[::-1]
    at, links = "/", 0
    while todo:
        part = todo.pop()
        if part == "..":
            at = at.rpartition("/")[0] or "/"
            continue
        step = child(at, part)
        if not follow and not todo:
            return step
        target = link_target(step)
        if target is None:
            at = step
            continue
        links += 1
        if links > MAX_LINKS:
            raise SymlinkLoop("too many symbolic links", where=path)
        if target.startswith("/"):
            at = "/"
        todo += pieces(target)[::-1]
    return at
