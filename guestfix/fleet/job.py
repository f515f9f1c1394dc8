"""One guest of a fleet: what is asked of a worker, and what it answers. Both are plain data, so that any worker can."""

from __future__ import annotations

import gc
import hashlib
import json
import os
import time
import zlib
from collections.abc import Callable, Mapping, Sequence

from guestfix import __version__
from guestfix.backends.disks.names import shown
from guestfix.base import MADE
from guestfix.base.errors import Blocked, GuestfixError, Stopped, UsageError
from guestfix.base.facts import Fact, Unknown
from guestfix.base.record import asdict, field, frozen, replace
from guestfix.base.text import to_json
from guestfix.pack.cache import load_pack
from guestfix.pack.model import Pack
from guestfix.plan.model import Choice, Plan, dump_plan
from guestfix.plan.planner import Options, choose_target
from guestfix.stage.session import Session

ACTIONS = ("report", "apply", "revert", "verify")
OUTCOMES = ("ready", "repaired", "needs you", "blocked", "failed")
"""What a guest is after its report: nothing to do, done by the plan, something left to people, stopped, not judged."""
BAD = ("blocked", "failed")
STARTS = {"reached": "ready", "stopped": "blocked"}
"""What a guest is by how its start ended; by any other ending somebody has to look."""
ENDINGS = {"reached": "passes", "unreachable": "passes", "stopped": "stops"}


@frozen
class Guest:
    """A guest of the inventory. ``disks``: image files, addresses or a folder; ``where``: its place in the file."""

    name: str
    disks: tuple[str, ...]
    root: str = ""
    target: str = ""
    policies: Mapping[str, str] = field(default_factory=dict)
    accept: tuple[str, ...] = ()
    network_map: Mapping[str, str] = field(default_factory=dict)
    describe: str = ""
    tags: tuple[str, ...] = ()
    after: tuple[str, ...] = ()
    where: str = ""


@frozen
class Job:
    """What a worker does with one guest; its own version and pack have to be ``version`` and ``pack_digest``."""

    guest: Guest
    action: str
    packs: tuple[str, ...]
    pack_digest: str
    timeout: float
    in_place: bool = False
    options: Options = Options()
    version: str = __version__

    def key(self) -> str:
        """Return a digest of all that the result rests on: disks as they lie there, choices, pack, version."""
        asked = {**asdict(self), "guest": {**asdict(self.guest), "where": "", "tags": (), "after": ()}, "timeout": 0}
        states = [_state(disk) for disk in self.guest.disks]
        return hashlib.sha256(json.dumps([asked, states], sort_keys=True).encode()).hexdigest()

    @property
    def lasting(self) -> bool:
        """Tell whether a changed guest would have another key: not so a folder, nor what is read from afar."""
        places = [disk.removeprefix("image:") for disk in self.guest.disks]
        return self.action in ("report", "verify") and all(os.path.isfile(place) for place in places)


def _state(place: str) -> list[object]:
    """Return what tells a disk as it is now from one that was changed, where a file system tells it."""
    try:
        found = os.stat(place.removeprefix("image:"))
    except OSError:
        return [shown(place)]
    return [place, found.st_dev, found.st_ino, found.st_size, found.st_mtime_ns]


@frozen
class Result:
    """What came of one guest. ``document`` is the plan, receipt or error, as JSON, packed by zlib."""

    name: str
    outcome: str
    key: str
    action: str
    system: str = ""
    target: str = ""
    before: str = ""
    after: str = ""
    stops_before: str = ""
    stops_after: str = ""
    findings: tuple[tuple[str, str, str, str], ...] = ()
    error_code: str = ""
    error: str = ""
    seconds: float = 0.0
    cpu: float = 0.0
    document: bytes = b""


def unpacked(document: bytes) -> str:
    """Return a result's document as text; empty where there is none."""
    return zlib.decompress(document).decode("utf-8", "surrogateescape") if document else ""


def work(job: Job) -> Result:
    """Do a job and return its result, whatever comes of it: only a defect of guestfix's raises."""
    started, cpu, key = time.monotonic(), time.process_time(), job.key()
    try:
        found = _worked(job, key)
    except GuestfixError as error:
        found = failed(job, key, error)
    seconds, used = time.monotonic() - started, time.process_time() - cpu
    return replace(found, seconds=round(seconds, 3), cpu=round(used, 3))


def work_all(do: Callable[[Job], Result], jobs: Sequence[Job]) -> list[Result]:
    """Do several jobs, one after the other: what is asked of a worker at once."""
    gc.set_threshold(MADE)
    return [do(job) for job in jobs]


