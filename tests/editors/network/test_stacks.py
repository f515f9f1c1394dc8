from __future__ import annotations

import copy
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from guestfix.base.errors import EditError
from guestfix.editors.network import ifcfg, interfaces, keyfile, netplan, networkd, routes, udevnet
from guestfix.formats.network.interfaces import parse as parse_interfaces
from tests.build.corpus import corpus_params

Op = Callable[..., Any]
LAW = settings(max_examples=120, deadline=None)

CALLS: list[tuple[Op, dict[str, Any]]] = [
    (ifcfg.dhcp, {}),
    (ifcfg.dhcp, {"any_nic": True}),
    (ifcfg.dhcp, {"suse": True}),
    (ifcfg.rebind, {}),
    (ifcfg.rebind, {"mac": "52:54:00:00:00:01"}),
    (ifcfg.optional, {}),
    (ifcfg.no_gateway, {}),
    (ifcfg.networking_on, {}),
    (routes.no_old_routes, {"devices": ["eth0"], "loose": True}),
    (routes.on_link, {}),
    (routes.on_link, {"suse": True}),
    (interfaces.with_hooks, {"name": "eth0", "hooks": [("up", "true")]}),
    (ifcfg.no_fixed_dns, {}),
    (ifcfg.lease_in_use, {}),
    (interfaces.dhcp, {"name": "eth0", "drop": ["eth1", "eth0:1"]}),
    (interfaces.dhcp, {"name": "eth0", "drop": []}),
    (interfaces.dhcp, {"name": "eth0", "drop": ["eth1"], "bases": ["base"], "up": False}),
    (interfaces.add, {"name": "eth0"}),
    (interfaces.optional, {"names": ["eth0", "eth1"]}),
    (interfaces.rebind, {"name": "eth0"}),
    (interfaces.rebind, {"name": "eth0", "mac": "52:54:00:00:00:01"}),
    (keyfile.dhcp, {}),
    (keyfile.dhcp, {"any_nic": True}),
    (keyfile.rebind, {}),
    (keyfile.rebind, {"mac": "52:54:00:00:00:01"}),
    (networkd.dhcp, {}),
    (networkd.dhcp, {"any_nic": True}),
    (networkd.dhcp_beside, {"any_nic": True}),
    (networkd.fresh_device, {}),
    (netplan.known_only, {}),
    (netplan.fresh_addresses, {"names": ["eth0", "a"]}),
    (networkd.rebind, {"name": "ens192"}),
    (networkd.rebind, {"mac": "52:54:00:00:00:01"}),
    (networkd.optional, {}),
    (networkd.unbind_link, {}),
    (netplan.dhcp, {"name": "eth0"}),
    (netplan.dhcp, {"name": "eth0", "any_nic": True}),
    (netplan.without, {"names": ["eth0"]}),
    (netplan.without, {"names": ["eth1", "a"]}),
    (netplan.optional, {"names": ["eth0"]}),
    (netplan.rebind, {"name": "eth0"}),
    (netplan.rebind, {"name": "eth0", "mac": "52:54:00:00:00:01"}),
    (udevnet.unbind, {}),
]
IDS = [f"{op.__module__.rpartition('.')[2]}.{op.__name__}-{index}" for index, (op, _) in enumerate(CALLS)]

