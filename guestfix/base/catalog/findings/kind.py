"""What the table of findings says of one code."""

from __future__ import annotations

from guestfix.base.record import frozen

SEVERITIES = ("info", "warning", "blocker")
"""From the mildest to the one that forbids apply."""

STAGES = (
    "disks", "system",
    "firmware", "loader", "entry", "kernel", "registry", "initramfs", "drivers", "root", "mounts", "setup",
    "network", "access",
    "services", "rules", "run",
)  # fmt: skip
"""What a finding is about: the disks, the system, a step of its boot (:mod:`guestfix.walk`), what
else runs in it, the rules, or the run."""


@frozen
class Kind:
    """One code: the stage it is about, the severities it is found with (worst first), its meaning, what to do.

    ``remedy`` is what a finding says that has none of its own.
    """

    stage: str
    severity: str
    meaning: str
    remedy: str

    @property
    def severities(self) -> tuple[str, ...]:
        """The severities that the table allows."""
        return tuple(self.severity.split())

    @property
    def may_stop(self) -> bool:
        """Whether a finding may end the boot: what does so in a plan blocks, save that nobody can log in."""
        return "blocker" in self.severities or self.stage == "access"

    def allows(self, severity: str) -> bool:
        """Tell whether a finding may have this severity; one that is settled or accepted blocks no more."""
        return severity in self.severities or (severity == "warning" and "blocker" in self.severities)
