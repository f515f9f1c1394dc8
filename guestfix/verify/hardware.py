"""A target's hardware as QEMU's devices. What QEMU does not have is stood in for, and said; disks never are."""

from __future__ import annotations

from collections.abc import Sequence

from guestfix.base.errors import GuestfixError
from guestfix.base.record import frozen
from guestfix.pack.model import Target

DISKS: dict[str, tuple[str, str]] = {
    "nvme": ("", "nvme,drive={node},serial=guestfix{index}"),
    "virtio-blk": ("", "virtio-blk-pci,drive={node}"),
    "virtio-scsi": ("virtio-scsi-pci,id=bus", "scsi-hd,bus=bus.0,drive={node}"),
    "pvscsi": ("pvscsi,id=bus", "scsi-hd,bus=bus.0,drive={node}"),
    "lsi-scsi": ("lsi53c895a,id=bus", "scsi-hd,bus=bus.0,drive={node}"),
    "sata": ("ich9-ahci,id=bus", "ide-hd,bus=bus.{index},drive={node}"),
}
"""By a target's ``disk_bus``: the controller, and each disk on it."""

MAX_DISKS = {"sata": 6, "lsi-scsi": 7}
NICS = {"virtio-net": "virtio-net-pci", "vmxnet3": "vmxnet3", "e1000": "e1000", "e1000e": "e1000e"}
STAND_INS = {"ena": "e1000e", "gve": "e1000e"}
"""NICs that QEMU does not have, and what is put in their place: an address then says nothing of their drivers."""


@frozen
class Devices:
    """The devices of a machine: its disks' controller and models, and its NIC."""

    controller: str
    disk: str
    nic: str
    stand_ins: tuple[str, ...] = ()


def devices_of(target: Target, disks: int) -> Devices:
    """Return a target's disks and NIC as QEMU's. GuestfixError where QEMU has nothing like its disks."""
    if target.disk_bus not in DISKS:
        what = f"QEMU has no disks like those of {target.id} ({target.disk_bus}), so this guest can't be started on it"
        raise GuestfixError(what, remedy="start it on that platform itself; or name another target")
    if disks > MAX_DISKS.get(target.disk_bus, 16):
        raise GuestfixError(f"{disks} disks are more than a controller of {target.id} has places for here")
    controller, disk = DISKS[target.disk_bus]
    if target.nic in NICS:
        return Devices(controller, disk, NICS[target.nic])
    if target.nic in STAND_INS:
        other = STAND_INS[target.nic]
        told = f"the NIC is an {other}, for QEMU has no {target.nic}: an address says nothing of that driver"
        return Devices(controller, disk, other, (told,))
    raise GuestfixError(f"QEMU has no NIC like that of {target.id} ({target.nic})", remedy="name another target")


def device_words(devices: Devices, nodes: Sequence[str]) -> list[str]:
    """Return the arguments for the disks, in order; firmware starts from the first alone."""
    words = ["-device", devices.controller] if devices.controller else []
    for index, node in enumerate(nodes):
        model = devices.disk.format(node=node, index=index)
        words += ["-device", f"{model},bootindex=1" if index == 0 else model]
    return words


def firmware_of(target: Target, guest: str) -> str:
    """Return by which firmware to start: the guest's own where the target has it, else the target's first."""
    return guest if guest in target.firmware else next(iter(target.firmware), "bios")
