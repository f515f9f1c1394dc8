"""Disk images as whole processes: `image` against virt-inspector, `uml` against `libguestfs`.

The disk is a bootable Debian 12 made by debootstrap, 36 MB of initramfs included, as qcow2; it is kept in the
tests' cache (GUESTFIX_TEST_CACHE, else ~/.cache/guestfix-tests), for making it takes minutes. libguestfs runs with
KVM where that works, else by emulation. Making the disk needs root; GUESTFIX_BENCH_DISK names another one.
"""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

import pytest
from earlier import earlier
from measure import Table, in_turn

from guestfix.backends.status import usable
from tests.build import debian
from tests.build.images import have
from tests.build.images import run as call
from tests.e2e import vm

GUESTFIX = [sys.executable, "-m", "guestfix"]
RUNS = 3
"""Turns for each command: an appliance by emulation takes most of a minute."""


def guest_disk() -> Path:
    """Return the disk that is measured, made once."""
    if given := os.environ.get("GUESTFIX_BENCH_DISK"):
        return Path(given)
    place = debian.cache_folder() / f"bench-{debian.debootstrap().stem}-{debian.hash_of(repr(vm.SDA2_GUEST)):08x}.qcow2"
    if not place.exists():
        with tempfile.TemporaryDirectory(prefix="gfbench-", dir=debian.cache_folder()) as scratch:
            raw = Path(scratch, "disk.raw")
            vm.debian_disk(raw, vm.SDA2_GUEST, Path(scratch))
            call("qemu-img", "convert", "-O", "qcow2", raw, f"{place}.part")
        os.replace(f"{place}.part", place)
    return place


def without_initrd(disk: Path, folder: Path) -> Path:
    """Return a copy of the disk that has no initramfs, so that none is checked."""
    raw, part = folder / "plain.raw", f"{folder}/plain.raw?offset={vm.ROOT_START * vm.SECTOR}"
    call("qemu-img", "convert", "-O", "raw", disk, raw)
    names = [word for word in call("debugfs", "-R", "ls -p /boot", part).split("/") if word.startswith("initrd")]
    for name in names:
        call("debugfs", "-w", "-R", f"rm /boot/{name}", part)
    call("qemu-img", "convert", "-O", "qcow2", raw, folder / "plain.qcow2")
    raw.unlink()
    return folder / "plain.qcow2"


def works(command: list[str], *, status: int = 0) -> str:
    """Run a command once; return what it said where it did not end with this status."""
    done = subprocess.run(command, capture_output=True, check=False)
    return "" if done.returncode == status else done.stderr.decode("utf-8", "replace").strip() or "failed"


def check(command: list[str], *, status: int = 0) -> None:
    if said := works(command, status=status):
        raise SystemExit(f"{' '.join(command)}: {said[-800:]}")


def emulate_where_kvm_fails(disk: Path) -> str:
    """Let libguestfs emulate where its KVM does not work; return how it runs, or nothing where it does not."""
    os.environ.setdefault("LIBGUESTFS_BACKEND", "direct")
    if not have("virt-inspector"):
        return ""
    for settings in dict.fromkeys([os.environ.get("LIBGUESTFS_BACKEND_SETTINGS", ""), "force_tcg"]):
        os.environ["LIBGUESTFS_BACKEND_SETTINGS"] = settings
        if not works(inspector(disk)):
            return "emulated" if "force_tcg" in settings or not os.path.exists("/dev/kvm") else "with KVM"
    return ""


def inspector(disk: Path) -> list[str]:
    return ["virt-inspector", "--no-applications", "-a", str(disk)]


def main() -> int:
    table = Table()
    if not have("mke2fs", "debugfs", "sfdisk", "qemu-img"):
        table.note("skipped: e2fsprogs, fdisk or qemu-utils is missing")
        return table.status()
    try:
        disk = guest_disk()
    except pytest.skip.Exception as reason:
        table.note(f"skipped: {reason}")
        return table.status()
    how = emulate_where_kvm_fails(disk)
    table.note(f"libguestfs runs {how}" if how else "libguestfs does not work here: nothing to compare with")
    with tempfile.TemporaryDirectory(prefix="gfbench-") as scratch:
        then = earlier(Path(scratch, "earlier"))
        if isinstance(then, str):
            table.note(then)
        reports(table, disk, without_initrd(disk, Path(scratch)), then, compare=bool(how))
        applies(table, disk, Path(scratch), then, compare=bool(how) and usable("libguestfs"))
    return table.status()


def reports(table: Table, disk: Path, plain: Path, then: list[str] | str, *, compare: bool) -> None:
    commands = {"plain": [*GUESTFIX, "report", str(plain)], "whole": [*GUESTFIX, "report", str(disk)]}
    if not isinstance(then, str):
        commands["then"] = [*then, "report", str(disk)]
    for name, command in commands.items():
        check(command, status=2 if name == "plain" else 0)  # a boot entry whose initramfs is missing stops apply
    if compare:
        commands["virt"] = inspector(disk)
    found = in_turn(commands, runs=RUNS)
    table.row("report disk.qcow2, image, no initramfs there", found["plain"].median, 1.5, " s")
    table.row("report disk.qcow2, image, initramfs checked", found["whole"].median, 1.5, " s")
    if "then" in found:
        table.row("the same / the engine of 2026-11-29, CPU", found["whole"].cpu / found["then"].cpu, 0.75)
    if compare:
        table.plain("virt-inspector --no-applications disk.qcow2", found["virt"].median, " s")
        table.row("report, initramfs checked / virt-inspector", found["whole"].median / found["virt"].median, 0.05)


def applies(table: Table, disk: Path, folder: Path, then: list[str] | str, *, compare: bool) -> None:
    if not usable("uml"):
        table.note("skipped: User-mode Linux is not installed")
        return
    names = ["uml", "libguestfs"] if compare else ["uml"]
    commands = {name: apply_command(GUESTFIX, name, disk, folder / f"{name}.qcow2", "--overlay") for name in names}
    if not isinstance(then, str):
        commands["then"] = apply_command(then, "uml", disk, folder / "then.qcow2")
    for command in commands.values():
        check(command)
    found = in_turn(commands, runs=RUNS)
    for name in names:
        table.plain(f"apply {name}:disk.qcow2", found[name].median, " s")
    if "then" in found:
        table.row("apply uml / the engine of 2026-11-29, CPU", found["uml"].cpu / found["then"].cpu, 0.55)
    if compare:
        table.row("apply, uml / libguestfs", found["uml"].median / found["libguestfs"].median, 0.2)


def apply_command(guestfix: list[str], backend: str, disk: Path, out: Path, *more: str) -> list[str]:
    """Return a command that applies and throws the outcome, an overlay, away, so that it can be run again.

    The earlier engine made an overlay of ``--output`` alone.
    """
    words = " ".join([*guestfix, "apply", f"{backend}:{disk}", "--output", str(out), *more])
    return ["sh", "-c", f"{words}; code=$?; rm -f {out}; exit $code"]


if __name__ == "__main__":
    sys.exit(main())
