"""Work on several files of a guest at once: inflating lets go of the interpreter's lock, so two cores do two images."""

from __future__ import annotations

import os
import threading
from collections.abc import Callable, Iterable
from contextlib import suppress
from typing import IO, TypeVar

from guestfix.base.errors import GuestError

MOST = 4
"""Images that are held at once while they are read."""

T = TypeVar("T")


class _Shared:
    """A file of a guest that several threads read: a guest's own reading is done by one of them at a time."""

    def __init__(self, stream: IO[bytes], lock: threading.Lock) -> None:
        self._stream, self._lock = stream, lock

    def read(self, count: int = -1) -> bytes:
        with self._lock:
            return self._stream.read(count)

    def seek(self, offset: int, whence: int = 0) -> int:
        with self._lock:
            return self._stream.seek(offset, whence)


def each(places: Iterable[T], open_one: Callable[[T], IO[bytes]], work: Callable[[T, IO[bytes]], None]) -> None:
    """Do ``work`` on each place's file, as many at once as there are processors, at most MOST.

    ``open_one`` is called by one thread at a time. A place that raises GuestError is left out: whoever needs it asks
    again and gets the error.
    """
    todo, lock = list(places)[::-1], threading.Lock()
    count = min(MOST, len(todo), len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else 1)

    def run() -> None:
        while True:
            with lock:
                if not todo:
                    return
                place = todo.pop()
                stream = None
                with suppress(GuestError):
                    stream = open_one(place)
            if stream is not None:
                with stream, suppress(GuestError):
                    work(place, _Shared(stream, lock))  # type: ignore[arg-type]

    others = [threading.Thread(target=run, daemon=True) for _ in range(count - 1)]
    for one in others:
        one.start()
    try:
        run()
    finally:
        todo.clear()
        for one in others:
            one.join()
