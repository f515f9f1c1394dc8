"""Guests that were read from their disks: what is not there is told for certain, and what can't be told blocks."""

from __future__ import annotations

from pathlib import Path

import pytest

from guestfix.backends.directory import DirectoryGuest
from guestfix.base.guest import Disk, Disks, Stat, Volume
from guestfix.base.record import replace
from guestfix.pack.cache import load_pack
from guestfix.plan.model import Plan
from guestfix.plan.planner import Options, make_plan
from tests.build.initramfs import RELEASE, archive, guest_files, inside
from tests.build.tree import build

ROOT = "5cb2a1d6-6bde-4d51-8c39-3a1f1fb2a5a1"
DRIVERS = ("virtio", "virtio_ring", "virtio_pci", "virtio_blk", "scsi_mod", "sd_mod")
CFG = "boot/grub/grub.cfg"
WANTS, UNITS = "etc/systemd/system/multi-user.target.wants", "usr/lib/systemd/system"
LAN = "etc/systemd/network/lan.network"


def menu(root: str = f"root=UUID={ROOT}", kernel: str = f"/boot/vmlinuz-{RELEASE}", extra: str = "") -> str:
    body = f" linux {kernel} {root} ro console=ttyS0 {extra}\n initrd /boot/initrd.img-{RELEASE}\n"
    return f"set timeout=1\nmenuentry 'x' --id x {{\n{body}}}\n"


def unit(name: str) -> dict[str, object]:
    return {f"{UNITS}/{name}": "", f"{WANTS}/{name}": ("link", f"/{UNITS}/{name}")}


HEALTHY: dict[str, object] = {
    **guest_files(archive(inside(DRIVERS))),
    "etc/os-release": 'ID=debian\nVERSION_ID="12"\n',
    "etc/fstab": f"UUID={ROOT} / ext4 defaults 0 1\n",
    CFG: menu(),
    "boot/grub/i386-pc/core.img": "x",
    "usr/sbin/init": "",
    "sbin/init": "",
    "usr/sbin/sshd": "",
    "etc/ssh/sshd_config": "Port 22\n",
    "etc/ssh/ssh_host_ed25519_key": "x",
    "etc/passwd": "root:x:0:0::/root:/bin/sh\n",
    "etc/shadow": "root:$6$x$yz:19000:0:99999:7:::\n",
    "root/.ssh/authorized_keys": "ssh-ed25519 AAAA x\n",
    LAN: "[Match]\nName=e*\n[Network]\nDHCP=yes\n",
    "usr/lib/udev/rules.d/80-net-setup-link.rules": "",
    f"{UNITS}/getty@.service": "",
    f"{UNITS}/serial-getty@.service": "",
    "usr/lib/systemd/system-generators/systemd-getty-generator": "",
    **{f"usr/bin/tool{at}": "" for at in range(45)},
    **unit("ssh.service"),
    **unit("systemd-networkd.service"),
}
PART = Volume("/dev/sda1", fstype="ext4", uuid=ROOT)
OTHER = Volume("/dev/sda2", fstype="ext4", uuid="11111111-aaaa-4bbb-8ccc-000000000001")


class Whole(DirectoryGuest):
    """A tree that stands for a guest whose disks were read; ``boot`` is in the first sector of its only one."""

    parts: tuple[Volume, ...] = (PART,)
    boot, table = "grub", "mbr"

    def disks(self) -> Disks:
        return Disks(
            (Disk("/dev/sda", table=self.table, partitions=self.parts, boot=self.boot),), read=True, root="/dev/sda1"
        )

    def stat(self, path: str, *, follow: bool = True) -> Stat | None:
        found = super().stat(path, follow=follow)
        return replace(found, device=2 if path == "/srv" else 1) if found else None


def plan_of(tmp_path: Path, change: dict[str, object], gone: tuple[str, ...] = (), *, options: Options | None = None,
            kind: type[DirectoryGuest] = Whole, target: str = "kvm-virtio", **attributes: object) -> Plan:  # fmt: skip
    files = {name: data for name, data in {**HEALTHY, **change}.items() if not name.startswith(gone or ("//",))}
    guest = kind(str(build(tmp_path / "g", files)))
    for name, value in attributes.items():
        setattr(guest, name, value)
    return make_plan(guest, load_pack(), target, options)


