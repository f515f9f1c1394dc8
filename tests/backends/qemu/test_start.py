"""A QEMU machine that really starts: the contract of the backends, apply and revert, and one that dies."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from guestfix.backends import open_guest, open_writable
from guestfix.backends.contract import reading_violations, reference_tree, writing_violations
from guestfix.backends.directory import DirectoryGuest
from guestfix.backends.image import open_image
from guestfix.backends.status import all_backends, usable
from guestfix.base.errors import GuestfixError
from tests.build.images import MIB, PartSpec, convert, described, disk, filesystem, have, walk
from tests.build.uml_guests import ENV, FSTAB, digest, ext4_image, guestfix, make_tree

if not usable("qemu"):
    WHY = next(one for one in all_backends() if one.name == "qemu")
    pytest.skip(f"the backend qemu: {', '.join(WHY.missing)} missing", allow_module_level=True)
if not have("mke2fs", "sfdisk"):
    pytest.skip("e2fsprogs or fdisk is not installed", allow_module_level=True)


@pytest.fixture
def image(tmp_path: Path) -> Path:
    return ext4_image(make_tree(tmp_path / "root", FSTAB), tmp_path)


def everything(path: Path) -> dict[str, tuple]:
    guest = open_image([str(path)])
    try:
        return {
            one: described(guest, one, times=True, xattrs=True) for one in walk(guest) if "lost+found" not in one
        }  # fmt: skip
    finally:
        guest.close()


def left(marks: tuple[str, ...] = ("qemu-system", "qemu-kvm")) -> list[str]:
    """Return the machines of guestfix that run: those whose disks lie in a run's folder."""
    found = []
    for folder in Path("/proc").glob("[0-9]*"):
        try:
            words = (folder / "cmdline").read_bytes().decode(errors="replace")
        except OSError:
            continue
        if any(mark in words.partition("\0")[0] for mark in marks) and "/guestfix-" in words:
            found.append(words[:200])
    return found


def test_apply_and_revert_byte_for_byte(image: Path, tmp_path: Path) -> None:
    before, original = digest(image), everything(image)
    out = tmp_path / "out.qcow2"
    done = json.loads(guestfix("apply", "--backend", "qemu", image, "--output", out, "--format", "json"))
    assert "/etc/fstab" in done["applied"] and done["image"]["how"] == "converted"
    assert [(one["command"], one["clean"]) for one in done["image"]["checks"]] == [("e2fsck -fn", True)]
    assert digest(image) == before and everything(out) != original
    guestfix("revert", f"qemu:{out}", "--in-place")
    assert everything(out) == original and digest(image) == before


@pytest.mark.skipif(os.geteuid() != 0, reason="owners can only be set by root")
def test_the_contract_of_the_backends(tmp_path: Path) -> None:
    tree = tmp_path / "tree"
    tree.mkdir()
    reference_tree(tree)
    content = filesystem("ext4", tmp_path / "fs", 64 * MIB, tree)
    guest = open_writable(f"qemu:{convert(disk(tmp_path / 'disk.raw', [PartSpec(content)]), 'vmdk')}")
    try:
        guest.begin()  # type: ignore[attr-defined]
        assert reading_violations(guest, DirectoryGuest(str(tree))) == []
        assert writing_violations(guest) == []
        assert [(one.filesystem, one.clean) for one in guest.check()] == [("ext4", True)]  # type: ignore[attr-defined]
    finally:
        guest.close()  # type: ignore[attr-defined]


def test_a_machine_has_no_network_and_is_kept_in_bounds(image: Path) -> None:
    guest = open_guest(f"qemu:{image}")
    try:
        process = guest._session._process  # type: ignore[attr-defined]
        words = Path(f"/proc/{process.pid}/cmdline").read_bytes().decode().split("\0")
        assert not [one for one in words if ("net" in one.lower() and "netdev" in one) or one == "-nic"]
        assert "-nodefaults" in words and words[words.index("-sandbox") + 1].startswith("on,")
        limits = Path(f"/proc/{process.pid}/limits").read_text()
        assert "Max address space         unlimited" not in limits
        status = Path(f"/proc/{process.pid}/status").read_text()
        assert "Seccomp:\t2" in status
        os.kill(process.pid, signal.SIGKILL)
        with pytest.raises(GuestfixError, match=r"the QEMU machine: it (was ended|stopped)"):
            guest.read("/etc/os-release")
    finally:
        guest.close()  # type: ignore[attr-defined]


def test_one_that_is_killed_leaves_nothing(image: Path, tmp_path: Path) -> None:
    before, folder = digest(image), tmp_path / "tmp"
    folder.mkdir()
    for seconds in (0.6, 2.5):
        process = subprocess.Popen(
            [sys.executable, "-m", "guestfix", "apply", f"qemu:{image}"],
            stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, env={**ENV, "TMPDIR": str(folder)},
        )  # fmt: skip
        time.sleep(seconds)
        process.send_signal(signal.SIGKILL)
        process.wait()
        end = time.monotonic() + 20
        while (list(folder.iterdir()) or [one for one in left() if str(folder) in one]) and time.monotonic() < end:
            time.sleep(0.05)
        assert list(folder.iterdir()) == [] and not [one for one in left() if str(folder) in one]
        assert digest(image) == before
