"""Damaged filesystems, too many files and disks, machines that die: messages, never status 70, in every backend."""

from __future__ import annotations

import errno
import os
import random
import re
import resource
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from guestfix.backends import damage, directory
from guestfix.backends.directory import DirectoryGuest
from guestfix.backends.libguestfs import far as libguestfs_far
from guestfix.backends.libguestfs.far import GuestfsFar
from guestfix.backends.machine.console import cause_of
from guestfix.backends.machine.guest import MachineFar
from guestfix.backends.machine.session import Session
from guestfix.backends.remote import RemoteGuest
from guestfix.backends.status import usable
from guestfix.base.errors import GuestError, GuestfixError
from guestfix.base.guest import Disks, GuestFS, Meta
from guestfix.cli import run as cli
from tests.build.images import MIB, PartSpec, convert, debian, disk, filesystem, have

ROOT = Path(__file__).resolve().parents[2]
FSTAB = "/dev/sda1 / ext4 errors=remount-ro 0 1\n/dev/sdb9 /gone ext4 defaults 0 2\n"
needs_tools = pytest.mark.skipif(
    not have("mke2fs", "debugfs", "dumpe2fs", "tune2fs", "sfdisk", "qemu-img"),
    reason="e2fsprogs, fdisk or qemu-utils is not installed",
)
needs_uml = pytest.mark.skipif(not usable("uml"), reason="User-mode Linux is not installed")

# every error of the kernel

ABSENT = (errno.ENOENT, errno.ENOTDIR, errno.ENAMETOOLONG)
CODES = sorted(set(errno.errorcode) - set(ABSENT))

READS: list[Callable[[GuestFS], Any]] = [
    lambda guest: guest.stat("/etc/fstab"),
    lambda guest: guest.list("/etc"),
    lambda guest: guest.read("/etc/fstab"),
    lambda guest: guest.meta("/etc/fstab"),
    lambda guest: guest.readlink("/etc/link"),
    lambda guest: guest.realpath("/etc/fstab"),
]
WRITES: list[Callable[[Any], Any]] = [
    lambda guest: guest.put("/etc/new", [b"x"], Meta()),
    lambda guest: guest.put_symlink("/etc/new", "x", Meta()),
    lambda guest: guest.mkdir("/etc/new", Meta()),
    lambda guest: guest.rename("/etc/fstab", "/etc/new"),
    lambda guest: guest.keep("/etc/fstab", "/etc/new"),
    lambda guest: guest.drop("/etc/fstab"),
    lambda guest: guest.set_times("/etc/fstab", 1, 1),
]


class Answers(Session):
    """A session whose machine answers every request with one error."""

    def __init__(self, code: int) -> None:
        self.overlays: Any = SimpleNamespace(full=lambda: False, folder="/tmp/x")
        self.code = code

    def _ask(self, *request: Any) -> Any:
        return self._value({"errno": self.code, "where": ""})


class Api:
    """A libguestfs each of whose calls fails with one error."""

    def __init__(self, code: int) -> None:
        self.code = code

    def __getattr__(self, name: str) -> Callable[..., Any]:
        def call(*args: Any, **options: Any) -> Any:
            raise RuntimeError(f"{name}: {args[0] if args else ''}: {os.strerror(self.code)}")

        return call


def far_of(kind: str, code: int) -> Any:
    return MachineFar(Answers(code)) if kind == "uml" else GuestfsFar(Api(code), "/guest")


@pytest.mark.parametrize("kind", ["uml", "libguestfs"])
def test_every_error_while_reading_is_a_message(kind: str, tmp_path: Path) -> None:
    for code in CODES:
        for read in READS:
            with pytest.raises(GuestError) as caught:
                read(RemoteGuest("x", far_of(kind, code), str(tmp_path), Disks()))
            said = caught.value
            assert said.what and said.remedy, errno.errorcode[code]
            assert os.strerror(code) in said.what or code == errno.ENOSPC


@pytest.mark.parametrize("kind", ["uml", "libguestfs"])
def test_every_error_while_writing_is_one_that_apply_undoes(kind: str, tmp_path: Path) -> None:
    for code in CODES:
        for write in WRITES:
            guest = RemoteGuest("x", far_of(kind, code), str(tmp_path), Disks())
            with pytest.raises((OSError, GuestError)):
                write(guest)
            assert os.listdir(tmp_path) == []


