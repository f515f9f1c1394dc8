"""A GRUB that checks signatures does not start what a plan changed."""

from __future__ import annotations

from tests.build.boots import UUID, plan_of
from tests.build.tree import build

KERNEL = "vmlinuz-6.1.0-18-amd64"


def outcome(tmp_path, head: str, root: str) -> tuple[str, str, list[str]]:
    menu = f"{head}set timeout=5\nmenuentry 'A' {{\n\tlinux /boot/{KERNEL} root={root} console=ttyS0 ro\n}}\n"
    files = {
        "etc/os-release": 'ID=debian\nVERSION_ID="12"\n',
        "etc/fstab": f"UUID={UUID} / ext4 defaults 0 1\n",
        f"boot/{KERNEL}": "kernel",
        "boot/grub/grub.cfg": menu,
    }
    plan = plan_of(build(tmp_path / "g", files), "kvm-virtio")
    both = (plan.walk.before, plan.walk.after)
    before, after = (next(one.outcome for one in walk.steps if one.id == "loader") for walk in both)
    return before, after, [one.code for one in plan.blockers]


def test_a_signed_menu_that_the_plan_changes_stops_at_the_loader(tmp_path):
    before, after, codes = outcome(tmp_path, "set check_signatures=enforce\n", "/dev/sda2")
    assert (before, after) == ("passes", "stops") and "GF-BOOT-SIGNED" in codes


def test_a_menu_that_checks_none_is_changed(tmp_path):
    before, after, codes = outcome(tmp_path, "set check_signatures=no\n", "/dev/sda2")
    assert (before, after) == ("passes", "passes") and "GF-BOOT-SIGNED" not in codes
