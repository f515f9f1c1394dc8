"""Units of systemd that mount what did not come along: the boot does without them."""

from __future__ import annotations

from guestfix.actions.workbench import Workbench
from guestfix.base.edit import Link
from guestfix.detect.storage.mountunits import (
    FOLDER,
    cost,
    holders,
    is_there,
    lost,
    lost_places,
    names_of,
    units_of,
)
from guestfix.formats.storage.fstab import VITAL


def release(bench: Workbench) -> None:
    """Take the links away by which mount and swap units start whose device, or whose mount below, is not there.

    A unit that links outside of /etc start is masked. One at a place of VITAL stays: without it the guest would boot
    into nothing. A service that requires such a device stays too, for the boot goes on without it.
    """
    names, places = names_of(bench.facts), lost_places(bench.facts)
    for unit in units_of(bench.fs):
        gone = lost(bench.fs, unit, names, places) if unit.endswith((".mount", ".swap")) else []
        if not gone or gone[0].where in VITAL or not cost(bench.fs, unit)[0]:
            continue
        links = holders(bench.fs, unit)
        for path in links:
            if path.startswith(f"{FOLDER}/"):
                bench.fs.remove(path)
        if any(not path.startswith(f"{FOLDER}/") for path in links) and not is_there(bench.fs, f"{FOLDER}/{unit}"):
            bench.fs.put(f"{FOLDER}/{unit}", Link("/dev/null"))
        bench.follow_up(
            f"{unit} no longer starts, as {gone[0].shown} did not come along: systemctl enable {unit} later"
        )