def test_what_is_not_there_is_no_error() -> None:
    for code in ABSENT:
        assert GuestfsFar(Api(code), "/guest").lstat("/etc/fstab") is None
    assert GuestfsFar(Api(errno.ENOTSUP), "/guest").xattrs("/etc/fstab") == ()


def test_every_error_below_a_folder_is_a_message(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A mounted guest whose filesystem is damaged, read as a folder."""
    (tmp_path / "etc").mkdir()
    (tmp_path / "etc/fstab").write_text(FSTAB)
    (tmp_path / "etc/link").symlink_to("fstab")
    guest = DirectoryGuest(str(tmp_path))
    real = os.readlink
    for code in (errno.EIO, errno.EBADMSG, errno.EUCLEAN, errno.ESTALE, errno.EOVERFLOW, errno.ENXIO, errno.EINTR):
        with monkeypatch.context() as patch:

            def fails(*args: Any, code: int = code, **options: Any) -> Any:
                raise OSError(code, os.strerror(code))

            for name in ("stat", "scandir", "open", "listxattr"):
                patch.setattr(directory.os, name, fails)
            links = lambda path, dir_fd=None: fails() if dir_fd is not None else real(path)  # noqa: E731 - /proc stays
            patch.setattr(directory.os, "readlink", links)
            for read in [*READS, lambda fs: DirectoryGuest(fs.root)]:
                with pytest.raises(GuestError) as caught:
                    read(guest)
                assert caught.value.remedy
    for take in (lambda stream: stream.read(), lambda stream: stream.read(1), lambda stream: list(stream)):
        with (
            damage.reader(os.open(tmp_path / "etc/fstab", os.O_WRONLY), "/etc/fstab") as stream,
            pytest.raises(GuestError, match="Bad file descriptor") as caught,
        ):
            take(stream)
        assert caught.value.where == "/etc/fstab"


# damaged disks


@pytest.fixture(scope="module")
def good(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("good")
    return filesystem("ext4", folder / "fs", 32 * MIB, debian(folder / "root", FSTAB, extra=False))


def told(*command: object) -> str:
    return subprocess.run([*map(str, command)], capture_output=True, text=True, check=False).stdout


def block_size(fs: Path) -> int:
    found = re.search(r"Block size:\s+(\d+)", told("dumpe2fs", "-h", fs))
    assert found
    return int(found[1])


def wipe(fs: Path, blocks: list[int], filler: bytes) -> None:
    size = block_size(fs)
    assert blocks
    with fs.open("r+b") as stream:
        for number in blocks:
            stream.seek(number * size)
            stream.write((filler * size)[:size])


def folder_of(path: str, filler: bytes = b"\0") -> Callable[[Path], None]:
    return lambda fs: wipe(fs, [int(n) for n in told("debugfs", "-R", f"blocks {path}", fs).split()], filler)


def bitmaps(kind: str) -> Callable[[Path], None]:
    def damage(fs: Path) -> None:
        wipe(fs, [int(n) for n in re.findall(rf"{kind} bitmap at (\d+)", told("dumpe2fs", fs))], b"\x55")

    return damage


def inode(path: str, *fields: str) -> Callable[[Path], None]:
    def damage(fs: Path) -> None:
        for field in fields:
            told("debugfs", "-w", "-R", f"sif {path} {field}", fs)

    return damage


def panics(damage: Callable[[Path], None]) -> Callable[[Path], None]:
    def both(fs: Path) -> None:
        damage(fs)
        told("tune2fs", "-e", "panic", fs)

    return both


DAMAGED = {
    "root-zeroed": (folder_of("/"), 2),
    "root-junk": (folder_of("/", random.Random(1).randbytes(4096)), 2),
    "etc-zeroed": (folder_of("/etc"), 2),
    "fstab-extents": (inode("/etc/fstab", "block[0] 0xdeadbeef", "block[1] 0xdeadbeef"), 2),
    "fstab-size": (inode("/etc/fstab", "size 0x7fffffffffff"), 2),
    "etc-mode": (inode("/etc", "mode 0"), 2),
    "block-bitmap": (bitmaps("Block"), 3),
    "inode-bitmap": (bitmaps("Inode"), 3),
    "told-to-panic": (panics(folder_of("/etc")), 2),
    "told-to-panic-writing": (panics(bitmaps("Block")), 3),
}
"""What is damaged, and the status of apply: refused, or undone."""


def damaged(good: Path, folder: Path, name: str) -> Path:
    fs = folder / "fs"
    shutil.copyfile(good, fs)
    DAMAGED[name][0](fs)
    return convert(disk(folder / "disk.raw", [PartSpec(fs)]), "qcow2")


@needs_tools
@needs_uml
@pytest.mark.parametrize("name", DAMAGED)
def test_a_damaged_filesystem(name: str, good: Path, tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    image = damaged(good, tmp_path, name)
    before, status = image.read_bytes(), DAMAGED[name][1]
    assert cli(["report", str(image)]) in (0, 2)
    capfd.readouterr()
    assert cli(["apply", f"uml:{image}"]) == status
    said = capfd.readouterr().err
    assert said.startswith("guestfix: ") and "fsck" in said and "\n  remedy: " in said, said
    assert status == 2 or "everything is as it was" in said or "as they were" in said
    assert image.read_bytes() == before
    assert not list(tmp_path.glob("*.guestfix.*"))


@needs_tools
@pytest.mark.skipif(not usable("libguestfs"), reason="libguestfs can't be used here (guestfix backends says why)")
def test_a_damaged_filesystem_in_the_appliance(good: Path, tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    image = damaged(good, tmp_path, "told-to-panic")
    assert cli(["apply", f"libguestfs:{image}"]) == 2
    said = capfd.readouterr().err
    assert "no operating system was found" in said and "fsck" in said, said


# many files, many disks


def split(raw: Path, folder: Path, count: int) -> Path:
    """Make a VMDK of that many flat extents."""
    data = raw.read_bytes()
    size = -(-len(data) // 512 // count) * 512
    rows = []
    for at in range(0, len(data), size):
        name = f"e{at // size}.vmdk"
        (folder / name).write_bytes(data[at : at + size])
        rows.append(f'RW {len(data[at : at + size]) // 512} FLAT "{name}" 0')
    head = '# Disk DescriptorFile\nversion=1\nCID=12345678\nparentCID=ffffffff\ncreateType="twoGbMaxExtentFlat"\n'
    place = folder / "disk.vmdk"
    place.write_text(head + "\n".join(rows) + "\n")
    return place


@pytest.fixture
def raw(good: Path, tmp_path: Path) -> Path:
    return disk(tmp_path / "disk.raw", [PartSpec(good)])


@pytest.fixture
def many_files() -> Iterator[None]:
    """Have more than 1,024 files open, which is what select(2) can take."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if hard < 4096:
        pytest.skip("not even 4,096 files may be open here")
    resource.setrlimit(resource.RLIMIT_NOFILE, (max(soft, 4096), hard))
    held = [os.open(os.devnull, os.O_RDONLY) for _ in range(1100)]
    yield
    for one in held:
        os.close(one)
    resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))


