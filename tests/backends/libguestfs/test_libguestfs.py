"""The libguestfs backend without its appliance: the same contract over a stand-in for the API, and guestfish's text."""

from __future__ import annotations

import contextlib
import os
import re
import shutil
import stat
import subprocess
from pathlib import Path
from types import SimpleNamespace

import pytest

from guestfix.backends.contract import reading_violations, reference_tree, writing_violations
from guestfix.backends.directory import DirectoryGuest
from guestfix.backends.libguestfs import far as libguestfs_far
from guestfix.backends.libguestfs import fish as libguestfs_fish
from guestfix.backends.libguestfs.far import GuestfsFar, launch
from guestfix.backends.libguestfs.fish import Fish, _value, _word
from guestfix.backends.remote import RemoteGuest
from guestfix.backends.runfolder import RunFolder
from guestfix.backends.volumes.block import DiskError
from guestfix.base.guest import Disks, Meta


class Api:
    """libguestfs's calls over a folder of the host: paths and errors as the appliance has them."""

    def __init__(self, root: Path) -> None:
        self.root = str(root)

    def _at(self, path: str) -> str:
        assert path.startswith("/")
        return self.root + path

    def _do(self, name: str, call, *args, **options):
        try:
            return call(*args, **options)
        except OSError as error:
            raise RuntimeError(f"{name}: {error.strerror}") from error

    def lstatns(self, path: str) -> dict:
        found = self._do("lstatns", os.lstat, self._at(path))
        row = {
            f"st_{key}": getattr(found, f"st_{key}") for key in ("mode", "uid", "gid", "size", "nlink", "dev", "ino")
        }
        for which in "am":
            row[f"st_{which}time_sec"], row[f"st_{which}time_nsec"] = divmod(
                getattr(found, f"st_{which}time_ns"), 10**9
            )
        return row

    def lstatnslist(self, folder: str, names: list[str]) -> list[dict]:
        return [self.lstatns(f"{folder}/{name}") for name in names]

    def readlinklist(self, folder: str, names: list[str]) -> list[str]:
        return [os.readlink(self._at(f"{folder}/{name}")) for name in names]

    def ls(self, path: str) -> list[str]:
        return sorted(os.listdir(self._at(path)))

    def download(self, path: str, to: str) -> None:
        shutil.copyfile(self._at(path), to)

    def lgetxattrs(self, path: str) -> list[dict]:
        return [{"attrname": name} for name in os.listxattr(self._at(path), follow_symlinks=False)]

    def lgetxattr(self, path: str, name: str) -> bytes:
        return os.getxattr(self._at(path), name, follow_symlinks=False)

    def statvfs(self, path: str) -> dict:
        found = os.statvfs(self._at(path))
        names = ("bavail", "blocks", "frsize", "favail", "files", "fsid")
        return {name: getattr(found, f"f_{name}") for name in names}

    def upload(self, source: str, path: str) -> None:
        self._do("upload", shutil.copyfile, source, self._at(path))

    def lchown(self, uid: int, gid: int, path: str) -> None:
        self._do("lchown", os.lchown, self._at(path), uid, gid)

    def chmod(self, mode: int, path: str) -> None:
        self._do("chmod", os.chmod, self._at(path), mode)

    def utimens(self, path: str, asec: int, ansec: int, msec: int, mnsec: int) -> None:
        self._do("utimens", os.utime, self._at(path), ns=(asec * 10**9 + ansec, msec * 10**9 + mnsec))

    def debug(self, what: str, words: list[str]) -> str:
        match = re.fullmatch(r"setfattr -n '([^']+)' -v 0x([0-9a-f]*) '(/sysroot)([^']+)'", words[0])
        assert what == "sh" and match
        os.setxattr(self._at(match[4]), match[1], bytes.fromhex(match[2]))
        return ""

    def mkdir_mode(self, path: str, mode: int) -> None:
        self._do("mkdir_mode", os.mkdir, self._at(path), mode)

    def ln_s(self, target: str, path: str) -> None:
        self._do("ln_s", os.symlink, target, self._at(path))

    def ln(self, path: str, new: str) -> None:
        self._do("ln", os.link, self._at(path), self._at(new), follow_symlinks=False)

    def rename(self, old: str, new: str) -> None:
        self._do("rename", os.rename, self._at(old), self._at(new))

    def rm(self, path: str) -> None:
        self._do("rm", os.unlink, self._at(path))

    def rmdir(self, path: str) -> None:
        self._do("rmdir", os.rmdir, self._at(path))

    def sync(self) -> None:
        pass


def guest_over(root: Path, copies: Path) -> RemoteGuest:
    copies.mkdir(exist_ok=True)
    return RemoteGuest("fake:", GuestfsFar(Api(root)), str(copies), Disks())


def test_reading_keeps_the_contract(tmp_path: Path) -> None:
    reference_tree(tmp_path / "tree")
    guest = guest_over(tmp_path / "tree", tmp_path / "copies")
    assert reading_violations(guest, DirectoryGuest(str(tmp_path / "tree")), times=1) == []


@pytest.mark.skipif(os.geteuid() != 0, reason="owners can only be set by root")
def test_writing_keeps_the_contract(tmp_path: Path) -> None:
    reference_tree(tmp_path / "tree")
    assert writing_violations(guest_over(tmp_path / "tree", tmp_path / "copies")) == []


def test_a_filesystem_without_hard_links_gets_a_copy(tmp_path: Path) -> None:
    reference_tree(tmp_path / "tree")
    guest = guest_over(tmp_path / "tree", tmp_path / "copies")
    api = guest.far.g

    def no_links(path: str, new: str) -> None:
        raise RuntimeError("ln: Operation not permitted")

    api.ln = no_links
    api.cp_a = lambda path, new: shutil.copy2(api._at(path), api._at(new))
    guest.keep("/etc/hostname", "/etc/.hostname.orig")
    assert guest.read("/etc/.hostname.orig") == b"contract\n"


