"""Reading an initramfs against lsinitramfs on the same file, its peak memory, and injection against image size.

The image is that of a Debian 12 guest that the tests have made (MODULES=most, 36 MB with gzip), beside the guest's
own lists of modules; on a machine without one, this machine's programs and libraries until gzip makes 36 MB. Both sides
of a check are whole processes: Python's start, its imports, reading the image and judging it; against them
lsinitramfs with the programs that it starts. Processor time is told beside wall time, since it says the same on
a busy machine.
"""

from __future__ import annotations

import os
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterable
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
sys.path[:0] = [str(ROOT), str(ROOT / "tests" / "bench")]

from earlier import earlier  # noqa: E402
from measure import Table, in_turn, run_once  # noqa: E402

from guestfix.actions.initramfs.segment import build, pack  # noqa: E402
from guestfix.backends.directory import DirectoryGuest  # noqa: E402
from guestfix.base.facts import Facts  # noqa: E402
from guestfix.detect.initramfs import find as initramfs_images  # noqa: E402
from guestfix.detect.initramfs.check import Verdict, judge  # noqa: E402
from guestfix.detect.initramfs.find import Boot  # noqa: E402
from guestfix.formats.initramfs import cpio, decompress  # noqa: E402
from guestfix.pack.cache import load_pack  # noqa: E402
from tests.build import debian  # noqa: E402
from tests.build.initramfs import RELEASE, guest, inside  # noqa: E402

PACKED = 36_000_000
RUNS = 5
BOOT = Boot(RELEASE, f"/boot/vmlinuz-{RELEASE}", (f"/boot/initrd.img-{RELEASE}",), "default")
CHECK = """import resource, sys
from guestfix.backends.directory import DirectoryGuest
from guestfix.detect.initramfs.check import judge
from guestfix.detect.initramfs.find import Boot
from guestfix.base.facts import Facts
from guestfix.pack.model import Target
root, kernel, initrd = sys.argv[1:]
target = Target("kvm-virtio", "", drivers={"storage": ("virtio_blk",)})
found = judge(DirectoryGuest(root), Facts(), target, Boot(kernel, "", (initrd,)))
print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss)
states = {need["module"]: need["state"] for need in found.needs}
sys.exit(0 if found.judged and states["virtio_blk"] in ("missing", "present") else f"not judged: {found.problem}")
"""
"""A whole check: reads an image, judges it against what a target needs, and prints its peak memory in KiB."""


def material(limit: int) -> list[tuple[str, int, bytes]]:
    """Return members with real content: programs and libraries of this machine, up to limit bytes."""
    members, total = [], 0
    for folder in ("/usr/lib/x86_64-linux-gnu", "/usr/bin", "/usr/sbin", "/usr/lib", "/usr/share"):
        for path in sorted(Path(folder).rglob("*")):
            if path.is_file() and not path.is_symlink() and 2_000 < path.stat().st_size < 4_000_000:
                members.append((f"usr/lib/data{path}", 0o100644, path.read_bytes()))
                total += len(members[-1][2])
                if total >= limit:
                    return members
    return members


def debian_guest(root: Path) -> bytes | None:
    """Put what a check reads of a cached Debian 12 guest below root; return its initramfs unpacked."""
    tars = sorted(debian.cache_folder().glob("debian-bookworm-????????.tar"))
    if not tars:
        return None
    wanted = ["./etc/os-release", "./usr/lib/os-release", "./boot", "./usr/lib/modules/*/modules.*"]
    root.mkdir()
    subprocess.run(["tar", "-C", root, "--wildcards", "-xf", tars[0], *wanted], check=True)
    (root / "lib").symlink_to("usr/lib")
    (root / "etc/fstab").write_text("/dev/sda1 / ext4 defaults 0 1\n")
    (initrd,) = (root / "boot").glob("initrd.img-*")
    data = initrd.read_bytes()
    return decompress.unpacked(decompress.kind_of(data), data, 1 << 30)


