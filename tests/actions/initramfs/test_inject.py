"""Injected images: the old bytes stay, the field's tools read the whole, modprobe finds the drivers."""

from __future__ import annotations

import io
import os
from pathlib import Path

import pytest

from guestfix.actions.initramfs import segment as initramfs_segment
from guestfix.actions.initramfs.segment import Segment
from guestfix.actions.initramfs.segment import build as build_segment
from guestfix.actions.initramfs.segment import pack as pack_segment
from guestfix.backends.directory import DirectoryGuest
from guestfix.base.edit import Splice
from guestfix.base.facts import Facts
from guestfix.detect.initramfs import images as detector
from guestfix.detect.initramfs.check import judge
from guestfix.detect.initramfs.find import Boot
from guestfix.formats.initramfs import cpio
from guestfix.formats.initramfs import image as initramfs
from guestfix.formats.initramfs.compress import compress
from guestfix.formats.initramfs.extend import Extension
from guestfix.pack.cache import load_pack
from tests.build.facts import told
from tests.build.initramfs import (
    MODULES,
    RELEASE,
    SUSE_START,
    archive,
    elf_module,
    guest,
    guest_files,
    indexes,
    inside,
    module_path,
    modules_in_front,
)
from tests.build.initramfs_cases import NASH
from tests.build.initramfs_plans import GOES_ON, MICROCODE, OLD, VIRTIO, plan
from tests.build.initramfs_tools import COMMANDS, extract, need, pack, run, unpack
from tests.build.tree import build

SUSE_STEPS = ("01-devfunctions", "11-start", "12-udev")


@pytest.mark.parametrize("early", [b"", MICROCODE])
@pytest.mark.parametrize("kind", [*COMMANDS, "none"])
def test_the_tools_read_an_injected_image_of_every_compression(tmp_path, kind, early):
    old = early + pack(kind, archive(inside(OLD)))
    result = plan(guest(tmp_path / "guest", old))
    kinds = [one.compression for one in result.image.segments][bool(early) :]
    assert result.image.problem is None
    body = result.data[len(early) :]
    if kind in GOES_ON:
        assert kinds == [kind]
        plain = unpack(kind, old[len(early) :])
        assert unpack(kind, body).startswith(plain[: plain.rindex(b"TRAILER!!!") - cpio.HEADER])
    else:
        assert kinds == (["lzma", "none"] if kind == "lzma" else [kind, kind]) and result.data.startswith(old)
    if kind == "lzma":
        body = unpack(kind, old[len(early) :]) + result.data[len(old) :].lstrip(b"\0")
    extract(early + (body if kind == "lzma" else unpack(kind, body)), tmp_path / "out")
    _modprobe(tmp_path / "out", "virtio_blk", "virtio:d00000002v00001AF4", "ata_piix", "pci:v00001AF4d1sv1sd1bc1sc1i1")
    assert (tmp_path / "out" / "conf" / "modules").read_text() == "virtio_pci\nvirtio_blk\n"
    assert (tmp_path / "out" / "lib").is_symlink()
    if kind not in ("lzma", "none"):  # neither of which lsinitramfs of Debian 12 lists without an error
        need("lsinitramfs")
        (tmp_path / "image").write_bytes(result.data)
        listed = set(run("lsinitramfs", str(tmp_path / "image")).decode().splitlines()) - {"."}
        old_names = {name for name in result.image.entries if "virtio" not in name and name != "conf/modules"}
        assert listed == set(result.image.entries) if kind in GOES_ON else "init" in listed <= old_names


def _modprobe(root: Path, *names: str) -> None:
    need("modprobe")
    for name in names:
        shown = run("modprobe", "-d", str(root), "-S", RELEASE, "--show-depends", name).decode().split()
        files = [Path(word) for word in shown if word.endswith((".ko", ".xz", ".zst", ".gz"))]
        assert files and all(path.is_file() for path in files)


