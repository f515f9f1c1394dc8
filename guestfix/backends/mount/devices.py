"""A guest's disks as devices of the host's kernel: loop devices, and RAID and LVM of these alone.

Every program gets the list of devices that it may look at. Names of the host and of the guest never meet: the nodes
lie in a folder of this process, arrays and opened volumes have names of the run, and a volume group that the host has
too is refused.
"""

from __future__ import annotations

import contextlib
import os
from collections.abc import Sequence
from typing import Any

from guestfix.backends.keeper import take_down
from guestfix.backends.machine.volumes import LVM_CONFIG, Devices, Loader, said_by
from guestfix.backends.mount.loops import Loop
from guestfix.backends.mount.quiet import Quiet
from guestfix.backends.status import find_program
from guestfix.backends.volumes.block import Block, DiskError, FileBlock, Window
from guestfix.backends.volumes.md import read_member
from guestfix.base.errors import GuestError
from guestfix.base.record import frozen

MOST_LOOPS = 256
"""Partitions of one guest that get a loop device."""

_ELSEWHERE = "read and write it by a kernel that is not the host's (guestfix backends)"


@frozen
class Held:
    """What is opened while the host's own mounts are seen: the disks, what the run's keeper is told, and udev."""

    disks: tuple[int, ...]
    record: int
    quiet: Quiet


