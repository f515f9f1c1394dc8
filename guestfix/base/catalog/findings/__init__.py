"""The table of findings: every code there is, what it means and what to do about it."""

from __future__ import annotations

from guestfix.base.catalog.findings.boot import BOOT
from guestfix.base.catalog.findings.initramfs import INITRAMFS
from guestfix.base.catalog.findings.kind import SEVERITIES, STAGES, Kind
from guestfix.base.catalog.findings.network import NETWORK
from guestfix.base.catalog.findings.run import RUN
from guestfix.base.catalog.findings.software import SOFTWARE
from guestfix.base.catalog.findings.storage import STORAGE
from guestfix.base.catalog.findings.system import SYSTEM
from guestfix.base.catalog.findings.windows import WINDOWS

__all__ = ["FINDINGS", "RENAMED", "SEVERITIES", "STAGES", "Kind", "kind_of"]

FINDINGS: dict[str, Kind] = dict(
    sorted({**BOOT, **INITRAMFS, **NETWORK, **RUN, **SOFTWARE, **STORAGE, **SYSTEM, **WINDOWS}.items())
)
"""By code. A finding of another code, or with a severity that its row does not have, can't be made."""

RENAMED = {
    "GF-DISKS-UUID-TWICE": "GF-DISK-UUID-TWICE",
    "GF-EFI-FALLBACK-MISSING": "GF-BOOT-NO-FALLBACK",
    "GF-WINDOWS-BITLOCKER": "GF-DISK-BITLOCKER",
    "GF-WINDOWS-DYNAMIC-DISK": "GF-DISK-DYNAMIC",
    "GF-WINDOWS-FIRMWARE": "GF-BOOT-FIRMWARE",
    "GF-WINDOWS-HIBERNATED": "GF-DISK-HIBERNATED",
    "GF-WINDOWS-SEVERAL": "GF-OS-SEVERAL-ROOTS",
    "GF-WINDOWS-STATIC-DNS": "GF-NETWORK-RESOLV-FIXED",
    "GF-WINDOWS-STATIC-REPLACED": "GF-NETWORK-STATIC-LOST",
    "GF-WINDOWS-VOLUME-DIRTY": "GF-DISK-UNCLEAN-FILESYSTEM",
}
"""Codes of old, with what they are called now."""


def kind_of(code: str) -> Kind:
    """Return the row of a code, also by a name of old. Raises ValueError where there is none."""
    kind = FINDINGS.get(RENAMED.get(code, code))
    if kind is None:
        raise ValueError(f"the table of findings has no code {code!r}")
    return kind
