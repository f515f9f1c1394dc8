"""What each cell of the disk image matrix does: plan through every backend, apply, read again, revert."""

from __future__ import annotations

import hashlib
import json
import os
import random
import re
import subprocess
import sys
import tarfile
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from guestfix.backends import open_guest
from guestfix.base.guest import Disks, GuestFS
from guestfix.base.record import replace
from guestfix.pack.cache import load_pack
from guestfix.plan.model import dump_plan
from guestfix.plan.planner import Options, make_plan
from tests.build.images import OVF, convert, walk
from tests.build.images import described as row_of

REPO = Path(__file__).resolve().parents[2]
ENV = {**os.environ, "PYTHONPATH": str(REPO)}
TARGET = "kvm-virtio"


def guestfix(*args: object, status: tuple[int, ...] = (0,)) -> str:
    """Run guestfix and return what it printed."""
    done = subprocess.run(
        [sys.executable, "-m", "guestfix", *map(str, args)], capture_output=True, text=True, env=ENV, check=False
    )
    if done.returncode not in status:
        found = re.search(r'^ *"error": \{.*?^ *\}', done.stdout, re.S | re.M)
        raise AssertionError((found[0] if found else done.stdout[-3000:]) + done.stderr[-3000:])
    return done.stdout


def digest(path: Path) -> str:
    with path.open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()


def as_format(disks: list[Path], fmt: str, folder: Path) -> list[Path]:
    """Return the disks in another format, below folder; the raw ones are the disks themselves."""
    folder.mkdir(exist_ok=True)
    if fmt == "raw":
        return disks
    if fmt != "ova":
        return [convert_to(one, fmt, folder) for one in disks]
    names = ["boot.vmdk", "data.vmdk"][: len(disks)]
    text = OVF if len(disks) == 2 else OVF.replace("data.vmdk", "boot.vmdk")
    place = folder / "guest.ova"
    (folder / "guest.ovf").write_text(text)
    with tarfile.open(place, "w", format=tarfile.USTAR_FORMAT) as archive:
        archive.add(folder / "guest.ovf", "guest.ovf")
        for name, one in zip(names, disks, strict=True):
            made = convert_to(one, "vmdk:streamOptimized", folder)
            archive.add(made, name)
            made.unlink()
    return [place]


def convert_to(disk: Path, fmt: str, folder: Path) -> Path:
    link = folder / disk.with_suffix("").name
    link.symlink_to(disk)
    made = convert(link, fmt)
    link.unlink()
    return made


def uris(backend: str, paths: list[Path]) -> list[str]:
    return [f"{backend}:{paths[0]}", *map(str, paths[1:])]


@contextmanager
def opened(backend: str, paths: list[Path], allowed: Sequence[Path] = ()) -> Iterator[Any]:
    """Open disks; ``allowed`` are the folders of what they are overlays on."""
    guest = open_guest(uris(backend, paths), allow_backing=[str(one) for one in allowed])
    try:
        yield guest
    finally:
        if hasattr(guest, "close"):
            guest.close()


# plans


RECEIPT = ("applied", "backups", "journal", "image", "choices", "plan_digest", "provenance", "contents", "holds")


def plan_of(text: str) -> dict[str, Any]:
    """Return a plan without how the guest was named, and without what apply adds."""
    plan = json.loads(text)
    for name in ("uri", "files"):
        plan["guest"].pop(name)
    return {key: value for key, value in plan.items() if key not in RECEIPT}


_MADE = ("/dev/disk/by-id/dm-", "/dev/disk/by-id/md-uuid-")
"""Names that udev makes of what device-mapper and md say; no tool of the host lists them of an image."""


def plain(disks: Disks | None) -> Disks | None:
    """Return disks without the names that udev makes, and without what only a reader of whole disks tells."""
    if disks is None:
        return None
    disks = replace(disks, root="", disks=tuple(replace(one, boot="") for one in disks.disks))
    kept = [replace(one, aliases=tuple(n for n in one.aliases if not n.startswith(_MADE))) for one in disks.volumes]
    return replace(disks, volumes=tuple(kept))


def report(*words: object) -> dict[str, Any]:
    return plan_of(guestfix("report", *words, "--target", TARGET, "--format", "json", status=(0, 1, 2)))


