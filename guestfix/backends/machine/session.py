"""Starting a throw-away machine over a guest's disks and talking to it, from the host's side."""

from __future__ import annotations

import contextlib
import errno
import json
import os
import signal
import subprocess
from collections.abc import Callable
from typing import Any, Protocol

from guestfix.backends.damage import unreadable
from guestfix.backends.disks.overlaydisk import MORE_ROOM, NO_ROOM, Overlays
from guestfix.backends.machine.console import cause_of
from guestfix.backends.machine.frames import READY, encoded
from guestfix.backends.machine.wire import Gone, Wire
from guestfix.backends.volumes.block import DiskError
from guestfix.base import errors, stopping
from guestfix.base.errors import GuestError, Stopped
from guestfix.base.record import frozen

END_SECONDS = 60.0
CONSOLE = 1 << 16
"""Bytes of the console's end that a cause of death is looked for in."""

_OTHER_WAY = "try again, or write through another backend (guestfix backends), or repair the image in a copy"
_CANT = {
    "": "can't be read",
    "open": "the guest's filesystems can't be mounted",
    "check": "the filesystems can't be unmounted and checked",
    "stop": "the filesystems can't be unmounted",
}
"""What a request that fails is called, by its name; the first for all others."""


@frozen
class Started:
    """A machine that begins: its process, and what makes the wire to it, given what looks whether it is still there."""

    process: subprocess.Popen[bytes]
    wire: Callable[[Callable[[bool], None]], Wire]


Kinds = frozenset[str]
"""What was seen on the disks and their partitions: filesystems, and what holds further volumes."""


class Start(Protocol):
    """Starts a machine."""

    def __call__(self, overlays: Overlays, root: str, exchange: str, *, kinds: Kinds, raid: bool) -> Started:
        """Start one over these disks; ``raid``: parity may have to be computed. DiskError where that can't be."""


@frozen
class Kind:
    """A kind of machine: its scheme and name, how it is started, the disks that it takes at most, how the overlays are
    exported to it (``raw`` files, or not at all), and how long a start and an answer may take, in seconds.
    """

    scheme: str
    title: str
    start: Start
    max_disks: int
    export: str
    start_seconds: float
    answer_seconds: float


class Session:
    """One running machine. ``call`` sends a request and returns its value; ``stop`` ends it cleanly.

    It starts meanwhile: only the first request waits for it.
    """

    def __init__(self, kind: Kind, overlays: Overlays, root: str, *, kinds: Kinds, raid: bool) -> None:
        self.kind, self.overlays = kind, overlays
        self.exchange = f"{overlays.folder}/x"
        os.mkdir(self.exchange, 0o700)
        self._ready = False
        started = kind.start(overlays, root, self.exchange, kinds=kinds, raid=raid)
        self._process: subprocess.Popen[bytes] | None = started.process
        self._wire = started.wire(self._look)

    def _look(self, idle: bool) -> None:
        """Raise Stopped, with the machine ended, where that is wished: its answer would come to another question.

        ``idle``: nothing comes; Gone where the machine has ended.
        """
        try:
            stopping.check()
        except Stopped:
            self.kill()
            raise
        if idle and self._process is not None and self._process.poll() is not None:
            raise Gone("it was ended")

    def _broken(self, what: str) -> DiskError:
        said = ""
        with contextlib.suppress(OSError), open(f"{self.overlays.folder}/console.log", "rb") as log:
            said = cause_of(log.read()[-CONSOLE:].decode("utf-8", "replace"))
        self.kill()
        if self.overlays.full():
            return DiskError(NO_ROOM, where=self.overlays.folder, remedy=MORE_ROOM)
        return DiskError(f"{self.kind.title}: {what}{': ' + said if said else ''}", remedy=_OTHER_WAY)

    def _await(self) -> None:
        """Wait until the machine takes requests. Raises Gone where it doesn't start."""
        if not self._ready and self._wire.receive(self.kind.start_seconds) != READY:
            raise Gone("it did not start")
        self._ready = True

    def call(self, op: str, *, into: str = "", **args: object) -> Any:
        """Return the value of a request; a file that comes with it is written to ``into``.

        Raises GuestError for whatever the guest or its filesystem refuses.
        """
        try:
            return self._ask(op, "", into, args)
        except OSError as error:
            if error.errno == errno.ENOSPC:
                raise DiskError(NO_ROOM, where=self.overlays.folder, remedy=MORE_ROOM) from error
            raise unreadable(error, str(error.filename or args.get("path", "")), _CANT.get(op, _CANT[""])) from error

    def write(self, op: str, *, source: str = "", **args: object) -> Any:
        """Return the value of a request that writes; ``source`` is a file of the exchange folder that goes with it.

        Raises OSError as the kernel has it, and GuestError.
        """
        return self._ask(op, source, "", args)

    def _ask(self, op: str, source: str, into: str, args: dict[str, object]) -> Any:
        request: dict[str, object] = {"op": op, "args": args}
        if source:
            request["body"] = os.path.basename(source)
        if into:
            args["name"] = os.path.basename(into)
        message = encoded(request)
        try:
            self._await()
            self._wire.send(message, source)
            answer = self._wire.receive(self.kind.answer_seconds, into)
        except Gone as error:
            raise self._broken(str(error)) from error
        try:
            return self._value(json.loads(answer))
        except (ValueError, TypeError, LookupError, RecursionError) as error:
            raise self._broken("its answer can't be understood") from error

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
            self._process.wait(END_SECONDS)
        except subprocess.TimeoutExpired:
            self.kill()
            raise DiskError(f"{self.kind.title} did not end") from None
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
        self._wire.close()
