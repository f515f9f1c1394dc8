"""A folder in which the examples of help texts can be run as they are printed."""

from __future__ import annotations

import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from tests.build.images import debian, have
from tests.build.uml_guests import ROOT_UUID, ext4_image
from tests.build.windows import SELECT, hive

FSTAB = f"UUID={ROOT_UUID} / ext4 errors=remount-ro 0 1\n//nas/share /srv/share cifs credentials=/root/c 0 0\n"
INVENTORY = "guests:\n  - name: guest\n    disks: [guest]\n"
SERVICES = '[ControlSet001\\Services\\disk]\n"Start"=dword:00000000\n'


def guestfix(here: Path, *words: str) -> str:
    command = [sys.executable, "-m", "guestfix", *words]
    done = subprocess.run(command, cwd=here, capture_output=True, text=True, env={"PYTHONPATH": ":".join(sys.path)})
    assert done.returncode == 0, done.stdout[-2000:] + done.stderr
    return done.stdout


def place_for(here: Path) -> Path:
    """Make what the examples name: a guest, its disk image, a saved plan, a hive, a pack, a key, an inventory."""
    if not have("mke2fs", "sfdisk", "qemu-img"):
        pytest.skip("mke2fs, sfdisk or qemu-img is not installed")
    debian(here / "guest", FSTAB, extra=False)
    (here / "image").mkdir()
    ext4_image(here / "guest", here / "image").rename(here / "disk.qcow2")
    shutil.rmtree(here / "image")
    (here / "plan.json").write_text(guestfix(here, "report", "guest", "--target", "aws-nitro", "--format", "json"))
    for name in ("old.json", "new.json"):
        (here / name).write_text(guestfix(here, "compat", "list", "--format", "json"))
    (here / "SYSTEM").write_bytes(hive(SELECT + SERVICES, "SYSTEM"))
    (here / "inventory.yaml").write_text(INVENTORY)
    guestfix(here, "rules", "new", "fix", "mounts/no-shares", "--pack", "acme")
    guestfix(here, "test", "acme", "--bless")
    if shutil.which("ssh-keygen"):
        _sign(here)
    return here


def _sign(here: Path) -> None:
    subprocess.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-C", "", "-f", here / "key"], check=True)
    (here / "allowed_signers").write_text(f"admin@example.org {(here / 'key.pub').read_text()}")
    guestfix(here, "plan", "sign", "plan.json", "--key", "key")
    guestfix(here, "rules", "sign", "acme", "--key", "key")
