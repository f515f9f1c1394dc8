"""Names of NICs: old bindings out of the way, old names given to new NICs where the configuration needs them."""

from __future__ import annotations

from guestfix.actions.network.common import Setup, begin
from guestfix.actions.network.mentions import Mentions
from guestfix.actions.workbench import Workbench
from guestfix.base.catalog.facts.network import NETWORK_PREDICTABLE_NAMES, NETWORK_STACK
from guestfix.base.catalog.facts.system import NETWORK_MAP
from guestfix.base.catalog.records.network import Nic
from guestfix.base.facts import Evidence
from guestfix.detect.network.state import PIN
from guestfix.formats.network.nic import IFNAME, kernel_name, norm_mac
from guestfix.formats.network.udevnet import pin_rules
from guestfix.formats.network.wired import CARRIED, natural, wires_of

BY_NAME = ("ifupdown", "initscripts", "wicked", "ifup")
"""Who needs an interface's name and knows no wildcard (ifupdown: none that it can wait for at boot)."""


def keep_names(bench: Workbench, *, policy: str) -> None:
    """Give the names that the configuration uses to the NICs of the new platform, by a udev rule.

    ``dhcp``: only for the NIC with the default route, where the program in charge works by name, or where firewall
    rules, kernel settings, services or scripts say that name too.
    ``dhcp-first`` and ``preserve``: for every wired NIC, by the map, else in the kernel's order.
    """
    stack = bench.facts.value(NETWORK_STACK, "")
    setup = begin(bench, stack, policy)
    _unused(setup)
    lost = _lost(setup)
    own = [setup.renamed(nic) for nic in setup.own]
    setup.primary = setup.renamed(setup.primary) if setup.primary is not None else None
    setup.own = own
    if policy != "dhcp":
        _any(setup)
    mentions = Mentions(bench)
    wanted = _wanted(setup, mentions)
    kept = {nic.name for nic in wanted}
    mentions.tell(_without_nic(setup, kept), lost, kept, _unknown_names(setup))
    places = [setup.place(nic) for nic in wanted]
    if _come_by_themselves(setup, wanted, places):
        return
    main = setup.primary or (wanted[0] if wanted and policy == "dhcp" else None)
    chosen = main.name if main is not None and policy != "preserve" else ""
    new = pin_rules([nic.name for nic in wanted], places, chosen)
    if new:
        setup.write(PIN, setup.read(PIN), new)
        _tell(bench, wanted, places, policy)
        if policy == "dhcp" and setup.manager not in BY_NAME:
            mentions.tell_kept([nic.name for nic in wanted], PIN)


def _lost(setup: Setup) -> list[str]:
    """Return the addresses that the policy takes away."""
    if setup.policy == "preserve":
        return []
    return [one for nic in setup.nics if setup.is_removed(nic) or setup.is_primary(nic) for one in nic.addresses]


def _without_nic(setup: Setup, kept: set[str]) -> list[str]:
    """Return the names of configured NICs that no new NIC is given, and that the kernel doesn't give by itself."""
    own = setup.bench.facts.value(NETWORK_PREDICTABLE_NAMES, True) is False
    ours = [nic for nic in setup.nics if nic.bound_name or (nic.stack == "netplan" and nic.bound_mac)]
    wired = dict.fromkeys(nic.name for nic in ours if nic.kind == "ethernet")
    names = [name for name in wired if name not in kept and not (own and kernel_name(name))]
    carried = dict.fromkeys(nic.name for nic in setup.nics if nic.kind in ("bond", "bridge", "team", "vlan"))
    goes = {nic.name for nic in setup.nics if setup.is_removed(nic)} if setup.policy == "dhcp" else set()
    return [*names, *(name for name in carried if name in goes and name not in kept)]


def _wanted(setup: Setup, mentions: Mentions) -> list[Nic]:
    if setup.policy == "dhcp":
        if setup.manager not in BY_NAME:
            return [setup.primary] if setup.primary is not None and _said_elsewhere(setup.primary, mentions) else []
        return [setup.primary or Nic("eth0")]
    ports = _only_named(setup) if setup.manager in BY_NAME else []
    wired = [
        nic
        for nic in [*setup.own, *ports]
        if nic.kind == "ethernet" and IFNAME.match(nic.name) and _by_name(setup, nic)
    ]
    unique = {nic.name: nic for nic in reversed(wired)}
    return sorted(unique.values(), key=lambda nic: natural(nic.name))


def _unknown_names(setup: Setup) -> bool:
    """Tell whether a wired NIC had a name by its place that no file of the configuration tells."""
    wired = [nic for nic in setup.nics if nic.kind == "ethernet"]
    named = wired and all(nic.bound_name or (nic.stack == "netplan" and nic.bound_mac) for nic in wired)
    return not named and setup.bench.facts.value(NETWORK_PREDICTABLE_NAMES) is True


