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
    SSH_PORTS,
    SSH_SERVICE,
    USERS_LOGIN,
    USERS_WITH_KEY,
)
from guestfix.base.facts import Facts, Finding
from guestfix.base.guest import GuestFS
from guestfix.formats.network.firewall import CLOSED, LIMITED
from guestfix.pack.model import Target


def check(guest: GuestFS, facts: Facts, target: Target) -> list[Finding]:
    """Report what shuts the administrator out; nothing is said of what an excerpt of a system can't show."""
    if facts.value(OS_FAMILY) != "linux":
        return []
    return [*_ssh(facts), *_addresses(facts), *_firewall(facts), *_host_keys(facts), *_users(facts)]


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
        yield Finding("GF-SSH-FIREWALL", "warning", summary, seen, remedy)
    elif state == LIMITED:
        summary = f"the guest's firewall ({names}) lets SSH in (TCP port {port}) only under conditions"
        remedy = "see that they hold on the target: addresses and interface names change with the move"
        yield Finding("GF-SSH-FIREWALL-LIMITED", "info", summary, seen, remedy)


def _host_keys(facts: Facts) -> Iterator[Finding]:
    """Host keys are never touched; where there are none, most systems make them at the first start."""
    if facts.value(SSH_ENABLED) and facts.value(SSH_HOST_KEYS) == [] and facts.evidence(SSH_PORTS):
        summary = "the guest has no SSH host keys; sshd starts only if the system makes them at boot"
        remedy = "see that it does (sshd-keygen, cloud-init), or make them with: ssh-keygen -A"
        yield Finding("GF-SSH-NO-HOST-KEYS", "info", summary, facts.evidence(SSH_SERVICE), remedy)


def _users(facts: Facts) -> Iterator[Finding]:
    if facts.value(USERS_WITH_KEY) == [] and facts.value(SSH_INSTALLED):
        login = facts.value(USERS_LOGIN) or []
        who = f"none of {', '.join(login[:5])}" if login else "no user but root"
        summary = f"{who} has a public key to log in with"
        remedy = "give a user other than root a key in ~/.ssh/authorized_keys, in case passwords are refused"
        yield Finding("GF-USER-NO-KEY", "info", summary, facts.evidence(USERS_WITH_KEY), remedy)
