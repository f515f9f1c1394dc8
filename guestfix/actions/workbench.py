"""What an action is given: the guest with all changes so far, what is known of it, and a place for notes."""

from __future__ import annotations

from collections.abc import Mapping

from guestfix.base.edit import Note
from guestfix.base.facts import Evidence, Facts, Finding
from guestfix.base.overlay import Overlay
from guestfix.base.record import field, mutable
from guestfix.base.secrets import masked
from guestfix.pack.model import Target


@mutable
class Workbench:
    """The context of one action step. Change files through ``fs``; say things through the methods."""

    fs: Overlay
    facts: Facts
    target: Target
    policy: Mapping[str, str] = field(default_factory=dict)
    findings: list[Finding] = field(default_factory=list)
    follow_ups: list[str] = field(default_factory=list)
    rule: str = ""

    def find(self, code: str, severity: str, summary: str, *evidence: Evidence, remedy: str = "") -> None:
        """Record a finding of the rule at work."""
        self.findings.append(Finding(code, severity, summary, tuple(evidence), remedy, self.rule))

    def follow_up(self, text: str) -> None:
        """Record something that the administrator should do after the migration."""
        text = masked(text)
        if text not in self.follow_ups:
            self.follow_ups.append(text)

    def note(self, note: Note, path: str) -> None:
        """Record an editor's note about the file at path."""
        if note.level == "follow_up":
            self.follow_up(note.summary)
        else:
            self.find(note.code, note.level, note.summary, Evidence(path, note.line, note.text), remedy=note.remedy)
