"""Guests of old platforms start on KVM after apply: nothing failed, nothing waits, a login on the serial port."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import pytest

from tests.e2e import vm
from tests.e2e.leftover_guests import GUESTS, Guest, root_of

pytestmark = pytest.mark.e2e

NIC = ("-nic", "user,model=virtio-net-pci,restrict=on")
TOLD = r"PROBE end[\s\S]*debian login: |debian login: [\s\S]*PROBE end"
"""The probe has told all, and there is a login: which comes first is a race."""
LOST = r"Gave up waiting for root|Kernel panic|emergency mode"


def apply(root: Path, disks: Path) -> None:
    command = [sys.executable, "-m", "guestfix", "apply", root, "--target", "kvm-virtio", "--disks", disks]
    done = subprocess.run(list(map(str, command)), capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr


@pytest.mark.parametrize("guest", GUESTS, ids=lambda one: one.platform)
def test_nothing_fails_and_nothing_waits(guest: Guest, tmp_path: Path) -> None:
    vm.need("qemu-system-x86_64", "mke2fs", "sfdisk", "debootstrap")
    disk, disks = tmp_path / "debian.raw", tmp_path / "disks.yaml"
    vm.debian_disk(disk, {}, tmp_path, root_of(guest, tmp_path / "root"))
    disks.write_text(vm.DISKS)
    with vm.mounted(disk, tmp_path / "mnt") as root:
        apply(root, disks)
    started = vm.boot(disk, [TOLD, LOST], 1200, "virtio-blk", NIC)
    said = re.findall(r"PROBE (\w+)(?: (.*?))?\r?\n", started.text)
    vm.tell(guest.platform, *(f"{word} {rest}" for word, rest in said))
    assert "PROBE end" in started.seen, started.text[-4000:]
    assert [rest for word, rest in said if word == "state"] == ["running"], said
    assert not [rest for word, rest in said if word in ("failed", "job")], said
