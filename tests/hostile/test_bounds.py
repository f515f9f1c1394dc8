"""Point 6: one hostile file costs at most 10 s of one processor and 400 MB, and what is left out is told.

Each row makes one file, or one folder, of a guest hostile and plans the whole guest in a process of its own; a row
for every bound of guestfix/base/bounds.py is among them.
"""

from __future__ import annotations

import gzip
import io
import json
import os
import shutil
import struct
import tempfile
import zlib
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any, NamedTuple

import pytest

import guestfix
from guestfix.backends.directory import DirectoryGuest
from guestfix.base import bounds
from guestfix.base.errors import EditError, GuestfixError, TooLarge
from guestfix.editors import OPS, find_op, read_limit
from guestfix.editors.boot import args as bootargs
from guestfix.formats import shellvars
from guestfix.formats.boot import argplaces, grubcfg
from guestfix.plan.changes import unified
from guestfix.plan.model import dump_plan
from guestfix.plan.planner import Options
from guestfix.report.text import render_plan
from tests.build.tree import build
from tests.hostile.limits import MEGABYTES, SECONDS, cost

BASE: dict[str, object] = {
    "etc/os-release": 'ID=debian\nVERSION_ID="12"\nPRETTY_NAME="Debian 12"\n',
    "etc/default/grub": "GRUB_TIMEOUT=5\n",
    "etc/fstab": "UUID=1111-2222 / ext4 defaults 0 1\n",
    "boot/vmlinuz-6.1": b"x",
    "boot/initrd.img-6.1": b"x",
    "lib/modules/6.1/modules.dep": "kernel/drivers/block/virtio_blk.ko:\n",
    "lib/systemd/systemd": b"",
}
MB = 1 << 20
GRUB = "boot/grub/grub.cfg"
LINK = "etc/systemd/network/a.link"
NETPLAN = "etc/netplan/a.yaml"
UDEV = "etc/udev/rules.d/70-persistent-net.rules"


def entry(number: int) -> bytes:
    """An entry as long as mkconfig's."""
    return (
        b"menuentry 'Debian GNU/Linux, with Linux 6.1.0-%d-amd64' --class debian --class gnu-linux --class gnu "
        b"--class os $menuentry_id_option 'gnulinux-6.1.0-%d-amd64-advanced-1111-2222' {\n"
        b"\tload_video\n\tinsmod gzio\n\tif [ x$grub_platform = xxen ]; then insmod xzio; insmod lzopio; fi\n"
        b"\tinsmod part_gpt\n\tinsmod ext2\n\tsearch --no-floppy --fs-uuid --set=root 1111-2222\n"
        b"\techo\t'Loading Linux 6.1.0-%d-amd64 ...'\n"
        b"\tlinux\t/vmlinuz-6.1 root=/dev/sda1 ro quiet\n\tinitrd\t/initrd.img-6.1\n}\n"
    ) % (number, number, number)


def menu(count: int) -> bytes:
    return b"set default=0\n" + b"".join(entry(number) for number in range(count))


def multiplying(count: int) -> bytes:
    grown = b"set a=aaaaaaaaaaaaaaaaaaaa\n" + b'set a="$a$a$a$a"\n' * 10
    return grown + b"".join(b'set v%d="$a%d"\nmenuentry "$a" --id "$a" {\nlinux $a\n}\n' % (i, i) for i in range(count))


class Row(NamedTuple):
    """``told``: what a finding says of it, where something is left out."""

    name: str
    files: Callable[[], Mapping[str, object]]
    told: str = ""


def many(pattern: str, count: int, data: str) -> dict[str, object]:
    return {pattern.format(number): data.format(number) for number in range(count)}


