"""What the detector says of whole guests: facts, the missing list with reasons, findings."""

from __future__ import annotations

import struct
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from guestfix.backends.directory import DirectoryGuest
from guestfix.base.facts import Facts, Unknown
from guestfix.detect.initramfs import images as detector
from guestfix.detect.initramfs.needs import needs_of
from guestfix.detect.system.os import put_system
from guestfix.formats.initramfs.compress import compress
from guestfix.formats.windows import pe
from guestfix.pack.cache import load_pack
from guestfix.pack.model import Target
from tests.build.facts import menu_entry, told
from tests.build.initramfs import MODULES, RELEASE, archive, guest, guest_files, inside
from tests.build.tree import build

OLD = ("scsi_mod", "sd_mod", "ata_piix")
VIRTIO = ("virtio", "virtio_ring", "virtio_pci", "virtio_blk")


def learn(root: Path, target: str = "kvm-virtio", **known) -> tuple[Facts, dict[str, object]]:
    facts = Facts()
    for name, value in {"os.family": "linux", "os.id": "debian", **known}.items():
        facts.put(name.replace("__", "."), value)
    put_system(facts, load_pack().systems)
    found = detector.detect(DirectoryGuest(str(root)), facts, load_pack().targets[target])
    return facts, {finding.code: finding for finding in found}


def image(names, generator="initramfs-tools", kind="gzip", **more) -> bytes:
    return compress(kind, archive(inside(names, generator) | more))


def test_missing_with_reasons(tmp_path):
    facts, found = learn(guest(tmp_path, image(OLD)))
    assert facts.value("initramfs.missing") == ["virtio", "virtio_ring", "virtio_pci", "virtio_blk"]
    assert facts.value("initramfs.drivers") == ["virtio_pci", "virtio_blk"]
    (one,) = told(facts, "initramfs.images")
    assert one["reasons"] == {
        "virtio": "virtio_pci depends on it",
        "virtio_ring": "virtio_pci depends on it",
        "virtio_pci": "kvm-virtio attaches disks through it",
        "virtio_blk": "kvm-virtio attaches disks through it",
    }
    assert (one["generator"], one["hostonly"], one["role"]) == ("initramfs-tools", True, "default")
    assert one["modules"] == ["ata_piix", "scsi_mod", "sd_mod"] and one["compression"] == ["gzip"]
    assert one["builtin"] == ["ext4"] and one["firmware"] == 0
    assert found["GF-INITRAMFS-LACKS"].severity == "info"
    assert str(facts.evidence("initramfs.images")[0]) == f"/boot/initrd.img-{RELEASE}"


def test_f02_a_dependency_alone_is_missing(tmp_path):
    facts, _ = learn(guest(tmp_path, image((*OLD, "virtio_blk", "virtio_pci", "virtio"))))
    assert facts.value("initramfs.missing") == ["virtio_ring"]
    assert facts.value("initramfs.drivers") == []


@pytest.mark.parametrize("suffix", ["", ".gz", ".xz", ".zst"])
def test_nothing_is_missing_whatever_the_modules_suffix(tmp_path, suffix):
    data = compress("zstd", archive(inside((*OLD, *VIRTIO), "dracut", suffix)))
    facts, found = learn(guest(tmp_path, data, suffix=suffix))
    assert facts.value("initramfs.missing") == [] and set(found) <= {"GF-INITRAMFS-STORED-UNKNOWN"}
    assert told(facts, "initramfs.images")[0]["modules"] == sorted((*OLD, *VIRTIO))


def test_f27_nitro_needs_nvme_and_its_core(tmp_path):
    facts, _ = learn(guest(tmp_path, image(OLD)), "aws-nitro")
    assert facts.value("initramfs.missing") == ["nvme_core", "nvme"]


def test_a_builtin_driver_is_not_missing(tmp_path):
    root = guest(tmp_path, image(OLD))
    (root / f"usr/lib/modules/{RELEASE}/modules.builtin").write_text("kernel/nvme.ko\nkernel/fs/ext4/ext4.ko\n")
    (root / f"usr/lib/modules/{RELEASE}/modules.dep").write_text("kernel/other.ko:\n")
    facts, found = learn(root, "aws-nitro")
    assert facts.value("initramfs.missing") == [] and set(found) <= {"GF-INITRAMFS-STORED-UNKNOWN"}


