"""Where cloud-init looks for what a platform says, and what it has of the old one."""

from __future__ import annotations

from pathlib import Path

import pytest

from guestfix.backends.directory import DirectoryGuest
from guestfix.base.catalog.facts.boot import BOOT_DEFAULT
from guestfix.base.facts import Facts, Finding
from guestfix.detect.services import cloudinit
from guestfix.pack.cache import load_pack
from tests.build.facts import menu_entry
from tests.build.tree import build

PACK = load_pack()
DS = {"usr/lib/cloud-init/ds-identify": "#!/bin/sh\n", "usr/bin/cloud-init": "x", "etc/cloud/cloud.cfg": "a: 1\n"}
OLDER = {"usr/bin/cloud-init": "x", "etc/cloud/cloud.cfg": "a: 1\n"}
LAST = "etc/cloud/cloud.cfg.d/99.cfg"
NOT_FOUND = "policy: search,found=all,notfound=enabled\n"
LISTED = "etc/cloud/cloud.cfg.d/90_dpkg.cfg"


def look(root: Path, files: dict[str, object], target: str = "gce", args: tuple[str, ...] = ()):
    facts = Facts()
    facts.put("network.cloud_init", "enabled")
    if args:
        facts.put(BOOT_DEFAULT, menu_entry(path="/boot/grub/grub.cfg", line=3, args=args))
    guest = DirectoryGuest(str(build(root, {"etc/hostname": "x\n", **files})))
    found: list[Finding] = cloudinit.detect(guest, facts, PACK.targets[target])
    return facts, found


FITS = [
    ("no list, by sign", DS, True),
    ("no list, each in turn", OLDER, False),
    ("an excerpt without programs", {"etc/cloud/cloud.cfg": "a: 1\n"}, True),
    ("its own", {**DS, LISTED: "datasource_list: [ GCE ]\n"}, True),
    ("in small letters", {**DS, LISTED: "datasource_list: [gce]\n"}, True),
    ("another", {**DS, LISTED: "datasource_list: [ Azure, None ]\n"}, False),
    ("among all", {**DS, LISTED: "datasource_list: [ NoCloud, Azure, GCE, None ]\n"}, True),
    ("among all, each in turn", {**OLDER, LISTED: "datasource_list: [ Ec2, GCE, None ]\n"}, False),
    ("with local ones, each in turn", {**OLDER, LISTED: "datasource_list: [ NoCloud, GCE, None ]\n"}, True),
    ("none", {**OLDER, LISTED: "datasource_list: [None]\n"}, True),
    ("the last file wins", {**DS, LISTED: "datasource_list: [Azure]\n", LAST: "datasource_list: [GCE]"}, True),
    ("the last one wins again", {**DS, LISTED: "datasource_list: [GCE]\n", LAST: "datasource_list: [Azure]"}, False),
    ("another name is no drop-in", {**DS, f"{LISTED}.bak": "datasource_list: [Azure]\n"}, True),
    ("it goes on where nothing is found", {**DS, "etc/cloud/ds-identify.cfg": NOT_FOUND}, False),
    ("what is no YAML", {**DS, LISTED: "datasource_list: [Azure\n"}, True),
    ("what is no list", {**DS, LISTED: "datasource_list: Azure\n"}, True),
]  # fmt: skip


@pytest.mark.parametrize(("files", "fits"), [one[1:] for one in FITS], ids=[one[0] for one in FITS])
def test_whether_it_finds_the_targets_and_waits_for_no_other(files, fits, tmp_path):
    facts, found = look(tmp_path, files)
    assert facts.value("cloudinit.fits") is fits
    assert [one.code for one in found] == ["GF-CLOUD-INIT-SOURCES"] * (not fits)
    assert all(one.evidence for one in found)


def test_without_cloud_init_nothing_is_known(tmp_path):
    facts = Facts()
    facts.put("network.cloud_init", "disabled")
    assert cloudinit.detect(DirectoryGuest(str(build(tmp_path, OLDER))), facts, PACK.targets["gce"]) == []
    assert not facts.knows("cloudinit.fits")


ARGUMENTS = [
    (("ds=nocloud;s=http://x/",), "kvm-virtio", []),
    (("ds=nocloud-net",), "proxmox", []),
    (("ds=nocloud",), "gce", ["ds=nocloud"]),
    (("ci.ds=Azure", "ci.datasource=Ec2"), "azure", ["ci.datasource=Ec2"]),
    (("ds=", "ds", "cloud-init=disabled", "xds=Azure"), "gce", []),
]


