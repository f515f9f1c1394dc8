"""The disks of a guest that is mounted on this host, as the host sees them (``--disks host``).

The host's names (/dev/loop0p1) are not the guest's. The n-th disk below the mount gets all names that the
n-th disk has on the usual platforms, /dev/sdX first, so an fstab from any of them finds its partitions.
"""

from __future__ import annotations

import json
import os
import subprocess
from typing import Any

from guestfix.backends.disks.naming import disk_names, partition_names
from guestfix.base.errors import GuestfixError
from guestfix.base.guest import Disk, Disks, Volume

COLUMNS = "PATH,TYPE,SIZE,PTTYPE,FSTYPE,UUID,LABEL,PARTUUID,PARTLABEL"
NEWER = "START,PTUUID"
"""Columns that util-linux before 2.38 does not have."""
REMEDY = "describe the disks in a file instead: --disks disks.yaml"

Tree = dict[str, Any]
"""A device of lsblk(8) as its JSON has it, with what is on it as its children."""


def disks_of_mount(root: str) -> Disks:
    """Return the disks that hold the filesystems mounted at root and below it.

    Runs the host's lsblk(8) and blkid(8); no device is opened by guestfix itself. Raises GuestfixError
    where root is no mount point or the host doesn't tell.
    """
    sources = mounted_sources(root)
    if not sources:
        raise GuestfixError(
            "no block device is mounted there, so the host can't tell its disks", where=root, remedy=REMEDY
        )
    trees = [tree for tree in _lsblk() if _holds(tree, sources)]
    disks, volumes = [], []
    for index, tree in enumerate(trees):
        disks.append(_disk(index, tree))
        volumes += _above_partitions(tree)
    return Disks(tuple(disks), tuple(volumes))


def mounted_sources(root: str, mountinfo: str = "/proc/self/mountinfo") -> set[str]:
    """Return the block devices mounted at root and below it (proc_pid_mountinfo(5))."""
    found = set()
    with open(mountinfo, encoding="utf-8", errors="surrogateescape") as stream:
        for line in stream:
            fields, _, tail = line.partition(" - ")
            place = fields.split()[4].encode().decode("unicode_escape")
            source = tail.split()[1]
            if (place == root or place.startswith(root.rstrip("/") + "/")) and source.startswith("/dev/"):
                found.add(os.path.realpath(source))
    return found


def _lsblk() -> list[Tree]:
    command = ["lsblk", "--json", "--bytes", "--output"]
    try:
        done = subprocess.run([*command, f"{COLUMNS},{NEWER}"], check=False, capture_output=True, timeout=60)
        if done.returncode:
            done = subprocess.run([*command, COLUMNS], check=True, capture_output=True, timeout=60)
        trees: list[Tree] = json.loads(done.stdout)["blockdevices"]
    except (OSError, subprocess.SubprocessError, ValueError, KeyError) as error:
        raise GuestfixError(f"lsblk does not tell the host's disks: {error}", remedy=REMEDY) from error
    return trees


def _blkid(device: str) -> dict[str, str]:
    """Return blkid's low-level probe of a device, which works where udev has no database (containers)."""
    try:
        done = subprocess.run(["blkid", "-p", "-o", "export", device], check=False, capture_output=True, timeout=60)
    except (OSError, subprocess.SubprocessError):
        return {}
    pairs = (line.partition("=") for line in done.stdout.decode("utf-8", "replace").splitlines())
    return {key: value for key, _, value in pairs if value}


def _holds(tree: Tree, sources: set[str]) -> bool:
    return tree["path"] in sources or any(_holds(child, sources) for child in tree.get("children", ()))


def _disk(index: int, tree: Tree) -> Disk:
    partitions = [child for child in tree.get("children", ()) if child["type"] == "part"]
    if not partitions:
        names = disk_names(index)
        return Disk(names[0], tree["size"], None, (_volume(tree, names[0], (*names[1:], tree["path"])),))
    found = []
    for number, child in enumerate(partitions, start=1):
        digits = child["path"][len(tree["path"]) :].lstrip("p")
        names = partition_names(index, int(digits) if digits.isdigit() else number)
        found.append(_volume(child, names[0], (*names[1:], child["path"])))
    table = {"gpt": "gpt", "dos": "mbr"}.get(tree.get("pttype") or _blkid(tree["path"]).get("PTTYPE", ""))
    own = str(tree.get("ptuuid") or _blkid(tree["path"]).get("PTUUID", "")).lower().removeprefix("0x")
    return Disk(disk_names(index)[0], tree["size"], table, tuple(found), own or None)


def _above_partitions(tree: Tree) -> list[Volume]:
    found = []
    for child in tree.get("children", ()):
        if child["type"] not in ("part", "disk", "loop"):
            found.append(_volume(child, child["path"], ()))
        found += _above_partitions(child)
    return found


def _volume(data: Tree, device: str, aliases: tuple[str, ...]) -> Volume:
    probed = _blkid(data["path"]) if not data.get("uuid") else {}
    return Volume(
        device,
        aliases,
        data.get("fstype") or probed.get("TYPE"),
        data.get("uuid") or probed.get("UUID"),
        data.get("label") or probed.get("LABEL"),
        data.get("partuuid") or probed.get("PART_ENTRY_UUID"),
        data.get("partlabel") or probed.get("PART_ENTRY_NAME"),
        data.get("size"),
        start=None if data.get("start") is None else data["start"] * 512,
    )