LARGE = "is larger than"
ROWS = [
    Row("20,000 entries", lambda: {GRUB: menu(20_000)}, "the facts list the first 2000"),
    Row("2,500 BLS entries", lambda: {
        **many("boot/loader/entries/e{}.conf", 2500, "title x\nlinux /vmlinuz-6.1\noptions root=/dev/sda1 n={}\n"),
        GRUB: "blscfg\n"}, "500 of its files in loader/entries were not read"),
    Row("variables multiply", lambda: {GRUB: multiplying(3000)}, "variables grow without end"),
    Row("a menu sources itself", lambda: {GRUB: b"source /grub/a.cfg\n" * 20_000, "boot/grub/a.cfg": b"#" * MB},
        "too much is read by source"),
    Row("a menu looks for files", lambda: {GRUB: b"if [ -f /a ]; then true; fi\n" * 60_000}, "too many files"),
    Row("loops in a menu", lambda: {GRUB: b"for i in " + b"a " * 9000 + b"; do\nfor j in " + b"b " * 9000
        + b"; do set x=1; done; done\n"}, "too many commands"),
    Row("NUL in a menu", lambda: {GRUB: b"menuentry 'a' {\nlinux /vmlinuz-6.1 " + b"\0" * (8 * MB) + b"\n}\n"},
        bounds.MENU_PROBLEM),
    Row("nothing but NUL in a menu", lambda: {GRUB: b"\0" * (15 * MB)}, bounds.MENU_PROBLEM),
    Row("${ in a menu", lambda: {GRUB: b"${" * (7 * MB)}, bounds.MENU_PROBLEM),
    Row("${ in an entry", lambda: {GRUB: b"menuentry 'a' {\nlinux /vmlinuz-6.1 " + b"${" * (7 * MB) + b"\n}\n"},
        bounds.MENU_PROBLEM),
    Row("blocks in blocks", lambda: {GRUB: b"a {\n" * (3 * MB)}, bounds.MENU_PROBLEM),
    Row("if in if", lambda: {GRUB: b"if [ a = a ] ; then\n" * 300_000 + b"}\n" * 300_000}, bounds.MENU_PROBLEM),
    Row("open quotes in a menu", lambda: {GRUB: b"'\n\"\n" * (3 * MB)}),
    Row("backslashes in a menu", lambda: {GRUB: b'set a="' + b"\\\\" * (7 * MB) + b'"\n'}, bounds.MENU_PROBLEM),
    Row("a menu of 500 MB", lambda: {GRUB: ("sparse", 500 * MB)}, LARGE),
    Row("GRUB Legacy", lambda: {"boot/grub/menu.lst": b"title a\nkernel /vmlinuz-6.1 root=/dev/sda1\n" * 25_000}),
    Row("one entry of GRUB Legacy", lambda: {"boot/grub/menu.lst": b"title a\n" + b"kernel /a root=a\n" * 50_000}),
    Row("extlinux", lambda: {"boot/extlinux/extlinux.conf": b"LABEL a\nKERNEL /k\nAPPEND root=/dev/sda1\n" * 27_000}),
    Row("a shell file", lambda: {"etc/default/grub": b'GRUB_CMDLINE_LINUX="root=/dev/sda1"\n' * 28_000}),
    Row("escapes in a shell file", lambda: {"etc/default/grub": b'A="' + b'\\"\n' * 300_000}),
    Row("open lists in a shell file", lambda: {"etc/default/grub": b"A=(\n" * 250_000}),
    Row("here-documents", lambda: {"etc/default/grub": b"cat <<A\n" * 125_000}),
    Row("a shell file of 500 MB", lambda: {"etc/default/grub": ("sparse", 500 * MB)}, "larger than"),
    Row("fstab", lambda: {"etc/fstab": b"".join(b"/dev/sd%c%d /a%d ext4 defaults 0 0\n" % (97 + i % 26, i, i)
        for i in range(7000))}),
    Row("fstab of 500 MB", lambda: {"etc/fstab": ("sparse", 500 * MB)}, "fstab"),
    Row("options of fstab", lambda: {"etc/fstab": b"/dev/sda1 /a ext4 " + b"a," * 125_000 + b" 0 0\n"}),
    Row("crypttab", lambda: {"etc/crypttab": b"a /dev/sda1 none luks\n" * 11_000}),
    Row("a continued .link", lambda: {LINK: b"[Match]\nMACAddress=\\\n" + b"0\\\n" * 340_000 + b"\n[Link]\nName="}),
    Row("a .link file of 3 MB", lambda: {LINK: b"[Match]\nMACAddress=\\\n" + b"0\\\n" * MB}, LARGE),
    Row("a continued interfaces file", lambda: {"etc/network/interfaces": b"iface eth0 inet static\n up \\\n"
        + b"a\\\n" * 340_000}),
    Row("interfaces", lambda: {"etc/network/interfaces": b"".join(b"auto e%d\niface e%d inet static\n" % (i, i)
        for i in range(25_000))}),
    Row("words of auto", lambda: {"etc/network/interfaces": b"auto " + b" ".join(b"e%d" % i for i in range(90_000))
        + b"\niface e0 inet static\n"}),
    Row("routes of interfaces", lambda: {"etc/network/interfaces": b"auto eth0\niface eth0 inet static\n up "
        + b"ip -a " * 100_000 + b"\n"}),
    Row("ifcfg", lambda: {"etc/sysconfig/network-scripts/ifcfg-eth0": b"DEVICE=eth0\n" + b"".join(
        b"IPADDR%d=1.2.3.4\n" % i for i in range(50_000))}),
    Row("a keyfile", lambda: {"etc/NetworkManager/system-connections/a.nmconnection":
        b"[ipv4]\naddress1=1.2.3.4/24\n" * 40_000}),
    Row("netplan", lambda: {NETPLAN: b"network:\n ethernets:\n" + b"".join(b"  e%d: {addresses: [1.2.3.4/24]}\n" % i
        for i in range(25_000))}),
    Row("depth of netplan", lambda: {NETPLAN: b"[" * 500_000}),
    Row("depth of netplan's blocks", lambda: {NETPLAN: b"- " * 500_000}),
    Row("aliases in netplan", lambda: {NETPLAN: b"a: &a [x,x,x,x]\n" + b"b: &b [*a,*a,*a,*a]\n" * 1000}),
    Row("udev rules", lambda: {UDEV: b'SUBSYSTEM=="net", ATTR{address}=="00:11:22:33:44:55", NAME="a"\\\n' * 14_000}),
    Row("quotes in udev rules", lambda: {UDEV: b'SUBSYSTEM=="' + b'\\"' * 500_000}),
    Row("blanks in udev rules", lambda: {UDEV: b" " * 900_000}),
    Row("modprobe", lambda: {"etc/modprobe.d/a.conf": b"blacklist virtio_blk\n" * 45_000}),
    Row("a continued modprobe file", lambda: {"etc/modprobe.d/a.conf": b"install virtio_blk \\\n" + b"x\\\n" * MB}),
    Row("modules.dep", lambda: {"lib/modules/6.1/modules.dep": b"".join(
        b"kernel/a%d.ko: kernel/a%d.ko kernel/a%d.ko\n" % (i, i + 1, i + 2) for i in range(250_000))}),
    Row("modules.dep of 100 MB", lambda: {"lib/modules/6.1/modules.dep": ("sparse", 100 * MB)}, LARGE),
    Row("modules.alias", lambda: {"lib/modules/6.1/modules.alias":
        b"alias pci:v00001AF4d00001000sv*sd*bc*sc*i* virtio_pci\n" * 250_000}),
    Row("sshd_config includes itself", lambda: {"etc/ssh/sshd_config": b"Include /etc/ssh/sshd_config\n" * 3000}),
    Row("units", lambda: many("etc/systemd/system/a{}.service", 5000, "[Service]\nExecStart=/x\n")),
    Row("mount units", lambda: many("etc/systemd/system/a{}.mount", 1500, "[Mount]\nWhat=/dev/sdz1\nWhere=/a{}\n")),
    Row("nftables", lambda: {"etc/nftables.conf": b"table inet a { chain i { type filter hook input priority 0; "
        + b"ip saddr 1.2.3.4 accept; " * 30_000 + b"} }"}),
    Row("depth of nftables", lambda: {"etc/nftables.conf": b"{" * 900_000}),
    Row("iptables", lambda: {"etc/iptables/rules.v4": b"*filter\n:INPUT DROP [0:0]\n"
        + b"-A INPUT -p tcp --dport 22 -j a\n" * 30_000 + b"COMMIT\n"}),
    Row("kernels that unpack without end", lambda: {
        f"boot/vmlinuz-{name}": gzip.compress(bytes(200 * MB), 1) for name in ("lts", "virt", "edge", "linux")}),
    Row("a forest of links", lambda: {f"boot/efi/a{i}": ("link", ".") for i in range(300)}),
    Row("a forest of links to folders above", lambda: {f"{folder}/a{i}": ("link", "../..") for i in range(150)
        for folder in ("boot/efi", "etc/systemd/system", "lib/modules/6.1", "etc/modprobe.d")}),
    Row("links of links", lambda: {"etc/fstab": ("link", "l60/fstab"), "etc/l0": ("link", "."),
        **{f"etc/l{i}": ("link", f"l{i - 1}/l{i - 1}") for i in range(1, 61)}}, "fstab"),
    Row("kernels", lambda: many("boot/vmlinuz-6.1.{}", 3000, "x")),
    Row("an initramfs bomb", lambda: {GRUB: menu(1), "boot/initrd.img-6.1": bomb(1200)}),
]  # fmt: skip


