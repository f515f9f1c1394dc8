"""Guests that start after a migration, but not as they should: a wait, or a service that fails for what is old."""

from __future__ import annotations

import json
import os
import re
from pathlib import Path
from typing import Any

import pytest

from guestfix.backends.status import usable
from tests.build import debian
from tests.e2e import machine, vm
from tests.e2e.calibration import guestfix

pytestmark = pytest.mark.e2e

ABSENT = "6b1f1a52-8d0b-4f6e-9a57-0d6f6a1aaaaa"
STARTS = {
    "/etc/initramfs-tools/modules": f"{machine.OLD_DRIVERS}virtio_pci\nvirtio_blk\n",
    "/etc/fstab": f"UUID={vm.ROOT_UUID} / ext4 errors=remount-ro 0 1\n",
    "/boot/grub/grub.cfg": vm.grub_cfg("{release}", f"UUID={vm.ROOT_UUID}", "console=ttyS0"),
}
"""The target's drivers and no name of a disk, so that nothing but the fault in question is in the way."""

LAN = "auto lo\niface lo inet loopback\n"
DHCP = f"{LAN}allow-hotplug ens192\niface ens192 inet dhcp\n"
SEED = "/var/lib/cloud/seed/nocloud"
NETWORK = f"""version: 2
ethernets:
  ens192:
    match: {{macaddress: "{machine.OLD_MAC}"}}
    set-name: ens192
    dhcp4: true
"""
CLOUD = {
    f"{SEED}/meta-data": "instance-id: old-1\nlocal-hostname: debian\n",
    f"{SEED}/user-data": "#cloud-config\nlocale: false\n",
    f"{SEED}/network-config": NETWORK,
    "/etc/network/interfaces": f"{LAN}source /etc/network/interfaces.d/*\n",
}


def three(disk: Path, name: str) -> list[Any]:
    words = ("--target", "kvm-virtio", "--from", "vmware", "--before-and-after", "--format", "json")
    starts: list[Any] = guestfix("verify", disk, *words)["starts"]
    kept = os.environ.get("GUESTFIX_KEEP")
    if kept:
        (Path(kept) / f"{name}.json").write_text(json.dumps(starts, indent=1))
    vm.tell(name, *(f"{one['ending']}, {one['failed_units']}, {one['seconds']:.0f} s" for one in starts))
    return starts


def needed() -> None:
    vm.need("qemu-system-x86_64", "mke2fs", "sfdisk", "ssh", "ssh-keygen")
    if not usable("uml"):
        pytest.skip("User-mode Linux is not installed")
    if os.geteuid() != 0:
        pytest.skip("making the guest needs root")


def test_no_hibernation_volume_of_the_old_machine_is_waited_for(tmp_path: Path) -> None:
    needed()
    files = {
        **STARTS,
        "/etc/initramfs-tools/conf.d/resume": f"RESUME=UUID={ABSENT}\n",
        "/etc/network/interfaces": DHCP,
    }
    disk = tmp_path / "guest.raw"
    machine.old_guest(disk, tmp_path, debian.debootstrap(), files)
    before, after, reverted = three(disk, "hibernation")
    gave_up = "Gave up waiting for suspend/resume device"
    assert gave_up in before["console"]["text"] and gave_up in reverted["console"]["text"]
    assert gave_up not in after["console"]["text"] and after["ending"] == "reached", after["console"]["text"][-3000:]
    took = [time_of(one, "init") - time_of(one, "kernel") for one in (before, after)]
    assert took[0] > took[1] + 15, took


def time_of(start: Any, name: str) -> float:
    """Return the kernel's own time of the line that showed a sign, else when it was seen."""
    mark = next(one for one in start["marks"] if one["name"] == name)
    told = re.match(r"\[ *(\d+\.\d+)\]", mark["line"])
    return float(told[1]) if told else float(mark["seconds"])


def test_cloud_init_with_the_seed_of_the_old_machine_ends_without_a_failed_unit(tmp_path: Path) -> None:
    needed()
    disk = tmp_path / "guest.raw"
    key = machine.old_guest(disk, tmp_path, debian.with_packages(("cloud-init",)), {**STARTS, **CLOUD})
    with machine.started(disk, key, tmp_path / "console", machine.OLD) as guest:
        said = guest.until("cloud-init status --wait >/dev/null; cat /run/cloud-init/status.json", "modules-final")
        errors = [one for one in re.findall(r'"errors": \[(.*?)\]', said, re.DOTALL) if one.strip()]
        assert said and not errors, said
        guest.ask("cloud-init clean --logs; sync; poweroff")  # as before an image is made of it
    before, after, reverted = three(disk, "cloud-init")
    console = before["console"]["text"][-3000:]
    assert any("cloud-init" in one.lower() for one in before["failed_units"]), console
    assert any(one["name"] == "degraded" for one in before["marks"]), console
    assert after["ending"] == "reached", after["console"]["text"][-3000:]
    assert after["failed_units"] == [], after["console"]["text"][-3000:]
    assert "login" in [one["name"] for one in reverted["marks"]]
