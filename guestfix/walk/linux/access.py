"""Step 9: somebody can log in: an SSH server that is on and let through, with an account that has a key."""

from __future__ import annotations

from guestfix.base.catalog.facts.system import FIREWALL_SSH, SSH_ENABLED, SSH_INSTALLED, SSH_SERVICE, USERS_WITH_KEY
from guestfix.walk.scene import Ground, Look, Scene, nothing, passes, unknown


def ground(scene: Scene) -> Ground:
    """Tell by which way an administrator comes in."""
    seen = scene.facts.evidence(SSH_SERVICE)
    if not scene.facts.value(SSH_INSTALLED):
        return unknown("no SSH server is to be seen")
    if scene.facts.value(SSH_ENABLED) is None:
        return unknown("whether the SSH server starts at boot is not to be seen", *seen)
    firewall = scene.facts.value(FIREWALL_SSH, "unknown")
    if firewall != "open":
        return unknown(f"the guest's firewall: SSH is {firewall}", *scene.facts.evidence(FIREWALL_SSH))
    keys = scene.facts.value(USERS_WITH_KEY) or ()
    who = f"{', '.join(keys[:3])} may log in with a key" if keys else "no account with a key is to be seen"
    return passes(f"the SSH server starts at boot; {who}", *seen)


LOOK = Look("access", "an administrator can log in", ground, nothing)
