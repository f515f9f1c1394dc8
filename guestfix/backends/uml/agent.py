"""The program that User-mode Linux runs as its process 1: it mounts the guest and answers requests.

Its root is the host's own file tree, read only, through hostfs; so the host's Python, lvm, mdadm, ntfs-3g
and fsck programs are at hand without an initramfs. No program of the guest is run: its filesystems are
mounted without exec, devices and set-user-id. Requests and answers are JSON, one a line; what is large
goes through files in a folder of the host.
"""

from __future__ import annotations

import base64
import errno
import json
import os
import sys
import termios
import tty
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from guestfix.backends.uml.machine import Machine

INLINE = 1500
"""Bytes of an answer that go over the line; more goes through a file."""


def main() -> None:
    """Set the machine up, then serve until told to stop, then power off."""
    with open(sys.argv[1], encoding="utf-8") as stream:
        settings = json.load(stream)
    sys.path.insert(0, settings["package"])
    from guestfix.backends.uml.machine import Machine

    machine = Machine(settings)
    line = _line()
    exchange = machine.exchange
    count = 0
    while True:
        request = _receive(line, exchange)
        if request is None or request["op"] == "stop":
            break
        count += 1
        _send(line, exchange, count, _answer(machine, request))
    machine.unmount()
    _send(line, exchange, count + 1, {"value": True})
    machine.power_off()


def _line() -> int:
    descriptor = os.open("/dev/tty1", os.O_RDWR | os.O_NOCTTY)
    tty.setraw(descriptor, termios.TCSANOW)
    os.write(descriptor, b"ready\n")
    return descriptor


def _receive(line: int, exchange: str) -> dict[str, object] | None:
    data = b""
    while not data.endswith(b"\n"):
        piece = os.read(line, 4096)
        if not piece:
            return None
        data += piece
    text = data.strip()
    if text.startswith(b"@"):
        with open(f"{exchange}/{text[1:].decode()}", "rb") as stream:
            text = stream.read()
    found: dict[str, object] = json.loads(text)
    return found


def _send(line: int, exchange: str, count: int, answer: dict[str, object]) -> None:
    data = json.dumps(answer, default=_plain).encode("utf-8", "surrogateescape")
    if len(data) > INLINE:
        with open(f"{exchange}/answer-{count}", "xb") as stream:
            stream.write(data)
        data = f"@answer-{count}".encode()
    data += b"\n"
    while data:
        data = data[os.write(line, data) :]


def _plain(value: object) -> object:
    """Turn records and bytes into JSON."""
    from guestfix.base.record import names_of

    if names := names_of(value):
        return {name: getattr(value, name) for name in names}
    if isinstance(value, bytes):
        return {"base64": base64.b64encode(value).decode()}
    raise TypeError(type(value).__name__)


def _answer(machine: Machine, request: dict[str, Any]) -> dict[str, object]:
    from guestfix.backends.damage import REPAIR
    from guestfix.backends.uml.machine import BASE
    from guestfix.base.errors import GuestfixError

    try:
        machine.ready(request["op"])
        return {"value": getattr(machine, "do_" + request["op"])(**request["args"])}
    except GuestfixError as error:
        return {"error": [type(error).__name__, error.what, error.where, error.remedy, error.code]}
    except OSError as error:
        return {"errno": error.errno or errno.EIO, "where": _guest_path(str(error.filename or ""), BASE)}
    except Exception as error:  # noqa: BLE001 - the host tells the user; the machine must continue to unmount
        import traceback

        frame = traceback.extract_tb(error.__traceback__)[-1]
        what = "".join(traceback.format_exception_only(error)).strip().rpartition("\n")[2]
        place = f"{os.path.basename(frame.filename)}:{frame.lineno}"
        return {"error": ["DiskError", f"reading it failed inside User-mode Linux: {what} ({place})", "", REPAIR]}


def _guest_path(path: str, base: str) -> str:
    """Return the path as the guest has it; nothing where it is a mount point of this machine."""
    found = path.removeprefix(f"{base}/root")
    return "" if found.startswith(base) else found


if __name__ == "__main__":
    main()
