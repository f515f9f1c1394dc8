"""Detection of system, kernels, services and limits, and the verdict, on a guest with ten kernels.

What it adds to a report is measured in processes of its own, imports included, as CPU time, which other work on
the machine disturbs least; beside it the ratio to the wall time of `python -c pass`.
"""

import os
import statistics
import subprocess
import sys
import tempfile
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
sys.path[:0] = [str(ROOT), str(ROOT / "tests" / "bench")]

from measure import PASS, Table, run_once  # noqa: E402

from tests.build.systems import release_files  # noqa: E402
from tests.build.tree import build, bzimage, elf  # noqa: E402

RUNS = 11
ADDED = """import sys, time
from guestfix.backends.directory import DirectoryGuest
from guestfix.pack.cache import load_pack
from guestfix.base.facts import Facts
from guestfix.detect.boot import loaders
from guestfix.detect.storage import disks, fstab
pack, guest, facts = load_pack(), DirectoryGuest(sys.argv[1]), Facts()
target = pack.targets[pack.default_target]
start = time.process_time()
from guestfix.detect.boot import kernels
from guestfix.detect.limits import checks
from guestfix.detect.services import access
from guestfix.detect.system import os
from guestfix.compat import judge
os.detect(guest, facts, pack.systems)
added = time.process_time() - start
for other in (disks, fstab, loaders):
    other.detect(guest, facts, target)
start = time.process_time()
for own in (kernels, access, checks):
    own.detect(guest, facts, target)
assert len(facts.value("kernels")) == 10
assert judge(pack.systems, facts).status == "supported"
print(added + time.process_time() - start)
"""


def guest(root: Path) -> Path:
    """Build RHEL 9 with ten kernels, images and initramfs as large as real ones."""
    files: dict[str, object] = {**release_files("rhel", "9.4"), "bin/sh": elf()}
    for build_number in range(400, 410):
        release = f"5.14.0-{build_number}.el9.x86_64"
        files[f"boot/vmlinuz-{release}"] = bzimage(release) + bytes(11_000_000)
        files[f"boot/initramfs-{release}.img"] = bytes(1_000_000)
        files[f"lib/modules/{release}/modules.dep"] = ""
    files |= {f"usr/bin/program{number}": "" for number in range(1500)}
    files |= {f"usr/lib/systemd/system/unit{number}.service": "" for number in range(300)}
    return build(root, files)


def main() -> int:
    table = Table()
    with tempfile.TemporaryDirectory() as scratch:
        os.environ |= {"PYTHONDONTWRITEBYTECODE": "", "PYTHONPYCACHEPREFIX": str(Path(scratch) / "cache")}
        root = guest(Path(scratch) / "guest")
        added, base = [], []
        for index in range(RUNS + 1):
            out = subprocess.run([sys.executable, "-c", ADDED, str(root)], cwd=ROOT, capture_output=True, check=True)
            wall = run_once(PASS)[0]
            if index:
                added.append(float(out.stdout))
                base.append(wall)
    milliseconds = statistics.median(added) * 1000
    table.row("detection and verdict add to a report, ms of CPU", milliseconds, 20, "m")
    table.row("the same against python -c pass", statistics.median(added) / statistics.median(base), 2)
    return table.status()


if __name__ == "__main__":
    sys.exit(main())
