"""Filesystems and disks made on the host without mounting anything, so that no test needs root."""

from __future__ import annotations

import hashlib
import os
import random
import shutil
import subprocess
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from guestfix.backends.status import find_program
from guestfix.backends.volumes.block import SeekableBlock
from guestfix.base.guest import GuestFS
from tests.build.tree import elf

MIB = 1 << 20


class Bytes(SeekableBlock):
    """Bytes in memory as a Block."""

    def __init__(self, data: bytes) -> None:
        super().__init__()
        self.data, self.size = data, len(data)

    def read(self, size: int | None = -1) -> bytes:
        end = len(self.data) if size is None or size < 0 else self._at + size
        found = self.data[self._at : end]
        self._at += len(found)
        return found


def run(*args: object, stdin: str = "") -> str:
    first, *rest = map(str, args)
    done = subprocess.run(
        [find_program(first) or first, *rest], input=stdin, capture_output=True, text=True, errors="replace"
    )
    assert done.returncode == 0, f"{first}: {done.stderr}"
    return done.stdout


def have(*names: str) -> bool:
    return all(find_program(name) for name in names)


def debian(root: Path, fstab: str = "", *, extra: bool = True) -> Path:
    """Write a small Debian 12 root with the things that trip readers up."""
    files = {
        "etc/os-release": 'PRETTY_NAME="Debian GNU/Linux 12 (bookworm)"\nID=debian\nVERSION_ID="12"\n',
        "etc/debian_version": "12.7\n",
        "etc/hostname": "guest\n",
        "etc/machine-id": "0123456789abcdef0123456789abcdef\n",
        "etc/fstab": fstab,
        "etc/default/grub": 'GRUB_TIMEOUT=5\nGRUB_CMDLINE_LINUX_DEFAULT="quiet"\n',
    }
    for name, text in files.items():
        place = root / name
        place.parent.mkdir(parents=True, exist_ok=True)
        place.write_text(text)
    for name in ("usr/bin", "var/lib", "boot", "proc", "sys", "dev", "run", "tmp", "root", "home"):
        (root / name).mkdir(parents=True, exist_ok=True)
    os.chmod(root / "tmp", 0o1777)
    (root / "bin").symlink_to("usr/bin")
    if extra:
        tricky(root / "srv")
    return root


def tricky(base: Path) -> Path:
    """Write links, a large directory, sparse and long files, odd names, times and attributes."""
    rng = random.Random(5)
    base.mkdir(parents=True, exist_ok=True)
    (base / "short").symlink_to("../etc/hostname")
    (base / "absolute").symlink_to("/etc/hostname")
    (base / "sixty").symlink_to("/" + "x" * 59)
    (base / "long").symlink_to("/" + "/".join(["y" * 90] * 3))
    (base / "loop").symlink_to("loop")
    (base / "dangling").symlink_to("nowhere")
    (base / "many").mkdir()
    for index in range(700):
        (base / "many" / f"file-with-a-fairly-long-name-{index:04d}.conf").write_text(f"{index}\n")
    (base / "empty").touch()
    (base / "tiny").write_text("x")
    (base / "big").write_bytes(rng.randbytes(3 * MIB + 17))
    with (base / "sparse").open("wb") as stream:
        for at in (0, 5 * MIB, 9 * MIB + 4096):
            stream.seek(at)
            stream.write(rng.randbytes(5000))
        stream.seek(12 * MIB)
        stream.write(b"end")
    (base / "caf\u00e9 \u65e5\u672c").write_text("unicode\n")
    (base / "mode").write_text("mode\n")
    os.chmod(base / "mode", 0o4751)
    os.utime(base / "mode", ns=(1_000_000_000_123_456_789, 2_100_000_000_987_654_321))
    (base / "hard").hardlink_to(base / "tiny")
    if hasattr(os, "setxattr"):
        try:
            os.setxattr(base / "mode", "user.note", b"hello")
            os.setxattr(base / "mode", "user.large", b"v" * 300)
        except OSError:
            pass
    return base


def filesystem(kind: str, place: Path, size: int, tree: Path | None = None, *options: str, uuid: str = "") -> Path:
    """Make a filesystem in a file of size bytes, filled from tree where the tool can."""
    with place.open("wb") as stream:
        stream.truncate(size)
    if kind in ("ext2", "ext3", "ext4"):
        fill = ["-d", tree] if tree else []
        run("mke2fs", "-q", "-F", "-t", kind, *(["-U", uuid] if uuid else []), *options, *fill, place)
    elif kind == "btrfs":
        fill = ["--rootdir", tree] if tree else []
        run("mkfs.btrfs", "-q", "-f", *(["-U", uuid] if uuid else []), *options, *fill, place)
    elif kind == "vfat":
        run("mkfs.vfat", *(["-i", uuid] if uuid else []), *options, place)
        if tree:
            run("mcopy", "-s", "-m", "-i", place, *sorted(tree.iterdir()), "::")
    elif kind == "xfs":
        run("mkfs.xfs", "-q", "-f", *(["-m", f"uuid={uuid}"] if uuid else []), *options, place)
    elif kind == "jfs":
        run("mkfs.jfs", "-q", *options, place)
    elif kind == "ntfs":
        run("mkntfs", "-q", "-F", "-f", *options, place)
    elif kind == "swap":
        run("mkswap", *(["-U", uuid] if uuid else []), place)
    else:
        raise AssertionError(kind)
    return place


@dataclass
class PartSpec:
    content: Path
    type: str = "linux"
    name: str = ""
    bootable: bool = False
    uuid: str = ""
    attributes: str = ""


