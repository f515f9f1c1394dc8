"""What the guest's clock goes by, and which of it the target does not have."""

from __future__ import annotations

import time
from pathlib import Path

import pytest

from guestfix.backends.directory import DirectoryGuest
from guestfix.base.catalog.facts.boot import BOOT_DEFAULT
from guestfix.base.facts import Facts, Finding
from guestfix.base.record import replace
from guestfix.detect.services import timesync
from guestfix.pack.cache import load_pack
from tests.build.facts import menu_entry
from tests.build.tree import build

PACK = load_pack()
UDEV = {"lib/udev/rules.d/50-udev-default.rules": 'ATTR{clock_name}=="hyperv", SYMLINK += "ptp_hyperv"\n'}


def look(root: Path, files: dict[str, object], target: str, args: tuple[str, ...] = ()) -> tuple[Facts, list[Finding]]:
    facts = Facts()
    if args:
        facts.put(BOOT_DEFAULT, menu_entry(path="/boot/grub/grub.cfg", line=3, args=args))
    guest = DirectoryGuest(str(build(root, {"etc/hostname": "x\n", **files})))
    return facts, timesync.detect(guest, facts, replace(PACK.targets[target], tables=PACK.tables))


CHRONY = "etc/chrony/chrony.conf"
OLD = [
    ({CHRONY: "server 169.254.169.123\n"}, "gce", ["169.254.169.123"]),
    ({CHRONY: "server 169.254.169.123\n"}, "aws-xen", []),
    ({"etc/chrony.d/a.sources": "server fd00:ec2::123\n"}, "azure", ["fd00:ec2::123"]),
    ({"etc/chrony.conf": "server Metadata.Google.Internal\n"}, "aws-nitro", ["Metadata.Google.Internal"]),
    ({"etc/ntp.conf": "server 169.254.169.254\n"}, "kvm-virtio", ["169.254.169.254"]),
    ({"etc/ntp.conf": "server 169.254.169.254\n"}, "gce", []),
    ({"etc/ntpsec/ntp.conf": "pool ntp7.cloud.aliyuncs.com\n"}, "kvm-virtio", ["ntp7.cloud.aliyuncs.com"]),
    ({CHRONY: "refclock PHC /dev/ptp_hyperv\n"}, "azure", []),
    ({CHRONY: "refclock PHC /dev/ptp_kvm\n"}, "proxmox", []),
    ({CHRONY: "refclock PHC /dev/ptp_kvm\n"}, "vmware", ["/dev/ptp_kvm"]),
    ({CHRONY: "refclock PHC /dev/ptp0\n"}, "kvm-virtio", ["/dev/ptp0"]),
    ({CHRONY: "refclock PHC /dev/ptp0\n", "etc/modules": "ptp_kvm\n"}, "kvm-virtio", []),
    ({CHRONY: "refclock PHC /dev/ptp0\n", "etc/modules": "# ptp_kvm\n"}, "kvm-virtio", ["/dev/ptp0"]),
    ({CHRONY: "refclock PHC /dev/ptp0\n"}, "azure", []),
    ({CHRONY: "refclock PHC /dev/ptp0\n", **UDEV}, "azure", ["/dev/ptp0"]),
    ({CHRONY: "refclock PHC /dev/pps0\nrefclock SHM 0\npool time.aws.com\n"}, "kvm-virtio", []),
]


@pytest.mark.parametrize(("files", "target", "old"), OLD)
def test_what_the_target_does_not_have_is_old(files, target, old, tmp_path):
    facts, found = look(tmp_path, files, target)
    assert facts.value("time.old_sources") == old
    assert [one.code for one in found] == ["GF-TIME-SOURCE-OLD"] * bool(old)
    assert all(one.evidence[0].line == 1 for one in found)


def test_the_hosts_clock_is_named_only_where_udev_does(tmp_path):
    assert look(tmp_path / "a", {CHRONY: "server a\n", **UDEV}, "azure")[0].value("time.device") == "/dev/ptp_hyperv"
    assert look(tmp_path / "b", {CHRONY: "server a\n"}, "azure")[0].value("time.device") == ""
    assert look(tmp_path / "c", {CHRONY: "server a\n", **UDEV}, "vmware")[0].value("time.device") == ""


LEFT = [
    ({CHRONY: "server 169.254.169.123\nserver a\n"}, ["a"]),
    ({CHRONY: "server 169.254.169.123\n", "etc/ntp/step-tickers": "a\n"}, []),
    ({"etc/systemd/timesyncd.conf": "[Time]\nNTP=169.254.169.123\n"}, [timesync.BUILT_IN]),
    ({"etc/systemd/timesyncd.conf.d/a.conf": "[Time]\nNTP=b\nFallbackNTP=169.254.169.123\n"}, ["b"]),
]


@pytest.mark.parametrize(("files", "left"), LEFT)
def test_what_is_left(files, left, tmp_path):
    assert look(tmp_path, files, "kvm-virtio")[0].value("time.other_sources") == left


def test_arguments_for_a_hypervisors_clock_are_told(tmp_path):
    words = ("ro", "clocksource=kvm-clock", "tsc=reliable", "notsc", "tsc=nowatchdog", "clock", "divider=10")
    found = look(tmp_path, {}, "vmware", words)[1]
    assert [one.evidence[0].text for one in found] == ["clocksource=kvm-clock", "tsc=reliable", "notsc", "divider=10"]
    assert {one.code for one in found} == {"GF-TIME-CLOCKSOURCE"}


def test_a_guest_of_many_sources_takes_no_longer_than_one_of_some(tmp_path):
    line = "server 169.254.169.123\n" * 200
    files = {f"etc/chrony/conf.d/{number}.conf": line for number in range(60)}
    began = time.process_time()
    facts, _ = look(tmp_path, files, "gce")
    assert facts.value("time.old_sources") == ["169.254.169.123"] and time.process_time() - began < 5
