"""Kinds of disks, volumes and mounts that kept guests from booting: what a plan says of them, and what it leaves."""

from __future__ import annotations

import pytest

from guestfix.backends import open_guest
from guestfix.formats.initramfs.compress import compress
from guestfix.pack.cache import load_pack
from guestfix.plan.planner import make_plan
from tests.build.boots import SWAP, UUID, plan_of, repaired
from tests.build.initramfs import RELEASE, archive, guest_files, inside
from tests.build.tree import build

GONE = "99999999-0000-4000-8000-000000000009"
DISKS = f"""disks:
  - device: /dev/sda
    partitions:
      - {{device: /dev/sda1, fstype: swap, uuid: {SWAP}, label: "", partuuid: "", partlabel: ""}}
      - {{device: /dev/sda2, fstype: ext4, uuid: {UUID}, label: one, partuuid: "", partlabel: ""}}
"""
LVM = f"""disks:
  - device: /dev/sda
    partitions:
      - {{device: /dev/sda1, fstype: ext4, uuid: aaaa1111-0000-4000-8000-000000000008, label: "", partuuid: ""}}
      - {{device: /dev/sda2, fstype: LVM2_member, uuid: AAAAAA-bbbb-cccc-dddd-eeee-ffff-gggggg}}
volumes:
  - {{device: /dev/mapper/vg-root, fstype: ext4, uuid: {UUID}, label: ""}}
"""
SYSTEMD = {"sbin/init": ("link", "../usr/lib/systemd/systemd"), "usr/lib/systemd/systemd": "x"}
ON_LVM = {"args": "root=/dev/mapper/vg-root ro", "table": "/dev/mapper/vg-root / ext4 defaults 0 1\n", "disks": LVM}


def image(generator: str = "initramfs-tools", **more: object) -> bytes:
    made = inside(("nvme_core", "nvme"), generator) | {"etc/cmdline.d/95root.conf": ""}
    return compress("gzip", archive(made | more))  # type: ignore[arg-type]


def guest(
    place, initrd: bytes = b"", args: str = f"root=UUID={UUID} ro", table: str = "", disks: str = DISKS, **more: object
):
    """Return the repaired guest of these parts; ``table`` is what stands in fstab besides the root."""
    entry = f"menuentry 'a' {{\n\tlinux /boot/vmlinuz-{RELEASE} {args}\n\tinitrd /boot/initrd.img-{RELEASE}\n}}\n"
    known = guest_files(initrd or image()) | SYSTEMD
    known["boot/grub/grub.cfg"] = "set default=0\nset timeout=5\n" + entry
    known["etc/fstab"] = table if " / " in table else f"UUID={UUID} / ext4 defaults 0 1\n{table}"
    known = {path: text for path, text in (known | more).items() if text is not None}
    made = repaired(place / "g", known, "aws-nitro", disks)
    assert not made.again.changes
    return made


# baked into the initramfs

ARGUMENTS = "etc/cmdline.d/9.conf"
CRYPT = f"x UUID={GONE} none luks\n"
BAKED = {
    "a LUKS volume of dracut's arguments": ("dracut", ARGUMENTS, f" rd.luks.uuid=luks-{GONE} \n", " ", "stops", {}),
    "a group of dracut's arguments": (
        "dracut",
        ARGUMENTS,
        " rd.lvm.vg=old rd.lvm.lv=vg/root\n",
        "rd.lvm.lv=vg/root",
        "stops",
        ON_LVM,
    ),
    "a map of multipath's own name": (
        "dracut",
        ARGUMENTS,
        " resume=/dev/mapper/sysdisk1\n",
        f"resume=UUID={SWAP}",
        "waits",
        {"table": "/dev/mapper/sysdisk1 none swap sw 0 0\n", "etc/multipath/bindings": "sysdisk 3600a098\n"},
    ),
    "a line of crypttab": ("dracut", "etc/crypttab", CRYPT, "# guestfix: its disk did not", "waits", {}),
    "a line of initramfs-tools' crypttab": ("initramfs-tools", "cryptroot/crypttab", CRYPT, "# guestfix:", "stops", {}),
    "a line of old initramfs-tools' cryptroot": (
        "initramfs-tools",
        "conf/conf.d/cryptroot",
        f"target=a,source=/dev/sda1,rootdev\ntarget=b,source=UUID={GONE}\n",
        f"target=a,source=/dev/disk/by-uuid/{SWAP},rootdev\n",
        "stops",
        {},
    ),
    "a data disk of fstab": ("dracut", "etc/fstab", f"UUID={GONE} /sysroot/srv ext4 ro 0 0\n", "# guest", "stops", {}),
    "resume by UUID": ("initramfs-tools", "conf/conf.d/resume", f"RESUME=UUID={GONE}\n", "RESUME=none", "waits", {}),
    "a waiting hook": (
        "dracut",
        "var/lib/dracut/hooks/initqueue/finished/devexists-x.sh",
        f'[ -e "/dev/disk/by-uuid/{GONE}" ]\n',
        ":",
        "stops",
        {},
    ),
}  # fmt: skip


