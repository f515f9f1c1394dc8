"""A service enabled or disabled in whatever starts it: systemd, SysV, upstart, run levels of OpenRC and runit.

Sources: systemctl(1); chkconfig(8), update-rc.d(8) and insserv(8); upstart's init(5), override files; rc-update(8).
"""

from __future__ import annotations

from collections.abc import Iterator

from guestfix.actions.system import units
from guestfix.actions.workbench import Workbench
from guestfix.base.edit import Link, Splice, append_lines, apply_splices
from guestfix.base.errors import EditError, GuestError
from guestfix.base.overlay import Overlay
from guestfix.base.patterns import regex
from guestfix.detect.files import exists, names_in, read_small
from guestfix.detect.system.initsystem import RUN_FOLDERS
from guestfix.editors.system.text import ensure_line

MOST_NAMES = 256
STARTERS = ("service", "socket", "timer", "path")
"""Kinds of units by which systemd starts a service of the same name."""
LEVELS = "S0123456"
ORDER = "/etc/init.d/.depend.start"
"""The order in which startpar(8) starts scripts, as insserv(8) makes it."""
SCRIPTS = ("/etc/init.d", "/etc/rc.d/init.d")

_NAME = regex(r"[A-Za-z0-9_][A-Za-z0-9_.:@+-]{0,127}\Z")
_CHKCONFIG = regex(rb"^#\s*chkconfig:\s*(?P<levels>[0-6]+|-)\s+(?P<start>\d{1,2})\s+\d{1,2}", 8)
_DEFAULT_START = regex(rb"^#\s*Default-Start:(?P<levels>[ \t0-6S]*)", 8)
_TARGETS = regex(rb"^TARGETS[ \t]*=(?P<names>[^\r\n]*)", 8)
_MANUAL = regex(rb"^[ \t]*manual[ \t]*(?:\r?\n|\Z)", 8)


def disable(bench: Workbench, *, names: list[str]) -> None:
    """Keep the services that go by any of these names from starting at boot, whatever starts them.

    systemd: their units' links go, and a unit that came enabled is masked. SysV: start links go, and stop links take
    their place where chkconfig and update-rc.d make them. upstart: an override says ``manual``. OpenRC and runit:
    the run levels' links go. Nothing of the services themselves changes. Raises EditError for
    what is no service's name.
    """
    for name in _checked(names):
        _disable_units(bench, name)
        for path in _sysv_links(bench.fs, name, "S"):
            _stop(bench.fs, path, name)
        if exists(bench.fs, f"/etc/init/{name}.conf"):
            override = f"/etc/init/{name}.override"
            content = bench.fs.content(override)
            manual = ensure_line(content if isinstance(content, bytes) else None, line="manual", create=True)
            if manual is not content:
                bench.fs.put(override, manual)
        for path in (*_run_levels(bench.fs, name), *_supervised(bench.fs, name)):
            bench.fs.remove(path)


def enable(bench: Workbench, *, names: list[str]) -> None:
    """Make the first of these services that the guest has start at boot, by what its init system looks for.

    Raises EditError for what is no service's name.
    """
    for name in _checked(names):
        if units.file_of(bench.fs, _unit(name)) or units.file_of(bench.fs, f"{name}.socket"):
            known = [f"{name}.{kind}" for kind in STARTERS] if "." not in name else [name]
            units.enable(bench, units=known)
        elif exists(bench.fs, f"/etc/init/{name}.conf"):
            _not_manual(bench.fs, f"/etc/init/{name}.override")
        elif script := next((f"{home}/{name}" for home in SCRIPTS if exists(bench.fs, f"{home}/{name}")), ""):
            _enable_script(bench, name, script)
        else:
            continue
        return


def _checked(names: list[str]) -> list[str]:
    odd = next((name for name in names if not _NAME.match(name)), None)
    if odd is not None:
        raise EditError(f"{odd[:80]!r} is no name of a service")
    if len(names) > MOST_NAMES:
        raise EditError(f"a step names at most {MOST_NAMES} services")
    return list(dict.fromkeys(names))


def _unit(name: str) -> str:
    return name if name.endswith(tuple(f".{kind}" for kind in STARTERS)) else f"{name}.service"


def _disable_units(bench: Workbench, name: str) -> None:
    known = [_unit(name)] if _unit(name) == name else [f"{name}.{kind}" for kind in STARTERS]
    units.disable(bench, units=known)
    units.mask(bench, units=[unit for unit in known if units.came_enabled(bench.fs, unit)])