def test_a_healthy_one_passes_everywhere(tmp_path: Path) -> None:
    plan = plan_of(tmp_path, {})
    assert {one.id: one.outcome for one in plan.walk.after.steps} == dict.fromkeys(
        ("firmware", "loader", "entry", "kernel", "initramfs", "root", "mounts", "network", "access"), "passes"
    )
    assert not plan.blockers


GONE = {
    "no menu": ({}, (CFG,), "loader", "GF-BOOT-NO-CONFIG"),
    "no folder of GRUB": ({}, ("boot/grub",), "loader", "GF-BOOT-NO-CONFIG"),
    "an empty menu": ({CFG: "set timeout=1\n"}, (), "entry", "GF-BOOT-DEFAULT-UNKNOWN"),
    "a menu of comments": ({CFG: "# nothing\n"}, (), "entry", "GF-BOOT-DEFAULT-UNKNOWN"),
    "no kernel": ({}, (f"boot/vmlinuz-{RELEASE}",), "kernel", "GF-KERNEL-IMAGE-MISSING"),
    "another kernel's name": ({CFG: menu(kernel="/boot/vmlinuz-9")}, (), "kernel", "GF-KERNEL-IMAGE-MISSING"),
}


@pytest.mark.parametrize("name", GONE)
def test_what_is_gone_stops_the_boot(tmp_path: Path, name: str) -> None:
    change, gone, step, code = GONE[name]
    plan = plan_of(tmp_path, change, gone, options=Options(skip=("boot/default-entry",)))
    assert plan.walk.before.stops_at == step and plan.walk.after.stops_at == step
    (found,) = [one for one in plan.findings if one.code == code]
    assert found.outcome == "stops" and found.evidence and found.remedy
    assert {one.code for one in plan.findings if one.code.startswith("GF-UNTOLD")} == set()


@pytest.mark.parametrize("name", GONE)
def test_of_a_tree_nothing_is_said_to_be_gone(tmp_path: Path, name: str) -> None:
    change, gone, step, _ = GONE[name]
    plan = plan_of(tmp_path, change, gone, kind=DirectoryGuest)
    after = {one.id: one.outcome for one in plan.walk.after.steps}
    assert after[step] in ("unknown", "passes") and not plan.blockers


@pytest.mark.parametrize("name", GONE)
def test_nor_where_a_filesystem_was_not_looked_at(tmp_path: Path, name: str) -> None:
    change, gone, step, _ = GONE[name]
    plan = plan_of(tmp_path, change, gone, parts=(PART, OTHER))
    after = {one.id: one.outcome for one in plan.walk.after.steps}
    if name != "another kernel's name":  # boot/default-entry finds none, or mends it
        assert after[step] == "unknown"
        assert [one.code for one in plan.blockers] == [f"GF-UNTOLD-{step.upper()}"]


def test_a_filesystem_that_is_mounted_was_looked_at(tmp_path: Path) -> None:
    fstab = f"{HEALTHY['etc/fstab']}UUID={OTHER.uuid} /srv ext4 nofail 0 2\n"
    plan = plan_of(tmp_path, {"etc/fstab": fstab, "srv/x": ""}, (CFG,), parts=(PART, OTHER))
    assert plan.walk.after.stops_at == "loader"
    plan = plan_of(
        tmp_path / "b", {"etc/fstab": fstab.replace("/srv", "/opt"), "opt/x": ""}, (CFG,), parts=(PART, OTHER)
    )
    assert plan.walk.after.stops_at is None and [one.code for one in plan.blockers] == ["GF-UNTOLD-LOADER"]


