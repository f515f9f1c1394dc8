"""What the compatibility table says of one guest."""

from __future__ import annotations

from guestfix.base.facts import Evidence, Finding, evidence_list
from guestfix.base.record import frozen
from guestfix.pack.model import Row

TYPE_CHECKING = False
if TYPE_CHECKING:
    from guestfix.compat.shapes import CompatOut

STATUSES = ("supported", "deprecated", "unlisted", "unknown", "unsupported")
"""From best to worst. ``unlisted``: the system or one related to it is known, this version is not listed."""


@frozen
class KernelVerdict:
    """What the table says of one installed kernel. ``default``: the boot loader starts this one."""

    release: str
    status: str
    summary: str
    default: bool = False


@frozen
class Verdict:
    """The judgement of a guest: of its system, its architecture and the kernel that it boots by default.

    ``row`` is the table's row, as ``compat list --format json`` prints it, ``table`` the table's version.
    ``confidence`` says how sure the verdict is, ``owner`` which import service's opinion it is, and ``speaks``
    whether it counts for the target: elsewhere it is a note.
    """

    status: str
    summary: str
    row: Row | None = None
    source: str = ""
    date: str = ""
    confidence: str = "certain"
    evidence: tuple[Evidence, ...] = ()
    kernels: tuple[KernelVerdict, ...] = ()
    findings: tuple[Finding, ...] = ()
    table: str = ""
    owner: str = ""
    speaks: bool = True

    def as_json(self) -> CompatOut:
        """Return the verdict in the form that reports and plans hold; findings are listed elsewhere."""
        return {
            "status": self.status,
            "summary": self.summary,
            "row": dict(self.row) if self.row is not None else None,
            "source": self.source,
            "date": self.date,
            "confidence": self.confidence,
            "owner": self.owner,
            "speaks": self.speaks,
            "evidence": evidence_list(self.evidence),
            "kernels": [
                {"release": one.release, "status": one.status, "summary": one.summary, "default": one.default}
                for one in self.kernels
            ],
            "table": self.table,
        }


def worst(*statuses: str) -> str:
    """Return the worst of the statuses."""
    return max(statuses, key=STATUSES.index)
