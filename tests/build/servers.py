"""Servers of disk images on the loopback: HTTP with ranges, qemu-nbd, sshd, and NBD servers that misbehave."""

from __future__ import annotations

import http.server
import os
import re
import shutil
import socket
import struct
import subprocess
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import pytest

from tests.build.browser import MODULES as NODE_MODULES


def free_port() -> int:
    with socket.socket() as one:
        one.bind(("127.0.0.1", 0))
        return int(one.getsockname()[1])


def await_port(port: int) -> None:
    for _ in range(200):
        with socket.socket() as one:
            if one.connect_ex(("127.0.0.1", port)) == 0:
                return
        time.sleep(0.05)
    raise AssertionError(f"nothing listens on {port}")


class Web(http.server.ThreadingHTTPServer):
    """The files below a folder. ``asked`` has each request's path and range; ``answer`` may answer in another way."""

    daemon_threads = True

    def __init__(self, folder: Path, ranges: bool = True) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.folder, self.ranges = folder, ranges
        self.asked: list[tuple[str, str]] = []
        self.answer: Callable[[int], int | None] = lambda number: None
        self.url = f"http://127.0.0.1:{self.server_port}"


class _Handler(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    server: Web

    def log_message(self, *_: object) -> None:
        pass

    def do_HEAD(self) -> None:
        self._go(body=False)

    def do_GET(self) -> None:
        self._go(body=True)

    def _go(self, *, body: bool) -> None:
        web, asked = self.server, self.headers.get("Range", "")
        path = web.folder / self.path.partition("?")[0].lstrip("/")
        web.asked.append((self.path, asked))
        code = web.answer(len(web.asked)) or (200 if path.is_file() else 404)
        if code == -1:
            self.connection.shutdown(socket.SHUT_RDWR)
            return
        if code != 200:
            self.send_response(code)
            self.send_header("Content-Length", "0")
            self.end_headers()
            return
        size = path.stat().st_size
        match = re.fullmatch(r"bytes=(\d+)-(\d*)", asked) if web.ranges else None
        start, end = (int(match[1]), int(match[2]) + 1 if match[2] else size) if match else (0, size)
        end = min(end, size)
        self.send_response(206 if match else 200)
        if web.ranges:
            self.send_header("Accept-Ranges", "bytes")
        if match:
            self.send_header("Content-Range", f"bytes {start}-{end - 1}/{size}")
        self.send_header("Content-Length", str(end - start))
        self.end_headers()
        if body:
            with path.open("rb") as file:
                file.seek(start)
                self.wfile.write(file.read(end - start))


@contextmanager
def web(folder: Path, *, ranges: bool = True) -> Iterator[Web]:
    server = Web(folder, ranges)
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    try:
        yield server
    finally:
        server.shutdown()
        server.server_close()


@contextmanager
def running(command: list[str], port: int = 0, **options: object) -> Iterator[subprocess.Popen[bytes]]:
    """Run a server until the end of the block; wait until it listens."""
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, **options)  # type: ignore[call-overload]
    try:
        if port:
            await_port(port)
        yield process
    finally:
        process.terminate()
        process.wait(10)


@contextmanager
def qemu_nbd(image: Path, *words: str, unix: Path | None = None) -> Iterator[str]:
    """Serve an image, as its raw content, over TCP or a socket; yield the begin of its address."""
    program = shutil.which("qemu-nbd")
    if program is None:
        pytest.skip("qemu-nbd is not installed here (Debian: qemu-utils)")
    port = 0 if unix else free_port()
    where = ["-k", str(unix)] if unix else ["-b", "127.0.0.1", "-p", str(port)]
    with running([program, "-r", "-t", "-e", "9", *where, *words, str(image)], port):
        for _ in range(200 if unix else 0):
            if unix and unix.exists():
                break
            time.sleep(0.05)
        yield f"nbd+unix:///%s?socket={unix}" if unix else f"nbd://127.0.0.1:{port}/%s"


@contextmanager
def sshd(folder: Path) -> Iterator[tuple[int, Path]]:
    """Run an SSH server that lets one key in; yield its port and that key."""
    program = shutil.which("sshd") or ("/usr/sbin/sshd" if os.path.exists("/usr/sbin/sshd") else None)
    if program is None or shutil.which("ssh-keygen") is None:
        pytest.skip("sshd is not installed here (Debian: openssh-server)")
    for name in ("host", "user"):
        subprocess.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", folder / name], check=True)
    port, keys = free_port(), folder / "keys"
    keys.write_bytes((folder / "user.pub").read_bytes())
    keys.chmod(0o600)
    (folder / "config").write_text(
        f"Port {port}\nListenAddress 127.0.0.1\nHostKey {folder}/host\nAuthorizedKeysFile {keys}\nStrictModes no\n"
        f"PasswordAuthentication no\nUsePAM no\nPidFile {folder}/pid\nSubsystem sftp internal-sftp\n"
    )
    Path("/run/sshd").mkdir(exist_ok=True) if os.geteuid() == 0 else None
    with running([program, "-D", "-e", "-f", str(folder / "config")], port):
        yield port, folder / "user"


