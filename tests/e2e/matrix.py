"""The cells of docs/matrix.md: guests of which every two values of two axes meet in at least one (pairwise).

A greedy cover over all guests that can be: in each round the one with the most pairs that have not met. Ties fall in
the order of the axes, so that the cells and their names stay as long as the axes do.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import astuple, dataclass, fields
from itertools import combinations, product

AT_LEAST = 40
"""Cells that can be started here; where the pairs need fewer, those with the most new triples are added."""


@dataclass(frozen=True)
class Cell:
    """One guest. ``disk`` is the target's disk bus, or its kind of machine."""

    suite: str
    firmware: str
    loader: str
    root: str
    initramfs: str
    network: str
    init: str
    disk: str

    def __str__(self) -> str:
        return "-".join(astuple(self))


AXES: dict[str, tuple[str, ...]] = {
    "suite": ("bookworm", "trixie", "bullseye", "sid"),
    "firmware": ("bios", "uefi", "secureboot"),
    "loader": ("grub", "sdboot", "extlinux"),
    "root": ("ext4", "md", "lvm", "xfs", "btrfs", "thin", "luks"),
    "initramfs": ("tools", "dracut"),
    "network": ("ifupdown", "netplan", "networkmanager", "networkd", "cloudinit"),
    "init": ("systemd", "sysvinit"),
    "disk": ("nvme", "virtio", "scsi", "sata", "xen", "arm64"),
}
"""In the order of :class:`Cell`."""

NOT_HERE = {
    "xen": "Xen's disks: QEMU has none, so that `guestfix verify` refuses the target",
}
"""Values of which no guest is started, and why."""


def possible(cell: Cell) -> bool:
    """Tell whether such a guest can be at all, as Debian packages it.

    Debian's extlinux starts from a BIOS; systemd-boot is an EFI program, signed by nobody before trixie; all but
    ifupdown need systemd.
    """
    if cell.loader == "extlinux" and (cell.firmware != "bios" or cell.disk == "arm64"):
        return False
    if cell.loader == "sdboot" and cell.firmware != "uefi":
        return False
    if cell.disk == "arm64" and cell.firmware != "uefi":
        return False
    return cell.init == "systemd" or cell.network == "ifupdown"


def left_out(cell: Cell) -> list[str]:
    """Return why a cell is not started here; nothing where it is."""
    return [NOT_HERE[value] for value in astuple(cell) if value in NOT_HERE]


def every() -> list[Cell]:
    """Return all guests that can be."""
    return [cell for cell in (Cell(*values) for values in product(*AXES.values())) if possible(cell)]


def groups(cell: Cell, size: int) -> Iterable[tuple[tuple[str, str], ...]]:
    """Return each ``size`` values of a cell, with their axes."""
    named = [(one.name, value) for one, value in zip(fields(cell), astuple(cell), strict=True)]
    return combinations(named, size)


def cover(cells: Sequence[Cell], size: int = 2, given: Sequence[Cell] = (), most: int = 10_000) -> list[Cell]:
    """Return cells that have each ``size`` values which meet in any of ``cells``, but for those that ``given`` has.

    At most ``most`` of them, the most useful first.
    """
    numbers: dict[object, int] = {}
    masks = {}
    for cell in (*cells, *given):
        masks[cell] = sum(1 << numbers.setdefault(group, len(numbers)) for group in groups(cell, size))
    left = 0
    for cell in cells:
        left |= masks[cell]
    for cell in given:
        left &= ~masks[cell]
    found: list[Cell] = []
    while left and len(found) < most:
        best = max(cells, key=lambda one: (masks[one] & left).bit_count())
        found.append(best)
        left &= ~masks[best]
    return found


LATER = (("luks", "arm64", "xen"), ("arm64", "xen"), ("xen",), ())
"""Values that no cell has until those without any of them are found: so cells stay when a builder learns a value."""


def all_cells() -> list[Cell]:
    """Return the cells: those of plain guests first, then those for each value that came later."""
    whole = every()
    found: list[Cell] = []
    for later in LATER:
        here = [one for one in whole if not set(astuple(one)) & set(later)]
        found += cover(here, given=found)
        found += cover(here, 3, found, max(0, AT_LEAST - len(found)))
    return found


CELLS = all_cells()
