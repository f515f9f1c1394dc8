"""Kinds of boots that failed on other hardware: what a plan says of them, and what it leaves."""

from __future__ import annotations

import pytest

from guestfix.apply.undo import revert
from guestfix.backends import open_guest
from guestfix.backends.directory import DirectoryGuest
from guestfix.formats.boot.entry import release_in
from guestfix.formats.initramfs.compress import compress
from guestfix.pack.cache import load_pack
from guestfix.plan.planner import Options, make_plan
from tests.build.boots import SWAP, UUID, plan_of, repaired
from tests.build.initramfs import MODULES, RELEASE, archive, guest_files, indexes, inside
from tests.build.tree import build

NVME = ("nvme_core", "nvme")
NEWER = "6.9.0-1-amd64"


def entry(title: str, release: str, args: str = f"root=UUID={UUID} ro") -> str:
    return f"menuentry '{title}' {{\n\tlinux /boot/vmlinuz-{release} {args}\n\tinitrd /boot/initrd.img-{release}\n}}\n"


def image(names: tuple[str, ...] = NVME, generator: str = "initramfs-tools", **more: object) -> bytes:
    return compress("gzip", archive(inside(names, generator) | more))


def files(initrd: bytes | None = None, **more: object) -> dict[str, object]:
    menu = "set default=0\nset timeout=5\n" + entry("Debian", RELEASE)
    known = guest_files(image() if initrd is None else initrd) | {"boot/grub/grub.cfg": menu}
    known["etc/fstab"] = f"UUID={UUID} / ext4 defaults 0 1\n"
    return known | more


@pytest.mark.parametrize(
    ("source", "kept"),
    [
        ('GRUB_CMDLINE_LINUX_DEFAULT="console=ttyS0"\nGRUB_CMDLINE_LINUX=""\n', 'DEFAULT="console=ttyS0"\n'),
        ('GRUB_CMDLINE_LINUX="console=ttyS0,9600 earlycon=uart"\n', "console=ttyS0,9600 earlycon=uart"),
        ('GRUB_CMDLINE_LINUX="console=tty0 quiet"\n', "console=tty0 quiet console=ttyS0,115200n8"),
        ('GRUB_TIMEOUT=5; GRUB_CMDLINE_LINUX="console=ttyS0"\n', 'GRUB_CMDLINE_LINUX="console=ttyS0'),
    ],
)
def test_a_second_plan_of_consoles_changes_nothing(tmp_path, source, kept):
    guest = repaired(tmp_path / "g", files(**{"etc/default/grub": source}), "aws-nitro")
    assert kept in guest.text("etc/default/grub")
    assert not guest.again.changes


def test_another_installed_kernel_with_the_targets_drivers_becomes_the_default(tmp_path):
    lacks = {f"usr/lib/modules/{NEWER}/{name}": data for name, data in indexes(("virtio",)).items()}
    menu = "set default=0\nset timeout=5\n" + entry("new", NEWER) + entry("old", RELEASE)
    more = {"boot/grub/grub.cfg": menu, f"boot/vmlinuz-{NEWER}": "x", f"boot/initrd.img-{NEWER}": image(())}
    guest = repaired(tmp_path / "g", files(**lacks, **more), "aws-nitro")
    assert 'set default="old"' in guest.text("boot/grub/grub.cfg")
    assert any("nvme" in one and NEWER in one for one in guest.plan.follow_ups)
    assert guest.step("initramfs", after=False) == "stops" and guest.step("initramfs") == "passes"
    assert not guest.plan.blockers and not guest.again.changes


@pytest.mark.parametrize("bad", [b"", None])
def test_a_default_without_its_initramfs_gives_way_to_one_that_has_it(tmp_path, bad):
    more: dict[str, object] = {f"boot/vmlinuz-{NEWER}": "x", f"boot/initrd.img-{NEWER}": bad}
    more = {name: data for name, data in more.items() if data is not None}
    more |= {f"usr/lib/modules/{NEWER}/{name}": data for name, data in indexes(tuple(MODULES)).items()}
    more["boot/grub/grub.cfg"] = "set default=0\nset timeout=5\n" + entry("new", NEWER) + entry("old", RELEASE)
    guest = repaired(tmp_path / "g", files(**more), "aws-nitro")
    assert 'set default="old"' in guest.text("boot/grub/grub.cfg") and not guest.plan.blockers
    assert guest.step("initramfs", after=False) == "stops" and guest.step("initramfs") == "passes"


