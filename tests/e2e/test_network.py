"""A Debian guest with a static address on ens192 takes a DHCP lease on a virtio NIC after apply, for each stack.

The guest is booted by QEMU with its own kernel and initramfs, which renames the NIC before the root's udev sees
it: the harder way round for names.
"""

from __future__ import annotations

import re
import shutil
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

import pytest

from tests.build import debian
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


def disk_of(root: Path, disk: Path, nics: Sequence[str] = ("mac=52:54:00:12:34:56",)) -> list[str]:
    """Make a disk that is one ext4 filesystem, and return QEMU's arguments to boot its kernel with these NICs."""
    release = vm.kernel_of(root)
    kernel, initrd = disk.with_suffix(".kernel"), disk.with_suffix(".initrd")
    shutil.copy(root / f"boot/vmlinuz-{release}", kernel)
    shutil.copy(root / f"boot/initrd.img-{release}", initrd)
    vm.run("mke2fs", "-q", "-t", "ext4", "-d", root, disk, "2500M")
    args = ["-kernel", str(kernel), "-initrd", str(initrd), "-append", "root=/dev/vda ro console=ttyS0 quiet"]
    for number, nic in enumerate(nics):
        args += ["-netdev", f"user,id=net{number}", "-device", f"virtio-net-pci,netdev=net{number},{nic}"]
    return args


def apply(root: Path, *words: object) -> None:
    command = [sys.executable, "-m", "guestfix", "apply", str(root), "--only", "network/*", "--target", "kvm-virtio"]
    done = subprocess.run([*command, *map(str, words)], capture_output=True, text=True, cwd=ROOT, check=False)
    assert done.returncode == 0, done.stdout + done.stderr


def start(disk: Path, more: list[str]) -> str:
    boot = vm.boot(disk, [END], timeout=900, bus="virtio-blk", more=more)
    assert boot.seen, f"no end in time:\n{boot.text[-3000:]}"
    assert "LINK" in boot.text
    return boot.text


@pytest.mark.parametrize("stack", list(STACKS))
def test_takes_a_lease_after_apply(stack: str, tmp_path: Path) -> None:
    vm.need("qemu-system-x86_64", "mke2fs")
    root = guest(tmp_path / "root", stack)
    apply(root)
    more = disk_of(root, tmp_path / "disk.raw")
    shutil.rmtree(root)
    text = start(tmp_path / "disk.raw", more)
    found = LEASE.search(text)
    assert found, text[-3000:]
    # ifupdown works by name and keeps it; the others' profiles take the NIC under whatever name it has
    assert (found[1] == "ens192") is stack.startswith("ifupdown"), text[-3000:]
    vm.tell(stack, "dhcp", "one", f"{found[1]} has 10.0.2.15/24 by DHCP")


@pytest.mark.parametrize("stack", ["ifupdown", "netplan", "networkmanager"])
def test_takes_none_before(stack: str, tmp_path: Path) -> None:
    vm.need("qemu-system-x86_64", "mke2fs")
    root = guest(tmp_path / "root", stack)
    text = start(tmp_path / "disk.raw", disk_of(root, tmp_path / "disk.raw"))
    assert not re.search(r"PROBE \d+: (?!lo)", text), text[-3000:]
    vm.tell(stack, "not applied", "one", "no address")


TWO = ("mac=52:54:00:12:34:56,addr=0x8", "mac=52:54:00:12:34:57,addr=0x9")
PAIR = LO + (
    "\nauto ens192\niface ens192 inet static\n  address 192.0.2.10/24\n"
    "\nauto ens224\niface ens224 inet static\n  address 198.51.100.10/24\n"
)


def test_preserve_gives_the_names_by_the_map(tmp_path: Path) -> None:
    """Each address is where the map says, though the NICs come up in the other order."""
    vm.need("qemu-system-x86_64", "mke2fs")
    root = guest(tmp_path / "root", "ifupdown")
    (root / "etc/network/interfaces").write_text(PAIR)
    table = tmp_path / "map.yaml"
    table.write_text('ens192: "52:54:00:12:34:57"\nens224: ens8\n')
    apply(root, "--policy", "network=preserve", "--network-map", table)
    text = start(tmp_path / "disk.raw", disk_of(root, tmp_path / "disk.raw", TWO))
    assert re.search(r"PROBE \d+: ens192 +inet 192\.0\.2\.10/24", text), text[-3000:]
    assert re.search(r"PROBE \d+: ens224 +inet 198\.51\.100\.10/24", text), text[-3000:]
    assert re.search(r"LINK \d+: ens192: .*52:54:00:12:34:57", text), text[-3000:]
    assert re.search(r"LINK \d+: ens224: .*52:54:00:12:34:56", text), text[-3000:]
    vm.tell("ifupdown", "preserve, with a map", "two, crossed", "ens192 and ens224 as mapped, addresses kept")


def test_dhcp_first_gives_the_names_by_order(tmp_path: Path) -> None:
    """The NIC with the default route takes a lease, the other keeps its address; matched by old MACs before."""
    vm.need("qemu-system-x86_64", "mke2fs")
    root = guest(tmp_path / "root", "netplan")
    both = "".join(
        f"    lan{n}:\n      match: {{macaddress: '00:50:56:aa:bb:c{n}'}}\n      set-name: lan{n}\n"
        f"      addresses: [{address}]\n"
        for n, address in enumerate(("192.0.2.10/24", "198.51.100.10/24"))
    )
    route = "      routes: [{to: default, via: 192.0.2.1}]\n"
    text = f"network:\n  version: 2\n  ethernets:\n{both}".replace("24]\n", f"24]\n{route}", 1)
    (root / "etc/netplan/01-netcfg.yaml").write_text(text)
    apply(root, "--policy", "network=dhcp-first")
    text = start(tmp_path / "disk.raw", disk_of(root, tmp_path / "disk.raw", TWO))
    found = LEASE.search(text)
    assert found and found[1] == "lan0", text[-3000:]
    assert re.search(r"PROBE \d+: lan1 +inet 198\.51\.100\.10/24", text), text[-3000:]
    assert re.search(r"LINK \d+: lan0: .*52:54:00:12:34:56", text), text[-3000:]
    vm.tell("netplan", "dhcp-first", "two", "lan0 has 10.0.2.15/24 by DHCP, lan1 keeps its address")
