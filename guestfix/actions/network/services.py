"""Making the network come up at boot at all, and keeping cloud-init from writing over it."""

from __future__ import annotations

from guestfix.actions.workbench import Workbench
from guestfix.base.catalog.facts.network import NETWORK_CLOUD_INIT, NETWORK_CLOUD_INIT_DATASOURCE, NETWORK_SERVICE
from guestfix.base.catalog.facts.software import CLOUDINIT_NETWORK_PLACES
from guestfix.base.edit import Link
from guestfix.base.facts import Evidence

OWN = "/etc/systemd/system"
DISABLED = "/etc/cloud/cloud.cfg.d/99-guestfix-network.cfg"
_LINKED = {"openrc": "/etc/runlevels/default", "runit": "/etc/runit/runsvdir/default"}
"""Where OpenRC and runit look for links to what starts at boot."""


def enable(bench: Workbench) -> None:
    """Start the network service of the stack in charge at boot, by the link (or file) its init system looks for."""
    service = bench.facts.value(NETWORK_SERVICE)
    if not service or service.state not in ("off", "masked"):
        return
    name, unit = service.name, service.unit
    done = False
    if service.system == "systemd" and unit:
        if service.state == "masked":
            bench.fs.put(f"{OWN}/{name}", Link(unit))
        bench.fs.put(f"{OWN}/multi-user.target.wants/{name}", Link(unit))
        done = True
    elif service.system == "upstart":
        bench.fs.put(f"/etc/init/{name}.override", None)
        done = True
    elif service.system == "sysv":
        done = _sysv(bench, name)
    elif service.system in _LINKED:
        bench.fs.put(f"{_LINKED[service.system]}/{name}", Link(unit))
        done = True
    how = " (it is masked)" if service.state == "masked" else ""
    remedy = "nothing: this plan makes it start" if done else f"enable it before the migration (chkconfig {name} on)"
    summary = f"{name} does not start at boot{how}"
    bench.find("GF-NETWORK-SERVICE-OFF", "warning", summary, Evidence(unit), remedy=remedy)


def _sysv(bench: Workbench, name: str) -> bool:
    """Add start links where a SysV init looks for them: run levels 2 to 5, or rcS on Debian; tell if there are any."""
    levels = ("rcS.d",) if name == "networking" else tuple(f"rc{level}.d" for level in range(2, 6))
    made = False
    for level in levels:
        for base, scripts in (("/etc/rc.d", "../init.d"), ("/etc", "../init.d"), ("/etc/init.d", "..")):
            if bench.fs.stat(f"{base}/{level}") is not None:
                home = bench.fs.realpath(f"{base}/{level}")
                scripts = ".." if home.startswith("/etc/init.d/") else scripts
                bench.fs.put(f"{home}/S10{name}", Link(f"{scripts}/{name}"))
                made = True
                break
    return made


def cloud_init(bench: Workbench, *, policy: str, network: str) -> None:
    """Keep or stop cloud-init's writing of the network configuration at the next boot.

    ``auto`` stops it where addresses are kept (they would be overwritten), and where a file of the guest has a network
    for it, which is the old one. It leaves it else: the new platform's data source knows the new NICs. ``clean`` makes
    it look for its data source again.
    """
    if bench.facts.value(NETWORK_CLOUD_INIT_DATASOURCE) == "none":
        bench.find(
            "GF-NETWORK-CLOUD-INIT-DATASOURCE",
            "info",
            "cloud-init is told to look for no data source, so it takes nothing from the new platform",
            *bench.facts.evidence(NETWORK_CLOUD_INIT_DATASOURCE),
            remedy="name the platform's data source there if it is wanted",
        )
    if bench.facts.value(NETWORK_CLOUD_INIT) != "enabled":
        return
    own = bench.facts.evidence(CLOUDINIT_NETWORK_PLACES) if bench.facts.value(CLOUDINIT_NETWORK_PLACES) else ()
    if policy == "auto" and own and network == "dhcp":
        bench.find(
            "GF-NETWORK-CLOUD-INIT",
            "info",
            "cloud-init would set the network up by files of the guest for a new instance, and is kept from that",
            *own,
            remedy="nothing; --policy cloud_init_network=keep leaves it the network",
        )
    if policy == "disable" or (policy == "auto" and (own or network in ("preserve", "dhcp-first"))):
        bench.fs.put(
            DISABLED,
            b"# Written by guestfix: the network configuration of this guest is kept.\nnetwork: {config: disabled}\n",
        )
    elif policy == "clean":
        for path in bench.fs.glob("/var/lib/cloud/instances/*/obj.pkl"):
            bench.fs.put(path, None)
    elif policy == "auto":
        bench.find(
            "GF-NETWORK-CLOUD-INIT",
            "info",
            "cloud-init is on: if the new platform's data source names a new instance, it rewrites the network",
            *bench.facts.evidence(NETWORK_CLOUD_INIT),
            remedy="nothing, if that is wanted; --policy cloud_init_network=disable keeps what guestfix makes",
        )