def disk(place: Path, parts: Sequence[PartSpec], table: str = "gpt", label_id: str = "") -> Path:
    """Join partitions to a disk with a partition table that sfdisk writes."""
    start, lines = MIB, [f"label: {'dos' if table == 'mbr' else 'gpt'}"]
    if label_id:
        lines.append(f"label-id: {label_id}")
    spans = []
    for part in parts:
        size = -(-part.content.stat().st_size // MIB) * MIB
        line = f"start={start // 512}, size={size // 512}, type={part.type}"
        line += f', name="{part.name}"' if part.name else ""
        line += f", uuid={part.uuid}" if part.uuid else ""
        line += f', attrs="{part.attributes}"' if part.attributes else ""
        lines.append(line + (", bootable" if part.bootable else ""))
        spans.append((part.content, start))
        start += size + (MIB if table == "mbr" else 0)
    with place.open("wb") as stream:
        stream.truncate(start + MIB)
    run("sfdisk", "-q", place, stdin="\n".join(lines) + "\n")
    for content, at in spans:
        copy_sparse(content, place, at)
    return place


GUEST = Path(__file__).resolve().parents[2] / "testdata/guests/debian-12/root"
GUEST_UUID = "e7d6c5b4-a392-4810-8f7e-6d5c4b3a000"


def debian_disk(work: Path, fmt: str) -> Path:
    """Make the disk of the bundled Debian 12, as its disks.yaml has it, with an init and the begin of a boot loader."""
    root = shutil.copytree(GUEST, work / "root", symlinks=True)
    (root / "usr/lib/systemd/systemd").write_bytes(elf())
    (root / "usr/lib/systemd/systemd").chmod(0o755)
    parts = [
        PartSpec(filesystem("ext4", work / "1", 16 * MIB, None, "-L", "boot-old", uuid=GUEST_UUID + "1")),
        PartSpec(filesystem("ext4", work / "2", 96 * MIB, root, uuid=GUEST_UUID + "2"), bootable=True),
        PartSpec(filesystem("swap", work / "3", 16 * MIB, uuid=GUEST_UUID + "3"), "82"),
    ]
    made = disk(work / "disk.raw", parts, "mbr", "0x4b3a6d5c")
    with made.open("r+b") as stream:
        first = b"\xebc\x90".ljust(0x5C, b"\0") + (1).to_bytes(8, "little")  # GRUB's boot.img: core.img is at sector 1
        stream.write(first.ljust(0x180, b"\x90") + b"GRUB \0Geom\0")
        stream.seek(512)
        stream.write(b"core" * 100)
    return convert(made, fmt)


def copy_sparse(source: Path, target: Path, at: int) -> None:
    with source.open("rb") as read, target.open("r+b") as write:
        while chunk := read.read(MIB):
            if chunk.strip(b"\0"):
                write.seek(at)
                write.write(chunk)
            at += len(chunk)


def convert(source: Path, fmt: str, *options: str) -> Path:
    name, _, kind = fmt.partition(":")
    place = source.with_name(f"{source.stem}{'-' if kind else ''}{kind}.{name}")
    extra = ["-o", "subformat=" + fmt.partition(":")[2]] if ":" in fmt else []
    run("qemu-img", "convert", "-O", name, *extra, *options, source, place)
    return place


def clear(path: Path) -> None:
    shutil.rmtree(path, ignore_errors=True)


OVF = """<?xml version="1.0"?>
<Envelope xmlns="http://schemas.dmtf.org/ovf/envelope/1" xmlns:ovf="http://schemas.dmtf.org/ovf/envelope/1"
 xmlns:rasd="http://schemas.dmtf.org/wbem/wscim/1/cim-schema/2/CIM_ResourceAllocationSettingData">
<References><File ovf:id="f1" ovf:href="data.vmdk"/><File ovf:id="f2" ovf:href="boot.vmdk"/></References>
<DiskSection><Disk ovf:diskId="d1" ovf:fileRef="f1"/><Disk ovf:diskId="d2" ovf:fileRef="f2"/></DiskSection>
<VirtualSystem><VirtualHardwareSection>
<Item><rasd:AddressOnParent>1</rasd:AddressOnParent><rasd:HostResource>ovf:/disk/d1</rasd:HostResource>
<rasd:Parent>3</rasd:Parent><rasd:ResourceType>17</rasd:ResourceType></Item>
<Item><rasd:AddressOnParent>0</rasd:AddressOnParent><rasd:HostResource>ovf:/disk/d2</rasd:HostResource>
<rasd:Parent>3</rasd:Parent><rasd:ResourceType>17</rasd:ResourceType></Item>
</VirtualHardwareSection></VirtualSystem></Envelope>"""


def walk(guest: GuestFS, folder: str = "/"):
    for name in guest.list(folder):
        path = f"{folder.rstrip('/')}/{name}"
        yield path
        stat = guest.stat(path, follow=False)
        if stat is not None and stat.kind == "dir":
            yield from walk(guest, path)


def described(guest: GuestFS, path: str, *, times: bool, xattrs: bool) -> tuple:
    stat = guest.stat(path, follow=False)
    assert stat is not None, path
    facts: list[object] = [stat.kind, oct(stat.mode), stat.uid, stat.gid]
    if times:
        facts.append(stat.mtime_ns // 1_000_000_000)  # mke2fs writes whole seconds
    if stat.kind == "file":
        with guest.open(path) as stream:
            data = stream.read()
        facts += [stat.size, stat.nlink, hashlib.sha256(data).hexdigest()]
        if xattrs:
            facts.append([item for item in guest.meta(path).xattrs if item[0] != "security.selinux"])
    if stat.kind == "symlink":
        facts.append(guest.readlink(path))
    return tuple(facts)
