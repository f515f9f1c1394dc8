"""How an administrator will reach the guest: SSH, what its firewall lets in, who may log in; and what else starts.

Facts: ssh.installed, ssh.service, ssh.enabled, ssh.ports, ssh.addresses (all that sshd is bound to; empty:
any), ssh.host_keys, ssh.key_maker (what makes host keys at start), ssh.logins and ssh.refused (accounts that sshd
lets in, and why not the others), firewall.active, firewall.ssh (open, limited, closed), users.with_key, users.login,
selinux.mode.
"""

from __future__ import annotations

from guestfix.base.catalog.facts.boot import BOOT_DEFAULT
from guestfix.base.catalog.facts.system import (
    FIREWALL_ACTIVE,
    FIREWALL_SSH,
    OS_FAMILY,
    SELINUX_MODE,
    SSH_ADDRESSES,
    SSH_ENABLED,
    SSH_HOST_KEYS,
    SSH_INSTALLED,
    SSH_KEY_MAKER,
    SSH_LOGINS,
    SSH_PORTS,
    SSH_REFUSED,
    SSH_SERVICE,
    USERS_LOGIN,
    USERS_WITH_KEY,
)
from guestfix.base.catalog.records.system import ServiceState
from guestfix.base.facts import Evidence, Facts, Finding, Unknown
from guestfix.base.guest import GuestFS
from guestfix.base.patterns import regex
from guestfix.detect.files import exists, names_in
from guestfix.detect.network.entrance import entrance
from guestfix.detect.services import software
from guestfix.detect.services.accounts import KEYS, Account, accounts
from guestfix.detect.services.firewall import find_filters
from guestfix.detect.services.hostkeys import key_maker
from guestfix.detect.services.logins import logins
from guestfix.detect.services.selinux import in_force, unlabeled
from guestfix.detect.services.sshd import Sshd, read
from guestfix.detect.system.initsystem import Services
from guestfix.detect.system.programs import Programs
from guestfix.formats.network.firewall import CLOSED, LIMITED, OPEN
from guestfix.pack.model import Target

UNITS = ("sshd.service", "ssh.service", "ssh.socket", "sshd.socket", "dropbear.service", "dropbear.socket")
NAMES = ("sshd", "ssh", "dropbear")


def detect(guest: GuestFS, facts: Facts, target: Target) -> list[Finding]:
    """Record the ssh.*, firewall.*, users.* and software.* facts of a Linux guest; what access means is for limits."""
    if facts.value(OS_FAMILY) != "linux":
        return []
    services, programs, sshd = Services(guest), Programs(guest), read(guest)
    _put_ssh(guest, facts, services, programs)
    _put_keys(guest, facts, services, programs, sshd)
    ports = _put_config(facts, sshd)
    _put_firewall(guest, facts, services, ports[0])
    _put_users(guest, facts, sshd)
    found = software.learn(guest, facts, target, services, programs, sshd)
    return [*found, *_selinux(guest, facts)]


def _selinux(guest: GuestFS, facts: Facts) -> list[Finding]:
    """Record whether SELinux is in force; where it is, files without labels keep everybody from logging in."""
    entry = facts.value(BOOT_DEFAULT)
    found = in_force(guest, entry.args if entry else ())
    if found is None:
        facts.put(SELINUX_MODE, Unknown("the guest has no /etc/selinux/config"))
        return []
    facts.put(SELINUX_MODE, found[0], found[1])
    bare = unlabeled(guest) if found[0] == "enforcing" else None
    if bare is None:
        return []
    what = "SELinux is enforcing, and the guest's files have no labels as they are seen here"
    return [Finding("GF-SELINUX-UNLABELED", "info", what, (found[1], bare))]


def _put_ssh(guest: GuestFS, facts: Facts, services: Services, programs: Programs) -> None:
    program = programs.path("sshd", "dropbear")
    service = services.find(UNITS, NAMES)
    seen = (Evidence(program),) if program else ()
    if program or service.state != "absent":
        facts.put(SSH_INSTALLED, True, *seen)
    elif programs.complete:
        facts.put(SSH_INSTALLED, False, Evidence("/usr/sbin", 0, "no sshd among the guest's programs"))
    else:
        facts.put(SSH_INSTALLED, Unknown("the tree holds too few programs to say what it lacks"))
    shown = (Evidence(service.path),) if service.path else seen
    facts.put(SSH_SERVICE, ServiceState(service.name, service.state), *shown)
    known = service.state != "absent"
    facts.put(SSH_ENABLED, service.state == "on" if known else Unknown("no service of it was seen"), *shown)


