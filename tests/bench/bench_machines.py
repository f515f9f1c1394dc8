"""The machines that write to disk images, from the start to a checked disk: which of them is fastest on this host.

`guestfix backends` goes by the order that this shows: QEMU with KVM before User-mode Linux before QEMU emulated.
"""

import sys
import tempfile
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
sys.path[:0] = [str(ROOT), str(ROOT / "tests" / "bench")]

from measure import Table, in_turn  # noqa: E402

from guestfix.backends.status import fast_qemu, usable  # noqa: E402
from tests.build.uml_guests import FSTAB, ext4_image, make_tree  # noqa: E402

RUNS = 3
USED = """import sys
from guestfix.backends import open_guest
from guestfix.base.guest import Meta
guest = open_guest(sys.argv[1])
guest.put("/etc/new", [bytes(1000)], Meta(0o644))
assert all(one.clean for one in guest.check())
guest.close()
"""


def main() -> int:
    table = Table()
    names = [name for name in ("uml", "qemu") if usable(name)]
    with tempfile.TemporaryDirectory() as scratch:
        image = ext4_image(make_tree(Path(scratch) / "root", FSTAB), Path(scratch))
        found = in_turn({name: [sys.executable, "-c", USED, f"{name}:{image}"] for name in names}, RUNS)
    for name in names:
        table.plain(f"open, write to, check a small ext4 disk through {name}", found[name].median, " s")
        table.plain(f"the same, of the processor, {name}", found[name].cpu, " s")
    if len(names) == 2:
        kvm = fast_qemu()
        table.note(f"QEMU runs {'by KVM' if kvm else 'emulated'}")
        table.row("qemu / uml", found["qemu"].median / found["uml"].median, 1 if kvm else 12)
    return table.status()


if __name__ == "__main__":
    sys.exit(main())
