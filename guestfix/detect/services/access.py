"""How an administrator will reach the guest: SSH, what its firewall lets in, who may log in with a key.

Facts: ssh.installed, ssh.service, ssh.enabled, ssh.ports, ssh.addresses (all that sshd is bound to; empty:
any), ssh.host_keys, firewall.active, firewall.ssh (open, limited, closed), users.with_key, users.login.
"""

from __future__ import annotations

import re

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
from guestfix.base.catalog.records.system import ServiceState
from guestfix.base.errors import GuestError
from guestfix.base.facts import Evidence, Facts, Finding, Unknown
from guestfix.base.globs import glob
from guestfix.base.guest import GuestFS
from guestfix.detect.files import exists, lines_of, names_in, read_small
from guestfix.detect.services.firewall import find_filters
from guestfix.detect.system.initsystem import Services
from guestfix.detect.system.programs import Programs
from guestfix.formats.network.firewall import CLOSED, LIMITED, OPEN
from guestfix.pack.model import Target

CONFIG = "/etc/ssh/sshd_config"
MAX_USERS = 1000
MAX_INCLUDES, MAX_CONFIGS = 16, 64
_UNITS = ("sshd.service", "ssh.service", "ssh.socket", "sshd.socket", "dropbear.service")
_KEYS = (".ssh/authorized_keys", ".ssh/authorized_keys2")
_NO_SHELL = ("nologin", "false", "sync", "halt", "shutdown")


def detect(guest: GuestFS, facts: Facts, target: Target) -> list[Finding]:
    """Record the ssh.*, firewall.* and users.* facts of a Linux guest; what they mean is for limits to say."""
    if facts.value(OS_FAMILY) != "linux":
        return []
    services, programs = Services(guest), Programs(guest)
    _put_ssh(guest, facts, services, programs)
    ports = _put_config(guest, facts)
    _put_firewall(guest, facts, services, ports[0])
    _put_users(guest, facts)
    return []


def _put_ssh(guest: GuestFS, facts: Facts, services: Services, programs: Programs) -> None:
    program = programs.path("sshd", "dropbear")
    service = services.find(_UNITS, ("sshd", "ssh", "dropbear"))
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
    names = [name for name in names_in(guest, "/etc/ssh") if re.fullmatch(r"ssh_host_\w+_key", name)]
    absent = Unknown("the tree holds too few files to say that there are none")
    known = bool(names) or programs.complete
    facts.put(SSH_HOST_KEYS, names if known else absent, *(Evidence(f"/etc/ssh/{name}") for name in names[:1]))


def _put_config(guest: GuestFS, facts: Facts) -> list[int]:
    """Read Port and ListenAddress (sshd_config(5)) up to the first Match block of each file."""
    ports: list[int] = []
    addresses: list[str] = []
    seen: list[Evidence] = []
    for path in _config_files(guest):
        for number, line in lines_of(read_small(guest, path) or b""):
            key, _, value = re.sub(r"[ \t=]+", " ", line).partition(" ")
            if key.lower() == "match":
                break
            if key.lower() == "port" and _is_port(value):
                ports.append(int(value))
                seen.append(Evidence(path, number, line))
            elif key.lower() == "listenaddress" and value:
                addresses.append(value)
                seen.append(Evidence(path, number, line))
    facts.put(SSH_PORTS, list(dict.fromkeys(ports)) or [22], *seen[:4])
    bound = [one for one in addresses if not re.match(r"(?:0\.0\.0\.0|::|\[::\]|\*)(?::\d+)?\Z", one)]
    facts.put(SSH_ADDRESSES, bound if len(bound) == len(addresses) else [], *seen[:4])
    return ports or [22]


def _is_port(text: str) -> bool:
    return text.isascii() and text.isdigit() and len(text) < 6 and 0 < int(text) < 65536


def _config_files(guest: GuestFS) -> list[str]:
    """Return sshd_config and what it includes, each once; an included file's own includes are not followed."""
    files: dict[str, None] = {CONFIG: None}
    patterns: dict[str, None] = {}
    for _, line in lines_of(read_small(guest, CONFIG) or b""):
        key, _, value = line.partition(" ")
        if key.lower() == "include" and value.strip():
            pattern = value.strip().strip('"')
            patterns[pattern if pattern.startswith("/") else f"/etc/ssh/{pattern}"] = None
    for pattern in list(patterns)[:MAX_INCLUDES]:
        try:
            files |= dict.fromkeys(glob(guest, pattern))
        except GuestError:
            continue
    return list(files)[:MAX_CONFIGS]


def _put_firewall(guest: GuestFS, facts: Facts, services: Services, port: int) -> None:
    filters = find_filters(guest, services, port)
    facts.put(FIREWALL_ACTIVE, [one.name for one in filters], *(seen for one in filters for seen in one.evidence))
    worst = next((one for state in (CLOSED, LIMITED) for one in filters if one.state == state), None)
    if worst is None:
        facts.put(FIREWALL_SSH, OPEN, *(seen for one in filters for seen in one.evidence))
    else:
        facts.put(FIREWALL_SSH, worst.state, *worst.evidence)


def _put_users(guest: GuestFS, facts: Facts) -> None:
    data = read_small(guest, "/etc/passwd", 1024 * 1024)
    if data is None:
        missing = Unknown("there is no /etc/passwd that can be read")
        facts.put(USERS_LOGIN, missing)
        facts.put(USERS_WITH_KEY, missing)
        return
    login: list[str] = []
    with_key: list[str] = []
    seen: list[Evidence] = []
    for number, line in list(lines_of(data))[:MAX_USERS]:
        fields = line.split(":")
        if len(fields) != 7 or fields[6].rpartition("/")[2] in _NO_SHELL or not _is_person(fields[2]):
            continue
        login.append(fields[0])
        key = _key_file(guest, fields[5])
        if key:
            with_key.append(fields[0])
            seen.append(Evidence(key))
        elif len(login) == 1:
            seen.append(Evidence("/etc/passwd", number, ":".join(fields[:1] + ["..."] + fields[2:])))
    facts.put(USERS_LOGIN, login, Evidence("/etc/passwd"))
    facts.put(USERS_WITH_KEY, with_key, *(seen[:8] or [Evidence("/etc/passwd", 0, "no user but root may log in")]))


def _is_person(uid: str) -> bool:
    return uid.isascii() and uid.isdigit() and len(uid) < 8 and 500 <= int(uid) < 65534


def _key_file(guest: GuestFS, home: str) -> str:
    """Return the user's file of public keys where it has one key at least."""
    for name in _KEYS:
        path = f"{home.rstrip('/')}/{name}"
        if home.startswith("/") and exists(guest, path):
            for _, line in lines_of(read_small(guest, path) or b""):
                if not line.startswith("#"):
                    return path
    return ""