@pytest.mark.parametrize("name", BAKED)
def test_a_copy_in_the_initramfs_of_what_did_not_come_along(tmp_path, name):
    generator, path, before, after, outcome, more = BAKED[name]
    made = guest(tmp_path, image(generator, **{path: before}), **more)
    assert made.image(f"boot/initrd.img-{RELEASE}").files[path].decode().lstrip().startswith(after.strip())
    assert made.step("initramfs", after=False) == outcome and made.step("initramfs") == "passes"


def test_lvm_in_the_initramfs_uses_all_disks_where_its_devices_file_has_the_old_ones(tmp_path):
    path = "etc/lvm/devices/system.devices"
    old = "VERSION=1.1.1\nIDTYPE=sys_wwid IDNAME=naa.6000c29d DEVNAME=/dev/sda2 PVID=AAAAAAbbbb PART=2\n"
    made = guest(tmp_path / "a", image("dracut", **{path: old}), **ON_LVM)
    assert made.image(f"boot/initrd.img-{RELEASE}").entries[path].target == "guestfix-uses-all-disks"
    assert made.step("initramfs", after=False) == "stops" and made.step("initramfs") == "passes"
    lasts = old.replace("sys_wwid IDNAME=naa.6000c29d", "crypt_uuid IDNAME=CRYPT-LUKS2-1")
    made = guest(tmp_path / "b", image("dracut", **{path: lasts}), **ON_LVM)
    assert made.image(f"boot/initrd.img-{RELEASE}").files[path].decode() == lasts


def test_an_initramfs_that_mounts_usr_from_a_lost_disk_blocks(tmp_path):
    made = image("dracut", **{"etc/fstab": f"UUID={GONE} /sysroot/usr ext4 ro 0 0\n"})
    plan = guest_plan(tmp_path, made)
    (told,) = [one for one in plan.blockers if one.code == "GF-INITRAMFS-STORED-UNKNOWN"]
    assert "attach the disk" in told.remedy and plan.walk.after.stops_at == "initramfs"


def guest_plan(place, initrd: bytes, args: str = f"root=UUID={UUID} ro"):
    known = guest_files(initrd) | SYSTEMD | {"etc/fstab": f"UUID={UUID} / ext4 defaults 0 1\n"}
    entry = f"menuentry 'a' {{\n\tlinux /boot/vmlinuz-{RELEASE} {args}\n\tinitrd /boot/initrd.img-{RELEASE}\n}}\n"
    build(place / "g", known | {"boot/grub/grub.cfg": f"set default=0\nset timeout=5\n{entry}"})
    return plan_of(place / "g", "aws-nitro", DISKS)


def test_a_link_that_only_a_rule_in_the_initramfs_makes_of_the_old_disk(tmp_path):
    rule = 'KERNEL=="sd?2", SUBSYSTEM=="block", ENV{ID_SERIAL}=="36000c29", SYMLINK+="rootdisk"\n'
    plan = guest_plan(tmp_path, image("dracut", **{"etc/udev/rules.d/99-x.rules": rule}), "root=/dev/rootdisk ro")
    (told,) = [one for one in plan.findings if one.code == "GF-INITRAMFS-STORED-UNKNOWN"]
    assert told.evidence[0].path.endswith("99-x.rules") and told.outcome == "unknown"


