"""Limits of reaching a Linux guest: SSH there, on and let through, and a user who can log in with a key."""

from __future__ import annotations

from collections.abc import Iterator

from guestfix.base.facts import Facts, Finding
from guestfix.base.guest import GuestFS
from guestfix.formats.network.firewall import CLOSED, LIMITED
from guestfix.pack.model import Target


def check(guest: GuestFS, facts: Facts, target: Target) -> list[Finding]:
    """Report what shuts the administrator out; nothing is said of what an excerpt of a system can't show."""
    if facts.value("os.family") != "linux":
        return []
    return [*_ssh(facts), *_addresses(facts), *_firewall(facts), *_host_keys(facts), *_users(facts)]


def _ssh(facts: Facts) -> Iterator[Finding]:
    console = "the guest can be reached by its console only"
    if facts.value("ssh.installed") is False:
        summary = f"the guest has no SSH server, so that {console}"
        remedy = "install openssh-server before the migration"
        yield Finding("GF-SSH-MISSING", "warning", summary, facts.evidence("ssh.installed"), remedy)
    elif facts.value("ssh.enabled") is False:
        service = facts.value("ssh.service")
        how = "masked" if service["state"] == "masked" else "not enabled"
        summary = f"the SSH server is installed but its service {service['name']} is {how}"
        remedy = f"enable it before the migration: systemctl enable {service['name']} (or chkconfig on); else {console}"
        yield Finding("GF-SSH-DISABLED", "warning", summary, facts.evidence("ssh.service"), remedy)


def _addresses(facts: Facts) -> Iterator[Finding]:
    bound = facts.value("ssh.addresses")
    if bound:
        summary = f"sshd listens only on {', '.join(bound[:4])}, which the guest will not have after the move"
        remedy = "remove the ListenAddress lines, or keep the addresses (policy network=preserve)"
        yield Finding("GF-SSH-ADDRESS", "warning", summary, facts.evidence("ssh.addresses"), remedy)


def _firewall(facts: Facts) -> Iterator[Finding]:
    state = facts.value("firewall.ssh")
    names = ", ".join(facts.value("firewall.active") or ())
    port = (facts.value("ssh.ports") or [22])[0]
    seen = facts.evidence("firewall.ssh")
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
    if facts.value("ssh.enabled") and facts.value("ssh.host_keys") == [] and facts.evidence("ssh.ports"):
        summary = "the guest has no SSH host keys; sshd starts only if the system makes them at boot"
        remedy = "see that it does (sshd-keygen, cloud-init), or make them with: ssh-keygen -A"
        yield Finding("GF-SSH-NO-HOST-KEYS", "info", summary, facts.evidence("ssh.service"), remedy)


def _users(facts: Facts) -> Iterator[Finding]:
    if facts.value("users.with_key") == [] and facts.value("ssh.installed"):
        login = facts.value("users.login") or []
        who = f"none of {', '.join(login[:5])}" if login else "no user but root"
        summary = f"{who} has a public key to log in with"
        remedy = "give a user other than root a key in ~/.ssh/authorized_keys, in case passwords are refused"
        yield Finding("GF-USER-NO-KEY", "info", summary, facts.evidence("users.with_key"), remedy)
