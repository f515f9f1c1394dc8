"""A login on the target's serial port, and none on ports that only the old platform had.

Sources: systemd-getty-generator(8), inittab(5), init(5) of upstart, OpenRC's agetty, securetty(5).
"""

from __future__ import annotations

from collections.abc import Iterator

from guestfix.actions.system import services, units
from guestfix.actions.workbench import Workbench
from guestfix.base.catalog.facts.boot import BOOT_DEFAULT
from guestfix.base.edit import Link
from guestfix.base.patterns import regex
from guestfix.detect.files import exists, is_link, names_in, real_path
from guestfix.detect.system.console import INITTAB, login_on, root_refused, tells_gettys
from guestfix.detect.system.initsystem import Services
from guestfix.detect.system.programs import Programs
from guestfix.editors.system.inittab import serial_login, speed_of
from guestfix.editors.system.text import ensure_line

SECURETTY = "/etc/securetty"
XEN_PORTS, SERIAL_PORTS = ("hvc", "xvc"), ("ttyS", "ttyAMA")
_STARTED = regex(r"(?:serial-getty|getty|agetty)@(?P<port>(?:hvc|xvc|ttyS|ttyAMA)[0-9]{1,2})\.service\Z")
_JOB = regex(r"(?:agetty\.)?(?P<port>(?:hvc|xvc|ttyS|ttyAMA)[0-9]{1,2})(?:\.conf)?\Z")
_UPSTART = """\
# Written by guestfix.
start on stopped rc RUNLEVEL=[2345]
stop on runlevel [!2345]
respawn
exec {program} -L {speed} {port} vt100
"""


def serial_logins(bench: Workbench, *, console: str) -> None:
    """Make a getty run on the port of this console, if it is a serial one, and none on ports that the target lacks.

    What the administrator masked stays so. root may log in there where /etc/securetty lists the ports for root.
    """
    console = console if console.startswith((*XEN_PORTS, *SERIAL_PORTS)) else ""
    port = console.partition(",")[0]
    gone = _gone(bench, port)
    for name in sorted(set(_old(bench, gone, port))):
        services.disable(bench, names=[name])
    missing = bool(port) and tells_gettys(bench.fs) and _login(bench, port, console) is None
    program = Programs(bench.fs).path("agetty", "getty") if missing else ""
    openrc = any(name.startswith("agetty.") for name in names_in(bench.fs, "/etc/init.d"))
    inittab = exists(bench.fs, INITTAB) and _reads_inittab(bench)
    if inittab:
        before, kinds = bench.fs.read(INITTAB), [f"{kind}*" for kind in gone]
        after = serial_login(before, console=console, gone=kinds, program="" if openrc else program)
        if after is not before:
            bench.fs.put(INITTAB, after)
    if missing and (openrc or not inittab) and _login(bench, port, console) is None:
        _start(bench, port, console, program)
    if port and root_refused(bench.fs, port) and _login(bench, port, console) is not None:
        bench.fs.put(SECURETTY, ensure_line(bench.fs.read(SECURETTY), line=port))


def _gone(bench: Workbench, port: str) -> tuple[str, ...]:
    """Return the kinds of ports that the target does not have beside its own console."""
    xen = bench.target.hypervisor == "xen" or port.startswith(XEN_PORTS)
    return (*(() if xen else XEN_PORTS), *(SERIAL_PORTS if port else ()))


def _login(bench: Workbench, port: str, console: str) -> object:
    entry = bench.facts.value(BOOT_DEFAULT)
    return login_on(bench.fs, Services(bench.fs), port, (*(entry.args if entry else ()), f"console={console}"))


def _old(bench: Workbench, gone: tuple[str, ...], own: str) -> Iterator[str]:
    """Yield the services that run a getty on a port of these kinds, but the target's own."""
    for folder in names_in(bench.fs, units.OWN):
        if folder.endswith(units.HOLDERS):
            for unit in names_in(bench.fs, f"{units.OWN}/{folder}"):
                found = _STARTED.match(unit)
                if found and found["port"].startswith(gone) and found["port"] != own:
                    yield unit
    for folder in ("/etc/init", *(f"/etc/runlevels/{level}" for level in names_in(bench.fs, "/etc/runlevels"))):
        for name in names_in(bench.fs, folder):
            found = _JOB.match(name)
            if found and found["port"].startswith(gone) and found["port"] != own:
                yield name.removesuffix(".conf")


def _reads_inittab(bench: Workbench) -> bool:
    """Tell whether init starts gettys by /etc/inittab: not where units, upstart's jobs or OpenRC's own init do."""
    if real_path(bench.fs, "/sbin/init").endswith("/openrc-init"):
        return False
    jobs = any(name.startswith("tty") for name in names_in(bench.fs, "/etc/init"))
    return not jobs and not units.file_of(bench.fs, "getty@tty1.service")


def _start(bench: Workbench, port: str, console: str, program: str) -> None:
    unit = f"serial-getty@{port}.service"
    if units.file_of(bench.fs, unit):
        if not is_link(bench.fs, f"{units.OWN}/{unit}"):
            units.enable(bench, units=[unit])
    elif exists(bench.fs, "/etc/init/tty1.conf") and program:
        text = _UPSTART.format(program=program, speed=speed_of(console), port=port)
        bench.fs.put(f"/etc/init/{port}.conf", text.encode())
    elif exists(bench.fs, "/etc/init.d/agetty") and names_in(bench.fs, "/etc/runlevels"):
        bench.fs.put(f"/etc/init.d/agetty.{port}", Link("agetty"))
        bench.fs.put(f"/etc/runlevels/default/agetty.{port}", Link(f"/etc/init.d/agetty.{port}"))