NOOP: list[tuple[Op, dict[str, Any], bytes]] = [
    (ifcfg.dhcp, {}, b"DEVICE=eth0\nBOOTPROTO=dhcp\nONBOOT=yes\nTYPE=Ethernet\n"),
    (ifcfg.dhcp, {"suse": True}, b"BOOTPROTO='dhcp'\nIPADDR=''\nMTU=''\nSTARTMODE='auto'\n"),
    (ifcfg.dhcp, {}, b"BOOTPROTO=dhcp\nONBOOT=yes\n# IPADDR=1.2.3.4\n"),
    (ifcfg.dhcp, {}, b"BOOTPROTO=dhcp\nONBOOT=yes\nPEERDNS=yes\nIPV6_AUTOCONF=no\n"),
    (ifcfg.no_fixed_dns, {}, b'NETCONFIG_DNS_STATIC_SERVERS=""\n'),
    (routes.no_old_routes, {"devices": ["eth0"]}, b"# default 1.2.3.1 - -\n10.2.0.0/16 1.2.3.2 - eth1\n"),
    (ifcfg.rebind, {}, b"DEVICE=eth0\n#HWADDR=00:11:22:33:44:55\n"),
    (ifcfg.optional, {}, b"STARTMODE='manual'\n"),
    (ifcfg.no_gateway, {}, b"NETWORKING=yes\nHOSTNAME=a\n"),
    (ifcfg.networking_on, {}, b"NETWORKING=yes\n"),
    (interfaces.dhcp, {"name": "eth0", "drop": ["eth1"]}, b"auto eth0\niface eth0 inet dhcp\n"),
    (
        interfaces.dhcp,
        {"name": "eth0", "drop": []},
        b"auto eth0\niface eth0 inet dhcp\n\tup iptables-restore < /etc/f\n",
    ),
    (interfaces.add, {"name": "eth0"}, b"iface eth0 inet manual\n"),
    (interfaces.optional, {"names": ["eth1"]}, b"auto eth0\nallow-hotplug eth1\n"),
    (interfaces.rebind, {"name": "eth0"}, b"iface eth1 inet static\n hwaddress ether 00:11:22:33:44:55\n"),
    (keyfile.dhcp, {}, b"[connection]\ntype=ethernet\n[ipv4]\nmethod=auto\n[ipv6]\nmethod=disabled\n"),
    (networkd.dhcp, {}, b"[Match]\nName=en*\n[Network]\nDHCP=ipv4\n"),
    (networkd.dhcp, {"any_nic": True}, b"[Match]\nName=en* eth*\n[Network]\nDHCP=yes\n"),
    (networkd.dhcp, {}, b"[Match]\nName=en*\n[Network]\nDHCP=yes\n[DHCPv4]\nUseDNS=no\nUseMTU=no\n"),
    (keyfile.dhcp, {}, b"[ipv4]\nmethod=auto\nignore-auto-dns=true\nroute1=169.254.169.254/32\n"),
    (ifcfg.lease_in_use, {}, b'DHCLIENT_SET_DEFAULT_ROUTE="yes"\n'),
    (ifcfg.no_fixed_dns, {}, b'NETCONFIG_DNS_POLICY="auto"\n'),
    (netplan.dhcp, {"name": "eth0"}, b"network:\n  ethernets:\n    eth0:\n      dhcp4: yes\n"),
    (netplan.dhcp, {"name": "eth0"}, b"network:\n  ethernets:\n    eth1:\n      addresses: [1.2.3.4/24]\n"),
    (netplan.dhcp, {"name": "x", "any_nic": True}, netplan.FRESH.replace(b"guestfix-wired", b"x")),
    (netplan.without, {"names": ["b"]}, b"network:\n  ethernets:\n    a: {optional: true}\n"),
    (netplan.optional, {"names": ["a"]}, b"network:\n  ethernets:\n    a: {optional: true}\n"),
    (netplan.rebind, {"name": "a"}, b"network:\n  ethernets:\n    a: {match: {name: b}}\n"),
    (networkd.dhcp, {"any_nic": True}, networkd.FRESH),
    (keyfile.dhcp, {"any_nic": True}, keyfile.fresh("0")),
    (ifcfg.dhcp, {}, ifcfg.fresh("eth0")),
    (ifcfg.dhcp, {"suse": True}, ifcfg.fresh("eth0", suse=True)),
    (udevnet.unbind, {}, b'SUBSYSTEM=="block", NAME="x"\n'),
    (udevnet.unbind, {}, b'SUBSYSTEM=="net", KERNEL=="eth*", NAME="lan%n"\n'),
    (networkd.unbind_link, {}, b"[Match]\nOriginalName=*\n[Link]\nName=x\n"),
]

PASSED = b"""network:
  ethernets:
    eth0:
      addresses: [192.0.2.4/24]
      link-local: []
      accept-ra: false
      networkmanager:
        uuid: x
        passthrough:
          connection.timestamp: "1"
          ipv4.address1: "192.0.2.4/24,192.0.2.1"
          ipv4.method: "manual"
          ipv6.method: "disabled"
          ethernet.mtu: "9000"
"""
"""A profile of NetworkManager in netplan's form."""


@pytest.mark.parametrize(
    ("line", "hook"),
    [
        ("pre-up iptables-restore < /etc/iptables.rules", True),
        ("post-up /sbin/ip route add 10.0.0.0/8 via 192.0.2.2 && /usr/local/bin/firewall start", True),
        ("up sysctl -w net.ipv4.ip_forward=1", True),
        ("up ip route add 10.0.0.0/8 via 192.0.2.2 || true", False),
        ("post-up ethtool -K eno1 tso off", False),
        ("address 192.0.2.1", False),
    ],
)
def test_a_hook_does_more_than_the_old_network(line: str, hook: bool) -> None:
    stanza = parse_interfaces(f"iface br0 inet static\n  {line}\n".encode()).stanzas[0]
    assert interfaces.is_hook(stanza.options[0]) is hook


