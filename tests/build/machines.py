"""Trees of the corpus' machines: every file in its place, so that a whole report sees it among its neighbours."""

from __future__ import annotations

from collections import defaultdict
from pathlib import Path

from tests.build.corpus import CORPUS

PLACES = {
    "fstab": "etc/fstab",
    "crypttab": "etc/crypttab",
    "grubdefault": "etc/default/grub",
    "inittab": "etc/inittab",
    "interfaces": "etc/network/interfaces",
    "lvm": "etc/lvm/lvm.conf",
    "mdadm": "etc/mdadm/mdadm.conf",
    "grub1": "boot/grub/menu.lst",
    "grub2": "boot/grub2/grub.cfg",
    "netplan": "etc/netplan/01-corpus.yaml",
}
"""Where a file lies whose name does not say it."""

LEFT_OUT = ("hives", "unattend", "initrd")
MOST_VERSIONS = 4
OS = 'ID=debian\nVERSION_ID="12"\nPRETTY_NAME="Debian GNU/Linux 12 (bookworm)"\n'


def machines() -> dict[str, dict[str, object]]:
    """Return trees by name: of each machine as many as there are versions of one of its files, up to four."""
    found: dict[str, dict[str, list[Path]]] = defaultdict(lambda: defaultdict(list))
    for path in sorted(CORPUS.rglob("*__*")):
        kind, machine, name = path.relative_to(CORPUS).parts
        if kind not in LEFT_OUT and (place := _place(kind, name.partition("__")[2])):
            found[machine][place].append(path)
    trees: dict[str, dict[str, object]] = {}
    for machine, places in found.items():
        for version in range(min(MOST_VERSIONS, max(map(len, places.values())))):
            files = {place: paths[min(version, len(paths) - 1)].read_bytes() for place, paths in places.items()}
            named = any(place.startswith(("etc/os-release", "etc/redhat-release")) for place in files)
            trees[f"{machine}-{version}"] = {**({} if named else {"etc/os-release": OS}), **files}
    return trees


def _place(kind: str, written: str) -> str:
    """Return a file's path; empty for a name that is cut off or that two files of a tree would share."""
    path = written.replace("%", "/")
    if path.endswith("/") or "//" in path or len(path) > 150 or path.startswith("boot/boot/"):
        return ""
    if "/" in path and path.split("/")[0] in ("etc", "boot", "usr", "lib"):
        return path
    return PLACES.get(kind, "") if "efi" not in path else ""
