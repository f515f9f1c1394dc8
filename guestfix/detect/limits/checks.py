"""What stands in the way of a guest, or of reaching it, after a move, apart from what a rule changes.

These are the limits that import services refuse a guest for, judged one by one from the facts of the
detectors before this one. Each is a finding with a stable code; docs/limits.md lists them.
"""

from __future__ import annotations

from collections.abc import Callable

from guestfix.base.catalog.facts.system import OS_FAMILY
from guestfix.base.facts import Facts, Finding
from guestfix.base.guest import GuestFS
from guestfix.detect.limits import (
    access as limits_access,
)
from guestfix.detect.limits import (
    boot as limits_boot,
)
from guestfix.detect.limits import (
    disks as limits_disks,
)
from guestfix.detect.limits import (
    firmware as limits_firmware,
)
from guestfix.detect.limits import (
    journal as limits_journal,
)
from guestfix.detect.limits import (
    kernel as limits_kernel,
)
from guestfix.detect.limits import (
    roots as limits_roots,
)
from guestfix.detect.limits import (
    space as limits_space,
)
from guestfix.detect.limits import (
    target as limits_target,
)
from guestfix.pack.model import Target

CHECKS: tuple[Callable[[GuestFS, Facts, Target], list[Finding]], ...] = (
    limits_roots.check,
    limits_disks.check,
    limits_firmware.check,
    limits_boot.check,
    limits_boot.check_initramfs,
    limits_kernel.check,
    limits_access.check,
    limits_space.check,
    limits_journal.check,
    limits_target.check,
)


def detect(guest: GuestFS, facts: Facts, target: Target) -> list[Finding]:
    """Return the findings; no fact is recorded."""
    if facts.value(OS_FAMILY) not in ("linux", "windows"):
        return []
    return [finding for check in CHECKS for finding in check(guest, facts, target)]
