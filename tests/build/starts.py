"""A walk and what a start shows, for tests of both."""

from __future__ import annotations

from guestfix.base.record import replace
from guestfix.plan.model import SCHEMA
from guestfix.verify.model import Hardware, Mark, Seen, Start, Starts, Stop, Wire, start_out, steps_of
from guestfix.walk.model import Step, Walk

STEPS = ("firmware", "loader", "entry", "kernel", "initramfs", "root", "mounts", "network", "access")
MACHINE = Hardware("kvm-virtio", "emulation", "no KVM", "bios", False, "virtio-blk-pci", "virtio-net-pci", (), "qemu")


def walk(**outcomes: str) -> Walk:
    return Walk(tuple(Step(one, one, outcomes.get(one, "passes"), "because") for one in STEPS))


BOOTED = tuple(Mark(name, float(at)) for at, name in enumerate(["loader", "menu", "entry", "kernel", "init", "login"]))


HOSTILE = "\x1b[2J\u202e<script>|`x`\n</testsuite>"
AFTER = Seen(
    "reached", replace(MACHINE, target="aws-nitro"), 60.0, (*BOOTED, Mark("degraded", 5.5), Mark("lease", 7.0)), None,
    Wire(2, "10.0.2.15", 7.0), HOSTILE, (HOSTILE,), ("/dev/sdb1",), f"first\n{HOSTILE}\nlast line\n",
)  # fmt: skip
BEFORE = Seen("stopped", replace(MACHINE, target="aws-nitro"), 41.0, BOOTED[:3], Stop("root", "no root", HOSTILE))


def starts(plan=None) -> Starts:
    made = tuple(
        Start(state, seen, steps_of(seen, walk(network="stops"), ssh=False))
        for state, seen in (("before", BEFORE), ("after", AFTER))
    )
    own = (str(plan.guest["identity"]), plan.digest) if plan else ("0" * 64, "1" * 64)
    return Starts("image:disk.qcow2", *own, made)


def written(found: Starts) -> dict[str, object]:
    guest = {"uri": found.uri, "identity": found.identity}
    return {
        "schema": SCHEMA,
        "guest": guest,
        "plan_digest": found.plan,
        "starts": [start_out(one) for one in found.starts],
    }
