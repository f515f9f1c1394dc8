"""Whole-process measurements: commands run in turn, medians, ratios, peak memory of the process tree."""

import os
import statistics
import subprocess
import sys
import time
from dataclasses import dataclass, field

os.environ.pop("PYTHONDONTWRITEBYTECODE", None)
"""An installed guestfix has its bytecode beside it; without it every run would compile the sources first."""

PASS = [sys.executable, "-c", "pass"]


@dataclass
class Run:
    wall: list[float]
    peak_kib: int
    used: list[float] = field(default_factory=list)

    @property
    def cpu(self) -> float:
        """Median processor time of the process and of those that it waited for, in seconds."""
        return statistics.median(self.used)

    @property
    def median(self) -> float:
        return statistics.median(self.wall)


def run_once(command: list[str], env: dict[str, str] | None = None) -> tuple[float, int, float]:
    """Return wall seconds, peak memory in KiB and processor seconds of one run."""
    start = time.perf_counter()
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, env=env)
    _, _, usage = os.wait4(process.pid, 0)
    return time.perf_counter() - start, usage.ru_maxrss, usage.ru_utime + usage.ru_stime


def in_turn(commands: dict[str, list[str]], runs: int = 11, env: dict[str, str] | None = None) -> dict[str, Run]:
    """Run the commands A B A B ... after one warm-up of each, and return what each took."""
    results = {name: Run([], 0) for name in commands}
    for index in range(runs + 1):
        for name, command in commands.items():
            wall, peak, used = run_once(command, env)
            if index:
                results[name].wall.append(wall)
                results[name].used.append(used)
            results[name].peak_kib = max(results[name].peak_kib, peak)
    return results


def _short(number: float) -> str:
    return f"{number:.2f}" if number >= 0.1 else f"{number:.2g}"


class Table:
    """Rows of measured figures against bounds; :meth:`status` is non-zero where one is over.

    Text for people, or Markdown where GUESTFIX_BENCH_MARKDOWN is set; notes then come after the table.
    """

    def __init__(self) -> None:
        self.over = 0
        self.notes: list[str] = []
        self.markdown = bool(os.environ.get("GUESTFIX_BENCH_MARKDOWN"))
        self._head = "| what | measured | bound |\n|---|---|---|" if self.markdown else ""
        if not self.markdown:
            self._head = f"{'what':<58} {'measured':>10} {'bound':>8}"

    def _line(self, what: str, measured: str, bound: str, mark: str = "") -> None:
        if self._head:
            print(self._head)
            self._head = ""
        if self.markdown:
            print(f"| {what} | {measured}{mark} | {bound} |", flush=True)
        else:
            print(f"{what:<58} {measured:>10} {bound:>8}{mark}", flush=True)

    def row(self, what: str, measured: float, bound: float, unit: str = "x") -> None:
        """Print a figure and the bound that it must not be over."""
        bad = measured > bound
        self.over += bad
        self._line(what, f"{_short(measured)}{unit}", f"{bound:.4g}{unit}", "  OVER" if bad else "")

    def plain(self, what: str, measured: float, unit: str) -> None:
        """Print a figure without a bound."""
        self._line(what, f"{_short(measured)}{unit}", "")

    def note(self, text: str) -> None:
        """Print what a reader of the figures should know."""
        if self.markdown:
            self.notes.append(text.strip())
        else:
            print(text, flush=True)

    def status(self) -> int:
        """Print the notes that are left; return 1 where a figure is over its bound."""
        if self.notes:
            print("\n" + "\n".join(f"- {text}" for text in self.notes), flush=True)
            self.notes.clear()
        return 1 if self.over else 0
