"""Records of disks, and of what is mounted."""

from __future__ import annotations

from guestfix.base.record import frozen


@frozen
class Mount:
    """An entry of fstab(5); texts can be printed, ``line`` is 1-based. In JSON ``pass_`` is ``pass``."""

    spec: str
    mount: str
    type: str
    options: str
    dump: int
    pass_: int
    line: int


@frozen
class Laid:
    """A disk, or one of its partitions, or (without a disk) a volume above them; sizes are in bytes, None unknown."""

    disk: str
    disk_size: int | None
    table: str | None
    device: str
    fstype: str | None
    label: str | None
    size: int | None
