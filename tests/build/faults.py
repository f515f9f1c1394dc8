"""Guests in a folder on which something happens at the n-th write."""

from __future__ import annotations

from collections.abc import Callable

from guestfix.backends.directory import DirectoryGuest

WRITES = ("put", "put_symlink", "mkdir", "rename", "keep", "drop", "set_times")


def at_write(root: str, number: int, happens: Callable[[], None], *, onward: bool = False) -> DirectoryGuest:
    """Return a guest on which something happens just before the n-th write, which goes on if that raises nothing.

    ``onward``: before every later one too.
    """

    class Told(DirectoryGuest):
        writes = 0

    def wrap(name: str) -> Callable[..., object]:
        def method(self: Told, *args: object) -> object:
            self.writes += 1
            if self.writes == number or (onward and self.writes > number):
                happens()
            return getattr(DirectoryGuest, name)(self, *args)

        return method

    for name in WRITES:
        setattr(Told, name, wrap(name))
    return Told(root)