# arguments

STALE = {
    f"rd.luks.uuid={GONE}": DISKS,
    f"rd.luks.name={GONE}=x": DISKS,
    f"luks.uuid={GONE}": DISKS,
    "rd.lvm.lv=old/swap": DISKS,
    "rd.md.uuid=11111111:22222222:33333333:44444444": DISKS,
    "rd_LVM_LV=old/swap": LVM,
    "rd.lvm.vg=old": LVM,
}


@pytest.mark.parametrize("word", STALE)
def test_an_argument_that_opens_what_did_not_come_along_is_taken_out(tmp_path, word):
    more = ON_LVM if STALE[word] is LVM else {"args": f"root=UUID={UUID} ro"}
    made = guest(tmp_path, image("dracut"), **{**more, "args": f"{more['args']} {word}"})
    (told,) = [one for one in made.plan.findings if one.code == "GF-BOOT-STALE-VOLUME"]
    assert word in told.summary and told.evidence[0].path == "/boot/grub/grub.cfg" and told.evidence[0].line
    assert word not in made.text("boot/grub/grub.cfg")
    assert made.step("root", after=False) == "stops" and made.step("root") == "passes"


@pytest.mark.parametrize("word", ["rd.lvm.lv=vg/root", "rd.lvm.vg=vg"])
def test_an_argument_that_opens_what_is_there_stays(tmp_path, word):
    made = guest(tmp_path, image("dracut"), **{**ON_LVM, "args": f"{ON_LVM['args']} {word}"})
    assert word in made.text("boot/grub/grub.cfg") and made.step("root", after=False) == "passes"


def test_where_nobody_described_the_volumes_of_the_root_nothing_is_taken_out(tmp_path):
    """The root is on a logical volume and the description has partitions alone: others were not thought of either."""
    known = {"args": "root=/dev/mapper/vg-root ro rd.lvm.lv=vg/root resume=/dev/vg/swap", "table": ON_LVM["table"]}
    build(tmp_path / "g", guest_files(image("dracut")))
    (tmp_path / "g/etc/fstab").write_text(known["table"])
    entry = (
        f"menuentry 'a' {{\n linux /boot/vmlinuz-{RELEASE} {known['args']}\n initrd /boot/initrd.img-{RELEASE}\n}}\n"
    )
    build(tmp_path / "g", {"boot/grub/grub.cfg": f"set default=0\n{entry}"})
    plan = plan_of(tmp_path / "g", "aws-nitro", DISKS)
    assert "GF-BOOT-STALE-VOLUME" not in {one.code for one in plan.findings}


# labels that several volumes have

TWINS = DISKS.replace('label: ""', "label: one").replace("fstype: swap", "fstype: ext4")
SAME_PART = DISKS.replace('partlabel: ""', "partlabel: linux")
ROOTS = {
    "the label of the root, which fstab names by UUID": ("root=LABEL=one", f"UUID={UUID} / ext4 d 0 1\n", TWINS, UUID),
    "a label of two partitions": ("root=PARTLABEL=linux", "PARTLABEL=linux / ext4 d 0 1\n", SAME_PART, UUID),
    "a link": ("root=/dev/disk/by-partlabel/linux", f"UUID={UUID} / ext4 d 0 1\n", SAME_PART, UUID),
    "the same label in both": ("root=LABEL=one", "LABEL=one / ext4 d 0 1\n", TWINS, ""),
}  # fmt: skip


@pytest.mark.parametrize("name", ROOTS)
def test_a_label_of_several_volumes_by_which_the_boot_looks_for_its_root(tmp_path, name):
    root, table, disks, uuid = ROOTS[name]
    made = guest(tmp_path, args=f"{root} ro", table=table, disks=disks)
    assert ("GF-BOOT-LABEL-TWICE" in made.codes()) is not bool(uuid)
    assert made.step("root") == ("passes" if uuid else "unknown")
    assert (f"root=UUID={uuid}" if uuid else root) in made.text("boot/grub/grub.cfg")


# what init mounts

