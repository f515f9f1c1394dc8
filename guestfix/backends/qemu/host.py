"""What of the host the backend ``qemu`` starts: QEMU's program and machine, and the kernel."""

from __future__ import annotations

import os

from guestfix.backends.qemu.kernel import Kernel, choose
from guestfix.backends.status import find_program

KERNEL = "GUESTFIX_KERNEL"
"""The environment variable that names the kernel to start; ``--kernel`` sets it."""

MACHINES = {"x86_64": ("q35", "ttyS0"), "aarch64": ("virt", "ttyAMA0")}
"""QEMU's machine by the host's processor, and its console."""


def program_name() -> str:
    """Return QEMU's program for this host's processor."""
    return f"qemu-system-{os.uname().machine}"


def find_qemu() -> str | None:
    """Return QEMU's program, also where RHEL keeps it, which has no other name for it."""
    own = "/usr/libexec/qemu-kvm"
    return find_program(program_name()) or (own if os.access(own, os.X_OK) else None)


def chosen_kernel(*, rare: bool) -> Kernel:
    """Return the kernel that the operator named, else the host's: see choose()."""
    return choose(os.environ.get(KERNEL, ""), rare=rare)