@pytest.mark.parametrize("generator", ["dracut", "mkinitcpio", "mkinitrd-suse"])
def test_each_generators_own_way_of_loading_early(tmp_path, generator):
    old = compress("gzip", archive(inside(OLD, generator)))
    result = plan(guest(tmp_path / "guest", old), "aws-nitro")
    extract(unpack("gzip", result.data), tmp_path / "out")
    _modprobe(tmp_path / "out", "nvme", "pci:v00001D0Fd0000CD00sv00001D0Fsd0000CD00bc01sc08i02")
    if generator == "dracut":
        assert result.image.files["etc/modules-load.d/guestfix.conf"] == b"nvme\n"
    if generator == "mkinitcpio":
        assert result.image.files["config"] == b'EARLYHOOKS="udev"\nMODULES="ata_piix nvme"\n'
    if generator == "mkinitrd-suse":
        assert b'\nmodules="$RESOLVED_INITRD_MODULES"\nmodules="$modules nvme"\n' in result.image.files["run_all.sh"]
    assert "GF-INITRAMFS-NOT-EARLY" not in result.findings


SUSE_INIT = """#!/bin/bash
load_modules() { for one in $(eval echo $modules); do echo "modprobe $one"; done; modules=""; }
source run_all.sh
exit 0
"""


@pytest.mark.parametrize("listed", ["ata_piix processor", ""])
def test_suses_first_step_loads_the_drivers_after_its_own(tmp_path, listed):
    need("bash")
    files = inside(OLD, "mkinitrd-suse") | {f"boot/{name}.sh": f"echo {name}\n" for name in SUSE_STEPS}
    if not listed:
        files["run_all.sh"] = files["run_all.sh"].replace(SUSE_START, "")
    root = guest(tmp_path / "guest", compress("gzip", archive(files)), initrd=f"initrd-{RELEASE}")
    extract(unpack("gzip", plan(root, path=f"/boot/initrd-{RELEASE}").data), tmp_path / "out")
    (tmp_path / "out/init").write_text(SUSE_INIT)
    told = run("bash", "init", cwd=tmp_path / "out").decode()
    loads = [f"modprobe {name}" for name in (*listed.split(), "virtio_pci", "virtio_blk")]
    assert told.splitlines() == ["01-devfunctions", "11-start", *loads, "12-udev"]


def test_a_suse_script_of_another_form_is_told(tmp_path):
    files = inside(OLD, "mkinitrd-suse") | {"run_all.sh": "for i in boot/*.sh; do . $i; done\n"}
    result = plan(guest(tmp_path, compress("gzip", archive(files))))
    assert "mkinitrd-suse" in result.findings["GF-INITRAMFS-NOT-EARLY"].summary


def test_a_booster_image_is_judged_and_left_alone(tmp_path):
    """Its init reads no modules.dep but lists of its own in booster.init.yaml and booster.alias."""
    files = {f"usr/lib/modules/{name}.ko": elf_module(name) for name in OLD}
    files |= {"init": "program\n", "etc/booster.init.yaml": f"kernel: {RELEASE}\n", "usr/lib/modules/booster.alias": ""}
    old = compress("zstd", archive(files))
    root = guest(tmp_path, old)
    result = plan(root)
    image = told(result.bench.facts, "initramfs.images")[0]
    assert result.data == old and image["modules"] == sorted(OLD) and image["generator"] == "booster"
    assert image["missing"] == list(VIRTIO)
    facts = Facts()
    facts.put("os.family", "linux")
    found = detector.detect(DirectoryGuest(str(root)), facts, load_pack().targets["kvm-virtio"])
    sealed = {one.code: one for one in found}["GF-INITRAMFS-SEALED"]
    assert sealed.severity == "blocker" and "booster build" in sealed.remedy and "virtio_blk" in sealed.remedy


def test_a_dracut_without_systemd_gets_an_argument(tmp_path):
    files = inside(OLD, "dracut")
    del files["usr/lib/systemd/systemd-modules-load"]
    result = plan(guest(tmp_path, compress("gzip", archive(files))), "aws-nitro")
    assert result.image.files["etc/cmdline.d/99-guestfix.conf"] == b" rd.driver.pre=nvme \n"


