"""Two that write into one image: the second is refused at once, whichever it is, and one that reads is told."""

from __future__ import annotations

from pathlib import Path

import pytest

import guestfix
from guestfix.backends.status import usable
from tests.build.images import MIB, PartSpec, convert, debian, disk, filesystem, have

pytestmark = [
    pytest.mark.skipif(not usable("uml"), reason="User-mode Linux is not installed"),
    pytest.mark.skipif(not have("mke2fs", "sfdisk", "qemu-img"), reason="e2fsprogs, fdisk or qemu-utils is missing"),
]
ONLY = guestfix.Options(only=("fstab/*",), accept=("*",))


def test_in_every_order(tmp_path: Path) -> None:
    root = debian(tmp_path / "root", "/dev/sda1 / ext4 defaults 0 1\n", extra=False)
    content = filesystem("ext4", tmp_path / "fs", 32 * MIB, root, uuid="11111111-2222-3333-4444-555555555555")
    image = convert(disk(tmp_path / "disk.raw", [PartSpec(content)]), "qcow2")
    for wanted in ("none", "applied"):
        with guestfix.session(image) as first:
            first.can_save(in_place=True)
            for _ in range(2):  # be it for an apply or for a revert
                with (
                    guestfix.session(image) as second,
                    pytest.raises(guestfix.Blocked, match="another guestfix is changing this image") as caught,
                ):
                    second.can_save(in_place=True)
                assert caught.value.code == "GF-APPLY-RUNNING"
            with guestfix.session(image) as reader:
                codes = [one.code for one in reader.report("kvm-virtio", ONLY).findings]
                assert "GF-APPLY-RUNNING" in codes and "GF-DISK-IN-USE" not in codes
                assert reader.status().state == "running" and bool(reader.status().applies) == (wanted == "applied")
            if wanted == "none":
                first.apply(first.report("kvm-virtio", ONLY))
            else:
                first.revert()
            first.save(in_place=True)
    with guestfix.session(image) as last:
        assert last.status().state == "none"
        assert "GF-APPLY-RUNNING" not in [one.code for one in last.report("kvm-virtio", ONLY).findings]