def bomb(megabytes: int) -> bytes:
    """Return a gzip that unpacks to many megabytes of a file in a cpio archive."""
    size = megabytes * MB
    head = b"070701" + b"".join(b"%08x" % one for one in (1, 0o100644, 0, 0, 1, 0, size, 0, 0, 0, 0, 2, 0)) + b"a\0"
    engine = zlib.compressobj(9, zlib.DEFLATED, 31)
    piece = bytes(MB)
    packed = [engine.compress(head.ljust(len(head) + -len(head) % 4, b"\0"))]
    packed += [engine.compress(piece) for _ in range(megabytes)]
    return b"".join([*packed, engine.flush()])


def make(root: Path, files: Mapping[str, object]) -> Path:
    plain = {name: data for name, data in files.items() if not (isinstance(data, tuple) and data[0] == "sparse")}
    build(root, plain)
    for name, data in files.items():
        if name not in plain and isinstance(data, tuple):
            (root / name).parent.mkdir(parents=True, exist_ok=True)
            with open(root / name, "wb") as stream:
                stream.truncate(data[1])
    return root


def plan(root: Path) -> dict[str, Any]:
    """Plan the guest, and render the plan in both ways."""
    options = Options(policies={"network": "dhcp-first"}, confidence="possible")
    found = guestfix.make_plan(guestfix.open_guest(str(root)), guestfix.load_pack(), "aws-nitro", options)
    render_plan(found)
    document: dict[str, Any] = json.loads(dump_plan(found))
    return document


