"""Units of systemd, enabled, disabled and masked by the links that systemctl(1) makes.

Sources: systemctl(1) enable, disable, mask; systemd.unit(5), [Install] and unit file load path.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from guestfix.actions.workbench import Workbench
from guestfix.base.edit import Link
from guestfix.base.errors import EditError, GuestError
from guestfix.base.overlay import Overlay
from guestfix.base.patterns import regex
from guestfix.detect.files import names_in, read_small
from guestfix.detect.system.initsystem import UNIT_FOLDERS
from guestfix.formats import ini

OWN = UNIT_FOLDERS[0]
NOWHERE = "/dev/null"
HOLDERS = (".wants", ".requires", ".upholds")
MOST_UNITS = 64
"""Units that one step may come to by ``Also=``."""

_UNIT = regex(r"[A-Za-z0-9:_.\\@-]{1,240}\.(?:service|socket|timer|path|mount|automount|swap|target|slice|scope)\Z")


def enable(bench: Workbench, *, units: list[str]) -> None:
    """Make these units start as their [Install] sections say; one that the administrator masked is unmasked.

    A unit that the guest does not have, or that has no such section, is left alone. Raises EditError for what is no
    unit's name.
    """
    for unit in _known(bench.fs, units):
        if _is_masked(bench.fs, unit):
            bench.fs.remove(f"{OWN}/{unit}")
        path = file_of(bench.fs, unit)
        install = _install(bench.fs, path) if path else {}
        for key, holder in (("WantedBy", ".wants"), ("RequiredBy", ".requires"), ("UpheldBy", ".upholds")):
            for target in _units(install.get(key, ()), unit):
                _link(bench.fs, f"{OWN}/{target}{holder}/{unit}", path)
        for alias in _units(install.get("Alias", ()), unit):
            _link(bench.fs, f"{OWN}/{alias}", path)


def disable(bench: Workbench, *, units: list[str]) -> None:
    """Take the links away by which these units, and those that they name by ``Also=``, are started.

    So do links to units that are gone. Links that came with the system below /usr/lib stay: only ``systemd.mask``
    overrules these. Raises EditError for what is no unit's name.
    """
    for path in list(_links_to(bench.fs, {*_checked(units), *_known(bench.fs, units)})):
        bench.fs.remove(path)


def mask(bench: Workbench, *, units: list[str]) -> None:
    """Make these units impossible to start, where the guest has them; a masked template's instances are too.

    Raises EditError for what is no unit's name.
    """
    for unit in _checked(units):
        if file_of(bench.fs, unit) and not any(_is_masked(bench.fs, one) for one in (unit, template_of(unit))):
            bench.fs.put(f"{OWN}/{unit}", Link(NOWHERE))


def file_of(fs: Overlay, unit: str) -> str:
    """Return the path of the unit's file, of its template's for ``name@instance``, or "" where there is none."""
    names = dict.fromkeys((unit, template_of(unit)))
    paths = (f"{folder}/{name}" for name in names for folder in UNIT_FOLDERS)
    return next((path for path in paths if _there(fs, path)), "")


def template_of(unit: str) -> str:
    """Return the name of the template that a unit is an instance of; the unit's own name where it is none."""
    stem, at, rest = unit.partition("@")
    return f"{stem}@.{rest.rpartition('.')[2]}" if at else unit


def came_enabled(fs: Overlay, unit: str) -> bool:
    """Tell whether a link that came with the system starts the unit, which only a mask overrules."""
    folders = [f"{base}/{name}" for base in UNIT_FOLDERS[1:] for name in names_in(fs, base) if name.endswith(HOLDERS)]
    return any(unit in names_in(fs, folder) for folder in folders)


def _there(fs: Overlay, path: str) -> bool:
    try:
        found = fs.stat(path, follow=False)
    except GuestError:
        return False
    return found is not None and found.kind in ("file", "symlink") and _target(fs, path) != NOWHERE


def _target(fs: Overlay, path: str) -> str:
    try:
        found = fs.stat(path, follow=False)
        return fs.readlink(path) if found is not None and found.kind == "symlink" else ""
    except GuestError:
        return ""


def _is_masked(fs: Overlay, unit: str) -> bool:
    return _target(fs, f"{OWN}/{unit}") == NOWHERE


def _checked(units: Iterable[str]) -> list[str]:
    found = list(dict.fromkeys(units))
    odd = next((unit for unit in found if not _UNIT.match(unit)), None)
    if odd is not None:
        raise EditError(f"{odd[:80]!r} is no name of a unit, like ssh.service")
    return found


def _known(fs: Overlay, units: Iterable[str]) -> list[str]:
    """Return those of the units that the guest has, those that they name by ``Also=``, and that they are aliases of."""
    found: dict[str, None] = {}
    todo = _checked(units)
    while todo and len(found) < MOST_UNITS:
        unit = todo.pop(0)
        path = file_of(fs, unit)
        if unit not in found and (path or _is_masked(fs, unit)):
            found[unit] = None
            todo += _units([*_install(fs, path).get("Also", ()), _aliased(fs, path)], unit) if path else []
    return list(found)


def _aliased(fs: Overlay, path: str) -> str:
    """Return the name of the unit that a unit's file is a link to, or ""."""
    name, target = path.rpartition("/")[2], _target(fs, path).rpartition("/")[2]
    return target if target and target not in (name, template_of(name)) else ""


def _install(fs: Overlay, path: str) -> dict[str, list[str]]:
    """Return the words of each entry of a unit's [Install] section; an empty entry forgets those before it."""
    found: dict[str, list[str]] = {}
    for entry in ini.entries(ini.groups(read_small(fs, path) or b"", continued=True), "Install"):
        words = entry.value.split()
        found[entry.key] = [*found.get(entry.key, []), *words] if words else []
    return found


def _units(words: Iterable[str], unit: str) -> list[str]:
    """Return the units that words name, with the unit's own name filled in; what can't be a unit is passed over."""
    stem = unit.rpartition(".")[0]
    prefix, _, instance = stem.partition("@")
    values = {"%i": instance, "%I": instance, "%p": prefix, "%P": prefix, "%n": unit, "%N": stem}
    found = []
    for word in words:
        for specifier, value in values.items():
            word = word.replace(specifier, value)
        found.append(word)
    return [word for word in found if _UNIT.match(word) and "%" not in word]


def _link(fs: Overlay, path: str, to: str) -> None:
    if fs.stat(path, follow=False) is None:
        fs.put(path, Link(to))


def _links_to(fs: Overlay, units: set[str]) -> Iterator[str]:
    """Yield the administrator's links that start the units: in folders of targets, and under other names."""
    names = names_in(fs, OWN)
    files = {file_of(fs, unit).rpartition("/")[2] for unit in units} - {""}
    aliases = {name for name in names if _UNIT.match(name) and _aliased(fs, f"{OWN}/{name}") in files}
    for folder in (name for name in names if name.endswith(HOLDERS)):
        for name in names_in(fs, f"{OWN}/{folder}"):
            if name in units | aliases:
                yield f"{OWN}/{folder}/{name}"
    yield from (f"{OWN}/{name}" for name in sorted(aliases))