def test_a_config_tells_what_is_builtin_in_old_kernels(tmp_path):
    root = guest(tmp_path, image(OLD), present=OLD)
    (root / f"usr/lib/modules/{RELEASE}/modules.builtin").unlink()
    (root / f"boot/config-{RELEASE}").write_text("CONFIG_VIRTIO_BLK=y\nCONFIG_VIRTIO_PCI=y\nCONFIG_EXT4_FS=y\n")
    facts, found = learn(root)
    assert facts.value("initramfs.missing") == [] and set(found) <= {"GF-INITRAMFS-STORED-UNKNOWN"}


def test_the_root_filesystem_and_its_soft_dependency(tmp_path):
    facts, _ = learn(guest(tmp_path, image((*OLD, *VIRTIO)), fstype="xfs"))
    assert facts.value("initramfs.missing") == ["crc32c_generic", "libcrc32c", "xfs"]
    reasons = told(facts, "initramfs.images")[0]["reasons"]
    assert reasons["xfs"] == "/ is xfs" and reasons["crc32c_generic"] == "libcrc32c asks for it (softdep)"
    assert facts.value("initramfs.drivers") == []


def test_a_soft_dependency_that_the_images_maker_left_out_stays_out(tmp_path):
    facts, _ = learn(guest(tmp_path, image((*OLD, *VIRTIO, "xfs", "libcrc32c")), fstype="xfs"))
    assert facts.value("initramfs.missing") == []


def test_a_driver_that_the_guest_does_not_have(tmp_path):
    facts, found = learn(guest(tmp_path, image(OLD), present=(*OLD, "virtio", "virtio_ring", "virtio_pci")))
    assert told(facts, "initramfs.images")[0]["absent"] == ["virtio_blk"]
    absent = found["GF-INITRAMFS-MODULE-ABSENT"]
    assert absent.severity == "blocker" and "linux-image-amd64" in absent.remedy and "virtio_blk" in absent.summary
    states = {one["module"]: one["state"] for one in told(facts, "initramfs.images")[0]["needs"]}
    assert states == {"virtio_pci": "missing", "virtio_blk": "absent", "ext4": "builtin"}
    facts, found = learn(tmp_path, os__id="x", os__id_like=["rhel"])
    assert f"kernel-core-{RELEASE}" in found["GF-INITRAMFS-MODULE-ABSENT"].remedy


def test_a_driver_that_may_be_built_in_is_no_blocker(tmp_path):
    data = inside(OLD)
    del data[f"usr/lib/modules/{RELEASE}/modules.builtin"]
    root = guest(tmp_path, compress("gzip", archive(data)), present=OLD)
    (root / f"usr/lib/modules/{RELEASE}/modules.builtin").unlink()
    _, found = learn(root)
    assert found["GF-INITRAMFS-MODULE-ABSENT"].severity == "warning"
    assert "unless it is built in" in found["GF-INITRAMFS-MODULE-ABSENT"].summary


def test_only_the_default_kernels_lack_is_a_blocker(tmp_path):
    root = guest(tmp_path, image(OLD), present=OLD)
    entry = menu_entry(kernel=f"/boot/vmlinuz-{RELEASE}", initrd=[f"/boot/initrd.img-{RELEASE}"])
    other = menu_entry(kernel="/boot/vmlinuz-9", initrd=["/boot/initrd.img-9"])
    _, found = learn(root, boot__entries=[other, entry], boot__default=other)
    assert found["GF-INITRAMFS-MODULE-ABSENT"].severity == "warning"
    assert "there is no such file" in found["GF-INITRAMFS-UNJUDGED"].summary


@pytest.mark.parametrize(
    ("content", "code", "text"),
    [
        (b"not kept\n", "GF-INITRAMFS-UNJUDGED", "at byte 0: no archive begins here"),
        (b"hsqs" + bytes(60), "GF-INITRAMFS-FOREIGN", "squashfs"),
        (compress("gzip", bytes(1080) + b"\x53\xef" + bytes(900)), "GF-INITRAMFS-FOREIGN", "ext2"),
    ],
)
def test_what_cannot_be_judged_is_no_blocker(tmp_path, content, code, text):
    facts, found = learn(guest(tmp_path, content))
    assert found[code].severity == "warning" and text in found[code].summary and found[code].remedy
    assert isinstance(facts["initramfs.missing"].value, Unknown) and facts.value("initramfs.generator") == "unknown"


