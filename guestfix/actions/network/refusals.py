"""Taking out of netplan's files what it refuses: it makes nothing at all of the others while anything is refused."""

from __future__ import annotations

from guestfix.actions.network.common import Setup
from guestfix.base.errors import EditError
from guestfix.base.facts import Evidence
from guestfix.base.text import some
from guestfix.editors.network import netplan
from guestfix.formats.network.netplan import devices, merge
from guestfix.formats.network.netplanrules import Fault, faults, unfit
from guestfix.formats.yamltree import Node, parse

MOST = 200
"""Places that one finding names."""


def mended(setup: Setup, paths: list[str]) -> list[str]:
    """Move files aside that are no YAML, take keys out that netplan does not know; return the files that are left."""
    left = []
    for path in paths:
        before = setup.read(path)
        try:
            unknown = [one for one in faults(parse(before or b"")) if one.unknown]
            setup.write(path, before, netplan.known_only(before) if unknown else before)
        except EditError as error:
            setup.aside(path)
            summary = f"{path} is moved aside: netplan refuses it ({error}), and every other file with it"
            remedy = "what it was to set up is lost; write it again after the migration"
            _tell(setup, summary, Evidence(path), remedy=remedy)
            continue
        if unknown:
            words = some(dict.fromkeys(one.what for one in unknown))
            summary = f"netplan refuses {path}, and every other file with it: {words}; this is taken out"
            places = [Evidence(path, one.line, one.key.value) for one in unknown]
            _tell(setup, summary, *places[:MOST], remedy="write it as netplan(5) says, if it is needed")
        left.append(path)
    return left


def left_out(setup: Setup, paths: list[str]) -> None:
    """Take devices out of the planned files that netplan refuses still; a file that can't do without is moved aside."""
    texts = [(path, now) for path in paths if (now := setup.read(path)) is not None]
    merged = merge(texts)
    lost = unfit(merged.devices, merged.renderer)
    for path, now in texts:
        root = parse(now)
        wrong = {**_wrong(root), **{name: why for name, why in lost.items() if name in _ids(root)}}
        if not wrong:
            continue
        try:
            after = None if "" in wrong else netplan.without(now, names=wrong)
        except EditError:
            after = None
        setup.write(path, now, after)
        words = some(f"{what} ({name})" if name else what for name, what in wrong.items())
        summary = f"netplan refuses {path}, and every other file with it: {words}; this is taken out"
        places = [Evidence(path, 0, name) for name in list(wrong)[:MOST]]
        _tell(setup, summary, *places, remedy="set it up again after the migration")


def _wrong(root: Node | None) -> dict[str, str]:
    """Return, by the device ("" for what is in none), what netplan refuses first."""
    found: dict[str, str] = {}
    for one in faults(root):
        found.setdefault(_device_of(root, one), one.what)
    return found


def _device_of(root: Node | None, fault: Fault) -> str:
    at = (fault.key.start, fault.key.end)
    for _, name, key, value in devices(root):
        if key.start <= at[0] and at[1] <= max(key.end, value.end):
            return name
    return ""


def _ids(root: Node | None) -> set[str]:
    return {name for _, name, _, _ in devices(root)}


def _tell(setup: Setup, summary: str, *places: Evidence, remedy: str) -> None:
    setup.bench.find("GF-NETWORK-NETPLAN-REFUSED", "warning", summary, *places, remedy=remedy)
