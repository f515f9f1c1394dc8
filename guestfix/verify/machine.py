"""QEMU over throw-away overlays of a guest's disks: no other host file, no network outside, nothing that stays behind.

It is run in QEMU's own sandbox; the guest's consoles and packets come through pipes, which hold no more than is read.
"""

from __future__ import annotations

import contextlib
import glob
import json
import os
import select
import shutil
import signal
import socket
import struct
import subprocess
import time
from collections.abc import Iterable

from guestfix.backends.disks.overlaydisk import Overlays, overlay_node
from guestfix.backends.packages import install
from guestfix.backends.status import find_program
from guestfix.base.errors import GuestfixError
from guestfix.base.record import frozen
from guestfix.verify.firmware import Uefi
from guestfix.verify.hardware import Devices, device_words
from guestfix.verify.picture import Picture, read_picture
from guestfix.verify.wire import MAX_PACKET

PROGRAMS = {"x86_64": "qemu-system-x86_64", "aarch64": "qemu-system-aarch64"}
"""QEMU by a guest's processor."""

EMULATED = {"x86_64": "max", "aarch64": "max,pauth-impdef=on"}
"""QEMU's model of a processor that is emulated; Arm's own signing of pointers is slow then (docs/system/arm)."""

SANDBOX = "on,obsolete=deny,elevateprivileges=deny,spawn=deny,resourcecontrol=deny"
ANSWER_SECONDS = 10.0
CHUNK = 65536
COM2 = 0x2F8
MAX_SCREEN = 64 << 20
"""Bytes of a picture of the screen."""


@frozen
class Plan:
    """How to start: devices, firmware (None: the BIOS), clock (``utc`` or ``localtime``), megabytes, processors."""

    devices: Devices
    uefi: Uefi | None
    clock: str
    accelerator: str
    memory: int
    processors: int = 1
    ssh: bool = True
    arch: str = "x86_64"


def program(arch: str = "x86_64") -> str:
    """Return the path of QEMU for this processor; GuestfixError where it is missing."""
    found = find_program(PROGRAMS[arch])
    if found is None:
        what = f"{PROGRAMS[arch]} is missing, which starts a guest"
        raise GuestfixError(what, remedy=install(PROGRAMS[arch]))
    return found


