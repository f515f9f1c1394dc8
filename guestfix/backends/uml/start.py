"""Starting User-mode Linux over a guest's disks as raw files, on the host's own tree, talked to by a terminal."""

from __future__ import annotations

import json
import os
import signal
import sys

from guestfix.backends.disks.naming import letters
from guestfix.backends.disks.overlaydisk import MORE_ROOM, Overlays, room
from guestfix.backends.machine import agent
from guestfix.backends.machine.session import Kind, Kinds, Started
from guestfix.backends.machine.wire import FolderWire, Pipes
from guestfix.backends.packages import install
from guestfix.backends.status import find_program
from guestfix.backends.volumes.block import DiskError

MEMORY = 256
"""Megabytes that the machine has; it seldom uses half of it."""

START_SECONDS, ANSWER_SECONDS = 60.0, 600.0

MAX_DISKS = 16
"""What the driver ubd has minor numbers for (arch/um/drivers/ubd_kern.c, MAX_DEV)."""


def start(overlays: Overlays, root: str, exchange: str, *, kinds: Kinds, raid: bool) -> Started:
    """Start the machine. DiskError where it is missing, or has no room."""
    program = find_program("linux.uml")
    if program is None:
        raise DiskError("User-mode Linux is missing", remedy=install("linux.uml"))
    settings: dict[str, object] = {
        "package": os.path.abspath(f"{agent.__file__}/../../../.."),
        "exchange": exchange,
        "modules": "/usr/lib/uml/modules/{release}",
        "load": [],
        "disks": [(f"/dev/ubd{letters(i)}", os.path.getsize(disk.raw)) for i, disk in enumerate(overlays.disks)],
        "root": root,
    }
    requests, write = os.pipe()
    read, answers = os.pipe()
    os.mkdir(f"{overlays.folder}/uml", 0o700)
    command = [program, f"mem={MEMORY}M", "quiet", "selinux=0", "rootfstype=hostfs", "root=/dev/root"]
    command += ["rootflags=/", "ro", "gpt", "con=null", "con0=null,fd:1", f"con1=fd:{requests},fd:{answers}"]
    command += [f"uml_dir={overlays.folder}/uml", f"umid=guestfix{os.getpid()}", "lpj=10000000"]
    if not raid:  # measuring parity code takes half of the start, and nothing here will use it
        command.append("initcall_blacklist=raid6_select_algo,calibrate_xor_blocks")
    # d: a disk is never taken for a copy-on-write file, whose header would name another file of the host
    command += [f"ubd{letters(index)}d={disk.raw}" for index, disk in enumerate(overlays.disks)]
    told = f"{overlays.folder}/settings"  # the kernel's command line takes neither quotes nor much text
    with open(told, "w", encoding="utf-8") as stream:
        json.dump(settings, stream)
    command += [f"init={os.path.realpath(sys.executable)}", "--", "-I", "-S", os.path.abspath(agent.__file__), told]
    environment = {"HOME": overlays.folder, "PATH": "/usr/sbin:/usr/bin:/sbin:/bin", "LC_ALL": "C.UTF-8"}
    environment["TMPDIR"] = _memory_folder(overlays.folder)
    with open(f"{overlays.folder}/console.log", "wb") as log:
        process = overlays.run.start(
            command, log, end=signal.SIGKILL, env=environment, pass_fds=(requests, answers)
        )  # a machine that has just begun continues for ever after SIGTERM
    os.close(requests)
    os.close(answers)
    return Started(process, lambda look: FolderWire(Pipes(read, write, look), exchange, ANSWER_SECONDS))


def _memory_folder(folder: str) -> str:
    """Return where the machine's memory, which it maps as a file, has room. DiskError where there is none."""
    for place in (folder, "/dev/shm"):
        usable = os.access(place, os.W_OK | os.X_OK) and not os.statvfs(place).f_flag & os.ST_NOEXEC
        if usable and room(place) > MEMORY << 20:
            return place
    raise DiskError(f"User-mode Linux needs {MEMORY} MB of room for its memory", where=folder, remedy=MORE_ROOM)


UML = Kind("uml", "User-mode Linux", start, MAX_DISKS, "raw", START_SECONDS, ANSWER_SECONDS)
