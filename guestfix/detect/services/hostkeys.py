"""What makes SSH host keys at a start of the guest.

Sources: sshd-keygen units (Fedora, RHEL, Photon, Arch, Raspberry Pi OS), sshd-gen-keys-start (SUSE), init scripts that
call ssh-keygen (RHEL 6, Alpine, Gentoo, SUSE), cloud-init's cc_ssh for a new instance. Debian's package makes them only
as it is installed.
"""

from __future__ import annotations

from guestfix.base.facts import Evidence, Facts
from guestfix.base.guest import GuestFS
from guestfix.base.patterns import regex
from guestfix.detect.files import lines_of, names_in, read_small
from guestfix.detect.network.state import cloud_init
from guestfix.detect.system.initsystem import UNIT_FOLDERS, Services

_UNIT = regex(r"(?:.*keygen.*|sshdgenkeys|.*genkeys.*|regenerate.*host.*keys.*)\.service\Z")
_MAKES = regex(r"ssh-keygen|sshd-gen-keys|sshd-keygen|sshdgenkeys|dropbearkey|dropbear\b.*\s-R\b")
_SERVERS = ("sshd.service", "ssh.service", "sshd@.service", "ssh@.service", "dropbear.service")
_SCRIPTS = ("/etc/init.d/sshd", "/etc/init.d/ssh", "/etc/rc.d/init.d/sshd", "/etc/init.d/dropbear", "/etc/sv/sshd/run")
_LOCAL = ("/etc/rc.local", "/etc/rc.d/rc.local")


def key_maker(guest: GuestFS, facts: Facts, services: Services) -> Evidence | None:
    """Return what makes host keys at the next start, or None."""
    units = [(folder, name) for folder in UNIT_FOLDERS for name in names_in(guest, folder)]
    for folder, name in units:
        if _UNIT.match(name) and services.find([name.replace("@.", "@rsa.") if "@." in name else name]).state == "on":
            return Evidence(f"{folder}/{name}")
    texts = [f"{folder}/{name}" for folder, name in units if name in _SERVERS]
    for path in [*texts, *_SCRIPTS, *_LOCAL]:
        for number, line in lines_of(read_small(guest, path) or b""):
            if not line.startswith("#") and _MAKES.search(line[:1000]):
                return Evidence(path, number, line[:200])
    state, where = cloud_init(guest, facts)
    return where if state in ("enabled", "network-disabled") else None
