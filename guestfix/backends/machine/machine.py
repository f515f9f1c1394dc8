"""Inside the machine: kernel modules, RAID and LVM, mounts, and the files of the mounted guest."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING, Any

from guestfix.backends.damage import reason_of, remedy_of
from guestfix.backends.directory import DirectoryGuest
from guestfix.backends.filesystems.subvolume import option_for
from guestfix.backends.layout.model import Layout, Mount, Part, Subvolume, View, device_title
from guestfix.backends.layout.mounts import lay_out
from guestfix.backends.machine.calls import Modules, end, kernel_has, mount, sleeps, unmount
from guestfix.backends.machine.readonly import Subvolumes
from guestfix.backends.machine.volumes import Devices, Loader, btrfs_subvolumes
from guestfix.backends.packages import install
from guestfix.backends.status import find_program
from guestfix.backends.volumes.block import DiskError, told
from guestfix.base.errors import GuestError
from guestfix.base.guest import Meta, Space, Stat

if TYPE_CHECKING:
    from guestfix.backends.machine.line import Line

_RDONLY, _NOSUID, _NODEV, _NOEXEC, _NOATIME, _NODIRATIME = 1, 2, 4, 8, 1024, 2048
_SAFE = _NOSUID | _NODEV | _NOEXEC | _NOATIME | _NODIRATIME
_OPTIONS = {"ext2": "errors=remount-ro", "ext3": "errors=remount-ro", "ext4": "errors=remount-ro"}
"""The guest's superblock may say that its kernel is to panic."""
_OPTIONS |= {"xfs": "nouuid", "vfat": "umask=022,utf8=1,quiet", "reiserfs": "user_xattr,acl", "jfs": "", "btrfs": ""}
_MODULES = {"vfat": ("vfat", "nls_cp437", "nls_ascii", "nls_iso8859-1", "nls_utf8"), "ntfs": ("fuse", "ntfs3")}
_MODULES |= {"ext2": ("ext4", "ext2"), "ext3": ("ext4", "ext3"), "ext4": ("ext4",)}
_MODULES |= {one: (one,) for one in ("xfs", "btrfs", "jfs", "reiserfs")}
_CHECKS: dict[str, tuple[str, ...]] = {
    "ext2": ("e2fsck", "-fn"),
    "ext3": ("e2fsck", "-fn"),
    "ext4": ("e2fsck", "-fn"),
    "xfs": ("xfs_repair", "-n"),
    "btrfs": ("btrfs", "check", "--readonly"),
    "ntfs": ("ntfsfix", "-n"),
    "vfat": ("fsck.vfat", "-n"),
    "jfs": ("jfs_fsck", "-n"),
}
BASE = "/run/guestfix"
WRITES = ("put", "put_symlink", "mkdir", "rename", "keep", "drop", "set_times")
"""Requests that change the guest."""

AHEAD = 1500
"""Entries that one listing brings at most beyond the folder that was asked for."""

Seen = tuple[str, Stat, str | None]
"""A folder's entry: its name, what lstat says, its target where it is a link."""