@pytest.mark.parametrize("known", ["", "rd.lvm=0"])
def test_dracut_of_red_hat_6_reads_arguments_from_one_file(tmp_path, known):
    files = {name: data for name, data in inside(OLD, "dracut").items() if "lib/dracut" not in name}
    del files["usr/lib/systemd/systemd-modules-load"], files["etc/cmdline.d/95root.conf"]
    files |= {"lib/dracut-lib.sh": "getarg() { :; }\n"} | ({"etc/cmdline": known} if known else {})
    result = plan(guest(tmp_path, compress("gzip", archive(files))))
    lines = result.image.files["etc/cmdline"].decode().splitlines()
    assert lines[:-1] == known.splitlines()
    words = [
        f"{name}={module}" for name in ("rd.driver.pre", "rdloaddriver") for module in ("virtio_pci", "virtio_blk")
    ]
    assert lines[-1].split() == words and "GF-INITRAMFS-NOT-EARLY" not in result.findings


def test_of_several_files_of_a_boot_the_last_goes_on(tmp_path):
    """As Arch has it: microcode in a file of its own, whose one archive is not the initramfs's."""
    root = guest(tmp_path, compress("zstd", archive(inside(OLD, "mkinitcpio"))))
    (root / "boot/intel-ucode.img").write_bytes(archive({"kernel/x86/microcode/GenuineIntel.bin": "m", "usr/x": "y"}))
    boot = Boot(RELEASE, "", ("/boot/intel-ucode.img", f"/boot/initrd.img-{RELEASE}"), "default")
    found = judge(DirectoryGuest(str(root)), Facts(), load_pack().targets["kvm-virtio"], boot)
    with (root / f"boot/initrd.img-{RELEASE}").open("rb") as stream:
        splices, how = pack_segment(build_segment(DirectoryGuest(str(root)), found), stream)
    assert how.startswith("the last archive (zstd) continues") and len(splices) == 2


def test_a_list_of_modules_is_kept(tmp_path):
    files = inside(OLD) | {"conf/modules": "# mine\nloop max_loop=8\nvirtio-blk"}
    result = plan(guest(tmp_path, compress("gzip", archive(files))))
    assert result.image.files["conf/modules"] == b"# mine\nloop max_loop=8\nvirtio-blk\nvirtio_pci\n"


@pytest.mark.parametrize("suffix", [".gz", ".xz", ".zst"])
def test_modules_that_the_image_may_not_be_able_to_load_are_unpacked(tmp_path, suffix):
    plain = plan(guest(tmp_path / "plain", compress("gzip", archive(inside(OLD))), suffix=suffix))
    where = f"usr/lib/modules/{RELEASE}/{module_path('virtio_blk')}"
    assert plain.image.files[where] == elf_module("virtio_blk")
    assert b"kernel/block/virtio_blk.ko:" in plain.image.files[f"usr/lib/modules/{RELEASE}/modules.dep"]
    same = plan(guest(tmp_path / "same", compress("gzip", archive(inside(OLD, suffix=suffix))), suffix=suffix))
    assert where not in same.image.entries and where + suffix in same.image.entries


def test_an_image_without_any_module_gets_a_folder_and_indexes(tmp_path):
    files = {"init": "#!/bin/sh\n", "scripts/functions": "", "lib": ("link", "usr/lib"), "usr/lib/x": ""}
    result = plan(guest(tmp_path / "guest", compress("xz", archive(files))))
    extract(unpack("xz", result.data), tmp_path / "out")
    _modprobe(tmp_path / "out", "virtio_blk")
    assert (tmp_path / "out" / f"usr/lib/modules/{RELEASE}/modules.builtin.bin").is_file()


def test_an_image_with_only_binary_indexes_keeps_it_so(tmp_path):
    files = inside(OLD, "mkinitcpio")
    for name in ("modules.dep", "modules.alias"):
        del files[f"usr/lib/modules/{RELEASE}/{name}"]
    result = plan(guest(tmp_path / "guest", compress("zstd", archive(files))))
    assert f"usr/lib/modules/{RELEASE}/modules.dep" not in result.image.entries
    extract(unpack("zstd", result.data), tmp_path / "out")
    _modprobe(tmp_path / "out", "virtio_blk", "ata_piix")


