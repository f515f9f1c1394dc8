"""The program that mounts a guest on the host itself and answers requests, in namespaces of its own.

What it mounts is seen by no other process and goes with it; it has no network. It runs as root, and no program of the
guest with it: all is mounted without exec, devices and set-user-id.
"""

from __future__ import annotations

import ctypes
import json
import os
import signal
import sys

_NEWNS, _NEWIPC, _NEWPID, _NEWNET = 0x20000, 0x8000000, 0x20000000, 0x40000000
_DEATH_SIGNAL = 1


def main() -> None:
    """Go apart, set the machine up, and serve until told to stop."""
    with open(sys.argv[1], encoding="utf-8") as stream:
        settings = json.load(stream)
    sys.path.insert(0, settings["package"])
    from guestfix.backends.machine.agent import serve
    from guestfix.backends.machine.line import FrameLine
    from guestfix.backends.mount.machine import HostMachine

    held = HostMachine.hold(settings)
    _apart()
    machine = HostMachine(settings, held)
    serve(machine, FrameLine(settings["line"]))


def _apart() -> None:
    """Continue as the first process of new namespaces, in which all ends with it. OSError where that is refused."""
    libc = ctypes.CDLL(None, use_errno=True)
    if libc.unshare(_NEWNS | _NEWIPC | _NEWPID | _NEWNET):
        code = ctypes.get_errno()
        raise OSError(code, f"no namespaces of its own: {os.strerror(code)}")
    pid = os.fork()
    if pid:
        raise SystemExit(os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) and 1)
    libc.prctl(_DEATH_SIGNAL, signal.SIGKILL)


if __name__ == "__main__":
    main()
