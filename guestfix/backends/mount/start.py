"""Starting the process that mounts a guest on the host itself."""

from __future__ import annotations

import json
import os
import signal
import socket
import sys

from guestfix.backends.disks.overlaydisk import Overlays
from guestfix.backends.machine.session import Kind, Kinds, Started
from guestfix.backends.machine.wire import FrameWire, Pipes
from guestfix.backends.mount import agent

START_SECONDS, ANSWER_SECONDS = 60.0, 600.0

MAX_DISKS = 255


def start(overlays: Overlays, root: str, exchange: str, *, kinds: Kinds, raid: bool) -> Started:
    """Start the process, over the overlays as raw files."""
    ours, theirs = socket.socketpair()
    settings = {
        "package": os.path.abspath(f"{agent.__file__}/../../../.."),
        "run": overlays.folder,
        "disks": [(disk.raw, os.path.getsize(disk.raw)) for disk in overlays.disks],
        "root": root,
        "line": theirs.fileno(),
    }
    told = f"{overlays.folder}/settings"
    with open(told, "w", encoding="utf-8") as stream:
        json.dump(settings, stream)
    command = [os.path.realpath(sys.executable), "-I", "-S", os.path.abspath(agent.__file__), told]
    environment = {"HOME": "/", "PATH": "/usr/sbin:/usr/bin:/sbin:/bin", "LC_ALL": "C.UTF-8"}
    with theirs, open(f"{overlays.folder}/console.log", "wb") as log:
        process = overlays.run.start(command, log, end=signal.SIGKILL, env=environment, pass_fds=(theirs.fileno(),))
    line = ours.detach()
    return Started(process, lambda look: FrameWire(Pipes(line, line, look), ANSWER_SECONDS))


MOUNT = Kind("mount", "mounting on this host", start, MAX_DISKS, "raw", START_SECONDS, ANSWER_SECONDS)
