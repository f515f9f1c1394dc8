"""Guests whose folders and files are swapped with links by another process while guestfix reads and writes them.

Every link leads out of the guest: by an absolute name, or by more ``..`` than there are folders. The guest holds a
mirror of the place that the link names, so that whoever resolves it inside the guest continues undisturbed, and whoever
resolves it on the host reads, or changes, the tree outside.

    python -m tests.hostile.races --runs 10000
"""

from __future__ import annotations

import argparse
import ctypes
import os
import random
import shutil
import signal
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from guestfix.apply.apply import apply_plan
from guestfix.apply.copies import copy_journal, copy_originals
from guestfix.apply.undo import revert
from guestfix.backends.directory import DirectoryGuest
from guestfix.base.digest import state_of
from guestfix.base.errors import GuestfixError
from guestfix.base.recorder import Recorder
from guestfix.cases.harvest import write_tree
from guestfix.cases.runner import copy_guest
from guestfix.pack.cache import load_pack
from guestfix.plan.model import Plan, dump_plan
from guestfix.plan.planner import make_plan
from tests.build.plans import FILES, every_kind, plan_for, tree
from tests.build.tree import build

MARK = "OUTSIDE-SECRET"
AT_FDCWD, EXCHANGE = -100, 2
NOBODY = 65534
FOLDERS = ("etc", "etc/udev", "etc/udev/rules.d", "boot", "var", "var/lib", "var/lib/dpkg")
PATHS = tuple(f"/{name}" for name in FILES)
KEEP = "tmp/.guestfix-race"  # a folder of the guest into which nothing is swapped

_libc = ctypes.CDLL(None, use_errno=True)


class Escaped(AssertionError):
    """Something outside of the guest was read or changed."""


def _exchange(one: bytes, other: bytes) -> None:
    """Swap two names at once (renameat2(2))."""
    _libc.renameat2(AT_FDCWD, one, AT_FDCWD, other, EXCHANGE)


def make_trees(base: Path, *, secret: bool) -> tuple[Path, Path]:
    """Make a guest with a link beside each folder, and the tree outside; ``secret``: that one has other content."""
    guest, outside = base / "guest", base / "outside"
    mirror = guest / str(outside).lstrip("/")
    for root in (guest, outside, mirror):
        build(root, FILES)
    if secret:
        for path in outside.rglob("*"):
            if path.is_file() and not path.is_symlink():
                path.write_text(f"{MARK}\n")
        for folder in FOLDERS:
            (outside / folder / f"{MARK}-name").write_text(MARK)
    ups = "../" * 40
    for index, folder in enumerate(FOLDERS):
        target = f"{outside}/{folder}" if index % 2 else f"{ups}{str(outside).lstrip('/')}/{folder}"
        os.symlink(target, guest / f"{folder}.swap")
    if secret:
        for name in ("etc/fstab", "etc/os-release", "etc/hosts"):
            os.symlink(outside / name, guest / f"{name}.swap")
    return guest, outside


@contextmanager
def swapping(guest: Path, seed: int, *, files: bool) -> Iterator[None]:
    """Swap the guest's folders (and files) with the links beside them, over and over, until the block ends."""
    names = [*FOLDERS, *(("etc/fstab", "etc/os-release", "etc/hosts") if files else ())]
    pairs = [(os.fsencode(guest / name), os.fsencode(guest / f"{name}.swap")) for name in names]
    child = os.fork()
    if child == 0:
        try:
            chance = random.Random(seed)
            some = chance.sample(pairs, chance.randint(1, len(pairs)))
            pause = chance.choice((0.0, 0.0005, 0.002))  # restless, or a glimpse of a link now and then
            while True:
                one, other = chance.choice(some)
                _exchange(one, other)
                for _ in range(chance.choice((0, 10, 100, 1000))):
                    pass
                if pause:
                    _exchange(one, other)
                time.sleep(pause or 0.00005)
        finally:
            os._exit(1)
    try:
        yield
    finally:
        os.kill(child, signal.SIGKILL)
        os.waitpid(child, 0)


def read_everything(guest: DirectoryGuest) -> list[object]:
    """Read by every way that there is; what the guest refuses is part of the answer."""
    calls: tuple[Callable[[str], object], ...] = (
        guest.read, guest.stat, guest.realpath, guest.meta, guest.list, guest.readlink,
        lambda path: guest.open(path).read(), lambda path: guest.list(path.rpartition("/")[0]),
        lambda path: state_of(guest, path), guest.space,
    )  # fmt: skip
    said: list[object] = []
    for path in PATHS:
        for call in calls:
            try:
                said.append(call(path))
            except GuestfixError as error:
                said.append(str(error))
    return said


