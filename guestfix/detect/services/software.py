"""Guest software of hypervisors and clouds, and what watches a guest, by the pack's tables of their names.

A product is there by a unit, a SysV or OpenRC script, an upstart job, a program, the list that a package manager keeps
of a package, or another path of its own. Facts: software.guest, software.left_services, software.left_units,
software.security.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

from guestfix.base.catalog.facts.software import (
    SOFTWARE_GUEST,
    SOFTWARE_LEFT_SERVICES,
    SOFTWARE_LEFT_UNITS,
    SOFTWARE_SECURITY,
)
from guestfix.base.facts import Evidence, Facts, Finding
from guestfix.base.guest import GuestFS
from guestfix.base.record import frozen
from guestfix.detect.files import exists, is_link, names_in, paths_like, read_small
from guestfix.detect.services.sshd import Sshd
from guestfix.detect.system.initsystem import UNIT_FOLDERS, Service, Services
from guestfix.detect.system.programs import Programs
from guestfix.formats import ini
from guestfix.pack.model import Target

PACKAGE_LISTS = ("/var/lib/dpkg/info/{}.list", "/var/lib/pacman/local/{}-[0-9]*")
"""Where package managers keep a file, or a folder, for each package."""
REQUIRES = ("Requires", "BindsTo", "Requisite")
"""What keeps a unit from starting where the other can't."""
MOST_OWN_UNITS = 512
"""Units and drop-ins of the administrator that are read for what they require."""

Table = Mapping[str, Mapping[str, Sequence[str]]]


@frozen
class Product:
    """One that was seen: where, whose it is, its units, and its scripts and jobs as far as they are what starts it."""

    name: str
    platforms: Sequence[str]
    places: tuple[Evidence, ...]
    units: tuple[Service, ...] = ()
    scripts: tuple[Service, ...] = ()

    @property
    def starting(self) -> list[Service]:
        """What of it starts at boot."""
        return [one for one in (*self.units, *self.scripts) if one.state == "on"]


def learn(
    guest: GuestFS, facts: Facts, target: Target, services: Services, programs: Programs, sshd: Sshd
) -> list[Finding]:
    """Put the facts of this module; return what they mean on the target."""
    seen = list(products(guest, target.tables.get("guest-software", {}), services, programs))
    watching = list(products(guest, target.tables.get("security-software", {}), services, programs))
    facts.put(SOFTWARE_GUEST, [one.name for one in seen], *(place for one in seen for place in one.places[:1]))
    facts.put(
        SOFTWARE_SECURITY, [one.name for one in watching], *(place for one in watching for place in one.places[:1])
    )
    left = [one for one in seen if not _stays(one.platforms, target)]
    units = [unit for one in left for unit in one.units if unit.state != "masked"]
    held = _required(guest, {unit.name: unit.path for unit in units}) if units else {}
    free = [unit for unit in units if unit.name not in held]
    scripts = [script for one in left for script in one.scripts if script.state == "on"]
    facts.put(SOFTWARE_LEFT_SERVICES, [one.name for one in scripts], *(Evidence(one.path) for one in scripts))
    facts.put(SOFTWARE_LEFT_UNITS, [unit.name for unit in free], *(Evidence(unit.path) for unit in free))
    findings = [_left(one, target, held) for one in left if {two.name for two in one.starting} - set(held)]
    findings += _asked_for_keys(sshd, target)
    return [*findings, *(_held(*one) for one in held.items()), *_watched(watching)]


def products(guest: GuestFS, table: Table, services: Services, programs: Programs) -> Iterator[Product]:
    """Yield each product of a table that the guest has."""
    for name, row in table.items():
        units = tuple(unit for service in row["services"] for unit in services.units_of(service))
        scripts = tuple(script for service in row["services"] if (script := services.script_of(service)))
        places = [Evidence(one.path) for one in (*units, *scripts)]
        program = programs.path(*row["programs"])
        places += [Evidence(program)] if program else []
        if not places:
            places = list(_traces(guest, row))
        if places:
            yield Product(name, row["platform"], tuple(places), units, scripts)


def _traces(guest: GuestFS, row: Mapping[str, Sequence[str]]) -> Iterator[Evidence]:
    """Yield where a product without units, scripts and programs is seen: by its package, or another path."""
    lists = [place.format(package) for package in row["packages"] for place in PACKAGE_LISTS]
    for mark in (*lists, *row["marks"]):
        found = paths_like(guest, mark, 1) if "*" in mark else (mark,) if exists(guest, mark) else ()
        yield from (Evidence(path) for path in found)


def _required(guest: GuestFS, units: Mapping[str, str]) -> dict[str, Evidence]:
    """Return which of the units (name to file) another unit of the administrator can't start without, and where.

    A unit that such a one can't start without in turn is among them.
    """
    own = UNIT_FOLDERS[0]
    paths = [f"{own}/{name}" for name in names_in(guest, own) if name not in units]
    folders = [path for path in paths if path.endswith(".d") and path.rpartition("/")[2][:-2] not in units]
    paths += [f"{folder}/{name}" for folder in folders for name in names_in(guest, folder) if name.endswith(".conf")]
    files = [path for path in paths if "." in path.rpartition("/")[2] and not is_link(guest, path)][:MOST_OWN_UNITS]
    found: dict[str, Evidence] = {}
    while files:
        path = files.pop(0)
        for entry in ini.entries(ini.groups(read_small(guest, path) or b"", continued=True), "Unit"):
            for word in sorted(units.keys() & set(entry.value.split())) if entry.key in REQUIRES else ():
                if word not in found:
                    found[word] = Evidence(path, entry.line, f"{entry.key}={entry.value}"[:200])
                    files.append(units[word])
    return found


def _asked_for_keys(sshd: Sshd, target: Target) -> list[Finding]:
    """Return a finding where sshd asks a program of another platform for keys, at each login."""
    said = sshd.said("authorizedkeyscommand")
    name = said[1].words[0].rpartition("/")[2] if said and said[1].words else ""
    table: Table = target.tables.get("guest-software", {})
    whose = [
        product for product, row in table.items() if name in row["programs"] and not _stays(row["platform"], target)
    ]
    if not said or not name or not whose:
        return []
    summary = (
        f"sshd asks {name} ({whose[0]}) for keys at each login, which waits for a metadata service that is not there"
    )
    return [Finding("GF-SSH-KEYS-COMMAND", "info", summary, sshd.places("authorizedkeyscommand"))]


def _stays(platforms: Sequence[str], target: Target) -> bool:
    return bool(set(platforms) & set(target.agents))


def _left(one: Product, target: Target, held: Mapping[str, Evidence]) -> Finding:
    names = [service.name for service in one.starting if service.name not in held]
    whose = f"{one.name} ({', '.join(one.platforms)})"
    summary = f"guest software of another platform starts on {target.id}: {whose}, by {', '.join(names)}"
    places = tuple(Evidence(service.path) for service in one.starting if service.name not in held)
    return Finding("GF-SOFTWARE-LEFT", "info", summary, places[:8])


def _held(unit: str, place: Evidence) -> Finding:
    summary = f"{unit} belongs to the old platform, but {place.path} can't start without it, so it is left as it is"
    return Finding("GF-SOFTWARE-REQUIRED", "warning", summary, (place,))


def _watched(found: Sequence[Product]) -> list[Finding]:
    if not found:
        return []
    names = ", ".join(one.name for one in found)
    summary = f"security software may take the changes made here for an attack, or be bound to the old machine: {names}"
    return [Finding("GF-SOFTWARE-SECURITY", "info", summary, tuple(one.places[0] for one in found)[:8])]
