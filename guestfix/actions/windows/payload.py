"""The operator's drivers: a payload laid out as virtio-win is, or in any other way.

Packages are found by their .inf files and chosen by what those say. Folder names that stand for a
Windows version or a processor (``viostor/w10/amd64``) only narrow the choice.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from guestfix.actions.payload import Payload
from guestfix.base.errors import GuestfixError
from guestfix.base.record import frozen
from guestfix.formats.windows import inf as infs

MAX_PACKAGE = 256 * 1024 * 1024

PROCESSORS = ("amd64", "x86", "arm64")
"""Processors as .inf files name them."""

_SKIPPED = (".pdb",)


@frozen
class Package:
    """One driver package that fits the guest: its .inf, the drivers in it and all files beside it."""

    inf: str
    drivers: tuple[infs.Driver, ...]
    version: tuple[tuple[int, ...], tuple[int, ...]]
    class_guid: str
    catalog: str
    files: tuple[str, ...]

    @property
    def name(self) -> str:
        """The .inf file's name without its suffix, in lower case."""
        return self.inf.rpartition("/")[2].rpartition(".")[0].lower()

    @property
    def folder(self) -> str:
        """The payload's folder that holds the .inf file."""
        return self.inf.rpartition("/")[0]

    def services(self) -> tuple[str, ...]:
        """Return the services that the package adds, in lower case."""
        return tuple(driver.service.lower() for driver in self.drivers)


def packages(
    payload: Payload, os_id: str, platform: infs.Platform, folders: Mapping[str, Sequence[str]]
) -> list[Package]:
    """Return the packages that fit the guest, the best of each name, sorted by name.

    ``folders`` is a pack's table ``driver-folders``: names of folders by os.id, best first, and by processor.
    Better is the closer folder name, then the newer DriverVer. A broken .inf file is passed over.
    """
    wanted = folders.get(os_id, ())
    best: dict[str, tuple[tuple[object, ...], Package]] = {}
    for path in payload.files:
        if not path.lower().endswith(".inf"):
            continue
        closeness = _closeness(path, wanted, platform.arch, folders)
        package = None if closeness is None else read_package(payload, path, platform)
        if package is None:
            continue
        rank = (closeness, package.version, package.inf)
        if package.name not in best or rank > best[package.name][0]:
            best[package.name] = (rank, package)
    return [best[name][1] for name in sorted(best)]


def _closeness(path: str, wanted: Sequence[str], arch: str, table: Mapping[str, Sequence[str]]) -> int | None:
    """Return how well the folder names fit, higher is better; None where they name another system."""
    folders = [part.lower() for part in path.split("/")[:-1]]
    arches = {name for part in folders for name in PROCESSORS if part in table.get(name, ())}
    if arches and arch not in arches:
        return None
    known = {name for key, names in table.items() if key not in PROCESSORS for name in names}
    systems = [part for part in folders if part in known]
    if not systems:
        return -len(wanted)
    found = [-wanted.index(part) for part in systems if part in wanted]
    return max(found) if found else None


def read_package(payload: Payload, path: str, platform: infs.Platform) -> Package | None:
    """Return the package of an .inf file, or None where that is broken or has no models for the platform."""
    try:
        inf = infs.parse(payload.read(path))
    except GuestfixError:
        return None
    found = tuple(infs.drivers(inf, platform))
    if not infs.models(inf, platform):
        return None
    folder = path.rpartition("/")[0]
    prefix = f"{folder}/" if folder else ""
    beside = tuple(
        name
        for name in payload.files
        if name.startswith(prefix) and "/" not in name[len(prefix) :] and not name.lower().endswith(_SKIPPED)
    )
    return Package(path, found, inf.version, inf.class_guid, inf.catalog(platform.arch), beside)


def locate(payload: Payload, package: Package, source: str) -> str | None:
    """Return the payload's path of a file that the package's .inf names, whatever its case."""
    prefix = f"{package.folder}/" if package.folder else ""
    folded = f"{prefix}{source}".lower()
    bare = f"{prefix}{source.rpartition('/')[2]}".lower()
    found = {name.lower(): name for name in payload.files if name.lower() in (folded, bare)}
    return found.get(folded) or found.get(bare)