SYSV = {**dict.fromkeys(SYSTEMD), "etc/inittab": "id:3:initdefault:\n", "etc/rc.d/rc.sysinit": "x"}
OPENRC = {**dict.fromkeys(SYSTEMD), "sbin/openrc-run": "x", "sbin/openrc": "x"}
MOUNTALL = {**dict.fromkeys(SYSTEMD), "sbin/mountall": "x"}
LOST = f"UUID={GONE}"
WAITS = {
    "a data disk": (f"{LOST} /srv ext4 defaults 0 0\n", {}, "stops"),
    "one with a timeout": (f"{LOST} /srv ext4 x-systemd.device-timeout=2min 0 0\n", {}, "stops"),
    "one that the network brings": (f"{LOST} /srv ext4 _netdev 0 0\n", {}, "waits"),
    "an optional one": (f"{LOST} /srv ext4 nofail 0 0\n", {}, "passes"),
    "one for later": (f"{LOST} /srv ext4 noauto 0 2\n", {}, "passes"),
    "one that is mounted on access": (f"{LOST} /srv ext4 x-systemd.automount 0 0\n", {}, "passes"),
    "a swap area": (f"{LOST} none swap sw 0 0\n", {}, "waits"),
    "a bind upon an optional one": (f"{LOST} /srv ext4 nofail 0 0\n/srv/x /x none bind 0 0\n", {}, "stops"),
    "a swap file upon an optional one": (f"{LOST} /srv ext4 nofail 0 0\n/srv/x none swap sw 0 0\n", {}, "waits"),
    "a required device": (f"tmpfs /x tmpfs x-systemd.requires=/dev/disk/by-uuid/{GONE} 0 0\n", {}, "stops"),
    "mountall": (f"{LOST} /srv ext4 defaults 0 0\n", MOUNTALL, "stops"),
    "mountall, optional": (f"{LOST} /srv ext4 nobootwait 0 0\n", MOUNTALL, "passes"),
    "mountall, swap": (f"{LOST} none swap sw 0 0\n", MOUNTALL, "passes"),
    "sysvinit, checked": (f"{LOST} /srv ext4 defaults 0 2\n", SYSV, "stops"),
    "sysvinit, not checked": (f"{LOST} /srv ext4 defaults 0 0\n", SYSV, "passes"),
    "sysvinit, checked though for later": (f"{LOST} /srv ext4 noauto 1 2\n", SYSV, "stops"),
    "sysvinit, after the network": (f"{LOST} /srv ext4 _netdev 0 2\n", SYSV, "passes"),
    "sysvinit, swap": (f"{LOST} none swap sw 0 0\n", SYSV, "passes"),
    "OpenRC, checked": (f"{LOST} /srv ext4 defaults 0 2\n", OPENRC, "stops"),
    "OpenRC, not checked": (f"{LOST} /srv ext4 defaults 0 0\n", OPENRC, "passes"),
}


@pytest.mark.parametrize("name", WAITS)
def test_what_an_absent_volume_costs_depends_on_who_mounts_it(tmp_path, name):
    table, init, outcome = WAITS[name]
    made = guest(tmp_path, table=table, **init)
    assert made.step("mounts", after=False) == outcome and made.step("mounts") == "passes"


def test_the_device_that_an_entry_requires_is_the_one_that_is_told(tmp_path):
    made = guest(tmp_path, table="tmpfs /x tmpfs x-systemd.requires=dev-sdb7.device 0 0\n")
    (told,) = [one for one in made.plan.findings if one.code == "GF-FSTAB-VOLUME-MISSING"]
    assert "nothing answers to /dev/sdb7" in told.summary


CRYPTTABS = {
    "a LUKS volume that is gone": (f"data UUID={GONE} none luks\n", "luks,nofail"),
    "without a key and options": (f"data UUID={GONE}\n", "none nofail,x-systemd.device-timeout=30s"),
    "of a name of the old hardware": ("data /dev/sdq1 - luks\n", "luks,nofail"),
    "whose key is on a disk that is gone": (f"data UUID={SWAP} /media/keys/k luks\n", "luks,nofail"),
    "on a logical volume that is gone": ("data /dev/old/crypt none luks\n", "luks,nofail"),
}


