"""The keeper of a run: a process of its own that waits until guestfix is gone, then ends and removes what is left.

guestfix holds a lock on a file in the folder of its run for as long as it lives; the kernel lets go of it however
guestfix ends. The keeper waits for that lock. Both a run's own keeper and the next run clear a folder in this way,
so nothing here needs more than the standard library.
"""

from __future__ import annotations

import contextlib
import fcntl
import os
import re
import signal
import struct
import sys
import time
from collections.abc import Iterator

LOCK, PARTS, LOOPS = "lock", "parts", "loops"
MARK = "GUESTFIX_RUN"
"""The environment variable that names the folder to every program of a run."""

END_SECONDS = 10.0
_FUSE_PATH = "/usr/sbin:/usr/bin:/sbin:/bin"
_SOCKETS = re.compile(rb"(/[^,=\0 ]*/libguestfs[A-Za-z0-9]{6})/")
_HALF_MADE = re.compile(r"/.*/\.guestfs-\d+/appliance\.d\.[a-z0-9]{8}(?=/)")
_DM, _DM_REMOVE = struct.Struct("=3I2IIiIIIQ128s129s7s"), 0xC138FD04
_OCTAL = re.compile(r"\\([0-7]{3})")


def main() -> None:
    """Wait for the end of guestfix, then clear the folder of its run; nothing is done where it is gone by then."""
    for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
        signal.signal(number, signal.SIG_IGN)  # sent to all processes at once where a service or a session ends
    with contextlib.suppress(OSError):
        lock = os.open(f"{sys.argv[1]}/{LOCK}", os.O_RDWR | os.O_CLOEXEC)
        fcntl.flock(lock, fcntl.LOCK_EX)
        if os.path.exists(f"{sys.argv[1]}/{LOCK}"):
            clear(sys.argv[1])


def clear(folder: str) -> None:
    """End the processes of a run, unmount what they mounted, remove its folder and what was half made elsewhere.

    The caller holds the lock. What can't be removed stays for the next run.
    """
    end_processes(folder)
    take_down(folder)
    for place in mounts(folder):
        unmount(place)
    with contextlib.suppress(OSError), open(f"{folder}/{PARTS}", "rb") as stream:
        for part in stream.read().split(b"\0"):
            _remove(os.fsdecode(part), os.path.isdir(part) and not os.path.islink(part))
    remove(folder)


def remove(folder: str) -> None:
    """Remove a run's folder, the lock last, so that an interrupted removal is gone on with."""
    for entry in os.scandir(folder):
        if entry.name != LOCK:
            _remove(entry.path, entry.is_dir(follow_symlinks=False))
    with contextlib.suppress(OSError):
        if os.listdir(folder) == [LOCK]:
            os.unlink(f"{folder}/{LOCK}")
            os.rmdir(folder)


def _remove(path: str, is_folder: bool) -> None:
    import shutil  # costly, and seldom wanted

    if is_folder:
        shutil.rmtree(path, ignore_errors=True)
    else:
        with contextlib.suppress(OSError):
            os.unlink(path)


# processes


def end_processes(folder: str) -> bool:
    """Kill every process of a run until none is left; tell whether that came about within some seconds."""
    deadline = time.monotonic() + END_SECONDS
    while True:
        left = False
        for traces in _killed(folder):
            left = True
            for trace in traces:
                _remove(trace, os.path.isdir(trace))
        if not left:
            return True
        if time.monotonic() > deadline:
            return False
        time.sleep(0.02)


def _killed(folder: str) -> Iterator[set[str]]:
    """Kill the processes of a run: those that its mark names, or that write to its files; yield each one's traces.

    User-mode Linux leaves processes behind that have its open files and nothing else.
    """
    for name in os.listdir("/proc"):
        if not name.isdecimal() or int(name) == os.getpid():
            continue
        try:
            handle = os.pidfd_open(int(name))
        except OSError:
            continue
        try:
            if _belongs(int(name), folder):
                traces = _traces(int(name))
                signal.pidfd_send_signal(handle, signal.SIGKILL)
                yield traces
        except OSError:
            continue
        finally:
            os.close(handle)


def _belongs(pid: int, folder: str) -> bool:
    if os.stat(f"/proc/{pid}").st_uid != os.geteuid():
        return False
    with open(f"/proc/{pid}/environ", "rb") as stream:
        if os.fsencode(f"{MARK}={folder}") in stream.read().split(b"\0"):
            return True
    return any(_writes(pid, number, folder) for number in os.listdir(f"/proc/{pid}/fd"))


