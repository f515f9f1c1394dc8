r"""What a Windows keeps of its first start in ``\Windows\guestfix``: a marker, a log, and each program's exit code.

Sources: the script of :mod:`guestfix.actions.windows.firstboot`; cmd's %DATE% and %TIME% are in the guest's own
language and time; exit codes of processes are 32 bits, which cmd shows with a sign.
"""

from __future__ import annotations

from collections.abc import Mapping

from guestfix.base.patterns import regex
from guestfix.formats.firststart import FirstStart, TaskEnd

FOLDER = "guestfix"
MARKER, LOG = "firstboot.done", "firstboot.log"
PROGRAMS_FOLDER = "programs"
EXIT = ".exit"
KINDS = (".msi", ".exe")

_TIME = regex(r"(started|finished) ([^\x00-\x1f\x7f]{1,80}?)[ \t]*")
_CODE = regex(r"[ \t]*(-?[0-9]{1,10})[ \t]*")


def read_outcome(marker: bytes, exits: Mapping[str, bytes | None], log: str) -> FirstStart:
    """Return what was kept: ``exits`` has by each program's name the text of its ``.exit`` file, None without one.

    Times are as the guest wrote them. What the script does not write is passed over.
    """
    times = {"started": "", "finished": ""}
    for line in marker.decode("utf-8", "replace").split("\n")[:10]:
        found = _TIME.fullmatch(line.rstrip("\r"))
        if found:
            times[found[1]] = found[2]
    ends = tuple(TaskEnd(name, _code(data)) for name, data in exits.items())
    return FirstStart(times["started"], times["finished"], ends, log)


def _code(data: bytes | None) -> int | None:
    found = _CODE.fullmatch((data or b"").decode("utf-8", "replace").strip("\r\n"))
    return int(found[1]) if found else None