class HostDevices(Devices):
    """The guest's block devices on the host. ``release`` takes all of them down."""

    def __init__(self, held: Held, settings: dict[str, Any], modules: Loader, nodes: str) -> None:
        """``nodes`` is a new folder for device nodes."""
        self._files, self._quiet, self._run, self._loops = held.disks, held.quiet, settings["run"], list[Loop]()
        self._record = held.record
        self.tag = f"gf-{os.path.basename(self._run).rpartition('-')[2]}"
        self._groups, self._arrays = set[str](), list[str]()
        self.nodes = nodes
        os.makedirs(f"{nodes}/mapper")
        os.environ.update(DM_DEV_DIR=nodes, MDADM_NO_UDEV="1", MDADM_NO_SYSTEMCTL="1")
        modules.load("loop")
        super().__init__(settings["disks"], modules)

    def _shown(self, index: int, name: str, size: int) -> tuple[str, Block]:
        return str(index), Window(FileBlock(f"/proc/self/fd/{self._files[index]}"), 0, size)

    def _span(self, device: str, number: int, start: int, size: int) -> str:
        """Attach a loop device; where the kernel refuses that, the name is of none."""
        index = int(device)
        if len(self._loops) >= MOST_LOOPS or size <= 0:
            return f"{self.nodes}/none"
        try:
            self._loops.append(Loop(self._files[index], start, size))
            os.write(self._record, os.path.basename(self._loops[-1].path).encode() + b"\n")
        except OSError as error:
            self.problems.append(f"disk {index + 1}, partition {number}: no loop device: {error.strerror}")
            return f"{self.nodes}/none"
        return self._loops[-1].path

    # RAID

    def _assemble(self, program: str, members: Sequence[str]) -> None:
        """Assemble each array of its members alone, under a name of this run, and let nothing rebuild it."""
        arrays: dict[str, list[str]] = {}
        for device in members:
            with contextlib.suppress(GuestError, ValueError, OSError):
                arrays.setdefault(read_member(FileBlock(device)).uuid, []).append(device)
        names = _free_names(self._run, len(arrays))
        self._arrays = names
        self._quiet.about(self.tag, names, self._volumes())
        for name, devices in zip(names, arrays.values(), strict=True):
            how = ("--run", "--readonly", "--config=none")
            said_by(program, "--assemble", f"/dev/{name}", *how, *devices)  # the holders of its members tell of it
            with contextlib.suppress(OSError), open(f"/sys/block/{name}/md/sync_action", "w") as action:
                action.write("frozen")  # a rebuilt disk would be written to the overlay whole
            said_by(program, "--readwrite", f"/dev/{name}")

    # LVM

    def _lvm(self, program: str, command: str, *words: str) -> tuple[int, str, str]:
        config = LVM_CONFIG + f' devices{{dir="{self.nodes}"}} global{{locking_dir="/run/lvm"}}'
        given = ",".join(self._paths[part.key] for part in self._any("LVM2_member") if part.key in self._paths)
        return said_by(program, command, "--config", config, "--devices", given, *words)

    def _activate_lvm(self) -> None:
        self.modules.load("dm-mod")
        program = find_program("lvm")
        if program is not None:
            os.makedirs("/run/lvm", exist_ok=True)
            os.environ.update(LVM_SYSTEM_DIR="/run/lvm", LVM_SUPPRESS_FD_WARNINGS="1")
            self._refuse_namesakes(program)
        super()._activate_lvm()

    def _refuse_namesakes(self, program: str) -> None:
        """DiskError where a volume group of the guest has the identity or the name of one that is active here."""
        code, rows, said = self._lvm(program, "vgs", "--noheadings", "--separator", "|", "-o", "vg_uuid,vg_name")
        if code and not rows.strip():
            raise DiskError(f"the guest's LVM can't be looked at: {' '.join(said.split())[:300]}", remedy=_ELSEWHERE)
        for row in rows.split("\n"):
            uuid, _, name = row.strip().partition("|")
            if not uuid or uuid in self._groups:
                continue
            own = f"LVM-{uuid.replace('-', '')}"
            for other, group in mapped():
                if other.startswith(own) or group == name:
                    what = f"the guest's volume group {name} has the identity or the name of one that this host uses"
                    raise DiskError(what, remedy=_ELSEWHERE)
            self._groups.add(uuid)
        self._quiet.about(self.tag, self._arrays, self._volumes())

    def _volumes(self) -> list[str]:
        """Return how the UUIDs of this guest's logical volumes begin."""
        return sorted(f"LVM-{one.replace('-', '')}" for one in self._groups)

    # LUKS

    def _mapped(self, names: Sequence[str]) -> str:
        return names[0].replace("/dev", self.nodes, 1)

    def _opened_as(self, names: Sequence[str]) -> str:
        self._quiet.about(self.tag, self._arrays, self._volumes())
        return f"{self.nodes}/mapper/{self.tag}-{os.path.basename(names[0])}"

    # the end

    def release(self) -> None:
        """Take down what stands on the loop devices, then these, with all data written out.

        DiskError where something is still in use: what was written may not be whole.
        """
        if not take_down(self._run):
            raise DiskError(
                "what stands on the guest's disks can't be taken down: something uses it", remedy=_ELSEWHERE
            )
        program = find_program("btrfs")
        for part in self._any("btrfs") if program else ():  # the kernel keeps a list of those that it has seen
            said_by(str(program), "device", "scan", "--forget", self._paths[part.key])
        while self._loops:
            self._loops.pop().close()


def _free_names(run: str, count: int) -> list[str]:
    """Return names for arrays that this host has none of. The kernel takes any number from 512 for a name (md(4))."""
    first = 1000 + int.from_bytes(os.fsencode(run)[-4:], "big") % 1_000_000
    taken = set(os.listdir("/sys/block"))
    free = (name for number in range(first, first + count + len(taken)) if (name := f"md{number}") not in taken)
    return [name for name, _ in zip(free, range(count), strict=False)]


def mapped() -> list[tuple[str, str]]:
    """Return the UUID of every device of device-mapper, and its volume group as its name tells it.

    In such a name a ``-`` of the group or volume is doubled (lvm(8), device names).
    """
    found = []
    for name in os.listdir("/sys/block"):
        with contextlib.suppress(OSError), open(f"/sys/block/{name}/dm/uuid") as uuid:
            with open(f"/sys/block/{name}/dm/name") as called:
                group, dash, _ = called.read().strip().replace("--", "\0").partition("-")
            found.append((uuid.read().strip(), group.replace("\0", "-") if dash else ""))
    return found
