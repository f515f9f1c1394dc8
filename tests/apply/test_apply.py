"""Apply does exactly the plan and keeps every original; revert restores everything."""

import errno
import json
import os

import pytest

from guestfix.apply.apply import apply_plan
from guestfix.apply.undo import revert
from guestfix.backends.directory import DirectoryGuest
from guestfix.base.edit import Link
from guestfix.base.errors import ApplyError, Blocked, PlanError
from guestfix.base.facts import Finding
from guestfix.base.guest import Space
from guestfix.base.overlay import Overlay
from guestfix.base.record import replace
from guestfix.plan.changes import changes_of
from guestfix.plan.model import Plan, dump_plan
from guestfix.plan.reader import load_plan
from tests.build.plans import every_kind, make_guest, plan_for, tree


@pytest.fixture
def root(tmp_path):
    make_guest(tmp_path / "guest")
    return tmp_path / "guest"


def test_every_kind_of_change_is_applied_and_reverted(root):
    before = tree(root)
    plan = plan_for(DirectoryGuest(str(root)), every_kind)
    assert [(one.kind, one.path) for one in plan.changes] == [
        ("edit", "/boot/initrd.img"),
        ("edit", "/etc/fstab"),
        ("edit", "/etc/hosts"),
        ("create", "/etc/systemd/network/10-guestfix.network"),
        ("link", "/etc/systemd/system/multi-user.target.wants/ssh.service"),
        ("delete", "/etc/udev/rules.d/70-persistent-net.rules"),
    ]
    assert tree(root) == before
    receipt = apply_plan(DirectoryGuest(str(root)), plan)
    assert (root / "etc/fstab").read_text() == "UUID=1 / ext4 defaults 0 1\n"
    assert (root / "boot/initrd.img").read_bytes() == bytes(range(256)) * 8192 + b"\0" * 100 + b"070701"
    assert not (root / "etc/udev/rules.d/70-persistent-net.rules").exists()
    assert (
        os.readlink(root / "etc/systemd/system/multi-user.target.wants/ssh.service")
        == "/lib/systemd/system/ssh.service"
    )
    assert receipt.backups["/etc/fstab"] == "/etc/.fstab.guestfix.orig"
    assert (root / "etc/.fstab.guestfix.orig").read_text() == "/dev/sda1 / ext4 defaults 0 1\n"
    assert (root / "etc/udev/rules.d/.70-persistent-net.rules.guestfix.orig").read_text() == "# old NIC\n"
    assert receipt.journal == "/var/lib/guestfix/0001/journal.json"
    assert not list(root.rglob("*.guestfix.new"))
    done = revert(DirectoryGuest(str(root)))
    assert set(done.restored) == {one.path for one in plan.changes}
    assert tree(root) == before


def test_metadata_of_the_original_is_kept(root):
    fstab = root / "etc/fstab"
    os.setxattr(fstab, "user.guestfix", b"label")
    os.utime(fstab, ns=(1_500_000_000_123_456_789, 1_400_000_000_987_654_321))
    if os.geteuid() == 0:
        os.chown(fstab, 12, 34)
        os.setxattr(fstab, "security.selinux", b"system_u:object_r:etc_t:s0\0")
    old = os.stat(fstab)
    xattrs = {name: os.getxattr(fstab, name) for name in os.listxattr(fstab)}
    apply_plan(DirectoryGuest(str(root)), plan_for(DirectoryGuest(str(root)), every_kind))
    for path in (fstab, root / "etc/.fstab.guestfix.orig"):
        new = os.stat(path)
        assert (new.st_mode, new.st_uid, new.st_gid) == (old.st_mode, old.st_uid, old.st_gid)
        assert (new.st_mtime_ns, new.st_atime_ns) == (old.st_mtime_ns, old.st_atime_ns)
        assert {name: os.getxattr(path, name) for name in os.listxattr(path)} == xattrs


def test_reading_and_planning_leave_access_times(root):
    os.utime(root / "etc/fstab", ns=(1_000_000_000, 2_000_000_000))
    plan_for(DirectoryGuest(str(root)), every_kind)
    assert os.stat(root / "etc/fstab").st_atime_ns == 1_000_000_000


def test_a_symlinked_fstab_is_changed_where_the_link_points_inside_the_guest(root):
    (root / "persist").mkdir()
    (root / "etc/fstab").rename(root / "persist/fstab")
    os.symlink("/persist/fstab", root / "etc/fstab")
    before = tree(root)
    plan = plan_for(DirectoryGuest(str(root)), lambda fs: fs.put("/etc/fstab", b"new\n"))
    assert [one.path for one in plan.changes] == ["/persist/fstab"]
    apply_plan(DirectoryGuest(str(root)), plan)
    assert os.readlink(root / "etc/fstab") == "/persist/fstab"
    assert (root / "persist/fstab").read_text() == "new\n"
    revert(DirectoryGuest(str(root)))
    assert tree(root) == before


