"""A guest in which a look-up fails."""

from __future__ import annotations

from typing import Any

from guestfix.backends.directory import DirectoryGuest
from guestfix.base.errors import Unreadable

METHODS = ("stat", "read", "open", "list", "realpath", "readlink", "space", "disks")


class Failing(DirectoryGuest):
    """A directory in which the look-up of this number fails; -1: every one of them."""

    fails_at = 0
    calls = 0
    error: type[Exception] = Unreadable

    def fail(self) -> None:
        self.calls += 1
        if self.fails_at in (-1, self.calls):
            raise self.error("can't be read: Input/output error")


def _failing(name: str) -> Any:
    def method(self: Failing, *args: Any, **more: Any) -> Any:
        self.fail()
        return getattr(DirectoryGuest, name)(self, *args, **more)

    return method


for _name in METHODS:
    setattr(Failing, _name, _failing(_name))
