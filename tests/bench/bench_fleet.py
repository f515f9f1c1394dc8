"""`guestfix fleet run` over many guests: its rate against what the processors give, memory, a worker that is killed.

GUESTFIX_BENCH_GUESTS: folders of the long run (default 20000), GUESTFIX_BENCH_IMAGES: disk images (default 200).
"""

import multiprocessing
import os
import random
import resource
import shutil
import signal
import sqlite3
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path

from measure import Table

ROOT = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT))
GUESTS = ROOT / "testdata/guests"
TARGET = "kvm-virtio"
FLEET = [sys.executable, "-m", "guestfix", "fleet", "run"]
CORES = len(os.sched_getaffinity(0))
MB = 1 << 20


def folders(place: Path, count: int) -> Path:
    """Make distinct guests of the bundled ones: each has a name and an fstab of its own, the rest is linked.

    It is linked to a copy: whoever reads the bundled ones meanwhile would see files of many names.
    """
    made, copy = random.Random(1), place.with_name(f"{place.name}-linked")
    shutil.copytree(GUESTS, copy, symlinks=True)
    sources = sorted(path for path in copy.iterdir() if path.is_dir())
    for number in range(count):
        source, guest = sources[number % len(sources)], place / f"guest-{number:06}"
        for folder, names, files in os.walk(source):
            inside = guest / Path(folder).relative_to(source)
            inside.mkdir(parents=True)
            for name in [*files, *(one for one in names if os.path.islink(os.path.join(folder, one)))]:
                here = Path(folder, name)
                if here.is_symlink():
                    os.symlink(os.readlink(here), inside / name)
                elif name == "fstab":
                    (inside / name).write_bytes(here.read_bytes() + f"# {made.random()}\n".encode())
                else:
                    os.link(here, inside / name)
        (guest / "root/etc/hostname").unlink(missing_ok=True)
        (guest / "root/etc/hostname").write_text(f"guest-{number}\n")
    return place


def images(place: Path, count: int) -> Path:
    """Make images of the bundled Debian, sparse copies of one."""
    from tests.build.images import debian_disk

    place.mkdir()
    with tempfile.TemporaryDirectory() as work:
        one = debian_disk(Path(work), "qcow2")
        for number in range(count):
            subprocess.run(
                ["cp", "--reflink=auto", "--sparse=always", one, place / f"disk-{number:04}.qcow2"], check=True
            )
    return place


def small(place: Path, count: int) -> Path:
    """Make distinct guests of a few files each: what the first process holds does not depend on how large they are."""
    for number in range(count):
        etc = place / f"guest-{number:06}/root/etc"
        etc.mkdir(parents=True)
        (etc / "os-release").write_text('ID=debian\nVERSION_ID="12"\n')
        (etc / "hostname").write_text(f"guest-{number}\n")
        (etc / "fstab").write_text(f"UUID={number:08x}-0000-4000-8000-000000000000 / ext4 defaults 0 1\n")
    return place


def alone(places: list[Path]) -> float:
    """Return the mean processor time of a report within one process, seconds: of one such process on each core.

    They run at once, as workers do: two cores that share caches and memory need more time each than one alone.
    """
    with multiprocessing.get_context("fork").Pool(CORES) as pool:
        return statistics.mean(pool.map(_alone, [places] * CORES, chunksize=1))


def _alone(places: list[Path]) -> float:
    from guestfix.backends import open_guest
    from guestfix.pack.cache import load_pack
    from guestfix.plan.model import dump_plan
    from guestfix.plan.planner import make_plan

    pack, used = load_pack(), []
    for place in [*places[:5], *places]:
        start = time.process_time()
        dump_plan(make_plan(open_guest([str(place)]), pack, TARGET))
        used.append(time.process_time() - start)
    return statistics.mean(used[5:])


def tree(process: int) -> Iterator[int]:
    """Yield a process and all below it."""
    yield process
    try:
        below = [path.read_text() for path in Path(f"/proc/{process}/task").glob("*/children")]
    except OSError:
        return
    for one in " ".join(below).split():
        yield from tree(int(one))


def held(process: int) -> int:
    """Return the bytes that a process holds, its share of what it has in common with others."""
    try:
        rows = Path(f"/proc/{process}/smaps_rollup").read_text().splitlines()
    except OSError:
        return 0
    return next((int(row.split()[1]) * 1024 for row in rows if row.startswith("Pss:")), 0)


class Watched:
    """A run: wall and processor seconds, memory of the whole and of its first process at each count of results."""

    def __init__(
        self, words: list[str], results: Path, at_half: Callable[[], None] | None = None, total: int = 0
    ) -> None:
        self.seen: list[tuple[int, int, int]] = []
        start, before = time.perf_counter(), spent()
        self.process = subprocess.Popen(
            [*FLEET, *words, "--target", TARGET, "--results", str(results), "--fresh"], stdout=subprocess.DEVNULL
        )
        while not self._ended(1):
            done = count_of(results)
            processes = list(tree(self.process.pid))
            self.seen.append((done, sum(held(one) for one in processes), held(self.process.pid)))
            if at_half and done >= total // 2:
                at_half()
                at_half = None
        self.wall, self.cpu = time.perf_counter() - start, spent() - before

    def _ended(self, seconds: float) -> bool:
        try:
            self.process.wait(seconds)
        except subprocess.TimeoutExpired:
            return False
        return True

    def grown(self, index: int, after: int = 100) -> tuple[int, int]:
        """Return the memory once so many guests are done, and the most of it later."""
        later = [row[index] for row in self.seen if row[0] >= after] or [0]
        return statistics.median_low(later[:3]), max(later)