UNTOLD = {
    "boot code that is no GRUB's, and no menu": ({}, (CFG,), {"boot": "other"}, "firmware"),
    "nothing to boot by": (
        {}, (CFG, "boot/", "lib", "usr/lib/modules"), {"boot": "none"}, None,
    ),
    "a kernel, and nothing that loads it": ({}, ("boot/grub",), {"boot": "none"}, "firmware"),
    "an initramfs of another form": ({f"boot/initrd.img-{RELEASE}": b"hsqs" + bytes(60)}, (), {}, "initramfs"),
    "an image inside": ({f"boot/initrd.img-{RELEASE}": archive({"squash-root.img": "x"})}, (), {}, "initramfs"),
    "a variable that nobody sets": ({CFG: menu("root=$where")}, (), {}, "root"),
    "a variable that GRUB leaves": ({CFG: menu("'root=$where'")}, (), {}, "root"),
    "a menu whose default is no Linux": ({CFG: "menuentry 'w' {\n chainloader +1\n}\n"}, (), {}, "entry"),
    "no root=, and no GPT": ({CFG: menu("quiet")}, (), {}, "root"),
    "no root=, and GPT": ({CFG: menu("quiet")}, (), {"table": "gpt"}, None),
    "a root on the network": ({CFG: menu("root=nbd:192.0.2.1:x")}, (), {}, None),
    "a label that two have": (
        {CFG: menu("root=LABEL=r")}, (),
        {"parts": (replace(PART, label="r"), replace(OTHER, label="r"))}, None,
    ),
}  # fmt: skip


@pytest.mark.parametrize("name", UNTOLD)
def test_what_is_vital_and_not_told_blocks_until_it_is_accepted(tmp_path: Path, name: str) -> None:
    change, gone, attributes, step = UNTOLD[name]
    plan = plan_of(tmp_path / "a", change, gone, **attributes)
    codes = [one.code for one in plan.blockers]
    if step is None:
        assert not [one for one in codes if one.startswith("GF-UNTOLD")]
        return
    code = f"GF-UNTOLD-{step.upper()}"
    assert codes == [code]
    (found,) = [one for one in plan.findings if one.code == code]
    assert found.evidence and found.remedy and found.step == step and found.outcome == "unknown"
    assert next(one for one in plan.walk.after.steps if one.id == step).outcome == "unknown"
    accepted = plan_of(tmp_path / "b", change, gone, options=Options(accept=(code,)), **attributes)
    assert not accepted.blockers and code in {one.code for one in accepted.findings}
    part = plan_of(tmp_path / "c", change, gone, options=Options(only=("fstab/*",)), **attributes)
    assert not part.blockers
    assert not plan_of(tmp_path / "d", change, gone, kind=DirectoryGuest).blockers


NETWORK: dict[str, tuple[dict[str, object], tuple[str, ...], str, str]] = {
    "networkd is off": ({}, (f"{WANTS}/systemd-networkd",), "kvm-virtio", "GF-NETWORK-SERVICE-OFF"),
    "networkd is off, and a script asks": (
        {"etc/rc.local": "#!/bin/sh\ndhclient eth0\n"}, (f"{WANTS}/systemd-networkd",), "kvm-virtio", ""),
    "networkd is off, and NetworkManager on": (
        unit("NetworkManager.service"), (f"{WANTS}/systemd-networkd",), "kvm-virtio", ""),
    "networkd is off, and cloud-init on": (
        {"etc/cloud/cloud.cfg": "x: 1\n"}, (f"{WANTS}/systemd-networkd",), "kvm-virtio", ""),
    "VMware's slot": ({LAN: "[Match]\nName=ens192\n[Network]\nDHCP=yes\n"}, (), "kvm-virtio", "GF-NETWORK-NAME-GONE"),
    "VMware's slot on VMware": ({LAN: "[Match]\nName=ens192\n[Network]\nDHCP=yes\n"}, (), "vmware", ""),
    "a slot of any": ({LAN: "[Match]\nName=ens3\n[Network]\nDHCP=yes\n"}, (), "kvm-virtio", ""),
    "the old address": (
        {LAN: "[Match]\nName=enx525400112233\n[Network]\nDHCP=yes\n"}, (), "kvm-virtio", "GF-NETWORK-NAME-GONE"),
    "the kernel's name": ({LAN: "[Match]\nName=eth0\n[Network]\nDHCP=yes\n"}, (), "kvm-virtio", "GF-NETWORK-NAME-GONE"),
    "the kernel's name, and it stays": (
        {LAN: "[Match]\nName=eth0\n[Network]\nDHCP=yes\n", CFG: menu(extra="net.ifnames=0")}, (), "kvm-virtio", ""),
    "the kernel's name by a link": (
        {LAN: "[Match]\nName=eth0\n[Network]\nDHCP=yes\n",
         "etc/systemd/network/1.link": "[Match]\nType=ether\n[Link]\nName=eth0\n"}, (), "kvm-virtio", ""),
    "one of two": (
        {LAN: "[Match]\nName=ens192\n[Network]\nDHCP=yes\n",
         "etc/systemd/network/x.network": "[Match]\nName=ens3\n[Network]\nDHCP=yes\n"}, (), "kvm-virtio", ""),
    "NetworkManager takes any": (
        {LAN: "", **unit("NetworkManager.service"), "etc/NetworkManager/system-connections/x.nmconnection":
         "[connection]\nid=x\ntype=ethernet\ninterface-name=ens192\n[ipv4]\nmethod=auto\n"},
        (LAN, f"{WANTS}/systemd-networkd"), "kvm-virtio", ""),
    "a static address": (
        {LAN: "[Match]\nName=e*\n[Network]\nAddress=192.0.2.9/24\nGateway=192.0.2.1\n"}, (), "kvm-virtio", ""),
}  # fmt: skip


