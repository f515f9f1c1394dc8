"""The command line over disk images: backends, several disks, --root, and what is refused."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest

from guestfix.backends import of_backend, packages, split_uri, status
from guestfix.cli import run
from guestfix.verify.machine import PROGRAMS
from tests.build.images import MIB, PartSpec, convert, debian, disk, filesystem, have


@pytest.fixture(autouse=True)
def wide(monkeypatch):
    """Let no sentence be wrapped."""
    monkeypatch.setenv("COLUMNS", "1000")


needs_tools = pytest.mark.skipif(not have("mke2fs", "sfdisk", "qemu-img"), reason="e2fsprogs, fdisk or qemu missing")


@pytest.fixture
def two_systems(tmp_path: Path) -> Path:
    parts = []
    for index in (1, 2):
        root = debian(tmp_path / f"root{index}", f"/dev/sda{index} / ext4 defaults 0 1\n", extra=False)
        parts.append(PartSpec(filesystem("ext4", tmp_path / f"fs{index}", 16 * MIB, root)))
    return convert(disk(tmp_path / "two.raw", parts), "qcow2")


def test_backends_are_listed(capfd: pytest.CaptureFixture[str]) -> None:
    assert run(["backends", "--format", "json"]) == 0
    rows = {row["name"]: row for row in json.loads(capfd.readouterr().out)["backends"]}
    assert list(rows)[:5] == ["dir", "image", "uml", "qemu", "libguestfs"]
    assert rows["dir"]["usable"] and not rows["image"]["writes"]
    assert all(row["command"] or row["usable"] for row in rows.values())
    assert run(["backends"]) == 0
    assert "reads and writes" in capfd.readouterr().out


def test_one_command_makes_a_backend_usable(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(status, "find_program", lambda name: None)
    found = {one.name: one for one in status.all_backends()}
    assert found["uml"].missing[:3] == ("linux.uml", "qemu-img", "qemu-storage-daemon")
    assert found["uml"].command.startswith("apt-get install user-mode-linux qemu-utils qemu-system-common")
    assert found["libguestfs"].command == "apt-get install libguestfs-tools"
    assert found["image"].usable and not found["image"].command and "Btrfs, NTFS" in found["image"].notes[0]


@pytest.mark.parametrize(
    ("program", "found"),
    [("dnf", "dnf install qemu-img; linux.uml: no package of dnf is known"), ("apt-get", "apt-get install qemu-utils "
     "user-mode-linux"), ("pacman", "pacman -S qemu-img; linux.uml: no package of pacman is known"),
     ("", "apt-get install qemu-utils user-mode-linux")],
)  # fmt: skip
def test_the_command_is_that_of_the_hosts_own_package_manager(program, found, monkeypatch):
    monkeypatch.setattr(packages, "find_program", lambda name: name if name == program else None)
    assert packages.install("qemu-img", "linux.uml") == found


def test_every_program_that_is_asked_for_has_its_packages():
    """What the code hands to install() stands in the table, and each row names a manager that there is."""
    asked = set()
    for path in (Path(packages.__file__).parents[1]).rglob("*.py"):
        asked |= set(re.findall(r"""\binstall\(['"]([^'"]+)['"]\)""", path.read_text()))
    asked |= {*status._UML, *status.CHECKERS, "fusermount3", "guestfish", "tesseract", *PROGRAMS.values()}
    assert asked <= set(packages.PACKAGES)
    assert all(set(row) <= set(packages.MANAGERS) and "apt" in row for row in packages.PACKAGES.values())


def test_one_command_where_only_a_part_is_missing(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Nothing but what is missing is named, and steps that belong together are one command."""
    there = {"linux.uml", "qemu-img", "qemu-storage-daemon", "fusermount3", "guestfish"}
    monkeypatch.setattr(status, "find_program", lambda name: name if name in there else None)
    monkeypatch.setattr(status, "FUSE", str(tmp_path / "fuse"))
    monkeypatch.setattr("os.geteuid", lambda: 1000)

    def uml() -> tuple[tuple[str, ...], str]:
        found = status._uml()
        assert found.usable == (not found.missing)
        return found.missing, found.command

    assert uml() == ((str(tmp_path / "fuse"),), "modprobe fuse")
    (tmp_path / "fuse").touch()
    assert uml() == ((), "")
    there.discard("fusermount3")
    assert uml() == (("fusermount3",), "apt-get install fuse3")
    there.discard("qemu-storage-daemon")
    assert uml()[1] == "apt-get install qemu-system-common fuse3"
    (tmp_path / "fuse").unlink()
    assert uml()[1] == "apt-get install qemu-system-common fuse3 && modprobe fuse"


