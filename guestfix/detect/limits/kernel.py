"""Limits of kernels: one that is custom, for Xen only, not the one that ran, or not there at all."""

from __future__ import annotations

from collections.abc import Iterator

from guestfix.base.catalog.facts.system import (
    KERNEL_CUSTOM,
    KERNEL_DEFAULT,
    KERNEL_LAST_BOOTED,
    KERNEL_RELEASES,
    KERNELS,
    OS_FAMILY,
    SYSTEM_DOM0,
)
from guestfix.base.facts import Evidence, Facts, Finding
from guestfix.base.guest import GuestFS
from guestfix.base.patterns import regex
from guestfix.detect.files import names_in
from guestfix.detect.system.programs import Programs
from guestfix.pack.model import Target

_XEN = regex(r"(?:el5|[-.])xen\Z")


def check(guest: GuestFS, facts: Facts, target: Target) -> list[Finding]:
    """Report what is odd about the kernel that boots by default."""
    if facts.value(OS_FAMILY) != "linux":
        return []
    return [*_none(guest, facts), *_custom(facts), *_xen(facts), *_other(facts), *_absent(facts)]


def _none(guest: GuestFS, facts: Facts) -> Iterator[Finding]:
    if facts.value(KERNELS) == [] and Programs(guest).complete:
        here = ", ".join(names_in(guest, "/boot")[:8]) or "nothing"
        yield Finding(
            "GF-KERNEL-NONE",
            "warning",
            "no kernel is installed in this tree",
            (Evidence("/boot", 0, f"holds {here}"), Evidence("/lib/modules")),
            "mount the guest's /boot below its root first; the tree of a container can't be booted at all",
        )


def _custom(facts: Facts) -> Iterator[Finding]:
    default = facts.value(KERNEL_DEFAULT)
    if default and default in (facts.value(KERNEL_CUSTOM) or ()):
        yield Finding(
            "GF-KERNEL-CUSTOM",
            "warning",
            f"the default kernel {default} is not one of the distribution's own",
            facts.evidence(KERNEL_DEFAULT),
            "see that it has the target's drivers built, or make one of the distribution's kernels the default",
        )


def _xen(facts: Facts) -> Iterator[Finding]:
    default = facts.value(KERNEL_DEFAULT)
    if default and _XEN.search(str(default)) and not facts.value(SYSTEM_DOM0):
        others = [one for one in facts.value(KERNEL_RELEASES) or () if not _XEN.search(one)]
        yield Finding(
            "GF-KERNEL-XEN",
            "warning" if others else "blocker",
            f"the default kernel {default} boots on Xen paravirtualisation only",
            facts.evidence(KERNEL_DEFAULT),
            f"make {others[-1]} the default kernel" if others else "install the distribution's ordinary kernel first",
        )


def _other(facts: Facts) -> Iterator[Finding]:
    default, last = facts.value(KERNEL_DEFAULT), facts.value(KERNEL_LAST_BOOTED)
    if default and last and default != last:
        there = last in (facts.value(KERNEL_RELEASES) or ())
        yield Finding(
            "GF-KERNEL-NOT-LAST-BOOTED",
            "info",
            f"the kernel that starts next, {default}, is not the one that ran last, {last}"
            + ("" if there else ", which is no longer installed"),
            (*facts.evidence(KERNEL_DEFAULT), *facts.evidence(KERNEL_LAST_BOOTED)),
            "restart the guest before the migration, so that a fault of the newer kernel shows there",
        )


def _absent(facts: Facts) -> Iterator[Finding]:
    """The default entry names an image that isn't there, while others are (else /boot is just not in view)."""
    kernels = facts.value(KERNELS) or []
    default = facts.value(KERNEL_DEFAULT)
    images = [one.release for one in kernels if one.image]
    if default and images and default not in images:
        yield Finding(
            "GF-KERNEL-IMAGE-MISSING",
            "warning",
            f"the default boot entry starts kernel {default}, whose image is not in the guest",
            facts.evidence(KERNEL_DEFAULT),
            f"make {images[-1]} the default kernel, or install {default} again",
        )
