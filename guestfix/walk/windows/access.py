"""Step 10: somebody can log in from afar."""

from __future__ import annotations

from guestfix.base.catalog.facts.windows import WINDOWS_REMOTE_ACCESS
from guestfix.walk.scene import Ground, Look, Scene, nothing, passes, unknown

TITLES = {"rdp": "Remote Desktop", "winrm": "WinRM", "ssh": "OpenSSH"}


def ground(scene: Scene) -> Ground:
    """Tell by which way an administrator comes in."""
    ways = scene.facts.value(WINDOWS_REMOTE_ACCESS, [])
    seen = scene.facts.evidence(WINDOWS_REMOTE_ACCESS)
    if not ways:
        return unknown("neither Remote Desktop, WinRM nor OpenSSH is seen to let anybody in", *seen)
    return passes(f"administrators come in by {', '.join(TITLES[one] for one in ways if one in TITLES)}", *seen)


LOOK = Look("access", "an administrator can log in", ground, nothing)
