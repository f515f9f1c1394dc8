"""Filter drivers between Windows and its devices and files: those that are gone, and those of others."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from guestfix.base.catalog.facts.windows import (
    WINDOWS_FOREIGN_FILTERS,
    WINDOWS_ORPHAN_FILTERS,
    WINDOWS_PLATFORM_FILTERS,
)
from guestfix.base.facts import Evidence, Finding
from guestfix.detect.windows.state import State
from guestfix.formats.windows.filters import (
    OWN,
    OWN_MINIFILTERS,
    FilterList,
    Minifilter,
    filter_lists,
    minifilters,
    orphans,
    running_name,
)
from guestfix.formats.windows.services import BOOT, products_of

SHOWN = 8
"""Lists that are shown as evidence."""


def learn_filters(state: State) -> list[Finding]:
    """Put ``windows.orphan_filters``, ``windows.platform_filters`` and ``windows.foreign_filters``."""
    lists = filter_lists(state.system, state.control)
    files = minifilters(state.system, state.control)
    gone = {one: orphans(state.system, state.control, one, state.has_file, state.root) for one in lists}
    return [*_orphans(state, {one: names for one, names in gone.items() if names}), *_others(state, lists, files, gone)]


def _place(state: State, one: FilterList) -> Evidence:
    return state.system.evidence(one.key, one.value)


def _orphans(state: State, gone: dict[FilterList, tuple[str, ...]]) -> Iterator[Finding]:
    names = list(dict.fromkeys(name for those in gone.values() for name in those))
    state.facts.put(WINDOWS_ORPHAN_FILTERS, names, *(_place(state, one) for one in gone))
    remedy = "let the rule windows/orphan-filters take them off the lists"
    for boots in (True, False):
        lists = {one: those for one, those in gone.items() if one.boots == boots}
        if not lists:
            continue
        shown = "; ".join(f"{one.at}: {', '.join(those)}" for one, those in list(lists.items())[:SHOWN])
        text = f"filters whose driver is gone or switched off keep devices from starting ({shown})"
        text += "; Windows would stop with code 7B" if boots else ""
        proofs = tuple(_place(state, one) for one in list(lists)[:SHOWN])
        yield Finding("GF-WINDOWS-FILTER-GONE", "warning", text, proofs, remedy, outcome="stops" if boots else "")


def _others(
    state: State, lists: list[FilterList], files: list[Minifilter], gone: dict[FilterList, tuple[str, ...]]
) -> Iterator[Finding]:
    """Tell of filters that are there and are not Windows' own: those of the old platform, of backup agents, others."""
    present = {name.lower(): name for one in lists for name in one.names if name not in gone[one]}
    present |= {one.service.lower(): one.service for one in files if one.service.lower() not in OWN_MINIFILTERS}
    left = dict(_left_by(state))
    products = products_of(state.target.tables.get("windows-products", {}))
    told = {*OWN, *left, *(name for one in products for name in (*one.marks, *one.services))}
    running = {name: running_name(state.system, state.control, name) for name in left}
    platform = {found: left[name] for name, found in running.items() if found}
    state.facts.put(WINDOWS_PLATFORM_FILTERS, list(platform), *_proofs(state, platform))
    if platform:
        shown = _named(state, platform, files)
        text = f"filter drivers of the old platform still stand before files, disks or NICs: {shown}"
        remedy = "let the rule windows/leftover-services take them off, or uninstall them before the move"
        yield Finding("GF-WINDOWS-PLATFORM-FILTERS", "warning", text, _proofs(state, platform), remedy)
    foreign = {name: "" for low, name in present.items() if low not in told}
    state.facts.put(WINDOWS_FOREIGN_FILTERS, list(foreign), *_proofs(state, foreign))
    makers = {name.lower(): maker for maker, names in state.target.tables.get("filters", {}).items() for name in names}
    known = {name: makers[name.lower()] for name in foreign if name.lower() in makers}
    if known:
        text = f"filter drivers of backup or replication software stay before the disks: {_named(state, known, files)}"
        remedy = "uninstall what serves the old platform only, or see to a version that knows the new one"
        yield Finding("GF-WINDOWS-FOREIGN-FILTERS", "warning", text, _proofs(state, known), remedy)
    unknown = {name: "" for name in foreign if name not in known}
    if unknown:
        text = f"filter drivers of other makers stay as they are: {_named(state, unknown, files)}"
        yield Finding("GF-WINDOWS-FOREIGN-FILTERS", "info", text, _proofs(state, unknown))


def _left_by(state: State) -> Iterator[tuple[str, str]]:
    """Yield (filter, product) of the products whose platform the guest leaves."""
    for product in products_of(state.target.tables.get("windows-products", {})):
        if not product.stays(state.target.hypervisor, state.target.cloud, *state.target.agents):
            yield from ((name, product.name) for name in product.filters)


def _proofs(state: State, names: Iterable[str]) -> tuple[Evidence, ...]:
    return tuple(state.system.evidence(state.key(rf"Services\{name}"), "Start") for name in list(names)[:SHOWN])


def _named(state: State, names: dict[str, str], files: list[Minifilter]) -> str:
    """Return names with what is known of each: whose it is, when it starts, where it stands."""
    by_name = {one.service.lower(): one for one in files}
    return ", ".join(_told(name, maker, by_name.get(name.lower())) for name, maker in list(names.items())[:SHOWN])


def _told(name: str, maker: str, one: Minifilter | None) -> str:
    parts = [maker] if maker else []
    if one is not None:
        parts += [one.group or "file system filter", f"altitude {one.altitude}" if one.altitude else ""]
        parts += ["starts at boot"] if one.start == BOOT else []
    return f"{name} ({', '.join(part for part in parts if part)})" if any(parts) else name
