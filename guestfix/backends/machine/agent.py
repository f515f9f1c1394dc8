"""The program that a throw-away machine runs as its process 1: it mounts the guest and answers requests.

In User-mode Linux its root is the host's own file tree, read only, through hostfs; in QEMU an initramfs with the host's
programs. So the host's Python, lvm, mdadm, ntfs-3g and fsck programs are at hand. No program of the guest is run: its
filesystems are mounted without exec, devices and set-user-id. Requests and answers are JSON; files go beside them
(:mod:`guestfix.backends.machine.line`).
"""

from __future__ import annotations

import errno
import json
import os
import sys
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from guestfix.backends.machine.line import Line
    from guestfix.backends.machine.machine import Machine


def main() -> None:
    """Set the machine up, then serve until told to stop, then power off."""
    with open(sys.argv[1], encoding="utf-8") as stream:
        settings = json.load(stream)
    sys.path.insert(0, settings["package"])
    from guestfix.backends.machine.line import open_line
    from guestfix.backends.machine.machine import Machine

    machine = Machine(settings)
    serve(machine, open_line(settings))


def serve(machine: Machine, line: Line) -> None:
    """Answer requests until told to stop or the host is gone, then end the machine."""
    machine.line = line
    while (text := line.receive()) is not None:
        request = json.loads(text)
        if request["op"] == "stop":
            break
        _send(line, _answer(machine, request))
    machine.unmount()
    _send(line, {"value": True})
    machine.power_off()


def _send(line: Line, answer: dict[str, object]) -> None:
    from guestfix.backends.machine.frames import encoded

    line.send(encoded(answer))


def _answer(machine: Machine, request: dict[str, Any]) -> dict[str, object]:
    from guestfix.backends.damage import REPAIR
    from guestfix.backends.machine.machine import BASE
    from guestfix.base.errors import GuestfixError

    args, body = request["args"], machine.line.body(request["body"]) if "body" in request else ()
    if "body" in request:
        args["body"] = body
    try:
        machine.ready(request["op"])
        return {"value": getattr(machine, "do_" + request["op"])(**args)}
    except GuestfixError as error:
        return {"error": [type(error).__name__, error.what, error.where, error.remedy, error.code]}
    except OSError as error:
        return {"errno": error.errno or errno.EIO, "where": _guest_path(str(error.filename or ""), BASE)}
    except Exception as error:  # noqa: BLE001 - the host tells the user; the machine must continue to unmount
        import traceback

        frame = traceback.extract_tb(error.__traceback__)[-1]
        what = "".join(traceback.format_exception_only(error)).strip().rpartition("\n")[2]
        place = f"{os.path.basename(frame.filename)}:{frame.lineno}"
        return {"error": ["DiskError", f"reading it failed inside the machine: {what} ({place})", "", REPAIR, ""]}
    finally:
        for _ in body:
            pass


def _guest_path(path: str, base: str) -> str:
    """Return the path as the guest has it; nothing where it is a mount point of this machine."""
    found = path.removeprefix(f"{base}/root")
    return "" if found.startswith(base) else found


if __name__ == "__main__":
    main()
