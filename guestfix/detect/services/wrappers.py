"""TCP wrappers: /etc/hosts.allow and hosts.deny, where sshd is linked with libwrap (hosts_access(5)).

Red Hat's family has it to release 7, Debian's still does.
"""

from __future__ import annotations

from guestfix.base.facts import Evidence
from guestfix.base.guest import GuestFS
from guestfix.base.patterns import regex
from guestfix.detect.files import lines_of, read_head, read_small

ALLOW, DENY = "/etc/hosts.allow", "/etc/hosts.deny"
_PROGRAM = 4 * 1024 * 1024
_EVERYBODY = ("ALL", "0.0.0.0/0", "0.0.0.0/0.0.0.0")


def shut_out(guest: GuestFS, program: str) -> tuple[str, Evidence] | None:
    """Return ``closed`` or ``limited`` with the line by which sshd refuses who may connect; None where it does not."""
    denied = _rule(guest, DENY)
    if denied is None or denied[0] != "all":
        return None
    if b"libwrap" not in read_head(guest, program or "/usr/sbin/sshd", _PROGRAM):
        return None
    allowed = _rule(guest, ALLOW)
    if allowed is None:
        return "closed", denied[1]
    return None if allowed[0] == "all" else ("limited", allowed[1])


def _rule(guest: GuestFS, path: str) -> tuple[str, Evidence] | None:
    """Return whether the first rule about sshd is about all clients or some, and where it stands."""
    for number, line in lines_of(read_small(guest, path) or b""):
        daemons, colon, rest = line.partition(":")
        names = regex(r"[\s,]+").split(daemons.strip())
        if line.startswith("#") or not colon or not {"sshd", "ALL"} & set(names) or "EXCEPT" in names:
            continue
        clients = regex(r"[\s,]+").split(rest.partition(":")[0].strip())
        whole = any(one in _EVERYBODY for one in clients) and "EXCEPT" not in clients
        return ("all" if whole else "some"), Evidence(path, number, line[:200])
    return None