@pytest.mark.parametrize(("args", "target", "old"), ARGUMENTS)
def test_arguments_that_settle_on_another(args, target, old, tmp_path):
    facts, found = look(tmp_path, DS, target, args)
    assert facts.value("cloudinit.old_arguments") == old and bool(found) == bool(old)


def test_ds_identify_settles_on_another(tmp_path):
    facts, found = look(tmp_path / "a", {**DS, "etc/cloud/ds-identify.cfg": "# datasource: GCE\ndatasource: Azure\n"})
    assert facts.value("cloudinit.forced") == "Azure" and found[0].evidence[0].line == 2
    facts, found = look(tmp_path / "b", {**DS, "etc/cloud/ds-identify.cfg": "datasource: GCE\n"})
    assert facts.value("cloudinit.forced") == "" and found == []


SEED = {"var/lib/cloud/seed/nocloud/meta-data": "a", "var/lib/cloud/seed/nocloud/network-config": "version: 2\n"}
NETWORKS = [
    ({"etc/cloud/cloud.cfg.d/50.cfg": "a: 1\nnetwork:\n  version: 1\n"}, ["/etc/cloud/cloud.cfg.d/50.cfg"]),
    ({"etc/cloud/cloud.cfg.d/50.cfg": "network: {config: disabled}\n"}, []),
    ({"etc/cloud/cloud.cfg.d/50.cfg": 'network: { "config": "disabled" }\n'}, []),
    ({"etc/cloud/cloud.cfg.d/50.cfg": "network:\n  config: disabled\n"}, []),
    ({"etc/cloud/cloud.cfg.d/50.cfg": "system_info:\n  network:\n    renderers: [eni]\n"}, []),
    (SEED, ["/var/lib/cloud/seed/nocloud/network-config"]),
    ({"var/lib/cloud/seed/nocloud/meta-data": "a"}, []),
]


@pytest.mark.parametrize(("files", "places"), NETWORKS)
def test_a_network_of_the_guests_own_files(files, places, tmp_path):
    assert look(tmp_path, {**DS, **files})[0].value("cloudinit.network_places") == places


def test_names_that_nobody_could_print_are_none(tmp_path):
    facts, _ = look(tmp_path, {**DS, LISTED: 'datasource_list: ["a\\0b", [Azure], "\\xe9", GCE]\n'})
    assert facts.value("cloudinit.data_sources") == ["GCE"]


MODULES = "cloud_init_modules:\n - set-hostname\n - [ssh, always]\n - update_etc_hosts\n - apt_configure\n"
APT = {"etc/apt/sources.list": ""}


@pytest.mark.parametrize(
    ("last", "files", "rewrites"),
    [
        ("", APT, ["the host name", "SSH host keys", "apt's sources"]),
        ("", {}, ["the host name", "SSH host keys"]),
        ("manage_etc_hosts: localhost\npreserve_hostname: true\nssh_deletekeys: 0\n", {}, ["/etc/hosts"]),
        ("preserve_hostname: false\nssh_deletekeys: 'no'\napt_preserve_sources_list: on\n", APT, ["the host name"]),
        ("preserve_hostname: yes\nssh_deletekeys: no\napt:\n  preserve_sources_list: true\n", APT, []),
        ("preserve_hostname: yes\nssh_deletekeys: no\napt: {preserve_sources_list: true}\n", APT, []),
        ("# preserve_hostname: yes\nssh_deletekeys: no\n#apt: {preserve_sources_list: true}\n", {}, ["the host name"]),
    ],
)
def test_what_a_new_instance_writes(last, files, rewrites, tmp_path):
    given = {**DS, "etc/cloud/cloud.cfg": MODULES, LAST: last, **files}
    facts, found = look(tmp_path, given)
    assert facts.value("cloudinit.rewrites") == rewrites
    assert [one.code for one in found] == ["GF-CLOUD-INIT-REWRITES"][: len(rewrites)]
    assert look(tmp_path / "b", {**DS, **files})[0].value("cloudinit.rewrites") == []


def test_a_seed_and_the_nics_that_it_names(tmp_path):
    network = "version: 1\nconfig:\n- {type: physical, name: eth0, mac_address: 52:54:00:AA:00:01}\n"
    facts, found = look(tmp_path, {**DS, **SEED, "var/lib/cloud/seed/nocloud/network-config": network})
    assert facts.value("cloudinit.old_nics") == ["52:54:00:aa:00:01"]
    assert facts.evidence("cloudinit.old_nics")[0].line == 3
    assert facts.value("cloudinit.seeds") == ["/var/lib/cloud/seed/nocloud"]
    assert [one.code for one in found] == ["GF-CLOUD-INIT-SEED"]


