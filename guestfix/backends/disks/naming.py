"""The names that one disk, known by its place in the order of disks, has on different platforms."""

from __future__ import annotations


def letters(index: int) -> str:
    """Return the letters of the index-th disk: a, b ... z, aa, ab (kernel: sd_format_disk_name)."""
    name = ""
    index += 1
    while index:
        index, rest = divmod(index - 1, 26)
        name = chr(ord("a") + rest) + name
    return name


def disk_names(index: int) -> tuple[str, ...]:
    """Return the device names of the index-th disk (from 0) on SCSI, virtio, Xen, IDE and NVMe."""
    letter = letters(index)
    return (*(f"/dev/{prefix}{letter}" for prefix in ("sd", "vd", "xvd", "hd")), f"/dev/nvme{index}n1")


def partition_name(disk: str, number: int) -> str:
    """Return the name of a disk's partition: /dev/sda1, /dev/nvme0n1p1."""
    return f"{disk}p{number}" if disk[-1].isdigit() else f"{disk}{number}"


def partition_names(index: int, number: int) -> tuple[str, ...]:
    """Return the names of the number-th partition (from 1) of the index-th disk on every platform."""
    return tuple(partition_name(disk, number) for disk in disk_names(index))


def fold(name: str) -> str:
    """Return a file's name as NTFS compares it: capitals one for one, so that no two names of a folder are alike."""
    if name.isascii():
        return name.upper()
    from guestfix.formats.windows.regf.names import upcase  # costly, and most names are plain

    return upcase(name)