@pytest.mark.parametrize("name", CRYPTTABS)
def test_a_line_of_crypttab_and_what_is_mounted_of_it_become_optional(tmp_path, name):
    line, after = CRYPTTABS[name]
    table = f"UUID={GONE} /media/keys ext4 nofail 0 0\n/dev/mapper/data /data ext4 defaults 0 2\n"
    made = guest(tmp_path, table=table, **{"etc/crypttab": line})
    assert after in made.text("etc/crypttab") and "/data ext4 defaults,nofail" in made.text("etc/fstab")
    assert made.step("mounts", after=False) == "stops" and made.step("mounts") == "passes"
    assert "GF-CRYPTTAB-MISSING" in made.codes()


@pytest.mark.parametrize("line", [f"data UUID={SWAP} none luks\n", f"data UUID={GONE} none noauto\n"])
def test_a_line_of_crypttab_that_opens_or_is_for_later_stays(tmp_path, line):
    assert guest(tmp_path, **{"etc/crypttab": line}).text("etc/crypttab") == line


# names of the old disks, several disks

THREE = f"""{DISKS}  - device: /dev/sdb
    partitions:
      - {{device: /dev/sdb1, fstype: xfs, uuid: b1}}
      - {{device: /dev/sdb2, fstype: ext4, uuid: b2}}
  - device: /dev/sdc
    partitions:
      - {{device: /dev/sdc1, fstype: xfs, uuid: c1}}
"""
PLACES = {
    "by path": "/dev/disk/by-path/pci-0000:03:00.0-scsi-0:0:{}:0-part{}",
    "by number": "/dev/disk/by-id/ata-DISK_{}-part{}",
    "by wwn": "/dev/disk/by-id/wwn-0x6000c29d1e2f3a4{}-part{}",
    "by a rule": "/dev/store{}-{}",
}


@pytest.mark.parametrize("kind", PLACES)
@pytest.mark.parametrize("root", [f"UUID={UUID}", ""])
def test_the_root_argument_means_what_fstab_mounts_whatever_other_disks_have(tmp_path, kind, root):
    """The root's partition is claimed by its line of fstab, and another disk has one of its number and type."""
    a, b, c = (lambda number, disk=disk: PLACES[kind].format(disk, number) for disk in (0, 1, 2))
    rules = "".join(
        f'SUBSYSTEM=="block", ENV{{ID_SERIAL}}=="360000{disk}", SYMLINK+="store{disk}-%n"\n' for disk in (0, 1, 2)
    )
    table = f"{root or a(2)} / ext4 defaults 0 1\n{a(1)} none swap sw 0 0\n{b(2)} /b ext4 defaults 0 0\n"
    table += f"{b(1)} /d xfs defaults 0 0\n{c(1)} /c xfs defaults 0 0\n"
    more = {"etc/udev/rules.d/90-store.rules": rules} if kind == "by a rule" else {}
    made = guest(tmp_path, args=f"root={a(2)} resume={a(1)} ro", table=table, disks=THREE, **more)
    assert f"root=UUID={UUID} resume=UUID={SWAP}" in made.text("boot/grub/grub.cfg")
    words = [line.split()[:2] for line in made.text("etc/fstab").splitlines()]
    known = [[f"UUID={UUID}", "/"], [f"UUID={SWAP}", "none"], ["UUID=b2", "/b"], ["UUID=b1", "/d"], ["UUID=c1", "/c"]]
    assert words == known and made.step("root") == made.step("mounts") == "passes"


RULE = 'KERNEL=="sd?2", SUBSYSTEM=="block", ENV{ID_SERIAL}=="36000c29", SYMLINK+="rootdisk"\n'


def test_a_link_of_the_old_disk_by_its_partition_is_told_with_its_users(tmp_path):
    made = guest(tmp_path, args="root=/dev/rootdisk ro", **{"etc/udev/rules.d/9.rules": RULE})
    assert f"root=UUID={UUID}" in made.text("boot/grub/grub.cfg") and made.step("root", after=False) == "stops"
    (told,) = [one for one in made.plan.findings if one.code == "GF-UDEV-OLD-DISK"]
    assert [one.path for one in told.evidence] == ["/etc/udev/rules.d/9.rules", "/boot/grub/grub.cfg"]


