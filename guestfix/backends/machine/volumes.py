"""Inside the machine: block devices, RAID and LVM put together by the host's own programs."""

from __future__ import annotations

import contextlib
import os
import struct
import subprocess
from collections.abc import Sequence
from typing import Protocol

from guestfix.backends.filesystems.subvolume import name_of
from guestfix.backends.layout.model import DiskInfo, Part, Subvolume
from guestfix.backends.packages import install
from guestfix.backends.status import find_program
from guestfix.backends.volumes.block import COPY, Block, DiskError, FileBlock, Window, told
from guestfix.backends.volumes.bootcode import boot_code
from guestfix.backends.volumes.names import luks_names, lvm_names, md_names
from guestfix.backends.volumes.partitions import read_table
from guestfix.backends.volumes.probe import ENCRYPTED, Probe, probe
from guestfix.base.errors import GuestError
from guestfix.base.record import replace

LVM_CONFIG = (
    "activation{udev_sync=0 udev_rules=0 monitoring=0 verify_udev_operations=0}"
    ' backup{backup=0 archive=0} devices{use_devicesfile=0 scan="/dev"}'
    ' global{thin_check_executable="" cache_check_executable="" use_lvmpolld=0 umask=63}'
)
DM = ("dm-mod", "dm-mirror", "dm-snapshot", "dm-thin-pool", "dm-raid", "raid1", "dm-cache")
CRYPT = ("ecb", "cbc", "xts", "essiv", "dm-crypt")
LEVELS = ("linear", "raid0", "raid1", "raid10", "raid456")


class Loader(Protocol):
    """Loads kernel modules."""

    def load(self, *names: str) -> None:
        """Load these, as far as they exist."""


