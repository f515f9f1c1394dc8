"""A plan that was applied leaves nothing to plan, and healthy guests are not warned at length."""

from __future__ import annotations

import shutil
from pathlib import Path
from statistics import median

import pytest

from guestfix.apply.apply import apply_plan
from guestfix.backends import open_guest, open_writable
from guestfix.pack.cache import load_pack
from guestfix.plan.model import Plan
from guestfix.plan.planner import Options, make_plan
from tests.build.corpus import CORPUS
from tests.build.machines import machines
from tests.build.tree import build

GUESTS = Path(__file__).resolve().parents[2] / "testdata/guests"
BUNDLED = sorted(path.parent.name for path in GUESTS.glob("*/root"))
TARGETS = ("aws-nitro", "kvm-virtio")
MOST_WARNINGS = 6
"""The median of a healthy guest's warnings; more is not read."""


def plan_of(root: Path, target: str, disks: Path | None = None, accept: tuple[str, ...] = ()) -> Plan:
    guest = open_guest(str(root), disks=str(disks) if disks else None)
    return make_plan(guest, load_pack(), target, Options(accept=accept))


def twice(root: Path, target: str, disks: Path | None = None) -> list[str]:
    """Return what a plan still changes once one was applied, whatever blocked it."""
    accept = tuple({one.code for one in plan_of(root, target, disks).blockers})
    plan = plan_of(root, target, disks, accept)
    if plan.changes:
        apply_plan(open_writable(str(root)), plan)
    return [one.path for one in plan_of(root, target, disks, accept).changes]


@pytest.mark.parametrize("target", TARGETS)
@pytest.mark.parametrize("name", BUNDLED)
def test_a_bundled_guest_is_planned_once(tmp_path: Path, name: str, target: str) -> None:
    shutil.copytree(GUESTS / name / "root", tmp_path / "root", symlinks=True)
    assert twice(tmp_path / "root", target, GUESTS / name / "disks.yaml") == []


@pytest.mark.skipif(not CORPUS.is_dir(), reason=f"no corpus at {CORPUS}")
def test_the_corpus_is_planned_once(tmp_path: Path) -> None:
    left = {}
    for name, files in machines().items():
        left[name] = twice(build(tmp_path / name, files), "kvm-virtio")
    assert {name: paths for name, paths in left.items() if paths} == {} and len(left) > 20


@pytest.mark.parametrize("target", TARGETS)
def test_warnings_are_few_enough_to_be_read(target: str) -> None:
    counts = []
    for name in BUNDLED:
        plan = plan_of(GUESTS / name / "root", target, GUESTS / name / "disks.yaml")
        told = [one for one in plan.findings if one.severity == "warning" and not one.settled_by]
        assert all(one.remedy and one.evidence for one in told)
        counts.append(len(told))
    assert median(counts) <= MOST_WARNINGS, counts


WORDS = (
    "",
    "quiet",
    "console=ttyS0",
    "console=tty0 console=ttyS0,115200n8",
    "console=hvc0 net.ifnames=0",
    "console=ttyS0,9600 nvme_core.io_timeout=255",
)
KERNEL = "5.15.0-100-generic"


def grub_guest(menu: str, default: str, linux: str) -> dict[str, object]:
    entry = (
        f"menuentry 'x' --id x {{\n linux /vmlinuz-{KERNEL} root=UUID=ab ro {menu}\n initrd /initrd.img-{KERNEL}\n}}\n"
    )
    return {
        "etc/os-release": 'ID=ubuntu\nVERSION_ID="22.04"\n',
        "etc/default/grub": f'GRUB_DEFAULT=0\nGRUB_CMDLINE_LINUX_DEFAULT="{default}"\nGRUB_CMDLINE_LINUX="{linux}"\n',
        "boot/grub/grub.cfg": f"set timeout=5\n{entry}",
        f"boot/vmlinuz-{KERNEL}": "x",
        f"boot/initrd.img-{KERNEL}": "x",
    }


@pytest.mark.parametrize("menu", WORDS)
def test_the_menu_and_its_sources_agree_at_once(tmp_path: Path, menu: str) -> None:
    left = {}
    for at, words in enumerate(WORDS):
        for place in range(2):
            files = grub_guest(menu, *((words, "") if place else ("", words)))
            left[words, place] = twice(build(tmp_path / f"{at}{place}", files), "aws-nitro")
    assert {key: paths for key, paths in left.items() if paths} == {}