def image(members: list[tuple[str, int, bytes]], command: list[str]) -> bytes:
    """Return an image of these members and of an old platform's modules, compressed by the field's program."""
    own = [(name, 0o100644, data) for name, data in _own().items()]
    return subprocess.run(command, input=cpio.write([*own, *members]), stdout=subprocess.PIPE, check=True).stdout


def _own() -> dict[str, bytes]:
    files = inside(("scsi_mod", "sd_mod", "ata_piix"))
    return {name: d.encode() if isinstance(d, str) else d for name, d in files.items() if isinstance(d, (str, bytes))}


def check(root: Path) -> list[str]:
    """Return the command that checks the image below root; it fails where the image could not be judged."""
    (initrd,) = (root / "boot").glob("initrd.img-*")
    return [sys.executable, "-c", CHECK, str(root), initrd.name.removeprefix("initrd.img-"), f"/boot/{initrd.name}"]


def checked(root: Path) -> Verdict:
    """Read and judge the image again."""
    initramfs_images._scans.clear()
    return judge(DirectoryGuest(str(root)), Facts(), load_pack().targets["kvm-virtio"], BOOT)


def median(work: Callable[[], object], runs: int = RUNS) -> float:
    """Return the median wall time of some runs, in seconds, after one that warms up."""
    times = []
    for index in range(runs + 1):
        start = time.perf_counter()
        work()
        if index:
            times.append(time.perf_counter() - start)
    return statistics.median(times)


def against_lsinitramfs(table: Table, scratch: Path, members: list[tuple[str, int, bytes]]) -> None:
    real = scratch / "debian"
    plain = debian_guest(real)
    for kind, command in {"gzip": ["gzip", "-n", "-6"], "zstd": ["zstd", "-q", "-9", "-c"]}.items():
        if plain is None:
            root = guest(scratch / kind, image(members, command))
        else:
            root = real
            packed = subprocess.run(command, input=plain, stdout=subprocess.PIPE, check=True).stdout
            next((root / "boot").glob("initrd.img-*")).write_bytes(packed)
        _compare(table, root, kind)


def _compare(table: Table, root: Path, kind: str) -> None:
    (initrd,) = (root / "boot").glob("initrd.img-*")
    subprocess.run(check(root), stdout=subprocess.DEVNULL, check=True)
    commands = {
        "check": check(root),
        "report": [sys.executable, "-m", "guestfix", "report", str(root), "--target", "kvm-virtio"],
        "lsinitramfs": ["lsinitramfs", str(initrd)],
    }
    done = in_turn(commands, RUNS)
    them = done.pop("lsinitramfs")
    size = f"{initrd.stat().st_size / 1e6:.0f} MB {kind}"
    table.row(f"check of a {size} initrd / lsinitramfs", done["check"].median / them.median, 0.5)
    said = [f"   {size}: lsinitramfs {them.median:.2f} s, {them.cpu:.2f} s of the processor"]
    said += [f"{name} {one.median:.2f} s, {one.cpu:.2f} s ({one.cpu / them.cpu:.2f}x)" for name, one in done.items()]
    table.note("; ".join(said))


FLOOR = """import sys, zlib
for path in sys.argv[1:]:
    engine = zlib.decompressobj(31)
    with open(path, "rb") as file:
        while data := file.read(1 << 14):
            engine.decompress(data)
"""
"""What no report can do without: Python's start, reading images and inflating each of them once."""


def once(table: Table, scratch: Path, members: list[tuple[str, int, bytes]]) -> None:
    """A report that adds drivers has to cost little more than inflating once; several images are read at once."""
    root = guest(scratch / "once", image(members, ["gzip", "-n", "-6"]))
    (initrd,) = (root / "boot").glob("initrd.img-*")
    report = [sys.executable, "-m", "guestfix", "report", str(root), "--target", "kvm-virtio", "--format", "json"]
    done = in_turn({"floor": [sys.executable, "-c", FLOOR, str(initrd)], "report": report}, RUNS)
    cpu = done["report"].cpu / done["floor"].cpu
    table.row("report that adds drivers / inflating the gzip initrd once by zlib, CPU", cpu, 1.6)
    _copies(root, initrd, range(1, 5))
    images = [str(path) for path in (root / "boot").glob("initrd.img-*")]
    done = in_turn({"floor": [sys.executable, "-c", FLOOR, *images], "report": report}, RUNS)
    table.row("the same with five kernels, wall", done["report"].median / done["floor"].median, 1)
    then = earlier(scratch / "earlier")
    if len(os.sched_getaffinity(0)) < 2:
        then = "one processor: several images are read no faster than one by one"
    if isinstance(then, str):
        table.note(then)
        return
    _copies(root, initrd, range(5, 15))
    done = in_turn({"then": [*then, *report[3:]], "now": report}, 1)
    table.row("fifteen kernels / the engine of 2026-11-29, wall", done["now"].median / done["then"].median, 0.5)


