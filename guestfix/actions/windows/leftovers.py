r"""What the old platform leaves in Windows: its services, and filters between Windows and its devices."""

from __future__ import annotations

from collections.abc import Collection, Iterable
from functools import partial

from guestfix.actions.windows.registry import disable_service, editing_system, reader, root_of, seen
from guestfix.actions.workbench import Workbench
from guestfix.base.catalog.facts.windows import (
    WINDOWS_AGENTS,
    WINDOWS_LEFTOVER_SERVICES,
    WINDOWS_ORPHAN_FILTERS,
    WINDOWS_PLATFORM_FILTERS,
)
from guestfix.base.facts import Evidence
from guestfix.formats.windows.files import has_driver
from guestfix.formats.windows.filters import filter_lists, orphans, take_out
from guestfix.formats.windows.regf import REG_SZ, Hive
from guestfix.formats.windows.services import is_protected, products_of

PROVIDERS = (r"Control\NetworkProvider\Order", r"Control\NetworkProvider\HwOrder")
"""Keys whose ProviderOrder lists the network redirectors that each path is tried with, by their services."""


def disable_leftovers(bench: Workbench, *, services: list[str]) -> None:
    """Disable services of the old platform's guest software; what comes with Windows is never touched.

    A driver that a class or a device names as its filter leaves these lists first, since the device would not start
    without it; a network redirector leaves the order of network providers.
    """
    own = [name for name in services if is_protected(name)]
    for name in own:
        text = f"the service {name} is needed by Windows and was left alone"
        bench.find("GF-WINDOWS-LEFT-ALONE", "info", text, *seen(bench, WINDOWS_LEFTOVER_SERVICES))
    others = {name.lower(): name for name in services if name not in own}
    untied: dict[str, None] = {}
    with editing_system(bench) as (hive, controls):
        for control in controls:
            untied |= dict.fromkeys(_untie(hive, control, others))
        done = {name: [disable_service(hive, control, name) for control in controls] for name in others.values()}
    if untied:
        names = ", ".join(others[name] for name in untied)
        text = f"filters of the old platform were taken off devices and disabled: {names}"
        bench.find("GF-WINDOWS-FILTERS", "info", text, *_seen(bench))
    disabled = [name for name, changed in done.items() if any(changed)]
    if disabled:
        _say(bench, disabled)


def _seen(bench: Workbench) -> tuple[Evidence, ...]:
    return seen(bench, WINDOWS_PLATFORM_FILTERS) or seen(bench, WINDOWS_LEFTOVER_SERVICES)


def _untie(hive: Hive, control: str, names: Collection[str]) -> list[str]:
    """Take services off every list of filters and the order of network providers; return those that were filters."""
    found: list[str] = []
    for one in filter_lists(reader(hive), control):
        found += [low for low in map(str.lower, one.names) if low in names]
        take_out(hive, one, names)
    for key in PROVIDERS:
        order = reader(hive).text(rf"{control}\{key}", "ProviderOrder").split(",")
        left = [one for one in order if one.strip().lower() not in names]
        if len(left) < len(order):
            hive.set_value(rf"{control}\{key}", "ProviderOrder", REG_SZ, ",".join(left))
    return found


def _say(bench: Workbench, disabled: Iterable[str]) -> None:
    """Say for each product what was disabled, and where its uninstaller only works on the old platform."""
    folded = {name.lower(): name for name in disabled}
    for product in products_of(bench.target.tables.get("windows-products", {})):
        names = [folded[one] for one in folded if one in (*product.services, *product.filters)]
        if not names:
            continue
        done = f"disabled {', '.join(names)} ({product.name})"
        bench.follow_up(done if product.first else f"{done}; uninstall the software when the guest runs")
        if product.first:
            text = f"{product.name}: {product.first}; its files and its entry among the programs stay"
            remedy = "uninstall it on the old platform before the guest moves, or remove it by hand afterwards"
            bench.find("GF-WINDOWS-UNINSTALL-FIRST", "info", text, *seen(bench, WINDOWS_AGENTS), remedy=remedy)


def remove_orphan_filters(bench: Workbench) -> None:
    """Take filters whose driver is gone or switched off off the classes of disks, NICs and their buses, and devices."""
    removed: dict[str, None] = {}
    root = root_of(bench)
    there = partial(has_driver, bench.fs, root)
    with editing_system(bench) as (hive, controls):
        for control in controls:
            for one in filter_lists(reader(hive), control):
                gone = orphans(reader(hive), control, one, there, root)
                if gone and take_out(hive, one, gone):
                    removed |= dict.fromkeys(gone)
    if removed:
        text = f"filters without a driver removed: {', '.join(removed)}"
        bench.find("GF-WINDOWS-FILTERS", "info", text, *seen(bench, WINDOWS_ORPHAN_FILTERS))