def test_libguestfs_needs_a_kernel_that_can_be_read(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(status, "find_program", lambda name: name)
    monkeypatch.delenv("LIBGUESTFS_PATH", raising=False)
    monkeypatch.setattr("glob.glob", lambda pattern: [])
    assert status._libguestfs().command == "apt-get install linux-image-amd64"
    monkeypatch.setattr("glob.glob", lambda pattern: [str(tmp_path / "vmlinuz-gone")])
    assert status._libguestfs().command == "chmod a+r /boot/vmlinuz-*"
    monkeypatch.setenv("LIBGUESTFS_PATH", "/opt/appliance")
    assert status._libguestfs().usable


@needs_tools
def test_root_is_chosen_and_never_asked_for(two_systems: Path, capfd: pytest.CaptureFixture[str]) -> None:
    assert run(["report", str(two_systems)]) == 2
    said = capfd.readouterr().err
    assert "2 operating systems found" in said and "--root /dev/sda1" in said
    assert run(["report", str(two_systems), "--root", "/dev/sda2", "--format", "json"]) == 0
    plan = json.loads(capfd.readouterr().out)
    assert "/etc/fstab" in [one["path"] for one in plan["changes"]]


@needs_tools
def test_what_goes_with_which_backend(two_systems: Path, tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    assert run(["report", str(tmp_path / "root1"), "--root", "/dev/sda1"]) == 64
    assert run(["report", str(two_systems), "--disks", "x.yaml"]) == 64
    assert run(["apply", f"image:{two_systems}", "--root", "/dev/sda1"]) == 64
    assert run(["report", f"nothing:{two_systems}"]) == 64
    assert "there is no backend 'nothing'" in capfd.readouterr().err
    assert run(["apply", str(tmp_path / "root1"), "--output", "x"]) == 64
    assert "for disk images" in capfd.readouterr().err


def test_schemes(tmp_path: Path) -> None:
    (tmp_path / "a:b.raw").touch()
    assert split_uri(str(tmp_path)) == ("dir", str(tmp_path))
    assert split_uri(f"uml:{tmp_path}") == ("uml", str(tmp_path))
    assert split_uri(str(tmp_path / "a:b.raw")) == ("image", str(tmp_path / "a:b.raw"))
    assert split_uri("/nowhere/x") == ("dir", "/nowhere/x")


def test_the_fastest_machine_writes(monkeypatch: pytest.MonkeyPatch) -> None:
    """QEMU with KVM, then User-mode Linux, then QEMU emulated, then libguestfs; of those that are usable."""
    there = {"uml", "qemu", "libguestfs"}
    monkeypatch.setattr(status, "usable", lambda name: name in there)
    monkeypatch.setattr(status, "fast_qemu", lambda: True)
    assert status.first_writer() == "qemu"
    monkeypatch.setattr(status, "fast_qemu", lambda: False)
    for name in ("uml", "qemu", "libguestfs"):
        assert status.first_writer() == name
        there.discard(name)
    assert status.first_writer() == ""


def test_a_backend_by_option_or_by_prefix(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    image = tmp_path / "disk.raw"
    image.write_bytes(bytes(MIB))
    assert of_backend("qemu", str(image)) == of_backend("qemu", f"qemu:{image}") == f"qemu:{image}"
    assert run(["report", "--backend", "image", str(image)]) == run(["report", f"image:{image}"]) == 2
    capfd.readouterr()
    assert run(["report", "--backend", "image", f"uml:{image}"]) == 64
    assert "--backend image and uml: name two backends" in capfd.readouterr().err
    assert run(["report", "--backend", "image", str(tmp_path)]) == 64
    assert "a folder has no backend to choose" in capfd.readouterr().err
    assert run(["report", "--backend", "nothing", str(image)]) == 64


def test_a_kernel_that_is_named_and_can_not_be_started(tmp_path: Path, monkeypatch, capfd) -> None:
    monkeypatch.setenv("GUESTFIX_KERNEL", "")
    (tmp_path / "kernel").write_bytes(b"none")
    monkeypatch.setenv("GUESTFIX_KERNEL", str(tmp_path / "kernel"))
    row = status._qemu()
    assert "a kernel that QEMU can start" in row.missing and str(tmp_path / "kernel") in row.notes[0] and row.command