USERS = {
    "etc/crypttab": "data /dev/oracleasm/d1 none luks,nofail\n",
    "etc/lvm/lvm.conf": 'devices {\n filter = [ "a|/dev/oracleasm/.*|", "r|.*|" ]\n}\n',
    "u01/app/oracle/product/19.0.0/dbhome_1/dbs/init+ASM.ora": "*.asm_diskstring='/dev/oracleasm/*'\n",
    "etc/drbd.d/r0.res": "resource r0 { disk /dev/oracleasm/d1; }\n",
}


@pytest.mark.parametrize("path", USERS)
def test_who_uses_a_link_that_only_the_old_disk_has(tmp_path, path):
    rule = 'KERNEL=="sd*", SUBSYSTEM=="block", PROGRAM=="/x", RESULT=="36000c29", SYMLINK+="oracleasm/d1"\n'
    made = guest(tmp_path, **{"etc/udev/rules.d/9.rules": rule, path: USERS[path]})
    (told,) = [one for one in made.plan.findings if one.code == "GF-UDEV-OLD-DISK"]
    assert f"/{path}" in told.summary and told.evidence[1].path == f"/{path}"


def test_the_remedy_of_a_root_that_cannot_be_told_leads_to_a_plan_that_boots(tmp_path):
    rule = RULE.replace("sd?2", "sd*")
    disks = DISKS.replace("ext4", "xfs").replace("swap", "xfs")
    known = guest_files(image()) | SYSTEMD | {"etc/fstab": "/dev/rootdisk / xfs defaults 0 1\n"}
    entry = (
        f"menuentry 'a' {{\n linux /boot/vmlinuz-{RELEASE} root=/dev/rootdisk\n initrd /boot/initrd.img-{RELEASE}\n}}\n"
    )
    build(tmp_path / "g", known | {"boot/grub/grub.cfg": entry, "etc/udev/rules.d/9.rules": rule})
    plan = plan_of(tmp_path / "g", "kvm-virtio", disks)
    blockers = {one.code: one for one in plan.blockers}
    assert "aliases: [/dev/rootdisk]" in blockers["GF-BOOT-ROOT-UNRESOLVED"].remedy
    assert "aliases: [/dev/rootdisk]" in blockers["GF-WALK-ROOT"].remedy
    plan = plan_of(tmp_path / "g", "kvm-virtio", disks.replace("/dev/sda2,", "/dev/sda2, aliases: [/dev/rootdisk],"))
    roots = [one for one in plan.walk.after.steps if one.id in ("root", "mounts")]
    assert [one.outcome for one in roots] == ["passes", "passes"]
    assert not {"GF-BOOT-ROOT-UNRESOLVED", "GF-WALK-ROOT", "GF-FSTAB-ROOT-UNRESOLVED"} & {o.code for o in plan.findings}


# units

OWN = "etc/systemd/system/"


def mount(
    what: str, holder: str = "local-fs.target.requires", where: str = "/srv", **more: object
) -> dict[str, object]:
    text = f"[Unit]\nDescription=x\n[Mount]\nWhat={what}\nWhere={where}\n"
    name = where[1:].replace("/", "-") + ".mount"
    return {OWN + name: text, f"{OWN}{holder}/{name}": ("link", f"../{name}"), **more}


