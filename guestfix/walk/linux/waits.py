"""What holds a boot up while no network comes, and for how many seconds at most.

Sources: systemd-networkd-wait-online.service(8) (120 s), nm-online(1) (NM_ONLINE_TIMEOUT of the unit, 60 s),
dhclient.conf(5) (timeout: 60 s), upstart's failsafe.conf of Ubuntu (20 + 40 + 59 s for interfaces that are ``auto`` and
never come), systemd.service(5): TimeoutStartSec.
"""

from __future__ import annotations

from guestfix.base.catalog.facts.network import NETWORK_CARRIER, NETWORK_DHCP_CLIENT, NETWORK_MANAGER
from guestfix.base.facts import Evidence
from guestfix.base.patterns import regex
from guestfix.detect.files import lines_of, names_in, read_small
from guestfix.detect.system.initsystem import UNIT_FOLDERS, Services
from guestfix.walk.scene import Scene

_WAITERS = {
    "networkd": ("systemd-networkd-wait-online.service", 120),
    "networkmanager": ("NetworkManager-wait-online.service", 60),
}
"""By who sets the network up: the unit that waits for it, and the seconds of its own."""

_GIVEN = regex(r"ExecStart=.*(?:--timeout[= ]|\s-t\s?)(\d{1,6})\b|Environment=\"?NM_ONLINE_TIMEOUT=(\d{1,6})\b")
_LIMIT = regex(r"TimeoutStartSec=(\d{1,6})(s|sec|min|)\s*\Z")
FAILSAFE, FAILSAFE_SECONDS = "/etc/init/failsafe.conf", 119
_CLIENTS = ("/etc/dhcp/dhclient.conf", "/etc/dhcp3/dhclient.conf", "/etc/dhclient.conf")
_TIMEOUT = regex(r"timeout\s+(\d{1,6})\s*;")
DHCLIENT_SECONDS = 60


def waiter(scene: Scene) -> tuple[int, Evidence] | None:
    """Return for how long the boot waits in vain, and what waits; None where nothing does."""
    manager = scene.facts.value(NETWORK_MANAGER, "")
    unit, seconds = _WAITERS.get(manager, ("", 0))
    if unit:
        service = Services(scene.guest).find((unit,), ())
        return (_of_unit(scene, unit, seconds), Evidence(service.path, 0, unit)) if service.state == "on" else None
    carrier = scene.facts.value(NETWORK_CARRIER)
    if manager != "ifupdown" or carrier is None or not carrier.auto:
        return None
    if names_in(scene.guest, "/etc/init") and read_small(scene.guest, FAILSAFE) is not None:
        return FAILSAFE_SECONDS, Evidence(FAILSAFE)
    if carrier.method == "dhcp" and scene.facts.value(NETWORK_DHCP_CLIENT) == "dhclient":
        return _dhclient(scene)
    return None


def _of_unit(scene: Scene, unit: str, seconds: int) -> int:
    """Return the seconds that the unit or its drop-ins say; the service manager's own limit cuts them."""
    homes = [f"{folder}/{unit}" for folder in reversed(UNIT_FOLDERS)]
    paths = [*homes, *(f"{home}.d/{name}" for home in homes for name in names_in(scene.guest, f"{home}.d")[:64])]
    limit = 0
    for path in paths:
        for _, line in lines_of(read_small(scene.guest, path) or b""):
            given, most = _GIVEN.match(line), _LIMIT.match(line)
            seconds = int(given[1] or given[2]) if given else seconds
            limit = int(most[1]) * (60 if most[2] == "min" else 1) if most else limit
    return min(seconds, limit) if limit and seconds else limit or seconds


def _dhclient(scene: Scene) -> tuple[int, Evidence]:
    for path in _CLIENTS:
        for number, line in lines_of(read_small(scene.guest, path) or b""):
            if found := _TIMEOUT.match(regex(r"\s*#.*").sub("", line)):
                return int(found[1]), Evidence(path, number, line)
    return DHCLIENT_SECONDS, Evidence(scene.facts.evidence(NETWORK_CARRIER)[0].path, 0, "dhclient's own timeout")
