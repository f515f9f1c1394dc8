"""A Debian 12 that is given a package, scripts, a key for SSH and a login on its serial port, started twice."""

from __future__ import annotations

import hashlib
import json
import os
from pathlib import Path

import pytest

from guestfix.backends.status import usable
from tests.e2e import vm
from tests.e2e.calibration import guestfix
from tests.e2e.machine import started

pytestmark = pytest.mark.e2e

FILES = {
    "etc/fstab": f"UUID={vm.ROOT_UUID} / ext4 errors=remount-ro 0 1\n",
    "etc/network/interfaces": "auto lo ens192\niface lo inet loopback\niface ens192 inet dhcp\n",
    "etc/hostname": "first\n",
    "etc/default/grub": 'GRUB_DEFAULT=0\nGRUB_TIMEOUT=1\nGRUB_CMDLINE_LINUX=""\n',
    "boot/grub/grub.cfg": vm.grub_cfg("{release}", f"UUID={vm.ROOT_UUID}"),
}
SCRIPTS = {
    "20-told": ("title: Told\nargs: [one, 'two words']\n", 'echo "$2" >/root/told\nexit 7\n'),
    "30-slow": ("title: Slow\nseconds: 2\n", "sleep 600\n"),
}


def payload(folder: Path) -> Path:
    """Make a payload: a package with a script of its own, two scripts, and a key; returns the private key."""
    tree = folder / "package"
    (tree / "DEBIAN").mkdir(parents=True)
    control = "Package: guestfix-probe\nVersion: 1\nArchitecture: all\nMaintainer: none\nDescription: a probe\n"
    (tree / "DEBIAN/control").write_text(control)
    (tree / "DEBIAN/postinst").write_text("#!/bin/sh\ndate >>/root/installed\n")
    (tree / "DEBIAN/postinst").chmod(0o755)
    place = folder / "payload"
    place.mkdir()
    vm.run("dpkg-deb", "--build", "--root-owner-group", tree, place / "10-probe.deb")
    digest = hashlib.sha256((place / "10-probe.deb").read_bytes()).hexdigest()
    (place / "10-probe.yaml").write_text(f"systems: [debian]\nversions: ['12']\ntargets: ['kvm-*']\nsha256: {digest}\n")
    for name, (description, script) in SCRIPTS.items():
        (place / f"{name}.yaml").write_text(description)
        (place / f"{name}.sh").write_text(f"#!/bin/sh\n{script}")
    vm.run("ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", folder / "key")
    (place / "key.pub").write_bytes((folder / "key.pub").read_bytes())
    return folder / "key"


def test_what_was_brought_is_installed_once_and_its_outcome_is_told(tmp_path: Path) -> None:
    vm.need("qemu-system-x86_64", "dpkg-deb", "ssh", "ssh-keygen", "mke2fs", "sfdisk")
    if not usable("uml"):
        pytest.skip("User-mode Linux is not installed")
    disk = tmp_path / "guest.raw"
    vm.debian_disk(disk, FILES, tmp_path)
    with vm.mounted(disk, tmp_path / "mnt") as root:
        wants = root / "etc/systemd/system/getty.target.wants"
        (wants / "serial-getty@hvc0.service").symlink_to("/lib/systemd/system/serial-getty@.service")
    key = payload(tmp_path)
    words = ("--target", "kvm-virtio", "--payload", tmp_path / "payload", "--policy", "ssh_user=root")
    receipt = guestfix("apply", f"uml:{disk}", "--in-place", *words, "--format", "json")
    assert "payload/first-start" in json.dumps(receipt)
    assert guestfix("status", disk, "--format", "json")["first_start"] is None

    with started(disk, key, tmp_path / "console") as machine:
        outcome = machine.until("cat /var/lib/guestfix-payload/started/outcome", "finished")
        assert "finished" in outcome, (tmp_path / "console").read_text(errors="replace")[-3000:]
        failed = machine.ask("systemctl --failed --no-legend; systemctl list-jobs --no-legend")[1]
        assert machine.ask("systemctl is-active serial-getty@ttyS0.service")[1].strip() == "active"
        assert machine.ask("systemctl is-enabled serial-getty@hvc0.service")[1].strip() == "disabled"
        assert machine.ask("cat /root/told")[1] == "two words\n"
        assert machine.ask("stat -c '%a %U' /root/.ssh /root/.ssh/authorized_keys")[1] == "700 root\n600 root\n"
        assert machine.ask("dpkg-query -W -f '${Status}' guestfix-probe")[1] == "install ok installed"
        machine.ask("sync; poweroff")
    assert failed.strip() == "", failed
    assert "first login:" in (tmp_path / "console").read_text(errors="replace")
    told = guestfix("status", disk, "--format", "json")["first_start"]
    assert [(one["name"], one["code"]) for one in told["tasks"]] == [
        ("10-probe.deb", 0), ("20-told.sh", 7), ("30-slow.sh", -1)
    ]  # fmt: skip
    assert told["finished"] > told["started"]

    with started(disk, key, tmp_path / "console2") as machine:
        active = machine.until("systemctl is-system-running", "running")
        assert active.strip() == "running", active
        assert machine.ask("wc -l </root/installed")[1].strip() == "1"
        assert machine.ask("cat /var/lib/guestfix-payload/started/outcome")[1] == outcome
        machine.ask("sync; poweroff")
    kept = os.environ.get("GUESTFIX_KEEP")
    if kept:
        (Path(kept) / "first-start.json").write_text(json.dumps(told, indent=1))
