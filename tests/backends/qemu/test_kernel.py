"""Which of a host's kernels is started, with which modules, and what is said where none can be."""

from __future__ import annotations

import gzip
import lzma
import os
import struct
from pathlib import Path

import pytest

from guestfix.backends.qemu.host import find_qemu
from guestfix.backends.qemu.kernel import FIRST, choose, module_files
from guestfix.backends.volumes.block import DiskError

FSMODULES = ("ext4", "xfs", "btrfs", "vfat", "fuse")
DEPENDS = {"virtio_blk": ["virtio", "virtio_ring"], "ext4": ["jbd2", "mbcache"], "virtio_pci": ["virtio_ring"]}


def bzimage(release: str) -> bytes:
    """Return the head of an x86 kernel image of this release."""
    head = bytearray(0x8200)
    head[0x202:0x206] = b"HdrS"
    struct.pack_into("<H", head, 0x206, 0x020F)
    struct.pack_into("<H", head, 0x236, 1)
    struct.pack_into("<H", head, 0x20E, 0x3000)
    text = f"{release} (x@y) #1 SMP\0".encode()
    head[0x3200 : 0x3200 + len(text)] = text
    return bytes(head)


def host(
    root: Path, release: str, *, image: str = "", names: tuple[str, ...] = FSMODULES, suffix: str = "", base: str = ""
) -> Path:
    """Lay out a kernel and its modules below a root; return the image."""
    place = root / (image or f"boot/vmlinuz-{release}")
    place.parent.mkdir(parents=True, exist_ok=True)
    place.write_bytes(bzimage(release))
    folder = root / (base or "lib/modules") / release
    folder.mkdir(parents=True, exist_ok=True)
    known = sorted({*FIRST, *names, *(one for needs in DEPENDS.values() for one in needs)})
    path = {name: f"kernel/x/{name}.ko{suffix}" for name in known}
    pack = {"": bytes, ".xz": lambda data: lzma.compress(data, check=lzma.CHECK_CRC32), ".gz": gzip.compress}[suffix]
    (folder / "kernel/x").mkdir(parents=True, exist_ok=True)
    for name in known:
        (folder / path[name]).write_bytes(pack(b"\x7fELF" + name.encode()))
    rows = [f"{path[name]}: {' '.join(path[one] for one in DEPENDS.get(name, ()))}\n" for name in known]
    (folder / "modules.dep").write_text("".join(rows))
    (folder / "modules.softdep").write_text("softdep ext4 pre: crc32c\n")
    (folder / "modules.alias").write_text("alias crc32c mbcache\n")
    (folder / "modules.builtin").write_text("kernel/crypto/sha256_generic.ko\n")
    return place


@pytest.fixture(autouse=True)
def an_x86_host(monkeypatch: pytest.MonkeyPatch) -> None:
    real = os.uname()
    fields = (*real[:4], "x86_64")
    monkeypatch.setattr(os, "uname", lambda: os.uname_result(fields))


def refused(root: Path, given: str = "") -> DiskError:
    with pytest.raises(DiskError) as caught:
        choose(given, str(root))
    assert caught.value.remedy
    return caught.value


def test_the_newest_of_several_that_mount_the_same(tmp_path: Path) -> None:
    for release in ("5.9.0-1", "5.14.0-70.el9.x86_64", "5.14.0-503.el9.x86_64"):
        host(tmp_path, release)
    assert choose(root=str(tmp_path)).release == "5.14.0-503.el9.x86_64"


def test_the_smallest_is_taken_unless_the_guest_has_something_rare(tmp_path: Path) -> None:
    host(tmp_path, "6.1.0-1-cloud")
    host(tmp_path, "6.1.0-1-generic", names=(*FSMODULES, "jfs"))
    host(tmp_path, "6.9.0-1-none", names=())
    assert choose(root=str(tmp_path)).release == "6.1.0-1-cloud"
    assert choose(root=str(tmp_path), rare=True).release == "6.1.0-1-generic"


@pytest.mark.parametrize(
    ("image", "base"),
    [
        ("usr/lib/modules/6.12.0-arch1-1/vmlinuz", "usr/lib/modules"),
        ("boot/vmlinuz-linux", "usr/lib/modules"),
        ("boot/vmlinuz-6.12.0-arch1-1", "lib/modules"),
        ("lib/modules/6.12.0-arch1-1/vmlinuz", "lib/modules"),
    ],
)
def test_where_distributions_keep_them(image: str, base: str, tmp_path: Path) -> None:
    made = host(tmp_path, "6.12.0-arch1-1", image=image, base=base)
    found = choose(root=str(tmp_path))
    assert (found.image, found.release) == (str(made), "6.12.0-arch1-1")


