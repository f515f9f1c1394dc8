"""Detectors: each learns facts from a guest and says where it saw them.

A detector is ``detect(guest: GuestFS, facts: Facts, target: Target) -> list[Finding]``. It sees the facts
of those before it in ``DETECTORS``, never raises for what a guest holds (an unreadable file becomes an
Unknown fact or a finding), and reads no more than it needs.
"""

from __future__ import annotations

import importlib

from guestfix.base.facts import Facts, Finding
from guestfix.base.guest import GuestFS
from guestfix.pack.model import Target

DETECTORS: dict[str, str] = {
    "system.backend": "",
    "system.os": "",
    "storage.disks": "",
    "storage.fstab": "linux",
    "storage.mountunits": "linux",
    "boot.loaders": "linux",
    "boot.kernels": "linux",
    "network.stacks": "linux",
    "services.access": "linux",
    "initramfs.images": "linux",
    "windows.detector": "windows",
    "limits.checks": "",
}
"""In this order: the module's name, and the family that it is for (those for another are not even loaded)."""


def detect_all(guest: GuestFS, facts: Facts, target: Target) -> list[Finding]:
    """Run every detector in order; facts then holds all that is known."""
    found: list[Finding] = []
    for name, family in DETECTORS.items():
        if family and facts.value("os.family", family) != family:
            continue
        module = importlib.import_module(f"guestfix.detect.{name}")
        found += module.detect(guest, facts, target)
    return found
