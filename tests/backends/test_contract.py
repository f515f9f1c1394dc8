"""One contract for all backends, run against each of them over the same tree."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from guestfix.backends import BACKENDS, open_guest, open_writable
from guestfix.backends.contract import reading_violations, reference_tree, writing_violations
from guestfix.backends.directory import DirectoryGuest
from guestfix.backends.status import usable
from tests.build.images import MIB, PartSpec, convert, disk, filesystem, have

needs_mke2fs = pytest.mark.skipif(not have("mke2fs", "sfdisk", "qemu-img"), reason="e2fsprogs, fdisk or qemu missing")
needs_uml = pytest.mark.skipif(not usable("uml"), reason="User-mode Linux is not installed")
as_root = os.geteuid() == 0


@pytest.fixture(scope="module")
def reference(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("contract") / "tree"
    root.mkdir()
    reference_tree(root)
    return root


@pytest.fixture(scope="module")
def image(reference: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("images")
    content = filesystem("ext4", folder / "fs", 64 * MIB, reference)
    return convert(disk(folder / "disk.raw", [PartSpec(content)]), "qcow2")


def test_dir_reads(reference: Path) -> None:
    assert reading_violations(open_guest(f"dir:{reference}"), DirectoryGuest(str(reference)), times=1) == []


@pytest.mark.skipif(not as_root, reason="owners can only be set by root")
def test_dir_writes(tmp_path: Path) -> None:
    reference_tree(tmp_path)
    assert writing_violations(open_writable(f"dir:{tmp_path}")) == []


@needs_mke2fs
def test_image_reads(reference: Path, image: Path) -> None:
    assert reading_violations(open_guest(f"image:{image}"), DirectoryGuest(str(reference))) == []


@needs_mke2fs
@needs_uml
def test_uml_reads_and_writes(reference: Path, image: Path) -> None:
    guest = open_writable(f"uml:{image}")
    try:
        assert reading_violations(guest, DirectoryGuest(str(reference))) == []  # by the backend image
        guest.begin()  # type: ignore[attr-defined]
        assert reading_violations(guest, DirectoryGuest(str(reference))) == []
        assert writing_violations(guest) == []
        assert [(one.filesystem, one.clean) for one in guest.check()] == [("ext4", True)]
    finally:
        guest.close()


@needs_mke2fs
@pytest.mark.e2e
@pytest.mark.skipif(not usable("libguestfs"), reason="libguestfs is not installed")
def test_libguestfs_reads_and_writes(reference: Path, image: Path) -> None:
    guest = open_writable(f"libguestfs:{image}")
    try:
        assert reading_violations(guest, DirectoryGuest(str(reference))) == []
        assert writing_violations(guest) == []
        assert [(one.filesystem, one.clean) for one in guest.check()] == [("ext4", True)]
    finally:
        guest.close()


def test_the_contract_tells_violations_apart(tmp_path: Path) -> None:
    """The checks themselves: a backend that is wrong in one way is told so."""
    reference_tree(tmp_path / "a")
    reference_tree(tmp_path / "b")
    (tmp_path / "b/srv/tiny").write_text("y")
    (tmp_path / "b/srv/extra").write_text("")
    found = reading_violations(DirectoryGuest(str(tmp_path / "b")), DirectoryGuest(str(tmp_path / "a")), times=0)
    assert any("names that are not in the tree" in one and "/srv/extra" in one for one in found)
    assert any("content of /srv/tiny" in one for one in found)
    assert not any("/srv/big" in one for one in found)


def test_every_built_in_backend_is_listed() -> None:
    assert set(BACKENDS) >= {"dir", "image", "uml", "qemu", "libguestfs"}
