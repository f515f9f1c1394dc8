"""What guestfix says of guests like those that virt-v2v is tested with, which are just enough of one to be recognised.

docs/virt-v2v.md has it beside what virt-v2v does with them.
"""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

from tests.build import phony
from tests.e2e import vm

pytestmark = pytest.mark.e2e

REPO = Path(__file__).resolve().parents[2]
SAID = {
    "fedora": ("fedora 14", "initramfs", {"GF-INITRAMFS-DAMAGED"}),
    "fedora-md": ("fedora 14", "initramfs", {"GF-INITRAMFS-DAMAGED"}),
    "fedora-btrfs": ("fedora 14", "initramfs", {"GF-INITRAMFS-DAMAGED"}),
    "debian": ("debian 5.0.1", "", {"GF-UNTOLD-ENTRY"}),
    "ubuntu": ("ubuntu 10.10", "", {"GF-UNTOLD-ENTRY"}),
    "archlinux": ("arch None", "", {"GF-UNTOLD-ENTRY"}),
    "coreos": ("coreos 899.13.0", "", set()),
    "windows": ("windows-server-2022 10.0.20348", "drivers", {"GF-WINDOWS-STORAGE-DRIVER"}),
}
"""By guest: system and version, the step at which it stops on KVM, and blockers among those told."""


@pytest.mark.parametrize("name", SAID)
def test_what_is_said_of_a_guest_that_hardly_is_one(tmp_path: Path, name: str) -> None:
    vm.need("guestfish", "busybox", "rpm", "rpmbuild")
    try:
        disks = phony.GUESTS[name](tmp_path)
    except subprocess.CalledProcessError as error:
        pytest.skip(f"guestfish failed here: {str(error.stderr)[-300:]}")
    before = [path.read_bytes() for path in disks]
    words = ["report", *map(str, disks), "--target", "kvm-virtio", "--format", "json"]
    command = [sys.executable, "-m", "guestfix", *words]
    done = subprocess.run(command, capture_output=True, text=True, cwd=REPO, check=False)
    told = json.loads(done.stdout)
    system, step, codes = SAID[name]
    facts = {fact: one["value"] for fact, one in told["facts"].items()}
    assert f"{facts['os.id']} {facts['os.version']}" == system
    assert (told["walk"]["after"]["stops_at"] or "") == step
    blockers = {one["code"] for one in told["findings"] if one["severity"] == "blocker"}
    assert codes <= blockers and (done.returncode == 2) == bool(blockers), blockers
    assert [path.read_bytes() for path in disks] == before
