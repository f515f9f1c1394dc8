"""The step of the drivers: the boot-start drivers reach the target's disks, each by the buses that it stands on."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from guestfix.base.catalog.facts.windows import (
    WINDOWS_BUS_DRIVERS,
    WINDOWS_CONTROL_SET,
    WINDOWS_DISK_BINDINGS,
    WINDOWS_HIVES,
    WINDOWS_STORAGE_DRIVERS,
)
from guestfix.base.catalog.records.windows import DriverBinding, DriverService
from guestfix.base.facts import Evidence, Finding
from guestfix.base.record import frozen
from guestfix.formats.windows.services import BOOT
from guestfix.formats.windows.storage import alternatives, buses_of, is_optional
from guestfix.walk.scene import Ground, Look, Scene, passes, unknown

REMEDY = "let the rule windows/storage-drivers start them, or give the drivers with --payload"


@frozen
class Way:
    """A driver with the buses that it stands on, and what keeps Windows from its disks: how bad, why, and where.

    ``bad``: 0 nothing, 1 a bus does not start, 2 the driver does not, 3 it is not there.
    ``unseen`` are buses that every Windows has, but that this hive does not.
    """

    names: tuple[str, ...]
    bad: int = 0
    why: str = ""
    where: tuple[Evidence, ...] = ()
    unseen: tuple[str, ...] = ()


def ground(scene: Scene) -> Ground:
    """Tell by which drivers and buses the disks are reached."""
    seen = scene.facts.evidence(WINDOWS_STORAGE_DRIVERS)
    if scene.facts.value(WINDOWS_STORAGE_DRIVERS) is None:
        return unknown(scene.facts.why_unknown(WINDOWS_STORAGE_DRIVERS) or "no driver is to be seen", *seen)
    ways = [_best(scene, item) for item in _items(scene)]
    if not ways:
        return unknown(f"the target {scene.target.id} names no driver for its disks", *seen)
    unseen = [bus for way in ways for bus in way.unseen]
    if unseen:
        return unknown(f"no service is to be seen for the bus {unseen[0]}, which {ways[0].names[0]} stands on", *seen)
    chains = "; ".join(" on ".join(way.names) for way in ways if not way.bad)
    return passes(f"boot-start drivers reach the disks of {scene.target.id}: {chains}", *seen)


def check(scene: Scene) -> Iterator[Finding]:
    """Yield the devices whose driver, or a bus beneath it, does not start at boot."""
    if scene.facts.value(WINDOWS_STORAGE_DRIVERS) is None:
        return
    told = {one.code for one in scene.findings if not one.settled_by}
    for item in _items(scene):
        way = _best(scene, item)
        if not way.bad or (way.bad > 1 and "GF-WINDOWS-STORAGE-DRIVER" in told):
            continue
        text = f"Windows would stop with code 7B: {way.why}"
        staged = way.bad > 1 and any(one.staged for one in _bindings(scene, alternatives(item)))
        if staged:
            text = f"{way.why}; a package for its devices lies in the driver store"
        yield Finding(
            "GF-WINDOWS-DISK-PATH", "warning", text, way.where, REMEDY, outcome="unknown" if staged else "stops"
        )


def _items(scene: Scene) -> list[str]:
    return [item for item in scene.target.windows_drivers.get("storage", ()) if not is_optional(item)]


def _bindings(scene: Scene, names: Iterable[str]) -> list[DriverBinding]:
    found = {one.driver: one for one in scene.facts.value(WINDOWS_DISK_BINDINGS, [])}
    return [found[name] for name in names if name in found]


def _best(scene: Scene, item: str) -> Way:
    """Return the way to the devices of an item of the target that gets furthest, the preferred one first."""
    names = alternatives(item)
    bindings = _bindings(scene, names)
    bound = {name.lower() for one in bindings for name in one.services}
    ways = [_way(scene, name, bound) for name in dict.fromkeys([*names, *sorted(bound)])]
    return min(ways, key=lambda way: way.bad)


def _way(scene: Scene, name: str, bound: set[str]) -> Way:
    drivers = {one.service.lower(): one for one in scene.facts.value(WINDOWS_STORAGE_DRIVERS, [])}
    driver = drivers.get(name)
    if driver is None or not driver.present:
        what = "is not installed" if driver is None else "has no file"
        return Way((name,), 3, f"the driver {name} {what}", scene.facts.evidence(WINDOWS_STORAGE_DRIVERS))
    fault = _late(driver)
    if not fault and name not in bound:
        return Way((name,), 2, f"Windows gives {name} none of its devices", scene.facts.evidence(WINDOWS_DISK_BINDINGS))
    if fault:
        return Way((name,), 2, f"the driver {name} {fault}", (_place(scene, driver),))
    return _by_buses(scene, name)


def _by_buses(scene: Scene, name: str) -> Way:
    buses = {one.service.lower(): one for one in scene.facts.value(WINDOWS_BUS_DRIVERS, [])}
    names, unseen = [name], []
    for item in buses_of(name, scene.target.windows_buses):
        there = [buses[one] for one in alternatives(item) if one in buses]
        unseen += [] if there or is_optional(item) else [item]
        for bus in there:
            if is_optional(item) and bus.start != BOOT:
                continue
            fault = _late(bus) or ("" if bus.present or is_optional(item) else "has no file")
            if fault:
                text = f"the driver {name} stands on the bus driver {bus.service}, which {fault}"
                return Way((*names, bus.service), 1, text, (_place(scene, bus),))
            names.append(bus.service)
    return Way(tuple(names), unseen=tuple(unseen))


def _late(driver: DriverService) -> str:
    """Tell why a driver does not start at boot, empty where it does."""
    if driver.start != BOOT:
        return f"does not start at boot (Start = {driver.start})"
    if driver.start_override not in (None, BOOT):
        return f"does not start at boot: StartOverride = {driver.start_override} is put over its Start"
    return ""


def _place(scene: Scene, driver: DriverService) -> Evidence:
    path = str(scene.facts.value(WINDOWS_HIVES, {}).get("SYSTEM", "/"))
    key = rf"SYSTEM\{scene.facts.value(WINDOWS_CONTROL_SET, 'ControlSet001')}\Services\{driver.service}"
    if driver.start == BOOT and driver.start_override is not None:
        return Evidence(path, 0, rf"{key}\StartOverride: 0 = {driver.start_override}")
    return Evidence(path, 0, f"{key}: Start = {driver.start}")


LOOK = Look("drivers", "drivers reach the disks", ground, check)
