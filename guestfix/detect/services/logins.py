"""Which accounts sshd lets in, and why it refuses the others.

Sources: sshd_config(5), OpenSSH's auth.c (allowed_user: a password that begins with ``!`` locks an account where PAM
is not used), pam_nologin(8), nsswitch.conf(5).
"""

from __future__ import annotations

from fnmatch import fnmatchcase

from guestfix.base.facts import Evidence
from guestfix.base.guest import GuestFS
from guestfix.base.record import field, mutable
from guestfix.detect.files import exists, lines_of, read_small
from guestfix.detect.services.accounts import Account
from guestfix.detect.services.sshd import Sshd

MOST = 200
"""Accounts, and names of a list, that are looked at; a guest with more has its accounts elsewhere."""

NOLOGIN = "/etc/nologin"
ELSEWHERE = ("sss", "ldap", "winbind", "nis", "nisplus", "hesiod", "google", "oslogin", "cache_oslogin")
"""Sources of nsswitch.conf whose accounts are not in /etc/passwd."""

_DECIDE = (
    *("permitrootlogin", "passwordauthentication", "pubkeyauthentication", "kbdinteractiveauthentication"),
    *("challengeresponseauthentication", "allowusers", "allowgroups", "denyusers", "denygroups", "authorizedkeysfile"),
)
_OTHER_WAYS = ("authorizedkeyscommand", "trustedusercakeys", "authorizedprincipalsfile", "authenticationmethods")


@mutable
class Logins:
    """Who may log in over SSH: ``by_key``, ``by_password``, and ``refused`` with the reason and where it stands.

    ``sure``: nothing else could let anybody in, and all that decides is to be seen.
    """

    by_key: list[str] = field(default_factory=list)
    by_password: list[str] = field(default_factory=list)
    refused: list[tuple[str, str, Evidence]] = field(default_factory=list)
    sure: bool = True


def logins(guest: GuestFS, sshd: Sshd, known: list[Account]) -> Logins:
    """Return which of the accounts sshd lets in."""
    out = Logins(sure=sshd.known and not _others(guest, sshd) and 0 < len(known) <= MOST)
    for one in known[:MOST]:
        why = _refusal(guest, sshd, one)
        if why is not None:
            out.refused.append((one.name, *why))
            continue
        key = one.key if sshd.first("pubkeyauthentication") != "no" else ""
        if key:
            out.by_key.append(one.name)
        elif _password(sshd, one):
            out.by_password.append(one.name)
        else:
            out.refused.append((one.name, *_no_way(sshd, one)))
        unseen = key is None or (one.password == "unknown" and _passwords(sshd) and not _no_root_password(sshd, one))
        out.sure = out.sure and not (unseen and not key)
    return out


def _others(guest: GuestFS, sshd: Sshd) -> bool:
    """Tell whether accounts, keys or permissions may come from what was not looked at."""
    if sshd.depends(*_DECIDE) or any(sshd.first(one) not in ("", "none", "any") for one in _OTHER_WAYS):
        return True
    if sshd.first("hostbasedauthentication") == "yes":
        return True
    for _, line in lines_of(read_small(guest, "/etc/nsswitch.conf") or b""):
        name, _, sources = line.partition(":")
        if name.strip() == "passwd" and set(sources.split()) & set(ELSEWHERE):
            return True
    return False


def _refusal(guest: GuestFS, sshd: Sshd, one: Account) -> tuple[str, Evidence] | None:
    """Return what shuts an account out whatever it has for a login."""
    if one.ended:
        return "the account has expired", Evidence("/etc/shadow", 0, f"{one.name}: expired")
    if one.uid != 0 and exists(guest, NOLOGIN):
        return f"{NOLOGIN} is there", Evidence(NOLOGIN)
    if one.uid == 0 and sshd.first("permitrootlogin") in ("no", "forced-commands-only"):
        return "PermitRootLogin", _place(sshd, "permitrootlogin")
    for keyword, names, wanted in (
        ("denyusers", (one.name,), False),
        ("allowusers", (one.name,), True),
        ("denygroups", one.groups, False),
        ("allowgroups", one.groups, True),
    ):
        words = sshd.words(keyword)
        if words and _listed(words, names, wanted) is not wanted:
            return _SPELLED[keyword], _place(sshd, keyword)
    if one.password == "locked" and sshd.first("usepam") not in ("yes", "1"):
        return "its password is locked and sshd does not use PAM", Evidence("/etc/shadow", 0, f"{one.name}:!")
    return None


_SPELLED = {
    "denyusers": "DenyUsers", "allowusers": "AllowUsers", "denygroups": "DenyGroups", "allowgroups": "AllowGroups"
}  # fmt: skip


def _listed(words: tuple[str, ...], names: tuple[str, ...], whole: bool) -> bool:
    """Tell whether a list has one of the names; ``user@host`` counts where the list is one of those let in."""
    patterns = [word.partition("@") for word in words[:MOST]]
    good = [user for user, at, _ in patterns if not user.startswith("!") and (whole or not at)]
    not_these = [user[1:] for user, at, _ in patterns if user.startswith("!") and not at]
    hit = any(fnmatchcase(name, pattern) for name in names for pattern in good)
    return hit and not any(fnmatchcase(name, pattern) for name in names for pattern in not_these)


def _passwords(sshd: Sshd) -> bool:
    """Tell whether sshd takes a password, asked for by itself or by PAM."""
    asked = sshd.first("kbdinteractiveauthentication", "challengeresponseauthentication") != "no"
    return sshd.first("passwordauthentication") != "no" or (asked and sshd.first("usepam") in ("yes", "1"))


def _no_root_password(sshd: Sshd, one: Account) -> bool:
    return one.uid == 0 and sshd.first("permitrootlogin") in ("prohibit-password", "without-password")


def _password(sshd: Sshd, one: Account) -> bool:
    empty = one.password == "empty" and sshd.first("permitemptypasswords") == "yes"
    return (one.password == "set" or empty) and _passwords(sshd) and not _no_root_password(sshd, one)


def _no_way(sshd: Sshd, one: Account) -> tuple[str, Evidence]:
    """Return why an account that is not shut out has nothing to log in with."""
    if not _passwords(sshd):
        return "no key, and passwords are refused", _place(sshd, "passwordauthentication")
    if _no_root_password(sshd, one):
        return "no key, and PermitRootLogin refuses its password", _place(sshd, "permitrootlogin")
    return "neither a key nor a password", Evidence("/etc/passwd", one.line, f"{one.name}: password {one.password}")


def _place(sshd: Sshd, keyword: str) -> Evidence:
    return next(iter(sshd.places(keyword)), Evidence(sshd.files[0] if sshd.files else "/etc/ssh/sshd_config"))
