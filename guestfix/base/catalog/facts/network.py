"""Facts about the network's configuration."""

from __future__ import annotations

from guestfix.base.catalog.facts.kind import flag, record, records, text, texts
from guestfix.base.catalog.records.network import NameBinding, NetworkService, Nic, ResolvConf

_STACKS = "network.stacks"
_NAMES = "ifcfg ifcfg-suse ifupdown netplan networkd networkmanager dhcpcd connman"

# fmt: off
NETWORK_ACTIVE = texts("network.active", "the kinds of configuration that are read at boot", _STACKS, _NAMES)
NETWORK_BINDINGS = records("network.bindings", NameBinding,
    "lines that tie a name to a NIC: udev rules, .link files, iftab", _STACKS)
NETWORK_CARRIER = record("network.carrier", Nic, "the NIC that the primary interface stands on", _STACKS)
NETWORK_CLOUD_INIT = text("network.cloud_init", "whether cloud-init writes the network", _STACKS,
    "absent disabled enabled network-disabled")
NETWORK_CLOUD_INIT_DATASOURCE = text("network.cloud_init_datasource", "whether cloud-init looks for a data source",
    _STACKS, "any none")
NETWORK_DHCP_CLIENT = text("network.dhcp_client", "the DHCP client that the configuration would use", _STACKS)
NETWORK_ENABLED = flag("network.enabled", "whether the network is set up at boot", _STACKS)
NETWORK_INTERFACES = records("network.interfaces", Nic, "every interface that the configuration names", _STACKS)
NETWORK_MANAGER = text("network.manager", "the program that sets the network up; empty where nothing shows it",
    _STACKS)
NETWORK_NO_AUTO_DEFAULT = flag("network.no_auto_default", "NetworkManager makes no profile for a NIC without one",
    _STACKS)
NETWORK_PREDICTABLE_NAMES = flag("network.predictable_names",
    "whether NICs are named by their place (ens3), not eth0", _STACKS)
NETWORK_PRIMARY = record("network.primary", Nic,
    "the interface with the default route, else the first with an address", _STACKS)
NETWORK_RESOLV_CONF = record("network.resolv_conf", ResolvConf, "what /etc/resolv.conf is", _STACKS)
NETWORK_SERVICE = record("network.service", NetworkService, "the service that sets the network up, and its state",
    _STACKS)
NETWORK_STACK = text("network.stack", "the kind of configuration that counts; empty for none", _STACKS, _NAMES)
NETWORK_STACKS = texts("network.stacks", "every kind of configuration that was found", _STACKS, _NAMES)
