"""Run one thing in a process of its own and say what it cost: CPU seconds and the most memory it held."""

from __future__ import annotations

import os
import resource
import signal
import sys
import traceback
from collections.abc import Callable
from typing import NamedTuple

SECONDS = 10
MEGABYTES = 400


class Cost(NamedTuple):
    """``failed`` is how the process ended where it did not end well: a signal or a traceback."""

    seconds: float
    megabytes: float
    failed: str


def cost(task: Callable[[], object], seconds: int = SECONDS) -> Cost:
    """Run the task in a fork. It is killed when it has used twice the seconds, or 2 GB of address space.

    What the process that forks holds already (other tests' data) is not counted, what Python itself takes is.
    """
    read, write = os.pipe()
    child = os.fork()
    if child == 0:
        os.close(read)
        status = 1
        try:
            resource.setrlimit(resource.RLIMIT_CPU, (2 * seconds, 2 * seconds))
            sys.settrace(None)  # coverage would be measured too
            held = peak()
            room = (2 << 30) + _status("VmSize")
            resource.setrlimit(resource.RLIMIT_AS, (room, room))
            task()
            os.write(write, f"{GREW}{(peak(reset=False) - held) >> 10}\n".encode())
            status = 0
        except BaseException:  # noqa: BLE001 - told by the parent
            os.write(write, traceback.format_exc()[-4000:].encode("utf-8", "replace"))
        finally:
            os._exit(status)
    os.close(write)
    with os.fdopen(read, "rb") as stream:
        said = stream.read().decode("utf-8", "replace")
    _, status, used = os.wait4(child, 0)
    if os.WIFSIGNALED(status):
        said = f"killed by {signal.Signals(os.WTERMSIG(status)).name}"
    elif status and not said:
        said = f"status {status}"
    grew, told = used.ru_maxrss / 1024, said
    if said.startswith(GREW):
        grew, told = OWN + int(said.removeprefix(GREW)) / 1024, ""
    return Cost(used.ru_utime + used.ru_stime, grew, told)


GREW = "grew by KiB: "
OWN = 50.0
"""Megabytes of a Python that has imported guestfix."""


def peak(*, reset: bool = True) -> int:
    """Return the most bytes that this process ever held, from now on if it is reset (proc(5), clear_refs)."""
    if reset:
        with open("/proc/self/clear_refs", "w") as stream:
            stream.write("5")
    return _status("VmHWM")


def _status(name: str) -> int:
    with open("/proc/self/status") as stream:
        return next(int(line.split()[1]) << 10 for line in stream if line.startswith(f"{name}:"))
