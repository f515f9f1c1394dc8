"""The cause of a machine's death, from what its console said."""

from __future__ import annotations

from re import Pattern

from guestfix.base.patterns import regex

MAX_SAID = 300
_STAMP = regex(r"^(<\d>)?\[ *\d+\.\d+\] ?")
_MEMORY = r"Out of memory|oom-kill|Memory cgroup out of memory|invoked oom-killer"
_PANIC = r"Kernel panic - not syncing: (?!.*kill init)"
_HOST = r"No space left on device|Cannot allocate memory|Too many open files|(mmap|ptrace|clone|fork).*(errno|failed)"
_OOPS = r"^(BUG|Oops|general protection|Segfault|kernel BUG|Unable to handle)|Assertion failed|page allocation failure"
_FILESYSTEM = r"(?i)((ext[234]|fat)-fs|xfs|btrfs|jfs|reiserfs|ntfs|i/o).*(error|corrupt|damaged)"
_INIT = r"Kernel panic - not syncing: "
_BEFORE, _AFTER = ([regex(one) for one in row] for row in ((_MEMORY, _PANIC), (_HOST, _OOPS, _FILESYSTEM, _INIT)))


def cause_of(console: str) -> str:
    """Return the line of a console that tells best why its machine ended: want of memory, a panic, the last line of a
    Python traceback, want of something on the host, an oops, a damaged filesystem; else its last line.

    The end of init is a panic that only tells of what comes before it.
    """
    lines = [_STAMP.sub("", line).rstrip() for line in console.replace("\r", "").splitlines()]
    lines = [line for line in lines if line.strip()]
    found = _first(lines, _BEFORE) or _exception(lines) or _first(lines, _AFTER) or "".join(lines[-1:])
    return found.strip()[:MAX_SAID]


def _first(lines: list[str], causes: list[Pattern[str]]) -> str:
    return next((line for cause in causes for line in lines if cause.search(line)), "")


def _exception(lines: list[str]) -> str:
    """Return what follows the last traceback's indented lines."""
    starts = [index for index, line in enumerate(lines) if line.startswith("Traceback (most recent call last)")]
    rest = lines[starts[-1] + 1 :] if starts else []
    return next((line for line in rest if not line.startswith(" ")), "")