def _copies(root: Path, initrd: Path, numbers: Iterable[int]) -> None:
    """Give the guest more kernels of the same kind, each with its initramfs."""
    for number in numbers:
        other = initrd.name.removeprefix("initrd.img-").replace("6.1.0", f"6.1.{number}")
        for name in (f"boot/initrd.img-{other}", f"boot/vmlinuz-{other}"):
            shutil.copy(root / name.replace(other, RELEASE), root / name)


def memory(table: Table, scratch: Path) -> None:
    members = material(300_000_000)
    while sum(len(data) for _, _, data in members) < 300_000_000:
        members += [(f"again/{len(members)}/{name}", mode, data) for name, mode, data in members[:500]]
    for kind, command in {"gzip": ["gzip", "-n", "-1"], "zstd": ["zstd", "-q", "-1", "-c"], "xz": ["xz", "-0"]}.items():
        root = guest(scratch / f"large-{kind}", image(members, command))
        # Through a shell: a child's peak begins with that of the process that it was forked from.
        command = ["sh", "-c", '"$@"; exit $?', "sh", *check(root)]
        told = subprocess.run(command, stdout=subprocess.PIPE, check=True).stdout
        table.row(f"peak memory for 300 MB unpacked, {kind}", int(told) / 1024, 120, " MB")
        shutil.rmtree(root)


def injection(table: Table, scratch: Path, members: list[tuple[str, int, bytes]]) -> None:
    """Adding modules has to cost little beside compressing the old part again: it is read, and read back once."""
    command = ["gzip", "-n", "-6"]
    root = guest(scratch / "inject", image(members, command))
    fs, found = DirectoryGuest(str(root)), checked(root)

    def work() -> object:
        with fs.open(found.path) as stream:
            return pack(build(fs, found), stream)

    again = median(lambda: image(members, command), 1)
    table.row("adding modules, read back / compressing the old part again", median(work, 9) / again, 0.4)
    applied = []
    for number in range(3):
        copy = scratch / f"apply{number}"
        shutil.copytree(root, copy, symlinks=True)
        arguments = ["apply", str(copy), "--target", "kvm-virtio", "--only", "initramfs/*"]
        size = (copy / BOOT.paths[0].lstrip("/")).stat().st_size
        applied.append(run_once([sys.executable, "-m", "guestfix", *arguments])[0])
        assert (copy / BOOT.paths[0].lstrip("/")).stat().st_size > size, "nothing was added"
        shutil.rmtree(copy)
    table.row("whole guestfix apply / compressing the old part again", statistics.median(applied) / again, 0.5)


def main() -> int:
    table = Table()
    if shutil.which("lsinitramfs") is None:
        table.note("lsinitramfs is not installed: nothing to compare with")
        return table.status()
    sample = cpio.write(material(3 * PACKED))
    ratio = len(sample) / len(subprocess.run(["gzip", "-6"], input=sample, stdout=subprocess.PIPE, check=True).stdout)
    with tempfile.TemporaryDirectory(prefix="guestfix-bench-") as folder:
        some = material(int(PACKED * ratio))
        against_lsinitramfs(table, Path(folder), some)
        once(table, Path(folder), some)
        injection(table, Path(folder), some)
        memory(table, Path(folder))
    return table.status()


if __name__ == "__main__":
    sys.exit(main())