@pytest.mark.parametrize("suffix", ["", ".xz", ".gz"])
def test_modules_are_unpacked_with_what_they_need(suffix: str, tmp_path: Path) -> None:
    host(tmp_path, "6.1.0", suffix=suffix)
    found = module_files(choose(root=str(tmp_path)), ["ext4"], volumes=False)
    assert {f"{one}.ko" for one in (*FIRST, "ext4", "jbd2", "mbcache", "virtio", "virtio_ring")} <= set(found)
    assert "xfs.ko" not in found
    assert found["ext4.ko"] == b"\x7fELFext4"
    rows = dict(line.split(":", 1) for line in found["modules.dep"].decode().splitlines())
    assert set(rows["ext4.ko"].split()) == {"jbd2.ko", "mbcache.ko"}  # the soft one is among them, by its alias
    assert set(rows["virtio_blk.ko"].split()) == {"virtio.ko", "virtio_ring.ko"}


def test_a_damaged_module_is_told(tmp_path: Path) -> None:
    host(tmp_path, "6.1.0", suffix=".xz")
    place = tmp_path / "lib/modules/6.1.0/kernel/x/ext4.ko.xz"
    place.write_bytes(place.read_bytes()[:-20])
    with pytest.raises(DiskError, match="can't be unpacked") as caught:
        module_files(choose(root=str(tmp_path)), ["ext4"], volumes=False)
    assert caught.value.where == str(place) and "--kernel" in caught.value.remedy


def test_no_kernel_at_all(tmp_path: Path) -> None:
    said = refused(tmp_path)
    assert "neither in /boot nor in /lib/modules" in said.what and "--kernel FILE" in said.remedy


@pytest.mark.skipif(os.geteuid() == 0, reason="root may read everything")
def test_a_kernel_that_only_root_may_read(tmp_path: Path) -> None:
    made = host(tmp_path, "6.8.0-1")
    made.chmod(0)
    said = refused(tmp_path)
    assert "/boot/vmlinuz-6.8.0-1: can't be read (Permission denied)" in said.what
    assert f"chmod a+r {made}" in said.remedy


def test_a_kernel_that_can_not_be_opened(tmp_path: Path) -> None:
    (tmp_path / "boot").mkdir()
    (tmp_path / "boot/vmlinuz-6.8.0-1").symlink_to("vmlinuz-gone")
    said = refused(tmp_path)
    assert "/boot/vmlinuz-6.8.0-1: can't be read (No such file or directory)" in said.what
    assert "chmod a+r" in said.remedy


def test_a_kernel_without_modules_or_of_another_processor_or_none(tmp_path: Path) -> None:
    place = tmp_path / "boot/vmlinuz-6.8.0-1"
    place.parent.mkdir()
    place.write_bytes(bzimage("6.8.0-1"))
    said = refused(tmp_path)
    assert "no modules of 6.8.0-1" in said.what and "install" in said.remedy
    arm = bytearray(0x8200)
    arm[0x38:0x3C] = b"ARM\x64"
    place.write_bytes(arm)
    assert "is built for aarch64, this host is x86_64" in refused(tmp_path).what
    place.write_bytes(b"no kernel")
    assert "is built for no processor that it tells" in refused(tmp_path, str(place)).what


def test_modules_without_a_disk_or_an_index(tmp_path: Path) -> None:
    host(tmp_path, "6.1.0")
    index = tmp_path / "lib/modules/6.1.0/modules.dep"
    index.write_text("".join(row for row in index.read_text().splitlines(True) if "virtio_blk" not in row))
    assert "has no virtio_blk" in refused(tmp_path).what
    for one in index.parent.glob("modules.*"):
        one.unlink()
    said = refused(tmp_path)
    assert "index of" in said.what and "depmod 6.1.0" in said.remedy


def test_what_is_built_in_needs_no_module(tmp_path: Path) -> None:
    host(tmp_path, "6.1.0")
    folder = tmp_path / "lib/modules/6.1.0"
    kept = [
        row for row in (folder / "modules.dep").read_text().splitlines(True) if not row.startswith("kernel/x/virtio")
    ]
    (folder / "modules.dep").write_text("".join(kept))
    (folder / "modules.builtin").write_text("".join(f"kernel/{one}.ko\n" for one in FIRST))
    found = module_files(choose(root=str(tmp_path)), ["ext4"], volumes=False)
    assert "ext4.ko" in found and "virtio_blk.ko" not in found


def test_the_kernel_that_was_named(tmp_path: Path) -> None:
    host(tmp_path, "6.1.0")
    mine = tmp_path / "mine"
    mine.write_bytes(bzimage("6.1.0"))
    assert choose(str(mine), str(tmp_path)).image == str(mine)
    assert "can't be read" in refused(tmp_path, str(tmp_path / "gone")).what


def test_qemu_is_found_where_rhel_keeps_it(monkeypatch: pytest.MonkeyPatch) -> None:
    from guestfix.backends.qemu import host as module

    monkeypatch.setattr(module, "find_program", lambda name: None)
    monkeypatch.setattr(module.os, "access", lambda path, mode: path == "/usr/libexec/qemu-kvm")
    assert find_qemu() == "/usr/libexec/qemu-kvm"
