"""Step 9: somebody can log in: over SSH, to an account that it lets in, or on the serial port."""

from __future__ import annotations

from collections.abc import Iterable

from guestfix.base.catalog.facts.boot import BOOT_DEFAULT
from guestfix.base.catalog.facts.system import (
    FIREWALL_ACTIVE,
    FIREWALL_SSH,
    SSH_ENABLED,
    SSH_INSTALLED,
    SSH_LOGINS,
    SSH_PORTS,
    SSH_SERVICE,
)
from guestfix.base.facts import Evidence, Finding
from guestfix.base.record import replace
from guestfix.detect.system.console import hides_console, login_on, root_refused, tells_gettys
from guestfix.detect.system.initsystem import Services
from guestfix.formats.network.firewall import CLOSED
from guestfix.walk.scene import Ground, Look, Scene, entry_place, is_whole, passes, unknown


def ground(scene: Scene) -> Ground:
    """Tell by which way an administrator comes in."""
    seen = scene.facts.evidence(SSH_SERVICE)
    if not scene.facts.value(SSH_INSTALLED):
        login = _login(scene) if is_whole(scene) else None
        if login is not None:
            return passes(f"there is no SSH server; a login on the serial port of {scene.target.id} is there", login)
        return unknown("no SSH server is to be seen")
    if not scene.facts.value(SSH_ENABLED):
        return unknown("that the SSH server starts at boot is not to be seen", *seen)
    firewall = scene.facts.value(FIREWALL_SSH, "unknown")
    if firewall != "open":
        return unknown(f"the guest's firewall: SSH is {firewall}", *scene.facts.evidence(FIREWALL_SSH))
    names = scene.facts.value(SSH_LOGINS) or ()
    who = f"{', '.join(names[:3])} may log in" if names else "who may log in is not to be seen"
    return passes(f"the SSH server starts at boot; {who}", *seen)


def check(scene: Scene) -> Iterable[Finding]:
    """Find a firewall that shuts SSH out only as planned, and a serial port of the target that nobody logs in on."""
    told = any(one.code == "GF-SSH-FIREWALL" for one in scene.findings)
    if scene.facts.value(FIREWALL_SSH) == CLOSED and not told:
        names = ", ".join(scene.facts.value(FIREWALL_ACTIVE) or ())
        port = (scene.facts.value(SSH_PORTS) or [22])[0]
        summary = f"with this plan the guest's firewall ({names}) does not let SSH in (TCP port {port})"
        remedy = "allow SSH whatever the interface is called, or keep names with --policy network=dhcp-first"
        seen = scene.facts.evidence(FIREWALL_SSH)
        yield Finding("GF-SSH-FIREWALL", "warning", summary, seen, remedy, outcome="unknown")
    yield from _nobody(scene)
    yield from _console(scene)


def _nobody(scene: Scene) -> Iterable[Finding]:
    """A whole guest whose SSH server does not start, or that has none and no login on the serial port either.

    What detectors warn of is told again with what it means for the boot.
    """
    told = [one for one in scene.findings if one.code in ("GF-SSH-MISSING", "GF-SSH-DISABLED")]
    if not told or not is_whole(scene) or ground(scene).outcome == "passes":
        return
    yield replace(told[0], outcome="stops")


def _login(scene: Scene) -> Evidence | None:
    """Return what starts a login on the target's serial port; None where it has none, or nothing does."""
    port, entry = scene.target.console.partition(",")[0], scene.facts.value(BOOT_DEFAULT)
    return login_on(scene.guest, Services(scene.guest), port, tuple(entry.args)) if port and entry else None


def _console(scene: Scene) -> Iterable[Finding]:
    port, entry = scene.target.console.partition(",")[0], scene.facts.value(BOOT_DEFAULT)
    if not port or entry is None or not tells_gettys(scene.guest):
        return
    found = login_on(scene.guest, Services(scene.guest), port, tuple(entry.args))
    if found is None:
        summary = f"nobody can log in on {port}, the serial port of {scene.target.id}"
        remedy = f"enable serial-getty@{port}, or a getty for {port} in /etc/inittab, for a way in without the network"
        yield Finding("GF-CONSOLE-NO-LOGIN", "info", summary, (entry_place(entry),), remedy)
    elif (why := root_refused(scene.guest, port)) is not None:
        summary = f"root may not log in on {port}, the serial port of {scene.target.id}"
        places = (Evidence("/etc/securetty", 0, f"no {port}"), why)
        yield Finding("GF-CONSOLE-NO-ROOT", "info", summary, places, f"add {port} to /etc/securetty")
    if (hidden := hides_console(scene.guest, entry.args)) is not None:
        what, seen = hidden
        yield Finding(
            "GF-CONSOLE-HIDDEN", "info", f"{what}, and {port} is all there is to look at", (seen or entry_place(entry),)
        )


LOOK = Look("access", "an administrator can log in", ground, check)
