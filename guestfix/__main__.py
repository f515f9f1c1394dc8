"""The program's entry: ``--version`` is answered before anything else is loaded."""

from __future__ import annotations

import gc
import os
import sys

READING = (["report"], ["inspect"])
"""Commands that write nothing."""


def hold_standard() -> None:
    """Open the null device in the place of what is closed of standard input, output and error.

    Else the next file that is opened, such as a disk image, would be standard output. What is written there fails, and
    is told as any other output that can't be written.
    """
    for number, mode in ((0, os.O_RDONLY), (1, os.O_RDONLY), (2, os.O_WRONLY)):
        try:
            os.fstat(number)
        except OSError:
            os.open(os.devnull, mode)
    if sys.stdout is None:
        sys.stdout = open(1, "w", closefd=False)  # noqa: SIM115 - it stays open
    if sys.stderr is None:
        sys.stderr = open(2, "w", closefd=False)  # noqa: SIM115 - it stays open


def main() -> int:
    """Run guestfix with the process' arguments and return its exit status."""
    hold_standard()
    if sys.argv[1:] in (["--version"], ["-V"]):
        from guestfix import __version__

        sys.stdout.write(f"guestfix {__version__}\n")
        return 0
    if sys.argv[1:2] in (["apply"], ["revert"]):
        from guestfix.commands.signals import catch

        catch()
    from guestfix.base import MADE

    gc.set_threshold(MADE)
    from guestfix.cli import run

    try:
        return run(sys.argv[1:])
    finally:
        gc.freeze()  # the interpreter would look through all of it several times before it ends with the process


def program() -> int:
    """Be the program: what :func:`main` does, and a quick end of what only reads."""
    status = main()
    if sys.argv[1:2] in READING:
        end(status)
    return status


def end(status: int) -> None:
    """End the process where nothing is left to do in it; its memory is the system's to free, a twentieth of a report.

    What was registered for the end is done. Returns where a thread still works, or where output can't be written, which
    the interpreter tells.
    """
    import atexit

    threads = sys.modules.get("threading")
    if threads is not None and threads.active_count() > 1:
        return
    try:
        sys.stdout.flush()
        sys.stderr.flush()
    except (OSError, ValueError):
        return
    atexit._run_exitfuncs()
    os._exit(status)


if __name__ == "__main__":
    sys.exit(program())