class Machine:
    """A running QEMU. ``read`` returns what came since; close ends it, whatever state it is in."""

    def __init__(self, overlays: Overlays, plan: Plan) -> None:
        self.folder, self._run = overlays.folder, overlays.run
        self.port = _free_port() if plan.ssh else 0
        self._pipes = {name: os.pipe() for name in ("console", "screen", "wire")}
        self._sercon = os.memfd_create("guestfix")
        self._qmp: socket.socket | None = None
        self._answers = b""
        self.resets = 0
        self._process: subprocess.Popen[bytes] | None = None
        try:
            os.write(self._sercon, struct.pack("<H", COM2))
            for read, _ in self._pipes.values():
                os.set_blocking(read, False)
            self._start(overlays, plan)
        except BaseException:
            self.close()
            raise

    def _start(self, overlays: Overlays, plan: Plan) -> None:
        writes = {name: write for name, (_, write) in self._pipes.items()}
        command = [program(plan.arch), *_words(self.folder, plan, writes, self._sercon, self.port)]
        nodes = []
        for index, disk in enumerate(overlays.disks):
            node = {"node-name": f"d{index}", "discard": "unmap", **overlay_node(disk.file, disk.image.node)}
            command += ["-blockdev", json.dumps(node)]
            nodes.append(f"d{index}")
        command += device_words(plan.devices, nodes)
        given = (*overlays.host.descriptors(), *writes.values(), self._sercon)
        with open(f"{self.folder}/qemu.log", "wb") as log:
            self._process = self._run.start(command, log, end=signal.SIGKILL, pass_fds=given)
        for write in writes.values():
            os.close(write)
        self._pipes = {name: (read, -1) for name, (read, _) in self._pipes.items()}
        self._connect()

    def _connect(self) -> None:
        end = time.monotonic() + ANSWER_SECONDS
        while self.running:
            with contextlib.suppress(OSError):
                found = socket.socket(socket.AF_UNIX)
                found.connect(f"{self.folder}/qmp")
                found.setblocking(False)
                self._qmp = found
                self.ask("qmp_capabilities")
                return
            if time.monotonic() > end:
                break
            time.sleep(0.02)
        raise GuestfixError(f"QEMU does not start here: {self.said() or 'no answer'}", remedy="see its message")

    @property
    def running(self) -> bool:
        """Tell whether QEMU is there."""
        return self._process is not None and self._process.poll() is None

    def said(self) -> str:
        """Return the last line of what QEMU itself said."""
        with open(f"{self.folder}/qemu.log", "rb") as log:
            lines = log.read(20_000).decode("utf-8", "replace").strip().splitlines()
        return lines[-1].partition(": ")[2][:300] if lines else ""

    def read(self, seconds: float) -> dict[str, bytes]:
        """Return what came through the pipes, by name, waiting at most this long."""
        names = {read: name for name, (read, _) in self._pipes.items() if read >= 0}
        found: dict[str, bytes] = {}
        for one in _ready(names, seconds):
            with contextlib.suppress(BlockingIOError):
                found[names[one]] = os.read(one, CHUNK)
            if found.get(names[one]) == b"":  # the other end is closed
                os.close(one)
                self._pipes[names[one]] = (-1, -1)
        return found

    # QMP

    def ask(self, name: str, **arguments: object) -> object:
        """Return what QEMU answers to a command of its protocol, None where it refuses or does not answer."""
        if self._qmp is None:
            return None
        message = {"execute": name, "id": name, **({"arguments": arguments} if arguments else {})}
        try:
            self._qmp.sendall(json.dumps(message).encode() + b"\n")
        except OSError:
            return None
        end = time.monotonic() + ANSWER_SECONDS
        while (left := end - time.monotonic()) > 0 and self.running:
            for row in self._rows(left):
                if row.get("id") == name:
                    return row.get("return")
        return None

    def _rows(self, seconds: float) -> list[dict[str, object]]:
        assert self._qmp is not None
        if not _ready((self._qmp.fileno(),), min(seconds, 0.5)):
            return []
        try:
            self._answers += self._qmp.recv(CHUNK)
        except OSError:
            return []
        *lines, self._answers = self._answers.split(b"\n")
        rows = [json.loads(line) for line in lines if line.strip()]
        self.resets += sum(one.get("event") == "RESET" and bool(one["data"].get("guest")) for one in rows)
        return rows

    def transfers(self) -> int:
        """Return how many requests the guest has made to its disks."""
        return self._counted("rd_operations", "wr_operations")

    def reads(self) -> int:
        """Return how often anything was read from a disk."""
        return self._counted("rd_operations")

    def _counted(self, *names: str) -> int:
        rows = self.ask("query-blockstats")
        stats = [one.get("stats", {}) for one in rows] if isinstance(rows, list) else []
        return sum(one.get(name, 0) for one in stats for name in names)

    def starved(self) -> float:
        """Return for how many seconds QEMU had work for a processor and the host gave it none."""
        return waited(self._process.pid) if self._process is not None else 0.0

    def screen(self) -> Picture | None:
        """Return what the screen shows; None where QEMU gives no picture."""
        place = f"{self.folder}/screen"
        self.ask("screendump", filename=place)
        try:
            with open(place, "rb") as stream:
                data = stream.read(MAX_SCREEN)
            os.unlink(place)
        except OSError:
            return None
        return read_picture(data)

    def close(self) -> None:
        """End QEMU and wait for it."""
        if self._process is not None:
            self._process.kill()
            self._process.wait()
            self._process = None
        if self._qmp is not None:
            self._qmp.close()
            self._qmp = None
        for one in (*(number for pair in self._pipes.values() for number in pair), self._sercon):
            if one >= 0:
                with contextlib.suppress(OSError):
                    os.close(one)
        self._pipes, self._sercon = {}, -1


