"""Logins on serial ports in /etc/inittab, of sysvinit and of busybox.

Sources: inittab(5), agetty(8), busybox' inittab and getty. A line is ``id:runlevels:action:process``, where busybox'
id is the port.
"""

from __future__ import annotations

from collections.abc import Sequence
from fnmatch import fnmatchcase

from guestfix.base.edit import Content, Splice, append_lines, apply_splices
from guestfix.base.errors import EditError
from guestfix.base.patterns import regex
from guestfix.base.record import frozen
from guestfix.formats.shellvars import encode

_LINE = regex(
    rb"^(?P<off>[ \t]*#[# \t]*)?(?P<id>[^:#\n]{0,16}):(?P<levels>[^:\n]{0,16}):(?P<action>respawn|askfirst):"
    rb"(?P<process>[^\n]{1,400})$",
    8,
)
_GETTY = regex(rb"(?:^|/)(?:a|m|min|uu)?getty\b")
_PORT = regex(rb"(?<![\w/.-])(?:/dev/)?(?P<port>(?:hvc|xvc|ttyS|ttyAMA|ttysclp)[0-9]{1,2})(?![\w.-])")
_SPEED = regex(rb"(?<![\w,.-])(?P<speed>9600|19200|38400|57600|115200)(?![\w.-])")
_CONSOLE = regex(r"(?P<port>[A-Za-z]{2,8}[0-9]{1,2})(?:,(?P<speed>[0-9]{3,7})[A-Za-z0-9]{0,4})?\Z")


@frozen
class Login:
    """A line that runs a getty on a serial port: where it is, where its port is written, and whether it is in force."""

    line: Splice
    off: int
    places: tuple[tuple[int, int], ...]
    port: str


def serial_login(src: bytes | None, *, console: str, gone: Sequence[str], program: str = "") -> Content:
    """Make there be a login on the target's serial port (``ttyS0,115200n8``), and none on ports that are ``gone``.

    ``gone`` are patterns of ports that the target does not have. A getty on one of them is moved to the target's port,
    else a line that is switched off is switched on, else one is added with ``program`` (none where it is empty).
    Further ones on such ports become comments. Raises EditError for what is no console.
    """
    if src is None:
        return None
    speed = speed_of(console) if console else ""
    port = console.partition(",")[0]
    logins = _logins(src)
    active = [one for one in logins if not one.off]
    old = [one for one in active if one.port != port and any(fnmatchcase(one.port, glob) for glob in gone)]
    if not port or any(one.port == port for one in active):
        return apply_splices(src, [_commented(one) for one in old])
    splices = [_commented(one) for one in old[1:]]
    waiting = next((one for one in logins if one.off and one.port == port), None)
    if old:
        return apply_splices(src, [*splices, *_moved(src, old[0], port, speed)])
    if waiting:
        return apply_splices(src, [Splice(waiting.line.offset, waiting.off, b""), *_speed(src, waiting, speed)])
    if not program:
        return src
    return append_lines(src, encode(f"{_free(src)}:2345:respawn:{program} -L {speed} {port} vt100"))


def speed_of(console: str) -> str:
    """Return the speed of a console, ``ttyS0,115200n8``, in baud; 115200 where it names none. Raises EditError."""
    found = _CONSOLE.match(console)
    if found is None:
        raise EditError(f"{console[:80]!r} is no serial console, like ttyS0,115200n8")
    return found["speed"] or "115200"


def _logins(src: bytes) -> list[Login]:
    found = []
    for line in _LINE.finditer(src):
        start = line.start("process")
        port = _PORT.search(line["process"])
        own = _PORT.fullmatch(line["id"].strip())
        if not _GETTY.search(line["process"].split()[0] if line["process"].split() else b"") or not (port or own):
            continue
        places = [(line.start("id") + own.start("port"), len(own["port"]))] if own else []
        places += [(start + one.start("port"), len(one["port"])) for one in _PORT.finditer(line["process"])]
        name = (port or own)["port"].decode()  # type: ignore[index]
        whole = Splice(line.start(), line.end() - line.start(), line[0])
        found.append(Login(whole, len(line["off"] or b""), tuple(places), name))
    return found


def _commented(one: Login) -> Splice:
    return Splice(one.line.offset, 0, b"#")


def _moved(src: bytes, one: Login, port: str, speed: str) -> list[Splice]:
    return [*(Splice(at, size, encode(port)) for at, size in one.places), *_speed(src, one, speed)]


def _speed(src: bytes, one: Login, speed: str) -> list[Splice]:
    found = _SPEED.search(one.line.data)
    if found is None or found["speed"] == encode(speed):
        return []
    return [Splice(one.line.offset + found.start("speed"), len(found["speed"]), encode(speed))]


def _free(src: bytes) -> str:
    """Return an id that no line has: at most four characters, of which init keeps records."""
    used = {line["id"].strip() for line in _LINE.finditer(src) if not line["off"]}
    return next(name for number in range(100) if encode(name := f"S{number}") not in used)
