"""A grub.cfg of one megabyte: reading it and planning changes to it, against a line splitter in Python."""

from __future__ import annotations

import statistics
import sys
import time
from collections.abc import Callable
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

from measure import Table

from guestfix.editors.boot import args as bootargs
from guestfix.formats.boot import argplaces, grubargs, grubcfg
from tests.build import menus as samples

BOUND = 5
SIZE = 1_000_000
TABLE = {"/dev/sda2": "UUID=6b1f1a52-8d0b-4f6e-9a57-0d6f6a1a0002"}


def large(size: int) -> bytes:
    """Return a menu as Debian's mkconfig writes it, with as many kernels as fit."""
    one, two = (len(samples.debian(versions=("6.1.0-100-amd64",) * count)) for count in (1, 2))
    kernels = (size - one) // (two - one) + 2
    return samples.debian(versions=tuple(f"6.1.0-{number}-amd64" for number in range(kernels, 0, -1))).encode()


def split_lines(src: bytes) -> int:
    """Read every line's words, as the plainest reader would."""
    return sum(len(line.split()) for line in src.decode().splitlines())


def forget() -> None:
    """Let nothing be known from an earlier turn."""
    grubcfg.parse.cache_clear()
    grubargs._RECENT.clear()


def plan(src: bytes) -> bytes:
    """Parse the file and change root= and the console in every entry."""
    forget()
    change = bootargs.DeviceChange(TABLE, {})
    after = argplaces.rewrite(src, "grubcfg", change)
    return argplaces.rewrite(after, "grubcfg", bootargs.console("ttyS0,115200n8"))


def seconds(task: Callable[[bytes], object], src: bytes) -> float:
    start = time.perf_counter()
    task(src)
    return time.perf_counter() - start


def main() -> int:
    src = large(SIZE)
    taken: dict[str, list[float]] = {"lines": [], "parse": [], "arguments": [], "plan": []}
    tasks: dict[str, Callable[[bytes], object]] = {
        "lines": split_lines,
        "parse": grubcfg.parse.__wrapped__,
        "arguments": grubargs.arg_lines,
        "plan": plan,
    }
    for turn in range(12):
        for name, task in tasks.items():
            forget()
            spent = seconds(task, src)
            if turn:
                taken[name].append(spent)
    base = statistics.median(taken["lines"])
    table = Table()
    table.note(f"{len(src)} bytes, {src.count(b'menuentry ')} entries; splitting lines, the unit: {base * 1000:.1f} ms")
    for name, what in (
        ("parse", "parse"),
        ("arguments", "parse and find all arguments"),
        ("plan", "parse and plan two rules"),
    ):
        table.row(f"{what} a grub.cfg of 1 MB", statistics.median(taken[name]) / base, BOUND)
    assert plan(src).count(b"root=UUID=") == src.count(b"root=/dev/sda2")
    return table.status()


if __name__ == "__main__":
    sys.exit(main())
