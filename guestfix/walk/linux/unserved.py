"""Where nobody sets a NIC of the target up: the service is off, or every profile is for a name that it can't get.

Only of a guest that was read from its disks: a tree may lack what is there. Sources: systemd.net-naming-scheme(7):
``ens`` and a hot-plug slot, of which PCI has 32 on one bus (only VMware numbers its own from 32 on), ``enx`` and the
hardware address; NetworkManager.conf(5): no-auto-default.
"""

from __future__ import annotations

from collections.abc import Iterable

from guestfix.base.catalog.facts.boot import BOOT_DEFAULT
from guestfix.base.catalog.facts.network import (
    NETWORK_BINDINGS,
    NETWORK_CLOUD_INIT,
    NETWORK_INTERFACES,
    NETWORK_MANAGER,
    NETWORK_NO_AUTO_DEFAULT,
    NETWORK_PREDICTABLE_NAMES,
    NETWORK_SERVICE,
)
from guestfix.base.catalog.records.network import Nic
from guestfix.base.facts import Evidence, Finding
from guestfix.base.patterns import regex
from guestfix.detect.files import is_link, lines_of, names_in, paths_like, read_small
from guestfix.detect.network.entrance import kept_name
from guestfix.detect.network.services import SERVICES, look
from guestfix.detect.system.initsystem import Services
from guestfix.formats.network.wired import is_wired
from guestfix.walk.scene import Scene, is_whole

_BY_THEMSELVES = ("networkmanager", "dhcpcd", "connman")
"""Services that take a wired NIC without a profile."""

_OWN = regex(r".*\b(?:dhclient|dhcpcd|udhcpc|ifup|ifconfig|ip (?:-\d )?(?:link|addr|a|l)\w*|nmcli|netplan|wicked)\b")
_SCRIPTS = ("/etc/rc.local", "/etc/rc.d/rc.local", "/etc/init.d/boot.local", "/etc/conf.d/local.start")
_SLOT = regex(r"ens(\d{1,5})\Z")
_ADDRESS = regex(r"enx[0-9a-f]{12}\Z")
_KERNELS = regex(r"eth\d{1,4}\Z")
_NO_SLOT = ("netvsc", "xen-netfront", "netfront", "vif")
"""NICs on no PCI bus, which keep the kernel's name."""


def check(scene: Scene) -> Iterable[Finding]:
    """Find a network service that is off, and profiles that are for other names than the target's NIC can have."""
    if not is_whole(scene) or _set_up_otherwise(scene):
        return
    yield from _off(scene)
    yield from _names_gone(scene)


def _set_up_otherwise(scene: Scene) -> bool:
    """Tell whether cloud-init, the kernel's arguments or a script of the guest's own may set a NIC up."""
    entry = scene.facts.value(BOOT_DEFAULT)
    if scene.facts.value(NETWORK_CLOUD_INIT) == "enabled" or entry is None:
        return True
    if any(arg.startswith(("ip=", "netroot=", "ifname=")) for arg in entry.args):
        return True
    units = [
        one for one in paths_like(scene.guest, "/etc/systemd/system/*.service", 64) if not is_link(scene.guest, one)
    ]
    texts = (read_small(scene.guest, path) or b"" for path in (*_SCRIPTS, *units))
    return any(_OWN.match(line) for text in texts for _, line in lines_of(text) if not line.startswith("#"))


def _off(scene: Scene) -> Iterable[Finding]:
    service = scene.facts.value(NETWORK_SERVICE)
    if service is None or service.state not in ("off", "masked"):
        return
    index = Services(scene.guest)
    used = scene.facts.value(NETWORK_MANAGER, "")
    if any(look(scene.guest, index, one).state == "on" for one in _BY_THEMSELVES if one in SERVICES and one != used):
        return
    summary = f"{service.name}, which sets the network up, does not start at boot, and nothing else does it"
    place = Evidence(service.unit or "/etc/systemd/system", 0, service.state)
    remedy = f"enable it before the migration (systemctl enable {service.name}; chkconfig, rc-update)"
    yield Finding("GF-NETWORK-SERVICE-OFF", "warning", summary, (place,), remedy, outcome="stops")


def _names_gone(scene: Scene) -> Iterable[Finding]:
    """Every wired NIC that has a profile has one by a name that no NIC of the target gets."""
    wired = [one for one in scene.facts.value(NETWORK_INTERFACES) or () if is_wired(one)]
    by_itself = scene.facts.value(NETWORK_MANAGER) in _BY_THEMSELVES and not scene.facts.value(NETWORK_NO_AUTO_DEFAULT)
    if not wired or by_itself or not all(_is_gone(scene, one) for one in wired):
        return
    names = ", ".join(one.name for one in wired[:4])
    summary = f"the network is set up for {names} only, which no NIC of {scene.target.id} is called"
    remedy = "let a profile take any wired NIC (--policy network=dhcp), or name the new NIC with --network-map"
    places = tuple(Evidence(one.path, one.line, one.name) for one in wired[:4])
    yield Finding("GF-NETWORK-NAME-GONE", "warning", summary, places, remedy, outcome="stops")


def _is_gone(scene: Scene, nic: Nic) -> bool:
    if nic.any_nic or not nic.bound_name or nic.tied_to or kept_name(scene.guest, scene.facts, nic):
        return False
    given = {one.name for one in scene.facts.value(NETWORK_BINDINGS) or ()}
    if nic.name in given or names_in(scene.guest, "/etc/iftab") or nic.name in _links(scene):
        return False
    slot = _SLOT.match(nic.name)
    if slot:
        return int(slot[1]) > 31 and scene.target.hypervisor != "vmware"
    plain = _KERNELS.match(nic.name) and scene.target.nic not in _NO_SLOT
    return bool(_ADDRESS.match(nic.name)) or bool(plain and scene.facts.value(NETWORK_PREDICTABLE_NAMES))


def _links(scene: Scene) -> str:
    """Return the text of all .link files, by which an administrator names NICs."""
    paths = paths_like(scene.guest, "/etc/systemd/network/*.link", 64)
    return "\n".join((read_small(scene.guest, path) or b"").decode("utf-8", "replace") for path in paths)