def read_run(base: Path, seed: int) -> str:
    """Read a guest that is swapped meanwhile. Raises Escaped where text from outside is seen."""
    root, outside = make_trees(base, secret=True)
    before = tree(outside)
    said: list[object] = []
    with swapping(root, seed, files=True):
        guest = DirectoryGuest(str(root))
        said += read_everything(guest)
        if seed % 20 == 0:
            said += _whole_reports(root, base)
        guest.close()
    copies = [path for name in ("case", "copied", "kept") for path in (base / name).rglob("*")]
    text = repr(said) + "".join(map(str, copies)) + "".join(_text(path) for path in copies)
    if MARK in text:
        at = text.index(MARK)
        raise Escaped(f"read from outside: {text[max(0, at - 300) : at + 100]}")
    if tree(outside) != before:
        raise Escaped("reading changed the tree outside")
    return "read"


def _text(path: Path) -> str:
    return path.read_text(errors="replace") if path.is_file() and not path.is_symlink() else ""


def _whole_reports(root: Path, base: Path) -> list[object]:
    said: list[object] = []
    try:
        recorder = Recorder(DirectoryGuest(str(root)))
        plan = make_plan(recorder, load_pack())
        said.append(dump_plan(plan))
        copy_originals(DirectoryGuest(str(root)), plan, str(base / "kept"))
        said.append(write_tree(recorder, base / "case"))
    except (GuestfixError, OSError) as error:  # the command turns both into messages
        said.append(str(error))
    try:
        copy_guest(root, base / "copied")
    except (GuestfixError, OSError) as error:  # the command turns both into messages
        said.append(str(error))
    return said


def write_run(base: Path, seed: int) -> str:
    """Apply and revert while the guest is swapped. Raises Escaped where the tree outside is not as it was."""
    root, outside = make_trees(base, secret=False)
    plan: Plan = plan_for(DirectoryGuest(str(root)), every_kind)
    before = tree(outside)
    outcome = "applied and reverted"
    (base / "kept").mkdir()
    with swapping(root, seed, files=False):
        guest = DirectoryGuest(str(root))
        try:
            receipt = apply_plan(guest, plan)
            copy_journal(guest, receipt.journal, str(base / "kept"))
            revert(guest)
        except (GuestfixError, OSError) as error:
            outcome = type(error).__name__
            with suppress(GuestfixError, OSError):
                revert(guest)
        guest.close()
    if tree(outside) != before:
        changed = sorted(k for k in {*before, *tree(outside)} if before.get(k) != tree(outside).get(k))
        raise Escaped(f"changed outside: {changed}")
    return outcome


def run(base: Path, seed: int) -> str:
    """Make one run in a fresh folder below base; even seeds write, odd ones read."""
    place = base / f"run{seed}"
    place.mkdir()
    try:
        return (read_run if seed % 2 else write_run)(place, seed // 2)
    finally:
        shutil.rmtree(place)


def as_user(user: int, call: Callable[[], None]) -> bool:
    """Run the call in a child process as this user; tell whether it ended well."""
    child = os.fork()
    if child == 0:
        status = 1
        try:
            if user != os.geteuid():
                os.setgroups([])
                os.setgid(user)
                os.setuid(user)
            call()
            status = 0
        except BaseException:  # noqa: BLE001 - the child must not continue as the parent
            import traceback

            traceback.print_exc()
        finally:
            sys.stdout.flush()
            sys.stderr.flush()
            os._exit(status)
    return os.waitpid(child, 0)[1] == 0


def many(user: int, runs: int, first: int = 0, folder: str | None = None) -> bool:
    """Make that many runs as a user, and print what became of them; False where one escaped."""
    base = Path(tempfile.mkdtemp(dir=folder))
    os.chown(base, user, user) if os.geteuid() == 0 else None

    def call() -> None:
        start = time.monotonic()
        found = Counter(run(base, seed) for seed in range(first, first + runs))
        took = time.monotonic() - start
        print(f"user {os.geteuid()}: {runs} runs in {took:.0f} s, none outside: {dict(found)}")

    try:
        return as_user(user, call)
    finally:
        shutil.rmtree(base, ignore_errors=True)


def main() -> int:
    """Make the runs as root and as an ordinary user, half each; as the present one alone where it is not root."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--runs", type=int, default=10_000)
    args = parser.parse_args()
    users = (0, NOBODY) if os.geteuid() == 0 else (os.geteuid(),)
    folder = "/dev/shm" if os.path.isdir("/dev/shm") else None
    results = [many(user, args.runs // len(users), folder=folder) for user in users]
    return 0 if all(results) else 1


if __name__ == "__main__":
    sys.exit(main())
