"""What the settings of a BSD name by its hardware, beside its lists of disks and NICs."""

from __future__ import annotations

from pathlib import Path

import pytest

from guestfix.backends.directory import DirectoryGuest
from guestfix.pack.cache import load_pack
from guestfix.plan.planner import make_plan
from tests.build.tree import build

FREEBSD = {
    "bin/freebsd-version": '#!/bin/sh\nUSERLAND_VERSION="14.1-RELEASE"\n',
    "etc/rc.conf": 'ifconfig_em0="DHCP"\n',
}
OPENBSD = {
    "bsd": "",
    "etc/myname": "h.example\n",
    "etc/motd": "OpenBSD 7.4 (GENERIC.MP) #1397: Tue Oct 10 09:02:37 MDT 2023\n",
    "etc/hostname.em0": "inet 192.0.2.5/24\n",
}


def told(root: Path, files: dict[str, str], target: str = "kvm-virtio") -> list[tuple[str, int | None]]:
    build(root, files)
    plan = make_plan(DirectoryGuest(root), load_pack(), target)
    named = [one for one in plan.findings if one.code == "GF-OS-UNIX-NAMED"]
    assert all(one.evidence and one.summary for one in named)
    return [(one.evidence[0].path, one.evidence[0].line) for one in named]


@pytest.mark.parametrize(
    ("system", "path", "text", "lines"),
    [
        (FREEBSD, "boot/loader.conf", 'vfs.root.mountfrom="ufs:/dev/da0p2"\n', [1]),
        (FREEBSD, "boot/loader.conf", 'vfs.root.mountfrom="ufs:/dev/vtbd0p2"\n#/dev/da0p2\n', []),
        (FREEBSD, "boot/loader.conf", 'vfs.root.mountfrom="zfs:zroot/ROOT/default"\n', []),
        (FREEBSD, "boot/loader.conf", 'x="1"\ngeli_ada0p3_keyfile0_load="YES"\n', [2]),
        (FREEBSD, "etc/rc.conf.local", 'dumpdev="/dev/ada0p3"\n', [1]),
        (FREEBSD, "etc/rc.conf.local", 'geli_devices="da1p1 ada2s1"\n', [1]),
        (FREEBSD, "etc/rc.conf.local", 'dumpdev="AUTO"\nsshd_enable="YES"\n', []),
        (FREEBSD, "etc/rc.conf.local", 'ifconfig_lagg0="laggproto lacp laggport em0"\n', [1]),
        (FREEBSD, "etc/pf.conf", 'ext_if="em0" # em0\n# em0\nint_if="em00"\nx="rem0te"\n', [1]),
        (FREEBSD, "etc/jail.conf", "www {\n  interface = em0;\n}\n", [2]),
        (OPENBSD, "etc/pf.conf", "pass on em0\npass on vio0\n", [1]),
        (OPENBSD, "etc/hostname.trunk0", "trunkproto lacp trunkport em0\ninet 192.0.2.5/24\n", [1]),
        (OPENBSD, "etc/hostname.vlan7", "parent em0 vnetid 7\n", [1]),
        (OPENBSD, "etc/hostname.bridge0", "add vio0\n", []),
    ],
)
def test_a_setting_that_names_old_hardware_is_told_with_its_line(
    tmp_path: Path, system: dict[str, str], path: str, text: str, lines: list[int]
) -> None:
    assert told(tmp_path, {**system, path: text}) == [(f"/{path}", number) for number in lines]


def test_nothing_is_told_where_the_target_has_the_same_hardware(tmp_path: Path) -> None:
    files = {**FREEBSD, "etc/pf.conf": 'ext_if="em0"\n', "boot/loader.conf": 'vfs.root.mountfrom="ufs:/dev/ada0p2"\n'}
    assert told(tmp_path, files, "kvm-sata") == []


def test_many_lines_are_told_of_a_few_times(tmp_path: Path) -> None:
    assert len(told(tmp_path, {**FREEBSD, "etc/pf.conf": "pass on em0\n" * 500})) == 16


def test_a_disk_by_its_serial_number_is_told(tmp_path: Path) -> None:
    build(tmp_path, {**FREEBSD, "etc/fstab": "/dev/diskid/DISK-1p2 / ufs rw 1 1\n/dev/gptid/1 /x ufs rw 2 2\n"})
    found = make_plan(DirectoryGuest(tmp_path), load_pack(), "kvm-virtio").findings
    assert [one.evidence[0].line for one in found if one.code == "GF-FSTAB-UNIX-DEVICE"] == [1]