def _worked(job: Job, key: str) -> Result:
    if job.version != __version__:
        what = f"this worker has guestfix {__version__}, and the one who asks {job.version}"
        raise UsageError(what, remedy="install the same version on all workers")
    pack = _pack(job)
    if pack.digest != job.pack_digest:
        what = f"this worker has another rule pack: {pack.digest[:12]}, not {job.pack_digest[:12]}"
        raise UsageError(what, remedy="give all workers the same packs by the same names")
    if job.action == "verify":
        return _started(job, key, pack)
    guest = job.guest
    with Session(
        guest.disks, disks=guest.describe or None, root=guest.root, pack=pack, timeout=job.timeout or None
    ) as session:
        if job.in_place and job.action != "report":
            session.can_save(in_place=True)  # and finish what was cut off
        if job.action == "revert":
            return _reverted(job, key, session)
        plan = session.report(guest.target or None, options_for(job))
        found = of_plan(job, key, plan)
        if job.action == "apply" and (plan.changes or plan.blockers):
            session.apply(plan)
            session.save(in_place=job.in_place)
        return found


def options_for(job: Job) -> Options:
    """Return what is chosen for the job's guest: for every one, with what the inventory says of this one on top."""
    guest, all_ = job.guest, job.options
    told = {(one.name, one.value) for one in all_.choices}
    own = [Choice("target", guest.target, guest.where)] if ("target", guest.target) not in told else []
    own += [Choice(f"policy.{name}", value, guest.where) for name, value in guest.policies.items()]
    own += [Choice("accept", code, guest.where) for code in guest.accept]
    known = {one.name for one in own if one.name != "accept"}
    return replace(
        all_,
        policies={**all_.policies, **guest.policies},
        accept=(*all_.accept, *guest.accept),
        extra={**all_.extra, **({"network.map": dict(guest.network_map)} if guest.network_map else {})},
        choices=(*(one for one in all_.choices if one.name not in known), *own),
    )


def _reverted(job: Job, key: str, session: Session) -> Result:
    session.revert()
    session.save(in_place=job.in_place)
    return Result(job.guest.name, "ready", key, job.action)


_packs: dict[tuple[str, ...], Pack] = {}


def _pack(job: Job) -> Pack:
    """Return the job's pack, read once by each worker as long as it is the one that is asked for."""
    found = _packs.get(job.packs)
    if found is None or found.digest != job.pack_digest:
        found = _packs[job.packs] = load_pack(job.packs)
    return found


def _started(job: Job, key: str, pack: Pack) -> Result:
    from guestfix.stage.starts import document_of, start_guest
    from guestfix.verify.run import LIMIT, Setting

    bounds = Setting(limit=min(job.timeout or LIMIT, LIMIT))
    found = start_guest(job.guest.disks, choose_target(pack, job.guest.target), pack, bounds, root=job.guest.root)
    seen, walk = found.seen, found.walk
    return Result(
        job.guest.name,
        STARTS.get(seen.ending, "needs you"),
        key,
        job.action,
        system=_system(found.facts),
        target=found.target.id,
        before=walk.outcome,
        after=ENDINGS.get(seen.ending, "unknown"),
        stops_before=walk.stops_at or "",
        stops_after=seen.stop.step if seen.stop else "",
        document=_packed(to_json(document_of([found])).encode("utf-8", "surrogateescape")),
    )


def held(job: Job, why: str) -> Result:
    """Return the result of a guest that was not touched, because of what became of another."""
    return Result(
        job.guest.name, "blocked", "", job.action, target=job.guest.target, error_code="GF-FLEET-HELD", error=why
    )


def of_plan(job: Job, key: str, plan: Plan) -> Result:
    """Return what a plan says of a guest."""
    before, after = plan.walk.before, plan.walk.after
    return Result(
        name=job.guest.name,
        outcome=_outcome(plan),
        key=key,
        action=job.action,
        system=_system(plan.facts),
        target=plan.target,
        before=before.outcome,
        after=after.outcome,
        stops_before=before.stops_at or "",
        stops_after=after.stops_at or "",
        findings=tuple((one.code, one.left, one.rule or "", one.summary) for one in plan.findings),
        document=_packed(dump_plan(plan)),
    )


def _system(facts: Sequence[Fact]) -> str:
    known = {fact.name: str(fact.value) for fact in facts if not isinstance(fact.value, Unknown)}
    return " ".join(known[name] for name in ("os.id", "os.version", "os.arch") if known.get(name))


def _outcome(plan: Plan) -> str:
    if plan.blockers:
        return "blocked"
    if any(one.left == "warning" for one in plan.findings):
        return "needs you"
    return "repaired" if plan.changes else "ready"


def failed(job: Job, key: str, error: GuestfixError) -> Result:
    """Return the result of a guest that could not be judged, or not be changed."""
    outcome = "blocked" if isinstance(error, Blocked) else "failed"
    what = f"took longer than {job.timeout:.0f} s" if isinstance(error, Stopped) and job.timeout else error.said
    return Result(job.guest.name, outcome, key, job.action, target=job.guest.target, error_code=error.code, error=what)


PACKED = 4
"""Level of compression: 6 takes 0.7 ms longer for each guest, and saves a twentieth of the document."""


def _packed(data: bytes) -> bytes:
    return zlib.compress(data, PACKED)