class Devices:
    """All block devices of the guest, as Parts; ``path`` gives the device node of one."""

    def __init__(self, disks: Sequence[tuple[str, int]], modules: Loader) -> None:
        """Look at disks, each a device or its serial number, with its size: the kernel's own may be that of another
        file, which a disk's header names.
        """
        self.modules = modules
        self.disks: list[DiskInfo] = []
        self.parts: list[Part] = []
        self.problems: list[str] = []
        self._paths: dict[int, str] = {}
        self._logical: set[str] = set()
        self._opened: list[str] = []
        os.environ["DM_DISABLE_UDEV"] = "1"  # its programs make the device nodes themselves
        for index, (name, size) in enumerate(disks):
            self._add_disk(index, name, size)
        if self._any("linux_raid_member"):
            self._assemble_raid()
        if self._any("LVM2_member"):
            self._activate_lvm()

    def _any(self, kind: str) -> list[Part]:
        return [part for part in self.parts if part.probe is not None and part.probe.type == kind]

    def path(self, part: Part) -> str:
        """Return the device node of a part. DiskError where it can't be used."""
        if part.problem or part.key not in self._paths:
            raise DiskError(part.problem or "the kernel does not show this volume")
        return self._paths[part.key]

    def _shown(self, index: int, name: str, size: int) -> tuple[str, Block]:
        """Return a disk's device, and what is on it."""
        device = _node(name)
        shown = FileBlock(device)
        if shown.size < size:
            text = f"the machine shows only a part of disk {index + 1}: what it begins with tells of another size"
            raise DiskError(text, remedy="use another backend: libguestfs:, or image: to read only")
        return device, Window(shown, 0, size)

    def _span(self, device: str, number: int, start: int, size: int) -> str:
        """Return the device of a partition; of the whole disk where the number is 0."""
        return f"{device}{number or ''}"

    def _add_disk(self, index: int, name: str, size: int) -> None:
        size = size // 512 * 512
        device, block = self._shown(index, name, size)
        table = read_table(block)
        self.disks.append(DiskInfo(block.size, table.kind, table.id, boot_code(block, table)))
        self.problems += [told(f"disk {index + 1}: {text}", of=text) for text in table.problems]
        if not table.kind:
            self._add(self._span(device, 0, 0, size), Part(0, disk=index, size=size), size)
        for entry in table.partitions:
            part = Part(0, disk=index, number=entry.number, partuuid=entry.partuuid, partlabel=entry.label)
            part = replace(part, type=entry.type, start=entry.start, attributes=entry.attributes)
            self._add(self._span(device, entry.number, entry.start, min(entry.size, size - entry.start)), part)

    def _add(self, device: str, part: Part, limit: int = 0) -> None:
        """Add a volume as large as the kernel says, or as ``limit``: LVM calls a snapshot's own store its size."""
        key = len(self.parts)
        found: Probe | None = None
        problem, size = part.problem, part.size
        try:
            block = FileBlock(device)
            size = min(block.size, limit or block.size)
            found = probe(Window(block, 0, size))
            self._paths[key] = device
        except FileNotFoundError:
            problem = problem or "the kernel does not show this volume"
        except (OSError, GuestError, struct.error, ValueError):
            problem = problem or "the volume can't be read"
        problem = problem or (ENCRYPTED.get(found.type, "") if found else "")
        if found is not None and found.size > size + 65536:
            text = f"the {found.type} filesystem has {found.size} bytes, its volume {size}: the image is truncated"
            problem = told(text, COPY)
        self.parts.append(replace(part, key=key, probe=found, size=size, problem=problem))

    # RAID

    def _assemble_raid(self) -> None:
        from guestfix.backends.volumes.md import read_member

        self.modules.load("md-mod", *LEVELS)
        program = find_program("mdadm")
        if program is None:
            self.problems.append("a RAID array can't be assembled: mdadm is missing on the host")
            return
        members = [self._paths[one.key] for one in self._any("linux_raid_member") if one.key in self._paths]
        self._assemble(program, members)
        unnamed, seen = 127, set[str]()
        for device in members:
            holder = next(iter(os.listdir(f"/sys/class/block/{os.path.basename(device)}/holders")), "")
            if not holder or holder in seen:
                continue
            seen.add(holder)
            member = read_member(FileBlock(device))
            names = md_names(member.name, member.number, unnamed, member.uuid)
            unnamed -= 1 if f"/dev/md{unnamed}" in names else 0
            self._add(f"/dev/{holder}", Part(0, names=names))
        if not seen:
            self.problems.append("no RAID array could be assembled from its members")

    def _assemble(self, program: str, members: Sequence[str]) -> None:
        """Assemble the arrays."""
        said_by(program, "--assemble", "--scan", "--run", "--config=partitions", "--homehost=any")

    # LVM

    def _lvm(self, program: str, command: str, *words: str) -> tuple[int, str, str]:
        """Run a command of LVM's."""
        return said_by(program, command, "--config", LVM_CONFIG, *words)

    def _activate_lvm(self) -> None:
        self.modules.load(*DM)
        program = find_program("lvm")
        if program is None:
            self.problems.append("logical volumes can't be activated: lvm is missing on the host")
            return
        os.makedirs("/run/lvm", exist_ok=True)
        os.environ.update(LVM_SYSTEM_DIR="/run/lvm", LVM_SUPPRESS_FD_WARNINGS="1")
        code, _, said = self._lvm(program, "vgchange", "-ay")
        if code:
            self.problems.append(f"a volume group does not activate: {' '.join(said.split())[:300]}")
        fields = "vg_name,lv_name,lv_size,lv_active,origin,vg_uuid,lv_uuid"
        _, rows, _ = self._lvm(
            program, "lvs", "--noheadings", "--nosuffix", "--units", "b", "--separator", "|",
            "-o", fields,
        )  # fmt: skip
        for row in rows.splitlines():
            if row in self._logical:
                continue
            self._logical.add(row)
            group, name, size, active, origin, *ids = (row.strip().split("|") + [""] * 6)[:7]
            names = lvm_names(group, name, "".join(ids))
            problem = "" if active == "active" else f"the logical volume {group}/{name} does not activate"
            room = int(size) if size.isdecimal() else 0
            self._add(
                self._mapped(names),
                Part(0, names=names, size=room, problem=problem, snapshot=bool(origin), lost=bool(problem)),
            )

    def _mapped(self, names: Sequence[str]) -> str:
        """Return the node of a logical volume."""
        return names[0]

    # LUKS

    def _opened_as(self, names: Sequence[str]) -> str:
        """Return the node that an encrypted volume is to have."""
        return names[0]

    def unlock(self, uuid: str, version: int, table: str) -> None:
        """Open an encrypted volume by its line for dm-crypt, whose ``{}`` is the device; then the LVM inside it."""
        part = next((one for one in self._any("crypto_LUKS") if one.probe and one.probe.uuid == uuid), None)
        program = find_program("dmsetup")
        if part is None or program is None:
            what = "the kernel does not show this volume" if part is None else "dmsetup is missing on the host"
            raise DiskError(f"the encrypted volume {uuid} can't be opened: {what}", remedy=install("dmsetup"))
        self.modules.load(*DM, *CRYPT)
        names = luks_names(uuid, version)
        node = self._opened_as(names)
        command = [program, "create", "--noudevsync", "--noudevrules", os.path.basename(node)]
        line = table.format(self._paths[part.key])
        done = subprocess.run(command, input=line, capture_output=True, text=True, errors="replace", check=False)
        if done.returncode:
            said = " ".join(done.stderr.split())[:300]
            raise DiskError(f"the encrypted volume {uuid} can't be opened: {said}", remedy="guestfix backends")
        self._opened.append(node)
        self.parts[self.parts.index(part)] = replace(part, problem="")
        self._add(node, Part(0, names=names, within=part.key))
        if any(one.key == len(self.parts) - 1 for one in self._any("LVM2_member")):
            self._activate_lvm()

    def release(self) -> None:
        """Deactivate LVM and stop RAID arrays, so that their metadata is written out."""
        lvm, mdadm = find_program("lvm"), find_program("mdadm")
        if lvm and self._any("LVM2_member"):
            self._lvm(lvm, "vgchange", "-an")
        if mdadm and self._any("linux_raid_member"):
            said_by(mdadm, "--stop", "--scan")
        for name in reversed(self._opened):
            said_by(str(find_program("dmsetup")), "remove", "--noudevsync", os.path.basename(name))


