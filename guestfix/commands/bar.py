"""How far the work is, for people: a bar on standard error where that is a terminal, gone when the work is done."""

from __future__ import annotations

import contextlib
from typing import TYPE_CHECKING

from guestfix.base.events import Event

if TYPE_CHECKING:
    from rich.progress import Progress, TaskID

DELAY = 0.4
"""Seconds of work before the bar is shown: loading rich takes longer than a small report."""


class Bar:
    """A sink of events. Nothing is loaded or shown before some time has passed."""

    def __init__(self, delay: float = DELAY) -> None:
        import time

        self._clock = time.monotonic
        self._from = self._clock() + delay
        self._shown: Progress | None = None
        self._task: TaskID | None = None
        self._stage = ""

    def __call__(self, event: Event) -> None:
        """Show a stage or how far it is."""
        if event.type == "result":
            self.close()
        elif event.type == "message":
            self._stage = event.message
            self._update(event.percent or 0)
        elif event.type == "progress":
            self._update(event.percent or 0, _pace(event) if event.unit == "guests" else "")

    def _update(self, percent: int, pace: str = "") -> None:
        if self._shown is None:
            if self._clock() < self._from:
                return
            self._begin()
        if self._shown is not None and self._task is not None:
            self._shown.update(self._task, completed=percent, description=self._stage, pace=pace)

    def _begin(self) -> None:
        from rich.console import Console
        from rich.progress import BarColumn, Progress, TaskProgressColumn, TextColumn, TimeElapsedColumn

        columns = (TextColumn("{task.description}", markup=False), BarColumn(), TaskProgressColumn())
        pace = TextColumn("{task.fields[pace]}", markup=False)
        self._shown = Progress(*columns, TimeElapsedColumn(), pace, console=Console(stderr=True), transient=True)
        self._task = self._shown.add_task(self._stage, total=100, pace="")
        self._shown.start()

    def close(self) -> None:
        """Take the bar away. What is written afterwards begins at the line's start."""
        shown, self._shown = self._shown, None
        self._from = float("inf")
        if shown is not None:
            with contextlib.suppress(OSError):
                shown.stop()


def _pace(event: Event) -> str:
    """Return how many guests are done, how fast, and when the rest will be."""
    done = f"{event.done} of {event.total}"
    if not event.rate or event.rest is None:
        return done
    speed = f"{event.rate:.1f} a second" if event.rate >= 1 else f"{event.rate * 60:.1f} a minute"
    return f"{done}, {speed}, {event.rest // 60}:{event.rest % 60:02} left"
