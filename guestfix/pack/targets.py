"""Reading a target: what a platform offers a guest, what it asks of it, what it refuses, and who says so."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from guestfix.base.catalog.facts import FACTS
from guestfix.base.catalog.records.system import ServiceLimits
from guestfix.base.errors import Problem
from guestfix.pack.known import Known
from guestfix.pack.model import PHASES, Refusal, Target
from guestfix.pack.schema import Reader
from guestfix.pack.steps import read_conditions
from guestfix.pack.tables import read_limits
from guestfix.pack.yamlpos import Node

SOURCED = (
    "arch", "agents", "time_servers", "time_device", "data_sources", "addresses", "mtu", "dns", "network_notes",
    "windows_clock",
)  # fmt: skip
"""Keys that a source tells by name; the target's own ``source`` stands for all others that no source tells."""
UNREAD = "unread"
"""Instead of the date on which a source was read: what it is to say is from memory."""
TARGET_KEYS = (
    "id", "title", "source", "date", "disk_bus", "disk_prefix", "nic", "firmware", "drivers", "windows_drivers",
    "console", "clock", "kernel_args", "hypervisor", "cloud", "limits", "owner", "windows_buses",
    "windows_offers", *SOURCED, "by_arch", "refuses", "sources",
)  # fmt: skip
TELLABLE = tuple(name for name in TARGET_KEYS if name not in ("id", "title", "source", "date", "refuses", "sources"))
ARCH_KEYS = ("console", "firmware", "kernel_args")
"""What may be otherwise on another processor."""
REFUSAL_KEYS = ("id", "when", "says", "remedy", "severity", "source", "date")
SOURCE_KEYS = ("tells", "source", "date")
MOST = 64
"""Refusals, sources or architectures of a target."""


def read_target(node: Node, name: str, limits: ServiceLimits, known: Known, problems: list[Problem]) -> Target:
    """Return the target of a file, noting every problem of it. ``limits`` are those of import services in general."""
    reader = Reader(node, problems, "a target")
    reader.allow(TARGET_KEYS)
    stem = Path(name).stem
    own = reader.child("limits")
    if reader.text("id") != stem:
        reader.complain(node.mark, f"the target's id must be {stem!r}, as its file is named")
    hypervisor, cloud, sources = _one_of(reader, "hypervisor"), _one_of(reader, "cloud"), _sources(reader)
    return Target(
        stem,
        reader.text("title"),
        reader.text("source"),
        reader.date("date", instead=UNREAD),
        reader.text("disk_bus"),
        reader.text("disk_prefix"),
        reader.text("nic"),
        reader.texts("firmware", required=True),
        _phases(reader, "drivers"),
        _phases(reader, "windows_drivers"),
        reader.text("console", ""),
        reader.text("clock", "utc", one_of=FACTS["target.clock"].values),
        reader.texts("kernel_args"),
        hypervisor,
        {**limits, **(read_limits(Reader(own, problems, "limits")) if own is not None else {})},
        owner=reader.text("owner", ""),
        windows_buses=_lists(reader, "windows_buses"),
        windows_offers=_lists(reader, "windows_offers", PHASES),
        cloud=cloud,
        by_arch=_by_arch(reader),
        addresses=_one_of(reader, "addresses"),
        mtu=reader.number("mtu") or 0,
        time_device=reader.text("time_device", ""),
        arch=reader.texts("arch"),
        agents=reader.texts("agents") or tuple(one for one in (hypervisor, cloud) if one),
        time_servers=reader.texts("time_servers"),
        data_sources=reader.texts("data_sources"),
        dns=reader.texts("dns"),
        network_notes=reader.texts("network_notes"),
        refuses=_refuses(reader, known),
        sources=sources,
        windows_clock=reader.text("windows_clock", "", one_of=("", *FACTS["target.clock"].values)),
    )


def _one_of(reader: Reader, name: str) -> str:
    """Return a text that the fact of this name can be, or empty."""
    return reader.text(name, "", one_of=("", *FACTS[f"target.{name}"].values))


def _lists(reader: Reader, name: str, known: Sequence[str] = ()) -> dict[str, tuple[str, ...]]:
    """Return a table of lists in lower case, empty where there is none; ``known``: the only keys that it may have."""
    node = reader.child(name)
    if node is None:
        return {}
    inner = Reader(node, reader.problems, name)
    if known:
        inner.allow(known)
    return {key.lower(): tuple(one.lower() for one in inner.texts(key)) for key in inner.keys}


def _phases(reader: Reader, name: str) -> dict[str, tuple[str, ...]]:
    node = reader.child(name, required=True)
    if node is None:
        return {}
    inner = Reader(node, reader.problems, name)
    inner.allow(PHASES)
    return {phase: inner.texts(phase, required=True) for phase in PHASES}


def _by_arch(reader: Reader) -> dict[str, dict[str, str | tuple[str, ...]]]:
    """Return what is otherwise on some of the target's processors."""
    node = reader.child("by_arch")
    if node is None:
        return {}
    outer, arches, found = Reader(node, reader.problems, "by_arch"), reader.texts("arch"), {}
    for arch, keys in list(outer.keys.items())[:MOST]:
        if arch not in arches:
            outer.complain(outer.node.key_marks[arch], f"{arch!r} is not in 'arch'")
        inner = Reader(keys, reader.problems, f"what differs on {arch}")
        inner.allow(ARCH_KEYS)
        given: dict[str, str | tuple[str, ...]] = {}
        for name in inner.keys:
            given[name] = inner.text(name, "") if name == "console" else inner.texts(name)
        found[arch] = {name: value for name, value in given.items() if name in ARCH_KEYS}
    return found


def _refuses(reader: Reader, known: Known) -> tuple[Refusal, ...]:
    found = []
    for one in _several(reader, "refuses", "a refusal"):
        one.allow(REFUSAL_KEYS)
        one.child("when", required=True)
        found.append(
            Refusal(
                one.text("id"),
                tuple(compiled for _, compiled in read_conditions(one, known)),
                one.text("says"),
                one.text("remedy"),
                one.text("severity", one_of=("info", "warning", "blocker")),
                one.text("source"),
                one.date("date", instead=UNREAD),
            )
        )
    return tuple(found)


def _sources(reader: Reader) -> tuple[dict[str, object], ...]:
    """Return who tells which keys, noting a key of :data:`SOURCED` that nobody tells."""
    found: list[dict[str, object]] = []
    told: set[str] = set()
    for one in _several(reader, "sources", "a source"):
        one.allow(SOURCE_KEYS)
        tells = one.texts("tells", required=True)
        for name in tells:
            if name not in reader.keys or name not in TELLABLE:
                one.complain(one.keys["tells"].mark, f"this tells {name!r}, which the target does not have")
        told |= set(tells)
        found.append({"tells": list(tells), "source": one.text("source"), "date": one.date("date", instead=UNREAD)})
    for name, mark in reader.node.key_marks.items():
        if name in SOURCED and name not in told:
            reader.complain(mark, f"no source tells {name!r}", "name it in 'tells' of one of 'sources'")
    return tuple(found)


def _several(reader: Reader, name: str, what: str) -> list[Reader]:
    given = reader.readers(name, what)
    if len(given) > MOST:
        reader.complain(given[MOST].node.mark, f"{name!r} has at most {MOST} items")
    return given[:MOST]