CHANGED: list[tuple[Op, dict[str, Any], bytes, bytes | None]] = [
    (ifcfg.rebind, {}, b"DEVICE=bond0\nMACADDR=00:50:56:aa:bb:cc\n", b"DEVICE=bond0\n"),
    (
        networkd.rebind,
        {"name": "a"},
        b"[Match]\nName=a\n[Link]\nMACAddress=00:50:56:aa:bb:cc\n",
        b"[Match]\nName=a\n[Link]\n",
    ),
    (keyfile.in_zone, {"zone": "dmz"}, b"[connection]\nid=a\n[ipv4]\n", b"[connection]\nid=a\nzone=dmz\n[ipv4]\n"),
    (ifcfg.in_zone, {"zone": "dmz"}, b"DEVICE=a\n", b"DEVICE=a\nZONE=dmz\n"),
    (
        netplan.dhcp,
        {"name": "eth0"},
        PASSED,
        b"network:\n  ethernets:\n    eth0:\n      dhcp4: true\n      link-local: []\n      accept-ra: false\n"
        b'      networkmanager:\n        uuid: x\n        passthrough:\n          connection.timestamp: "1"\n'
        b'          ipv6.method: "disabled"\n',
    ),
    (
        netplan.dhcp,
        {"name": "a"},
        b"network:\n  ethernets:\n    a:\n      dhcp4: true\n      networkmanager:\n        passthrough:\n"
        b"          ipv4.method: manual\n    b: {}\n",
        b"network:\n  ethernets:\n    a:\n      dhcp4: true\n    b: {}\n",
    ),
    (
        netplan.dhcp,
        {"name": "a"},
        b"network: {ethernets: {a: {dhcp4: true, networkmanager: {name: x, passthrough: {ipv4.method: manual}}}}}\n",
        b"network: {ethernets: {a: {dhcp4: true, networkmanager: {name: x}}}}\n",
    ),
    (
        netplan.dhcp,
        {"name": "a"},
        b"network:\n  ethernets:\n    a: &x\n"
        b"      addresses: &y [192.0.2.4/24, '2001:db8::4/64']\n      accept-ra: no\n",
        b"network:\n  ethernets:\n    a: &x\n      dhcp4: true\n",
    ),
    (
        netplan.dhcp,
        {"name": "a"},
        b"network:\n  ethernets:\n    a: &x "
        b"{addresses: [192.0.2.4/24], routes: [{to: 169.254.169.254/32, scope: link}]}\n",
        b"network:\n  ethernets:\n    a: &x {routes: [{to: 169.254.169.254/32, scope: link}], dhcp4: true}\n",
    ),
    (
        networkd.dhcp,
        {},
        b"[Match]\nName=a\n[Network]\nDHCP=ipv4\nDNS=192.0.2.53\n[Route]\nDestination=169.254.169.254/32\n[DHCPv4]\n"
        b"UseDNS=no\nUseRoutes=false\nUseGateway=0\nRouteTable=9\nUseMTU=no\n[DHCPv6]\nUseDNS=no\n",
        b"[Match]\nName=a\n[Network]\nDHCP=ipv4\n[Route]\nDestination=169.254.169.254/32\n[DHCPv4]\n"
        b"UseMTU=no\n[DHCPv6]\nUseDNS=no\n",
    ),
    (
        networkd.dhcp,
        {},
        b"[Network]\nAddress=192.0.2.9/24\n[DHCP]\nUseDNS=no\nUseRoutes=yes\n",
        b"[Network]\nDHCP=yes\n[DHCP]\nUseRoutes=yes\n",
    ),
    (
        keyfile.dhcp,
        {},
        b"[ipv4]\nmethod=auto\ndns=192.0.2.53;\nignore-auto-dns=true\nroute1=169.254.0.0/16,192.0.2.1\nroute2=fe80::/64\n",
        b"[ipv4]\nmethod=auto\nroute2=fe80::/64\n",
    ),
    (
        ifcfg.dhcp,
        {"suse": True},
        b"BOOTPROTO='dhcp'\nDHCLIENT_SET_DEFAULT_ROUTE='no'\nSTARTMODE='auto'\n",
        b"BOOTPROTO='dhcp'\nSTARTMODE='auto'\n",
    ),
    (
        ifcfg.lease_in_use,
        {},
        b'A="no"\nDHCLIENT_SET_DEFAULT_ROUTE="no"\nDHCLIENT_MODIFY_RESOLV_CONF="no"\n',
        b'A="no"\n',
    ),
    (
        ifcfg.no_fixed_dns,
        {},
        b'NETCONFIG_DNS_POLICY="STATIC STATIC_FALLBACK"\nNETCONFIG_DNS_STATIC_SERVERS="192.0.2.53"\n',
        b'NETCONFIG_DNS_POLICY="auto"\nNETCONFIG_DNS_STATIC_SERVERS=""\n',
    ),
    (
        ifcfg.dhcp,
        {},
        b'DEVICE="ens192"\nBOOTPROTO="none"  # was\nONBOOT=\'no\'\nIPADDR0=1.2.3.4\nPREFIX0=24\n'
        b"IPADDR1=1.2.3.5\nPREFIX1=24\n"
        b"GATEWAY0=1.2.3.1\nDNS1=9.9.9.9\nPEERDNS=no\nHWADDR=00:11:22:33:44:55\nUUID=u\nTYPE=Ethernet\nZONE=public\n",
        b'DEVICE="ens192"\nBOOTPROTO="dhcp"  # was\nONBOOT=\'yes\'\nUUID=u\nTYPE=Ethernet\nZONE=public\n',
    ),
    (
        ifcfg.dhcp,
        {"any_nic": True},
        b"DEVICE=ens192\nNAME=ens192\nBOOTPROTO=static\nIPADDR=1.2.3.4\nONBOOT=yes\n",
        b"NAME=ens192\nBOOTPROTO=dhcp\nONBOOT=yes\nTYPE=Ethernet\nMULTI_CONNECT=3\n",
    ),
    (
        ifcfg.dhcp,
        {},
        b"DEVICE=eth0\nTYPE=OVSPort\nDEVICETYPE=ovs\nOVS_BRIDGE=br-ex\nONBOOT=yes\n",
        b"DEVICE=eth0\nTYPE=Ethernet\nONBOOT=yes\nBOOTPROTO=dhcp\n",
    ),
    (
        ifcfg.dhcp,
        {"suse": True},
        b"BOOTPROTO='static'\nIPADDR='1.2.3.4/24'\nIPADDR_1='1.2.3.5/24'\nLABEL_1='x'\nMTU=''\nSTARTMODE='off'\n"
        b"ZONE=''\n",
        b"BOOTPROTO='dhcp'\nMTU=''\nSTARTMODE='auto'\nZONE=''\n",
    ),
    (ifcfg.rebind, {}, b"A=1\nHWADDR=00:11:22:33:44:55\nB=2\n", b"A=1\nB=2\n"),
    (ifcfg.rebind, {"mac": "52:54:00:00:00:01"}, b"HWADDR='00:11:22:33:44:55'\n", b"HWADDR='52:54:00:00:00:01'\n"),
    (ifcfg.optional, {}, b"STARTMODE='auto'\n", b"STARTMODE='hotplug'\n"),
    (ifcfg.no_gateway, {}, b"NETWORKING=yes\nGATEWAY=1.2.3.1\n", b"NETWORKING=yes\n"),
    (ifcfg.networking_on, {}, b"NETWORKING=no\n", b"NETWORKING=yes\n"),
    (
        routes.no_old_routes,
        {"devices": ["eth0"]},
        b"default 1.2.3.1 - -\n10.0.0.0/8 1.2.3.2 - -\n# x\n\n10.1.0.0/16 1.2.3.2 - eth0\n10.2.0.0/16 1.2.3.2 - eth1\n",
        b"# guestfix: default 1.2.3.1 - -\n10.0.0.0/8 1.2.3.2 - -\n# x\n\n"
        b"# guestfix: 10.1.0.0/16 1.2.3.2 - eth0\n10.2.0.0/16 1.2.3.2 - eth1\n",
    ),
    (
        routes.no_old_routes,
        {"loose": True},
        b"::/0 fe80::1 - eth0\n10.0.0.0/8 1.2.3.2 - -\n10.1.0.0/16 1.2.3.2\n10.2.0.0/16 1.2.3.2 - eth1\n",
        b"# guestfix: ::/0 fe80::1 - eth0\n# guestfix: 10.0.0.0/8 1.2.3.2 - -\n"
        b"# guestfix: 10.1.0.0/16 1.2.3.2\n10.2.0.0/16 1.2.3.2 - eth1\n",
    ),
    (
        ifcfg.no_fixed_dns,
        {},
        b"# c\nNETCONFIG_DNS_STATIC_SEARCHLIST=\"a b\"\nX=1\nNETCONFIG_DNS_STATIC_SERVERS='9.9.9.9'\n",
        b"# c\nNETCONFIG_DNS_STATIC_SEARCHLIST=\"\"\nX=1\nNETCONFIG_DNS_STATIC_SERVERS=''\n",
    ),
    (
        ifcfg.dhcp,
        {},
        b"BOOTPROTO=none\nONBOOT=yes\nTYPE=Ethernet\nIPV6INIT=yes\nIPV6_AUTOCONF=no\nIPV6ADDR=2001:db8::1/64\n"
        b"IPV6_PEERDNS=no\n",
        b"BOOTPROTO=dhcp\nONBOOT=yes\nTYPE=Ethernet\nIPV6INIT=yes\n",
    ),
    (
        interfaces.dhcp,
        {"name": "eth0", "drop": [], "bases": ["base"]},
        b"auto eth0\niface base inet static\n netmask 255.0.0.0\n pre-up echo\niface eth0 inet static inherits base\n"
        b" address 1.2.3.4\n",
        b"auto eth0\niface base inet static\n pre-up echo\niface eth0 inet dhcp inherits base\n",
    ),
    (
        interfaces.dhcp,
        {"name": "eth0", "drop": ["eth1"]},
        b"auto eth0 eth1\niface eth1 inet static\n netmask 255.0.0.0\niface eth0 inet inherits eth1\n address 1.2.3.4\n"
        b"iface eth2 inherits eth1\n mtu 1400\n",
        b"auto eth0\niface eth0 inet dhcp\niface eth2\n mtu 1400\n",
    ),
    (
        interfaces.dhcp,
        {"name": "eth0", "drop": []},
        b"auto eth0\niface eth0 inherits base\n address 1.2.3.4\niface eth0 inet6 inherits six\n",
        b"auto eth0\niface eth0 inet dhcp inherits base\n",
    ),
    (
        interfaces.dhcp,
        {"name": "ens192", "drop": ["ens192:1", "ens192.7"]},
        b"auto lo ens192 ens192:1\niface lo inet loopback\n\n# main\niface ens192 inet static\n"
        b"\taddress 1.2.3.4\n\tnetmask 255.0.0.0\n"
        b"\tup iptables-restore < /etc/f\n\tpost-up ifup ens192:1\n# gw\n\tgateway 1.2.3.1\n\n"
        b"iface ens192:1 inet static\n\taddress 1.2.3.5/24\n"
        b"auto ens192.7\niface ens192.7 inet static\n\taddress 1.7.3.5/24\niface ens192 inet6 static\n"
        b"\taddress ::1/64\nsource x/*\n",
        b"auto lo ens192\niface lo inet loopback\n\n# main\niface ens192 inet dhcp\n"
        b"\tup iptables-restore < /etc/f\n# gw\n\nsource x/*\n",
    ),
    (
        interfaces.dhcp,
        {"name": "eth0", "drop": [], "up": False},
        b"iface eth0 inet manual\niface eth0 inet static\n address 1.2.3.4\n",
        b"auto eth0\niface eth0 inet dhcp\n",
    ),
    (
        interfaces.dhcp,
        {"name": "eth0", "drop": []},
        b"iface eth0 \\\n inet static\n address \\\n 1.2.3.4\r\n mtu 9000\r\n pre-up modprobe x\r\n",
        b"iface eth0 \\\n inet dhcp\n pre-up modprobe x\r\n",
    ),
    (interfaces.add, {"name": "eth0"}, b"auto lo\n", b"auto lo\n\nauto eth0\niface eth0 inet dhcp\n"),
    (interfaces.add, {"name": "eth0"}, None, b"auto eth0\niface eth0 inet dhcp\n"),
    (
        interfaces.optional,
        {"names": ["eth1", "eth2"]},
        b"auto eth0 eth1\nauto  eth2\n",
        b"auto eth0\nallow-hotplug eth1\nallow-hotplug  eth2\n",
    ),
    (
        interfaces.rebind,
        {"name": "eth0", "mac": "52:54:00:00:00:01"},
        b"iface eth0 inet static\n hwaddress ether 00:11:22:33:44:55\n address 1.2.3.4\n",
        b"iface eth0 inet static\n hwaddress ether 52:54:00:00:00:01\n address 1.2.3.4\n",
    ),
    (
        keyfile.dhcp,
        {"any_nic": True},
        b"# mine\n[connection]\nid=ens192\nuuid=u\ntype=ethernet\ninterface-name=ens192\nautoconnect=false\n"
        b"zone=public\n\n[ethernet]\n"
        b"mac-address=00:11:22:33:44:55\nmtu=9000\nwake-on-lan=64\n\n[ipv4]\naddress1=1.2.3.4/24,1.2.3.1\n"
        b"dns=9.9.9.9;\nmethod=manual\n\n"
        b"[ipv6]\naddr-gen-mode=stable-privacy\naddress1=2001:db8::1/64\nmethod=manual\n",
        b"# mine\n[connection]\nid=ens192\nuuid=u\ntype=ethernet\nzone=public\nmulti-connect=3\n\n[ethernet]\n"
        b"wake-on-lan=64\n\n"
        b"[ipv4]\nmethod=auto\n\n[ipv6]\naddr-gen-mode=stable-privacy\nmethod=auto\n",
    ),
    (
        keyfile.rebind,
        {"mac": "52:54:00:0a:00:01"},
        b"[802-3-ethernet]\nmac-address = 00:11:22:33:44:55\ncloned-mac-address=00:11:22:33:44:66\n",
        b"[802-3-ethernet]\nmac-address = 52:54:00:0A:00:01\n",
    ),
    (
        networkd.dhcp,
        {"any_nic": True},
        b"[Match]\nMACAddress=00:11:22:33:44:55\nName=ens192\n\n[Link]\nMTUBytes=9000\n[Network]\n# c\n"
        b"Address=1.2.3.4/24\nGateway=1.2.3.1\nDNS=9.9.9.9\n"
        b"IPForward=yes\n[Route]\nDestination=1.9.0.0/16\n[DHCP]\nUseMTU=yes\n",
        b"[Match]\nName=en* eth*\n\n[Link]\n[Network]\n# c\nIPForward=yes\nDHCP=yes\n[DHCP]\nUseMTU=yes\n",
    ),
    (networkd.rebind, {"name": "a"}, b"[Match]\nMACAddress=00:11:22:33:44:55\n", b"[Match]\nName=a\n"),
    (networkd.optional, {}, b"[Match]\nName=a\n", b"[Match]\nName=a\n\n[Link]\nRequiredForOnline=no\n"),
    (networkd.unbind_link, {}, b"[Match]\nMACAddress=0:1:2:3:4:5\n[Link]\nName=lan0\n", None),
    (
        networkd.unbind_link,
        {},
        b"[Match]\nPath=x\n[Link]\nName=lan0\nMTUBytes=9000\n",
        b"[Match]\nPath=x\n[Link]\nMTUBytes=9000\n",
    ),
    (
        netplan.dhcp,
        {"name": "ens160", "any_nic": True},
        b"# top\nnetwork:\n  version: 2\n  ethernets:\n    ens160:\n      addresses:\n"
        b"      - 1.2.3.4/24  # old\n      # between\n      gateway4: 1.2.3.1\n"
        b"      nameservers:\n        addresses: [9.9.9.9]\n      wakeonlan: true\n    ens192:\n      dhcp4: true\n",
        b'# top\nnetwork:\n  version: 2\n  ethernets:\n    ens160:\n      match: {name: "e*"}\n      dhcp4: true\n'
        b"      # between\n      wakeonlan: true\n    ens192:\n      dhcp4: true\n",
    ),
    (
        netplan.dhcp,
        {"name": "eth0", "any_nic": True},
        b"network:\n    ethernets:\n        eth0:\n            dhcp4: no\n            match:\n"
        b"                macaddress: d0:0d:37:9a:25:f9\n"
        b"            set-name: eth0\n    version: 2\n",
        b'network:\n    ethernets:\n        eth0:\n            dhcp4: true\n            match: {name: "e*"}\n'
        b"    version: 2\n",
    ),
    (
        netplan.dhcp,
        {"name": "a"},
        b"network: {ethernets: {a: {addresses: [1.2.3.4/24], optional: true}}}\n",
        b"network: {ethernets: {a: {optional: true, dhcp4: true}}}\n",
    ),
    (
        netplan.dhcp,
        {"name": "a"},
        b"network:\n  ethernets:\n    a:",
        b"network:\n  ethernets:\n    a:\n      dhcp4: true\n",
    ),
    (
        netplan.without,
        {"names": ["b", "v"]},
        b"network:\n  version: 2\n  ethernets:\n    a: {}\n    # b\n    b:\n      dhcp4: true  # x\n"
        b"  vlans:\n    v:\n      id: 7\n      link: a\n  tunnels:\n    w: {mode: sit}\n",
        b"network:\n  version: 2\n  ethernets:\n    a: {}\n    # b\n  tunnels:\n    w: {mode: sit}\n",
    ),
    (
        netplan.without,
        {"names": ["b", "v"]},
        b"network: {version: 2, ethernets: {a: {}, b: {dhcp4: true}}, vlans: {v: {id: 7, link: a}}}\n",
        b"network: {version: 2, ethernets: {a: {}}}\n",
    ),
    (netplan.without, {"names": ["a"]}, b"network:\n  version: 2\n  ethernets:\n    a: {}\n", None),
    (
        netplan.rebind,
        {"name": "lan", "mac": "52:54:00:00:00:01"},
        b"network:\n  ethernets:\n    lan:\n      match: {macaddress: '00:11:22:33:44:55'}\n      set-name: lan0\n",
        b'network:\n  ethernets:\n    lan:\n      match: {macaddress: "52:54:00:00:00:01"}\n      set-name: lan0\n',
    ),
    (
        netplan.rebind,
        {"name": "lan", "real": "lan0"},
        b"network:\n  ethernets:\n    lan:\n      match:\n        macaddress: '00:11:22:33:44:55'\n"
        b"      set-name: lan0\n      dhcp4: true\n",
        b'network:\n  ethernets:\n    lan:\n      match: {name: "lan0"}\n      dhcp4: true\n',
    ),
    (udevnet.unbind, {}, b'# c\nSUBSYSTEM=="net", ATTR{address}=="00:11:22:33:44:55", NAME="eth0"\n', None),
    (
        udevnet.unbind,
        {},
        b'SUBSYSTEM=="net", ACTION=="add", SYSFS{address}=="00:11:22:33:44:55", '
        b'IMPORT="/lib/udev/rename_netiface %k eth0"\n',
        None,
    ),
    (
        udevnet.unbind,
        {},
        b'KERNEL=="sda", MODE="0600"\nSUBSYSTEM=="net", ATTR{address}=="00:11:22:33:44:55", NAME="eth0"\n',
        b'KERNEL=="sda", MODE="0600"\n',
    ),
]


