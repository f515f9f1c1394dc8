"""What the network actions of all stacks share: the NICs and the policy."""

from __future__ import annotations

import itertools
from collections.abc import Callable

from guestfix.actions.workbench import Workbench
from guestfix.base.catalog.facts.network import (
    NETWORK_CARRIER,
    NETWORK_INTERFACES,
    NETWORK_MANAGER,
    NETWORK_PRIMARY,
    NETWORK_STACK,
)
from guestfix.base.catalog.facts.system import NETWORK_MAP
from guestfix.base.catalog.records.network import Nic
from guestfix.base.edit import Link
from guestfix.base.errors import GuestError
from guestfix.base.facts import Evidence
from guestfix.base.record import mutable, replace
from guestfix.detect.network.read import home_of
from guestfix.formats.network.nic import MAX_CONFIG, called, is_mac, norm_mac
from guestfix.formats.network.wired import CARRIED, stands_on_wire, wires_of

SWITCHED = ("networkmanager", "netplan", "ifcfg", "ifcfg-suse")
"""Stacks whose files say whether they are used at boot; ifupdown has other ways (a bridge, a mapping) to use one."""

Editor = Callable[[bytes | None], bytes | None]


@mutable
class Setup:
    """One stack's part of the network at work. ``own`` are the stack's NICs, ``nics`` all of them.

    ``primary`` is the interface that is to use DHCP: the wired NIC below the default route, which then stands
    alone, or (``dhcp-first``) the interface with the default route itself. ``unconfigured``: no
    file configures it, only something on it, such as a VLAN.
    """

    bench: Workbench
    stack: str
    policy: str
    nics: list[Nic]
    own: list[Nic]
    primary: Nic | None
    manager: str
    unconfigured: bool = False

    @property
    def needs_profile(self) -> bool:
        """Whether policy ``dhcp`` must add a file, for no file of the stack in charge configures the NIC."""
        return self.policy == "dhcp" and self.in_charge and (self.primary is None or self.unconfigured)

    @property
    def in_charge(self) -> bool:
        """Whether this stack has the wired NIC that carries the default route, or would have to get one."""
        return bool(self.bench.facts.value(NETWORK_STACK) == self.stack)

    @property
    def leaves_bonds(self) -> bool:
        """Whether the primary NIC leaves the bond, bridge or team that it is a port of."""
        return self.policy == "dhcp"

    def is_primary(self, nic: Nic) -> bool:
        """Tell whether this is the NIC that is to use DHCP."""
        return self.primary is not None and nic == self.primary

    def wired(self, nic: Nic) -> bool:
        """Tell whether the interface is a wired NIC or stands on one; others (Wi-Fi, VPN) are left alone."""
        return nic.kind == "ethernet" or (nic.kind in CARRIED and stands_on_wire(nic, self.nics))

    def is_removed(self, nic: Nic) -> bool:
        """Tell whether policy ``dhcp`` removes it: what stands on a NIC, and further NICs that aren't DHCP."""
        if self.policy != "dhcp" or self.is_primary(nic) or not self.wired(nic) or self.idle(nic):
            return False
        if nic.unmanaged and nic.stack == "networkd" and not nic.bound_name and not nic.bound_mac:
            return True  # it would take the new NIC from the file that is to set it up
        said = nic.tied_to or nic.addresses or nic.gateway or nic.gateway6
        return nic.kind != "ethernet" or nic.method == "static" or bool(said)

    def idle(self, nic: Nic) -> bool:
        """Tell whether a profile of a NIC of its own is not brought up at boot, so that the move changes nothing."""
        return not nic.auto and nic.kind == "ethernet" and not nic.tied_to and self.stack in SWITCHED

    def optional(self, nic: Nic) -> bool:
        """Tell whether the boot must not wait for this NIC: one that the default route does not need."""
        if self.policy == "preserve" or nic.kind != "ethernet" or self.is_primary(nic) or self.idle(nic):
            return False
        return self.primary is None or nic not in wires_of(self.primary, self.nics)

    def read(self, path: str) -> bytes | None:
        """Return the file's bytes as they are planned so far, or None where there are none."""
        try:
            return self.bench.fs.read(path, MAX_CONFIG)
        except GuestError:
            return None

    def write(self, path: str, before: bytes | None, after: bytes | None, *, mode: int | None = None) -> None:
        """Plan the new content of path, where it differs; of a file behind /etc in the one that hides it."""
        if after is not before and after != before:
            home = home_of(path)
            self.bench.fs.put(home, Link("/dev/null") if after is None and home != path else after, mode=mode)

    def aside(self, path: str) -> None:
        """Plan that path is moved aside, if it is there."""
        before = self.read(path)
        if before is not None:
            self.write(path, before, None)

    def files(self) -> list[Nic]:
        """Return the stack's NICs that have a file."""
        return [nic for nic in self.own if not (self.unconfigured and self.is_primary(nic))]

    def each(self, dhcp: Editor, keep: Callable[[bytes | None, Nic], bytes | None]) -> None:
        """Plan each of the stack's files: moved aside, changed to DHCP, or kept but tied to the new NIC."""
        for nic in self.files():
            if self.is_removed(nic):
                self.aside(nic.path)
                continue
            if self.idle(nic) and not self.is_primary(nic) and self.policy == "dhcp":
                continue
            before = after = self.read(nic.path)
            if self.is_primary(nic) and self.policy != "preserve":
                after = dhcp(after)
            if self.wired(nic) and not (self.leaves_bonds and self.is_primary(nic)):
                after = keep(after, nic)
            self.write(nic.path, before, after)

    def renamed(self, nic: Nic) -> Nic:
        """Return how a SUSE file that is named after old hardware (ifcfg-eth-id-MAC) will be named."""
        if self.stack != "ifcfg-suse" or nic.bound_name:
            return nic
        mac = self.new_mac(nic)
        if mac and not self.is_primary(nic):
            return replace(nic, name=f"eth-id-{mac}")
        return replace(nic, name=self._plain_names().get(nic.path, nic.name), bound_name=True)

    def _plain_names(self) -> dict[str, str]:
        """Return the names that files named after old hardware get: the primary's comes first, none twice."""
        old = [one for one in self.own if not one.bound_name and (self.is_primary(one) or not self.new_mac(one))]
        old.sort(key=lambda one: not self.is_primary(one))
        taken = {one.name for one in self.own if one.bound_name}
        free = (name for number in itertools.count() if (name := f"eth{number}") not in taken)
        return dict(zip((one.path for one in old), free, strict=False))

    def added(self, path: str) -> None:
        """Tell that no wired NIC was configured, and that a file now makes them use DHCP."""
        missing = f"no file configured {self.primary.name} itself" if self.primary else "no wired NIC was configured"
        summary = f"{missing} for {self.stack}; {path} now makes one use DHCP"
        self.bench.find("GF-NETWORK-ADDED", "info", summary, Evidence(path))

    def hook_lost(self, nic: Nic, command: str, place: Evidence) -> None:
        """Tell of a command that leaves with the interface that it was run for."""
        summary = f"{called(nic)} is taken out, and with it a command that was run for it: {command[:200]}"
        remedy = "if it loads firewall rules or sets what the guest still needs, have it run in another way"
        self.bench.find("GF-NETWORK-HOOK-LOST", "warning", summary, place, remedy=remedy)

    def place(self, nic: Nic) -> str:
        """Return what the map says of the NIC: its new hardware address or name, or ""."""
        known = self.bench.facts.value(NETWORK_MAP) or {}
        table = {norm_mac(old) or old: str(new).strip() for old, new in known.items()}
        return table.get(nic.name) or table.get(nic.mac or "-") or table.get(nic.id or "-") or ""

    def new_mac(self, nic: Nic) -> str:
        """Return the NIC's new hardware address where the map gives one, else ""."""
        place = self.place(nic)
        return norm_mac(place) if is_mac(place) else ""


def begin(bench: Workbench, stack: str, policy: str) -> Setup:
    """Return the setup of a stack; what its NICs lose is told by :func:`guestfix.actions.network.lost.tell_lost`."""
    nics = list(bench.facts.value(NETWORK_INTERFACES, []))
    primary = bench.facts.value(NETWORK_CARRIER if policy == "dhcp-first" else NETWORK_PRIMARY)
    own = [one for one in nics if one.stack == stack]
    main = primary if primary and primary.stack == stack else None
    unconfigured = main is not None and main not in own
    if main is not None and unconfigured:
        nics.append(main)
        own.append(main)
    manager = bench.facts.value(NETWORK_MANAGER, "")
    return Setup(bench, stack, policy, nics, own, main, manager, unconfigured)