def _writes(pid: int, number: str, folder: str) -> bool:
    try:
        if not os.readlink(f"/proc/{pid}/fd/{number}").startswith(folder + "/"):
            return False
        with open(f"/proc/{pid}/fdinfo/{number}", encoding="ascii") as stream:
            flags = next((line.split()[1] for line in stream if line.startswith("flags:")), "0")
    except OSError:
        return False
    name = os.readlink(f"/proc/{pid}/fd/{number}")
    return int(flags, 8) & os.O_ACCMODE != os.O_RDONLY and name.removesuffix(" (deleted)") != f"{folder}/{LOCK}"


def _traces(pid: int) -> set[str]:
    """Return what a killed libguestfs leaves elsewhere: sockets, and an appliance that was being made."""
    found = {f"/tmp/.guestfish-{os.geteuid()}/socket-{pid}"}
    with contextlib.suppress(OSError):
        files = [os.readlink(f"/proc/{pid}/fd/{number}") for number in os.listdir(f"/proc/{pid}/fd")]
        found |= {match[0] for match in map(_HALF_MADE.match, files) if match}
        with open(f"/proc/{pid}/cmdline", "rb") as told, open(f"/proc/{pid}/net/unix", "rb") as sockets:
            rows = [row for row in sockets if b"/libguestfs" in row and f"socket:[{int(row.split()[6])}]" in files]
            found |= {os.fsdecode(place) for text in (told.read(), *rows) for place in _SOCKETS.findall(text)}
    return {place for place in found if _is_mine(place)}


def _is_mine(place: str) -> bool:
    try:
        return os.lstat(place).st_uid == os.geteuid()
    except OSError:
        return False


# devices


def rule_of(folder: str) -> str:
    """Return the file of the rule that keeps udev from the devices of a run, where there is one."""
    return f"/run/udev/rules.d/00-{os.path.basename(folder)}.rules"


def take_down(folder: str) -> bool:
    """Remove what stands on a run's loop devices, the outermost first; tell whether nothing is left of it.

    Loop devices themselves go with whoever has them open. What is in use is tried again for some seconds.
    """
    if not os.path.exists(f"{folder}/{LOOPS}"):
        return True
    deadline = time.monotonic() + END_SECONDS
    while (found := _standing(folder)) and time.monotonic() < deadline:
        for name in found:
            with contextlib.suppress(OSError):
                _remove_device(name)
        if _standing(folder):
            time.sleep(0.02)
    with contextlib.suppress(OSError):
        os.unlink(rule_of(folder))
    return not found


def _standing(folder: str) -> list[str]:
    """Return the block devices upon a run's loop devices, the outermost first.

    A loop device may be another's by now: it is the run's where its file is in the folder, or was and is unmounted.
    """
    found: list[str] = []
    with open(f"{folder}/{LOOPS}", encoding="ascii") as loops:
        for name in set(loops.read().split()):
            with contextlib.suppress(OSError), open(f"/sys/block/{name}/loop/backing_file", "rb") as file:
                backing = file.read().rstrip(b"\n")
                if backing == b"/" or backing.startswith(os.fsencode(folder + "/")):
                    _above(name, found)
    return found[::-1]


def _above(name: str, found: list[str]) -> None:
    with contextlib.suppress(OSError):
        for holder in os.listdir(f"/sys/class/block/{name}/holders"):
            if holder in found:
                found.remove(holder)
            found.append(holder)
            _above(holder, found)


def _remove_device(name: str) -> None:
    """Remove a device of device-mapper (linux/dm-ioctl.h), or stop an array. OSError where it is in use."""
    if os.path.exists(f"/sys/block/{name}/md"):
        with open(f"/sys/block/{name}/md/array_state", "w", encoding="ascii") as state:
            state.write("clear")
        return
    with open(f"/sys/block/{name}/dm/name", "rb") as told, open("/dev/mapper/control", "rb") as control:
        request = bytearray(_DM.pack(4, 0, 0, _DM.size, 0, 0, 0, 0, 0, 0, 0, told.read().strip(), b"", b""))
        fcntl.ioctl(control, _DM_REMOVE, request)


# mounts


def mounts(folder: str) -> list[str]:
    """Return the mount points below a folder, the innermost first (proc(5), mountinfo)."""
    found = []
    with contextlib.suppress(OSError), open("/proc/self/mountinfo", encoding="utf-8", errors="surrogateescape") as rows:
        for row in rows:
            place = _OCTAL.sub(lambda match: chr(int(match[1], 8)), row.split()[4])
            if place.startswith(folder + "/"):
                found.append(place)
    return found[::-1]


def unmount(place: str) -> None:
    """Unmount, even where the filesystem's process was killed or something has it open."""
    import ctypes
    import subprocess

    if ctypes.CDLL(None).umount2(os.fsencode(place), 2):  # MNT_DETACH; only root may
        command = ["fusermount3", "-u", "-z", place]
        with contextlib.suppress(OSError):
            subprocess.run(
                command, env={"PATH": _FUSE_PATH}, stdin=subprocess.DEVNULL, capture_output=True, check=False
            )


if __name__ == "__main__":
    main()
