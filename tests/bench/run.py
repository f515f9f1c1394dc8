"""Run the benchmarks of this folder, all or those named: each prints a table and exits non-zero when over a bound.

    python tests/bench/run.py [--markdown] [PART ...]

With --markdown standard output is Markdown with the machine named: that of all parts is docs/bench.md as a whole,
that of the part `image` is what the README shows.
"""

import os
import platform
import subprocess
import sys
from pathlib import Path

HERE = Path(__file__).parent


def machine() -> str:
    """Return what the figures depend on: processor, cores, memory, system, Python."""
    facts = {}
    for name, separator in (("/proc/cpuinfo", ":"), ("/proc/meminfo", ":"), ("/etc/os-release", "=")):
        for line in Path(name).read_text().splitlines() if Path(name).exists() else ():
            key, _, value = line.partition(separator)
            facts.setdefault(key.strip(), value.strip().strip('"'))
    memory = round(int(facts.get("MemTotal", "0 kB").split()[0]) / 1e6)
    cores = len(os.sched_getaffinity(0))
    processor = facts.get("model name", platform.machine())
    system = facts.get("PRETTY_NAME", platform.system())
    return f"{processor}, {cores} cores, {memory} GB, {system}, Python {platform.python_version()}"


def main() -> int:
    markdown = "--markdown" in sys.argv
    wanted = [word for word in sys.argv[1:] if not word.startswith("-")]
    failed = []
    if markdown:
        print("" if wanted else "# Figures\n\n", end="")
        print(f"{machine()}. One run of `make bench`: medians of whole processes, run in turn.", flush=True)
    for path in sorted(HERE.glob("bench_*.py")):
        part = path.stem.removeprefix("bench_")
        if wanted and part not in wanted:
            continue
        heading = f"\n## {part}\n" if len(wanted) != 1 else ""
        print(heading if markdown else f"== {part}", flush=True)
        env = {**os.environ, "GUESTFIX_BENCH_MARKDOWN": "1" if markdown else ""}
        if subprocess.run([sys.executable, str(path)], cwd=HERE.parents[1], env=env).returncode:
            failed.append(path.stem)
    if failed:
        print(f"over the bound or broken: {', '.join(failed)}", file=sys.stderr)
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
