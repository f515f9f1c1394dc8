"""What keeps the host's udev from looking at a guest's devices, and from activating what is on them.

Loop devices are locked (:mod:`guestfix.backends.mount.loops`); udev takes no notice of locks on those of device-mapper
and RAID, so they get a rule, which is there for as long as the run.
Source: udev(7), and the rules that systemd, lvm2 and mdadm install: what makes each of them pass over a device.
"""

from __future__ import annotations

import ctypes
import os
import subprocess
from collections.abc import Sequence

from guestfix.backends.keeper import rule_of
from guestfix.backends.status import find_program

_NEWNS = 0x20000
_LEAVE = 'SYMLINK:="", OPTIONS+="nowatch"' + "".join(
    f', ENV{{{name}}}="{value}"'
    for name, value in (
        ("DM_UDEV_DISABLE_SUBSYSTEM_RULES_FLAG", 1),
        ("DM_UDEV_DISABLE_DISK_RULES_FLAG", 1),
        ("DM_UDEV_DISABLE_OTHER_RULES_FLAG", 1),
        ("UDEV_DISABLE_PERSISTENT_STORAGE_RULES_FLAG", 1),
        ("SYSTEMD_READY", 0),
        ("UDISKS_IGNORE", 1),
    )
)


class Quiet:
    """Keeps udev from a run's devices. Made while this process still sees the host's mounts."""

    def __init__(self, run: str) -> None:
        """``run`` is the folder of the run, whose keeper removes the rule."""
        self._rule = rule_of(run)
        self._host = os.open("/proc/self/ns/mnt", os.O_RDONLY | os.O_CLOEXEC) if udev_runs() else -1

    def about(self, opened: str, arrays: Sequence[str], volumes: Sequence[str]) -> None:
        """See that udev passes over arrays of these names, and volumes whose name or whose UUID begins so.

        OSError where udev runs and can't be told.
        """
        if self._host < 0:
            return
        rows = [f'ATTR{{dm/name}}=="{opened}*"', *(f'KERNEL=="{one}"' for one in arrays)]
        rows += [f'ATTR{{dm/uuid}}=="{one}*"' for one in volumes]
        text = "".join(f'SUBSYSTEM=="block", {row}, {_LEAVE}\n' for row in rows)
        program = find_program("udevadm")
        script = 'mkdir -p "${1%/*}" && cat >"$1" && exec "$2" control --reload'
        command = ["/bin/sh", "-c", script, "sh", self._rule, str(program)]
        done = subprocess.run(command, input=text, text=True, capture_output=True, check=False, preexec_fn=self._back)
        if program is None or done.returncode:
            raise OSError(f"udev can't be kept from the guest's devices: {done.stderr.strip()[:200]}")

    def _back(self) -> None:
        """Enter the mounts of the host."""
        if ctypes.CDLL(None, use_errno=True).setns(self._host, _NEWNS):
            raise OSError(ctypes.get_errno(), "setns")


def udev_runs() -> bool:
    """Tell whether this host has a udev that follows what devices do."""
    return os.path.exists("/run/udev/control")
