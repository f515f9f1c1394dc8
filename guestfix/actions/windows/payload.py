"""The operator's drivers: a folder or an ISO image of the host, laid out as virtio-win is, or in any other way.

Packages are found by their .inf files and chosen by what those say. Folder names that stand for a
Windows version or a processor (``viostor/w10/amd64``) only narrow the choice.
"""

from __future__ import annotations

import os
import stat
from collections.abc import Callable, Iterator, Mapping, Sequence
from io import BytesIO
from typing import Any

from guestfix.base.errors import GuestfixError, TooLarge, UsageError
from guestfix.base.record import frozen
from guestfix.formats.windows import inf as infs

MAX_FILES = 50_000
MAX_FILE = 256 * 1024 * 1024
MAX_PACKAGE = 256 * 1024 * 1024

PROCESSORS = ("amd64", "x86", "arm64")
"""Processors as .inf files name them."""

_SKIPPED = (".pdb",)


@frozen
class Payload:
    """The files of a payload: paths below its root with ``/``, and how to read one."""

    root: str
    files: tuple[str, ...]
    reader: Callable[[str], bytes]

    def read(self, path: str) -> bytes:
        """Return one file's bytes. Raises UsageError where it can't be read, TooLarge above MAX_FILE."""
        return self.reader(path)


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


def open_payload(path: str) -> Payload:
    """Open a folder or an ISO image of the host. Raises UsageError where it is neither or can't be read."""
    try:
        mode = os.stat(path).st_mode
    except OSError as error:
        raise UsageError(f"can't open the payload: {error.strerror}", where=path) from error
    if stat.S_ISDIR(mode):
        return _open_folder(os.path.realpath(path))
    if stat.S_ISREG(mode):
        return _open_iso(path)
    raise UsageError("the payload is neither a folder nor an ISO image", where=path)


def _open_folder(root: str) -> Payload:
    def refuse(error: OSError) -> None:
        raise UsageError(f"can't read a folder of the payload: {error.strerror}", where=str(error.filename or root))

    files: list[str] = []
    for folder, folders, names in os.walk(root, onerror=refuse):
        folders.sort()
        below = os.path.relpath(folder, root).replace(os.sep, "/")
        files += [name if below == "." else f"{below}/{name}" for name in names]
        if len(files) > MAX_FILES:
            raise UsageError(f"more than {MAX_FILES} files in the payload", where=root)
    return Payload(root, tuple(sorted(files)), lambda path: _read_host(root, path))


def _read_host(root: str, path: str) -> bytes:
    """Read a regular file of the host below root; a symbolic link that leaves root is refused."""
    real = os.path.realpath(os.path.join(root, path))
    if os.path.commonpath([root, real]) != root:
        raise UsageError("this link leads out of the payload's folder", where=path)
    try:
        descriptor = os.open(real, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
        with os.fdopen(descriptor, "rb") as stream:
            if not stat.S_ISREG(os.fstat(descriptor).st_mode):
                raise UsageError("not a regular file", where=path)
            return _bounded(stream.read(MAX_FILE + 1), path)
    except OSError as error:
        raise UsageError(f"can't read a file of the payload: {error.strerror}", where=path) from error


def _bounded(data: bytes, path: str) -> bytes:
    if len(data) > MAX_FILE:
        raise TooLarge(f"a file of the payload is larger than {MAX_FILE} bytes", where=path)
    return data


def _open_iso(path: str) -> Payload:
    try:
        import pycdlib
        from pycdlib.pycdlibexception import PyCdlibException
    except ImportError as error:
        raise UsageError(
            "reading an ISO image needs the package pycdlib",
            where=path,
            remedy="install guestfix with its extra 'iso', or unpack the image and give its folder",
        ) from error
    iso: Any = pycdlib.PyCdlib()
    try:
        iso.open(path)
        facade = {"joliet_path": iso.has_joliet(), "rr_path": iso.has_rock_ridge(), "udf_path": iso.has_udf()}
        kind = next((name for name, there in facade.items() if there), "iso_path")
        places = {_plain(name) if kind == "iso_path" else name: name for name in _iso_files(iso, kind)}
    except (PyCdlibException, OSError, ValueError, KeyError, IndexError) as error:
        raise UsageError(f"not a readable ISO image: {error}", where=path) from error

    def read(name: str) -> bytes:
        out = BytesIO()
        try:
            place = {kind: "/" + places.get(name, name)}
            if iso.get_record(**place).get_data_length() > MAX_FILE:
                raise TooLarge(f"a file of the payload is larger than {MAX_FILE} bytes", where=name)
            iso.get_file_from_iso_fp(out, **place)
        except (PyCdlibException, OSError) as error:
            raise UsageError(f"can't read a file of the ISO image: {error}", where=name) from error
        return out.getvalue()

    return Payload(path, tuple(sorted(places)), read)


def _plain(name: str) -> str:
    """Return a name of plain ISO 9660 (``VIOSTOR.INF;1``) without its version (7.5.1)."""
    return name.partition(";")[0].rstrip(".")


def _iso_files(iso: Any, kind: str) -> Iterator[str]:
    count = 0
    for folder, _, names in iso.walk(**{kind: "/"}):
        for name in names:
            count += 1
            if count > MAX_FILES:
                raise ValueError(f"more than {MAX_FILES} files")
            yield f"{folder.strip('/')}/{name}".lstrip("/")


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