@pytest.mark.parametrize(
    ("path", "release"),
    [
        ("/boot/vmlinuz-6.1.0-18-amd64", "6.1.0-18-amd64"),
        ("/boot/efi/0123456789abcdef/6.1.0-18-amd64/linux", "6.1.0-18-amd64"),
        ("/vmlinuz", "vmlinuz"),
        ("linux", "linux"),
    ],
)
def test_the_release_is_in_the_name_or_the_folders(path, release):
    assert release_in(path) == release


STORED = {
    "dracut's arguments": (
        "etc/cmdline.d/95root.conf",
        " root=/dev/sda2 rootflags=rw \n",
        f" root=UUID={UUID} rootflags=rw \n",
    ),
    "dracut's resume, of a swap that is known": (
        "etc/cmdline.d/20-resume.conf",
        "resume=/dev/sda1",
        f"resume=UUID={SWAP}",
    ),
    "dracut's resume, of nothing that is known": (
        "etc/cmdline.d/95resume.conf",
        " resume=/dev/disk/by-path/pci-0000:00:10.0-scsi-0:0:0:0-part9\n",
        " \n",
    ),
    "initramfs-tools' resume": ("conf/conf.d/resume", "RESUME=/dev/sda1\n", f"RESUME=UUID={SWAP}\n"),
    "initramfs-tools' resume of what is gone": ("conf/conf.d/resume", "RESUME=/dev/sda5\n", "RESUME=none\n"),
    "a waiting hook of a volume that is known": (
        "usr/lib/dracut/hooks/initqueue/finished/devexists-x.sh",
        '[ -e "/dev/sda2" ]\n',
        f'[ -e "/dev/disk/by-uuid/{UUID}" ]\n',
    ),
    "a waiting hook of what is gone": (
        "var/lib/dracut/hooks/initqueue/finished/devexists-x.sh",
        '[ -e "/dev/disk/by-id/scsi-36000c29-part9" ]\n',
        ":\n",
    ),
    "a waiting hook of an old dracut": (
        "initqueue-finished/devexists-x.sh",
        '[ -e "/dev/disk/by-id/scsi-36000c29-part9" ]\n',
        ":\n",
    ),
    "a mount unit": (
        "etc/systemd/system/sysroot-usr.mount",
        "[Mount]\nWhat=/dev/sda2\nWhere=/sysroot/usr\n",
        f"[Mount]\nWhat=/dev/disk/by-uuid/{UUID}\nWhere=/sysroot/usr\n",
    ),
    "a unit that requires a device": (
        "etc/systemd/system/early.service",
        "[Unit]\nRequires=dev-sda2.device\n",
        "[Unit]\nRequires=dev-disk-by\\x2duuid-" + UUID.replace("-", "\\x2d") + ".device\n",
    ),
    "crypttab": ("etc/crypttab", "root /dev/sda3 none luks\n", f"root UUID={UUID[:-1]}3 none luks\n"),
    "initramfs-tools' crypttab": (
        "cryptroot/crypttab",
        "root /dev/sda3 none luks\n",
        f"root UUID={UUID[:-1]}3 none luks\n",
    ),
    "mdadm.conf": (
        "etc/mdadm/mdadm.conf",
        "DEVICE /dev/sda1\nARRAY /dev/md0 UUID=a\n",
        "DEVICE partitions\nARRAY /dev/md0 UUID=a\n",
    ),
    "multipath's names": (
        "etc/multipath/bindings",
        "# Format:\nmpatha 36001405aaaa\nmpathb 36001405bbbb\n",
        "# Format:\n",
    ),
    "multipath's LUNs": ("etc/multipath/wwids", "# Valid WWIDs:\n/36001405aaaa/\n", "# Valid WWIDs:\n"),
    "multipath's aliases": (
        "etc/multipath.conf",
        "defaults {\n polling 5\n}\nmultipaths {\n multipath {\n  wwid 36001405aaaa\n  alias boot\n }\n}\n",
        "defaults {\n polling 5\n}\nmultipaths {\n# multipath {\n#  wwid 36001405aaaa\n#  alias boot\n# }\n}\n",
    ),
    "a start script's swap that is gone": (
        "config/resume.sh",
        "resumedev='/dev/disk/by-id/scsi-36000c29-part9'\n",
        "resumedev=''\n",
    ),
    "lvm.conf": (
        "etc/lvm/lvm.conf",
        'devices {\n filter = ["a|/dev/sda3|", "r|.*|"]\n}\n',
        'devices {\n filter = [ "a|.*|" ]\n}\n',
    ),
}