@pytest.mark.parametrize(("op", "args", "src"), NOOP)
def test_noop_gives_the_same_object(op: Op, args: dict[str, Any], src: bytes) -> None:
    assert op(src, **args) is src


@pytest.mark.parametrize(("op", "args", "src", "want"), CHANGED)
def test_changed(op: Op, args: dict[str, Any], src: bytes, want: bytes | None) -> None:
    got = op(src, **args)
    assert got == want
    if got is not None:
        assert op(got, **args) is got


@pytest.mark.parametrize(("op", "args"), CALLS, ids=IDS)
def test_absent_file(op: Op, args: dict[str, Any]) -> None:
    assert op(None, **args) is None or op is interfaces.add


def laws(op: Op, args: dict[str, Any], src: bytes) -> None:
    try:
        out = op(src, **args)
    except EditError:
        return
    if out is None:
        return
    assert out is src if out == src else True
    assert op(out, **args) is out
    for line in out.splitlines():
        if b"#" in line and line.lstrip().startswith(b"#"):
            assert line.replace(b"# guestfix: ", b"") in src


TOKENS = [
    *(
        b"iface",
        b"eth0",
        b"eth1",
        b"inet",
        b"static",
        b"\n",
        b"\n",
        b" ",
        b"\\\n",
        b"#",
        b"auto",
        b"=",
        b"address 1.2.3.4",
        b"\r\n",
    ),
    *(
        b"[ipv4]\n",
        b"[connection]\n",
        b"[Match]\n",
        b"[Network]\n",
        b"[Link]\n",
        b"[Route]\n",
        b"Name=",
        b"MACAddress=1:2:3:4:5:6\n",
    ),
    *(
        b"IPADDR=1.2.3.4\n",
        b"BOOTPROTO=",
        b"'",
        b'"',
        b"HWADDR=0:1:2:3:4:5\n",
        b"DEVICE=x\n",
        b"STARTMODE=auto\n",
        b"GATEWAY=1\n",
        b"$x",
    ),
    *(
        b"network:\n  ethernets:\n    eth0:\n",
        b"      dhcp4: no\n",
        b"      match:\n",
        b"        macaddress: 00:11:22:33:44:55\n",
    ),
    *(
        b"      addresses: [1.2.3.4/24]\n",
        b"{",
        b"}",
        b"      - a\n",
        b"      addresses:\n",
        b"      match: {name: x}\n",
        b"\x00",
        b"\xff",
    ),
    *(
        b'SUBSYSTEM=="net", NAME="eth0"\n',
        b"default 1.2.3.4\n",
        b" inherits ",
        b"base",
        b"NETCONFIG_DNS_STATIC_SERVERS=",
        b"hwaddress ether 00:11:22:33:44:55\n",
        b"address1=1.2.3.4/24\n",
    ),
    *(
        b"method=manual\n",
        b"mac-address=00:11:22:33:44:55\n",
        b"[ethernet]\n",
        b"interface-name=e\n",
        b"multi-connect=1\n",
    ),
]
HOSTILE = st.one_of(st.lists(st.sampled_from(TOKENS), max_size=25).map(b"".join), st.binary(max_size=80))


