"""Windows guests on NTFS images."""

from __future__ import annotations

from pathlib import Path

from tests.build.images import filesystem
from tests.build.windows import make, pe
from tests.build.windows_corpus import SEVEN
from tests.build.windows_texts import service

TOOLS = ("linux.uml", "mkntfs", "ntfs-3g", "mkfs.vfat", "mcopy", "sfdisk")


def ntfs(place: Path, tree: Path, mib: int = 24) -> Path:
    from tests.build.uml import build

    filesystem("ntfs", place, mib << 20)
    build(
        [place],
        [
            "mkdir -p /run/mnt && ntfs-3g /dev/ubda /run/mnt",
            "tar -xf /run/in/tree.tar --no-same-owner --no-same-permissions -C /run/mnt",
            "umount /run/mnt",
        ],
        tree,
    )
    return place


def windows(tmp_path: Path) -> Path:
    return make(
        tmp_path / "c",
        service("viostor", 3),
        SEVEN.replace('"6.1"', '"6.3"').replace("7601", "9600"),
        {"Windows/System32/drivers/viostor.sys": pe()},
    )


def tree_of(base: Path, files: dict[str, bytes]) -> Path:
    for name, data in files.items():
        (base / name).parent.mkdir(parents=True, exist_ok=True)
        (base / name).write_bytes(data)
    return base
