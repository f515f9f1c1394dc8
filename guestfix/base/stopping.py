"""The wish to stop, from a signal, another thread or a clock, and the points at which the work follows it.

Nothing is ever cut off in the middle: a wish is only put down, and the work looks for it where it can stop
(:func:`check`). What would be half done is done under :func:`held`; there only :func:`between` follows a wish.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar

from guestfix.base.errors import Stopped

CALLBACK, CANCEL, TIMEOUT = "callback", "cancel", "timeout"
"""Who wishes to stop, besides signals, which are called by their names."""


class Stop:
    """The wish to end a piece of work. ``seconds`` from now on it is wished by itself; None is never.

    ``above`` is the wish to end what this work is a part of, so it is one to end this work too.

    :meth:`wish` may be called from a signal handler or another thread; everything else by whoever does the work.
    """

    def __init__(self, seconds: float | None = None, above: Stop | None = None) -> None:
        self._by = ""
        self._above = above
        self._end = None if seconds is None else time.monotonic() + seconds
        self.holds = 0

    def wish(self, by: str) -> None:
        """Ask the work to stop. The first wish is the one that is told."""
        self._by = self._by or by

    @property
    def by(self) -> str:
        """Who wishes to stop; empty while nobody does."""
        if not self._by and self._end is not None and time.monotonic() > self._end:
            self._by = TIMEOUT
        return self._by or (self._above.by if self._above is not None else "")


_CURRENT: ContextVar[Stop | None] = ContextVar("guestfix-stop", default=None)


def current() -> Stop | None:
    """Return the wish that this thread's work follows, or None where nothing can stop it."""
    return _CURRENT.get()


@contextmanager
def following(stop: Stop) -> Iterator[None]:
    """Within the block, this thread's work follows the wish."""
    token = _CURRENT.set(stop)
    try:
        yield
    finally:
        _CURRENT.reset(token)


def follow(stop: Stop | None) -> None:
    """Let this thread's work follow the wish from now on; None is that nothing stops it."""
    _CURRENT.set(stop)


def wished() -> str:
    """Return who wishes to stop; empty while nobody does."""
    stop = _CURRENT.get()
    return stop.by if stop is not None else ""


UNCHANGED = "this step changed nothing"


def check(state: str = UNCHANGED) -> None:
    """Raise Stopped, which tells ``state``, where that is wished, unless what is being done must be finished."""
    stop = _CURRENT.get()
    if stop is not None and not stop.holds and stop.by:
        raise Stopped(state, by=stop.by)


def between() -> None:
    """Raise Stopped where that is wished: one piece of what must not be half done is finished."""
    if by := wished():
        raise Stopped(UNCHANGED, by=by)


@contextmanager
def held() -> Iterator[None]:
    """Within the block, :func:`check` raises nothing."""
    stop = _CURRENT.get()
    if stop is None:
        yield
        return
    stop.holds += 1
    try:
        yield
    finally:
        stop.holds -= 1


Progress = Callable[[str, int, int], None]


class Late:
    """Tells progress where it is too late to stop. ``by`` is who wished to, or whose callback raised; or nothing."""

    def __init__(self, tell: Progress) -> None:
        self._tell = tell
        self.by = ""

    def __call__(self, stage: str, done: int, total: int) -> None:
        """Tell how far it is."""
        try:
            self._tell(stage, done, total)
        except Stopped as late:
            self.by = self.by or late.by


def telling(progress: Progress | None) -> Progress:
    """Return a function that looks for a wish to stop, then tells ``progress``; what that raises is Stopped as well."""

    def tell(stage: str, done: int, total: int) -> None:
        between()
        if progress is None:
            return
        try:
            progress(stage, done, total)
        except Stopped:
            raise
        except Exception as error:
            raise Stopped(UNCHANGED, by=CALLBACK, because=error) from error

    return tell