def _node(name: str) -> str:
    """Return the device of a disk that is told by its device or its serial number."""
    if name.startswith("/dev/"):
        return name
    for disk in os.listdir("/sys/block"):
        with contextlib.suppress(OSError), open(f"/sys/block/{disk}/serial", encoding="ascii") as stream:
            if stream.read().strip() == name:
                return f"/dev/{disk}"
    raise DiskError(f"the machine does not show the disk {name}")


def said_by(*command: str) -> tuple[int, str, str]:
    """Run a program of the host; return its status and what it said."""
    done = subprocess.run(
        command, capture_output=True, text=True, errors="replace", stdin=subprocess.DEVNULL, check=False
    )
    return done.returncode, done.stdout, done.stderr


def btrfs_subvolumes(top: str) -> Sequence[Subvolume]:
    """Return the subvolumes of a Btrfs filesystem mounted at its top (by the host's btrfs program)."""
    program = find_program("btrfs")
    if program is None:
        return [Subvolume("subvolid:5", default=True)]
    _, rows, _ = said_by(program, "subvolume", "list", "-aq", top)
    _, default, _ = said_by(program, "subvolume", "get-default", top)
    words = default.split()
    number = words[1] if len(words) > 1 else "5"
    found = [Subvolume("subvolid:5", default=number == "5")]
    for row in rows.splitlines():
        parts = row.split(" ", 10)
        if len(parts) == 11 and parts[0] == "ID" and parts[9] == "path":
            _append(found, parts[1], parts[8], parts[10], number)
        elif " path " in row and row.startswith("ID "):
            head, _, path = row.partition(" path ")
            fields = head.split()
            parent = fields[fields.index("parent_uuid") + 1] if "parent_uuid" in fields else "-"
            _append(found, fields[1], parent, path, number)
    return found


def _append(found: list[Subvolume], ident: str, parent: str, path: str, default: str) -> None:
    name = name_of(path.removeprefix("<FS_TREE>/"), ident)
    found.append(Subvolume(name, parent not in ("-", ""), ident == default))
