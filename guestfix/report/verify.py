"""What a start of a guest showed, for people: the ending in a line, then each step beside what the walk said of it."""

from __future__ import annotations

from guestfix.base.text import one_line, some
from guestfix.verify.model import Reached, Seen, steps_of
from guestfix.walk.model import Walk

_WORDS = {True: "reached", False: "not", None: "-"}
WIDTH = 96


def render_start(name: str, seen: Seen, walk: Walk, *, ssh: bool) -> str:
    """Return one start as text; nothing of what the guest wrote can move the cursor or begin a line."""
    hardware = seen.hardware
    secure = ", Secure Boot on" if hardware.secure_boot else ""
    rows = [
        ("started", f"{name}, as {hardware.target}: {hardware.disk}, {hardware.nic}, {hardware.firmware}{secure}"),
        ("by", f"{hardware.accelerator} ({hardware.because})"),
        *(("but", text) for text in hardware.stand_ins),
        ("ending", _ending(seen)),
    ]
    if seen.wire.lease:
        rows.append(("address", f"{seen.wire.lease} by DHCP, after {seen.wire.lease_seconds:.0f} s"))
    elif seen.wire.requests:
        rows.append(("address", f"{seen.wire.requests} DHCP requests, and no lease"))
    elif seen.wire.addresses:
        rows.append(("address", f"no DHCP; it uses {some(seen.wire.addresses)}"))
    if seen.banner:
        rows.append(("ssh", one_line(seen.banner)))
    rows += [("failed", one_line(unit)) for unit in seen.failed]
    rows += [("waited", f"in vain for {one_line(unit)}") for unit in seen.waited]
    lines = [f"{left:<9}{right}"[:400] for left, right in rows]
    steps = [_step(number, one) for number, one in enumerate(steps_of(seen, walk, ssh=ssh), 1)]
    return "\n".join([*lines, "", "Step by step: what the walk said, what was seen", *steps]) + "\n"


def _ending(seen: Seen) -> str:
    after = f"after {seen.seconds:.0f} s"
    if seen.stop is None:
        told = {
            "reached": "it runs, has an address, and somebody can log in",
            "unreachable": "it runs, but has no address or nobody can log in",
        }
        return f"{told.get(seen.ending, 'no sign of success or of failure, and no progress any more')}, {after}"
    where = " or ".join((seen.stop.step or "an unknown step", *seen.stop.also))
    line = f": {one_line(seen.stop.line.strip())[:200]}" if seen.stop.line.strip() else ""
    return f"stops at {where} ({seen.stop.why}), {after}{line}"


def _step(number: int, one: Reached) -> str:
    when = f"after {one.seconds:.0f} s, by {one.sign}" if one.reached and one.seconds is not None else ""
    differs = "  (differs)" if one.agrees is False else ""
    return f"  {number:>2} {one.id:<10} {one.said:<9} {_WORDS[one.reached]:<8} {when}{differs}".rstrip()