@pytest.mark.parametrize(("op", "args"), CALLS, ids=IDS)
@LAW
@given(src=HOSTILE)
def test_laws_on_hostile_bytes(op: Op, args: dict[str, Any], src: bytes) -> None:
    laws(op, args, src)


@pytest.mark.parametrize("path", corpus_params("ifcfg-rh", "ifcfg-suse", "interfaces", "netplan", "nm", "udev-net"))
def test_laws_on_the_corpus(path: Path) -> None:
    for op, args in CALLS:
        laws(op, args, path.read_bytes())


@settings(max_examples=200, deadline=None)
@given(data=st.data())
def test_netplan_edits_mean_what_they_say(data: st.DataObject) -> None:
    """Against ruamel.yaml, which reads before and after on its own: only the keys that an edit names differ."""
    from ruamel.yaml import YAML

    device = st.fixed_dictionaries(
        {},
        optional={
            "addresses": st.lists(st.just("1.2.3.4/24"), max_size=2),
            "dhcp4": st.booleans(),
            "match": st.sampled_from(["macaddress", "name"]).map(lambda key: {key: "00:11:22:33:44:55"}),
            "nameservers": st.builds(lambda: {"addresses": ["9.9.9.9"], "search": ["a.example"]}),
            "optional": st.booleans(),
            "wakeonlan": st.just(True),
            "routes": st.builds(lambda: [{"to": "default", "via": "1.2.3.1"}]),
        },
    )
    tree = {"network": {"version": 2, "ethernets": {"eth0": data.draw(device), "eth1": data.draw(device)}}}
    yaml = YAML()
    yaml.default_flow_style = data.draw(st.sampled_from([None, True, False]))
    yaml.indent(mapping=data.draw(st.sampled_from([2, 4])), sequence=4, offset=2)
    src = dump(yaml, copy.deepcopy(tree))
    assume(b"&" not in src)
    out = netplan.dhcp(src, name="eth0", any_nic=True)
    assert out is not None
    want = dict(tree["network"]["ethernets"]["eth0"])
    for key in netplan._STATIC:
        want.pop(key, None)
    want |= {"dhcp4": True, "match": {"name": "e*"}}
    got = YAML(typ="safe").load(out)
    assert got["network"]["ethernets"] == {"eth0": want, "eth1": tree["network"]["ethernets"]["eth1"]}
    assert got["network"]["version"] == 2


