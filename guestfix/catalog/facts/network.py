"""Facts about the network's configuration."""

from __future__ import annotations

from guestfix.catalog.facts.kind import FactKind

_STACKS = "network.stacks"
_NIC = (
    "name path line stack kind mac method method6 addresses gateway gateway6 dns search routes mtu parents auto "
    "bound_name bound_mac id uuid unmanaged any_nic more"
)
_NAMES = "ifcfg ifcfg-suse ifupdown netplan networkd networkmanager dhcpcd connman"

# fmt: off
NETWORK: dict[str, FactKind] = {
    "network.active": FactKind("list", "the kinds of configuration that are read at boot", _STACKS, _NAMES),
    "network.bindings": FactKind("records", "lines that tie a name to a NIC: udev rules, .link files, iftab", _STACKS,
        fields="kind path line name mac text"),
    "network.carrier": FactKind("record", "the NIC that the primary interface stands on", _STACKS, fields=_NIC),
    "network.cloud_init": FactKind("text", "whether cloud-init writes the network", _STACKS,
        "absent disabled enabled network-disabled"),
    "network.cloud_init_datasource": FactKind("text", "whether cloud-init looks for a data source", _STACKS,
        "any none"),
    "network.dhcp_client": FactKind("text", "the DHCP client that the configuration would use", _STACKS),
    "network.enabled": FactKind("flag", "whether the network is set up at boot", _STACKS),
    "network.interfaces": FactKind("records", "every interface that the configuration names", _STACKS, fields=_NIC),
    "network.manager": FactKind("text", "the program that sets the network up; empty where nothing shows it", _STACKS),
    "network.no_auto_default": FactKind("flag", "NetworkManager makes no profile for a NIC without one", _STACKS),
    "network.predictable_names": FactKind("flag", "whether NICs are named by their place (ens3), not eth0", _STACKS),
    "network.primary": FactKind("record", "the interface with the default route, else the first with an address",
        _STACKS, fields=_NIC),
    "network.resolv_conf": FactKind("record", "what /etc/resolv.conf is", _STACKS,
        fields="kind target dangling nameservers"),
    "network.service": FactKind("record", "the service that sets the network up, and its state", _STACKS,
        fields="name state system unit"),
    "network.stack": FactKind("text", "the kind of configuration that counts; empty for none", _STACKS, _NAMES),
    "network.stacks": FactKind("list", "every kind of configuration that was found", _STACKS, _NAMES),
}