@pytest.mark.parametrize("name", STORED)
def test_what_an_image_has_stored_of_the_old_disks_is_told_and_changed(tmp_path, name):
    path, before, after = STORED[name]
    made = image(
        generator="initramfs-tools" if path.startswith(("conf/", "cryptroot")) else "dracut",
        **{"etc/cmdline.d/95root.conf": "", path: before},
    )
    guest = repaired(tmp_path / "g", files(made), "aws-nitro")
    inner = guest.image(f"boot/initrd.img-{RELEASE}").files
    assert inner[path].decode() == after
    (told,) = [one for one in guest.plan.findings if one.code == "GF-INITRAMFS-STORED"]
    assert told.settled_by == "initramfs/target-drivers" and told.evidence[0].path.endswith(path)
    assert not guest.again.changes and "GF-INITRAMFS-STORED" not in {one.code for one in guest.again.findings}


@pytest.mark.parametrize(
    ("path", "text"),
    [
        ("etc/cmdline.d/95root.conf", f" root=UUID={UUID} \n"),
        ("conf/conf.d/resume", "RESUME=none\n"),
        ("conf/conf.d/resume", f"RESUME=UUID={SWAP}\n"),
        ("etc/multipath/wwids", "# none\n"),
        ("etc/multipath.conf", 'defaults {\n user_friendly_names yes\n}\nblacklist {\n devnode "^sd"\n}\n'),
        ("config/resume.sh", f"resumedev='/dev/disk/by-uuid/{SWAP}'\n"),
        ("config/mount.sh", "rootdev='/dev/sda2'\n"),
        ("etc/udev/rules.d/70-x.rules", 'SUBSYSTEM=="net", KERNEL=="eth*", ATTR{mtu}="9000"\n'),
        ("etc/systemd/network/10-x.link", "[Match]\nDriver=virtio_net\n[Link]\nName=lan0\n"),
        ("etc/mdadm/mdadm.conf", "DEVICE partitions\nARRAY /dev/md0 UUID=a\n"),
        ("etc/lvm/lvm.conf", 'devices {\n filter = ["r|/dev/sdz|", "a|.*|"]\n}\n'),
        ("usr/lib/dracut/hooks/initqueue/finished/devexists-x.sh", f'[ -e "/dev/disk/by-uuid/{UUID}" ]\n'),
    ],
)
def test_what_an_image_has_stored_of_volumes_stays(tmp_path, path, text):
    made = image(generator="dracut", **{"etc/cmdline.d/95root.conf": "", path: text})
    guest = repaired(tmp_path / "g", files(made), "aws-nitro")
    assert (guest.root / f"boot/initrd.img-{RELEASE}").read_bytes() == made
    assert not {"GF-INITRAMFS-STORED", "GF-INITRAMFS-STORED-UNKNOWN"} & guest.codes()


