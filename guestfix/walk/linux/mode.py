"""Whether a guest starts into a mode for repairs: emergency (nothing is mounted) or rescue (nothing else is started).

Sources: systemd(1), kernel command line; systemd.special(7); init(8) of sysvinit, run level S.
"""

from __future__ import annotations

from typing import Literal

from guestfix.base.catalog.facts.boot import BOOT_DEFAULT
from guestfix.base.errors import GuestError
from guestfix.base.facts import Evidence, Finding
from guestfix.walk.scene import Scene, entry_place

Mode = Literal["emergency", "rescue"]

DEFAULT = "/etc/systemd/system/default.target"
_UNITS: dict[str, Mode] = {"emergency.target": "emergency", "rescue.target": "rescue", "runlevel1.target": "rescue"}
_WORDS: dict[str, Mode] = {
    **dict.fromkeys(("emergency", "-b"), "emergency"),
    **dict.fromkeys(("rescue", "single", "s", "S", "1"), "rescue"),
}


def mode(scene: Scene) -> tuple[Mode, Evidence] | None:
    """Return the mode in which the default entry starts the guest, and what says so; None for the usual one."""
    entry = scene.facts.value(BOOT_DEFAULT)
    if entry is None:
        return None
    told = [arg.removeprefix("systemd.unit=") for arg in entry.args if arg.startswith("systemd.unit=")]
    words = [_WORDS[arg] for arg in entry.args if arg in _WORDS]
    if told or words:
        found = _UNITS.get(told[-1]) if told else words[-1]
        return (found, entry_place(entry)) if found else None
    try:
        target = scene.guest.readlink(DEFAULT)
    except GuestError:
        return None
    found = _UNITS.get(target.rpartition("/")[2])
    return (found, Evidence(DEFAULT, 0, target)) if found else None


def stops(scene: Scene, which: Mode) -> list[Finding]:
    """Return the finding where the guest starts into this mode."""
    found = mode(scene)
    if found is None or found[0] != which:
        return []
    summary = f"the system starts into {which} mode, where it waits for somebody at its console"
    remedy = "systemctl set-default multi-user.target in the guest; take single, emergency or systemd.unit= out of it"
    return [Finding("GF-WALK-TARGET", "blocker", summary, (found[1],), remedy, outcome="stops")]
