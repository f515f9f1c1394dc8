"""What a plan settles: a blocker goes where the planned guest no longer has its fault, wherever it came from."""

import pytest

from guestfix.backends.directory import DirectoryGuest
from guestfix.base.facts import Evidence, Finding
from guestfix.pack.cache import load_pack
from guestfix.plan.planner import Options, make_plan
from tests.build.packs import RULE, make_pack
from tests.build.tree import build, elf

OLD, NEW = "2.6.32-71.el6.x86_64", "2.6.32-131.el6.x86_64"

LEGACY = """default={default}
timeout=5
title Red Hat Enterprise Linux ({first})
	root (hd0,0)
	kernel /boot/vmlinuz-{first} ro root=/dev/mapper/vg-root
	initrd /boot/initramfs-{first}.img
title Red Hat Enterprise Linux ({second})
	root (hd0,0)
	kernel /boot/vmlinuz-{second} ro root=/dev/mapper/vg-root
	initrd /boot/initramfs-{second}.img
"""


@pytest.fixture(autouse=True)
def own_cache(tmp_path, monkeypatch):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))


def rhel6(root, first=OLD, second=NEW, **changed):
    files = {
        "etc/redhat-release": "Red Hat Enterprise Linux Server release 6.1 (Santiago)\n",
        "etc/fstab": "/dev/mapper/vg-root / ext4 defaults 1 1\n",
        "bin/bash": elf(),
        "boot/grub/grub.conf": LEGACY.format(default=0, first=first, second=second),
        **{f"boot/vmlinuz-{one}": b"\0" * 600 for one in (first, second)},
        **{f"boot/initramfs-{one}.img": b"not kept" for one in (first, second)},
        **changed,
    }
    return DirectoryGuest(str(build(root, {name: data for name, data in files.items() if data is not None})))


def report(guest, *only, **options):
    return make_plan(guest, load_pack(), "aws-nitro", Options(only, policies={"compat": "strict"}, **options))


def of(plan, code):
    return [one for one in plan.findings if one.code == code]


def test_what_the_table_blocks_is_settled_by_the_default_that_the_plan_sets(tmp_path):
    plan = report(rhel6(tmp_path), "boot/default-entry")
    assert b"default=1\n" in [one.data for one in plan.changes[0].splices] or "+default=1" in plan.changes[0].diff
    (one,) = of(plan, "GF-KERNEL-UNSUPPORTED")
    assert (one.severity, one.settled_by) == ("warning", "boot/default-entry")
    assert one.remedy == "nothing to do: the rule boot/default-entry fixes it in this plan"
    assert not plan.blockers


@pytest.mark.parametrize(
    ("options", "changed"),
    [
        ({"skip": ("boot/default-entry",)}, {}),  # nobody does what it asks
        ({}, {f"boot/vmlinuz-{NEW}": None}),  # it can't be done
        ({}, {"boot/grub/grub.conf": LEGACY.format(default=0, first=OLD, second="2.6.32-71.29.1.el6.x86_64")}),
    ],
)
def test_a_fault_that_the_planned_guest_still_has_blocks(tmp_path, options, changed):
    plan = report(rhel6(tmp_path, **changed), **options)
    (one,) = of(plan, "GF-KERNEL-UNSUPPORTED")
    assert (one.severity, one.settled_by) == ("blocker", "")


def test_an_applied_rule_alone_settles_nothing(tmp_path, monkeypatch):
    """The rule changes another setting than the one that counts: its claim is not believed."""
    monkeypatch.setattr("guestfix.actions.boot.menu._set_legacy", _write_a_comment)
    plan = report(rhel6(tmp_path), "boot/default-entry")
    assert plan.changes
    (one,) = of(plan, "GF-KERNEL-UNSUPPORTED")
    assert (one.severity, one.settled_by) == ("blocker", "")


