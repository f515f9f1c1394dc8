"""Nothing outlives guestfix: no process, mount, folder or half made file, whatever killed it and whenever."""

from __future__ import annotations

import contextlib
import os
import random
import shutil
import signal
import subprocess
import sys
import sysconfig
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from guestfix.backends import keeper
from guestfix.backends.disks.hostfiles import HostFiles
from guestfix.backends.disks.inuse import in_use
from guestfix.backends.image import open_image
from guestfix.backends.runfolder import RunFolder, clear_stale
from guestfix.backends.status import usable
from tests.build.images import MIB, PartSpec, convert, debian, disk, filesystem, have

ROOT = Path(__file__).resolve().parents[2]
FSTAB = "/dev/sda1 / ext4 errors=remount-ro 0 1\n/dev/sdb9 /gone ext4 defaults 0 2\n"
NOBODY = 65534
SECONDS = 5.0
"""How long after its end a run may still be seen; a tenth of it is usual."""

needs_uml = pytest.mark.skipif(
    not usable("uml") or not have("mke2fs", "sfdisk", "qemu-img"),
    reason="User-mode Linux, e2fsprogs, fdisk or qemu-utils is not installed",
)
needs_root = pytest.mark.skipif(os.geteuid() != 0, reason="only root can do this")


@pytest.fixture(scope="module")
def image(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("leftovers")
    content = filesystem("ext4", folder / "fs", 64 * MIB, debian(folder / "root", FSTAB))
    return convert(disk(folder / "disk.raw", [PartSpec(content)]), "qcow2")


@pytest.fixture
def place() -> Iterator[Path]:
    """Give a short folder for one run's TMPDIR (libguestfs has sockets in it); see that nothing is left of it."""
    found = Path(tempfile.mkdtemp(prefix="gf-left-"))
    yield found
    shutil.rmtree(found)


def processes(needle: str) -> list[str]:
    """Return the living processes that name a place in their environment or arguments, or have a file of it open."""
    found = []
    for pid in filter(str.isdecimal, os.listdir("/proc")):
        try:
            with open(f"/proc/{pid}/stat", encoding="utf-8", errors="replace") as stream:
                dead = stream.read().rpartition(")")[2].split()[0] in "ZX"
            arguments = Path(f"/proc/{pid}/cmdline").read_bytes()
            told = Path(f"/proc/{pid}/environ").read_bytes() + arguments
            files = [os.readlink(f"/proc/{pid}/fd/{number}") for number in os.listdir(f"/proc/{pid}/fd")]
        except OSError:
            continue
        if not dead and int(pid) != os.getpid() and (needle.encode() in told or any(needle in one for one in files)):
            found.append(f"{pid}: {arguments.decode(errors='replace')[:400]}")
    return found


def left(place: Path) -> list[str]:
    mounted = [row for row in Path("/proc/mounts").read_text().splitlines() if str(place) in row]
    folders = [name for name in os.listdir(place) if name.startswith(("guestfix-", "libguestfs", "supermin"))]
    return [*processes(str(place)), *mounted, *folders, *map(str, place.glob("*.part"))]


def gone(place: Path) -> bool:
    end = time.monotonic() + SECONDS
    while left(place) and time.monotonic() < end:
        time.sleep(0.05)
    return not left(place)


def begin(place: Path, *words: object, **options: object) -> subprocess.Popen[bytes]:
    env = {**os.environ, "PYTHONPATH": str(ROOT), "TMPDIR": str(place), **options.pop("env", {})}  # type: ignore[arg-type]
    return subprocess.Popen(
        [options.pop("python", sys.executable), "-m", "guestfix", *map(str, words)],  # type: ignore[list-item]
        stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, env=env, **options,
    )  # type: ignore[call-overload,no-any-return] # fmt: skip


def runs(place: Path) -> list[Path]:
    return sorted(place.glob("guestfix-????????"))


def ended(place: Path, process: subprocess.Popen[bytes], number: signal.Signals) -> None:
    """Send the signal and check that nothing is left, while the process itself is a zombie that nobody waits for."""
    process.send_signal(number)
    end = time.monotonic() + SECONDS
    while not gone(place) and time.monotonic() < end:
        time.sleep(0.05)
    seen = left(place)
    process.wait()
    assert not seen


@needs_uml
def test_killed_at_any_moment(image: Path, place: Path) -> None:
    before = image.read_bytes()
    for moment in (0.15, 0.25, 0.4, 0.7, 1.1, 1.5, random.Random().uniform(0.1, 2.0)):
        out = place / "out.qcow2"
        process = begin(place, "apply", f"uml:{image}", "--output", out)
        time.sleep(moment)
        ended(place, process, signal.SIGKILL)
        if out.exists():  # an outcome appears whole or not at all
            allowed = HostFiles([str(image.parent)])
            assert b"UUID=" in open_image([str(out)], host=allowed).read("/etc/fstab")
            out.unlink()
    assert image.read_bytes() == before


@needs_uml
@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT, signal.SIGHUP])
def test_told_to_end(number: signal.Signals, image: Path, place: Path) -> None:
    for moment in (0.4, 1.0):
        process = begin(place, "apply", f"uml:{image}", "--output", place / "out.qcow2")
        time.sleep(moment)
        ended(place, process, number)
        (place / "out.qcow2").unlink(missing_ok=True)


