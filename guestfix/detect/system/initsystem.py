"""Whether a service starts at boot: systemd, SysV, upstart, OpenRC and runit, looked up in an index made once.

Sources: systemd.unit(5) ([Install] becomes links in *.wants and *.requires), chkconfig(8) and insserv(8)
(S links in rcN.d), upstart's init(5) (``manual`` in an override file), openrc(8) (links in /etc/runlevels),
runsvdir(8) and the Void Linux handbook, section "Services" (links in a runsvdir).
"""

from __future__ import annotations

from collections.abc import Sequence

from guestfix.base.errors import GuestError
from guestfix.base.guest import GuestFS
from guestfix.base.patterns import regex
from guestfix.base.record import frozen
from guestfix.detect.files import exists, is_link, names_in, read_small

UNIT_FOLDERS = ("/etc/systemd/system", "/usr/lib/systemd/system", "/lib/systemd/system")
MOST_TARGETS, MOST_UNITS = 512, 4096
"""Targets with wanted units, and units of one of them, that are looked at; real systems have tens."""

UNIT_KINDS = (".service", ".socket", ".timer", ".path", ".mount")
"""Kinds of units that are known by name; all but the first start a service, or are one's work."""

SCRIPTS = ("/etc/init.d", "/etc/rc.d/init.d", "/etc/sv")
"""Folders of scripts of SysV and OpenRC, and of runit's services."""

RUN_LEVELS = tuple(f"/etc/runlevels/{level}" for level in ("sysinit", "boot", "default", "nonetwork"))
RUN_FOLDERS = ("/etc/runit/runsvdir/default", "/var/service")
_START = regex(r"S\d\d(.+)")
_INSTANCE = regex(r"[A-Za-z0-9:_.-]{1,200}@[A-Za-z0-9:_.\\-]{1,200}\.(?:service|socket|timer|path|mount)\Z")


@frozen
class Service:
    """``state`` is on, off, masked, or absent (nothing of it was seen); ``path`` shows it."""

    name: str
    state: str
    path: str = ""


class Services:
    """The services of a guest. Nothing is raised for what the guest holds."""

    def __init__(self, guest: GuestFS) -> None:
        self.guest = guest
        self._units: dict[str, str] = {}
        self._wanted: dict[str, str] = {}
        self._started: dict[str, str] = {}
        self._scripts: set[str] | None = None
        for folder in UNIT_FOLDERS:
            self._index_units(folder)
        for base in ("/etc/rc.d", "/etc", "/etc/init.d"):
            for level in ("rc2.d", "rc3.d", "rc5.d", "rcS.d"):
                for name in names_in(guest, f"{base}/{level}"):
                    if match := _START.match(name):
                        self._started.setdefault(match[1], f"{base}/{level}/{name}")
        for folder in (*RUN_LEVELS, *RUN_FOLDERS):
            for name in names_in(guest, folder)[:MOST_UNITS]:
                self._started.setdefault(name, f"{folder}/{name}")

    def _index_units(self, folder: str) -> None:
        names = names_in(self.guest, folder)
        for name in names:
            if name.endswith(UNIT_KINDS):
                self._units.setdefault(name, f"{folder}/{name}")
        for name in [one for one in names if one.endswith((".wants", ".requires"))][:MOST_TARGETS]:
            for unit in names_in(self.guest, f"{folder}/{name}")[:MOST_UNITS]:
                self._wanted.setdefault(unit, f"{folder}/{name}/{unit}")

    def units_of(self, name: str) -> list[Service]:
        """Return the units of a service by this name, of every kind, and a template's instances that are wanted.

        A name that ends as a unit does is that unit alone. Units that are not there are left out.
        """
        names = [name] if name.endswith(UNIT_KINDS) else [f"{name}{kind}" for kind in UNIT_KINDS]
        if name.endswith("@"):
            names += [unit for unit in self._wanted if unit.startswith(name) and _INSTANCE.match(unit)]
        known = [unit for unit in names if unit in self._units or unit in self._wanted]
        return [found for unit in known if (found := self._unit(unit)).state != "absent"]

    def script_of(self, name: str) -> Service | None:
        """Return the SysV or OpenRC script, upstart job or runit folder by this name, unless a unit is there for it."""
        if self._scripts is None:
            jobs = [one.removesuffix(".conf") for one in names_in(self.guest, "/etc/init")]
            self._scripts = {
                *jobs,
                *self._started,
                *(one for folder in SCRIPTS for one in names_in(self.guest, folder)),
            }
        return self._script(name) if name in self._scripts and not self._hidden(name) else None

    def find(self, units: Sequence[str], names: Sequence[str] = ()) -> Service:
        """Return the state of a service that goes by any of these unit names, or names of scripts and jobs."""
        found = [self._unit(unit) for unit in units]
        found += [self._script(name) for name in names if not self._hidden(name)]
        for state in ("on", "masked", "off"):
            for one in found:
                if one.state == state:
                    return one
        return Service(units[0] if units else names[0], "absent")

    def _unit(self, unit: str) -> Service:
        path = self._units.get(unit, "")
        if path and is_link(self.guest, path) and self._target(path) == "/dev/null":
            return Service(unit, "masked", path)
        if unit in self._wanted and (path or self._leads_somewhere(self._wanted[unit])):
            return Service(unit, "on", self._wanted[unit])
        return Service(unit, "off" if path else "absent", path)

    def _leads_somewhere(self, path: str) -> bool:
        """Tell whether a link in .wants is more than a leftover; in a sparse tree its unit may be missing."""
        return exists(self.guest, path) or not names_in(self.guest, UNIT_FOLDERS[1])

    def _target(self, path: str) -> str:
        try:
            return self.guest.readlink(path)
        except GuestError:
            return ""

    def _hidden(self, name: str) -> bool:
        """Tell whether systemd starts a unit instead of the script of its name, enabled or not, masked or not.

        systemd-sysv-generator(8): a native unit wins, and links in rcN.d do not count then.
        """
        path = self._units.get(f"{name}.service", "")
        masked = bool(path) and is_link(self.guest, path) and self._target(path) == "/dev/null"
        return masked or (bool(path) and self._target("/sbin/init").endswith("/systemd"))

    def _script(self, name: str) -> Service:
        job = f"/etc/init/{name}.conf"
        if exists(self.guest, job):
            override = read_small(self.guest, f"/etc/init/{name}.override") or b""
            manual = any(line.strip() == b"manual" for line in override.splitlines())
            return Service(name, "off" if manual else "on", job)
        if name in self._started:
            return Service(name, "on", self._started[name])
        for folder in SCRIPTS:
            if exists(self.guest, f"{folder}/{name}"):
                return Service(name, "off", f"{folder}/{name}")
        return Service(name, "absent")
