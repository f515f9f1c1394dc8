"""What workers do in tests instead of a report: they import it by its name."""

from __future__ import annotations

import os
import signal
import time

from guestfix.fleet.job import Job, Result


def kills(job: Job) -> Result:
    """Kill the worker at one guest; every other one is ready."""
    if job.guest.name == "killer":
        os.kill(os.getpid(), signal.SIGKILL)
    return Result(job.guest.name, "ready", job.key(), job.action)


def kills_once(job: Job) -> Result:
    """Kill the worker at the first try only."""
    mark = job.guest.disks[0] + ".tried"
    if job.guest.name == "killer" and not os.path.exists(mark):
        open(mark, "x").close()
        os.kill(os.getpid(), signal.SIGKILL)
    return Result(job.guest.name, "ready", job.key(), job.action)


def breaks(job: Job) -> Result:
    """Be a defect at one guest."""
    if job.guest.name == "killer":
        raise ZeroDivisionError("of a test")
    return Result(job.guest.name, "ready", job.key(), job.action)


def in_order(job: Job) -> Result:
    """Say when it was done."""
    time.sleep(0.05)
    return Result(job.guest.name, "ready", job.key(), job.action, system=str(time.time_ns()))


def ready(job: Job) -> Result:
    """Be ready at once."""
    return Result(job.guest.name, "ready", job.key(), job.action)
