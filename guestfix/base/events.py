"""What guestfix tells while it works: one kind of event for programs, for a bar on a terminal, and for logging.

An event is what virt-v2v's ``--machine-readable`` writes (libguestfs' common/mltools, log_as_json: message, timestamp,
type), with more members: the finding's code, the stage, the rule, the percent of the whole run. Events are a Progress
as :func:`guestfix.make_plan` and :func:`guestfix.apply_plan` take it.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Mapping, Sequence

from guestfix.base.record import frozen

STAGES: dict[str, tuple[int, str, str]] = {
    "open": (5, "Opening the guest", "steps"),
    "read": (40, "Reading the guest", "steps"),
    "plan": (20, "Asking the rules", "rules"),
    "write": (15, "Writing the changes", "bytes"),
    "check": (10, "Checking the filesystems", "steps"),
    "convert": (10, "Making the image", "bytes"),
    "fleet": (100, "Working on the guests", "guests"),
}
"""Every stage in its order: its weight in a run, what is said as it begins, and what is counted in it."""

ONE_GUEST = tuple(name for name in STAGES if name != "fleet")

TYPES = ("message", "info", "warning", "error", "progress", "result")
"""The first four are virt-v2v's. There is one ``result``, the last event of a run."""

STEP = 2
"""Percent between two progress events: each costs as much as a small rule."""

SEVERITY = {"blocker": "error", "warning": "warning", "info": "info"}
"""A finding's severity as a type of event."""


@frozen
class Event:
    """One thing told. ``percent`` is of the whole run; ``done`` of ``total`` are the stage's, in ``unit``.

    ``rule`` is what a finding is about, and of a progress the rule that is asked now.
    A progress' message is ``PERCENT/100``, the form that libguestfs' progress bars have for programs. ``rate`` is how
    many guests a second were done since the stage began, and ``rest`` the seconds that the others need at that rate.
    """

    type: str
    message: str
    stage: str = ""
    percent: int | None = None
    code: str = ""
    rule: str = ""
    path: str = ""
    remedy: str = ""
    done: int | None = None
    total: int | None = None
    unit: str = ""
    rate: float | None = None
    rest: int | None = None
    result: Mapping[str, object] | None = None


Sink = Callable[[Event], None]


def timestamp(now_ns: int | None = None) -> str:
    """Return a time as RFC 3339 has it, with nanoseconds and the offset of UTC; the present one by default."""
    now = time.time_ns() if now_ns is None else now_ns
    seconds = time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime(now // 1_000_000_000))
    return f"{seconds}.{now % 1_000_000_000:09d}+00:00"


class Events:
    """Tells every sink what happens. Without a sink, telling costs next to nothing.

    ``outcome`` is what whoever works puts down for the last event: the plan's digest, what was applied; ``last`` is
    what that event says where the words of the exit status would not be true of it.

    Called as a Progress, ``events(stage, done, total)``, it makes one ``message`` as a stage begins and a ``progress``
    for each two percent of the run: never more, however many steps there are. The percent never falls.
    """

    def __init__(self, stages: Iterable[str] = ONE_GUEST, sinks: Iterable[Sink] = ()) -> None:
        self.sinks = list(sinks)
        self.stage, self.percent = "", -STEP
        self.outcome: dict[str, object] = {}
        self.last = ""
        self._rules: Sequence[str] = ()
        self._ended = False
        self._begun = (0.0, 0)
        self.expect(*stages)

    def expect(self, *stages: str) -> None:
        """Say which stages this run has; the percent is counted over their weights."""
        self._stages = [name for name in STAGES if name in stages]
        self._whole = sum(STAGES[name][0] for name in self._stages) or 1

    def ask(self, rules: Iterable[str]) -> None:
        """Say which rules are asked, in their order, so that a progress names the one whose turn it is."""
        self._rules = tuple(rules) if self.sinks else ()

    def __call__(self, stage: str, done: int, total: int) -> None:
        """Tell how far a stage is: ``done`` of ``total`` in the stage's unit."""
        if not self.sinks:
            return
        if stage != self.stage:
            self.stage, self._begun = stage, (time.monotonic(), done)
            self.tell(Event("message", STAGES[stage][1] if stage in STAGES else stage, stage, max(self.percent, 0)))
        percent = max(self._percent(stage, min(done, total), total), self.percent)
        if percent >= self.percent + STEP or done == total:
            unit = STAGES[stage][2] if stage in STAGES else "steps"
            self.percent = percent
            rule = self._rules[done] if unit == "rules" and done < len(self._rules) else ""
            rate, rest = self._pace(done, total) if unit == "guests" else (None, None)
            self.tell(
                Event(
                    "progress",
                    f"{percent}/100",
                    stage,
                    percent,
                    rule=rule,
                    done=done,
                    total=total,
                    unit=unit,
                    rate=rate,
                    rest=rest,
                )
            )

    def _pace(self, done: int, total: int) -> tuple[float | None, int | None]:
        begun, before = self._begun
        spent = time.monotonic() - begun
        rate = (done - before) / spent if spent > 0 else 0
        return (round(rate, 3), round((total - done) / rate)) if rate else (None, None)

    def _percent(self, stage: str, done: int, total: int) -> int:
        before = 0
        for name in self._stages:
            if name == stage:
                return (100 * (before * total + STAGES[name][0] * done)) // (self._whole * total) if total else 0
            before += STAGES[name][0]
        return 0

    def tell(self, event: Event) -> None:
        """Give an event to every sink."""
        for sink in self.sinks:
            sink(event)

    def say(self, kind: str, message: str, *, code: str = "", rule: str = "", path: str = "", remedy: str = "") -> None:
        """Tell a ``message``, ``info``, ``warning`` or ``error`` of the stage that is at work."""
        if self.sinks:
            self.tell(Event(kind, message, self.stage, max(self.percent, 0), code, rule, path, remedy))

    def result(self, message: str, status: int) -> None:
        """Tell the outcome with the exit status, and all that was put down of it; the first time only."""
        if self.sinks and not self._ended:
            self._ended = True
            percent = 100 if status in (0, 1) else max(self.percent, 0)
            result = {"status": status, **self.outcome}
            self.tell(Event("result", self.last or message, self.stage, percent, result=result))


SILENT = Events()
"""Events that nobody hears."""
