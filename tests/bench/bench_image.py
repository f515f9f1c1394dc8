"""Disk images as whole processes: `image` against virt-inspector, `uml` against `libguestfs`.

The disk is a Debian 12 made by debootstrap where GUESTFIX_BENCH_TREE names one (with its kernel and initrd),
else a small tree with a 60 MB initrd. libguestfs rows are left out where it isn't installed.
"""

from __future__ import annotations

import gzip
import os
import random
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

from measure import Table, in_turn

from guestfix.backends.status import usable
from tests.backends.images import MIB, PartSpec, convert, debian, disk, filesystem, have
from tests.tree import bzimage

GUESTFIX = [sys.executable, "-m", "guestfix"]
UUID = "11111111-2222-3333-4444-555555555555"
RELEASE = "6.1.0-30-amd64"


def newc(name: str, data: bytes, mode: int = 0o100644) -> bytes:
    head = b"070701" + b"".join(
        b"%08X" % number for number in (1, mode, 0, 0, 1, 0, len(data), 0, 0, 0, 0, len(name) + 1, 0)
    )
    text = head + name.encode() + b"\0"
    text += b"\0" * (-len(text) % 4)
    return text + data + b"\0" * (-len(data) % 4)


def initrd(size: int) -> bytes:
    """Return a gzip-compressed initramfs whose files have about size bytes, most of them hard to pack."""
    noise, parts = random.Random(1), []
    for index in range(120):
        name = f"usr/lib/modules/{RELEASE}/kernel/drivers/m{index}.ko"
        parts.append(newc(name, noise.randbytes(size // 120)))
    parts.append(newc(f"usr/lib/modules/{RELEASE}/modules.dep", b""))
    parts.append(newc("TRAILER!!!", b""))
    return gzip.compress(b"".join(parts), 1)


def guest_disk(folder: Path, *, with_initrd: bool) -> Path:
    """Make the disk that is measured."""
    given = os.environ.get("GUESTFIX_BENCH_TREE")
    root = folder / "root"
    if given:
        shutil.copytree(given, root, symlinks=True, ignore_dangling_symlinks=True)
        (root / "etc/fstab").write_text("/dev/sda1 / ext4 defaults 0 1\n")
    else:
        debian(root, "/dev/sda1 / ext4 defaults 0 1\n", extra=False)
        (root / f"boot/vmlinuz-{RELEASE}").write_bytes(bzimage(RELEASE))
        modules = root / f"lib/modules/{RELEASE}"
        modules.mkdir(parents=True)
        (modules / "modules.dep").write_text("")
        (modules / "modules.builtin").write_text("")
    if with_initrd and not given:
        (root / f"boot/initrd.img-{RELEASE}").write_bytes(initrd(60 * MIB))
    if not with_initrd:
        for place in (root / "boot").glob("initrd*"):
            place.unlink()
    size = sum(one.stat().st_size for one in root.rglob("*") if one.is_file() and not one.is_symlink())
    content = filesystem("ext4", folder / "fs", max(256 * MIB, size * 3 // 2), root, uuid=UUID)
    return convert(disk(folder / "disk.raw", [PartSpec(content)]), "qcow2")


def check(command: list[str]) -> None:
    done = subprocess.run(command, capture_output=True, check=False)
    if done.returncode not in (0, 1):
        raise SystemExit(f"{' '.join(command)}: {done.stderr.decode()[-800:]}")


def main() -> int:
    if not have("mke2fs", "sfdisk", "qemu-img"):
        print("skipped: e2fsprogs, fdisk or qemu-utils is missing")
        return 0
    table = Table()
    with tempfile.TemporaryDirectory(prefix="gfbench-") as scratch:
        plain, full = Path(scratch, "plain"), Path(scratch, "full")
        plain.mkdir()
        full.mkdir()
        disks = guest_disk(plain, with_initrd=False), guest_disk(full, with_initrd=True)
        reports(table, *disks)
        applies(table, disks[0])
    return table.status()


def reports(table: Table, plain: Path, full: Path) -> None:
    commands = {"plain": [*GUESTFIX, "report", str(plain)], "initrd": [*GUESTFIX, "report", str(full)]}
    for command in commands.values():
        check(command)
    found = in_turn(commands, runs=5)
    table.row("report disk.qcow2, image, seconds", found["plain"].median, 1.5, "s")
    table.row("report with a 60 MB initrd checked, seconds", found["initrd"].median, 3.0, "s")
    if have("virt-inspector"):
        os.environ.setdefault("LIBGUESTFS_BACKEND", "direct")
        virt = in_turn({"virt": ["virt-inspector", "--no-applications", "-a", str(plain)]}, runs=1)["virt"]
        table.row("report (image) / virt-inspector on the same disk", found["plain"].median / virt.median, 0.05)


def applies(table: Table, image: Path) -> None:
    if not usable("uml"):
        print("skipped: User-mode Linux is not installed")
        return
    commands = {"uml": apply_command("uml", image)}
    check(commands["uml"])
    found = in_turn(commands, runs=5)
    table.row("apply disk.qcow2, uml, seconds", found["uml"].median, 6.0, "s")
    if usable("libguestfs"):
        other = in_turn({"libguestfs": apply_command("libguestfs", image)}, runs=1)["libguestfs"]
        table.row("apply (uml) / apply (libguestfs)", found["uml"].median / other.median, 0.2)


def apply_command(backend: str, image: Path) -> list[str]:
    """Return a command that applies and throws the outcome away, so that it can be run again."""
    out = image.with_name(f"{backend}.qcow2")
    words = " ".join([*GUESTFIX, "apply", f"{backend}:{image}", "--output", str(out)])
    return ["sh", "-c", f"{words}; code=$?; rm -f {out}; exit $code"]


if __name__ == "__main__":
    sys.exit(main())
