"""Reading an initramfs against lsinitramfs on the same file, its peak memory, and injection against image size.

The images are built of this machine's own programs and libraries until gzip makes 36 MB of them. Both sides
of a check are whole processes: Python's start, its imports, reading the image and judging it; against them
lsinitramfs with the programs that it starts. Processor time is told beside wall time, since it says the same on
a busy machine.
"""

from __future__ import annotations

import io
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
sys.path[:0] = [str(ROOT), str(ROOT / "tests" / "bench")]

from measure import Table, in_turn, run_once  # noqa: E402

from guestfix.actions.initramfs_segment import build, pack  # noqa: E402
from guestfix.backends.directory import DirectoryGuest  # noqa: E402
from guestfix.detect import initramfs_images  # noqa: E402
from guestfix.detect.initramfs_check import Verdict, judge  # noqa: E402
from guestfix.detect.initramfs_images import Boot  # noqa: E402
from guestfix.facts import Facts  # noqa: E402
from guestfix.formats import cpio  # noqa: E402
from guestfix.pack.cache import load_pack  # noqa: E402
from tests.initramfs.builder import RELEASE, guest, inside  # noqa: E402

PACKED = 36_000_000
RUNS = 5
BOOT = Boot(RELEASE, f"/boot/vmlinuz-{RELEASE}", (f"/boot/initrd.img-{RELEASE}",), "default")
CHECK = """import sys
from guestfix.backends.directory import DirectoryGuest
from guestfix.detect.initramfs_check import judge
from guestfix.detect.initramfs_images import Boot
from guestfix.facts import Facts
from guestfix.pack.cache import load_pack
root, kernel, initrd = sys.argv[1:]
found = judge(DirectoryGuest(root), Facts(), load_pack().targets["kvm-virtio"], Boot(kernel, "", (initrd,)))
sys.exit(0 if found.judged and "virtio_blk" in found.missing else f"not judged: {found.problem or found.missing}")
"""
WHOLE = """import resource, sys
from guestfix.formats import initramfs
assert initramfs.scan(open(sys.argv[1], "rb"), lambda name: False).problem is None
print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss)
"""


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


def image(members: list[tuple[str, int, bytes]], command: list[str]) -> bytes:
    """Return an image of these members and of an old platform's modules, compressed by the field's program."""
    own = [(name, 0o100644, data) for name, data in _own().items()]
    return subprocess.run(command, input=cpio.write([*own, *members]), stdout=subprocess.PIPE, check=True).stdout


def _own() -> dict[str, bytes]:
    files = inside(("scsi_mod", "sd_mod", "ata_piix"))
    return {name: d.encode() if isinstance(d, str) else d for name, d in files.items() if isinstance(d, (str, bytes))}


def checked(root: Path) -> Verdict:
    """Read and judge the image anew."""
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
    for kind, command in {"gzip": ["gzip", "-n", "-6"], "zstd": ["zstd", "-q", "-9", "-c"]}.items():
        data = image(members, command)
        root = guest(scratch / kind, data)
        subprocess.run([sys.executable, "-c", CHECK, str(root), RELEASE, BOOT.paths[0]], check=True)
        done = in_turn(
            {
                "check": [sys.executable, "-c", CHECK, str(root), RELEASE, BOOT.paths[0]],
                "report": [sys.executable, "-m", "guestfix", "report", str(root), "--target", "kvm-virtio"],
                "lsinitramfs": ["lsinitramfs", str(root / BOOT.paths[0].lstrip("/"))],
            },
            RUNS,
        )
        them, size = done.pop("lsinitramfs"), f"{len(data) / 1e6:.0f} MB {kind}"
        table.row(f"check of a {size} initrd / lsinitramfs", done["check"].median / them.median, 0.5)
        print(f"   lsinitramfs {them.median:.2f} s, {them.cpu:.2f} s of the processor", end="")
        for name, one in done.items():
            print(f"; {name} {one.median:.2f} s, {one.cpu:.2f} s ({one.cpu / them.cpu:.2f}x)", end="")
        print(flush=True)


def memory(table: Table, scratch: Path) -> None:
    members = material(300_000_000)
    while sum(len(data) for _, _, data in members) < 300_000_000:
        members += [(f"again/{len(members)}/{name}", mode, data) for name, mode, data in members[:500]]
    for kind, command in {"gzip": ["gzip", "-n", "-1"], "zstd": ["zstd", "-q", "-1", "-c"], "xz": ["xz", "-0"]}.items():
        path = scratch / f"large.{kind}"
        path.write_bytes(image(members, command))
        # Through a shell: a child's peak begins with that of the process that it was forked from.
        command = ["sh", "-c", '"$@"; exit $?', "sh", sys.executable, "-c", WHOLE, str(path)]
        told = subprocess.run(command, stdout=subprocess.PIPE, check=True).stdout
        table.row(f"peak memory for 300 MB unpacked, {kind}", int(told) / 1024, 120, " MB")


def injection(table: Table, scratch: Path, members: list[tuple[str, int, bytes]]) -> None:
    """Building what is appended has to cost next to nothing beside compressing the old part again."""
    command = ["gzip", "-n", "-6"]
    root = guest(scratch / "inject", image(members, command))
    fs, found = DirectoryGuest(str(root)), checked(root)

    def work() -> object:
        assert found.image is not None
        return pack(found.image, build(fs, found).members(), io.BytesIO())

    again = median(lambda: image(members, command), 1)
    table.row("building what is appended / compressing the old part again", median(work, 9) / again, 0.1)
    applied = []
    for number in range(3):
        copy = scratch / f"apply{number}"
        shutil.copytree(root, copy, symlinks=True)
        arguments = ["apply", str(copy), "--target", "kvm-virtio", "--only", "initramfs/*"]
        size = (copy / BOOT.paths[0].lstrip("/")).stat().st_size
        applied.append(run_once([sys.executable, "-m", "guestfix", *arguments])[0])
        assert (copy / BOOT.paths[0].lstrip("/")).stat().st_size > size, "nothing was appended"
        shutil.rmtree(copy)
    table.row("whole guestfix apply / compressing the old part again", statistics.median(applied) / again, 0.5)


def main() -> int:
    if shutil.which("lsinitramfs") is None:
        print("lsinitramfs is not installed: nothing to compare with")
        return 0
    table = Table()
    sample = cpio.write(material(3 * PACKED))
    ratio = len(sample) / len(subprocess.run(["gzip", "-6"], input=sample, stdout=subprocess.PIPE, check=True).stdout)
    with tempfile.TemporaryDirectory(prefix="guestfix-bench-") as folder:
        some = material(int(PACKED * ratio))
        against_lsinitramfs(table, Path(folder), some)
        injection(table, Path(folder), some)
        memory(table, Path(folder))
    return table.status()


if __name__ == "__main__":
    sys.exit(main())