def test_a_damaged_default_image_is_a_blocker_with_the_offset(tmp_path):
    data = image(OLD, init="#!/bin/sh\n" + "x" * 3000) + b"\xff" * 100
    _, found = learn(guest(tmp_path, data))
    assert found["GF-INITRAMFS-DAMAGED"].severity == "blocker"
    assert f"at byte {len(data) - 100}" in found["GF-INITRAMFS-DAMAGED"].summary


@pytest.mark.parametrize("size", [0, 512])
def test_an_empty_default_image_is_as_bad_as_a_damaged_one(tmp_path, size):
    facts, found = learn(guest(tmp_path, bytes(size)))
    assert found["GF-INITRAMFS-DAMAGED"].severity == "blocker"
    assert "it is empty" in found["GF-INITRAMFS-DAMAGED"].summary
    assert told(facts, "initramfs.images")[0]["broken"]


def test_an_absent_default_image_is_one_too_where_its_kernel_is_there(tmp_path):
    root = guest(tmp_path, image(OLD))
    (root / f"boot/vmlinuz-{RELEASE}").write_bytes(b"x")
    entry = menu_entry(kernel=f"/boot/vmlinuz-{RELEASE}", initrd=("/boot/gone.img",))
    _, found = learn(root, boot__entries=[entry], boot__default=entry)
    assert found["GF-INITRAMFS-DAMAGED"].severity == "blocker"
    assert "there is no such file" in found["GF-INITRAMFS-DAMAGED"].summary
    (root / f"boot/vmlinuz-{RELEASE}").unlink()  # then /boot is not in view at all
    _, found = learn(root, boot__entries=[entry], boot__default=entry)
    assert found["GF-INITRAMFS-UNJUDGED"].severity == "warning"


def unified_image(initrd: bytes, *, signed: bool = False, uname: str = RELEASE) -> bytes:
    """Return a PE file with the sections that systemd-stub reads."""
    parts = [(b".uname", uname.encode()), (b".cmdline", b"quiet modprobe.blacklist=virtio_blk"), (b".initrd", initrd)]
    head = bytearray(1024)
    head[:2], head[0x3C] = b"MZ", 0x80
    struct.pack_into("<4sHHIIIHH", head, 0x80, b"PE\0\0", 0x8664, len(parts), 0, 0, 0, 240, 0x22)
    struct.pack_into("<H", head, 0x98, 0x20B)
    struct.pack_into("<II", head, 0x98 + 112 + 32, 4096 if signed else 0, 512 if signed else 0)
    body = b""
    for number, (name, data) in enumerate(parts):
        raw = data + bytes(-len(data) % 512)
        place = 0x98 + 240 + 40 * number
        struct.pack_into("<8sIIII", head, place, name, len(data), 0, len(raw), 1024 + len(body))
        body += raw
    return bytes(head) + body


@pytest.mark.parametrize("signed", [False, True])
def test_unified_kernel_images_are_judged_and_never_changed(tmp_path, signed):
    files = guest_files(b"") | {"efi/EFI/Linux/debian.efi": unified_image(image(OLD), signed=signed)}
    del files[f"boot/initrd.img-{RELEASE}"]
    facts, found = learn(build(tmp_path, files))
    (one,) = told(facts, "initramfs.images")
    assert (one["kernel"], one["role"], one["path"]) == (RELEASE, "default", "/efi/EFI/Linux/debian.efi")
    assert one["missing"] == list(VIRTIO) and one["sealed"].startswith("a signed" if signed else "a unified")
    assert found["GF-INITRAMFS-SEALED"].severity == "blocker" and "virtio_blk" in found["GF-INITRAMFS-SEALED"].summary
    assert one["blacklisted"][0]["text"] == "modprobe.blacklist=virtio_blk"


def test_the_loaders_default_may_be_a_unified_kernel_image(tmp_path):
    files = guest_files(image((*OLD, *VIRTIO))) | {"efi/EFI/Linux/debian.efi": unified_image(image(OLD))}
    entry = menu_entry(kernel="/efi/EFI/Linux/debian.efi", initrd=[], loader="uki")
    facts, found = learn(build(tmp_path, files), boot__default=entry, boot__entries=[entry])
    roles = {one["path"]: one["role"] for one in told(facts, "initramfs.images")}
    assert roles == {"/efi/EFI/Linux/debian.efi": "default", f"/boot/initrd.img-{RELEASE}": ""}
    assert found["GF-INITRAMFS-SEALED"].severity == "blocker"


