from __future__ import annotations

import json
import os
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from guestfix.backends.directory import open_directory
from guestfix.base.facts import Facts, Finding, Unknown, plain
from guestfix.base.guest import Disk, Disks, Volume
from guestfix.detect.storage import disks as detect_disks
from guestfix.detect.storage import fstab as detect_fstab
from guestfix.pack.model import Target
from tests.build.corpus import corpus_params
from tests.build.facts import told
from tests.build.tree import build

TARGET = Target("t", "T")
SDA = Disk(
    "/dev/sda",
    partitions=(
        Volume("/dev/sda1", fstype="vfat", uuid="AB-12", partuuid="p1", label="EFI"),
        Volume("/dev/sda2", ("/dev/disk/by-id/x-part2",), fstype="LVM2_member", uuid="pv", partuuid="p2"),
    ),
)
ROOT = Volume("/dev/mapper/vg-root", ("/dev/vg/root",), fstype="xfs", uuid="r-uuid")


def detect(tmp_path: Path, files: dict[str, object], disks: Disks | None = None) -> tuple[Facts, list[Finding]]:
    guest = open_directory(str(build(tmp_path, {"etc/os-release": "ID=x\n", **files})), disks)
    facts = Facts()
    facts.put("os.family", "linux")
    findings = detect_disks.detect(guest, facts, TARGET)
    return facts, findings + detect_fstab.detect(guest, facts, TARGET)


def test_disks_become_tables(tmp_path: Path) -> None:
    facts, findings = detect(tmp_path, {"etc/fstab": ""}, Disks((SDA,), (ROOT,)))
    assert findings == []
    assert facts.value("disks.known") is True
    assert facts.value("disks.complete") is True
    assert facts.value("disks.uuid_by_device") == {
        "/dev/sda1": "UUID=AB-12",
        "/dev/sda2": "UUID=pv",
        "/dev/disk/by-id/x-part2": "UUID=pv",
        "/dev/mapper/vg-root": "UUID=r-uuid",
        "/dev/vg/root": "UUID=r-uuid",
        "/dev/disk/by-id/dm-name-vg-root": "UUID=r-uuid",
        "/dev/disk/by-id/lvm-pv-uuid-pv": "UUID=pv",
        "/dev/disk/by-id/*-part1": "UUID=AB-12",
        "/dev/disk/by-path/*-part1": "UUID=AB-12",
        "/dev/disk/by-id/*-part2": "UUID=pv",
        "/dev/disk/by-path/*-part2": "UUID=pv",
    }
    assert facts.value("disks.fstype_by_spec")["UUID=r-uuid"] == "xfs"
    assert facts.value("disks.partuuid_by_device")["/dev/sda1"] == "PARTUUID=p1"
    assert {"LABEL=EFI", "PARTUUID=p2", "UUID=AB-12", "/dev/vg/root"} <= set(facts.value("disks.specs"))


def test_no_description_is_no_knowledge(tmp_path: Path) -> None:
    facts, _ = detect(tmp_path, {"etc/fstab": ""})
    assert facts.value("disks.known") is False
    assert facts.value("disks.complete") is False
    assert facts.value("disks.uuid_by_device") == {}
    assert facts.value("disks.specs") == []


@pytest.mark.parametrize(("kind", "complete"), [("LVM2_member", False), (None, False), ("ext4", True)])
def test_a_description_without_volumes_may_lack_some(tmp_path: Path, kind: str | None, complete: bool) -> None:
    disks = Disks((Disk("/dev/sda", partitions=(Volume("/dev/sda1", fstype=kind),)),))
    facts, _ = detect(tmp_path, {"etc/fstab": ""}, disks)
    assert facts.value("disks.complete") is complete


@pytest.mark.parametrize(("key", "tagged"), [("uuid", True), ("label", True), ("partuuid", True), ("size", False)])
def test_a_partition_of_which_only_the_name_is_known_may_answer_to_any_tag(
    tmp_path: Path, key: str, tagged: bool
) -> None:
    part = Volume("/dev/sda1", **{key: 1 if key == "size" else "x"})
    facts, _ = detect(tmp_path, {"etc/fstab": ""}, Disks((Disk("/dev/sda", partitions=(part,)),)))
    assert facts.value("disks.tagged") is tagged


def test_with_two_disks_a_by_id_name_could_be_either(tmp_path: Path) -> None:
    facts, _ = detect(tmp_path, {"etc/fstab": ""}, Disks((SDA, Disk("/dev/sdb"))))
    assert not any("*" in name for name in facts.value("disks.uuid_by_device"))


