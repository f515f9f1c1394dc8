"""Red Hat's and SUSE's ifcfg files, with the route files beside them."""

from __future__ import annotations

from guestfix.actions.network.common import Setup, begin
from guestfix.actions.network.lost import tell_lost
from guestfix.actions.network.zones import zone_to_keep
from guestfix.actions.workbench import Workbench
from guestfix.base.catalog.facts.network import NETWORK_NO_AUTO_DEFAULT
from guestfix.base.catalog.records.network import Nic
from guestfix.base.facts import Evidence
from guestfix.detect.network.read import SCRIPTS, SUSE
from guestfix.editors.network import ifcfg, routes
from guestfix.formats.network.nic import IFNAME
from guestfix.formats.shellvars import assignments


def red_hat(bench: Workbench, *, policy: str) -> None:
    """Apply the network policy to ifcfg files of Red Hat's family."""
    setup = begin(bench, "ifcfg", policy)
    any_nic = policy == "dhcp" and setup.manager == "networkmanager"
    _files(setup, any_nic=any_nic, suse=False)
    if policy != "preserve" and setup.in_charge:
        path = "/etc/sysconfig/network"
        before = setup.read(path)
        setup.write(path, before, ifcfg.networking_on(ifcfg.no_gateway(before)))
    tell_lost(setup)


def suse(bench: Workbench, *, policy: str) -> None:
    """Apply the network policy to ifcfg files of SUSE's (wicked, or the older ifup scripts)."""
    setup = begin(bench, "ifcfg-suse", policy)
    _files(setup, any_nic=False, suse=True)
    if policy != "preserve" and setup.in_charge:
        _suse_common(setup)
    tell_lost(setup)


def _suse_common(setup: Setup) -> None:
    """Take the old network out of the files that are for all of SUSE's interfaces."""
    gone = {nic.name for nic in setup.own if setup.is_removed(nic)}
    mine = {nic.name for nic in setup.own if setup.is_primary(nic)}
    path, config, leases = f"{SUSE}/routes", f"{SUSE}/config", f"{SUSE}/dhcp"
    before = setup.read(path)
    loose = setup.policy == "dhcp"
    setup.write(path, before, routes.no_old_routes(before, devices=mine, gone=gone, loose=loose))
    if setup.primary is not None:
        before = setup.read(config)
        setup.write(config, before, ifcfg.no_fixed_dns(before, whole=setup.primary.method != "dhcp"))
        before = setup.read(leases)
        setup.write(leases, before, ifcfg.lease_in_use(before))


def _files(setup: Setup, *, any_nic: bool, suse: bool) -> None:
    zone = zone_to_keep(setup) if any_nic else ""
    for nic in setup.files():
        if setup.is_removed(nic):
            _tell_scripts(setup, nic)
            setup.aside(nic.path)
            _routes_aside(setup, nic, whole=True)
        elif suse and not nic.bound_name:
            _renamed(setup, nic)
        elif setup.is_primary(nic) and setup.policy != "preserve":
            before = setup.read(nic.path)
            after = ifcfg.dhcp(before, any_nic=any_nic, suse=suse, leave_bonds=setup.leaves_bonds)
            setup.write(nic.path, before, ifcfg.in_zone(after, zone=zone))
            _routes_aside(setup, nic)
        elif setup.wired(nic) and not (setup.policy == "dhcp" and setup.idle(nic)):
            _keep(setup, nic, suse)
    if setup.needs_profile:
        _fresh(setup, suse)


def _renamed(setup: Setup, nic: Nic) -> None:
    """Move a file that is named after old hardware to the new NIC's MAC, or a plain name."""
    before = setup.read(nic.path)
    path = f"{SUSE}/ifcfg-{setup.renamed(nic).name}"
    if before is None or setup.read(path) is not None:
        return
    if setup.is_primary(nic) and setup.policy != "preserve":
        before = ifcfg.dhcp(before, suse=True, leave_bonds=setup.leaves_bonds)
        _routes_aside(setup, nic, whole=True)
    elif setup.optional(nic):
        before = ifcfg.optional(before)
    setup.aside(nic.path)
    setup.write(path, None, before)


def _tell_scripts(setup: Setup, nic: Nic) -> None:
    """Name the scripts that leave with a SUSE interface."""
    for one in assignments(setup.read(nic.path) or b""):
        if one.name in _SCRIPTS and one.value:
            setup.hook_lost(nic, f"{one.name}={one.value}", Evidence(nic.path))


_SCRIPTS = ("PRE_UP_SCRIPT", "POST_UP_SCRIPT", "PRE_DOWN_SCRIPT", "POST_DOWN_SCRIPT")


def _keep(setup: Setup, nic: Nic, suse: bool) -> None:
    """Leave an interface as it is, but for what binds it to old hardware."""
    before = setup.read(nic.path)
    after = ifcfg.rebind(before, mac=setup.new_mac(nic), suse=suse)
    if suse and setup.optional(nic):
        after = ifcfg.optional(after)
    setup.write(nic.path, before, after)


def _routes_aside(setup: Setup, nic: Nic, *, whole: bool = False) -> None:
    """Take routes to the old network out of an interface's files of routes; ``whole``: move these aside as they are.

    A file of routes that none is left in is moved aside, and so are its rules.
    """
    folder, _, name = nic.path.rpartition("/")
    suffix = name.partition("-")[2]
    for start in ("route-", "route6-", "ifroute-"):
        path = f"{folder}/{start}{suffix}"
        before = setup.read(path)
        if before is not None:
            setup.write(path, before, None if whole else routes.on_link(before, suse=start == "ifroute-"))
    for start in ("rule-", "rule6-"):
        setup.aside(f"{folder}/{start}{suffix}")


def _fresh(setup: Setup, suse: bool) -> None:
    """Add a file where no NIC has one; NetworkManager makes a DHCP profile of its own unless told not to."""
    by_itself = setup.manager == "networkmanager" and not setup.bench.facts.value(NETWORK_NO_AUTO_DEFAULT)
    if by_itself and not setup.unconfigured:
        return
    name = setup.primary.name if setup.primary is not None else "eth0"
    path = f"{SUSE if suse else SCRIPTS}/ifcfg-{name}"
    before = setup.read(path)
    if before is None and IFNAME.match(name):
        new = ifcfg.fresh(name, suse=suse)
        setup.write(path, None, ifcfg.dhcp(new, any_nic=setup.manager == "networkmanager", suse=suse))
        _routes_aside(setup, Nic(name, path))  # of no use until now, and to the old network from now on
        setup.added(path)