def waited(process: int) -> float:
    """Return the seconds that a process' thread waited for a processor, the one that waited most; 0.0 if nothing tells.

    Source: Documentation/scheduler/sched-stats.rst, /proc/<pid>/schedstat, in nanoseconds.
    """
    found = [0]
    for place in glob.glob(f"/proc/{process}/task/*/schedstat"):
        with contextlib.suppress(OSError, ValueError, IndexError), open(place, encoding="ascii") as stream:
            found.append(int(stream.read(200).split()[1]))
    return max(found) / 1e9


def _words(folder: str, plan: Plan, pipes: dict[str, int], sercon: int, port: int) -> list[str]:
    """Return QEMU's arguments besides the disks."""
    machine = "q35,graphics=on" + (",smm=on" if plan.uefi and plan.uefi.secure_boot else "")
    if plan.arch == "aarch64":
        machine = "virt,gic-version=max"
    words = ["-nodefaults", "-no-user-config", "-sandbox", SANDBOX, "-display", "none", "-name", "guestfix-verify"]
    processor = "host" if plan.accelerator == "kvm" else EMULATED[plan.arch]
    words += ["-machine", machine, "-accel", plan.accelerator, "-cpu", processor]
    words += ["-m", str(plan.memory), "-smp", str(plan.processors), "-rtc", f"base={plan.clock}", "-boot", "strict=on"]
    words += ["-device", "VGA" if plan.arch == "x86_64" else "ramfb"]
    words += ["-action", "reboot=reset,shutdown=poweroff,panic=none"]
    words += ["-chardev", f"file,id=console,path=/dev/fd/{pipes['console']}", "-serial", "chardev:console"]
    if plan.uefi is None:  # what SeaBIOS and a loader write on the screen, on a second port
        words += ["-chardev", f"file,id=screen,path=/dev/fd/{pipes['screen']}", "-serial", "chardev:screen"]
        words += ["-fw_cfg", f"name=etc/sercon-port,file=/dev/fd/{sercon}"]
    else:
        own = f"{folder}/variables"
        shutil.copyfile(plan.uefi.variables, own)
        words += ["-drive", f"if=pflash,unit=0,format=raw,readonly=on,file={_quoted(plan.uefi.code)}"]
        words += ["-drive", f"if=pflash,unit=1,format=raw,file={_quoted(own)}"]
        if plan.uefi.secure_boot:
            words += ["-global", "driver=cfi.pflash01,property=secure,value=on"]
    forward = f",hostfwd=tcp:127.0.0.1:{port}-:22" if port else ""
    words += ["-netdev", f"user,id=net,restrict=on{forward}", "-device", f"{plan.devices.nic},netdev=net,romfile="]
    dump = f"filter-dump,id=dump,netdev=net,maxlen={MAX_PACKET},file=/dev/fd/{pipes['wire']}"
    return [*words, "-object", dump, "-qmp", f"unix:{_quoted(folder)}/qmp,server=on,wait=off"]


def _ready(numbers: Iterable[int], seconds: float) -> list[int]:
    """Return which of these descriptors have something to read, waiting at most this long."""
    poll = select.poll()  # select(2) takes no descriptor from 1024
    for one in numbers:
        poll.register(one, select.POLLIN)
    return [one for one, _ in poll.poll(1000 * max(0.0, seconds))]


def _quoted(text: str) -> str:
    return text.replace(",", ",,")


def _free_port() -> int:
    with socket.socket() as found:
        found.bind(("127.0.0.1", 0))
        port: int = found.getsockname()[1]
        return port


def banner(port: int, seconds: float = 3.0) -> str:
    """Return the line by which an SSH server says what it is (RFC 4253, 4.2), empty where none answers."""
    with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", port), seconds) as found:
        found.settimeout(seconds)
        text = found.recv(255).decode("utf-8", "replace").partition("\n")[0].strip()
        return text if text.startswith("SSH-") else ""
    return ""