def dump(yaml: Any, tree: Any) -> bytes:
    import io

    stream = io.BytesIO()
    yaml.dump(tree, stream)
    return stream.getvalue()


def test_netplan_does_not_take_out_what_others_need() -> None:
    src = b"network:\n  ethernets:\n    a: {}\n  bridges:\n    br0: {interfaces: [a]}\n"
    with pytest.raises(EditError, match="br0"):
        netplan.without(src, names=["a"])


@pytest.mark.parametrize("blank", ["\u00a0", "\x1c", "\x85", "\u3000"])
def test_only_blanks_of_ascii_part_the_words_of_interfaces(blank: str) -> None:
    """ifupdown takes a no-break space for a letter, so nothing in such a line is what it seems."""
    src = f"auto eth0{blank}eth1\niface eth0{blank}inet static\n  hwaddress {blank}\n".encode()
    (auto, iface) = parse_interfaces(src).stanzas
    assert (auto.words, iface.words) == ([f"eth0{blank}eth1"], [f"eth0{blank}inet", "static"])
    for name in ("eth0", iface.name):
        for made in (interfaces.optional(src, names=[name]), interfaces.rebind(src, name="eth0")):
            assert made == src
    after = interfaces.dhcp(src, name="eth0", drop=["eth1"])
    assert after == src
    other = f"iface eth0 inet{blank}static\n".encode()
    assert interfaces.dhcp(other, name="eth0", drop=[]) == other
