"""Guests whose initramfs lacks a driver, and their plans."""

from __future__ import annotations

import io
from collections import namedtuple
from pathlib import Path

from guestfix.actions.initramfs.inject import inject
from guestfix.actions.workbench import Workbench
from guestfix.backends.directory import DirectoryGuest
from guestfix.base.facts import Facts
from guestfix.base.guest import Space
from guestfix.base.overlay import Overlay
from guestfix.formats.initramfs import image as initramfs
from guestfix.pack.cache import load_pack
from tests.build.detection import detect_all
from tests.build.initramfs import (
    RELEASE,
    archive,
)

OLD = ("scsi_mod", "sd_mod", "ata_piix")
VIRTIO = ("virtio", "virtio_ring", "virtio_pci", "virtio_blk")
MICROCODE = archive({"kernel/x86/microcode/GenuineIntel.bin": "m" * 99})
Result = namedtuple("Result", "data image findings diff bench")


def plan(root: Path, target: str = "kvm-virtio", path: str = f"/boot/initrd.img-{RELEASE}", space=None) -> Result:
    base = DirectoryGuest(str(root))
    if space is not None:
        base.space = lambda where: Space("1", space, 10 * space)  # type: ignore[method-assign]
    facts = Facts()
    profile = load_pack().targets[target]
    detect_all(base, facts, profile, load_pack().systems)
    bench = Workbench(Overlay(base), facts, profile)
    with bench.fs.acting("initramfs/target-drivers", ["/boot/**", "/var/lib/initramfs-tools/*"]):
        inject(bench)
    data = bench.fs.read(path, 1 << 28)
    diff = "".join(draft.diff for draft in bench.fs.drafts())
    image = initramfs.scan(io.BytesIO(data), lambda name: True)
    return Result(data, image, {one.code: one for one in bench.findings}, diff, bench)


GOES_ON = ("none", "gzip", "xz", "lz4", "lzo", "zstd")
"""Compressions whose streams are continued; others get a second archive behind the first."""
