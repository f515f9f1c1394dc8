"""What keeps NetworkManager from managing a wired NIC that is new on the target.

Sources: NetworkManager.conf(5): unmanaged-devices, device sections and the order of its files; NetworkManager(8):
NM_UNMANAGED of udev. The target's NIC has an address, and mostly a name, that no list of the guest has.
"""

from __future__ import annotations

from fnmatch import fnmatchcase
from typing import TYPE_CHECKING

from guestfix.base.catalog.facts.network import (
    NETWORK_MANAGER,
    NETWORK_PREDICTABLE_NAMES,
    NETWORK_PRIMARY,
    NETWORK_STACK,
)
from guestfix.base.errors import TooLarge
from guestfix.base.facts import Evidence, Facts
from guestfix.base.guest import GuestFS
from guestfix.base.record import frozen
from guestfix.detect.files import names_in, read_small
from guestfix.formats.ini import Setting, get, groups
from guestfix.formats.network.devicelist import Device, matches, parse
from guestfix.formats.network.nic import MAX_CONFIG
from guestfix.pack.model import Target

if TYPE_CHECKING:
    from guestfix.formats.udevrules import Rule

MAIN = "/etc/NetworkManager/NetworkManager.conf"
SHIPPED, OWN = "/usr/lib/NetworkManager/conf.d", "/etc/NetworkManager/conf.d"
RULES, SHIPPED_RULES = "/etc/udev/rules.d", "/usr/lib/udev/rules.d"
MOST_RULES = 256
_SHIPS = ("84-nm", "85-nm", "50-udev", "60-", "70-", "71-", "73-", "78-", "80-drivers")
"""What rules begin with that systemd and NetworkManager bring: none of them keeps a wired NIC from it."""
_NETPLANS = "10-globally-managed-devices.conf"
"""Ubuntu's list, which netplan's generator puts out of force where NetworkManager is its renderer."""

_NEW_NAME, _NEW_MAC = "ens97", "02:00:00:00:00:00"
_NO = ("0", "no", "false", "off")


@frozen
class Refusal:
    """A line by which a new NIC is not managed. ``kind``: list, section (of a device) or udev."""

    kind: str
    path: str
    line: int
    text: str

    @property
    def place(self) -> Evidence:
        """Return where it stands."""
        return Evidence(self.path, self.line, self.text[:300])


_CALLED = {"xen_netfront": "vif", "xennet": "vif"}
"""What sysfs calls a driver whose module is called otherwise."""


def driver_of(target: Target) -> str:
    """Return what the kernel, NetworkManager and udev call the driver of the target's NIC; "" where it is not known."""
    names = [name.replace("-", "_") for name in target.drivers.get("network", ())]
    return _CALLED.get(names[0], names[0]) if names else ""


def new_nic(facts: Facts, policy: str, driver: str) -> Device:
    """Return the target's NIC as far as it is known: its name stays only where the kernel or a rule gives it."""
    primary = facts.value(NETWORK_PRIMARY)
    kept = primary is not None and policy in ("preserve", "dhcp-first")
    plain = facts.value(NETWORK_PREDICTABLE_NAMES, True) is False
    name = primary.name if primary is not None and kept else "eth0" if plain else _NEW_NAME
    return Device(name=name, mac=_NEW_MAC, driver=driver)


def refusals(guest: GuestFS, facts: Facts, device: Device) -> list[Refusal]:
    """Return what keeps NetworkManager from a NIC; nothing where another program has the wired NICs."""
    if facts.value(NETWORK_MANAGER) != "networkmanager":
        return []
    files = manager_files(guest, netplan=facts.value(NETWORK_STACK) == "netplan")
    return [*_listed(files, device), *_sections(files, device), *_by_udev(guest, device)]


