"""Hosts with /usr on a partition of its own and no fstab: found, mounted, reported, changed and put back."""

from __future__ import annotations

import hashlib
from pathlib import Path

import pytest

import guestfix
from guestfix.backends.image import open_image
from guestfix.backends.layout.untabled import var_uuid
from guestfix.base.errors import GuestfixError
from tests.build.hosts import MACHINE, USR_A, container_host, typed_host
from tests.build.images import MIB, PartSpec, disk, filesystem, have

pytestmark = pytest.mark.skipif(not have("sfdisk", "mke2fs", "mkfs.vfat", "mcopy"), reason="no tools to make disks")


def mounts(image: Path) -> dict[str, str]:
    guest = open_image([str(image)])
    try:
        return {one.path: guest.layout.names.primary(one.part.key) for one in guest.layout.mounts}
    finally:
        guest.close()


def steps(image: Path) -> tuple[dict[str, str], guestfix.Plan]:
    with guestfix.session(str(image)) as session:
        plan = session.report("kvm-virtio")
    return {step.id: step.outcome for step in plan.walk.after.steps}, plan


def fact(plan: guestfix.Plan, name: str) -> object:
    return next(one.value for one in plan.facts if one.name == name)


def test_a_container_host_is_mounted_by_labels_and_by_the_priority_of_its_usr(tmp_path):
    found = mounts(container_host(tmp_path))
    assert found == {
        "/": "/dev/sda5", "/boot": "/dev/sda1", "/oem": "/dev/sda4", "/usr": "/dev/sda2",
    }  # fmt: skip


def test_the_other_usr_is_taken_where_it_has_the_turn_and_the_loader_starts_its_kernel(tmp_path):
    image = container_host(tmp_path, active="b")
    assert mounts(image)["/usr"] == "/dev/sda3"
    _, plan = steps(image)
    assert fact(plan, "kernel.default") == "6.6.54-flatcar"
    assert fact(plan, "os.version") == "4081.2.0"


def test_the_walk_of_a_container_host(tmp_path):
    found, plan = steps(container_host(tmp_path))
    assert found | {"network": "", "access": ""} == {
        "firmware": "passes", "loader": "passes", "entry": "passes", "kernel": "passes", "initramfs": "passes",
        "root": "passes", "mounts": "passes", "network": "", "access": "",
    }  # fmt: skip
    assert not plan.blockers
    assert "/boot/flatcar/grub/grub.cfg" in [change.path for change in plan.changes]


def test_what_is_in_an_initramfs_inside_the_kernel_can_not_be_told(tmp_path):
    """vmw_pvscsi is no part of this kernel; its initramfs may have it."""
    image = container_host(tmp_path, modules=("vmw_pvscsi",))
    with guestfix.session(str(image)) as session:
        plan = session.report("vmware")
    (step,) = [one for one in plan.walk.after.steps if one.id == "initramfs"]
    assert step.outcome == "unknown" and "in the same file" in step.because


def test_a_host_that_was_never_started_has_a_root_of_mount_points_alone(tmp_path):
    image = container_host(tmp_path, started=False)
    assert mounts(image)["/usr"] == "/dev/sda2"
    _, plan = steps(image)
    assert fact(plan, "os.id") == "flatcar"


def test_a_root_is_found_by_its_type_and_the_newest_usr_by_its_label(tmp_path):
    image = typed_host(tmp_path, var_uuid=var_uuid(MACHINE.encode()))
    assert mounts(image) == {
        "/": "/dev/sda4", "/efi": "/dev/sda1", "/home": "/dev/sda5", "/usr": "/dev/sda2", "/var": "/dev/sda6",
    }  # fmt: skip
    found, _ = steps(image)
    assert (found["root"], found["loader"], found["entry"]) == ("passes", "passes", "passes")


def test_the_var_of_another_installation_is_not_mounted(tmp_path):
    assert "/var" not in mounts(typed_host(tmp_path, var_uuid=USR_A.replace("7130", "7131")))


def test_the_usr_that_the_loader_names_goes_before_a_newer_one(tmp_path):
    image = typed_host(tmp_path, var_uuid=var_uuid(MACHINE.encode()), entry=f"options mount.usr=PARTUUID={USR_A}\n")
    assert mounts(image)["/usr"] == "/dev/sda3"
    found, _ = steps(image)
    assert found["root"] == "passes"


def test_a_usr_that_did_not_come_along_stops_at_the_root(tmp_path):
    gone = "99999999-1111-2222-3333-444444444444"
    image = typed_host(tmp_path, var_uuid=var_uuid(MACHINE.encode()), entry=f"options mount.usr=PARTUUID={gone}\n")
    found, plan = steps(image)
    assert found["root"] == "stops"
    assert any(gone in one.summary for one in plan.blockers)


def test_var_uuid_is_the_one_of_the_specification():
    """The bytes of systemd's documented example can't be had offline: the layout of a version 4 UUID must hold."""
    made = var_uuid(MACHINE.encode() + b"\n")
    assert made[14] == "4" and made[19] in "89ab" and var_uuid(b"none") == ""


def test_a_usr_alone_is_no_guest(tmp_path):
    from tests.build.hosts import usr

    place = filesystem("ext4", tmp_path / "a", 8 * MIB, usr(tmp_path / "a.d", "1", "6.1.96-flatcar"))
    with pytest.raises(GuestfixError, match="no operating system"):
        open_image([str(disk(tmp_path / "one.raw", [PartSpec(place)]))])


@pytest.mark.skipif(not have("linux.uml"), reason="User-mode Linux is not installed")
def test_apply_and_revert_write_into_a_container_host(tmp_path):
    image = container_host(tmp_path)
    before = _contents(image)
    with guestfix.session(f"uml:{image}") as session:
        plan = session.report("kvm-virtio")
        assert {one.path for one in plan.changes} == {
            "/boot/flatcar/grub/grub.cfg", "/etc/systemd/network/00-eth0.network",
        }  # fmt: skip
        session.apply(plan)
        changed = tmp_path / "new.raw"
        session.save(output=str(changed))
    assert _contents(changed) != before
    with guestfix.session(f"uml:{changed}") as session:
        session.revert()
        session.save(output=str(tmp_path / "old.raw"))
    assert _contents(tmp_path / "old.raw") == before


def _contents(image: Path) -> dict[str, str]:
    guest = open_image([str(image)])
    try:
        return {
            path: hashlib.sha256(guest.read(path)).hexdigest()
            for path in (
                "/boot/flatcar/grub/grub.cfg", "/etc/systemd/network/00-eth0.network", "/usr/lib/os-release",
                "/oem/grub.cfg",
            )
        }  # fmt: skip
    finally:
        guest.close()
