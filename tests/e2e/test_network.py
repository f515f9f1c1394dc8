"""A Debian guest with a static address on ens192 takes a DHCP lease on a virtio NIC after apply, for each stack.

The guest is booted by QEMU with its own kernel and initramfs, which renames the NIC before the root's udev sees
it: the harder way round for names.
"""

from __future__ import annotations

import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from tests import debian
from tests.e2e import vm

pytestmark = pytest.mark.e2e

ROOT = Path(__file__).resolve().parents[2]
INCLUDE = f"{debian.INCLUDE},dbus,libpam-systemd,network-manager,netplan.io,iproute2"
END = "PROBE-END"
LEASE = re.compile(r"PROBE \d+: (\S+) +inet 10\.0\.2\.15/24")
SCRIPT = f"""#!/bin/sh
for n in $(seq 90); do
    ip -4 -o addr show scope global dynamic | grep -q inet && break
    sleep 1
done
exec > /dev/ttyS0
ip -4 -o addr show scope global | sed 's/^/PROBE /'
ip -o link | sed 's/^/LINK /'
sed 's/^/RESOLV /' /etc/resolv.conf
echo {END}
"""
PROBE = """[Unit]
Description=Say what address there is
After=multi-user.target

[Service]
Type=oneshot
ExecStart=/bin/sh /root/probe
"""
GETTY = "etc/systemd/system/serial-getty@ttyS0.service"
"""Masked in the guest: its hang-up of the terminal cuts the probe's lines short."""

NM_LINK = "etc/systemd/system/multi-user.target.wants/NetworkManager.service"
LO = "auto lo\niface lo inet loopback\n"
STACKS = {
    "ifupdown": {
        "etc/network/interfaces": LO + "\nallow-hotplug ens192\niface ens192 inet static\n  address 192.0.2.10/24\n"
        "  gateway 192.0.2.1\n  dns-nameservers 192.0.2.53\n",
        "etc/udev/rules.d/70-persistent-net.rules": 'SUBSYSTEM=="net", ACTION=="add", '
        'ATTR{address}=="00:50:56:aa:bb:cc", NAME="ens192"\n',
    },
    "ifupdown-auto": {
        "etc/network/interfaces": LO + "\nauto ens192\niface ens192 inet static\n  address 192.0.2.10\n"
        "  netmask 255.255.255.0\n  gateway 192.0.2.1\n",
    },
    "netplan": {
        "etc/network/interfaces": LO,
        "etc/netplan/01-netcfg.yaml": "network:\n  version: 2\n  renderer: networkd\n  ethernets:\n    ens192:\n"
        "      match:\n        macaddress: 00:50:56:aa:bb:cc\n      set-name: ens192\n"
        "      addresses: [192.0.2.10/24]\n      gateway4: 192.0.2.1\n",
    },
    "networkmanager": {
        "etc/network/interfaces": LO,
        "etc/NetworkManager/conf.d/server.conf": "[main]\nno-auto-default=*\n",
        "etc/NetworkManager/system-connections/ens192.nmconnection": "[connection]\nid=ens192\n"
        "uuid=0f2a0d7c-26c1-4a5e-9a3c-4b7a2a7d7a10\ntype=ethernet\ninterface-name=ens192\n\n[ethernet]\n"
        "mac-address=00:50:56:AA:BB:CC\n\n[ipv4]\naddress1=192.0.2.10/24,192.0.2.1\nmethod=manual\n",
    },
    "networkd": {
        "etc/network/interfaces": LO,
        "etc/systemd/network/lan.network": "[Match]\nName=ens192\n\n[Network]\nAddress=192.0.2.10/24\n"
        "Gateway=192.0.2.1\n",
    },
}


def guest(root: Path, stack: str) -> Path:
    debian.unpack(debian.debootstrap(include=INCLUDE), root)
    files = {**STACKS[stack], "etc/systemd/system/probe.service": PROBE}
    files |= {"root/probe": SCRIPT, "etc/fstab": "/dev/vda / ext4 defaults 0 1\n"}
    for name, text in files.items():
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
        if name.endswith(".nmconnection"):
            path.chmod(0o600)
    wants = root / "etc/systemd/system/multi-user.target.wants"
    (wants / "probe.service").symlink_to("/etc/systemd/system/probe.service")
    (root / GETTY).symlink_to("/dev/null")
    if stack != "networkmanager":
        (root / NM_LINK).unlink()
    return root


def disk_of(root: Path, disk: Path) -> list[str]:
    """Make a disk that is one ext4 filesystem, and return QEMU's arguments to boot its kernel with a NIC."""
    release = vm.kernel_of(root)
    kernel, initrd = disk.with_suffix(".kernel"), disk.with_suffix(".initrd")
    shutil.copy(root / f"boot/vmlinuz-{release}", kernel)
    shutil.copy(root / f"boot/initrd.img-{release}", initrd)
    vm.run("mke2fs", "-q", "-t", "ext4", "-d", root, disk, "2500M")
    return [
        *("-kernel", str(kernel), "-initrd", str(initrd), "-append", "root=/dev/vda ro console=ttyS0 quiet"),
        *("-netdev", "user,id=net0", "-device", "virtio-net-pci,netdev=net0,mac=52:54:00:12:34:56"),
    ]


def apply(root: Path) -> None:
    command = [sys.executable, "-m", "guestfix", "apply", str(root), "--only", "network/*", "--target", "kvm-virtio"]
    done = subprocess.run(command, capture_output=True, text=True, cwd=ROOT, check=False)
    assert done.returncode == 0, done.stdout + done.stderr


@pytest.mark.parametrize("stack", list(STACKS))
def test_takes_a_lease_after_apply(stack: str, tmp_path: Path) -> None:
    vm.need("qemu-system-x86_64", "mke2fs")
    root = guest(tmp_path / "root", stack)
    apply(root)
    more = disk_of(root, tmp_path / "disk.raw")
    shutil.rmtree(root)
    boot = vm.boot(tmp_path / "disk.raw", [END], timeout=900, bus="virtio-blk", more=more)
    assert boot.seen, f"no end in time:\n{boot.text[-3000:]}"
    found = LEASE.search(boot.text)
    assert found, boot.text[-3000:]
    # ifupdown works by name and keeps it; the others' profiles take the NIC under whatever name it has
    assert (found[1] == "ens192") is stack.startswith("ifupdown"), boot.text[-3000:]


def test_takes_none_before(tmp_path: Path) -> None:
    vm.need("qemu-system-x86_64", "mke2fs")
    root = guest(tmp_path / "root", "ifupdown")
    more = disk_of(root, tmp_path / "disk.raw")
    boot = vm.boot(tmp_path / "disk.raw", [END], timeout=900, bus="virtio-blk", more=more)
    assert boot.seen, f"no end in time:\n{boot.text[-3000:]}"
    assert "LINK" in boot.text
    assert not LEASE.search(boot.text), boot.text[-3000:]