def wait_for_mount(place: Path) -> None:
    end = time.monotonic() + 20
    while not any(str(place) in row for row in Path("/proc/mounts").read_text().splitlines()):
        assert time.monotonic() < end, "nothing was mounted"
        time.sleep(0.02)
    time.sleep(0.5)


def kill_all(needle: str, process: subprocess.Popen[bytes]) -> None:
    """Kill guestfix and its keeper at one moment, as the kernel's killer of processes or a service manager does."""
    keepers = [int(one.partition(":")[0]) for one in processes(needle) if "keeper.py" in one]
    assert len(keepers) == 1
    for pid in (*keepers, process.pid):
        os.kill(pid, signal.SIGKILL)
    process.wait()


@needs_uml
def test_the_next_run_clears_where_the_keeper_was_killed_too(image: Path, place: Path) -> None:
    process = begin(place, "apply", f"uml:{image}", "--output", place / "out.qcow2")
    wait_for_mount(place)
    kill_all(str(place), process)
    assert runs(place)
    env = {**os.environ, "TMPDIR": str(place), "PYTHONPATH": str(ROOT)}
    program = "from guestfix.backends.runfolder import clear_stale; clear_stale()"
    subprocess.run([sys.executable, "-c", program], env=env, check=True)
    assert left(place) == []


def python_for_all() -> str:
    """Return an interpreter of this version that every user may run."""
    for found in (sys.executable, "/usr/bin/python3"):
        try:
            done = subprocess.run([found, "--version"], capture_output=True, text=True, user=NOBODY, check=False)
        except PermissionError:
            continue
        if done.stdout.split()[1:] and done.stdout.split()[1].startswith("{}.{}.".format(*sys.version_info[:2])):
            return found
    pytest.skip("there is no interpreter of this version that other users may run")


@needs_uml
@needs_root
@pytest.mark.skipif(not have("fusermount3"), reason="fuse3 is not installed")
def test_mounts_of_an_ordinary_user(image: Path, place: Path) -> None:
    own = Path(shutil.copy(image, place))
    os.chown(place, NOBODY, NOBODY)
    os.chown(own, NOBODY, NOBODY)
    env = {"HOME": str(place), "PYTHONPATH": f"{ROOT}{os.pathsep}{sysconfig.get_path('purelib')}"}
    process = begin(
        place, "apply", f"uml:{own}", env=env, python=python_for_all(), cwd="/", user=NOBODY, group=NOBODY,
        extra_groups=[],
    )  # fmt: skip
    wait_for_mount(place)
    ended(place, process, signal.SIGKILL)


# who is alive


HOLD = """
import sys, time
sys.path.insert(0, sys.argv[1])
from guestfix.backends.runfolder import RunFolder
run = RunFolder()
print(run.path, flush=True)
sys.stdin.read()
print(__import__("os").path.exists(run.path + "/lock"), flush=True)
run.close()
"""