def test_hooks_of_several_volumes_that_are_gone_are_one_finding(tmp_path):
    hooks = {
        f"var/lib/dracut/hooks/initqueue/finished/devexists-{n}.sh": f'[ -e "/dev/disk/by-id/scsi-3600-part{n}" ]\n'
        for n in range(3, 9)
    }
    made = image(generator="dracut", **{"etc/cmdline.d/95root.conf": "", **hooks})
    guest = repaired(tmp_path / "g", files(made), "aws-nitro")
    (told,) = [one for one in guest.plan.findings if one.code == "GF-INITRAMFS-STORED"]
    assert len(told.evidence) == 6 and "and 2 more" in told.summary and told.settled_by
    assert guest.step("initramfs", after=False) == "stops" and guest.step("initramfs") == "passes"


def test_several_kernels_that_lack_the_same_are_one_finding(tmp_path):
    old = ("6.1.0-9-amd64", "6.1.0-11-amd64", "6.1.0-13-amd64")
    given = files()
    for name, content in list(given.items()):
        if RELEASE in name:
            given |= {name.replace(RELEASE, one): content for one in old}
    made = compress("gzip", archive(inside(("sd_mod",), "initramfs-tools")))
    given |= {f"boot/initrd.img-{one}": made for one in old}
    menu = "set default=0\nset timeout=5\n" + "".join(entry(one, one) for one in (RELEASE, *old))
    plan = plan_of(build(tmp_path / "g", given | {"boot/grub/grub.cfg": menu}), "aws-nitro")
    of_images = [one for one in plan.findings if one.step == "initramfs"]
    keys = [(one.code, one.severity, one.outcome) for one in of_images]
    assert len(keys) == len(set(keys)), of_images
    assert any(all(kernel in one.summary for kernel in old) for one in of_images)


NIC_RULE = 'SUBSYSTEM=="net", ACTION=="add", ATTR{address}=="00:50:56:aa:bb:cc", NAME="eth1"\n'
NICS = {
    "the only rule": ("etc/udev/rules.d/70-persistent-net.rules", "# by hand\n" + NIC_RULE, None),
    "a rule beside another": (
        "etc/udev/rules.d/70-site.rules", NIC_RULE + 'KERNEL=="sda", MODE="0600"\n', 'KERNEL=="sda", MODE="0600"\n',
    ),
    "a link file": (
        "etc/systemd/network/10-lan.link", "[Match]\nMACAddress=00:50:56:aa:bb:cc\n\n[Link]\nName=lan0\n", None,
    ),
    "a link file that does more": (
        "etc/systemd/network/10-lan.link", "[Match]\nPath=pci-0000:0b:00.0\n\n[Link]\nName=lan0\nMTUBytes=9000\n",
        "[Match]\nPath=pci-0000:0b:00.0\n\n[Link]\nMTUBytes=9000\n",
    ),
}  # fmt: skip


@pytest.mark.parametrize("name", NICS)
def test_a_name_of_an_old_nic_inside_an_image_is_told_and_goes_and_comes_back(tmp_path, name):
    path, before, after = NICS[name]
    made = image(generator="dracut", **{"etc/cmdline.d/95root.conf": "", path: before})
    guest = repaired(tmp_path / "g", files(made), "aws-nitro")
    inner = guest.image(f"boot/initrd.img-{RELEASE}")
    assert inner.entries[path].target == "/dev/null" if after is None else inner.files[path].decode() == after
    (told,) = [one for one in guest.plan.findings if one.code == "GF-INITRAMFS-STORED-NIC"]
    assert (told.step, told.settled_by) == ("network", "initramfs/target-drivers")
    assert told.evidence[0].line and not guest.again.changes
    revert(DirectoryGuest(str(guest.root)))
    assert (guest.root / f"boot/initrd.img-{RELEASE}").read_bytes() == made


def test_names_of_nics_stay_where_the_network_is_left_alone(tmp_path):
    made = image(**{"etc/udev/rules.d/70-persistent-net.rules": NIC_RULE})
    root = build(tmp_path / "g", files(made))
    plan = make_plan(open_guest(str(root)), load_pack(), "aws-nitro", Options(policies={"network": "none"}))
    assert f"/boot/initrd.img-{RELEASE}" not in [one.path for one in plan.changes]


