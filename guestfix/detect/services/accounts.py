"""The accounts of a guest that a person could log in to, and what each has for it: a shell, a password, keys.

Sources: passwd(5), shadow(5), group(5), crypt(5), sshd(8) section "AUTHORIZED_KEYS FILE FORMAT", pam_nologin(8).
"""

from __future__ import annotations

import re

from guestfix.base.guest import GuestFS
from guestfix.base.patterns import regex
from guestfix.base.record import frozen
from guestfix.detect.files import exists, lines_of, names_in, read_small

NO_SHELL = ("nologin", "false", "sync", "halt", "shutdown", "poweroff", "git-shell")
KEYS = (".ssh/authorized_keys", ".ssh/authorized_keys2")
LIMIT = 1024 * 1024
MAX_ACCOUNTS = 1000
LONG_AGO = 18262
"""Days up to 1 January 2020: an account that ended before that has ended, whatever the date is today."""

_FORCED = regex(r'(?:[^"]*,)?command="', re.IGNORECASE)


@frozen
class Account:
    """One account with a shell.

    ``password`` is ``set``, ``empty``, ``none`` (``*``), ``locked`` (``!``) or ``unknown``. ``key`` is the file with a
    public key that gives a shell, "" for none, None where the tree does not show the home folder. ``ended``: the
    account has expired. ``line`` is that of /etc/passwd.
    """

    name: str
    uid: int
    home: str
    groups: tuple[str, ...]
    password: str
    key: str | None
    ended: bool
    line: int

    @property
    def is_person(self) -> bool:
        """Tell whether it is for people: neither root nor a service's."""
        return 500 <= self.uid < 65534


def accounts(guest: GuestFS, key_files: tuple[str, ...] = KEYS) -> list[Account] | None:
    """Return root and the accounts of people that have a shell; None where /etc/passwd can't be read.

    ``key_files`` are AuthorizedKeysFile's words: below the home folder, or with %h and %u.
    """
    data = read_small(guest, "/etc/passwd", LIMIT)
    if data is None:
        return None
    shadow = _shadow(guest)
    groups = _groups(guest)
    found = []
    for number, line in list(lines_of(data))[:MAX_ACCOUNTS]:
        fields = line.split(":")
        if len(fields) != 7 or fields[6].rpartition("/")[2] in NO_SHELL or not _is_uid(fields[2]):
            continue
        name, uid = fields[0], int(fields[2])
        if uid != 0 and not 500 <= uid < 65534:
            continue
        word, ended = (fields[1], False) if fields[1] != "x" else shadow.get(name, ("*" if shadow else "?", False))
        member = (
            *groups.get("", {}).get(fields[3], ()),
            *(one for one, who in groups.get("*", {}).items() if name in who),
        )
        key = _key(guest, name, fields[5], key_files)
        found.append(Account(name, uid, fields[5], member, _password(word), key, ended, number))
    return found


def _is_uid(text: str) -> bool:
    return text.isascii() and text.isdigit() and len(text) < 8


def _shadow(guest: GuestFS) -> dict[str, tuple[str, bool]]:
    rows = [line.split(":") for _, line in lines_of(read_small(guest, "/etc/shadow", LIMIT) or b"")]
    return {row[0]: (row[1], _is_over(row[7] if len(row) > 7 else "")) for row in rows[:MAX_ACCOUNTS] if len(row) > 1}


def _is_over(day: str) -> bool:
    return day.isascii() and day.isdigit() and len(day) < 8 and int(day) < LONG_AGO


def _groups(guest: GuestFS) -> dict[str, dict[str, tuple[str, ...]]]:
    """Return under "" the names of groups by number, under "*" the members of groups by name."""
    rows = [line.split(":") for _, line in lines_of(read_small(guest, "/etc/group", LIMIT) or b"")]
    good = [row for row in rows[:MAX_ACCOUNTS] if len(row) == 4]
    return {"": {row[2]: (row[0],) for row in good}, "*": {row[0]: tuple(row[3].split(",")) for row in good}}


def _password(word: str) -> str:
    """Return what the password's field of shadow(5) means."""
    if word == "?":
        return "unknown"
    if word == "":
        return "empty"
    if word.startswith("!"):
        return "locked"
    return "set" if word.startswith("$") or len(word) >= 13 else "none"


def _key(guest: GuestFS, name: str, home: str, patterns: tuple[str, ...]) -> str | None:
    """Return the file that has a public key of the account which gives a shell."""
    seen = False
    for path in key_files_of(name, home, patterns):
        inside = path.startswith(f"{home.rstrip('/')}/")
        seen = seen or (_shows(guest, home) if inside else exists(guest, path.rpartition("/")[0]))
        if not path.startswith("/") or not exists(guest, path):
            continue
        data = read_small(guest, path)
        if data is None:
            return None
        if any(not line.startswith("#") and not _FORCED.match(line) for _, line in lines_of(data)):
            return path
    return "" if seen else None


def key_files_of(name: str, home: str, patterns: tuple[str, ...] = KEYS) -> tuple[str, ...]:
    """Return where sshd looks for an account's keys; ``patterns`` are AuthorizedKeysFile's words (sshd_config(5))."""
    words = [one.replace("%%", "%").replace("%h", home).replace("%u", name) for one in patterns[:8]]
    return tuple(one if one.startswith("/") else f"{home.rstrip('/')}/{one}" for one in words)


def _shows(guest: GuestFS, home: str) -> bool:
    """Tell whether the tree shows a home folder, or that there is none; a volume for /home may not be in the tree."""
    above = home.rstrip("/").rpartition("/")[0]
    return exists(guest, home) or bool(above and names_in(guest, above))
