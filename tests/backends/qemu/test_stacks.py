"""Every filesystem and stack through the QEMU machine: planned as by User-mode Linux, written to, clean."""

from __future__ import annotations

import random
from pathlib import Path

import pytest

from guestfix.backends import open_guest
from guestfix.backends.image import open_image
from guestfix.backends.status import usable
from guestfix.base.guest import Meta
from tests.build.images import convert, have
from tests.build.uml_guests import (
    MAKERS,
    NEEDS_UML,
    assert_same_windows,
    digest,
    fstab_of,
    guest_disks,
    make_tree,
    plan_without_backend,
    windows_disk,
)

pytestmark = [
    *NEEDS_UML,
    pytest.mark.e2e,
    pytest.mark.skipif(not usable("qemu"), reason="the backend qemu can't be used here (guestfix backends says why)"),
]

KINDS = [("xfs", "vhdx"), ("jfs", "qcow2"), ("btrfs", "vmdk"), ("lvm", "qcow2"), ("md", "raw")]


@pytest.mark.parametrize(("kind", "fmt"), KINDS)
def test_planned_alike_written_and_clean(kind: str, fmt: str, tmp_path: Path) -> None:
    tool = MAKERS[kind][0] if kind in MAKERS else {"lvm": "lvm", "md": "mdadm"}[kind]
    if not have(tool):
        pytest.skip(f"no tool here makes {kind}")
    tree = make_tree(tmp_path / "tree", fstab_of(kind))
    paths = guest_disks(kind, tree, tmp_path)
    paths = paths if fmt == "raw" else [convert(one, fmt) for one in paths]
    before = [digest(path) for path in paths]
    uris = {scheme: [f"{scheme}:{paths[0]}", *map(str, paths[1:])] for scheme in ("uml", "qemu")}
    uml = open_guest(uris["uml"])
    plan, disks = plan_without_backend(uml), uml.disks()
    uml.close()  # type: ignore[attr-defined]
    guest = open_guest(uris["qemu"])
    try:
        assert plan_without_backend(guest) == plan and guest.disks() == disks
        body = random.Random(kind).randbytes(3_000_000)
        guest.put("/etc/new", [body[:1_000_000], body[1_000_000:]], Meta(0o640, 3, 4, 5_000_000_000))
        guest.keep("/etc/fstab", "/etc/.fstab.kept")
        assert guest.read("/etc/new") == body
        checks = guest.check()
        assert checks and [one for one in checks if one.clean is not True] == []
        saved = guest.save(output=str(tmp_path / "out.qcow2"), fmt="qcow2")
    finally:
        guest.close()
    assert [digest(path) for path in paths] == before
    again = open_guest([f"uml:{saved.files[0]}", *saved.files[1:]])
    try:
        assert again.read("/etc/new") == body and again.meta("/etc/new").mode == 0o640
        assert again.read("/etc/.fstab.kept") == fstab_of(kind).encode()
    finally:
        again.close()


@pytest.mark.skipif(not have("mkntfs", "ntfs-3g"), reason="ntfs-3g is not installed")
def test_windows(tmp_path: Path) -> None:
    place = windows_disk(tmp_path)
    ours, guest = open_image([str(place)]), open_guest(f"qemu:{place}")
    try:
        assert guest.case_insensitive
        assert_same_windows(ours, guest)
        guest.put("/ProgramData/neu\u00e4", [b"x" * 100_000], ours.meta("/Windows/System32/config/SYSTEM"))
        assert guest.read("/programdata/NEU\u00c4") == b"x" * 100_000
        assert [(one.filesystem, one.clean) for one in guest.check()] == [("ntfs", True)]
        saved = guest.save(output=str(tmp_path / "out.qcow2"))
        assert open_image([saved.files[0]]).read("/programdata/NEU\u00c4") == b"x" * 100_000
    finally:
        guest.close()
