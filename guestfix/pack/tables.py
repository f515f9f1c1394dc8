"""Tables of a pack: names and numbers that detectors and actions look up, in ``tables/<name>.yaml``.

A table is a mapping, so that a pack on top adds rows to it or replaces some by their key.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from guestfix.base.catalog.records.system import ServiceLimits
from guestfix.base.globs import fault_of
from guestfix.base.nearest import did_you_mean
from guestfix.base.patterns import regex
from guestfix.pack.schema import Reader
from guestfix.pack.yamlpos import Node

LIMIT_KEYS = ("volumes", "disk_bytes", "root_filesystems")


def load_tables(nodes: Mapping[str, Node], top: Reader) -> dict[str, Any]:
    """Return the tables of a pack's YAML nodes, each empty where the pack does not have it; notes every mistake."""
    found: dict[str, Any] = {name: {} for name in TABLES}
    for path, node in nodes.items():
        if not path.startswith("tables/"):
            continue
        name = path.removeprefix("tables/").removesuffix(".yaml")
        read = TABLES.get(name)
        if read is None:
            top.complain(node.mark, f"there is no table {name!r}", did_you_mean(name, TABLES))
        else:
            found[name] = read(Reader(node, top.problems, f"the table {name}"))
    return found


def read_limits(reader: Reader) -> ServiceLimits:
    """Return the limits of an import service that a table or a target gives."""
    reader.allow(LIMIT_KEYS)
    found = ServiceLimits()
    if (volumes := reader.number("volumes")) is not None:
        found["volumes"] = volumes
    if (largest := reader.number("disk_bytes")) is not None:
        found["disk_bytes"] = largest
    if kinds := reader.texts("root_filesystems"):
        found["root_filesystems"] = list(kinds)
    return found


def _products(reader: Reader) -> dict[str, object]:
    """Software of virtualisation platforms in Windows, by its name."""
    found: dict[str, object] = {}
    for name, node in reader.keys.items():
        row = Reader(node, reader.problems, "a product")
        row.allow(("platform", "services", "marks", "first", "titles", "filters"))
        lists = {key: [one.lower() for one in row.texts(key)] for key in ("services", "marks", "titles", "filters")}
        found[name] = {"platform": row.text("platform"), "first": row.text("first", ""), **lists}
    return found


SOFTWARE_KEYS = ("platform", "services", "programs", "packages", "marks")


def _software(reader: Reader) -> dict[str, object]:
    """Software of Linux guests by its name: whose it is, and by what it is seen (detect/services/software.py)."""
    found: dict[str, object] = {}
    for name, node in reader.keys.items():
        row = Reader(node, reader.problems, "a product")
        row.allow(SOFTWARE_KEYS)
        lists = {key: list(row.texts(key)) for key in SOFTWARE_KEYS}
        if not any(lists[key] for key in SOFTWARE_KEYS[1:]):
            row.complain(node.mark, f"{name} is seen by nothing", f"name one of {', '.join(SOFTWARE_KEYS[1:])}")
        for mark in lists["marks"]:
            if fault := fault_of(mark):
                row.complain(node.mark, f"the mark {mark[:80]!r} {fault}")
        found[name] = lists
    return found


REPOSITORY_KEYS = ("platform", "hosts", "files", "instead", "remedy")


def _repositories(reader: Reader) -> dict[str, object]:
    """Servers of packages that a cloud keeps for its own guests, by a name for the reader."""
    found: dict[str, object] = {}
    for name, node in reader.keys.items():
        row = Reader(node, reader.problems, "a repository")
        row.allow(REPOSITORY_KEYS)
        lists = {key: list(row.texts(key)) for key in REPOSITORY_KEYS[:3]}
        texts = {key: row.text(key, "") for key in REPOSITORY_KEYS[3:]}
        found[name] = {**lists, **texts}
        if not any(texts.values()):
            row.complain(node.mark, f"{name} names nothing to do", "name a public host (instead) or a remedy")
    return found


def _lists(reader: Reader) -> dict[str, object]:
    return {name: [one.lower() for one in reader.texts(name)] for name in reader.keys}


OSINFO_KEYS = ("osinfo", "osinfo_from", "distro", "packages")
_BRACES = regex(r"\{(?!(?:major|minor|version)\})")


def _osinfo(reader: Reader) -> dict[str, object]:
    """What importers call a system: its id in libosinfo, by its version; the distribution; how packages are kept."""
    found: dict[str, object] = {}
    for name, node in reader.keys.items():
        row = Reader(node, reader.problems, "a system's names for importers")
        row.allow(OSINFO_KEYS)
        later = row.child("osinfo_from")
        inner = Reader(later, reader.problems, "osinfo_from") if later is not None else None
        by_major = {int(key): inner.text(key) for key in inner.keys if key.isdigit()} if inner is not None else {}
        texts = {key: row.text(key, "") for key in ("osinfo", "distro", "packages")}
        for text in (texts["osinfo"], *by_major.values()):
            if _BRACES.search(text):
                row.complain(node.mark, f"{text!r} may name {{major}}, {{minor}} and {{version}} in braces")
        found[name] = {**texts, "osinfo_from": {str(key): text for key, text in sorted(by_major.items())}}
    return found


TABLES: dict[str, Callable[[Reader], Mapping[str, object]]] = {
    "antivirus": _lists,
    "cloud-repositories": _repositories,
    "driver-folders": _lists,
    "driver-needs": _lists,
    "filters": _lists,
    "guest-software": _software,
    "ignition-platforms": _lists,
    "import-limits": read_limits,
    "kms-hosts": _lists,
    "osinfo": _osinfo,
    "security-software": _software,
    "time-sources": _lists,
    "virtual-machines": _lists,
    "windows-products": _products,
}
"""Every table by name, with what reads it."""
