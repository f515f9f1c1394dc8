"""Findings that the administrator accepts: blockers with these codes forbid nothing."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from fnmatch import fnmatchcase

from guestfix.base.catalog.findings import FINDINGS, RENAMED
from guestfix.base.errors import UsageError
from guestfix.base.facts import Evidence, Finding
from guestfix.base.nearest import did_you_mean
from guestfix.base.record import replace


def check_accepted(patterns: Iterable[str]) -> None:
    """Raise UsageError where a code or glob is that of no finding, of today or of old."""
    for pattern in patterns:
        if not any(fnmatchcase(code, pattern) for code in (*FINDINGS, *RENAMED)):
            remedy = did_you_mean(pattern, FINDINGS) or "see all of them with: guestfix list findings"
            raise UsageError(f"no finding has the code {pattern!r}", remedy=remedy)


def accepted(findings: Iterable[Finding], patterns: Sequence[str]) -> list[Finding]:
    """Return the findings with the accepted blockers as warnings, and a note for each code that was renamed."""
    if not patterns:
        return list(findings)
    codes = {code for code in FINDINGS if _any(code, patterns)}
    codes |= {new for old, new in RENAMED.items() if _any(old, patterns)}
    told = [
        replace(one, severity="warning", summary=f"{one.summary} (accepted)")
        if one.severity == "blocker" and one.code in codes
        else one
        for one in findings
    ]
    return told + [_renamed(one) for one in patterns if one in RENAMED]


def _any(code: str, patterns: Iterable[str]) -> bool:
    return any(fnmatchcase(code, pattern) for pattern in patterns)


def _renamed(code: str) -> Finding:
    summary = f"the finding {code} is called {RENAMED[code]} now; --accept takes both names"
    return Finding("GF-ACCEPT-RENAMED", "info", summary, (Evidence("--accept", 0, code),), f"write {RENAMED[code]}")