def test_a_nash_script_loads_in_the_right_order(tmp_path):
    files = {"init": NASH, "lib/scsi_mod.ko": "m", "lib/ata_piix.ko": "m"}
    root = guest(tmp_path, compress("gzip", archive(files)), initrd=f"initrd-{RELEASE}.img")
    result = plan(root, path=f"/boot/initrd-{RELEASE}.img")
    lines = result.image.files["init"].decode().splitlines()
    loaded = [line.split()[1] for line in lines if line.startswith("insmod")]
    assert loaded == [f"/lib/{name}.ko" for name in ("scsi_mod", "ata_piix", *VIRTIO)]
    assert lines.index("insmod /lib/virtio_blk.ko") < lines.index("mkblkdevs")
    assert all(name.lstrip("/") in result.image.entries for name in loaded)


def test_a_blacklist_inside_is_lifted_and_others_stay(tmp_path):
    files = inside((*OLD, *VIRTIO)) | {"etc/modprobe.d/x.conf": "blacklist virtio-blk\nblacklist pcspkr\n"}
    result = plan(guest(tmp_path, compress("gzip", archive(files))))
    assert result.image.files["etc/modprobe.d/x.conf"].endswith(b": blacklist virtio-blk\nblacklist pcspkr\n")
    size = len(result.image.files["etc/modprobe.d/x.conf"])
    line = f"+ etc/modprobe.d/x.conf ({size} bytes)"
    assert result.diff.splitlines()[1:] == [line] and result.diff.startswith("+ the last archive (gzip) continues from")


def test_hard_links_inside_are_cut_before_a_file_changes(tmp_path):
    tree = build(tmp_path / "tree", {name: data for name, data in inside(OLD).items() if name != "conf/modules"})
    (tree / "conf/modules").write_text("")
    os.link(tree / "conf/modules", tree / "empty")
    need("cpio", "find")
    names = run("find", ".", "-mindepth", "1", cwd=tree)
    old = run("cpio", "--quiet", "-o", "-H", "newc", data=b"\n".join(sorted(names.splitlines())) + b"\n", cwd=tree)
    result = plan(guest(tmp_path / "guest", old))
    extract(result.data, tmp_path / "out")
    assert (tmp_path / "out/conf/modules").read_text() == "virtio_pci\nvirtio_blk\n"
    assert (tmp_path / "out/empty").read_text() == ""


def test_room_is_counted_with_the_old_image_kept(tmp_path):
    old = compress("gzip", archive(inside(OLD)))
    root = guest(tmp_path, old)
    refused = plan(root, space=len(old) + 100)
    finding = refused.findings["GF-INITRAMFS-NO-ROOM"]
    assert refused.data == old and finding.severity == "blocker"
    assert f"has {len(old) + 100} bytes free" in finding.summary and "free at least" in finding.remedy
    assert plan(root, space=4 * len(old)).data != old


def test_room_is_counted_once_for_all_images(tmp_path):
    old = compress("gzip", archive(inside(OLD)))
    root = guest(tmp_path, old)
    (root / "boot/vmlinuz-9.9.9-other").write_text("x")
    (root / "boot/initrd.img-9.9.9-other").write_bytes(old)
    folder = root / "usr/lib/modules/9.9.9-other"
    build(folder, indexes(tuple(MODULES)) | {module_path(name): elf_module(name) for name in MODULES})
    result = plan(root, space=2 * len(plan(root).data) - 1)
    assert len(result.bench.fs.drafts()) == 1 and "GF-INITRAMFS-NO-ROOM" in result.findings
    assert len(plan(root, space=100 * len(old)).bench.fs.drafts()) == 2


@pytest.mark.parametrize("layout", ["gzip", "lzo", "modules in front"])
def test_the_sum_that_update_initramfs_noted_follows(tmp_path, layout):
    """sha1sum(1) wrote it; a sum that did not fit before tells of an image of the admin's own."""
    need("sha1sum")
    in_front = layout == "modules in front"
    old = modules_in_front(inside(OLD), "lzo") if in_front else compress(layout, archive(inside(OLD)))
    old, state = old + bytes(99), f"var/lib/initramfs-tools/{RELEASE}"
    line = f"  /boot/initrd.img-{RELEASE}\n"
    noted = {"right": run("sha1sum", data=old).decode()[:40] + line, "wrong": "0" * 40 + line, "odd": "yes\n"}
    for name, text in noted.items():
        result = plan(build(tmp_path / name, guest_files(old) | {state: text}))
        assert result.data != old
        told = result.bench.fs.read(f"/{state}").decode()
        assert told == (run("sha1sum", data=result.data).decode()[:40] + line if name == "right" else text)


