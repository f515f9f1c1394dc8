"""What a start of a guest showed: signs as they came, the steps of the walk that they prove, and how it ended."""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal

from guestfix.base.record import frozen
from guestfix.base.text import clean, one_line
from guestfix.walk.model import Walk

if TYPE_CHECKING:
    from guestfix.verify.shapes import StartOut

Ending = Literal["reached", "unreachable", "stopped", "unproven"]
"""``reached``: a login and an address; ``unreachable``: it runs, but has no address or nobody can log in;
``stopped``: a sign of a boot that ended; ``unproven``: no sign either way until a bound."""
ENDINGS: tuple[Ending, ...] = ("reached", "unreachable", "stopped", "unproven")


@frozen
class Mark:
    """A sign that was seen: what it is, seconds since the start, and the line of the console that showed it."""

    name: str
    seconds: float
    line: str = ""


@frozen
class Stop:
    """Where a boot ended. ``step`` is a step of the walk, ``also`` those that the same sign may be of."""

    step: str
    why: str
    line: str = ""
    also: tuple[str, ...] = ()
    seconds: float = 0.0


@frozen
class Wire:
    """What went over the NIC: DHCP requests, the address that was given and taken, addresses that the guest used."""

    requests: int = 0
    lease: str = ""
    lease_seconds: float = 0.0
    addresses: tuple[str, ...] = ()


@frozen
class Hardware:
    """The machine that a guest was started on, and what stands in for what QEMU does not have."""

    target: str
    accelerator: str
    because: str
    firmware: str
    secure_boot: bool
    disk: str
    nic: str
    stand_ins: tuple[str, ...] = ()
    program: str = ""


@frozen
class Seen:
    """Everything that one start showed. ``console`` is the text of the serial port; ``dropped`` what was left out."""

    ending: Ending
    hardware: Hardware
    seconds: float
    marks: tuple[Mark, ...] = ()
    stop: Stop | None = None
    wire: Wire = Wire()
    banner: str = ""
    failed: tuple[str, ...] = ()
    waited: tuple[str, ...] = ()
    console: str = ""
    dropped: int = 0

    def mark(self, name: str) -> Mark | None:
        """Return a sign by its name, or None where it was not seen."""
        return next((one for one in self.marks if one.name == name), None)


PROOFS: dict[str, tuple[str, ...]] = {
    "loader": ("firmware",),
    "menu": ("loader",),
    "entry": ("entry",),
    "kernel": ("kernel",),
    "init": ("root",),
    "local-fs": ("mounts",),
    "login": ("mounts",),
    "setup": ("root",),
    "logon": ("setup",),
    "lease": ("kernel",),
    "ssh": ("access",),
}
"""What a sign proves: that every step up to this one was reached."""


@frozen
class Reached:
    """A step of the walk as it was seen: reached or not, None where nothing tells; by which sign and when.

    ``said`` is what the walk said of it, ``agrees`` whether that is what was seen, None where it can't be compared.
    """

    id: str
    reached: bool | None
    seconds: float | None
    sign: str
    said: str
    agrees: bool | None


def steps_of(seen: Seen, walk: Walk, *, ssh: bool) -> tuple[Reached, ...]:
    """Return each step of a walk beside what was seen. ``ssh``: the guest has a server, so that access is by it."""
    order = [one.id for one in walk.steps]
    proved: dict[str, Mark] = {}
    for mark in seen.marks:
        if mark.name == "lease" or (mark.name == "login" and not ssh):
            proved.setdefault("network" if mark.name == "lease" else "access", mark)
        for last in PROOFS.get(mark.name, ()):
            for step in order[: order.index(last) + 1] if last in order else ():
                proved.setdefault(step, mark)
    stopped = next((order.index(one) for one in _places(seen.stop) if one in order), None)
    return tuple(_reached(step.id, step.outcome, order, proved, stopped, seen) for step in walk.steps)


def _places(stop: Stop | None) -> tuple[str, ...]:
    return (stop.step, *stop.also) if stop else ()


def _reached(
    step: str, said: str, order: list[str], proved: dict[str, Mark], stopped: int | None, seen: Seen
) -> Reached:
    mark = proved.get(step)
    if mark:
        return Reached(step, True, mark.seconds, mark.name, said, None if said == "unknown" else said != "stops")
    if seen.stop and step in _places(seen.stop):
        only = step == seen.stop.step and not seen.stop.also
        agrees = True if said == "stops" else None if said == "unknown" or not only else False
        return Reached(step, False, seen.stop.seconds, "stop", said, agrees)
    if stopped is not None and order.index(step) > stopped:
        return Reached(step, False, None, "", said, None)
    if seen.ending == "unreachable" and step in ("network", "access"):
        untold = said == "unknown" or (step == "access" and "network" not in proved)
        return Reached(step, False, None, "", said, None if untold else said == "stops")
    return Reached(step, None, None, "", said, None)


@frozen
class Start:
    """One start: which state of the guest it was (``before``, ``after``, ``reverted``), and what was seen."""

    state: str
    seen: Seen
    steps: tuple[Reached, ...]

    @property
    def differs(self) -> tuple[Reached, ...]:
        """The steps of which the walk said something else than was seen."""
        return tuple(one for one in self.steps if one.agrees is False)


@frozen
class Starts:
    """Every start of one run of verify. ``uri`` and ``identity`` name the guest, ``plan`` is its report's digest then.

    The report is that of the first start: of the guest as it was given, on the target, with no choices.
    """

    uri: str
    identity: str
    plan: str
    starts: tuple[Start, ...]


# documents


def start_out(start: Start) -> StartOut:
    """Return one start in its JSON form. Whatever the guest wrote is made safe, its controls made visible."""
    seen, stop = start.seen, start.seen.stop
    return {
        "state": start.state,
        "ending": seen.ending,
        "stop": None
        if stop is None
        else {
            "step": stop.step,
            "also": list(stop.also),
            "why": stop.why,
            "line": one_line(stop.line),
            "seconds": _tenths(stop.seconds),
        },
        "steps": [
            {
                "id": one.id,
                "reached": one.reached,
                "seconds": None if one.seconds is None else _tenths(one.seconds),
                "sign": one.sign or None,
                "said": one.said,
                "agrees": one.agrees,
            }
            for one in start.steps
        ],
        "marks": [{"name": m.name, "seconds": _tenths(m.seconds), "line": one_line(m.line)} for m in seen.marks],
        "failed_units": [one_line(one) for one in seen.failed],
        "waited_for": [one_line(one) for one in seen.waited],
        "dhcp": {
            "requests": seen.wire.requests,
            "lease": seen.wire.lease or None,
            "seconds": _tenths(seen.wire.lease_seconds) if seen.wire.lease else None,
        },
        "addresses": list(seen.wire.addresses),
        "ssh_banner": one_line(seen.banner) or None,
        "seconds": _tenths(seen.seconds),
        "hardware": {
            "target": seen.hardware.target,
            "accelerator": seen.hardware.accelerator,
            "because": seen.hardware.because,
            "firmware": seen.hardware.firmware,
            "secure_boot": seen.hardware.secure_boot,
            "disk": seen.hardware.disk,
            "nic": seen.hardware.nic,
            "stand_ins": list(seen.hardware.stand_ins),
            "program": seen.hardware.program,
        },
        "console": {"text": clean(seen.console), "dropped": seen.dropped},
    }


def _tenths(seconds: float) -> float:
    return round(seconds, 1)
