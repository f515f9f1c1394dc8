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


class Table:
    """Rows of measured figures against bounds; :meth:`status` is non-zero where one is over."""

    def __init__(self) -> None:
        self.over = 0
        print(f"{'what':<58} {'measured':>10} {'bound':>8}")

    def row(self, what: str, measured: float, bound: float, unit: str = "x") -> None:
        bad = measured > bound
        self.over += bad
        mark = "  OVER" if bad else ""
        print(f"{what:<58} {measured:>9.2f}{unit} {bound:>7.4g}{unit}{mark}", flush=True)

    def status(self) -> int:
        return 1 if self.over else 0
