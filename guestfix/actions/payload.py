"""What the operator brings: a folder or an ISO image of the host, with drivers, programs, packages and scripts."""

from __future__ import annotations

import os
import stat
from collections.abc import Callable, Iterator
from io import BytesIO
from typing import Any

from guestfix.base.errors import TooLarge, UsageError
from guestfix.base.record import frozen

MAX_FILES = 50_000
MAX_FILE = 256 * 1024 * 1024


@frozen
class Payload:
    """The files of a payload: paths below its root with ``/``, and how to read one."""

    root: str
    files: tuple[str, ...]
    reader: Callable[[str], bytes]

    def read(self, path: str) -> bytes:
        """Return one file's bytes. Raises UsageError where it can't be read, TooLarge above MAX_FILE."""
        return self.reader(path)


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