def _write_a_comment(bench, entry):
    bench.fs.put("/boot/grub/grub.conf", b"# looked at\n" + bench.fs.read("/boot/grub/grub.conf"))
    return True


def test_what_detection_blocks_is_settled_too(tmp_path):
    """A kernel for Xen only blocks (limits); another default takes that away."""
    xen = "2.6.18-398.el5xen"
    files = {"etc/redhat-release": "Red Hat Enterprise Linux Server release 5.11 (Tikanga)\n"}
    plan = report(rhel6(tmp_path, xen, "2.6.18-398.el5", **files), "boot/default-entry")
    assert [(one.severity, one.settled_by) for one in of(plan, "GF-KERNEL-XEN")] == [("warning", "boot/default-entry")]


def test_what_an_action_blocks_is_settled_too(tmp_path):
    """The old default's root= can't be resolved; the entry that boots instead has a name that stays."""
    menu = LEGACY.format(default=0, first=OLD, second=NEW).replace(
        "root=/dev/mapper/vg-root", "root=/dev/cciss/c0d0p2", 1
    )
    guest = rhel6(tmp_path, **{"boot/grub/grub.conf": menu})
    (alone,) = of(report(guest, "boot/stable-device-arguments"), "GF-BOOT-ROOT-UNRESOLVED")
    assert alone.severity == "blocker"
    (both,) = of(report(guest, "boot/*"), "GF-BOOT-ROOT-UNRESOLVED")
    assert (both.severity, both.rule, both.settled_by) == (
        "warning", "boot/stable-device-arguments", "boot/default-entry",
    )  # fmt: skip


def test_a_blocker_that_only_the_planned_guest_has_is_told(tmp_path):
    """The entry that the plan chooses names a root that the target will not have."""
    menu = LEGACY.format(default=0, first=OLD, second=NEW)
    good, bad = "root=/dev/mapper/vg-root", "root=/dev/cciss/c0d0p2"
    menu = menu.replace(good, bad).replace(bad, good, 1)
    guest = rhel6(tmp_path, **{"boot/grub/grub.conf": menu})
    (one,) = of(report(guest, "boot/*"), "GF-BOOT-ROOT-UNRESOLVED")
    assert one.severity == "blocker"


def settled(tmp_path, monkeypatch, again):
    """Plan with a rule that changes fstab and says it settles GF-FSTAB-MOUNT-TWICE, which detection finds at first."""
    answers = iter([[_found()], again])
    monkeypatch.setattr("guestfix.detect.storage.fstab.detect", lambda *_: next(answers))
    rule = RULE.format(id="fstab/shares").replace("do:", "settles: [GF-FSTAB-MOUNT-TWICE]\ndo:")
    pack = load_pack(make_pack(tmp_path / "pack", {"fstab/shares": rule}))
    files = {"etc/os-release": "ID=debian\nVERSION_ID=12\n", "bin/sh": elf(), "etc/fstab": "//a/b /m cifs guest 0 0\n"}
    plan = make_plan(DirectoryGuest(str(build(tmp_path / "g", files))), pack)
    assert [one.outcome for one in plan.decisions] == ["applied"]
    return [(one.severity, one.settled_by) for one in of(plan, "GF-FSTAB-MOUNT-TWICE")]


def _found(severity="blocker", text="a line"):
    return Finding("GF-FSTAB-MOUNT-TWICE", severity, "two of them", (Evidence("/etc/fstab", 1, text),), "take one out")


@pytest.mark.parametrize(
    ("again", "told"),
    [
        ([], [("warning", "fstab/shares")]),
        ([_found()], [("blocker", "")]),
        ([_found("warning")], [("warning", "")]),
        ([_found(text="another line")], [("blocker", ""), ("warning", "fstab/shares")]),
        ([_found("warning", "another line")], [("warning", "fstab/shares")]),
    ],
)
def test_a_second_look_decides(tmp_path, monkeypatch, again, told):
    assert settled(tmp_path, monkeypatch, again) == told