@given(st.binary(max_size=200), st.integers(0, 1500))
@settings(max_examples=100, deadline=None)
def test_hostile_pe_headers_never_raise(junk, at):
    data = unified_image(b"x")
    found = pe.layout(data[:at] + junk + data[at + len(junk) :])
    assert found is None or all(size >= 0 for _, size in found.sections.values())


def test_dracuts_squashfs_is_not_judged(tmp_path):
    _, found = learn(guest(tmp_path, image(OLD, "dracut", **{"squash-root.img": "hsqs"})))
    assert "squash-root.img" in found["GF-INITRAMFS-UNJUDGED"].summary
    assert "dracut --force" in found["GF-INITRAMFS-UNJUDGED"].remedy


def test_a_guest_without_modules_cannot_be_judged_unless_the_image_tells(tmp_path):
    files = {name: data for name, data in guest_files(image(OLD)).items() if "usr/lib/modules" not in name}
    facts, _ = learn(build(tmp_path / "told", files))
    assert told(facts, "initramfs.images")[0]["absent"] == ["virtio_pci", "virtio_blk"]
    files[f"boot/initrd.img-{RELEASE}"] = compress("gzip", archive({"init": "#!/bin/sh\n"}))
    _, found = learn(build(tmp_path / "untold", files))
    assert "no modules or lists of them" in found["GF-INITRAMFS-UNJUDGED"].summary


def test_f25_depmod_never_ran(tmp_path):
    root = guest(tmp_path, image(OLD))
    for path in (root / f"usr/lib/modules/{RELEASE}").glob("modules.[ads]*"):
        path.unlink()
    facts, found = learn(root)
    assert facts.value("initramfs.missing") == list(VIRTIO)
    assert found["GF-INITRAMFS-NO-DEPMOD"].severity == "warning"
    assert found["GF-INITRAMFS-NO-DEPMOD"].remedy == f"run 'depmod {RELEASE}' in the guest"


def test_f03_blocked_in_three_places(tmp_path):
    data = image((*OLD, *VIRTIO), **{"etc/modprobe.d/x.conf": "blacklist virtio_blk\nblacklist nvme\n"})
    root = build(tmp_path, guest_files(data) | {"etc/modprobe.d/y.conf": "\ninstall virtio_ring /bin/true\n"})
    entry = menu_entry(
        kernel=f"/boot/vmlinuz-{RELEASE}",
        initrd=[f"/boot/initrd.img-{RELEASE}"],
        args=["rd.driver.blacklist=virtio_pci,floppy"],
    )
    facts, found = learn(root, boot__entries=[entry], boot__default=entry)
    assert facts.value("initramfs.blocked") == ["virtio_blk", "virtio_ring", "virtio_pci"]
    rows = told(facts, "initramfs.images")[0]["blacklisted"]
    listed = {(one["module"], one["path"], one["line"], one["inside"]) for one in rows}
    assert listed == {
        ("virtio_blk", "etc/modprobe.d/x.conf", 1, True),
        ("virtio_ring", "/etc/modprobe.d/y.conf", 2, False),
        ("virtio_pci", "kernel command line", 0, False),
    }
    assert "GF-INITRAMFS-BLOCKED" in found


def test_a_hidden_modprobe_file_does_not_block(tmp_path):
    files = {"usr/lib/modprobe.d/x.conf": "blacklist virtio_blk\n", "etc/modprobe.d/x.conf": "# nothing\n"}
    facts, _ = learn(build(tmp_path, guest_files(image((*OLD, *VIRTIO))) | files))
    assert facts.value("initramfs.blocked") == []


def test_early_initrds_are_read_together(tmp_path):
    root = guest(tmp_path, image((*OLD, *VIRTIO)))
    early = root / "boot" / "amd-ucode.img"
    early.write_bytes(archive({"kernel/x86/microcode/AuthenticAMD.bin": "m"}))
    entry = menu_entry(kernel=f"/boot/vmlinuz-{RELEASE}", initrd=["/boot/amd-ucode.img", f"/boot/initrd.img-{RELEASE}"])
    facts, found = learn(root, boot__entries=[entry], boot__default=entry)
    assert told(facts, "initramfs.images")[0]["path"] == f"/boot/initrd.img-{RELEASE}" and found == {}