@pytest.fixture(scope="module", autouse=True)
def _warm(tmp_path_factory: pytest.TempPathFactory) -> None:
    plan(make(tmp_path_factory.mktemp("warm"), BASE))  # so that each fork has everything imported


@pytest.mark.parametrize("row", ROWS, ids=lambda row: row.name)
def test_one_hostile_file(row: Row, tmp_path: Path) -> None:
    root, told = make(tmp_path / "guest", {**BASE, **row.files()}), tmp_path / "told"

    def task() -> None:
        found = plan(root)
        told.write_text("\n".join(one["summary"] for one in found["findings"]))

    used = cost(task)
    shutil.rmtree(root)
    assert used.failed == ""
    assert used.seconds < SECONDS and used.megabytes < MEGABYTES
    assert row.told in told.read_text()


@pytest.fixture(scope="module")
def crowd() -> Iterator[Path]:
    """A guest, and beside it a folder of 100,000 links, made once, in memory where that is to be had."""
    memory = "/dev/shm" if os.access("/dev/shm", os.W_OK) else None
    with tempfile.TemporaryDirectory(dir=memory) as base:
        (Path(base) / "crowd").mkdir()
        for number in range(bounds.FOLDER_NAMES):
            os.symlink("/etc/os-release", f"{base}/crowd/vmlinuz-{number}")
        yield make(Path(base) / "guest", {**BASE, "etc/network/interfaces": "source /etc/network/interfaces.d/*\n"})