UNITS = {
    "a mount that the boot requires": (
        mount("/dev/sda1"),
        "stops",
        OWN + "srv.mount",
        f"What=/dev/disk/by-uuid/{SWAP}",
    ),
    "a mount that the boot wants": (
        mount("/dev/sda1", "multi-user.target.wants"),
        "waits",
        OWN + "srv.mount",
        f"What=/dev/disk/by-uuid/{SWAP}",
    ),
    "a lost mount that the boot requires": (mount(f"/dev/disk/by-uuid/{GONE}"), "stops", OWN + "srv.mount", GONE),
    "a lost swap area": (
        {
            OWN + "dev-sdq1.swap": "[Swap]\nWhat=/dev/disk/by-uuid/" + GONE,
            OWN + "swap.target.wants/dev-sdq1.swap": ("link", "../dev-sdq1.swap"),
        },
        "waits",
        OWN + "dev-sdq1.swap",
        "What=",
    ),
    "a bind upon a lost mount": (
        mount("/data/x", table=f"UUID={GONE} /data ext4 nofail 0 0\n"),
        "stops",
        OWN + "srv.mount",
        "What=/data/x",
    ),
    "a drop-in for a unit of the system": (
        {
            "usr/lib/systemd/system/db.service": "[Service]\nExecStart=/x\n",
            OWN + "db.service.d/x.conf": "[Unit]\nBindsTo=dev-sda1.device\n",
            OWN + "multi-user.target.wants/db.service": ("link", "/usr/lib/systemd/system/db.service"),
        },
        "passes",
        OWN + "db.service.d/x.conf",
        r"BindsTo=dev-disk-by\x2duuid-aaaa1111\x2d0000\x2d4000\x2d8000\x2d000000000001.device",
    ),
}


@pytest.mark.parametrize("name", UNITS)
def test_units_of_the_administrator(tmp_path, name):
    more, outcome, path, text = UNITS[name]
    made = guest(tmp_path, **more)
    assert text in made.text(path)
    assert made.step("mounts", after=False) == outcome and made.step("mounts") == "passes"


def test_a_lost_mount_of_what_the_guest_cannot_do_without_blocks(tmp_path):
    known = guest_files(image()) | SYSTEMD | mount(f"/dev/disk/by-uuid/{GONE}", where="/var")
    build(tmp_path / "g", known | {"etc/fstab": f"UUID={UUID} / ext4 d 0 1\n"})
    plan = plan_of(tmp_path / "g", "aws-nitro", DISKS)
    assert plan.walk.after.stops_at == "mounts" and "GF-UNIT-DEVICE" in {one.code for one in plan.blockers}


# remedies

LINE = "ext4 defaults 0 2\n"
MORE = f"""{DISKS}  - device: /dev/sdb
    partitions:
      - {{device: /dev/sdb1, fstype: ext4, uuid: b1, label: usr}}
"""
REMEDIES = {
    "disks that nobody described": (f"/dev/sdb1 /usr {LINE}", None, "describe the guest's disks", MORE),
    "a disk that is missing in the description": (f"/dev/sdb1 /usr {LINE}", DISKS, "import the disk that holds", MORE),
    "a label that no volume has": (f"LABEL=usr /usr {LINE}", DISKS, "import the disk that holds", MORE),
    "a link that needs a name": (
        f"/dev/disk/by-id/ata-X-part3 /usr {LINE}",
        MORE,
        "or name /dev/disk/by-id/ata-X-part3 in the description",
        MORE.replace("/dev/sdb1,", "/dev/sdb1, aliases: [/dev/disk/by-id/ata-X-part3],"),
    ),
}


@pytest.mark.parametrize("name", REMEDIES)
def test_a_blocker_of_fstab_says_what_to_give_and_with_it_the_plan_boots(tmp_path, name):
    line, disks, remedy, better = REMEDIES[name]
    entry = (
        f"menuentry 'a' {{\n linux /boot/vmlinuz-{RELEASE} root=UUID={UUID}\n initrd /boot/initrd.img-{RELEASE}\n}}\n"
    )
    files = {"etc/fstab": f"UUID={UUID} / ext4 defaults 0 1\n{line}", "boot/grub/grub.cfg": entry}
    root = build(tmp_path / "g", guest_files(image()) | SYSTEMD | files)
    plan = plan_of(root, "aws-nitro", disks) if disks else make_plan(open_guest(str(root)), load_pack(), "aws-nitro")
    (told,) = [one for one in plan.blockers if one.code == "GF-FSTAB-VITAL-UNRESOLVED"]
    assert remedy in told.remedy and plan.walk.after.stops_at == "mounts"
    plan = plan_of(root, "aws-nitro", better)
    assert not plan.blockers and {one.outcome for one in plan.walk.after.steps if one.id == "mounts"} == {"passes"}
