"""A client of the Network Block Device protocol that only reads (doc/proto.md of the NBD project, fixed newstyle).

Hypervisors' snapshots, qemu-nbd, and nbdkit with its plugins serve disks in this way. URIs are those of doc/uri.md.
"""

from __future__ import annotations

import contextlib
import socket
import struct
from urllib.parse import parse_qs, unquote, urlsplit

from guestfix.backends.volumes.block import DiskError
from guestfix.base.errors import UsageError

PORT = 10809
TIMEOUT = 30.0
"""Seconds without an answer after which a try has failed."""

_MAGIC, _OPTION, _REPLY = b"NBDMAGIC", b"IHAVEOPT", 0x3E889045565A9
_REQUEST, _ANSWER = 0x25609513, 0x67446698
_FIXED, _NO_ZEROES = 1, 2
_GO, _EXPORT_NAME = 7, 1
_ACK, _INFO, _ERROR = 1, 3, 1 << 31
_UNSUPPORTED, _UNKNOWN, _TLS = _ERROR + 1, _ERROR + 6, _ERROR + 5
_READ, _DISCONNECT = 0, 2
_MOST = 32 << 20
_PERMANENT = {1: "the server refuses it", 22: "the server takes the request for a wrong one"}


class Nbd:
    """One export of a server, as :class:`~guestfix.backends.disks.ranges.Ranges`. A lost connection is made again."""

    def __init__(self, url: str) -> None:
        parts = urlsplit(url)
        query = parse_qs(parts.query, keep_blank_values=True)
        self._export = unquote(parts.path.removeprefix("/"))
        self._unix = query.get("socket", [""])[0]
        self._at = (parts.hostname or "localhost", parts.port or PORT)
        if parts.scheme == "nbd+unix" and not self._unix:
            raise UsageError("an nbd+unix address names a socket", remedy="nbd+unix:///EXPORT?socket=/path/to/socket")
        self._socket: socket.socket | None = None
        self._cookie = self.size = 0
        self._connect()

    def fetch(self, start: int, count: int) -> bytes:
        """See :class:`~guestfix.backends.disks.ranges.Ranges`."""
        if self._socket is None:
            before = self.size
            self._connect()
            if self.size != before:
                raise DiskError("the export has another size than when it was opened", remedy="run guestfix again")
        try:
            return b"".join(self._read(start + at, min(_MOST, count - at)) for at in range(0, count, _MOST))
        except (OSError, EOFError) as error:
            self._drop()
            raise error if isinstance(error, OSError) else ConnectionError(str(error)) from error

    def _read(self, start: int, count: int) -> bytes:
        self._cookie += 1
        self._send(struct.pack(">IHHQQI", _REQUEST, 0, _READ, self._cookie, start, count))
        magic, code, cookie = struct.unpack(">IIQ", self._take(16))
        if magic != _ANSWER or cookie != self._cookie:
            raise EOFError("the server's answer is none to what was asked")
        if code in _PERMANENT:
            raise DiskError(f"reading the export at byte {start} fails: {_PERMANENT[code]} (error {code})")
        if code:
            raise EOFError(f"the server can't read at byte {start} (error {code})")
        return self._take(count)

    # connecting

    def _connect(self) -> None:
        try:
            if self._unix:
                self._socket = socket.socket(socket.AF_UNIX)
                self._socket.settimeout(TIMEOUT)
                self._socket.connect(self._unix)
            else:
                self._socket = socket.create_connection(self._at, TIMEOUT)
            self.size = self._negotiate()
        except (OSError, EOFError, struct.error) as error:
            self._drop()
            raise error if isinstance(error, OSError) else ConnectionError(str(error)) from error
        except DiskError:
            self._drop()
            raise

    def _negotiate(self) -> int:
        greeting = self._take(8)
        if greeting != _MAGIC or self._take(8) != _OPTION:
            raise DiskError("the server is no NBD server of the newstyle protocol", remedy="check address and port")
        flags = struct.unpack(">H", self._take(2))[0]
        if not flags & _FIXED:
            raise DiskError("the NBD server knows no options, as those before 2013", remedy="use a newer server")
        self._send(struct.pack(">I", flags & (_FIXED | _NO_ZEROES)))
        name = self._export.encode("utf-8", "surrogateescape")
        self._option(_GO, struct.pack(">I", len(name)) + name + b"\0\0")
        while True:
            kind, data = self._reply()
            if kind == _ACK:
                raise DiskError("the NBD server tells no size", remedy="use another server")
            if kind == _INFO and len(data) >= 12 and data[:2] == b"\0\0":
                return self._until_ready(struct.unpack(">Q", data[2:10])[0])
            if kind == _UNSUPPORTED:
                self._option(_EXPORT_NAME, name)
                size = struct.unpack(">QH", self._take(10))[0]
                self._take(0 if flags & _NO_ZEROES else 124)
                return int(size)
            if kind & _ERROR:
                raise self._refused(kind, data)

    def _until_ready(self, size: int) -> int:
        for _ in range(100):
            kind, data = self._reply()
            if kind == _ACK:
                return size
            if kind & _ERROR:
                raise self._refused(kind, data)
        raise EOFError("the server does not come to an end of what it tells")

    def _refused(self, kind: int, data: bytes) -> DiskError:
        if kind == _UNKNOWN:
            what = f"the NBD server has no export {self._export!r}"
            return DiskError(what, remedy="nbdinfo --list, or qemu-nbd --list, shows those that it has")
        if kind == _TLS:
            what = "the NBD server wants TLS, which guestfix does not speak"
            return DiskError(what, remedy="put a tunnel in front of it, such as ssh -L or stunnel")
        return DiskError(f"the NBD server refuses the export {self._export!r} (error {kind - _ERROR})")

    def _option(self, number: int, data: bytes) -> None:
        self._send(_OPTION + struct.pack(">II", number, len(data)) + data)

    def _reply(self) -> tuple[int, bytes]:
        magic, _, kind, length = struct.unpack(">QIII", self._take(20))
        if magic != _REPLY or length > 1 << 16:
            raise EOFError("the server's answer is none to an option")
        return kind, self._take(length)

    # bytes

    def _send(self, data: bytes) -> None:
        assert self._socket is not None
        self._socket.sendall(data)

    def _take(self, count: int) -> bytes:
        assert self._socket is not None
        data = bytearray(count)
        view, at = memoryview(data), 0
        while at < count:
            if not (step := self._socket.recv_into(view[at:])):
                raise EOFError("the server closed the connection")
            at += step
        return bytes(data)

    def _drop(self) -> None:
        if self._socket is not None:
            self._socket.close()
        self._socket = None

    def close(self) -> None:
        """Say good-bye and close the connection."""
        if self._socket is not None:
            with contextlib.suppress(OSError):
                self._send(struct.pack(">IHHQQI", _REQUEST, 0, _DISCONNECT, 0, 0, 0))
        self._drop()