def with_key(monkeypatch: pytest.MonkeyPatch, *keys: Path) -> None:
    """Let guestfix log in by these keys, into any host; by no agent."""
    from guestfix.backends.disks import afar

    words = {"client_keys": [*map(str, keys)], "agent_path": None, "known_hosts": None}
    monkeypatch.setitem(afar._OPTIONS, "ssh", words)


@contextmanager
def s3(monkeypatch: pytest.MonkeyPatch) -> Iterator[Any]:
    """Run moto's S3 and let this process use it; yield its filesystem, which has a bucket."""
    moto = pytest.importorskip("moto.server", reason="moto is not installed here")
    s3fs = pytest.importorskip("s3fs", reason="the extra s3 is not installed here")
    server = moto.ThreadedMotoServer("127.0.0.1", 0, verbose=False)
    server.start()
    try:
        host, port = server.get_host_and_port()
        for name, value in {"AWS_ACCESS_KEY_ID": "key", "AWS_SECRET_ACCESS_KEY": "s3cret"}.items():
            monkeypatch.setenv(name, value)
        monkeypatch.setenv("AWS_ENDPOINT_URL", f"http://{host}:{port}")
        monkeypatch.setenv("AWS_DEFAULT_REGION", "us-east-1")
        s3fs.S3FileSystem.clear_instance_cache()
        store = s3fs.S3FileSystem()
        with suppress(FileExistsError):  # each of these servers of a process has what another got
            store.mkdir("bucket")
        yield store
    finally:
        server.stop()


AZURE_KEY = "Eby8vdM02xNOcqFlqUwJPLlmEtlCDXJ1OUzFT50uSRZ6IFsuFq2UVErCz4I6tq/K1SZFPTOtr/KBHBeksoGMGw=="
"""The key of the account that Azurite has, which its manual tells."""


@contextmanager
def azurite(folder: Path) -> Iterator[str]:
    """Run the Azurite store with its data in a folder; yield its connection string."""
    program = NODE_MODULES / ".bin/azurite-blob"
    if not program.exists():
        pytest.skip("azurite is not installed here: sh tests/browser/setup.sh (Debian: npm)")
    port = free_port()
    words = ["--silent", "--disableTelemetry", "--skipApiVersionCheck", "--location", str(folder)]
    with running([str(program), "--blobPort", str(port), *words], port):
        where = f"BlobEndpoint=http://127.0.0.1:{port}/devstoreaccount1"
        yield f"DefaultEndpointsProtocol=http;AccountName=devstoreaccount1;AccountKey={AZURE_KEY};{where};"


@contextmanager
def google_store() -> Iterator[str]:
    """Run an emulation of Google's store in this process; yield its address."""
    server = pytest.importorskip("gcp_storage_emulator.server", reason="gcp-storage-emulator is not installed here")
    one = server.create_server("127.0.0.1", free_port(), in_memory=True)
    one.start()
    try:
        yield f"http://127.0.0.1:{one._api._port}"
    finally:
        one.stop()


Talk = Callable[[socket.socket], None]


@contextmanager
def talking(*talks: Talk) -> Iterator[str]:
    """Be a server that treats its first connection by the first talk, and so on; the last one treats all others."""
    with socket.create_server(("127.0.0.1", 0)) as server:

        def serve() -> None:
            number = 0
            while True:
                try:
                    one, _ = server.accept()
                except OSError:
                    return
                with one, suppress(OSError):
                    talks[min(number, len(talks) - 1)](one)
                number += 1

        threading.Thread(target=serve, daemon=True).start()
        try:
            yield f"nbd://127.0.0.1:{server.getsockname()[1]}/disk"
        finally:
            server.shutdown(socket.SHUT_RDWR)


def take(one: socket.socket, count: int) -> bytes:
    data = b""
    while len(data) < count:
        step = one.recv(count - len(data))
        if not step:
            raise ConnectionError
        data += step
    return data


def greet(one: socket.socket, flags: int = 3) -> int:
    """Greet as a newstyle server does and read one option; return its number."""
    one.sendall(b"NBDMAGICIHAVEOPT" + struct.pack(">H", flags))
    take(one, 4)
    _, number, length = struct.unpack(">8sII", take(one, 16))
    take(one, length)
    return int(number)


def reply(one: socket.socket, kind: int, data: bytes = b"", option: int = 7) -> None:
    one.sendall(struct.pack(">QIII", 0x3E889045565A9, option, kind, len(data)) + data)


def serve_disk(data: bytes, one: socket.socket, most: int = 1 << 30, code: int = 0) -> None:
    """Answer reads, ``most`` of them, with the error ``code`` where it is one."""
    for _ in range(most):
        _, _, kind, cookie, start, count = struct.unpack(">IHHQQI", take(one, 28))
        if kind == 2:
            return
        one.sendall(struct.pack(">IIQ", 0x67446698, code, cookie) + (b"" if code else data[start : start + count]))


def size_told(one: socket.socket, size: int) -> None:
    reply(one, 3, struct.pack(">HQH", 0, size, 1))
    reply(one, 1)