def _said_elsewhere(nic: Nic, mentions: Mentions) -> bool:
    """Tell whether other files say the NIC's name, and the profile that takes any wired NIC takes one of that name."""
    bound = nic.kind == "ethernet" and (nic.bound_name or (nic.stack == "netplan" and nic.bound_mac))
    fits = IFNAME.match(nic.name) and nic.name.startswith(("en", "eth"))
    return bool(bound and fits and mentions.say(nic.name))


def _only_named(setup: Setup) -> list[Nic]:
    """Return the ports of bonds and bridges that no file configures: a line of the bond or bridge names them."""
    carried = [nic for nic in setup.own if nic.kind in CARRIED]
    return [wire for nic in carried for wire in wires_of(nic, setup.nics) if wire not in setup.own]


def _by_name(setup: Setup, nic: Nic) -> bool:
    """Tell whether the file will match the NIC by its name."""
    return nic.bound_name or (setup.stack in ("netplan", "networkd") and nic.bound_mac and not setup.new_mac(nic))


def _come_by_themselves(setup: Setup, wanted: list[Nic], places: list[str]) -> bool:
    """Tell whether the kernel's own names are the wanted ones and nothing in the guest changes them."""
    others = [nic for nic in setup.own if nic.kind == "ethernet" and nic.name not in {one.name for one in wanted}]
    if setup.bench.facts.value(NETWORK_PREDICTABLE_NAMES, True) or any(places):
        return False
    if setup.policy == "dhcp-first" or (setup.policy == "dhcp" and others):
        return False  # the file also notes which NIC was chosen
    return all(kernel_name(nic.name) and nic.name == f"eth{index}" for index, nic in enumerate(wanted))


def _unused(setup: Setup) -> None:
    """Name the NICs of the map that the guest's configuration doesn't have."""
    known = {name for nic in setup.nics for name in (nic.name, nic.mac, nic.id)}
    table = setup.bench.facts.value(NETWORK_MAP, {}) or {}
    lost = [old for old in table if old not in known and (norm_mac(old) or old) not in known]
    if lost:
        summary = f"the network map names {', '.join(lost)}, which the guest's configuration does not have"
        place = Evidence("network.map", 0, ", ".join(lost))
        setup.bench.find("GF-NETWORK-MAP-UNUSED", "warning", summary, place, remedy="compare it with guestfix inspect")


def _any(setup: Setup) -> None:
    """Name the profiles that were bound by MAC alone: without a new one they take whichever NIC comes first."""
    loose = [
        nic
        for nic in setup.own
        if nic.kind == "ethernet" and nic.bound_mac and not _by_name(setup, nic) and not setup.new_mac(nic)
    ]
    names = ", ".join(nic.id or nic.name for nic in loose)
    if loose:
        setup.bench.find(
            "GF-NETWORK-NO-MAP",
            "warning",
            f"{names} was bound to a MAC of the old hardware and will take any free NIC",
            *_places(loose),
            remedy="give --network-map a file with old name (or MAC): new MAC (or name)",
        )


def _places(nics: list[Nic]) -> list[Evidence]:
    return list(dict.fromkeys(Evidence(nic.path, nic.line) for nic in nics))


def _tell(bench: Workbench, wanted: list[Nic], places: list[str], policy: str) -> None:
    by_order = [nic.name for nic, place in zip(wanted, places, strict=True) if not place]
    taken = [nic.name for nic, place in zip(wanted, places, strict=True) if place and kernel_name(nic.name)]
    if len(taken) > 1:
        bench.find(
            "GF-NETWORK-NAMES-TAKEN",
            "info",
            f"{', '.join(taken)} are names that the kernel gives too; systemd's udev exchanges none that are in use",
            *_places(wanted),
            remedy=f"attach the NICs on the new platform in this order: {', '.join(taken)}",
        )
    if by_order and (policy == "preserve" or len(wanted) > 1):
        bench.find(
            "GF-NETWORK-NO-MAP",
            "warning" if policy == "preserve" else "info",
            f"no new NIC is given for {', '.join(by_order)}: the names go to the new NICs in the kernel's order",
            *_places(wanted),
            remedy="give --network-map a file with old name (or MAC): new MAC (or name)",
        )
    if by_order and len(wanted) == 1:
        bench.follow_up(f"the first NIC of the new platform is called {by_order[0]} (by {PIN})")
    elif wanted:
        bench.follow_up(f"the NICs of the new platform are called {', '.join(n.name for n in wanted)} (by {PIN})")
