"""Starting a throw-away QEMU machine over a guest's disks: no network, no FUSE, no root, one port as the line."""

from __future__ import annotations

import json
import os
import resource
import signal
import socket

from guestfix.backends.accel import works
from guestfix.backends.disks.overlaydisk import Overlays, overlay_node
from guestfix.backends.machine.guest import HOLDERS
from guestfix.backends.machine.session import Kind, Kinds, Started
from guestfix.backends.machine.wire import FrameWire, Pipes
from guestfix.backends.packages import install
from guestfix.backends.qemu.host import MACHINES, chosen_kernel, find_qemu, program_name
from guestfix.backends.qemu.initramfs import AGENT, PYTHON, SETTINGS, build
from guestfix.backends.qemu.kernel import FIRST
from guestfix.backends.volumes.block import DiskError

MEMORY = 512
"""Megabytes that the machine has; most of what it has no use for is never taken from the host."""

BESIDE = 4096
"""Megabytes of address space that QEMU may have besides: emulated code, its libraries, disks' tables."""

START_SECONDS, ANSWER_SECONDS = 180.0, 1800.0
"""Emulated, a machine takes ten to twenty times as long."""

MAX_DISKS = 24
"""Slots of the bus that are left."""

PORT = "org.guestfix.0"
_DENIED = "on,obsolete=deny,elevateprivileges=deny,spawn=deny,resourcecontrol=deny"


def start(overlays: Overlays, root: str, exchange: str, *, kinds: Kinds, raid: bool) -> Started:
    """Start the machine. DiskError where QEMU or a kernel is missing."""
    program = find_qemu()
    if os.uname().machine not in MACHINES:
        what = f"the backend qemu knows no machine for this processor ({os.uname().machine})"
        raise DiskError(what, remedy="guestfix backends")
    if program is None:
        raise DiskError("QEMU is missing", remedy=install(program_name()))
    rare = "jfs" in kinds or "reiserfs" in kinds or not kinds.isdisjoint(HOLDERS)
    kernel = chosen_kernel(rare=rare)
    settings: dict[str, object] = {
        "port": PORT,
        "load": FIRST,
        "restart": True,
        "disks": [(f"gf{i}", -(-disk.image.block.size // 512) * 512) for i, disk in enumerate(overlays.disks)],
        "root": root,
    }
    initramfs = f"{overlays.folder}/initramfs"
    with open(initramfs, "xb") as stream:
        stream.write(build(kernel, settings, kinds))
    ours, theirs = socket.socketpair()
    kvm = works(program)[0]
    command = [program, *_machine(kvm), "-kernel", kernel.image, "-initrd", initramfs, *_devices(overlays, theirs)]
    environment = {"HOME": overlays.folder, "PATH": "/usr/sbin:/usr/bin:/sbin:/bin", "LC_ALL": "C.UTF-8"}
    with theirs, open(f"{overlays.folder}/console.log", "wb") as log:
        process = overlays.run.start(
            command, log, end=signal.SIGKILL, env=environment, pass_fds=(theirs.fileno(), *overlays.host.descriptors())
        )
    limit = (MEMORY + BESIDE) << 20
    resource.prlimit(process.pid, resource.RLIMIT_AS, (limit, limit))
    descriptor = ours.detach()
    return Started(process, lambda look: FrameWire(Pipes(descriptor, descriptor, look), ANSWER_SECONDS))


def _machine(kvm: bool) -> list[str]:
    kind, console = MACHINES[os.uname().machine]
    words = ["-nodefaults", "-no-user-config", "-no-reboot", "-display", "none", "-sandbox", _DENIED]
    words += ["-machine", kind, "-accel", "kvm" if kvm else "tcg", "-cpu", "host" if kvm else "max"]
    words += ["-m", str(MEMORY), "-chardev", "stdio,id=console,signal=off", "-serial", "chardev:console"]
    line = f'console={console} quiet panic=-1 rdinit="{PYTHON}" -- -I -S {AGENT} {SETTINGS}'
    return [*words, "-append", line]


def _devices(overlays: Overlays, line: socket.socket) -> list[str]:
    words = ["-device", "virtio-serial-pci,max_ports=2", "-chardev", f"socket,id=line,fd={line.fileno()}"]
    words += ["-device", f"virtserialport,chardev=line,name={PORT}"]
    for index, disk in enumerate(overlays.disks):
        node = {"node-name": f"d{index}", **overlay_node(disk.file, disk.image.node)}
        words += ["-blockdev", json.dumps(node), "-device", f"virtio-blk-pci,drive=d{index},serial=gf{index}"]
    return words


QEMU = Kind("qemu", "the QEMU machine", start, MAX_DISKS, "", START_SECONDS, ANSWER_SECONDS)
