"""What a layout tells of, as findings: apart, for the table of findings is no use in the machine that writes."""

from __future__ import annotations

from guestfix.base.facts import Evidence, Finding

TABLE_REMEDY = "compare the disk with the old platform's, and copy it again where it differs"


def order_findings(disorder: str) -> tuple[Finding, ...]:
    """Return a blocker where the disks are in another order than the guest knew them: every name would mislead."""
    if not disorder:
        return ()
    return (Finding("GF-DISK-ORDER", "blocker", disorder, (Evidence("/etc/fstab"),)),)


def table_finding(problem: str) -> Finding:
    """Return the finding for a damaged partition table or volume group."""
    return Finding("GF-DISK-TABLE", "warning", problem, (Evidence("disks", 0, problem),), TABLE_REMEDY)