def test_a_root_of_initramfs_tools_counts_without_an_argument(tmp_path):
    made = image(**{"conf/conf.d/root": "ROOT=/dev/sda2\n"})
    kept = repaired(tmp_path / "k", files(made), "aws-nitro")
    assert kept.image(f"boot/initrd.img-{RELEASE}").files["conf/conf.d/root"] == b"ROOT=/dev/sda2\n"
    given = files(made)
    given["boot/grub/grub.cfg"] = str(given["boot/grub/grub.cfg"]).replace(f"root=UUID={UUID} ", "")
    guest = repaired(tmp_path / "g", given, "aws-nitro")
    assert guest.image(f"boot/initrd.img-{RELEASE}").files["conf/conf.d/root"].decode() == f"ROOT=UUID={UUID}\n"


def test_a_root_of_a_start_script_counts_without_an_argument(tmp_path):
    made = image(generator="mkinitrd-suse", **{"config/mount.sh": "rootdev='/dev/sda2'\n"})
    given = files(made)
    given["boot/grub/grub.cfg"] = str(given["boot/grub/grub.cfg"]).replace(f"root=UUID={UUID} ", "")
    guest = repaired(tmp_path / "g", given, "aws-nitro")
    inner = guest.image(f"boot/initrd.img-{RELEASE}").files
    assert inner["config/mount.sh"].decode() == f"rootdev='/dev/disk/by-uuid/{UUID}'\n"
    assert guest.step("initramfs", after=False) == "stops" and guest.step("initramfs") == "passes"


def test_a_target_of_an_image_waits_for_no_device_that_is_gone(tmp_path):
    unit = r"etc/systemd/system/initrd.target.wants/dev-disk-by\x2dpath-pci\x2d0000:00:10.0\x2dpart2.device"
    link = {unit: ("link", "../" + unit.rpartition("/")[2])}
    made = image(generator="dracut", **{"etc/cmdline.d/95root.conf": ""}, **link)
    guest = repaired(tmp_path / "g", files(made), "aws-nitro")
    assert guest.image(f"boot/initrd.img-{RELEASE}").entries[unit].target == "/dev/null"
    assert guest.step("initramfs", after=False) == "stops" and guest.step("initramfs") == "passes"
    assert not guest.again.changes


def test_an_image_that_waits_does_so_a_while_and_without_disks_it_is_told_what_to_describe(tmp_path):
    made = image(**{"conf/conf.d/resume": "RESUME=/dev/sda5\n"})
    guest = repaired(tmp_path / "g", files(made), "aws-nitro")
    before = next(one for one in guest.plan.walk.before.steps if one.id == "initramfs")
    assert (before.outcome, before.seconds) == ("waits", 30)
    plan = make_plan(open_guest(str(build(tmp_path / "h", files(made)))), load_pack(), "aws-nitro", Options())
    (told,) = [one for one in plan.findings if one.code == "GF-INITRAMFS-STORED-UNKNOWN"]
    assert "--disks" in told.remedy and "RESUME=/dev/sda5" in told.summary


MENU = {
    "an entry": (entry("a", RELEASE), "menuentry 'a' --unrestricted {"),
    "an entry of a user": (entry("a", RELEASE).replace(" {", " --users admin {"), "menuentry 'a' --unrestricted {"),
    "a submenu": (
        f"submenu 'm' {{\n{entry('a', RELEASE).replace(' {', ' --unrestricted {')}}}\n",
        "submenu 'm' --unrestricted {",
    ),
}


@pytest.mark.parametrize("name", MENU)
def test_a_default_entry_that_asks_for_a_password_starts_without(tmp_path, name):
    menu, after = MENU[name]
    menu = f"set default=0\nset timeout=5\n{menu}set superusers=admin\npassword_pbkdf2 admin grub.pbkdf2.sha512.1.A.B\n"
    guest = repaired(tmp_path / "g", files(**{"boot/grub/grub.cfg": menu}), "aws-nitro")
    assert after in guest.text("boot/grub/grub.cfg") and "superusers=admin" in guest.text("boot/grub/grub.cfg")
    assert guest.step("entry", after=False) == "stops" and guest.step("entry") == "passes"
    assert not guest.plan.blockers and not guest.again.changes