def manager_files(guest: GuestFS, *, netplan: bool = False) -> list[tuple[str, bytes]]:
    """Return NetworkManager's own files in the order in which a later one wins."""
    own = [name for name in names_in(guest, OWN) if name.endswith(".conf")]
    shipped = [name for name in names_in(guest, SHIPPED) if name.endswith(".conf") and name not in own]
    paths = [f"{SHIPPED}/{name}" for name in shipped if not (netplan and name == _NETPLANS)]
    paths += [MAIN, *(f"{OWN}/{name}" for name in own)]
    return [(path, data) for path in paths if (data := read_small(guest, path, MAX_CONFIG)) is not None]


def _about(text: str, device: Device) -> bool:
    try:
        return matches(parse(text), device) is True
    except TooLarge:
        return False


def _listed(files: list[tuple[str, bytes]], device: Device) -> list[Refusal]:
    said: list[tuple[str, Setting]] = []
    for path, data in files:
        for one in (entry for group in groups(data) if group.name == "keyfile" for entry in group.entries):
            if one.key == "unmanaged-devices":
                said = [(path, one)]
            elif one.key == "unmanaged-devices+":
                said.append((path, one))
    if not said or not _about(",".join(one.value for _, one in said), device):
        return []
    path, last = said[-1]
    return [Refusal("list", path, last.line, f"{last.key}={last.value}")]


def _sections(files: list[tuple[str, bytes]], device: Device) -> list[Refusal]:
    """The first section that is about the NIC decides, those of the last file first."""
    for path, data in reversed(files):
        for group in groups(data):
            managed = [one for one in group.entries if one.key == "managed"]
            wanted = get([group], group.name, "match-device")
            if group.name.startswith("device") and managed and (wanted is None or _about(wanted, device)):
                last = managed[-1]
                off = last.value.lower() in _NO
                return [Refusal("section", path, last.line, f"[{group.name}] managed={last.value}")] if off else []
    return []


def _rule_files(guest: GuestFS) -> list[str]:
    """Return udev's rule files; one in /etc hides those of its name, and what NetworkManager ships is left out."""
    own = names_in(guest, RULES)
    more = [name for name in names_in(guest, SHIPPED_RULES) if name not in own and not name.startswith(_SHIPS)]
    paths = [*(f"{RULES}/{name}" for name in own), *(f"{SHIPPED_RULES}/{name}" for name in more[:MOST_RULES])]
    return [path for path in paths if path.endswith(".rules")]


def _by_udev(guest: GuestFS, device: Device) -> list[Refusal]:
    found = []
    for path in _rule_files(guest):
        data = read_small(guest, path, MAX_CONFIG) or b""
        if b"NM_UNMANAGED" not in data:
            continue
        from guestfix.formats.udevrules import read  # loads a grammar

        try:
            rules = read(data).rules
        except TooLarge:
            continue
        if not any(key.name == "GOTO" for rule in rules for key in rule.assigning()):
            found += [
                Refusal("udev", path, one.line, 'ENV{NM_UNMANAGED}="1"')
                for one in rules
                if _unmanages(one) and _holds(one, device)
            ]
    return found


def _unmanages(rule: Rule) -> bool:
    return any(
        (key.name, key.attribute) == ("ENV", "NM_UNMANAGED") and key.value.lower() not in ("", *_NO)
        for key in rule.assigning()
    )


def _holds(rule: Rule, device: Device) -> bool:
    """Tell whether every condition of a rule holds for the NIC; one that is not known does not."""
    name, known = device.name, device.driver
    values = {"SUBSYSTEM": "net", "ACTION": "add", "KERNEL": name, "NAME": name, "ENV{INTERFACE}": name}
    values |= {"ATTR{address}": device.mac, "ATTR{type}": "1", "ENV{DEVTYPE}": ""}
    values |= {"DRIVERS": known, "ENV{ID_NET_DRIVER}": known} if known else {}
    for key in rule.matching():
        value = values.get(f"{key.name}{{{key.attribute}}}" if key.attribute else key.name)
        if value is None or any(fnmatchcase(value, part) for part in key.value.split("|")) == (key.operator == "!="):
            return False
    return True
