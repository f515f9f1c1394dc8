"""Whole small guests that are planned, repaired and planned again: what a plan says, and what it leaves."""

from __future__ import annotations

import io
from collections.abc import Mapping
from pathlib import Path

from guestfix.apply.apply import apply_plan
from guestfix.backends import open_guest
from guestfix.backends.directory import DirectoryGuest
from guestfix.base.record import frozen
from guestfix.formats.initramfs.image import Image, scan
from guestfix.pack.cache import load_pack
from guestfix.plan.model import Plan
from guestfix.plan.planner import Options, make_plan
from tests.build.tree import build

DISKS = """disks:
  - device: /dev/sda
    table: gpt
    partitions:
      - {device: /dev/sda1, fstype: swap, uuid: aaaa1111-0000-4000-8000-000000000001, partuuid: bbbb1111-01}
      - {device: /dev/sda2, fstype: ext4, uuid: aaaa1111-0000-4000-8000-000000000002, partuuid: bbbb1111-02}
      - {device: /dev/sda3, fstype: crypto_LUKS, uuid: aaaa1111-0000-4000-8000-000000000003, partuuid: bbbb1111-03}
"""
UUID = "aaaa1111-0000-4000-8000-000000000002"
"""Of the root, /dev/sda2."""

SWAP = "aaaa1111-0000-4000-8000-000000000001"
PARTUUID = "bbbb1111-02"


@frozen
class Repaired:
    """A guest's folder after its plan was applied, the plan, and the plan of the repaired guest."""

    root: Path
    plan: Plan
    again: Plan

    def text(self, path: str) -> str:
        """Return a file of the repaired guest."""
        return (self.root / path).read_text(encoding="utf-8", errors="surrogateescape")

    def image(self, path: str) -> Image:
        """Return what an initramfs of the repaired guest holds."""
        return scan(io.BytesIO((self.root / path).read_bytes()), lambda name: True)

    def codes(self) -> set[str]:
        """Return the codes of what the first plan found."""
        return {one.code for one in self.plan.findings}

    def step(self, name: str, after: bool = True) -> str:
        """Return how a step of the boot ends: as planned, or of the guest as it is."""
        steps = (self.plan.walk.after if after else self.plan.walk.before).steps
        return next(one.outcome for one in steps if one.id == name)


def plan_of(root: Path, target: str, disks: str = DISKS) -> Plan:
    """Return the plan of a guest's folder."""
    described = root.with_suffix(".yaml")
    described.write_text(disks)
    return make_plan(open_guest(str(root), disks=str(described)), load_pack(), target, Options())


def repaired(root: Path, files: Mapping[str, object], target: str, disks: str = DISKS) -> Repaired:
    """Build a guest below ``root``, apply its plan, and plan again. Raises PlanError where the plan blocks."""
    build(root, files)
    plan = plan_of(root, target, disks)
    if plan.changes:
        apply_plan(DirectoryGuest(str(root)), plan)
    return Repaired(root, plan, plan_of(root, target, disks))
