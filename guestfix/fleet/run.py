"""One run over many guests: on Dask, as many at once as there are workers, each result kept as soon as it is there."""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Iterator, Sequence
from collections.abc import Set as AbstractSet
from contextlib import contextmanager, suppress
from functools import partial
from itertools import chain
from typing import TYPE_CHECKING

from guestfix import __version__
from guestfix.backends.disks.names import shown
from guestfix.base.errors import GuestfixError, UsageError
from guestfix.base.record import frozen
from guestfix.base.stopping import check
from guestfix.fleet.inventory import waves
from guestfix.fleet.job import BAD, Guest, Job, Result, failed, held, work, work_all
from guestfix.fleet.store import Store
from guestfix.plan.planner import Options

if TYPE_CHECKING:
    from distributed import Client, Future

MEMORY = 1 << 30
"""Bytes of memory of a worker, where the machine has as much for each; Dask's nanny ends one that takes more."""

AHEAD = 3
"""Guests handed to the scheduler for each worker, so that none waits for the next one.

All but one for each worker are kept at the scheduler (its worker-saturation is 1), so that one which dies takes no
waiting guest with it; that holds for a group of more tasks than two for each thread.
"""

BUNDLE = 16
"""Guests that a worker is asked for at once, at most: asking costs half of what a report of a folder does."""

START = 60
"""Seconds in which workers have to answer."""

RECOUNT = 1.0
"""Seconds between two looks at how many workers there are."""

LOGS = 50
"""Entries of each of the logs that Dask keeps for its developers: by default they grow for the first hour of a run."""


@frozen
class Setting:
    """How a run is done: workers on this machine (0: one a processor) or those of a scheduler; seconds for a guest.

    ``options`` are chosen for every guest; what the inventory says of one goes before its policies.
    ``waves``: tags, whose guests come in that order; ``halt``: none of a later wave is touched where one of a wave was
    blocked or failed.
    """

    action: str = "report"
    packs: tuple[str, ...] = ()
    pack_digest: str = ""
    workers: int = 0
    scheduler: str = ""
    timeout: float = 600
    retries: int = 1
    fresh: bool = False
    in_place: bool = False
    options: Options = Options()
    waves: tuple[str, ...] = ()
    halt: bool = False


@frozen
class Progress:
    """How far a run is: guests done, of how many, how many of them were kept from before; the last one's outcome."""

    done: int
    total: int
    kept: int
    name: str = ""
    outcome: str = ""


Tell = Callable[[Progress], None]
Do = Callable[[Job], Result]


def run(
    guests: Sequence[Guest],
    setting: Setting,
    store: Store,
    places: Sequence[str],
    tell: Tell,
    do: Do = work,
) -> int:
    """Do the action on every guest and return the run's number; every guest has exactly one result then.

    What an earlier run found is taken over where disks, choices, pack and version are the same as then: of reports on
    image files, whose change shows. ``do`` is what a worker does with a job. Raises GuestfixError where the workers
    can't be had or the results not kept, and Stopped at a wish: what was done is kept then, and another run does the
    rest.
    """
    ordered = waves(guests, setting.waves)
    number = store.begin(setting.action, setting.pack_digest, __version__, len(guests), [*map(shown, places)])
    jobs = {
        guest.name: Job(
            guest,
            setting.action,
            setting.packs,
            setting.pack_digest,
            setting.timeout,
            setting.in_place,
            setting.options,
        )
        for guest in guests
    }
    lasting = [guest for guest in guests if jobs[guest.name].lasting and not setting.fresh]
    kept = {guest.name for guest in lasting if store.keep(number, guest, jobs[guest.name].key())}
    count = len(kept)
    tell(Progress(count, len(guests), count))
    bad = set(store.bad(number))
    if count < len(guests):
        with _while_it_is_there(setting.scheduler), cluster(setting, len(guests) - count) as client:
            for wave in ordered:
                todo = [jobs[guest.name] for guest in wave if guest.name not in kept]
                stopped = {job.guest.name: why for job in todo if (why := _held(job, bad, setting))}
                free = [job for job in todo if job.guest.name not in stopped]
                results = ((job.guest, held(job, stopped[job.guest.name])) for job in todo if job.guest.name in stopped)
                for guest, result in chain(results, _wave(client, free, setting.retries, do)):
                    store.put(number, guest, result)
                    bad |= {guest.name} if result.outcome in BAD else set()
                    count += 1
                    tell(Progress(count, len(guests), len(kept), guest.name, result.outcome))
    store.end(number)
    return number