def test_one_uuid_on_two_volumes_names_neither(tmp_path: Path) -> None:
    parts = tuple(
        Volume(f"/dev/sda{n}", fstype="xfs", uuid="u", partuuid=f"p{n}" if n < 3 else None) for n in (1, 2, 3)
    )
    facts, findings = detect(tmp_path, {"etc/fstab": ""}, Disks((Disk("/dev/sda", partitions=parts), Disk("/dev/sdb"))))
    assert facts.value("disks.uuid_by_device") == {"/dev/sda1": "PARTUUID=p1", "/dev/sda2": "PARTUUID=p2"}
    assert [finding.code for finding in findings] == ["GF-DISK-UUID-TWICE"]


def test_members_of_one_btrfs_share_its_uuid(tmp_path: Path) -> None:
    parts = tuple(Volume(f"/dev/sda{n}", fstype="btrfs", uuid="u") for n in (1, 2))
    facts, findings = detect(tmp_path, {"etc/fstab": ""}, Disks((Disk("/dev/sda", partitions=parts),)))
    assert facts.value("disks.uuid_by_device")["/dev/sda2"] == "UUID=u"
    assert findings == []


def test_entries_are_facts(tmp_path: Path) -> None:
    facts, findings = detect(tmp_path, {"etc/fstab": b"# x\nLABEL=a\\040b /\xff xfs ro 0 1\nnonsense\n"})
    assert told(facts, "fstab.entries") == [
        {"spec": "LABEL=a b", "mount": "/\\xff", "type": "xfs", "options": "ro", "dump": 0, "pass": 1, "line": 2}
    ]
    assert findings == []


@pytest.mark.parametrize(
    ("files", "init"),
    [
        ({"sbin/init": ("link", "../lib/systemd/systemd")}, "systemd"),
        ({"sbin/init": ("link", "/usr/lib/systemd/systemd"), "sbin/mountall": ""}, "systemd"),
        ({"sbin/init": "", "sbin/mountall": "", "etc/systemd/system": None}, "mountall"),
        ({"etc/inittab": "", "usr/lib/systemd/systemd": ""}, "sysv"),
        ({"sbin/openrc-run": "", "etc/inittab": ""}, "openrc"),
        ({"etc/systemd/system": None}, "systemd"),
        ({}, "unknown"),
    ],
)
def test_init(tmp_path: Path, files: dict[str, object], init: str) -> None:
    facts, _ = detect(tmp_path, {"etc/fstab": "", **files})
    assert facts.value("fstab.init") == init


def test_a_missing_table_is_said(tmp_path: Path) -> None:
    facts, findings = detect(tmp_path, {})
    assert told(facts, "fstab.entries") == []
    assert [(finding.code, finding.severity) for finding in findings] == [("GF-FSTAB-MISSING", "info")]


@pytest.mark.parametrize(
    "content",
    [
        ("link", "fstab"),
        None,
        b"U2FsdGVkX18TrSLuiOpj\nrghudrAMr8JDq7ul\n",
        b"\0" * 100,
        b"x" * (detect_fstab.LIMIT + 1),
    ],
)
def test_a_table_that_cannot_be_read_blocks(tmp_path: Path, content: object) -> None:
    facts, findings = detect(tmp_path, {"etc/fstab": content})
    assert isinstance(facts["fstab.entries"].value, Unknown)
    (finding,) = findings
    assert (finding.code, finding.severity) == ("GF-FSTAB-UNREADABLE", "blocker")
    assert finding.remedy


def test_a_fifo_is_not_opened(tmp_path: Path) -> None:
    build(tmp_path, {"etc/os-release": ""})
    os.mkfifo(tmp_path / "etc/fstab")
    _, findings = detect(tmp_path, {})
    assert [finding.code for finding in findings] == ["GF-FSTAB-UNREADABLE"]


def test_a_table_of_the_nix_store_is_read_and_said_to_be_made_anew(tmp_path: Path) -> None:
    store = "nix/store/0abc-etc-fstab"
    files = {
        "etc/fstab": ("link", "/etc/static/fstab"),
        "etc/static": ("link", "/nix/store/0abc-etc/etc"),
        "nix/store/0abc-etc/etc/fstab": ("link", f"/{store}"),
        store: "LABEL=nixos / ext4\n",
    }
    facts, findings = detect(tmp_path, files)
    assert [entry["spec"] for entry in told(facts, "fstab.entries")] == ["LABEL=nixos"]
    assert [(finding.code, finding.evidence[0].path) for finding in findings] == [("GF-FSTAB-GENERATED", f"/{store}")]