def test_a_link_can_be_replaced_by_a_link_and_comes_back(root):
    before = tree(root)
    plan = plan_for(DirectoryGuest(str(root)), lambda fs: fs.put("/etc/resolv.conf", Link("/run/other")))
    apply_plan(DirectoryGuest(str(root)), plan)
    assert os.readlink(root / "etc/resolv.conf") == "/run/other"
    assert os.readlink(root / "etc/.resolv.conf.guestfix.orig") == "../run/resolv.conf"
    revert(DirectoryGuest(str(root)))
    assert tree(root) == before


def test_a_second_apply_of_the_same_plan_does_nothing(root):
    plan = plan_for(DirectoryGuest(str(root)), every_kind)
    apply_plan(DirectoryGuest(str(root)), plan)
    after = tree(root)
    receipt = apply_plan(DirectoryGuest(str(root)), plan)
    assert (receipt.applied, receipt.journal) == ((), None)
    assert tree(root) == after


def test_two_applies_stack_and_one_revert_undoes_both(root):
    before = tree(root)
    first = plan_for(DirectoryGuest(str(root)), lambda fs: fs.put("/etc/fstab", b"one\n"))
    apply_plan(DirectoryGuest(str(root)), first)
    second = plan_for(DirectoryGuest(str(root)), lambda fs: fs.put("/etc/fstab", b"two\n"))
    receipt = apply_plan(DirectoryGuest(str(root)), second)
    assert receipt.backups == {"/etc/fstab": "/etc/.fstab.guestfix.2.orig"}
    assert (root / "etc/.fstab.guestfix.orig").read_text().startswith("/dev/sda1")
    assert len(revert(DirectoryGuest(str(root))).journals) == 2
    assert tree(root) == before


def test_a_plan_survives_its_file(root):
    guest = DirectoryGuest(str(root))
    plan = plan_for(guest, every_kind)
    text = dump_plan(plan)
    again = load_plan(text)
    assert again == plan
    assert dump_plan(again) == text
    apply_plan(guest, again)
    assert (root / "etc/hosts").read_text() == "127.0.0.1 localhost guest\n"


def test_a_plan_for_another_guest_is_refused(root, tmp_path):
    plan = plan_for(DirectoryGuest(str(root)), every_kind)
    other = make_guest(tmp_path / "other")
    (tmp_path / "other/etc/machine-id").write_text("f" * 32 + "\n")
    with pytest.raises(PlanError, match="another guest"):
        apply_plan(other, plan)


def test_a_plan_whose_guest_changed_is_refused_and_names_the_file(root):
    plan = plan_for(DirectoryGuest(str(root)), every_kind)
    (root / "etc/hosts").write_text("changed\n")
    before = tree(root)
    with pytest.raises(PlanError, match="changed since") as caught:
        apply_plan(DirectoryGuest(str(root)), plan)
    assert caught.value.where == "/etc/hosts"
    assert tree(root) == before


def test_a_blocker_forbids_apply(root):
    blocked = replace(
        plan_for(DirectoryGuest(str(root)), every_kind),
        findings=(Finding("GF-FSTAB-UNREADABLE", "blocker", "no way", remedy="fix it"),),
    )
    with pytest.raises(Blocked, match="GF-FSTAB-UNREADABLE: no way"):
        apply_plan(DirectoryGuest(str(root)), blocked)


@pytest.mark.parametrize("space", [Space("d", 1000, 10**9), Space("d", 10**9, 10**9, 3)], ids=["bytes", "inodes"])
def test_too_little_room_is_refused_with_numbers(root, space):
    class Full(DirectoryGuest):
        def space(self, path):
            return space

    with pytest.raises(Blocked, match=r"not enough .*: \d+ .*wanted, \d+ free"):
        apply_plan(Full(str(root)), plan_for(DirectoryGuest(str(root)), every_kind))


def test_a_name_too_long_for_a_backup_is_refused(root):
    name = "n" * 250
    (root / "etc" / name).write_text("x")
    plan = plan_for(DirectoryGuest(str(root)), lambda fs: fs.put(f"/etc/{name}", b"y"))
    with pytest.raises(Blocked, match="too long"):
        apply_plan(DirectoryGuest(str(root)), plan)


def failing(at, number):
    """Return a guest whose ``number``-th write fails with ENOSPC, once."""

    class Failing(DirectoryGuest):
        writes = 0

        def _count(self):
            type(self).writes += 1
            if self.writes == number:
                raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), "disk")

    for name in ("put", "put_symlink", "mkdir", "rename", "keep", "drop"):

        def method(self, *args, _name=name):
            self._count()
            return getattr(DirectoryGuest, _name)(self, *args)

        setattr(Failing, name, method)
    return Failing(at)


def test_any_failing_write_restores_everything(root):
    before = tree(root)
    plan = plan_for(DirectoryGuest(str(root)), every_kind)
    number = 0
    while True:
        number += 1
        guest = failing(str(root), number)
        try:
            apply_plan(guest, plan)
        except ApplyError as error:
            assert error.restored
            assert "No space left" in str(error)
            assert tree(root) == before, f"write {number}"
            continue
        break
    assert number > 20


