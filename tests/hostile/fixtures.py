"""What the tests of disk images share."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from guestfix.cli import run
from tests.build.images import MIB, PartSpec, convert, debian, disk, filesystem, have
from tests.hostile.imageplace import SECRET, UUID, Place, Runner, Said


@pytest.fixture(scope="session")
def disks(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """Make the disk of a guest, and that of another tenant, as raw, qcow2 and VMDK."""
    if not have("mke2fs", "sfdisk", "qemu-img", "qemu-io"):
        pytest.skip("e2fsprogs, fdisk or qemu-utils is missing")
    folder = tmp_path_factory.mktemp("disks")
    found = {}
    for name, text in (("own", "own"), ("victim", SECRET)):
        root = debian(folder / f"root-{name}", f"# {text}\n/dev/sda1 / ext4 defaults 0 1\n", extra=False)
        (root / "etc/hostname").write_text(f"{text}\n")
        content = filesystem("ext4", folder / f"fs-{name}", 24 * MIB, root, uuid=UUID)
        found[name] = disk(folder / f"{name}.raw", [PartSpec(content)])
        found[f"{name}.qcow2"] = convert(found[name], "qcow2")
        found[f"{name}.vmdk"] = convert(found[name], "vmdk")
    return found


@pytest.fixture
def place(tmp_path: Path, disks: dict[str, Path]) -> Iterator[Place]:
    """Give the folders; afterwards nothing outside is changed, and what is there stands nowhere."""
    found = Place(tmp_path, disks)
    before = found.state()
    yield found
    assert found.state() == before


@pytest.fixture
def guestfix(capfd: pytest.CaptureFixture[str], place: Place) -> Runner:
    def one(*words: object) -> Said:
        status = run([str(word) for word in words])
        text = "".join(capfd.readouterr())
        assert SECRET not in text and "Traceback" not in text
        return status, text

    return one
