"""Places of disk images that are no local files: NBD exports, and all that fsspec reads by ranges.

Credentials come from where each library looks for them (environment, configuration, agent), or stand in the address;
no name that is shown, stored or logged holds any.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from urllib.parse import urlsplit

from guestfix.backends.disks.names import EXTRAS, shown
from guestfix.backends.disks.ranges import RangeBlock, Ranges
from guestfix.backends.volumes.block import DiskError
from guestfix.base.errors import UsageError
from guestfix.base.patterns import regex


def open_afar(place: str) -> RangeBlock:
    """Open an image at an address. DiskError where it can't be read, UsageError where its extra is not installed."""
    scheme, name = place.partition("://")[0], shown(place)
    try:
        _ = urlsplit(place).port
    except ValueError as error:
        raise UsageError(f"this is no address: {error}", where=name) from None
    try:
        ranges = _nbd(place) if scheme.startswith("nbd") else _Fsspec(place)
    except OSError as error:
        what = f"can't open the image: {_without(place, error)}"
        raise DiskError(what, where=name, remedy="check the address, the network and the credentials") from None
    block = RangeBlock(ranges, name)
    if not block.size:
        raise DiskError("the image is empty", where=name, remedy="check the address")
    return block


def _nbd(place: str) -> Ranges:
    from guestfix.backends.disks.nbd import Nbd

    return Nbd(place)


_ADDRESS = regex(r"\b[a-z0-9+]+://[^\s'\"]+")


def _without(place: str, error: BaseException) -> str:
    """Return an error's text, in which no address holds more than is shown of it."""
    status, message = getattr(error, "status", 0), getattr(error, "message", "")
    text = f"HTTP status {status} {message}".strip() if status else str(error) or type(error).__name__
    text = _ADDRESS.sub(lambda match: shown(match[0]), text)
    parts = urlsplit(place)
    for secret in (parts.query, parts.netloc.rpartition("@")[0], parts.password or ""):
        text = text.replace(secret, "…") if secret else text
    return text


def _status(error: BaseException) -> int:
    """Return the status of HTTP that an error tells, by the names that aiohttp, Azure's and Google's libraries have."""
    told = (getattr(error, name, 0) for name in ("status", "status_code", "code"))
    return next((one for one in told if isinstance(one, int) and one), 0)


class _Fsspec:
    """A file of a filesystem that fsspec knows, read by ranges."""

    def __init__(self, place: str) -> None:
        scheme = place.partition("://")[0]
        extra = EXTRAS[scheme]
        self._place = place
        _unheard()
        try:
            import fsspec

            with self._told():
                self._fs, self._path = fsspec.core.url_to_fs(place, **_OPTIONS.get(extra, {}))
        except ImportError as error:
            what = f"addresses of {scheme}:// need the extra {extra}"
            raise UsageError(what, where=shown(place), remedy=f"pip install 'guestfix[{extra}]'") from error
        with self._told():
            info = self._fs.info(self._path)
        if info.get("type") == "directory":
            raise DiskError("this address is a folder", where=shown(place), remedy="give the image files in it")
        if info.get("size") is None or info.get("partial") is False:
            raise self._whole()
        self.size = int(info["size"])

    @contextmanager
    def _told(self) -> Iterator[None]:
        """Call the library; all that it raises becomes OSError or DiskError, without secrets in its text."""
        try:
            yield
        except ImportError:
            raise
        except Exception as error:  # noqa: BLE001 - each library has errors of its own
            raise self._meant(error) from None

    def _meant(self, error: Exception) -> Exception:
        cause, web = error.__cause__ or error, self._place.startswith("http")
        if web and isinstance(error, ValueError):  # what fsspec says where all comes instead of a part
            return self._whole()
        status = _status(cause)  # fsspec calls whatever goes wrong over HTTP a missing file
        if isinstance(error, PermissionError) or status in (401, 403):
            what = f"the image may not be read: {_without(self._place, cause)}"
            return DiskError(what, where=shown(self._place), remedy="check the credentials and their rights")
        if status in (404, 410) if web else isinstance(error, FileNotFoundError):
            return DiskError("there is no such image", where=shown(self._place), remedy="check the address")
        return OSError(_without(self._place, cause))

    def _whole(self) -> DiskError:
        what = "the server does not give parts of a file (HTTP ranges), so all of it would have to be read"
        return DiskError(what, where=shown(self._place), remedy="copy the image here first")

    def fetch(self, start: int, count: int) -> bytes:
        """See :class:`~guestfix.backends.disks.ranges.Ranges`."""
        with self._told():
            return self._part(start, count)

    def _part(self, start: int, count: int) -> bytes:
        scheme = self._place.partition("://")[0]
        if scheme in _OPENED:
            options = {} if scheme == "ssh" else {**_NO_CACHE, "size": self.size}
            with self._fs.open(self._path, "rb", **options) as file:
                file.seek(start)
                return bytes(file.read(count))
        return bytes(self._fs.cat_file(self._path, start=start, end=start + count))

    def close(self) -> None:
        """Nothing is held but the library's own pool of connections."""


def _unheard() -> None:
    """Keep from standard error what these libraries log where nobody asked for it: each failure is told by us."""
    import logging

    for name in _LOGGERS:
        logger = logging.getLogger(name)
        if not logger.handlers:
            logger.addHandler(logging.NullHandler())


_LOGGERS = (
    *("fsspec", "gcsfs", "s3fs", "adlfs", "sshfs"),
    *("aiohttp", "aiobotocore", "botocore", "google", "azure", "asyncssh"),
)

_OPENED = ("http", "https", "ssh")
"""Where cat_file may read a file whole, whatever part is asked for; an opened file does not."""

_NO_CACHE = {"cache_type": "none", "block_size": 1 << 16}
_OPTIONS: dict[str, dict[str, object]] = {
    "s3": {"config_kwargs": {"read_timeout": 60, "connect_timeout": 30, "retries": {"max_attempts": 1}}},
}
"""What each library is told besides its own conventions."""