def _held(job: Job, bad: AbstractSet[str], setting: Setting) -> str:
    """Return why a guest may not be touched, where what came before it went wrong; a report touches nothing."""
    before = [name for name in job.guest.after if name in bad] if setting.action != "report" else []
    if before:
        return f"{before[0]}, after which it comes, is blocked or failed"
    return f"{min(bad)} of an earlier wave is blocked or failed" if bad and setting.halt else ""


Bundle = tuple[Job, ...]


def _bundles(jobs: Sequence[Job], workers: int) -> list[Bundle]:
    """Return the jobs in bundles: a report takes less time than to ask for it, all else is asked for alone.

    The last ones are smaller and smaller, so that all workers end at about the same time.
    """
    most = BUNDLE if all(job.action == "report" for job in jobs) else 1
    made: list[Bundle] = []
    at = 0
    while at < len(jobs):
        size = max(1, min(most, (len(jobs) - at) // (4 * workers)))
        made.append(tuple(jobs[at : at + size]))
        at += size
    return made


def _wave(client: Client, jobs: Sequence[Job], retries: int, do: Do) -> Iterator[tuple[Guest, Result]]:
    """Yield each job's guest and result as it comes.

    The guests of a bundle whose worker died are done once more, each alone; one alone is told as died after so many
    tries more.
    """
    counted = _Workers(client)
    todo = [(bundle, 0) for bundle in reversed(_bundles(jobs, counted.now()))]
    flying: dict[Future[list[Result]], tuple[Bundle, int]] = {}
    group = f"guests-{time.monotonic_ns()}"
    try:
        while todo or flying:
            check("every result that came so far is kept")
            workers = counted.now()
            ahead = AHEAD if len(todo) + len(flying) > 2 * workers else 1
            given = [todo.pop() for _ in range(min(ahead * workers - len(flying), len(todo)))]
            keys = [(group, bundle[0].guest.name, len(bundle), tries) for bundle, tries in given]
            ask = partial(work_all, do)
            futures = client.map(ask, [bundle for bundle, _ in given], pure=False, key=keys) if given else []
            flying.update(zip(futures, given, strict=True))
            for future in _first(flying):
                bundle, tries = flying.pop(future)
                results = _results(future, bundle)
                if results is None and len(bundle) > 1:
                    todo += [((job,), 0) for job in reversed(bundle)]
                elif results is None and tries < retries:
                    todo.append((bundle, tries + 1))
                else:
                    found = results or [_died(bundle[0], tries + 1)]
                    yield from ((job.guest, result) for job, result in zip(bundle, found, strict=True))
    finally:
        with suppress(Exception):  # the scheduler may be gone, and its guests with it
            client.cancel(list(flying), force=True)  # type: ignore[no-untyped-call]


class _Workers:
    """How many workers there are, asked for once in :data:`RECOUNT` seconds: the answer tells of each at length."""

    def __init__(self, client: Client) -> None:
        self._client, self._count, self._next = client, 1, 0.0

    def now(self) -> int:
        if time.monotonic() >= self._next:
            self._count = max(1, len(self._client.scheduler_info(n_workers=-1)["workers"]))
            self._next = time.monotonic() + RECOUNT
        return self._count


@contextmanager
def _while_it_is_there(address: str) -> Iterator[None]:
    """Turn what the client raises once its scheduler is gone into GuestfixError."""
    from concurrent.futures import CancelledError

    try:
        yield
    except (CancelledError, OSError, TimeoutError) as error:
        if isinstance(error, GuestfixError):
            raise
        what = "the scheduler went away, or none of its workers can be reached any more"
        remedy = "start it again with its workers, and give the same command: what was done is kept"
        raise GuestfixError(what, where=address, remedy=remedy, code="GF-FLEET-SCHEDULER") from error


def _first(flying: dict[Future[list[Result]], tuple[Bundle, int]]) -> set[Future[list[Result]]]:
    """Return the futures that are done, after half a second at most: so that a wish to stop is heard."""
    from distributed import wait

    try:
        return set(wait(list(flying), timeout=0.5, return_when="FIRST_COMPLETED").done)  # type: ignore[no-untyped-call]
    except TimeoutError:
        return set()


def _results(future: Future[list[Result]], bundle: Bundle) -> list[Result] | None:
    """Return a future's results; None where its worker died, or a bundle met a defect, so that each is tried alone."""
    from concurrent.futures import CancelledError

    from distributed import KilledWorker

    try:
        found: list[Result] = future.result()
    except KilledWorker:
        return None
    except CancelledError:  # the scheduler is gone
        raise
    except Exception as error:  # noqa: BLE001 - a defect on a worker is that guest's result, and costs no other
        if len(bundle) > 1:
            return None
        what = f"a defect of guestfix: {type(error).__name__}: {error}"
        return [failed(bundle[0], "", GuestfixError(what, code="GF-RUN-DEFECT"))]
    return found


def _died(job: Job, tries: int) -> Result:
    what = f"its worker died {tries} times while it was at this guest, as it does where memory runs out"
    return failed(job, "", GuestfixError(what, code="GF-FLEET-WORKER-DIED"))


# workers


@contextmanager
def cluster(setting: Setting, guests: int) -> Iterator[Client]:
    """Return a client of Dask workers that have this version of guestfix: of a scheduler, or made on this machine.

    UsageError where the extra is missing, GuestfixError where no workers can be had or they have other versions.
    """
    try:
        import dask
        from distributed import Client, LocalCluster
    except ImportError as error:
        what = "many guests at once need the extra fleet"
        raise UsageError(what, remedy="pip install 'guestfix[fleet]'") from error
    options = {
        "distributed.scheduler.allowed-failures": 0,
        "distributed.scheduler.worker-saturation": 1.0,
        "distributed.worker.daemon": True,
        "distributed.worker.profile.enabled": False,  # 0.1 MB for each guest, as long as a worker lives
        "distributed.admin.low-level-log-length": LOGS,
        "distributed.admin.system-monitor.log-length": LOGS,
        "distributed.admin.tick.interval": "1s",  # 20 ms: whoever works would give way to it 50 times a second
        "distributed.admin.system-monitor.interval": "10s",
        "distributed.comm.timeouts.connect": START,
        "distributed.admin.large-graph-warning-threshold": "1GB",
        "distributed.logging": {"distributed": "critical", "tornado": "critical", "asyncio": "critical"},
    }
    with dask.config.set(options):
        if setting.scheduler:
            with _connected(Client, setting.scheduler) as client:
                _alike(client)
                yield client
            return
        count = min(setting.workers or len(os.sched_getaffinity(0)), guests)
        memory = min(MEMORY, os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") // (count + 1))
        made = LocalCluster(  # type: ignore[no-untyped-call]
            n_workers=count, threads_per_worker=1, processes=True, memory_limit=memory, dashboard_address="127.0.0.1:0",
            host="127.0.0.1", silence_logs=50, scheduler_kwargs={"dashboard_address": "127.0.0.1:0"},
        )  # fmt: skip
        try:
            with Client(made) as client:  # type: ignore[no-untyped-call]
                yield client
        finally:
            made.close()


def _connected(make: Callable[..., Client], address: str) -> Client:
    try:
        client = make(address, timeout=START)
        client.wait_for_workers(1, timeout=START)
    except (OSError, TimeoutError, ValueError) as error:
        what = f"the scheduler does not answer, or has no worker: {error}"
        raise GuestfixError(what, where=address, remedy="see that it runs and can be reached from here") from error
    return client


def _alike(client: Client) -> None:
    """GuestfixError where a worker has another guestfix or Python: what they say would not be comparable."""
    for worker, have in client.run(_version).items():
        if have != _version():
            here = _version()
            what = f"the worker {worker} has guestfix {have[0]} on Python {have[1]}; here are {here[0]} and {here[1]}"
            raise GuestfixError(what, remedy="install the same versions on all workers")


def _version() -> tuple[str, str]:
    import platform

    return __version__, ".".join(platform.python_version_tuple()[:2])
