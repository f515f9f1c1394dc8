"""What importers call a guest's system: its id in libosinfo and the like, from the pack's table."""

from __future__ import annotations

from collections.abc import Mapping

from guestfix.base.catalog.facts.system import OS_ID, OS_OSINFO, OS_VERSION
from guestfix.base.facts import Facts
from guestfix.base.patterns import regex

NOT_KNOWN = "unknown"
"""What libguestfs calls what it does not know."""
_NUMBERS = regex(r"[0-9]+")


def version_of(facts: Facts) -> tuple[int, int]:
    """Return the major and minor number of the system's version (a service pack is one), 0 where there is none."""
    numbers = [int(one[:9]) for one in _NUMBERS.findall(str(facts.value(OS_VERSION) or ""))] + [0, 0]
    return numbers[0], numbers[1]


def put_osinfo(facts: Facts, table: Mapping[str, Mapping[str, object]]) -> None:
    """Put the system's id in libosinfo where the system is told; ``unknown`` where the table has none."""
    ident = facts.value(OS_ID)
    if ident is None:
        return
    row = table.get(str(ident), {})
    major, minor = version_of(facts)
    form = str(row.get("osinfo") or NOT_KNOWN)
    later = row.get("osinfo_from")
    for first, text in later.items() if isinstance(later, dict) else ():
        form = text if major >= int(first) else form
    if not minor:
        form = form.replace("sp{minor}", "")
    version = ".".join(str(facts.value(OS_VERSION) or "").split(".")[:2])
    found = form.replace("{major}", str(major)).replace("{minor}", str(minor)).replace("{version}", version)
    facts.put(OS_OSINFO, found, *facts.evidence(OS_ID.name))