@pytest.mark.parametrize(
    ("folder", "more", "told"),
    [
        ("boot", False, "kernel"),
        (
            "etc/network/interfaces.d",
            False,
            "interfaces.d/* was not looked at: a pattern matches more than 20000 paths",
        ),
        ("etc/systemd/system", True, "more than 100000 names in this directory"),
        ("lib/modules", True, "more than 100000 names in this directory"),
    ],
)
def test_a_folder_of_100_000_names(folder: str, more: bool, told: str, crowd: Path, tmp_path: Path) -> None:
    names, place, said = crowd.parent / "crowd", crowd / folder, tmp_path / "told"
    away = crowd.parent / "away"
    if place.exists():
        place.rename(away)
    place.parent.mkdir(parents=True, exist_ok=True)
    names.rename(place)
    (place / "one-more").symlink_to("x")
    if not more:
        (place / "one-more").unlink()

    def task() -> None:
        said.write_text("\n".join(one["summary"] for one in plan(crowd)["findings"]))

    try:
        used = cost(task)
    finally:
        (place / "one-more").unlink(missing_ok=True)
        place.rename(names)
        if away.exists():
            away.rename(place)
    assert used.failed == ""
    assert used.seconds < SECONDS and used.megabytes < MEGABYTES
    assert told in said.read_text()


def _vmdk(extents: int) -> bytes:
    lines = b"".join(b'RW 1 FLAT "a-%d.raw" 0\n' % number for number in range(extents))
    return b'# Disk DescriptorFile\nversion=1\nCID=fffffffe\nparentCID=ffffffff\ncreateType="monolithicFlat"\n' + lines


@pytest.mark.parametrize("extents", [bounds.IMAGE_EXTENTS + 1, 20_000, 40_000])
def test_extents_of_a_vmdk(extents: int, tmp_path: Path) -> None:
    """Refused by their number, or the descriptor by its size, before any of them is opened."""
    (tmp_path / "a.vmdk").write_bytes(_vmdk(extents))

    def task() -> None:
        with pytest.raises(GuestfixError, match=r"extents|larger than|too large"):
            plan(tmp_path / "a.vmdk")

    used = cost(task)
    assert used.failed == "" and used.seconds < SECONDS and used.megabytes < MEGABYTES


def test_twenty_thousand_entries_are_all_changed() -> None:
    """Not merely quick: every entry's device and console are what was asked for, and the diff is whole."""
    src = menu(20_000)

    def task() -> None:
        change = bootargs.DeviceChange({"/dev/sda1": "UUID=3e6be9de-8139-4c24-8a19-2b4a7d1a4a6b"}, {})
        after = argplaces.rewrite(src, "grubcfg", change)
        assert after.count(b"root=UUID=3e6be9de") == 20_000 and b"/dev/sda1" not in after
        assert not grubcfg.parse(after).problems
        shown = unified("/boot/grub/grub.cfg", src, b"set timeout=5\n" + after)
        assert "more lines" in shown and shown.count("\n") <= bounds.DIFF_SHOWN + 1

    used = cost(task)
    assert used.failed == "" and used.seconds < SECONDS and used.megabytes < MEGABYTES


def test_twice_the_entries_take_about_twice_as_long() -> None:
    def seconds(count: int) -> float:
        src = menu(count)
        grubcfg.parse.cache_clear()
        return cost(
            lambda: argplaces.rewrite(src, "grubcfg", lambda texts, line: argplaces.cmdline.Rewrite(add=["x"]))
        ).seconds

    assert seconds(20_000) < 6 * max(seconds(5_000), 0.05) + 0.5


@pytest.mark.parametrize("name", OPS)
def test_every_editor_has_a_bound(name: str) -> None:
    assert read_limit(name) in (bounds.SMALL_TEXT, bounds.MOUNT_TABLE, bounds.MENU, bounds.HIVE)


def test_a_hive_beyond_its_bound_is_not_read(tmp_path: Path) -> None:
    """A file of 500 MB is refused by its size; nothing of it is read."""
    from guestfix.formats.windows.regf.guestfile import open_guest_hive

    root = make(tmp_path, {"Windows/System32/config/SYSTEM": ("sparse", 500 * MB)})
    guest = DirectoryGuest(str(root))

    def task() -> None:
        with pytest.raises(TooLarge):
            open_guest_hive(guest, "/Windows/System32/config/SYSTEM")

    used = cost(task)
    assert used.failed == "" and used.seconds < 2 and used.megabytes < cost(lambda: None).megabytes + 30