def test_a_link_stays_in_the_guest(tmp_path: Path) -> None:
    outside = tmp_path / "outside"
    outside.write_text("/dev/sda1 /host ext4\n")
    files = {"etc/fstab": ("link", str(outside)), str(outside).lstrip("/"): "/dev/sda1 /guest ext4\n"}
    facts, _ = detect(tmp_path / "root", files)
    assert [entry["mount"] for entry in told(facts, "fstab.entries")] == ["/guest"]


@pytest.mark.parametrize(
    ("table", "codes"),
    [
        ("/dev/sda1 /a xfs\n/dev/sdb1 /a/ xfs\n", [("GF-FSTAB-MOUNT-TWICE", "warning")]),
        ("LABEL=x / xfs\n/dev/sdb1 / xfs\n", [("GF-FSTAB-MOUNT-TWICE", "blocker")]),
        ("UUID=ab-12 /a vfat\n/dev/sda1 /b vfat\n", [("GF-FSTAB-VOLUME-TWICE", "warning")]),
        ("/dev/vg/root /a xfs\n/dev/mapper/vg-root /b xfs\n", [("GF-FSTAB-VOLUME-TWICE", "warning")]),
        ("UUID=1 / btrfs subvol=@\nUUID=1 /home btrfs subvol=@home\n", []),
        ("/dev/sr0 /a udf noauto\n/dev/sr0 /b iso9660 noauto\n", []),
        ("none /p proc\nnone /s sysfs\ntmpfs /t tmpfs\ntmpfs /u tmpfs\n", []),
        ("/a /b none bind\n/a /c none bind\n/dev/sda1 none swap\n/dev/sdb1 none swap\n", []),
        ("LABEL=x /data xfs logdev=/dev/sdb1\n", [("GF-FSTAB-DEVICE-IN-OPTIONS", "warning")]),
        ("LABEL=x /data xfs logdev=/dev/mapper/log\n", []),
    ],
)
def test_findings(tmp_path: Path, table: str, codes: list[tuple[str, str]]) -> None:
    _, findings = detect(tmp_path, {"etc/fstab": table}, Disks((SDA,), (ROOT,)))
    assert [(finding.code, finding.severity) for finding in findings] == codes
    assert all(item.line for finding in findings for item in finding.evidence)


def test_other_families_have_no_fstab_facts(tmp_path: Path) -> None:
    guest = open_directory(str(build(tmp_path, {"Windows/x": ""})))
    facts = Facts()
    facts.put("os.family", "windows")
    assert detect_fstab.detect(guest, facts, TARGET) == []
    assert "fstab.entries" not in facts


@given(src=st.binary(max_size=300))
@settings(max_examples=100, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_any_bytes(tmp_path: Path, src: bytes) -> None:
    (tmp_path / "etc").mkdir(exist_ok=True)
    (tmp_path / "etc/fstab").write_bytes(src)
    facts, _ = detect(tmp_path, {})
    value = facts["fstab.entries"].value
    assert isinstance(value, Unknown) or json.dumps(plain(value)).encode().decode()


@pytest.mark.parametrize("path", corpus_params("fstab"))
def test_corpus(path: Path, tmp_path: Path) -> None:
    facts, findings = detect(tmp_path, {"etc/fstab": path.read_bytes()}, Disks((SDA,), (ROOT,)))
    encrypted = path.read_bytes().startswith(b"U2FsdGVk")
    assert any(finding.code == "GF-FSTAB-UNREADABLE" for finding in findings) is encrypted
    assert isinstance(facts["fstab.entries"].value, Unknown) is encrypted


OVERLAY = (
    "overlay /etc overlay defaults,lowerdir=/sysroot/etc,upperdir=/sysroot/var/lib/overlay/1/etc,"
    "workdir=/sysroot/w 0 0\n"
)


@pytest.mark.parametrize(
    ("names", "outcome"), [(("fstab", "hostname"), "unknown"), (("hostname",), ""), ((), None)]
)  # fmt: skip
def test_an_overlay_on_etc_hides_the_files_beneath(tmp_path: Path, names: tuple[str, ...], outcome: str | None) -> None:
    upper = {f"var/lib/overlay/1/etc/{name}": "x\n" for name in names}
    _, findings = detect(tmp_path, {"etc/fstab": "UUID=1 / btrfs ro 0 0\n" + OVERLAY, "var/lib/x": "", **upper})
    found = [one for one in findings if one.code == "GF-FSTAB-ETC-OVERLAY"]
    assert [one.outcome for one in found] == ([] if outcome is None else [outcome])
    assert not found or (found[0].evidence[0].line == 2 and names[0] in found[0].summary)