def test_a_full_disk_is_an_oserror_with_its_number(tmp_path: Path) -> None:
    reference_tree(tmp_path / "tree")
    guest = guest_over(tmp_path / "tree", tmp_path / "copies")

    def full(source: str, path: str) -> None:
        raise RuntimeError("upload: /x: No space left on device")

    guest.far.g.upload = full
    with pytest.raises(OSError, match="No space left") as caught:
        guest.put("/etc/new", [b"x"], Meta())
    assert caught.value.errno == 28
    assert guest.stat("/etc/new") is None


# guestfish

STRUCT = "st_dev: 2065\nst_mode: 33188\nst_size: 6\nst_mtime_nsec: 5\n"
LIST = "[0] = {\n  attrname: user.note\n  attrval: hello\n}\n[1] = {\n  attrname: security.selinux\n  attrval: x\n}\n"


def test_what_guestfish_prints_is_read() -> None:
    assert _value("lstatns", STRUCT.encode()) == {"st_dev": 2065, "st_mode": 33188, "st_size": 6, "st_mtime_nsec": 5}
    assert [row["attrname"] for row in _value("lgetxattrs", LIST.encode())] == ["user.note", "security.selinux"]
    assert _value("ls", b"a\nb c\n\xff\n") == ["a", "b c", "\udcff"]
    assert _value("lgetxattr", b"\0\1\n") == b"\0\1\n"
    assert _value("blockdev_getsize64", b"1024\n") == 1024
    assert _value("vfs_uuid", b"abc\n") == "abc"
    assert (_word(True), _word(["a b", "c"]), _word(5)) == ("true", "'a b' 'c'", "5")


class Server:
    """Stands in for the guestfish program: records calls, answers from a table."""

    def __init__(self, answers: dict[str, bytes], errors: dict[str, str]) -> None:
        self.answers, self.errors, self.calls = answers, errors, []

    def run(self, command: list[str], **options):
        assert command[1:] == ["--listen"]
        return subprocess.CompletedProcess(command, 0, b"GUESTFISH_PID=4711; export GUESTFISH_PID\n", b"")

    def client(self, command: list[str], **options):
        assert command[1:3] == ["--remote=4711", "--"]
        name, args = command[3].lstrip("-"), command[4:]
        self.calls.append((name, args))
        said = self.errors.get(name, "")
        return Client(1 if said else 0, self.answers.get(name, b""), said.encode())


class Client(contextlib.nullcontext):
    """Stands in for the process of one call, which has answered."""

    def __init__(self, returncode: int, out: bytes, errors: bytes) -> None:
        super().__init__(self)
        self.returncode, self._said = returncode, (out, errors)

    def communicate(self, timeout: float) -> tuple[bytes, bytes]:
        return self._said


@pytest.fixture
def server(monkeypatch: pytest.MonkeyPatch) -> Server:
    found = Server({"lstatnslist": b"[0] = {\n  st_ino: 7\n}\n", "lstatns": b"st_ino: 9\n"}, {})
    programs = SimpleNamespace(**{**vars(subprocess), "run": found.run, "Popen": found.client})
    monkeypatch.setattr(libguestfs_fish, "subprocess", programs)
    monkeypatch.setattr(libguestfs_fish, "find_program", lambda name: f"/usr/bin/{name}")
    return found


def test_calls_become_clients_of_one_server(server: Server) -> None:
    fish = Fish()
    fish.launch()
    fish.mount_options("noatime", "/dev/sda1", "/")
    fish.add_drive("/x y", format="qcow2")
    fish.debug("sh", ["echo 'a'"])
    assert [row["st_ino"] for row in fish.lstatnslist("/etc", ["plain", "it's"])] == [7, 9]
    fish.close()
    assert server.calls == [
        ("run", []),
        ("mount-options", ["noatime", "/dev/sda1", "/"]),
        ("add-drive", ["/x y", "format:qcow2"]),
        ("debug", ["sh", "echo 'a'"]),
        ("lstatnslist", ["/etc", "'plain'"]),
        ("lstatns", ["/etc/it's"]),
        ("exit", []),
    ]


def test_a_call_that_fails_raises(server: Server) -> None:
    server.errors["rename"] = "libguestfs: error: rename: /a: No such file or directory\n"
    with pytest.raises(RuntimeError, match="No such file"):
        Fish().rename("/a", "/b")


def test_an_appliance_that_does_not_start(server: Server, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LIBGUESTFS_BACKEND_SETTINGS", "")
    monkeypatch.setattr(libguestfs_far, "new_handle", Fish)
    server.errors["run"] = "libguestfs: error: guestfs_launch failed.\n"
    server.answers["max-disks"] = b"255\n"
    run, before = RunFolder(), dict(os.environ)
    with pytest.raises(DiskError, match="does not start: guestfs_launch failed"):
        launch("/x/nbd", 1, run)
    run.close()
    assert dict(os.environ) == before
    assert [name for name, _ in server.calls].count("run") == 2


def test_modes_are_told_apart() -> None:
    row = {"st_mode": stat.S_IFLNK | 0o777, "st_size": 3, "st_uid": 1, "st_gid": 2, "st_nlink": 1, "st_dev": 9}
    row |= {"st_atime_sec": 1, "st_atime_nsec": 2, "st_mtime_sec": 3, "st_mtime_nsec": 4}
    found = libguestfs_far._stat(row)
    assert (found.kind, found.mode, found.mtime_ns, found.atime_ns) == ("symlink", 0o777, 3_000_000_004, 1_000_000_002)
