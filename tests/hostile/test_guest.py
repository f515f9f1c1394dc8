"""A guest is hostile: nothing it holds makes guestfix leave its root, hang, or raise a foreign exception."""

import os
import socket

import pytest

from guestfix.backends.directory import DirectoryGuest, open_directory
from guestfix.base.errors import GuestError, NotAGuest, NotFound, SymlinkLoop, TooLarge, Unreadable
from guestfix.base.globs import glob
from guestfix.pack.cache import load_pack
from guestfix.plan.planner import make_plan


@pytest.fixture
def root(tmp_path):
    (tmp_path / "secret").write_text("host secret\n")
    (tmp_path / "guest/etc").mkdir(parents=True)
    (tmp_path / "guest/etc/real").write_text("inside\n")
    return tmp_path / "guest"


ESCAPES = {
    "absolute link": "/secret",
    "dots": "../../../../../../secret",
    "link to the root's parent": "/..",
    "through proc": "/proc/self/root/secret",
}


@pytest.mark.parametrize("target", ESCAPES.values(), ids=ESCAPES)
def test_links_never_leave_the_root(root, tmp_path, target):
    os.symlink(target.replace("/secret", f"{tmp_path}/secret", 1) if target == "/secret" else target, root / "etc/link")
    guest = DirectoryGuest(str(root))
    real = guest.realpath("/etc/link")
    assert ".." not in real.split("/")
    with pytest.raises(GuestError):
        guest.read("/etc/link")


def test_dots_in_a_path_stop_at_the_root(root):
    guest = DirectoryGuest(str(root))
    assert guest.realpath("/../../etc/./real") == "/etc/real"
    assert guest.read("/../../../etc/real") == b"inside\n"


def test_a_linked_folder_is_resolved_inside(root):
    os.symlink("/etc", root / "conf")
    os.symlink("..", root / "etc/up")
    guest = DirectoryGuest(str(root))
    assert guest.read("/conf/up/conf/up/etc/real") == b"inside\n"
    assert guest.realpath("/conf/new/file") == "/etc/new/file"


def test_loops_end(root):
    os.symlink("b", root / "etc/a")
    os.symlink("a", root / "etc/b")
    os.symlink("self", root / "etc/self")
    guest = DirectoryGuest(str(root))
    for path in ("/etc/a", "/etc/self", "/etc/self/x"):
        with pytest.raises(SymlinkLoop):
            guest.read(path)


def test_many_links_in_a_row_end(root):
    for index in range(100):
        os.symlink(f"l{index + 1}", root / f"etc/l{index}")
    with pytest.raises(SymlinkLoop):
        DirectoryGuest(str(root)).read("/etc/l0")


def test_special_files_are_never_opened(root):
    os.mkfifo(root / "etc/fifo")
    listener = socket.socket(socket.AF_UNIX)
    listener.bind(str(root / "etc/socket"))
    (root / "etc/folder").mkdir()
    guest = DirectoryGuest(str(root))
    for name in ("fifo", "socket", "folder"):
        with pytest.raises(Unreadable):
            guest.read(f"/etc/{name}")
    listener.close()


def test_device_nodes_are_never_opened(root):
    if os.geteuid() != 0:
        pytest.skip("making a device node needs root")
    try:
        os.mknod(root / "etc/null", 0o20666, os.makedev(1, 3))
    except PermissionError:
        pytest.skip("this container may not make device nodes")
    with pytest.raises(Unreadable):
        DirectoryGuest(str(root)).read("/etc/null")


def test_sizes_are_bounded_before_reading(root):
    with open(root / "etc/bomb", "wb") as stream:
        stream.truncate(1 << 40)
    with pytest.raises(TooLarge):
        DirectoryGuest(str(root)).read("/etc/bomb", 1000)


def test_odd_names(root):
    for name in ("new\nline", "esc\x1b[31m", "\udcff\udcfe", "ü", "*", "[a]"):
        (root / "etc" / name).write_text("x")
    guest = DirectoryGuest(str(root))
    assert set(guest.list("/etc")) >= {"new\nline", "*", "\udcff\udcfe"}
    assert len(glob(guest, "/etc/*")) == 7
    with pytest.raises(NotFound):
        guest.read("/etc/nul\0byte")
    assert guest.stat("/etc/" + "x" * 300) is None


def test_a_root_that_is_no_directory(tmp_path):
    (tmp_path / "file").write_text("x")
    for path in (tmp_path / "file", tmp_path / "missing"):
        with pytest.raises(NotAGuest):
            open_directory(str(path))


HOSTILE = {
    "loops everywhere": lambda etc, names: [os.symlink(name, etc / name) for name in names],
    "folders instead of files": lambda etc, names: [(etc / name).mkdir() for name in names],
    "fifos": lambda etc, names: [os.mkfifo(etc / name) for name in names],
    "dangling": lambda etc, names: [os.symlink("/nowhere/at/all", etc / name) for name in names],
    "binary": lambda etc, names: [(etc / name).write_bytes(bytes(range(256)) * 64) for name in names],
    "one long line": lambda etc, names: [(etc / name).write_bytes(b"a" * 3_000_000) for name in names],
    "nothing but newlines": lambda etc, names: [(etc / name).write_bytes(b"\n" * 100_000) for name in names],
    "bombs": lambda etc, names: [bomb(etc / name) for name in names],
    "invalid text": lambda etc, names: [(etc / name).write_bytes(b"\xff\xfe\x00=\x80\n") for name in names],
}
NAMES = (
    "os-release", "fstab", "crypttab", "redhat-release", "debian_version", "hostname", "machine-id", "lsb-release",
    "default/grub", "sysconfig/network", "network/interfaces", "netplan/01.yaml", "selinux/config", "passwd",
    "NetworkManager/system-connections/eth0.nmconnection", "modprobe.d/a.conf", "initramfs-tools/modules",
    "systemd/network/a.network", "sysconfig/network-scripts/ifcfg-eth0", "kernel/cmdline", "ssh/sshd_config",
    "udev/rules.d/70-persistent-net.rules", "cloud/cloud.cfg", "dracut.conf", "lvm/lvm.conf", "mdadm.conf",
)  # fmt: skip

BOOT = (
    "grub/grub.cfg", "grub2/grub.cfg", "grub/menu.lst", "grub/grub.conf", "grub2/grubenv", "grub/grubenv",
    "loader/entries/a.conf", "loader/loader.conf", "vmlinuz-6.1.0-1-amd64", "initrd.img-6.1.0-1-amd64",
    "initramfs-3.10.0.img", "config-6.1.0-1-amd64", "efi/EFI/debian/grub.cfg", "extlinux/extlinux.conf",
    "grub/device.map",
)  # fmt: skip


def bomb(path):
    with open(path, "wb") as stream:
        stream.truncate(1 << 36)


@pytest.mark.parametrize("kind", HOSTILE)
@pytest.mark.parametrize("place", ["etc", "boot"])
def test_planning_survives_whatever_stands_at_the_known_places(root, kind, place):
    names = NAMES if place == "etc" else BOOT
    if place == "boot":
        (root / "etc/os-release").write_text("ID=debian\nVERSION_ID=12\n")
    for name in names:
        (root / place / name).parent.mkdir(parents=True, exist_ok=True)
    HOSTILE[kind](root / place, names)
    plan = make_plan(DirectoryGuest(str(root)), load_pack())
    assert plan.verdict in ("supported", "deprecated", "unlisted", "unsupported", "unknown")
