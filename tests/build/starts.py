"""A walk and what a start shows, for tests of both."""

from __future__ import annotations

from guestfix.verify.model import Hardware, Mark
from guestfix.walk.model import Step, Walk

STEPS = ("firmware", "loader", "entry", "kernel", "initramfs", "root", "mounts", "network", "access")
MACHINE = Hardware("kvm-virtio", "emulation", "no KVM", "bios", False, "virtio-blk-pci", "virtio-net-pci", (), "qemu")


def walk(**outcomes: str) -> Walk:
    return Walk(tuple(Step(one, one, outcomes.get(one, "passes"), "because") for one in STEPS))


BOOTED = tuple(Mark(name, float(at)) for at, name in enumerate(["loader", "menu", "entry", "kernel", "init", "login"]))
