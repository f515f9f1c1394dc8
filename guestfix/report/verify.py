"""What a start of a guest showed, for people: the ending in a line, then each step beside what the walk said of it."""

from __future__ import annotations

from guestfix.base.text import one_line, some

TYPE_CHECKING = False
if TYPE_CHECKING:
    from guestfix.verify.shapes import ReachedOut, StartOut

_WORDS = {True: "reached", False: "not", None: "-"}


def render_start(one: StartOut) -> str:
    """Return one start as text; nothing of what the guest wrote can move the cursor or begin a line."""
    hardware = one["hardware"]
    secure = ", Secure Boot on" if hardware["secure_boot"] else ""
    machine = f"{hardware['target']}: {hardware['disk']}, {hardware['nic']}, {hardware['firmware']}{secure}"
    rows = [
        ("started", f"{one['state']}, as {machine}"),
        ("by", f"{hardware['accelerator']} ({hardware['because']})"),
        *(("but", text) for text in hardware["stand_ins"]),
        ("ending", _ending(one)),
        *_address(one),
    ]
    if one["ssh_banner"]:
        rows.append(("ssh", one["ssh_banner"]))
    rows += [("failed", unit) for unit in one["failed_units"]]
    rows += [("waited", f"in vain for {unit}") for unit in one["waited_for"]]
    lines = [one_line(f"{left:<9}{right}")[:400] for left, right in rows]
    steps = [_step(number, step) for number, step in enumerate(one["steps"], 1)]
    return "\n".join([*lines, "", "Step by step: what the walk said, what was seen", *steps]) + "\n"


def _address(one: StartOut) -> list[tuple[str, str]]:
    """Return what is told of the guest's address, nothing where it did nothing on its NIC."""
    dhcp = one["dhcp"]
    if dhcp["lease"]:
        when = next((mark["seconds"] for mark in one["marks"] if mark["name"] == "lease"), one["seconds"])
        return [("address", f"{dhcp['lease']} by DHCP, after {when:.0f} s")]
    if dhcp["requests"]:
        return [("address", f"{dhcp['requests']} DHCP requests, and no lease")]
    return [("address", f"no DHCP; it uses {some(one['addresses'])}")] if one["addresses"] else []


def _ending(one: StartOut) -> str:
    after, stop = f"after {one['seconds']:.0f} s", one["stop"]
    if stop is None:
        told = {
            "reached": "it runs, has an address, and somebody can log in",
            "unreachable": "it runs, but has no address or nobody can log in",
        }
        return f"{told.get(one['ending'], 'no sign of success or of failure, and no progress any more')}, {after}"
    where = " or ".join((stop["step"] or "an unknown step", *stop["also"]))
    line = f": {stop['line'].strip()[:200]}" if stop["line"].strip() else ""
    return f"stops at {where} ({stop['why']}), {after}{line}"


def _step(number: int, one: ReachedOut) -> str:
    when = f"after {one['seconds']:.0f} s, by {one['sign']}" if one["reached"] and one["seconds"] is not None else ""
    differs = "  (differs)" if one["agrees"] is False else ""
    line = f"  {number:>2} {one['id']:<10} {one['said']:<9} {_WORDS[one['reached']]:<8} {when}{differs}"
    return one_line(line).rstrip()
