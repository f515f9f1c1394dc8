"""Limits of reaching a Linux guest: SSH there, on and let through, and a user who can log in with a key."""

from __future__ import annotations

from collections.abc import Iterator

from guestfix.base.catalog.facts.system import (
    FIREWALL_ACTIVE,
    FIREWALL_SSH,
    OS_FAMILY,
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
from guestfix.base.facts import Evidence, Facts, Finding
from guestfix.base.guest import GuestFS
from guestfix.base.text import some
from guestfix.detect.files import exists
from guestfix.detect.services.logins import NOLOGIN
from guestfix.detect.services.wrappers import shut_out
from guestfix.detect.system.programs import Programs
from guestfix.formats.network.firewall import CLOSED, LIMITED
from guestfix.pack.model import Target


def check(guest: GuestFS, facts: Facts, target: Target) -> list[Finding]:
    """Report what shuts the administrator out; nothing is said of what an excerpt of a system can't show."""
    if facts.value(OS_FAMILY) != "linux":
        return []
    return [
        *_ssh(facts),
        *_addresses(facts),
        *_firewall(facts),
        *_host_keys(facts),
        *_users(facts),
        *_nologin(guest),
        *_wrappers(guest, facts),
    ]


def _ssh(facts: Facts) -> Iterator[Finding]:
    console = "the guest can be reached by its console only"
    if facts.value(SSH_INSTALLED) is False:
        summary = f"the guest has no SSH server, so that {console}"
        remedy = "install openssh-server before the migration"
        yield Finding("GF-SSH-MISSING", "warning", summary, facts.evidence(SSH_INSTALLED), remedy)
    elif facts.value(SSH_ENABLED) is False:
        service = facts.value(SSH_SERVICE)
        name, state = (service.name, service.state) if service else ("", "")
        how = "masked" if state == "masked" else "not enabled"
        summary = f"the SSH server is installed but its service {name} is {how}"
        remedy = f"enable it before the migration: systemctl enable {name} (or chkconfig on); else {console}"
        yield Finding("GF-SSH-DISABLED", "warning", summary, facts.evidence(SSH_SERVICE), remedy)


def _addresses(facts: Facts) -> Iterator[Finding]:
    bound = facts.value(SSH_ADDRESSES)
    if bound:
        summary = f"sshd listens only on {', '.join(bound[:4])}, which the guest will not have after the move"
        remedy = "remove the ListenAddress lines, or keep the addresses (policy network=preserve)"
        yield Finding("GF-SSH-ADDRESS", "warning", summary, facts.evidence(SSH_ADDRESSES), remedy)


def _firewall(facts: Facts) -> Iterator[Finding]:
    state = facts.value(FIREWALL_SSH)
    names = ", ".join(facts.value(FIREWALL_ACTIVE) or ())
    port = (facts.value(SSH_PORTS) or [22])[0]
    seen = facts.evidence(FIREWALL_SSH)
    if state == CLOSED:
        summary = f"the guest's firewall ({names}) does not let SSH in (TCP port {port})"
        remedy = "allow SSH in the guest's firewall, or switch it off where the platform has one of its own"
        yield Finding("GF-SSH-FIREWALL", "warning", summary, seen, remedy, outcome="unknown")
    elif state == LIMITED:
        summary = f"the guest's firewall ({names}) lets SSH in (TCP port {port}) only under conditions"
        remedy = "see that they hold on the target: addresses and interface names change with the move"
        yield Finding("GF-SSH-FIREWALL-LIMITED", "info", summary, seen, remedy)


def _wrappers(guest: GuestFS, facts: Facts) -> Iterator[Finding]:
    found = shut_out(guest, Programs(guest).path("sshd")) if facts.value(SSH_INSTALLED) else None
    if found is not None:
        closed = found[0] == "closed"
        who = "to nobody" if closed else "only to some addresses"
        summary = f"TCP wrappers let sshd answer {who}: {found[1].text}"
        remedy = "add sshd: ALL to /etc/hosts.allow, or the addresses that you will come from"
        severity = "warning" if closed else "info"
        yield Finding("GF-SSH-WRAPPERS", severity, summary, (found[1],), remedy, outcome="unknown" if closed else "")


def _host_keys(facts: Facts) -> Iterator[Finding]:
    """Host keys are never touched; where there are none, some systems make them at a start."""
    if not facts.value(SSH_ENABLED) or facts.value(SSH_HOST_KEYS) != [] or not facts.evidence(SSH_PORTS):
        return
    if facts.value(SSH_KEY_MAKER):
        summary = f"the guest has no SSH host keys; {facts.value(SSH_KEY_MAKER)} makes them as it starts"
        remedy = "nothing; who connects sees a host that is not known yet"
        yield Finding("GF-SSH-NO-HOST-KEYS", "info", summary, facts.evidence(SSH_KEY_MAKER), remedy)
    else:
        summary = "the guest has no SSH host keys, and nothing is to be seen that makes them, so sshd does not start"
        remedy = "make them with: ssh-keygen -A, before the migration"
        place = facts.evidence(SSH_SERVICE)
        yield Finding("GF-SSH-NO-HOST-KEYS", "warning", summary, place, remedy, outcome="unknown")


def _users(facts: Facts) -> Iterator[Finding]:
    if not facts.value(SSH_INSTALLED):
        return
    refused = facts.value(SSH_REFUSED) or []
    if facts.value(SSH_LOGINS) == [] and refused:
        summary = f"the SSH server lets nobody in: {some(refused)}"
        remedy = "give an account that it lets in a key (~/.ssh/authorized_keys) or a password"
        seen = facts.evidence(SSH_REFUSED)
        yield Finding("GF-SSH-NOBODY", "warning", summary, seen, remedy, outcome="unknown")
    elif facts.value(USERS_WITH_KEY) == []:
        login = facts.value(USERS_LOGIN) or []
        who = f"none of {', '.join(login[:5])}" if login else "no user but root"
        summary = f"{who} has a public key to log in with"
        remedy = "give a user other than root a key in ~/.ssh/authorized_keys, in case passwords are refused"
        yield Finding("GF-USER-NO-KEY", "info", summary, facts.evidence(USERS_WITH_KEY), remedy)


def _nologin(guest: GuestFS) -> Iterator[Finding]:
    if exists(guest, NOLOGIN):
        summary = f"{NOLOGIN} is there, so that nobody but root may log in"
        remedy = "remove the file: it was left by a shutdown or by maintenance"
        yield Finding("GF-LOGIN-REFUSED", "warning", summary, (Evidence(NOLOGIN),), remedy)
