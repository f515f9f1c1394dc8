"""Entries without an initramfs: what the kernel has built in, and the name of the root, decide."""

from __future__ import annotations

from pathlib import Path

import pytest

from guestfix.backends import open_guest
from guestfix.pack.cache import load_pack
from guestfix.plan.model import Plan
from guestfix.plan.planner import make_plan
from tests.build.tree import build

NEW, OLD = "6.1.0-18-amd64", "5.10.0-9-amd64"
UUID = "5cb2a1d6-6bde-4d51-8c39-3a1f1fb2a5a1"
DISKS = (
    "disks:\n  - device: /dev/sda\n    table: gpt\n    partitions:\n"
    f"      - {{device: /dev/sda1, fstype: ext4, uuid: {UUID}, partuuid: 0a1b2c3d-01}}\n"
)
ALL = ("nvme", "ext4")
MODULES = ("nvme_core", "nvme", "ext4")


def kernel(release: str, *builtin: str) -> dict[str, object]:
    folder = f"lib/modules/{release}"
    modules = [one for one in MODULES if one not in builtin]
    return {
        f"boot/vmlinuz-{release}": "kernel",
        f"{folder}/modules.builtin": "".join(f"kernel/drivers/{one}.ko\n" for one in builtin),
        f"{folder}/modules.dep": "".join(f"kernel/drivers/{one}.ko:\n" for one in modules),
        **{f"{folder}/kernel/drivers/{one}.ko": "module" for one in modules},
    }


def entries(root: str, *releases: str) -> str:
    each = [f"menuentry '{one}' --id {one} {{\n linux /boot/vmlinuz-{one} {root} ro\n}}\n" for one in releases]
    return "set timeout=5\nset default=0\n" + "".join(each)


def plan_of(tmp_path: Path, root: str, *kernels: dict[str, object], releases: tuple[str, ...] = (NEW,)) -> Plan:
    files: dict[str, object] = {
        "etc/os-release": 'ID=debian\nVERSION_ID="12"\n',
        "etc/fstab": f"UUID={UUID} / ext4 defaults 0 1\n",
        "boot/grub/grub.cfg": entries(root, *releases),
        **{path: data for one in kernels for path, data in one.items()},
    }
    disks = tmp_path / "disks.yaml"
    disks.write_text(DISKS)
    return make_plan(open_guest(str(build(tmp_path / "g", files)), disks=str(disks)), load_pack(), "aws-nitro")


def initramfs(plan: Plan) -> tuple[str, str]:
    return tuple(walk.steps[4].outcome for walk in (plan.walk.before, plan.walk.after))  # type: ignore[return-value]


STATES = {
    "all built in": ("root=PARTUUID=0a1b2c3d-01", ALL, "passes", "passes"),
    "the driver is a module": ("root=PARTUUID=0a1b2c3d-01", ("ext4",), "stops", "stops"),
    "the filesystem is a module": ("root=PARTUUID=0a1b2c3d-01", ("nvme",), "stops", "stops"),
    "a UUID, which the kernel can't look up": (f"root=UUID={UUID}", ALL, "stops", "passes"),
    "a name of the old disk": ("root=/dev/sda1", ALL, "passes", "passes"),
    "a label": ("root=LABEL=x", ALL, "stops", "stops"),
}


@pytest.mark.parametrize("name", STATES)
def test_what_is_built_in_decides(tmp_path: Path, name: str) -> None:
    root, builtin, before, after = STATES[name]
    plan = plan_of(tmp_path, root, kernel(NEW, *builtin))
    assert initramfs(plan) == (before, after)
    assert any(one.step == "initramfs" and one.severity == "blocker" for one in plan.findings) == (after == "stops")


def test_nothing_is_told_where_nothing_shows_what_is_built_in(tmp_path: Path) -> None:
    plan = plan_of(tmp_path, "root=PARTUUID=0a1b2c3d-01", {f"boot/vmlinuz-{NEW}": "kernel"})
    assert initramfs(plan) == ("unknown", "unknown") and not plan.blockers


def test_another_kernel_that_has_all_built_in_becomes_the_default(tmp_path: Path) -> None:
    both = kernel(NEW, "ext4"), kernel(OLD, *ALL)
    plan = plan_of(tmp_path, "root=PARTUUID=0a1b2c3d-01", *both, releases=(NEW, OLD))
    assert initramfs(plan) == ("stops", "passes") and not plan.blockers
    assert any(OLD in one and "has not built in" in one for one in plan.follow_ups)