class Machine:
    """Everything that the host can ask for; ``do_NAME`` answers the request NAME."""

    def __init__(self, settings: dict[str, Any]) -> None:
        self.settings = settings
        os.environ["PATH"] = settings.get("path", "/usr/sbin:/usr/bin:/sbin:/bin")
        self.devices = self._begin()
        self.line: Line
        self.layout: Layout | None = None
        self.problems = self.devices.problems
        self._views: dict[tuple[int, str], str | None] = {}
        self._mounted: list[str] = []
        self._replayed: set[int] = set()
        self._guests: list[DirectoryGuest] = []
        self._subvolumes_open = Subvolumes()
        self.guest: DirectoryGuest

    def _begin(self) -> Devices:
        """Mount what programs need, and return the disks."""
        settings = self.settings
        mount("proc", "/proc", "proc")
        mount("sys", "/sys", "sysfs")
        mount("run", "/run", "tmpfs")
        if "exchange" in settings:
            exchange, settings["exchange"] = settings["exchange"], f"{BASE}/x"
            mount("none", settings["exchange"], "hostfs", 0, exchange)
        else:
            mount("dev", "/dev", "devtmpfs")
        self.modules: Loader = Modules(settings["modules"].format(release=os.uname().release))
        self.modules.load(*settings["load"])
        return Devices(settings["disks"], self.modules)

    # mounting

    def _mount(self, part: Part, subvolume: str, target: str, flags: int) -> None:
        kind = part.probe.type if part.probe else ""
        device = self.devices.path(part)
        self.modules.load(*_MODULES.get(kind, ()))
        if kind == "ntfs":
            self._mount_ntfs(device, target, bool(flags & _RDONLY))
        else:
            if kind == "jfs":
                self._replay_jfs(part, device)
            options = _OPTIONS.get(kind, "")
            if kind == "btrfs" and subvolume:
                options = option_for(subvolume)
            mount(device, target, kind, flags | _SAFE, options)
        self._mounted.append(target)

    def _replay_jfs(self, part: Part, device: str) -> None:
        """Replay a journal as jfs_fsck(8) does before a mount, for the kernel itself never does."""
        if part.probe is None or not part.probe.unclean or part.key in self._replayed:
            return
        program = find_program("jfs_fsck")
        if program is None:
            remedy = install("jfs_fsck")
            raise DiskError("the JFS journal was not closed, and jfs_fsck is missing on the host", remedy=remedy)
        command = [program, "-a", device]  # a replay alone leaves a log that the kernel refuses
        done = subprocess.run(command, capture_output=True, text=True, errors="replace", check=False)
        if done.returncode not in (0, 1):
            said = " ".join(done.stdout.split())[-300:]
            raise DiskError(f"jfs_fsck can't replay the journal: {said}", remedy="repair it in a copy: jfs_fsck -f")
        self._replayed.add(part.key)

    def _mount_ntfs(self, device: str, target: str, readonly: bool) -> None:
        program = find_program("ntfs-3g")
        if program is None and kernel_has("ntfs3"):
            self._mount_ntfs3(device, target, readonly)
            return
        if program is None:
            raise DiskError("NTFS needs the program ntfs-3g on the host", remedy=install("ntfs-3g"))
        os.makedirs(target, exist_ok=True)
        options = "streams_interface=none,noatime,nodev,nosuid,noexec" + (",ro" if readonly else "")
        done = subprocess.run([program, "-o", options, device, target], capture_output=True, text=True, check=False)
        if done.returncode:
            said = " ".join(done.stderr.split())[:400]
            raise DiskError(f"ntfs-3g refuses the volume: {said}", remedy=_windows_remedy(said))

    def _mount_ntfs3(self, device: str, target: str, readonly: bool) -> None:
        """Mount by the kernel's own driver, which refuses a volume that was not closed, but knows nothing of sleep."""
        mount(device, target, "ntfs3", _SAFE | (_RDONLY if readonly else 0))
        if not readonly and sleeps(target):
            unmount(target)
            raise DiskError("this Windows is hibernated, or was shut down with Fast Startup", remedy=_AWAKE)

    def _view(self, part: Part, subvolume: str) -> View | None:
        key = (part.key, subvolume)
        if key not in self._views:
            target = f"{BASE}/view{len(self._views)}"
            try:
                self._mount(part, subvolume, target, _RDONLY)
                self._views[key] = target
            except (OSError, GuestError) as error:
                text = error.what if isinstance(error, GuestError) else f"can't be mounted: {reason_of(error)}"
                self.problems.append(told(f"{device_title(part)}: {text}", of=text))
                self._views[key] = None
        place = self._views[key]
        return self._guest(place) if place else None

    def _guest(self, place: str, grafts: dict[str, str] | None = None) -> DirectoryGuest:
        """Open a mounted tree; it is let go of before it is unmounted."""
        guest = DirectoryGuest(place, grafts=grafts)
        self._guests.append(guest)
        return guest

    def _subvolumes(self, part: Part) -> Sequence[Subvolume]:
        if self._view(part, "subvolid:5") is None:
            return []
        return btrfs_subvolumes(str(self._views[(part.key, "subvolid:5")]))

    def do_unlock(self, uuid: str, version: int, table: str) -> bool:
        """Open an encrypted volume."""
        self.devices.unlock(uuid, version, table)
        return True

    def do_open(self) -> dict[str, object]:
        """Find the root and mount the guest; return the disks, the mounts and what is wrong."""
        self.layout = lay_out(
            self.devices.disks,
            self.devices.parts,
            self._view,
            self._subvolumes,
            self.settings["root"],
            self.problems,
        )
        self._unmount_all()
        for one in self.layout.mounts:
            self._mount_final(one)
        added = {one.path: f"{BASE}/added{one.path}" for one in self.layout.mounts if one.added}
        self.guest = self._guest(f"{BASE}/root", {path[1:]: place for path, place in added.items()})
        problems = list(dict.fromkeys(self.problems))
        return {
            "disks": self.layout.disks,
            "mounts": [
                [one.path, one.part.probe.type if one.part.probe else "", self.layout.names.primary(one.part.key)]
                for one in self.layout.mounts
            ],
            "missing": self.layout.missing,
            "disorder": self.layout.disorder(),
            "problems": problems,
            "unclean": self.layout.replayed(),
            "windows": self.guest.case_insensitive,
        }

    def _mount_final(self, one: Mount) -> None:
        target = f"{BASE}/root"
        if one.added:
            target = f"{BASE}/added{one.path}"
        elif one.path != "/":
            # the mount point is the guest's, so it is resolved inside it; it must be a folder already
            tree = self._guest(target)
            real, found = tree.realpath(one.path), tree.stat(one.path)
            if found is None or found.kind != "dir":
                self.problems.append(f"{one.path}: its mount point is no folder")
                return
            target += real
        try:
            self._mount(one.part, one.subvolume, target, 0)
        except OSError as error:
            what = f"{one.path} can't be mounted for writing: {reason_of(error)}"
            raise DiskError(what, remedy=remedy_of(error)) from error

    def ready(self, request: str) -> None:
        """See that a request can do its work: read-only subvolumes are opened once something is to be written."""
        if request in WRITES:
            self._subvolumes_open.open(self._mounted)

    def _unmount_all(self) -> None:
        self._subvolumes_open.close()
        for guest in self._guests:
            guest.close()
        self._guests.clear()
        for target in reversed(self._mounted):
            unmount(target)
        self._mounted.clear()
        self._views.clear()

    # reading

    def do_lstat(self, path: str) -> Stat | None:
        """Return what lstat says of a path without links."""
        return self.guest.stat(path, follow=False)

    def do_scan(self, path: str, deep: bool) -> dict[str, list[Seen]]:
        """Return every entry of a folder with its Stat and link text.

        ``deep``: below /etc and /boot also of the folders in it. One request costs as much as a hundred entries, and
        detection looks at most of /etc.
        """
        found: dict[str, list[Seen]] = {}
        todo, budget = [path], AHEAD
        while todo and budget > 0:
            folder = todo.pop(0)
            rows = self._entries(folder)
            if rows is None:
                continue
            found[folder] = rows
            budget -= len(rows)
            if deep and f"{path}/".startswith(("/etc/", "/boot/")):
                todo += [f"{folder}/{name}" for name, stat, _ in rows if stat.kind == "dir"]
        return found

    def _entries(self, path: str) -> list[Seen] | None:
        found = self.guest.stat(path, follow=False)
        if found is None or found.kind != "dir":
            return None
        rows = []
        for name in self.guest.list(path):
            below = f"{path.rstrip('/')}/{name}"
            stat = self.guest.stat(below, follow=False)
            if stat is not None:
                rows.append((name, stat, self.guest.readlink(below) if stat.kind == "symlink" else None))
        return rows

    def do_fetch(self, path: str, name: str) -> bool:
        """Send a file."""
        with self.guest.open(path) as source:
            self.line.deliver(name, iter(lambda: source.read(1 << 20), b""))
        return True

    def do_xattrs(self, path: str) -> list[tuple[str, bytes]]:
        """Return a file's extended attributes."""
        return list(self.guest.meta(path).xattrs)

    def do_space(self, path: str) -> Space | None:
        """Return the room on the filesystem that holds a folder."""
        return self.guest.space(path)

    # writing

    def do_put(self, path: str, body: Iterable[bytes], meta: dict[str, object]) -> bool:
        """Create a file from what came with the request."""
        self.guest.put(path, body, _meta(meta))
        return True

    def do_put_symlink(self, path: str, target: str, meta: dict[str, object]) -> bool:
        """Create a symbolic link."""
        self.guest.put_symlink(path, target, _meta(meta))
        return True

    def do_mkdir(self, path: str, meta: dict[str, object]) -> bool:
        """Create a folder."""
        self.guest.mkdir(path, _meta(meta))
        return True

    def do_rename(self, old: str, new: str) -> bool:
        """Rename within one folder."""
        self.guest.rename(old, new)
        return True

    def do_keep(self, path: str, backup: str) -> bool:
        """Give a file a second name."""
        self.guest.keep(path, backup)
        return True

    def do_drop(self, path: str) -> bool:
        """Remove a file, link or empty folder."""
        self.guest.drop(path)
        return True

    def do_set_times(self, path: str, atime_ns: int, mtime_ns: int) -> bool:
        """Set both times."""
        self.guest.set_times(path, atime_ns, mtime_ns)
        return True

    # the end

    def do_check(self) -> list[list[object]]:
        """Unmount everything and check every filesystem that was mounted, without repairing."""
        assert self.layout is not None
        self._unmount_all()
        results: list[list[object]] = []
        for part in {one.part.key: one.part for one in self.layout.mounts}.values():
            kind = part.probe.type if part.probe else ""
            command = _CHECKS.get(kind)
            device = self.layout.names.primary(part.key)
            if command is None or find_program(command[0]) is None:
                results.append([device, kind, command[0] if command else "", None, "no checker on the host"])
                continue
            done = subprocess.run(
                [str(find_program(command[0])), *command[1:], self.devices.path(part)],
                capture_output=True, text=True, errors="replace", stdin=subprocess.DEVNULL, check=False,
            )  # fmt: skip
            said = "\n".join((done.stdout + done.stderr).splitlines()[-12:])
            results.append([device, kind, " ".join(command), done.returncode, said])
        return results

    def unmount(self) -> None:
        """Unmount all and write everything out."""
        self._unmount_all()
        self.devices.release()
        os.sync()

    def power_off(self) -> None:
        """End the machine."""
        os.sync()
        end(restart=self.settings.get("restart", False))


_AWAKE = "start this Windows and shut it down fully (shutdown /s /f /t 0, Fast Startup off), then try again"


def _windows_remedy(said: str) -> str:
    if "hibernat" in said.lower() or "fast restart" in said.lower() or "unsafe state" in said.lower():
        return _AWAKE
    return ""


def _meta(data: dict[str, Any]) -> Meta:
    import base64

    xattrs = tuple((name, base64.b64decode(value["base64"])) for name, value in data.pop("xattrs"))
    return Meta(**data, xattrs=xattrs)
