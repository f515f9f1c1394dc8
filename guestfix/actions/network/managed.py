"""Letting NetworkManager have the wired NICs of the target."""

from __future__ import annotations

from guestfix.actions.workbench import Workbench
from guestfix.base.errors import GuestError
from guestfix.detect.network.managed import OWN, RULES, SHIPPED, SHIPPED_RULES, driver_of, new_nic, refusals
from guestfix.editors.network import managed
from guestfix.formats.network.nic import MAX_CONFIG

MAX_ROUNDS = 16


def apply(bench: Workbench, *, policy: str) -> None:
    """Take what keeps NetworkManager from the target's NIC out of its files and udev's; name each line."""
    device = new_nic(bench.facts, policy, driver_of(bench.target))
    for _ in range(MAX_ROUNDS):  # behind one list or section another may stand
        found = refusals(bench.fs, bench.facts, device)
        for one in found[:1]:
            summary = (
                f"NetworkManager may not manage a wired NIC that is new: {one.text[:200]}; wired NICs are excepted"
            )
            remedy = "nothing, if NetworkManager is to have the NIC; the list was written for NICs of the old hardware"
            bench.find("GF-NETWORK-UNMANAGED", "warning", summary, one.place, remedy=remedy)
            try:
                before = bench.fs.read(one.path, MAX_CONFIG)
            except GuestError:
                return
            edit = managed.comment_rules if one.kind == "udev" else managed.except_wired
            after = edit(before, lines=(one.line,))
            home = one.path.replace(SHIPPED, OWN, 1).replace(SHIPPED_RULES, RULES, 1)  # it hides the shipped one
            if after == before:
                return
            bench.fs.put(home, after)
        if not found:
            return