def test_a_windows_guest_with_a_huge_hive_says_so(tmp_path: Path) -> None:
    from tests.build import windows

    root = windows.make(tmp_path / "guest")
    with open(root / windows.CONFIG / "SOFTWARE", "r+b") as stream:
        stream.truncate(500 * MB)
    told = tmp_path / "told"

    def task() -> None:
        told.write_text(json.dumps(plan(root)["findings"]))

    used = cost(task)
    assert used.failed == "" and used.seconds < SECONDS and used.megabytes < MEGABYTES
    assert "GF-FILE-TOO-LARGE" in told.read_text()


def test_a_zstd_cluster_gives_no_more_than_a_cluster() -> None:
    zstandard = pytest.importorskip("zstandard")
    from guestfix.backends.disks import qcow2
    from guestfix.backends.volumes.block import DiskError

    engine = zstandard.ZstdCompressor(level=19).compressobj()
    packed = b"".join([*(engine.compress(bytes(MB)) for _ in range(500)), engine.flush()])

    class Memory(io.BytesIO):
        size = len(packed)

    def task() -> None:
        header = qcow2._Qcow2(16, 0, 0, 0, 0, 0, 0, 0, True, 0)
        block = Memory(packed.ljust(1 << 17, b"\0"))
        length = (len(packed) + 511) // 512
        try:
            data = qcow2._unpack(block, (length - 1) << (62 - 8), header)
        except DiskError:
            return
        assert len(data) <= 1 << 16

    used = cost(task)
    assert used.failed == "" and used.seconds < 2 and used.megabytes < cost(lambda: None).megabytes + 30


@pytest.mark.parametrize(
    "ovf", [b"<a>" * 900_000, b"<a>" * 90_000 + b"</a>" * 9_000, b"<a " + b"b" * 8_000_000 + b"='1'/>"]
)
def test_an_ovf_of_depth(ovf: bytes) -> None:
    from guestfix.backends.disks.ova import disk_files
    from guestfix.backends.volumes.block import DiskError

    def task() -> None:
        with pytest.raises(DiskError):
            disk_files(ovf)

    used = cost(task)
    assert used.failed == "" and used.seconds < SECONDS and used.megabytes < MEGABYTES


@pytest.mark.parametrize(
    "src",
    [b"<a>" * 500_000, b"<a>" * 150 + b"<b/>" * 200_000, b"<a " + b'x="1" ' * 300_000 + b"/>", b"<!--" * 400_000],
)
def test_an_answer_file_of_depth(src: bytes) -> None:
    def task() -> None:
        with pytest.raises(EditError):
            find_op("unattend.merge")(src, arch="x86_64")

    used = cost(task)
    assert used.failed == "" and used.seconds < SECONDS and used.megabytes < MEGABYTES


def test_two_files_with_nothing_in_common_are_compared_quickly() -> None:
    one, other = (b"".join(b"%d\n" % (number * step) for number in range(60_000)) for step in (2, 3))

    def task() -> None:
        assert unified("/a", one, other)
        assert unified("/a", one, other[: len(other) // 2])

    used = cost(task)
    assert used.failed == "" and used.seconds < SECONDS and used.megabytes < MEGABYTES


def test_opening_a_shell_file_many_times_over_is_linear() -> None:
    for piece in (
        b"A='\"'\n'\\\n",
        b'A="\\\n',
        b"A=$(\n",
        b"'\\''\"\n",
        b"A=(\n",
        b"cat <<B\n",
        b"#'\n\"\\\n",
        b"(\n",
        b"if\n",
    ):
        src = piece * (bounds.SMALL_TEXT // len(piece))
        used = cost(lambda src=src: shellvars.assignments(src))  # type: ignore[misc]
        assert used.failed == "" and used.seconds < SECONDS and used.megabytes < MEGABYTES, piece


def test_figures_are_of_what_runs() -> None:
    """The harness itself sees too much time and too much memory."""

    def idle() -> None:
        while True:
            pass

    assert "SIGXCPU" in (used := cost(idle, 1)).failed or "SIGKILL" in used.failed
    assert cost(lambda: len(b"x" * (600 * MB))).megabytes > MEGABYTES
    assert gzip.decompress(bomb(1))[:6] == b"070701" and struct.calcsize("<I") == 4