def test_files_changed_after_apply_are_not_overwritten_by_revert(root):
    apply_plan(DirectoryGuest(str(root)), plan_for(DirectoryGuest(str(root)), every_kind))
    (root / "etc/fstab").write_text("by hand\n")
    after = tree(root)
    with pytest.raises(Blocked, match="/etc/fstab"):
        revert(DirectoryGuest(str(root)))
    assert tree(root) == after
    done = revert(DirectoryGuest(str(root)), force=True)
    assert (root / "etc/fstab").read_text().startswith("/dev/sda1")
    assert (root / done.kept_aside["/etc/fstab"].lstrip("/")).read_text() == "by hand\n"


def test_revert_without_a_journal_does_nothing(root):
    before = tree(root)
    assert revert(DirectoryGuest(str(root))).journals == ()
    assert tree(root) == before


def test_a_lost_original_stops_revert_before_anything_is_lost(root):
    apply_plan(
        DirectoryGuest(str(root)), plan_for(DirectoryGuest(str(root)), lambda fs: fs.put("/etc/fstab", b"new\n"))
    )
    (root / "etc/.fstab.guestfix.orig").unlink()
    with pytest.raises(Exception, match="missing or was changed"):
        revert(DirectoryGuest(str(root)))
    assert (root / "etc/fstab").read_text() == "new\n"


@pytest.mark.parametrize(
    "text",
    ["", "{}", "[]", '{"schema": 99}', '{"schema": 1, "plan_digest": "x", "entries": [{"path": "../etc/x"}]}', "\0"],
)
def test_a_forged_journal_is_refused(root, text):
    home = root / "var/lib/guestfix/0001"
    home.mkdir(parents=True)
    (home / "journal.json").write_text(text)
    before = tree(root)
    with pytest.raises(PlanError):
        revert(DirectoryGuest(str(root)))
    assert tree(root) == before


@pytest.mark.parametrize(
    "text", [b"", b"{}", b"[]", b"null", b'{"schema": 7}', b"\xff\xfe", b'{"schema": 1, "guest": 3}']
)
def test_what_is_no_plan_is_refused(text):
    with pytest.raises(PlanError):
        load_plan(text, "plan.json")


def test_a_plan_cannot_name_a_path_outside(root):
    guest = DirectoryGuest(str(root))
    document = json.loads(dump_plan(plan_for(guest, every_kind)))
    document["changes"][0]["path"] = document["contents"][0]["path"] = "/etc/../../outside"
    with pytest.raises(PlanError, match="not an absolute guest path"):
        load_plan(json.dumps(document).encode())


def test_plans_are_deterministic(root):
    first: Plan = plan_for(DirectoryGuest(str(root)), every_kind)
    assert dump_plan(first) == dump_plan(plan_for(DirectoryGuest(str(root)), every_kind))


@pytest.mark.skipif(os.geteuid() != 0, reason="setting SELinux labels needs root")
def test_new_files_get_the_label_that_the_guest_policy_says(root):
    contexts = root / "etc/selinux/targeted/contexts/files/file_contexts"
    contexts.parent.mkdir(parents=True)
    contexts.write_text(
        "/etc(/.*)?\tsystem_u:object_r:etc_t:s0\n/etc/systemd/network(/.*)?\tsystem_u:object_r:net_t:s0\n"
    )
    (root / "etc/selinux/config").write_text("SELINUX=enforcing\nSELINUXTYPE=targeted\n")
    plain = plan_for(DirectoryGuest(str(root)), every_kind)
    assert all("selinux" not in str(one.meta) for one in plain.changes), "a tree without labels gets none"
    os.setxattr(root / "etc", "security.selinux", b"system_u:object_r:etc_t:s0\0")
    plan = load_plan(dump_plan(plan_for(DirectoryGuest(str(root)), every_kind)))
    apply_plan(DirectoryGuest(str(root)), plan)
    new = root / "etc/systemd/network/10-guestfix.network"
    assert os.getxattr(new, "security.selinux") == b"system_u:object_r:net_t:s0\0"
    assert os.getxattr(new.parent, "security.selinux") == b"system_u:object_r:net_t:s0\0"
    link = root / "etc/systemd/system/multi-user.target.wants/ssh.service"
    assert os.getxattr(link, "security.selinux", follow_symlinks=False) == b"system_u:object_r:etc_t:s0\0"


def test_a_big_file_that_is_moved_aside_is_not_held_in_memory(root, monkeypatch):
    (root / "etc/big").write_bytes(b"x" * (3 << 20))

    def read(self, path, limit=0):
        raise AssertionError(f"{path} was read whole")

    monkeypatch.setattr(DirectoryGuest, "read", read)
    overlay = Overlay(DirectoryGuest(str(root)))
    overlay.put("/etc/big", None)
    (change,) = changes_of(overlay)
    assert (change.kind, change.diff) == ("delete", f"binary file of {3 << 20} bytes, moved aside\n")