def test_a_stanza_of_grub_legacy_that_is_locked_starts_without(tmp_path):
    kernel = f"\tkernel /boot/vmlinuz-{RELEASE} root=UUID={UUID}\n\tinitrd /boot/initrd.img-{RELEASE}\n"
    menu = f"default=0\ntimeout=5\npassword --md5 $1$x\ntitle a\n\tlock\n\troot (hd0,0)\n{kernel}"
    known = files(**{"boot/grub/menu.lst": menu, "boot/grub/stage2": "x"})
    del known["boot/grub/grub.cfg"]
    guest = repaired(tmp_path / "g", known, "aws-nitro")
    assert "#\tlock\n" in guest.text("boot/grub/menu.lst") and "\npassword --md5" in guest.text("boot/grub/menu.lst")
    assert not guest.plan.blockers and not guest.again.changes


@pytest.mark.parametrize(
    ("setting", "word", "after"),
    [
        ("set rootpartition=/dev/sda2", "root=$rootpartition", f'set rootpartition="UUID={UUID}"'),
        ('set part="/dev/sda2"', "root=${part}", f'set part="UUID={UUID}"'),
        ("set words='root=/dev/sda2 ro'", "$words", f'set words="root=UUID={UUID} ro"'),
    ],
)
def test_a_root_that_the_menu_keeps_in_a_variable(tmp_path, setting, word, after):
    menu = f"set timeout=5\n{setting}\n" + entry("a", RELEASE, word)
    guest = repaired(tmp_path / "g", files(**{"boot/grub/grub.cfg": menu}), "aws-nitro")
    assert after in guest.text("boot/grub/grub.cfg") and word in guest.text("boot/grub/grub.cfg")
    assert guest.step("root", after=False) == "stops" and guest.step("root") == "passes"
    assert not guest.plan.blockers and not guest.again.changes


def test_a_first_try_without_an_initramfs_is_given_it_and_its_panic_stays_out_of_the_sources(tmp_path):
    plain = entry("a", RELEASE, f"root=UUID={UUID} ro")
    linux = f"\tlinux /boot/vmlinuz-{RELEASE} root=PARTUUID=bbbb1111-02 ro"
    menu = (
        "set timeout=5\nset initrdfail=\n" + plain.replace("\tlinux", '\tif [ "${initrdfail}" = 1 ]; then\n\tlinux')
    ).replace("\n}\n", f"\n\telse\n{linux} panic=-1\n\tfi\n}}\n")
    more = {"boot/grub/grub.cfg": menu, "etc/default/grub": 'GRUB_CMDLINE_LINUX=""\nGRUB_FORCE_PARTUUID=bbbb1111-02\n'}
    guest = repaired(tmp_path / "g", files(**more), "aws-nitro")
    assert "panic" not in guest.text("boot/grub/grub.cfg") and "panic" not in guest.text("etc/default/grub")
    assert guest.text("boot/grub/grub.cfg").count(f"initrd /boot/initrd.img-{RELEASE}") == 2
    assert "\n#GRUB_FORCE_PARTUUID" in guest.text("etc/default/grub")
    assert "GF-BOOT-INITRDLESS" in guest.codes() and not guest.plan.blockers and not guest.again.changes


@pytest.mark.parametrize(("disk", "told"), [("/dev/disk/by-id/scsi-36000c29", True), ("/dev/md0", False)])
def test_the_disk_that_updates_of_grub_write_to_is_told(tmp_path, disk, told):
    answers = f"Name: a/b\nValue: 1\n\nName: grub-pc/install_devices\nTemplate: x\nValue: {disk}\nOwners: x\n"
    root = build(tmp_path / "g", files(**{"var/cache/debconf/config.dat": answers}))
    found = [one for one in plan_of(root, "aws-nitro").findings if one.code == "GF-BOOT-INSTALL-DEVICE"]
    assert [one.evidence[0].line for one in found] == ([6] if told else [])
