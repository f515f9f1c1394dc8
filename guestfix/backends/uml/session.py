"""Starting User-mode Linux over a guest's disks and talking to it, from the host's side."""

from __future__ import annotations

import base64
import contextlib
import errno
import json
import os
import select
import signal
import subprocess
import sys
import time
from typing import Any

from guestfix.backends.damage import unreadable
from guestfix.backends.disks.overlaydisk import MORE_ROOM, NO_ROOM, Overlays, room
from guestfix.backends.packages import install
from guestfix.backends.status import find_program
from guestfix.backends.uml.console import cause_of
from guestfix.backends.volumes.block import DiskError
from guestfix.base import errors, stopping
from guestfix.base.errors import GuestError, Stopped
from guestfix.base.guest import Meta
from guestfix.base.record import names_of

MEMORY = 256
"""Megabytes that the machine has; it seldom uses half of it."""

START_SECONDS, ANSWER_SECONDS = 60.0, 600.0
LOOK_SECONDS = 0.5
"""How often to look whether the machine is still there (its rest may hold its pipes open) and still wanted."""
MAX_LINE = 1500
CONSOLE = 1 << 16
"""Bytes of the console's end that a cause of death is looked for in."""

_OTHER_WAY = (
    "try again; where it stays so, write through libguestfs: (guestfix backends), or repair the image in a copy"
)
_CANT = {
    "": "can't be read",
    "open": "the guest's filesystems can't be mounted",
    "check": "the filesystems can't be unmounted and checked",
    "stop": "the filesystems can't be unmounted",
}
"""What a request that fails is called, by its name; the first for all others."""