def _put_keys(guest: GuestFS, facts: Facts, services: Services, programs: Programs, sshd: Sshd) -> None:
    """Record the host keys, where sshd is told to look for them or by default, and what makes them at a start."""
    said = [word for word in sshd.words("hostkey") if word.startswith("/")]
    names = [name for name in names_in(guest, "/etc/ssh") if regex(r"ssh_host_\w*key").fullmatch(name)]
    keys = [path for path in said[:16] if exists(guest, path)] if said else [f"/etc/ssh/{name}" for name in names]
    absent = Unknown("the tree holds too few files to say that there are none")
    known = bool(keys) or programs.complete
    short = [path.removeprefix("/etc/ssh/") for path in keys]
    facts.put(SSH_HOST_KEYS, short if known else absent, *(Evidence(path) for path in keys[:1]))
    maker = key_maker(guest, facts, services) if known and not keys else None
    facts.put(SSH_KEY_MAKER, maker.path if maker else "", *((maker,) if maker else ()))


def _put_config(facts: Facts, sshd: Sshd) -> list[int]:
    """Record ports and addresses (sshd_config(5))."""
    ports = [int(word) for word in sshd.words("port") if _is_port(word)]
    addresses = [one.value for _, one in sshd.options if one.keyword == "listenaddress" and one.value]
    seen = sshd.places("port", "listenaddress") or tuple(Evidence(path) for path in sshd.files[:1])
    facts.put(SSH_PORTS, list(dict.fromkeys(ports)) or [22], *seen)
    bound = [one for one in addresses if not regex(r"(?:0\.0\.0\.0|::|\[::\]|\*)(?::\d+)?\Z").match(one)]
    facts.put(SSH_ADDRESSES, bound if len(bound) == len(addresses) else [], *seen)
    return ports or [22]


def _is_port(text: str) -> bool:
    return text.isascii() and text.isdigit() and len(text) < 6 and 0 < int(text) < 65536


def _put_firewall(guest: GuestFS, facts: Facts, services: Services, port: int) -> None:
    filters = find_filters(guest, services, port, entrance(guest, facts))
    facts.put(FIREWALL_ACTIVE, [one.name for one in filters], *(seen for one in filters for seen in one.evidence))
    worst = next((one for state in (CLOSED, LIMITED) for one in filters if one.state == state), None)
    if worst is None:
        facts.put(FIREWALL_SSH, OPEN, *(seen for one in filters for seen in one.evidence))
    else:
        facts.put(FIREWALL_SSH, worst.state, *worst.evidence)


def _put_users(guest: GuestFS, facts: Facts, sshd: Sshd) -> None:
    found = accounts(guest, key_files(sshd))
    if found is None:
        missing = Unknown("there is no /etc/passwd that can be read")
        for kind in (USERS_LOGIN, USERS_WITH_KEY, SSH_LOGINS, SSH_REFUSED):
            facts.put(kind, missing)
        return
    people = [one for one in found if one.is_person]
    facts.put(USERS_LOGIN, [one.name for one in people], Evidence("/etc/passwd"))
    with_key = [one for one in people if one.key]
    seen = [Evidence(one.key or "") for one in with_key] + [_row(one) for one in people[:1] if not one.key]
    unseen = bool(people) and all(one.key is None for one in people)
    hidden = Unknown("the tree does not show the home folders of its users")
    places = seen[:8] or [Evidence("/etc/passwd", 0, "no user but root may log in")]
    facts.put(USERS_WITH_KEY, hidden if unseen else [one.name for one in with_key], *places)
    _put_logins(guest, facts, sshd, found)


def key_files(sshd: Sshd) -> tuple[str, ...]:
    """Return the words by which sshd finds an account's keys; none where it takes keys of no file."""
    said = sshd.said("authorizedkeysfile")
    words = said[1].words if said is not None else KEYS
    return () if words == ("none",) else words


def _row(one: Account) -> Evidence:
    return Evidence("/etc/passwd", one.line, f"{one.name}:...:{one.uid}:...:{one.home}")


def _put_logins(guest: GuestFS, facts: Facts, sshd: Sshd, found: list[Account]) -> None:
    known = logins(guest, sshd, found)
    allowed = [*known.by_key, *known.by_password]
    untold = Unknown("the tree does not show all that decides who may log in")
    keys = [Evidence(one.key) for one in found if one.key and one.name in known.by_key]
    facts.put(SSH_LOGINS, allowed if allowed or known.sure else untold, *keys[:4])
    refused = [f"{name} ({why})" for name, why, _ in known.refused]
    facts.put(SSH_REFUSED, refused, *(place for _, _, place in known.refused[:8]))