@pytest.mark.parametrize("name", NETWORK)
def test_a_nic_that_nobody_sets_up_is_told_and_mended(tmp_path: Path, name: str) -> None:
    change, gone, target, code = NETWORK[name]
    plan = plan_of(tmp_path / "a", change, gone, target=target)
    before = next(one for one in plan.walk.before.steps if one.id == "network")
    assert (before.outcome == "stops") == bool(code), before.because
    assert next(one for one in plan.walk.after.steps if one.id == "network").outcome != "stops"
    kept = plan_of(tmp_path / "b", change, gone, target=target, options=Options(policies={"network": "none"}))
    if code and code != "GF-NETWORK-SERVICE-OFF":
        assert code in {one.code for one in kept.blockers}
    tree = plan_of(tmp_path / "c", change, gone, target=target, kind=DirectoryGuest)
    assert next(one for one in tree.walk.before.steps if one.id == "network").outcome != "stops"


ACCESS = {
    "SSH is on": ({}, (), "kvm-virtio", "passes", ""),
    "SSH is off": ({}, (f"{WANTS}/ssh",), "kvm-virtio", "stops", "GF-SSH-DISABLED"),
    "SSH is masked": (
        {"etc/systemd/system/ssh.service": ("link", "/dev/null")}, (f"{WANTS}/ssh",), "kvm-virtio", "stops",
        "GF-SSH-DISABLED"),
    "none, and a serial login": (
        {}, (f"{WANTS}/ssh", f"{UNITS}/ssh", "usr/sbin/sshd"), "kvm-virtio", "passes", "GF-SSH-MISSING"),
    "none, and no serial login": (
        {CFG: menu(extra="systemd.getty_auto=no")}, (f"{WANTS}/ssh", f"{UNITS}/ssh", "usr/sbin/sshd"), "kvm-virtio",
        "stops", "GF-SSH-MISSING"),
    "none, and no serial port": (
        {}, (f"{WANTS}/ssh", f"{UNITS}/ssh", "usr/sbin/sshd"), "vmware", "stops", "GF-SSH-MISSING"),
}  # fmt: skip


@pytest.mark.parametrize("name", ACCESS)
def test_a_guest_that_nobody_reaches_is_told_and_never_blocked(tmp_path: Path, name: str) -> None:
    change, gone, target, outcome, code = ACCESS[name]
    plan = plan_of(tmp_path / "a", change, gone, target=target)
    step = plan.walk.after.steps[-1]
    assert (step.id, step.outcome) == ("access", outcome), step.because
    told = [one for one in plan.findings if one.code.startswith("GF-SSH-")]
    assert [(one.code, one.severity) for one in told] == ([(code, "warning")] if code else [])
    assert not [one for one in plan.blockers if one.step == "access"]
    tree = plan_of(tmp_path / "b", change, gone, target=target, kind=DirectoryGuest)
    assert tree.walk.after.steps[-1].outcome in ("passes", "unknown")