@needs_tools
@needs_uml
def test_a_machine_beside_a_thousand_open_files(raw: Path, many_files: None) -> None:
    assert cli(["report", f"uml:{raw}"]) == 0


@needs_tools
@needs_uml
@pytest.mark.parametrize("limit", [20, 50, 60])
def test_more_extents_than_files_may_be_open(limit: int, raw: Path, tmp_path: Path) -> None:
    """The images can just be opened, or not; then a program, a pipe, a folder can't be."""
    image = split(raw, tmp_path, 40)
    for uri in (str(image), f"uml:{image}") if limit == 20 else (f"uml:{image}",):
        done = subprocess.run(
            [sys.executable, "-m", "guestfix", "report", uri], capture_output=True, text=True, check=False,
            env={**os.environ, "PYTHONPATH": str(ROOT), "TMPDIR": str(tmp_path)},
            preexec_fn=lambda: resource.setrlimit(resource.RLIMIT_NOFILE, (limit, limit)),
        )  # fmt: skip
        assert done.returncode == 2, done.stderr
        assert "Too many open files" in done.stderr and "ulimit -n" in done.stderr, done.stderr
    assert not list(tmp_path.glob("guestfix-*"))


@needs_tools
@needs_uml
def test_seventeen_disks(raw: Path, tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    images = [str(raw)]
    for index in range(2, 18):
        images.append(str(tmp_path / f"d{index}.raw"))
        Path(images[-1]).write_bytes(bytes(MIB))
    assert cli(["report", *images]) == 0
    capfd.readouterr()
    assert cli(["apply", f"uml:{images[0]}", *images[1:]]) == 2
    said = capfd.readouterr().err
    assert said.startswith(f"guestfix: {images[16]}: 17 disks, but User-mode Linux takes 16 at most"), said
    assert "libguestfs:FILE" in said


def test_more_disks_than_an_appliance_takes(monkeypatch: pytest.MonkeyPatch) -> None:
    class Handle:
        def max_disks(self) -> int:
            return 255

        def close(self) -> None:
            pass

    monkeypatch.setattr(libguestfs_far, "new_handle", Handle)
    run: Any = SimpleNamespace(path="/tmp/x", environment=dict)
    with pytest.raises(GuestfixError, match="256 disks, but the libguestfs appliance takes 255") as caught:
        libguestfs_far.launch("/tmp/x", 256, run)
    assert caught.value.remedy


# causes of death

TRACE = """Traceback (most recent call last):
  File "/x/agent.py", line 105, in <module>
    main()
  File "/x/machine.py", line 46, in mount
    raise OSError(code, os.strerror(code), target)
OSError: [Errno 19] No such device: '/run/guestfix/x'
"""
INIT = "Kernel panic - not syncing: Attempted to kill init! exitcode=0x00000100\n"


@pytest.mark.parametrize(
    ("console", "cause"),
    [
        ("", ""),
        ("one\ntwo\n\n", "two"),
        ("Error parsing rootflags\n" + TRACE + INIT + "CPU: 0 PID: 1\n", "OSError: [Errno 19] No such device: '/run"),
        (TRACE.replace("OSError", "ValueError") + "During handling ...\n\n" + TRACE + INIT, "OSError: [Errno 19]"),
        ("Error: harmless\n[    1.5] Kernel panic - not syncing: EXT4-fs (device ubda1): panic forced after error\n",
         "Kernel panic - not syncing: EXT4-fs (device ubda1): panic forced"),
        ("x Error\r\nOut of memory: Killed process 1 (python3)\r\n" + TRACE + INIT, "Out of memory: Killed process 1"),
        ("Kernel panic - not syncing: Out of memory: compulsory panic_on_oom\n", "Kernel panic - not syncing: Out of"),
        ("EXT4-fs error (device ubda1): ext4_lookup:1\n" + INIT, "EXT4-fs error (device ubda1)"),
        ("write to physmem: No space left on device\nlast\n", "write to physmem: No space left on device"),
        ("Modules linked in:\nBUG: unable to handle page fault\nRIP: 1\n", "BUG: unable to handle"),
        (INIT + "Call Trace:\n", INIT.strip()),
        (TRACE + "  remedy: none\n", "OSError: [Errno 19]"),
        ("x" * 1000, "x" * 300),
    ],
)  # fmt: skip
def test_the_cause_of_death_is_told(console: str, cause: str) -> None:
    assert cause_of(console).startswith(cause)
    assert bool(cause_of(console)) == bool(cause)


@needs_tools
@needs_uml
def test_an_agent_that_fails_is_told_by_its_last_line(
    raw: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    """The machine mounts its folder of exchange first: without one its agent ends, and its kernel with it."""
    real = os.mkdir

    def not_the_exchange(path: Any, *args: Any, **options: Any) -> None:
        if not str(path).endswith("/x"):
            real(path, *args, **options)

    monkeypatch.setattr("guestfix.backends.machine.session.os.mkdir", not_the_exchange)
    assert cli(["report", f"uml:{raw}"]) == 2
    said = capfd.readouterr().err
    assert re.search(r"User-mode Linux: it stopped: (OSError|FileNotFoundError): \[Errno \d+\]", said), said
    assert "\n  remedy: " in said
