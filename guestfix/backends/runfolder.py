"""The private folder of one run over disk images, and the promise that nothing outlives guestfix.

A run is alive while its lock is held, whatever process ids say: two containers with one TMPDIR count them apart.
Its keeper (:mod:`guestfix.backends.keeper`) clears it when guestfix is killed; where both are, the next run does.
"""

from __future__ import annotations

import contextlib
import ctypes
import fcntl
import os
import re
import signal
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import IO

from guestfix.backends import keeper

_PREFIX = "guestfix-"
_NAME = re.compile(r"guestfix-[a-z0-9_]{8}")
_KEEPER_SECONDS = 5.0


class RunFolder:
    """A new folder, locked and kept. Close removes it."""

    def __init__(self) -> None:
        clear_stale()
        self.path, self._lock = _make()
        self._keeper: subprocess.Popen[bytes] | None = None
        try:
            command = [sys.executable, "-I", "-S", os.path.abspath(keeper.__file__), self.path]
            null = subprocess.DEVNULL
            with _blocked(DEAF):  # the keeper inherits that, so it is deaf from its first moment
                self._keeper = subprocess.Popen(
                    command, stdin=null, stdout=null, stderr=null, cwd="/", start_new_session=True
                )
        except BaseException:
            self.close()
            raise

    def environment(self, base: Mapping[str, str] | None = None) -> dict[str, str]:
        """Return the environment for a program of this run: ``base`` or this process' own, with the mark."""
        return {**(os.environ if base is None else base), keeper.MARK: self.path}

    def start(
        self,
        command: Sequence[str],
        log: IO[bytes],
        *,
        end: signal.Signals,
        env: Mapping[str, str] | None = None,
        pass_fds: Sequence[int] = (),
    ) -> subprocess.Popen[bytes]:
        """Start a program that gets the signal ``end`` when guestfix dies, in a session of its own."""
        return subprocess.Popen(
            command, stdin=subprocess.DEVNULL, stdout=log, stderr=log, env=self.environment(env),
            pass_fds=pass_fds, start_new_session=True, preexec_fn=die_with_parent(end),
        )  # fmt: skip

    def close(self) -> None:
        """End what is left of the run, remove its folder and wait for its keeper. May be called twice."""
        if self._lock < 0:
            return
        with contextlib.suppress(OSError):
            keeper.clear(self.path)
        os.close(self._lock)
        self._lock = -1
        if self._keeper is not None:
            with contextlib.suppress(subprocess.TimeoutExpired):
                self._keeper.wait(_KEEPER_SECONDS)


@contextlib.contextmanager
def _blocked(signals: Sequence[signal.Signals]) -> Iterator[None]:
    """Within the block, these signals wait for this thread."""
    before = signal.pthread_sigmask(signal.SIG_BLOCK, signals)
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


def _make() -> tuple[str, int]:
    """Return a new folder and the descriptor that holds its lock; a run that clears what is stale may take some."""
    while True:
        folder = tempfile.mkdtemp(prefix=_PREFIX)
        place = f"{folder}/{keeper.LOCK}"
        try:
            lock = os.open(place, os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
        except FileNotFoundError:
            continue
        except OSError:
            os.rmdir(folder)
            raise
        with contextlib.suppress(BlockingIOError, FileNotFoundError):
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            if os.path.samestat(os.stat(place), os.fstat(lock)):
                return folder, lock
        os.close(lock)


def clear_stale() -> None:
    """Clear this user's folders of runs that nothing holds any more; what they held was never an outcome."""
    with contextlib.suppress(OSError):
        for entry in os.scandir(tempfile.gettempdir()):
            if _NAME.fullmatch(entry.name) and entry.is_dir(follow_symlinks=False):
                with contextlib.suppress(OSError):
                    if entry.stat(follow_symlinks=False).st_uid == os.geteuid():
                        _clear_unless_held(entry.path)


def _clear_unless_held(folder: str) -> None:
    try:
        lock = os.open(f"{folder}/{keeper.LOCK}", os.O_RDWR | os.O_CLOEXEC | os.O_NOFOLLOW)
    except FileNotFoundError:
        os.rmdir(folder)  # only where it is empty: its run was ended before it had a lock
        return
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        keeper.clear(folder)
    finally:
        os.close(lock)


@contextlib.contextmanager
def making(folder: str, paths: Sequence[str]) -> Iterator[None]:
    """Within the block, files of these names are half made: they go when it fails, or guestfix is killed.

    ``folder`` is that of the run.
    """
    place = f"{folder}/{keeper.PARTS}"
    with open(place, "wb") as stream:
        stream.write(b"\0".join(os.fsencode(os.path.abspath(path)) for path in paths))
    try:
        yield
    except BaseException:
        for path in paths:
            with contextlib.suppress(OSError):
                os.unlink(path)
        raise
    finally:
        os.unlink(place)


DEAF = (signal.SIGTERM, signal.SIGINT, signal.SIGHUP)
"""What a service manager sends to all processes of a service at once, which guestfix alone is to follow."""


def die_with_parent(end: signal.Signals = signal.SIGKILL, *, deaf: bool = False) -> Callable[[], None]:
    """Return what a new process does first, so that it gets a signal when guestfix dies (prctl(2)).

    ``deaf``: it ignores the signals that ask programs to end, unless it has handlers of its own for them.
    """
    libc, parent = ctypes.CDLL(None), os.getpid()

    def ask() -> None:
        for number in DEAF if deaf else ():
            signal.signal(number, signal.SIG_IGN)
        libc.prctl(1, end)
        if os.getppid() != parent:  # it died before the kernel was asked
            raise ProcessLookupError

    return ask