def described(tree: Path, disks: Disks | None, payload: Path | None = None) -> dict[str, Any]:
    """Return the plan of the guest's tree of files, with what was read of its disks."""
    options = Options(extra={"payload.dir": str(payload)} if payload else {})
    plan = make_plan(open_guest(str(tree), disks=disks), load_pack(), TARGET, options)
    return plan_of(dump_plan(plan).decode())


def differences(one: Any, other: Any, where: str = "") -> list[str]:
    """Return where two JSON values differ, for a message that can be read."""
    if isinstance(one, dict) and isinstance(other, dict):
        keys = [*one, *(key for key in other if key not in one)]
        return [text for key in keys for text in differences(one.get(key), other.get(key), f"{where}/{key}")]
    if isinstance(one, list) and isinstance(other, list) and len(one) == len(other):
        pairs = enumerate(zip(one, other, strict=True))
        return [text for index, (a, b) in pairs for text in differences(a, b, f"{where}/{index}")]
    return [] if one == other else [f"{where}: {str(one)[:300]} != {str(other)[:300]}"]


# content


def contents(guest: GuestFS, *, whole: bool = True) -> dict[str, tuple[Any, ...]]:
    """Return what can be seen of a guest: names, kinds, modes, owners, times, bytes, attributes.

    Not ``whole``: bytes and attributes only where apply writes, for backends that take long for each file.
    """
    found = {}
    for path in walk(guest):
        if "lost+found" in path or path.startswith("/.snapshots"):
            continue
        if whole or path.startswith(("/etc/", "/boot/", "/usr/bin/true")):
            rows = row_of(guest, path, times=True, xattrs=False)
            found[path] = (*rows, guest.meta(path).xattrs if rows[0] in ("file", "dir") else ())
        else:
            stat = guest.stat(path, follow=False)
            assert stat is not None
            size = 0 if stat.kind == "dir" else stat.size  # a folder may stay larger than it was
            found[path] = (stat.kind, size, stat.mode, stat.uid, stat.gid, stat.mtime_ns)
    return found


def kept(guest: GuestFS, path: str) -> tuple[Any, ...]:
    """Return what a rewritten file takes over from its original."""
    meta = guest.meta(path)
    return meta.mode, meta.uid, meta.gid, meta.mtime_ns, meta.xattrs


# killed


def killed_at_random(writer: str, paths: list[Path], rng: random.Random, times: int) -> None:
    """Kill apply at random moments: the images stay as they are, nothing continues, and the next apply works."""
    before = [digest(path) for path in paths]
    words = ("apply", *uris(writer, paths), "--target", TARGET, "--format", "json")
    start = time.monotonic()
    guestfix(*words)
    whole = time.monotonic() - start
    _drop_outcomes(paths)
    for _ in range(times):
        pid = _kill_after(rng.uniform(0.1, whole), *words)
        end = time.monotonic() + 15
        while (left := _left_running(pid)) and time.monotonic() < end:
            time.sleep(0.1)
        assert left == []
        assert [
            line for line in Path("/proc/self/mountinfo").read_text().splitlines() if f"guestfix-{pid}-" in line
        ] == []
        assert [digest(path) for path in paths] == before
        _drop_outcomes(paths)
    guestfix(*words)
    assert [digest(path) for path in paths] == before
    assert [name for name in os.listdir(tempfile.gettempdir()) if name.startswith(f"guestfix-{pid}-")] == []


def _drop_outcomes(paths: list[Path]) -> None:
    for path in paths:
        for one in path.parent.glob("*.guestfix.qcow2*"):
            one.unlink()


def _kill_after(seconds: float, *args: object) -> int:
    with subprocess.Popen(
        [sys.executable, "-m", "guestfix", *map(str, args)],
        stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, env=ENV, start_new_session=True,
    ) as process:  # fmt: skip
        try:
            process.wait(seconds)
        except subprocess.TimeoutExpired:
            process.kill()
        return process.pid


def _left_running(pid: int) -> list[str]:
    """Return the processes that still work in the folder or the session of a guestfix that was killed."""
    found = []
    for folder in Path("/proc").glob("[0-9]*"):
        try:
            text = b"".join((folder / name).read_bytes() for name in ("cmdline", "environ"))
            session = (folder / "stat").read_text().rpartition(")")[2].split()[3]
        except OSError:
            continue
        if session == str(pid) or b"/guestfix-%d-" % pid in text:
            found.append(f"{folder.name}: {text[:200]!r}")
    return found