def test_generators_and_support(tmp_path):
    for number, maker in enumerate(("initramfs-tools", "dracut", "mkinitcpio", "mkinitrd-suse")):
        more = {"sbin/lvm": "x", "usr/bin/cryptsetup": "x"}
        root = guest(tmp_path / str(number), image(OLD, maker, **more))
        (root / f"usr/lib/modules/{RELEASE}/modules.builtin").write_text("kernel/dm-mod.ko\n")
        facts, _ = learn(root)
        one = told(facts, "initramfs.images")[0]
        assert (one["generator"], one["hostonly"]) == (maker, True)
        assert one["support"] == {"crypt": False, "lvm": True, "md": False}


def test_an_image_of_alpine(tmp_path):
    facts, found = learn(guest(tmp_path, image(OLD, "mkinitfs")))
    (one,) = told(facts, "initramfs.images")
    assert (one["generator"], one["hostonly"]) == ("mkinitfs", None)
    assert f"mkinitfs {RELEASE}" in found["GF-INITRAMFS-LACKS"].remedy


NEEDS = [
    ({}, ["root=UUID=1"], {"virtio_pci", "virtio_blk"}),
    ({"etc/fstab": "/dev/vg/root / ext3 x 0 0\n/dev/md0 /usr jfs x 0 0\n"}, [], {"ext3", "dm_mod", "md_mod", "jfs"}),
    ({"etc/fstab": "/dev/mapper/c / auto x\n", "etc/crypttab": "c /dev/sda2 none luks\n"}, [], {"dm_crypt"}),
    ({"etc/fstab": "/dev/disk/by-uuid/1 / none x\n"}, ["rd.lvm.lv=vg/root", "rd.md.uuid=1"], {"dm_mod", "md_mod"}),
    ({}, ["root=/dev/mapper/vg-root", "rd.luks.uuid=1"], {"dm_mod", "dm_crypt"}),
    ({}, ["root=/dev/nfs", "ip=dhcp"], {"virtio_net"}),
]


@pytest.mark.parametrize(("files", "args", "wanted"), NEEDS)
def test_needs_of_the_guests_own_layout(tmp_path, files, args, wanted):
    root = DirectoryGuest(str(build(tmp_path, {"etc/hostname": "x\n"} | files)))
    needs = needs_of(root, Facts(), load_pack().targets["kvm-virtio"], tuple(args))
    assert {need.module for need in needs} == {"virtio_pci", "virtio_blk"} | wanted


def test_companions_of_drivers(tmp_path):
    root = DirectoryGuest(str(build(tmp_path, {"etc/hostname": "x\n"})))
    target = Target("t", "t", drivers={"storage": ("virtio-scsi",), "network": ()})
    assert [need.module for need in needs_of(root, Facts(), target, ())] == ["virtio_scsi", "virtio_pci", "sd_mod"]
    target = Target("t", "t", drivers={"storage": ("hv_storvsc",)})
    assert [need.module for need in needs_of(root, Facts(), target, ())] == ["hv_storvsc", "sd_mod", "hv_vmbus"]


def test_a_windows_guest_is_passed_over(tmp_path):
    facts, found = learn(build(tmp_path, {"Windows/x": ""}), os__family="windows")
    assert "initramfs.images" not in facts and not found


def test_a_guest_without_any_initramfs(tmp_path):
    facts, found = learn(build(tmp_path, {"etc/os-release": "ID=x\n"}))
    assert told(facts, "initramfs.images") == [] and found["GF-INITRAMFS-NONE"].severity == "info"


NAMES = ("modules.dep", "modules.alias.bin", "modules.softdep", "modules.builtin.bin", "modules.dep.bin")


@given(st.lists(st.binary(max_size=80), min_size=8, max_size=8))
@settings(max_examples=60, deadline=None)
def test_hostile_members_never_raise(tmp_path_factory, junk):
    folder = f"usr/lib/modules/{RELEASE}"
    more = {"init": junk[0], "conf/initramfs.conf": junk[1], "etc/modprobe.d/h.conf": junk[2]}
    more |= {f"{folder}/{name}": data for name, data in zip(NAMES, junk[3:], strict=True)}
    files = guest_files(image(OLD, **more)) | {"etc/modprobe.d/h.conf": junk[2]}
    files |= {f"{folder}/{name}": data for name, data in zip(NAMES, junk, strict=False)}
    facts, _ = learn(build(tmp_path_factory.mktemp("hostile"), files))
    assert len(told(facts, "initramfs.images")) == 1 and set(MODULES) >= set(OLD)
