"""What a layout is made of: a guest's volumes, the root among them, and what is mounted where."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Protocol

from guestfix.backends.layout.fstab import fstab_entries
from guestfix.backends.volumes.names import Names, disk_names, family_of, spec_names
from guestfix.backends.volumes.probe import Probe
from guestfix.base.guest import Disks, Stat
from guestfix.base.record import field, frozen

MAX_VOLUMES = 256


class View(Protocol):
    """The files of one filesystem by itself, as far as the search for a root needs them."""

    def stat(self, path: str, *, follow: bool = True) -> Stat | None:
        """See GuestFS."""

    def read(self, path: str, limit: int = ...) -> bytes:
        """See GuestFS."""

    def list(self, path: str) -> tuple[str, ...]:
        """See GuestFS."""


@frozen
class Part:
    """A block device of the guest. ``disk`` and ``number`` are set for partitions (and 0 for a whole disk).

    ``names`` are the names of volumes above partitions; ``key`` is the backend's own handle. ``snapshot``: a
    logical volume that was made from another one, and so has that one's UUID and label. ``lost``: a disk that it lies
    on is not there. ``attributes`` are those of a GPT entry. ``within`` is the key of the encrypted volume whose
    content this is.
    """

    key: int
    probe: Probe | None = None
    disk: int = -1
    number: int = 0
    names: tuple[str, ...] = ()
    size: int = 0
    partuuid: str | None = None
    partlabel: str | None = None
    type: str = ""
    problem: str = ""
    snapshot: bool = False
    lost: bool = False
    start: int | None = None
    attributes: int = 0
    within: int = -1


@frozen
class DiskInfo:
    """A whole disk as found: bytes, its partition table's kind and id, and what a BIOS would start (bootcode)."""

    size: int
    table: str
    id: str = ""
    boot: str = ""


@frozen
class Subvolume:
    """A Btrfs subvolume: its path from the top, and whether it was made as a snapshot."""

    path: str
    snapshot: bool = False
    default: bool = False


@frozen
class Root:
    """A place that holds an operating system: a volume, for Btrfs with a subvolume."""

    part: Part
    subvolume: str
    system: str
    rescue: bool
    fstab: bytes = b""


@frozen
class Mount:
    """What is mounted where; ``subvolume`` is a path or ``subvolid:N``, empty for the default one.

    ``by`` is how it comes to be mounted (see Placed), empty for fstab. ``added``: the guest has no folder at this path.
    Windows keeps its system partition without a place in
    its tree; guestfix shows it at one.
    """

    path: str
    part: Part
    subvolume: str = ""
    added: bool = False
    by: str = ""


@frozen
class Layout:
    """The outcome: the root and all mounts (``/`` first), the disks under the guest's own names."""

    root: Root
    mounts: tuple[Mount, ...]
    disks: Disks
    names: Names = field(default_factory=Names)
    missing: tuple[str, ...] = ()

    def disorder(self) -> str:
        """Return a sentence where fstab has the root on another volume than the one that holds the system."""
        here = self.root.part.key
        for entry in fstab_entries(self.root.fstab):
            key = self.names.find(entry.spec) if entry.mount == "/" and family_of(entry.spec.encode()) else here
            if key not in (None, here):
                return f"the guest's fstab has / on {entry.spec}, but its system is on {self.names.primary(here)}"
        return ""

    def replayed(self) -> tuple[str, ...]:
        """Return where mounting replays a journal; on NTFS the driver only looks whether it may write."""
        unclean = (one for one in self.mounts if one.part.probe is not None and one.part.probe.unclean)
        return tuple(one.path for one in unclean if one.part.probe and one.part.probe.type != "ntfs")


ViewOf = Callable[[Part, str], View | None]
SubvolumesOf = Callable[[Part], Sequence[Subvolume]]


def device_title(part: Part) -> str:
    """Return a volume's name for messages, before the guest's own names are known."""
    return part.names[0] if part.names else disk_names(part.disk, part.number, "sd")[0]


def named(parts: Sequence[Part], family: str) -> Names:
    """Return all names of the volumes, those of disks in a family (``sd``, ``nvme``), ``sd`` where none is known."""
    names = Names()
    for part in parts:
        if part.disk >= 0:
            names.add(part.key, disk_names(part.disk, part.number, family or "sd"))
        else:
            names.add(part.key, part.names)
    for part in sorted(parts, key=lambda part: part.snapshot):  # a snapshot does not answer for its origin
        names.add_specs(part.key, spec_names(part.probe, part.partuuid, part.partlabel))
    return names