class Session:
    """One running machine. ``call`` sends a request and returns its value; ``stop`` ends it cleanly.

    It starts meanwhile: only the first request waits for it.
    """

    def __init__(self, overlays: Overlays, root: str, *, raid: bool) -> None:
        self.overlays = overlays
        self.exchange = f"{overlays.folder}/x"
        os.mkdir(self.exchange, 0o700)
        self._count = 0
        self._buffer = b""
        self._ready = False
        self._process: subprocess.Popen[bytes] | None = None
        settings: dict[str, object] = {
            "package": os.path.dirname(os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))),
            "exchange": self.exchange,
            "disks": [os.path.getsize(disk.raw) for disk in overlays.disks],
            "root": root,
        }
        self._start(settings, raid)

    def _start(self, settings: dict[str, object], raid: bool) -> None:
        program = find_program("linux.uml")
        if program is None:
            raise DiskError("User-mode Linux is missing", remedy=install("linux.uml"))
        requests, self._write = os.pipe()
        self._read, answers = os.pipe()
        self._poll = select.poll()
        self._poll.register(self._read, select.POLLIN)
        os.mkdir(f"{self.overlays.folder}/uml", 0o700)
        agent = os.path.join(os.path.dirname(os.path.abspath(__file__)), "agent.py")
        command = [program, f"mem={MEMORY}M", "quiet", "selinux=0", "rootfstype=hostfs", "root=/dev/root"]
        command += ["rootflags=/", "ro", "gpt", "con=null", "con0=null,fd:1", f"con1=fd:{requests},fd:{answers}"]
        command += [f"uml_dir={self.overlays.folder}/uml", f"umid=guestfix{os.getpid()}", "lpj=10000000"]
        if not raid:  # measuring parity code takes half of the start, and nothing here will use it
            command.append("initcall_blacklist=raid6_select_algo,calibrate_xor_blocks")
        # d: a disk is never taken for a copy-on-write file, whose header would name another file of the host
        command += [f"ubd{chr(97 + index)}d={disk.raw}" for index, disk in enumerate(self.overlays.disks)]
        told = f"{self.overlays.folder}/settings"  # the kernel's command line takes neither quotes nor much text
        with open(told, "w", encoding="utf-8") as stream:
            json.dump(settings, stream)
        command += [f"init={os.path.realpath(sys.executable)}", "--", "-I", "-S", agent, told]
        environment = {"HOME": self.overlays.folder, "PATH": "/usr/sbin:/usr/bin:/sbin:/bin", "LC_ALL": "C.UTF-8"}
        environment["TMPDIR"] = _memory_folder(self.overlays.folder)
        with open(f"{self.overlays.folder}/console.log", "wb") as log:
            self._process = self.overlays.run.start(
                command, log, end=signal.SIGKILL, env=environment, pass_fds=(requests, answers)
            )  # a machine that has just begun continues for ever after SIGTERM
        os.close(requests)
        os.close(answers)

    def _await(self) -> None:
        """Wait until the machine takes requests. Raises DiskError where it doesn't start."""
        if not self._ready and self._line(START_SECONDS) != b"ready":
            raise self._broken("it did not start")
        self._ready = True

    def _line(self, seconds: float) -> bytes:
        deadline = time.monotonic() + seconds
        while b"\n" not in self._buffer:
            self._follow_stop()
            left = deadline - time.monotonic()
            if not self._poll.poll(1000 * max(0.0, min(LOOK_SECONDS, left))):  # select(2) takes no descriptor from 1024
                if self._process is not None and self._process.poll() is not None:
                    raise self._broken("it was ended")
                if left <= 0:
                    raise self._broken(f"no answer within {seconds:.0f} seconds")
                continue
            piece = os.read(self._read, 1 << 16)
            if not piece:
                raise self._broken("it stopped")
            self._buffer += piece
        line, _, self._buffer = self._buffer.partition(b"\n")
        return line.strip(b"\r")

    def _follow_stop(self) -> None:
        """Raise Stopped, with the machine ended, where that is wished: its answer would come to another question."""
        try:
            stopping.check()
        except Stopped:
            self.kill()
            raise

    def _broken(self, what: str) -> DiskError:
        said = ""
        with contextlib.suppress(OSError), open(f"{self.overlays.folder}/console.log", "rb") as log:
            said = cause_of(log.read()[-CONSOLE:].decode("utf-8", "replace"))
        self.kill()
        if self.overlays.full():
            return DiskError(NO_ROOM, where=self.overlays.folder, remedy=MORE_ROOM)
        return DiskError(f"User-mode Linux: {what}{': ' + said if said else ''}", remedy=_OTHER_WAY)

    def call(self, op: str, **args: object) -> Any:
        """Return the value of a request. Raises GuestError for whatever the guest or its filesystem refuses."""
        try:
            return self.write(op, **args)
        except OSError as error:
            if error.errno == errno.ENOSPC:
                raise DiskError(NO_ROOM, where=self.overlays.folder, remedy=MORE_ROOM) from error
            raise unreadable(error, str(error.filename or args.get("path", "")), _CANT.get(op, _CANT[""])) from error

    def write(self, op: str, **args: object) -> Any:
        """Return the value of a request that writes. Raises OSError as the kernel has it, and GuestError."""
        self._await()
        self._count += 1
        data = json.dumps({"op": op, "args": args}, default=_plain).encode("utf-8", "surrogateescape")
        if len(data) > MAX_LINE:
            with open(f"{self.exchange}/request-{self._count}", "xb") as stream:
                stream.write(data)
            data = f"@request-{self._count}".encode()
        try:
            os.write(self._write, data + b"\n")
        except OSError as error:
            raise self._broken("it stopped") from error
        line = self._line(ANSWER_SECONDS)
        if line.startswith(b"@"):
            name = os.path.join(self.exchange, os.path.basename(line[1:].decode()))
            with open(name, "rb") as stream:
                line = stream.read()
            os.unlink(name)
        return self._value(json.loads(line))

    def _value(self, answer: dict[str, Any]) -> Any:
        if "errno" in answer:
            if answer["errno"] in (errno.EIO, errno.EROFS) and self.overlays.full():
                raise OSError(errno.ENOSPC, f"{NO_ROOM}; {MORE_ROOM}", answer["where"])
            raise OSError(answer["errno"], os.strerror(answer["errno"]), answer["where"])
        if "error" in answer:
            name, what, where, remedy, code = answer["error"]
            kind = getattr(errors, name, DiskError)
            plain = issubclass(kind, (GuestError, errors.UsageError)) and kind is not errors.Corrupt
            raise (kind if plain else DiskError)(what, where=where, remedy=remedy, code=code)
        return answer["value"]

    def stop(self) -> None:
        """Unmount everything, end the machine, and wait until the overlays hold all that was written."""
        if self._process is None:
            return
        self.call("stop")
        try:
            self._process.wait(START_SECONDS)
        except subprocess.TimeoutExpired:
            self.kill()
            raise DiskError("User-mode Linux did not end") from None
        self._close()

    def kill(self) -> None:
        """End the machine at once, with every process it started on the host."""
        if self._process is not None:
            with contextlib.suppress(ProcessLookupError, PermissionError):
                os.killpg(self._process.pid, signal.SIGKILL)
            self._process.wait()
            self._close()

    def _close(self) -> None:
        self._process = None
        for descriptor in (self._read, self._write):
            with contextlib.suppress(OSError):
                os.close(descriptor)


def _memory_folder(folder: str) -> str:
    """Return where the machine's memory, which it maps as a file, has room. DiskError where there is none."""
    for place in (folder, "/dev/shm"):
        usable = os.access(place, os.W_OK | os.X_OK) and not os.statvfs(place).f_flag & os.ST_NOEXEC
        if usable and room(place) > MEMORY << 20:
            return place
    raise DiskError(f"User-mode Linux needs {MEMORY} MB of room for its memory", where=folder, remedy=MORE_ROOM)


def _plain(value: object) -> object:
    if isinstance(value, bytes):
        return {"base64": base64.b64encode(value).decode()}
    if isinstance(value, Meta):
        return {name: getattr(value, name) for name in names_of(value)}
    raise TypeError(type(value).__name__)