def spent() -> float:
    """Return the processor seconds of all processes that were begun here and have ended."""
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime


def count_of(results: Path) -> int:
    try:
        with sqlite3.connect(f"file:{results}?mode=ro", uri=True) as db:
            return int(db.execute("SELECT count(*) FROM guests").fetchone()[0])
    except sqlite3.Error:
        return 0


def killed_half_way(table: Table, place: Path, count: int, work: Path) -> None:
    """Run over two workers of a scheduler, one of which is killed half way."""
    port = random.Random().randrange(20_000, 60_000)
    env = {**os.environ, "PYTHONPATH": str(ROOT)}
    quiet = {"stdout": subprocess.DEVNULL, "stderr": subprocess.DEVNULL, "env": env, "start_new_session": True}
    dask = [sys.executable, "-m", "dask"]
    scheduler = subprocess.Popen(
        [*dask, "scheduler", "--host", "127.0.0.1", "--port", str(port), "--no-dashboard"], **quiet
    )
    address = f"tcp://127.0.0.1:{port}"
    workers = [
        subprocess.Popen([*dask, "worker", address, "--nthreads", "1", "--no-dashboard", "--no-nanny"], **quiet)
        for _ in range(2)
    ]
    try:
        results = work / "killed.db"
        run = Watched(
            [str(place), "--scheduler", address], results, lambda: os.killpg(workers[0].pid, signal.SIGKILL), count
        )
        with sqlite3.connect(results) as db:
            rows = db.execute("SELECT count(*), count(DISTINCT name) FROM guests WHERE run=1").fetchone()
            died = db.execute("SELECT count(*) FROM guests WHERE error_code='GF-FLEET-WORKER-DIED'").fetchone()[0]
    finally:
        for one in (scheduler, *workers):
            if one.poll() is None:
                os.killpg(one.pid, signal.SIGKILL)
            one.wait()
    table.row(
        "guests without exactly one result, a worker killed half way", abs(count - rows[1]) + rows[0] - rows[1], 0, ""
    )
    table.row("of them told as died with it", died, 0, "")
    table.note(f"two workers of a scheduler, one killed half way: {run.wall:.0f} s for {count} guests")


def measured(table: Table, what: str, folder: Path, places: list[Path], work: Path) -> None:
    """Measure a run over a folder, whose guests can be opened at the places: rate, processor time, memory."""
    count, some = len(places) - CORES, places[:56]
    one = alone(some)
    begun = Watched([str(folder), "--limit", str(CORES)], work / f"{what}-start.db")
    run = Watched([str(folder)], work / f"{what}.db")
    one = (one + alone(some)) / 2
    rate, used = count / (run.wall - begun.wall), (run.cpu - begun.cpu) / count
    table.note(
        f"{len(places)} {what}: {run.wall:.0f} s, {begun.wall:.1f} s of them the start and the first {CORES}, then "
        f"{rate:.1f} a second ({len(places) / run.wall:.1f} with the start); {used * 1000:.0f} ms of CPU for each, "
        f"{one * 1000:.0f} ms for a report within one process on each core, before and after; "
        f"load {os.getloadavg()[1]:.1f}"
    )
    table.row(f"CPU of all processes for each of {what}, of that of a report alone", used / one, 1 / 0.9)
    table.row(f"what {CORES} cores give: rate over {len(places)} {what}", CORES / one / rate, 1 / 0.9)
    before, most = run.grown(1)
    table.row("memory of the whole later, of that after the first hundred", most / (before or 1), 1.15)
    table.row("memory of the whole, MB", most / MB, 1024, "M")


def main() -> int:
    table = Table()
    many, disks = (int(os.environ.get(name, "") or least) for name, least in
                   (("GUESTFIX_BENCH_GUESTS", 20_000), ("GUESTFIX_BENCH_IMAGES", 200)))  # fmt: skip
    with tempfile.TemporaryDirectory() as scratch:
        work = Path(scratch)
        thousand = folders(work / "folders", min(1000, many))
        places = [path / "root" for path in sorted(thousand.iterdir())]
        measured(table, "folders", thousand, places, work)
        made = images(work / "images", disks)
        measured(table, "images", made, sorted(made.iterdir()), work)
        killed_half_way(table, thousand, len(places), work)
        rest = small(work / "many", many)
        run = Watched([str(rest)], work / "many.db")
        before, most = run.grown(2)
        table.note(f"{many} folders: {run.wall:.0f} s; the first process {before / MB:.0f} to {most / MB:.0f} MB")
        table.row(f"growth of the first process over {many} folders, MB", (most - before) / MB, 300, "M")
    return table.status()


if __name__ == "__main__":
    sys.exit(main())
