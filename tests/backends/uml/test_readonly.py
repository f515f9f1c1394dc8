"""A root that is a read-only Btrfs subvolume (transactional updates) is changed, and is read-only again afterwards."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from guestfix.backends import open_guest
from tests.build.images import have, run
from tests.build.uml import COPY, blank, build
from tests.build.uml_guests import NEEDS_UML, guestfix, make_tree

pytestmark = [*NEEDS_UML, pytest.mark.skipif(not have("mkfs.btrfs"), reason="no tool here makes Btrfs")]
MOUNT = "mount -o subvolid=5 /dev/ubda1 /run/mnt"


def marked(image: Path) -> str:
    return build([image], [MOUNT, "btrfs property get -ts /run/mnt/@ ro", "umount /run/mnt"])


def test_a_read_only_root_is_changed_and_put_back_and_keeps_its_mark(tmp_path: Path) -> None:
    tree = make_tree(tmp_path / "tree", "/dev/sda1 / btrfs ro,subvol=@ 0 0\n/dev/sdc9 /gone ext4 defaults 0 2\n")
    image = blank(tmp_path / "root.raw", 402)
    run("sfdisk", "-q", image, stdin="label: gpt\nstart=2048, type=linux\n")
    steps = ["mkfs.btrfs -q /dev/ubda1", "mount /dev/ubda1 /run/mnt", "btrfs subvolume create /run/mnt/@"]
    steps += ["umount /run/mnt", "mount -o subvol=@ /dev/ubda1 /run/mnt", COPY, "umount /run/mnt", MOUNT]
    build([image], [*steps, "btrfs property set -ts /run/mnt/@ ro true", "umount /run/mnt"], tree)
    before = (tree / "etc/fstab").read_bytes()
    out = tmp_path / "out.raw"
    done = json.loads(guestfix("apply", f"uml:{image}", "--output", out, "--format", "json"))
    assert "/etc/fstab" in done["applied"] and all(one["clean"] for one in done["image"]["checks"])
    assert "ro=true" in marked(out)
    guestfix("revert", f"uml:{out}", "--in-place")
    guest = open_guest([f"uml:{out}"])
    try:
        assert guest.read("/etc/fstab") == before
    finally:
        guest.close()
    assert "ro=true" in marked(out)