AZURE = """#cloud-config
disk_setup:
  ephemeral0: {table_type: gpt, layout: [100], overwrite: True}
fs_setup:
  - {device: ephemeral0.1, filesystem: ext4}
mounts:
  - [ephemeral0, /mnt, auto, defaults]
"""
MADE = "disk_setup:\n  /dev/%s: {overwrite: true}\n"
MOUNTED = "mounts:\n- [/dev/sdb1, /data]\n- [UUID=1, /b]\n- [vdb, /c]\n"
BY_CLOUD = "fs_setup: [{device: /dev/disk/azure/scsi1/lun0-part1}]\n"
ODD = "mounts: /dev/sdb1\nfs_setup: 7\ndisk_setup: [x]\nsystem_info: []\n"
DISKS = [
    ("azure's own, elsewhere", AZURE, "gce", [("info", "ephemeral0, ephemeral0.1", [3, 5, 7])]),
    ("azure's own, where there is such a disk", AZURE, "openstack", []),
    ("a data disk is made anew", MADE % "sdc", "kvm-virtio", [("warning", "/dev/sdc", [2])]),
    ("by the target's own kind", MADE % "vdb", "kvm-virtio", [("warning", "/dev/vdb", [2])]),
    ("a filesystem", "fs_setup:\n- label: x\n  device: xvdb\n", "aws-nitro", [("warning", "xvdb", [3])]),
    ("by a cloud's name", BY_CLOUD, "gce", [("warning", "lun0-part1", [1])]),
    ("mounted", MOUNTED, "kvm-virtio", [("warning", "/dev/sdb1", [2])]),
    ("mounted by its name", "mounts: [[/dev/vdb1, /data], [LABEL=x, /y]]\n", "kvm-virtio", []),
    ("both", f"{MADE % 'sdb'}{MOUNTED}", "kvm-virtio", [("warning", "/dev/sdb", [2]), ("warning", "/dev/sdb1", [4])]),
    ("by label", "fs_setup: [{device: /dev/disk/by-label/x}]\nmounts: []\n", "gce", []),
    ("a module's name alone", "cloud_config_modules:\n - mounts\n - disk_setup\n", "gce", []),
    ("what is no YAML", "mounts: [[/dev/sdb1\n", "kvm-virtio", []),
    ("what is no list", ODD, "kvm-virtio", []),
]


@pytest.mark.parametrize(("text", "target", "told"), [one[1:] for one in DISKS], ids=[one[0] for one in DISKS])
def test_disks_that_the_target_has_not_by_that_name(text, target, told, tmp_path):
    _, found = look(tmp_path, {**DS, LAST: text}, target)
    found = [one for one in found if one.code == "GF-CLOUD-INIT-DISKS"]
    said = [(one.severity, [place.line for place in one.evidence]) for one in found]
    assert said == [(severity, lines) for severity, _, lines in told]
    assert all(one[1] in other.summary for one, other in zip(told, found, strict=True)), found


RENDERERS = [
    ("['sysconfig', 'network-manager']", "ifupdown", True),
    ('\n    - sysconfig\n    - "network-manager"\n  x: 1', "ifupdown", True),
    ("\n      - eni\n      - sysconfig", "ifupdown", False),
    ("[eni]", "ifupdown", False),
    ("[sysconfig]", "ifcfg-suse", False),
    ("[netplan]", "networkmanager", True),
    ("[other]", "netplan", False),
    ("[]", "netplan", False),
    ("[eni]", "", False),
]


@pytest.mark.parametrize(("listed", "stack", "told"), RENDERERS)
@pytest.mark.parametrize("state", ["enabled", "network-disabled"])
def test_renderers_that_the_guest_does_not_read(listed, stack, told, state, tmp_path):
    facts = Facts()
    facts.put("network.cloud_init", state)
    facts.put("network.stack", stack)
    text = f"system_info:\n  network:\n    renderers: {listed}\n"
    guest = DirectoryGuest(str(build(tmp_path, {**DS, LAST: text})))
    found = [one for one in cloudinit.detect(guest, facts, PACK.targets["gce"]) if one.code == "GF-CLOUD-INIT-RENDERER"]
    lines = [place.line for one in found for place in one.evidence]
    assert lines == [3 + (listed[0] == "\n")] * (told and state == "enabled")
