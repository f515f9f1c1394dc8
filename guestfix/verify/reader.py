"""Reading what verify wrote. The file may come from anybody: every value is checked, and cut where it is long."""

from __future__ import annotations

from guestfix.base.errors import PlanError
from guestfix.base.patterns import regex
from guestfix.base.strict import Node, parse
from guestfix.plan.model import SCHEMA
from guestfix.verify.model import ENDINGS, Hardware, Mark, Reached, Seen, Start, Starts, Stop, Wire
from guestfix.walk.model import WORST

MAX_DOCUMENT = 16 << 20
MAX_VALUES = 100_000
MAX_STARTS, MAX_ITEMS = 20, 1000
TEXT, CONSOLE = 10_000, 4_000_000
MAX_SECONDS = 1_000_000.0

_DIGEST = regex(r"[0-9a-f]{64}")
_REMEDY = "make it with: guestfix verify --format json"


def is_starts(data: bytes) -> bool:
    """Tell whether a document is one of verify, and no plan: it has starts."""
    try:
        return b'"starts"' in data and "starts" in parse(data, MAX_DOCUMENT, MAX_VALUES).members((), None)
    except ValueError:
        return False


def load_starts(data: bytes, where: str = "") -> Starts:
    """Return what ``guestfix verify --format json`` wrote. Raises PlanError for anything else."""
    try:
        top = parse(data, MAX_DOCUMENT, MAX_VALUES).members(("schema", "guest", "plan_digest", "starts"), None)
        if top["schema"].value != SCHEMA:
            raise top["schema"].wrong(str(SCHEMA))
        guest = top["guest"].members(("uri", "identity"), None)
        return Starts(
            guest["uri"].text(TEXT),
            guest["identity"].text(64, _DIGEST),
            top["plan_digest"].text(64, _DIGEST),
            tuple(_start(one) for one in top["starts"].items(MAX_STARTS)),
        )
    except ValueError as error:
        raise PlanError(f"not what verify wrote: {error}", where=where, remedy=_REMEDY) from error


def _start(node: Node) -> Start:
    names = ("state", "ending", "stop", "steps", "marks", "failed_units", "waited_for", "dhcp", "addresses")
    data = node.members((*names, "ssh_banner", "seconds", "hardware", "console"), None)
    console = data["console"].members(("text", "dropped"), None)
    seen = Seen(
        next(one for one in ENDINGS if one == data["ending"].one_of(ENDINGS)),
        _hardware(data["hardware"]),
        _seconds(data["seconds"]),
        tuple(_mark(one) for one in data["marks"].items(MAX_ITEMS)),
        None if data["stop"].value is None else _stop(data["stop"]),
        _wire(data["dhcp"], _texts(data["addresses"])),
        _optional(data["ssh_banner"]),
        _texts(data["failed_units"]),
        _texts(data["waited_for"]),
        console["text"].text(CONSOLE),
        console["dropped"].integer(0, 1 << 62),
    )
    return Start(data["state"].text(TEXT), seen, tuple(_step(one) for one in data["steps"].items(MAX_ITEMS)))


def _step(node: Node) -> Reached:
    data = node.members(("id", "reached", "seconds", "sign", "said", "agrees"), None)
    seconds = None if data["seconds"].value is None else _seconds(data["seconds"])
    said = data["said"].one_of(WORST)
    return Reached(
        data["id"].text(TEXT), _maybe(data["reached"]), seconds, _optional(data["sign"]), said, _maybe(data["agrees"])
    )


def _mark(node: Node) -> Mark:
    data = node.members(("name", "seconds", "line"), None)
    return Mark(data["name"].text(TEXT), _seconds(data["seconds"]), data["line"].text(TEXT))


def _stop(node: Node) -> Stop:
    data = node.members(("step", "also", "why", "line", "seconds"), None)
    step, why, line = (data[name].text(TEXT) for name in ("step", "why", "line"))
    return Stop(step, why, line, _texts(data["also"]), _seconds(data["seconds"]))


def _wire(node: Node, addresses: tuple[str, ...]) -> Wire:
    data = node.members(("requests", "lease"), None)
    seconds = data.get("seconds")
    when = 0.0 if seconds is None or seconds.value is None else _seconds(seconds)
    return Wire(data["requests"].integer(0, 1 << 62), _optional(data["lease"]), when, addresses)


def _hardware(node: Node) -> Hardware:
    names = ("target", "accelerator", "because", "firmware", "secure_boot", "disk", "nic", "stand_ins", "program")
    data = node.members(names, None)
    target, accelerator, because, firmware, disk, nic, program = (
        data[name].text(TEXT) for name in names if name not in ("secure_boot", "stand_ins")
    )
    secure = _maybe(data["secure_boot"]) is True
    return Hardware(target, accelerator, because, firmware, secure, disk, nic, _texts(data["stand_ins"]), program)


def _texts(node: Node) -> tuple[str, ...]:
    return tuple(one.text(TEXT) for one in node.items(MAX_ITEMS))


def _optional(node: Node) -> str:
    return "" if node.value is None else node.text(TEXT)


def _maybe(node: Node) -> bool | None:
    if node.value is not None and type(node.value) is not bool:
        raise node.wrong("true, false or null")
    found: bool | None = node.value
    return found


def _seconds(node: Node) -> float:
    if type(node.value) not in (int, float) or not 0 <= node.value <= MAX_SECONDS:
        raise node.wrong(f"seconds from 0 to {MAX_SECONDS:.0f}")
    return float(node.value)