# SysV


def _level_folders(fs: Overlay) -> Iterator[tuple[str, str]]:
    """Yield each run level with its folder, once however many links lead to it."""
    seen: set[str] = set()
    for base in ("/etc/rc.d", "/etc/init.d", "/etc"):
        for level in LEVELS:
            try:
                folder = fs.realpath(f"{base}/rc{level}.d")
            except GuestError:
                continue
            if folder not in seen and names_in(fs, folder):
                seen.add(folder)
                yield level, folder


def _sysv_links(fs: Overlay, name: str, kind: str) -> list[str]:
    """Return the start (S) or stop (K) links of a script."""
    return [
        f"{folder}/{entry}"
        for _, folder in list(_level_folders(fs))
        for entry in names_in(fs, folder)
        if entry[:1] == kind and _is_script(entry, name)
    ]


def _is_script(entry: str, name: str) -> bool:
    """Tell whether a link starts or stops this script: a letter, two digits, the script's name."""
    return entry[1:3].isdecimal() and entry[3:] == name


def _stop(fs: Overlay, path: str, name: str) -> None:
    """Put a stop link in the place of a start link, but not where rc scripts of SUSE or single-user boot look."""
    folder, _, entry = path.rpartition("/")
    target = fs.link_or_bytes(path)
    fs.remove(path)
    if folder.endswith("/rcS.d") or folder.startswith("/etc/init.d/") or not isinstance(target, Link):
        return
    if not any(one[:1] == "K" and _is_script(one, name) for one in names_in(fs, folder)):
        fs.put(f"{folder}/K{100 - int(entry[1:3]):02d}{name}", target)


def _enable_script(bench: Workbench, name: str, script: str) -> None:
    """Add a script's links: to OpenRC's default run level, or to the run levels that the script asks for."""
    fs = bench.fs
    if names_in(fs, "/etc/runlevels"):
        if not _run_levels(fs, name):
            fs.put(f"/etc/runlevels/default/{name}", Link(script))
        return
    levels, number = _asked_for(read_small(fs, script) or b"")
    started = {path.rpartition("/")[0] for path in _sysv_links(fs, name, "S")}
    for level, folder in list(_level_folders(fs)):
        if level not in levels or folder in started:
            continue
        for path in [one for one in _sysv_links(fs, name, "K") if one.startswith(folder + "/")]:
            fs.remove(path)
        above = ".." if folder.startswith("/etc/init.d/") else "../init.d"
        fs.put(f"{folder}/S{number:02d}{name}", Link(f"{above}/{name}"))
    _order_last(fs, name)


def _order_last(fs: Overlay, name: str) -> None:
    """Have startpar know the script, behind all others: without a place in insserv's list its links do not count."""
    content = fs.content(ORDER)
    found = _TARGETS.search(content) if isinstance(content, bytes) else None
    if not isinstance(content, bytes) or found is None or name.encode() in found["names"].split():
        return
    known, names = content, found["names"].strip()
    after = apply_splices(known, [Splice(found.end("names"), 0, b" " + name.encode())])
    fs.put(ORDER, append_lines(after, b"%s: %s" % (name.encode(), names)))


def _asked_for(script: bytes) -> tuple[str, int]:
    """Return the run levels and the place in the order that a script's comments ask for."""
    found, lsb = _CHKCONFIG.search(script), _DEFAULT_START.search(script)
    number = int(found["start"]) if found else 20
    levels = found["levels"] if found and found["levels"] != b"-" else b""
    if lsb and lsb["levels"].split():
        levels = b"".join(lsb["levels"].split())
    return levels.decode("ascii") or "2345", number


# upstart, OpenRC, runit


def _not_manual(fs: Overlay, path: str) -> None:
    content = fs.content(path)
    if not isinstance(content, bytes) or not _MANUAL.search(content):
        return
    left = _MANUAL.sub(b"", content)
    fs.put(path, left if left.strip() else None)


def _run_levels(fs: Overlay, name: str) -> list[str]:
    return [
        f"/etc/runlevels/{level}/{name}"
        for level in names_in(fs, "/etc/runlevels")
        if name in names_in(fs, f"/etc/runlevels/{level}")
    ]


def _supervised(fs: Overlay, name: str) -> list[str]:
    return [f"{folder}/{name}" for folder in RUN_FOLDERS if name in names_in(fs, folder)]
