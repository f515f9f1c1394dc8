"""The host's own kernel as the machine: what it mounts lies in a mount namespace that only this process has."""

from __future__ import annotations

import os
import subprocess
from typing import Any

from guestfix.backends.keeper import LOOPS
from guestfix.backends.machine.calls import mount
from guestfix.backends.machine.machine import BASE, Machine
from guestfix.backends.mount.devices import Held, HostDevices
from guestfix.backends.mount.quiet import Quiet
from guestfix.backends.status import find_program

_REC, _PRIVATE = 0x4000, 0x40000


class Modules:
    """Asks the host to load modules of its own kernel."""

    def load(self, *names: str) -> None:
        """Load these; one that isn't there or is built in is passed over."""
        program = find_program("modprobe")
        if program is not None:
            command = [program, "-q", "-a", *names]
            subprocess.run(command, stdin=subprocess.DEVNULL, capture_output=True, check=False)


class HostMachine(Machine):
    """Answers as a machine does, on the host; its /run is an empty one of its own.

    So no program that it calls reaches the locks, maps and databases that the host's own LVM, mdadm and udev keep.
    """

    def __init__(self, settings: dict[str, Any], held: Held) -> None:
        self._held = held
        super().__init__(settings)

    @staticmethod
    def hold(settings: dict[str, Any]) -> Held:
        """Open what is wanted of the host's own mounts, before others hide it."""
        disks = tuple(os.open(disk, os.O_RDWR | os.O_CLOEXEC) for disk, _ in settings["disks"])
        record = os.open(f"{settings['run']}/{LOOPS}", os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC, 0o600)
        return Held(disks, record, Quiet(settings["run"]))

    def _begin(self) -> HostDevices:
        mount("none", "/", "", _REC | _PRIVATE)
        mount("run", "/run", "tmpfs", 0, "mode=700")
        self.modules = Modules()
        return HostDevices(self._held, self.settings, self.modules, f"{BASE}/dev")

    def unmount(self) -> None:
        """Unmount all, and write out what this guest's devices hold; the host's others are left alone."""
        self._unmount_all()
        self.devices.release()

    def power_off(self) -> None:
        """End, and with it all that is still mounted."""
        raise SystemExit(0)