@needs_root
@pytest.mark.skipif(not have("unshare"), reason="util-linux is not installed")
def test_two_namespaces_of_processes_with_one_folder(place: Path) -> None:
    env = {**os.environ, "TMPDIR": str(place)}
    inside = ["unshare", "--pid", "--fork", "--mount-proc", "--kill-child"]
    if subprocess.run([*inside, "true"], capture_output=True, check=False).returncode:
        pytest.skip("a namespace of processes can't be made here")
    holders = [
        subprocess.Popen(
            [*prefix, sys.executable, "-c", HOLD, str(ROOT)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, env=env
        )
        for prefix in (inside, inside, [])
    ]
    found = [one.stdout.readline().strip() for one in holders if one.stdout]
    assert len(set(found)) == 3
    subprocess.run(
        [*inside, sys.executable, "-c", HOLD, str(ROOT)], input=b"", capture_output=True, env=env, check=True
    )
    for one in holders:
        assert one.communicate(b"")[0].split()[-1:] == [b"True"]
    assert gone(place)


def test_many_that_begin_and_clear_at_once_take_nothing_from_each_other(place: Path) -> None:
    program = HOLD.replace("run = RunFolder()", "for _ in range(15): RunFolder().close()\nrun = RunFolder()")
    env = {**os.environ, "TMPDIR": str(place)}
    crowd = [
        subprocess.Popen(
            [sys.executable, "-c", program, str(ROOT)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, env=env
        )
        for _ in range(4)
    ]
    assert [one.stdout.readline() != b"" for one in crowd if one.stdout] == [True] * 4
    assert [one.communicate(b"")[0] for one in crowd] == [b"True\n"] * 4
    assert gone(place)


def test_only_folders_of_runs_that_nothing_holds_are_cleared(place: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("tempfile.tempdir", str(place))
    held = RunFolder()
    (place / "guestfix-deadbeef/x").mkdir(parents=True)
    (place / "guestfix-deadbeef/lock").touch()
    (place / "guestfix-00000000").mkdir()
    kept = ["guestfix-not_ours", "guestfix-notes", "guestfix-a_link_"]
    (place / kept[0]).mkdir()
    (place / kept[0] / "file").touch()
    (place / kept[1]).mkdir()
    (place / "elsewhere").mkdir()
    (place / "elsewhere/lock").touch()
    (place / kept[2]).symlink_to(place / "elsewhere")
    clear_stale()
    assert sorted(os.listdir(place)) == sorted([os.path.basename(held.path), *kept, "elsewhere"])
    assert os.listdir(place / "elsewhere") == ["lock"]
    held.close()
    assert not os.path.exists(held.path)


def test_who_only_reads_a_file_of_a_run_is_spared(place: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("tempfile.tempdir", str(place))
    run = RunFolder()
    (Path(run.path) / "log").write_text("x\n")
    with (
        open(f"{run.path}/log", "rb") as reads,
        open(f"{run.path}/log", "ab") as writes,
        subprocess.Popen(["sleep", "30"], stdout=writes, env={}) as writer,
        subprocess.Popen(["sleep", "30"], stdin=reads, env={}) as reader,
        subprocess.Popen(["sleep", "30"], env=run.environment()) as marked,
    ):
        writes.close()
        assert keeper.end_processes(run.path)
        assert (writer.wait(5), marked.wait(5)) == (-signal.SIGKILL, -signal.SIGKILL)
        assert reader.poll() is None
        reader.kill()
    run.close()


def test_what_was_half_made_goes_with_a_killed_run(place: Path) -> None:
    program = HOLD.replace("sys.stdin.read()", "").replace(
        "print(run", f"from guestfix.backends.runfolder import making\nstart = making(run.path, ['{place}/new.part'])\n"
        f"start.__enter__()\nopen('{place}/new.part', 'w').write('x')\nprint(run"
    ).replace("run.close()", "time.sleep(60)")  # fmt: skip
    env = {**os.environ, "TMPDIR": str(place)}
    with subprocess.Popen([sys.executable, "-c", program, str(ROOT)], stdout=subprocess.PIPE, env=env) as process:
        assert process.stdout and process.stdout.readline()
        assert process.stdout.readline() == b"True\n" and (place / "new.part").exists()
        ended(place, process, signal.SIGKILL)


def traces(pids: list[str]) -> list[Path]:
    """Return what libguestfs has for these processes in folders that it chooses itself."""
    told = b""
    for pid in pids:
        with contextlib.suppress(OSError):
            told += Path(f"/proc/{pid}/cmdline").read_bytes()
    own = [Path(f"/tmp/.guestfish-{os.geteuid()}/socket-{pid}") for pid in pids]
    return [path for path in own if path.exists()] + [
        path for path in Path("/tmp").glob("libguestfs*") if os.fsencode(path) in told
    ]


@pytest.mark.skipif(not usable("libguestfs"), reason="libguestfs can't be used here (guestfix backends says why)")
@pytest.mark.skipif(not have("mke2fs", "sfdisk", "qemu-img"), reason="e2fsprogs, fdisk or qemu-utils is not installed")
@pytest.mark.parametrize("program", ["guestfish", "qemu-system"])
def test_an_appliance(program: str, image: Path, place: Path) -> None:
    """While it is made, and once it starts; its lock on the image is gone with it."""
    cache = {"LIBGUESTFS_CACHEDIR": os.environ.get("LIBGUESTFS_CACHEDIR", "/var/tmp")}
    process = begin(place, "apply", f"libguestfs:{image}", "--output", place / "out.qcow2", env=cache)
    end = time.monotonic() + 60
    while not [one for one in processes(str(place)) if program in one] and time.monotonic() < end:
        time.sleep(0.05)
    time.sleep(0.5)
    elsewhere: list[Path] = []
    while not elsewhere and program != "guestfish" and time.monotonic() < end:
        elsewhere = traces([one.partition(":")[0] for one in processes(str(place))])
        time.sleep(0.05)
    assert elsewhere or program == "guestfish"
    ended(place, process, signal.SIGKILL)
    assert not in_use(str(image))
    assert not [path for path in elsewhere if path.exists()]
