"""Whether somebody can log in on a serial port: a getty of systemd, SysV's inittab, upstart or OpenRC.

Sources: systemd-getty-generator(8) (a getty on each ``console=`` of the kernel), inittab(5), init(5) of upstart with
RHEL 6's start-ttyS.conf and serial.conf, OpenRC's agetty service, securetty(5).
"""

from __future__ import annotations

import re
from collections.abc import Sequence

from guestfix.base.facts import Evidence
from guestfix.base.guest import GuestFS
from guestfix.base.patterns import regex
from guestfix.detect.files import exists, is_link, lines_of, names_in, read_small
from guestfix.detect.system.initsystem import UNIT_FOLDERS, Services

INITTAB = "/etc/inittab"
_GETTY = regex(r"[^:#]*:[^:]*:(?:respawn|ondemand|askfirst)?:(.*)\Z")
_RUNLEVEL_5 = regex(r"[^:#]{1,8}:5:initdefault:")
_SCREENS = ("/usr/bin/Xorg", "/usr/bin/X", "/usr/X11R6/bin/X")
_PROGRAM = regex(r"getty|mingetty|login|/sh\b|askfirst")
_GENERATOR = "lib/systemd/system-generators/systemd-getty-generator"
_BY_CONSOLE = ("/etc/init/serial.conf", "/etc/init/start-ttyS.conf", f"/usr/{_GENERATOR}", f"/{_GENERATOR}")
"""What starts a getty on the ports that the kernel uses as its consoles."""


def login_on(guest: GuestFS, services: Services, port: str, args: Sequence[str]) -> Evidence | None:
    """Return what starts a getty on this port (``ttyS0``), or None; ``args`` are those of the kernel that boots."""
    units = [f"{name}@{port}.service" for name in ("serial-getty", "getty", "agetty", "autovt")]
    masked = any(_is_masked(guest, unit) for unit in units[:1])
    found = services.find(units, (f"agetty.{port}", port))
    if found.state == "on":
        return Evidence(found.path)
    consoles = {arg.partition("=")[2].partition(",")[0] for arg in args if arg.startswith("console=")}
    auto = "systemd.getty_auto=no" not in args and not masked
    if port in consoles and auto:
        for path in _BY_CONSOLE:
            if exists(guest, path):
                return Evidence(path, 0, f"console={port}")
    return _in_inittab(guest, port)


def _is_masked(guest: GuestFS, unit: str) -> bool:
    return is_link(guest, f"{UNIT_FOLDERS[0]}/{unit}")


def hides_console(guest: GuestFS, args: Sequence[str]) -> tuple[str, Evidence | None] | None:
    """Return what keeps the boot from being seen on a serial port, and where; no place where it is an argument."""
    if "plymouth.ignore-serial-consoles" in args:
        return "plymouth shows nothing on serial ports", None
    seen = _desktop(guest)
    return (f"the system starts a desktop ({seen.text})", seen) if seen is not None else None


def _desktop(guest: GuestFS) -> Evidence | None:
    """Return by what a login screen starts; a graphical.target with no display manager starts none."""
    if any(is_link(guest, one) or exists(guest, one) for one in (f"{x}/display-manager.service" for x in UNIT_FOLDERS)):
        for path in (f"{one}/default.target" for one in UNIT_FOLDERS):
            if is_link(guest, path):
                goal = guest.readlink(path)
                graphical = goal.rpartition("/")[2] == "graphical.target"
                return Evidence(path, 0, "graphical.target") if graphical else None
    if any(exists(guest, one) for one in _SCREENS):
        for number, line in lines_of(read_small(guest, INITTAB) or b""):
            if _RUNLEVEL_5.match(line):
                return Evidence(INITTAB, number, line[:200])
    return None


def _in_inittab(guest: GuestFS, port: str) -> Evidence | None:
    for number, line in lines_of(read_small(guest, INITTAB) or b""):
        found = _GETTY.match(line)
        if (
            found
            and _PROGRAM.search(found[1])
            and (re.search(rf"\b{re.escape(port)}\b", found[1]) or line.startswith(f"{port}:"))
        ):
            return Evidence(INITTAB, number, line[:200])
    return None


def tells_gettys(guest: GuestFS) -> bool:
    """Tell whether the tree shows what starts gettys at all."""
    units = any("getty@.service" in names_in(guest, folder) for folder in UNIT_FOLDERS[1:])
    return units or exists(guest, INITTAB) or bool(names_in(guest, "/etc/init"))


def root_refused(guest: GuestFS, port: str) -> Evidence | None:
    """Return where root is kept from logging in on this port: pam_securetty with an /etc/securetty without it."""
    listed = read_small(guest, "/etc/securetty")
    if listed is None or any(line.split()[0] == port for _, line in lines_of(listed)):
        return None
    for number, line in lines_of(read_small(guest, "/etc/pam.d/login") or b""):
        if regex(r"-?auth\b.*\bpam_securetty\.so").match(line) and "noconsole" not in line:
            return Evidence("/etc/pam.d/login", number, line[:200])
    return None