def test_another_name_of_the_image_is_told(tmp_path):
    root = guest(tmp_path, compress("gzip", archive(inside(OLD))))
    os.link(root / f"boot/initrd.img-{RELEASE}", root / "boot/other")
    assert "2 names" in plan(root).findings["GF-INITRAMFS-HARD-LINK"].summary


@pytest.mark.parametrize("damage", [lambda data: data[:-30], lambda data: data + b"junk", lambda data: b"text"])
def test_what_cannot_be_read_is_left_alone(tmp_path, damage):
    old = damage(compress("gzip", archive(inside(OLD))))
    result = plan(guest(tmp_path, old))
    assert result.data == old and not result.bench.fs.drafts()


def test_a_module_that_cannot_be_read_stops_the_image(tmp_path):
    root = guest(tmp_path, compress("gzip", archive(inside(OLD))))
    (root / f"usr/lib/modules/{RELEASE}/{module_path('virtio_ring')}").unlink()
    result = plan(root)
    assert result.findings["GF-INITRAMFS-MODULE-UNREADABLE"].severity == "blocker" and not result.bench.fs.drafts()


def test_the_same_bytes_every_time_and_nothing_the_second_time(tmp_path):
    root = guest(tmp_path, compress("zstd", archive(inside(OLD))))
    first, second = plan(root), plan(root)
    assert first.data == second.data
    (root / f"boot/initrd.img-{RELEASE}").write_bytes(first.data)
    facts = Facts()
    facts.put("os.family", "linux")
    assert detector.detect(DirectoryGuest(str(root)), facts, load_pack().targets["kvm-virtio"]) == []
    assert not plan(root).bench.fs.drafts()


def test_plain_archives_begin_at_a_multiple_of_four():
    for size in range(101, 105):
        image = initramfs.Image(size, segments=[initramfs.Segment(0, size, "lzma", size, 1)])
        (splice,), how = pack_segment(Segment(image, files={"x": (0o100644, b"1")}), io.BytesIO())
        at = splice.data.index(b"070701")
        assert how == f"an archive (not compressed) follows at byte {size + at}" and (splice.offset, splice.length) == (
            size,
            0,
        )
        assert (size + at) % 4 == 0 and 4 <= at < 8


@pytest.mark.parametrize("kind", [kind for kind in COMMANDS if kind not in ("lzma", "bzip2")])
def test_padding_stays_at_the_end(tmp_path, kind):
    old = compress(kind, archive(inside(OLD)))
    result = plan(guest(tmp_path / "guest", old + bytes(100)))
    assert result.data.endswith(bytes(100)) and result.image.problem is None
    assert result.image.end == len(result.data) - 100 and "conf/modules" in result.image.entries
    if kind in ("gzip", "xz", "lz4"):
        extract(unpack(kind, result.data[:-100]), tmp_path / "out")


def test_what_does_not_read_back_is_not_believed(tmp_path, monkeypatch):
    """A segment that can't be made to continue gets an archive behind it."""
    old = compress("gzip", archive(inside(OLD)))
    wrong = Extension((Splice(len(old) - 30, 30, b"no archive"),))
    monkeypatch.setattr(initramfs_segment, "extend", lambda stream, image, more: wrong)
    result = plan(guest(tmp_path, old))
    assert [one.compression for one in result.image.segments] == ["gzip", "gzip"] and result.data.startswith(old)
    assert result.diff.startswith(f"+ an archive (gzip) follows at byte {len(old)}\n")


def test_the_report_lists_the_added_members(tmp_path):
    diff = plan(guest(tmp_path, compress("gzip", archive(inside(OLD))))).diff
    assert diff.startswith("+ the last archive (gzip) continues from byte 10\n")
    assert f"+ usr/lib/modules/{RELEASE}/{module_path('virtio_blk')} ({len(elf_module('virtio_blk'))} bytes)" in diff


def test_guests_are_built_alike():
    assert guest_files(b"x") == guest_files(b"x")
