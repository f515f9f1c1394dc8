"""What an interface loses is named, what is not the old network's stays, and a second plan changes nothing."""

from __future__ import annotations

from pathlib import Path

import pytest

from guestfix.apply.apply import apply_plan
from guestfix.backends.directory import DirectoryGuest
from guestfix.pack.cache import load_pack
from guestfix.plan.planner import Options, make_plan
from tests.build.tree import build

DEBIAN = {"etc/os-release": 'ID=debian\nVERSION_ID="12"\n', "sbin/dhclient": ""}
RHEL7 = {
    "etc/os-release": 'ID="centos"\nVERSION_ID="7"\n',
    "etc/rc.d/init.d/network": "",
    "etc/rc.d/rc3.d/S10network": "",
}
SLES = {"etc/os-release": 'ID="sles"\nVERSION_ID="15.5"\n'}
ON = {"etc/systemd/system/multi-user.target.wants/{}.service": "[Unit]\n"}
NM = {
    "etc/os-release": 'ID="rhel"\nVERSION_ID="9.4"\n',
    **{key.format("NetworkManager"): one for key, one in ON.items()},
}
NETWORKD = {
    "etc/os-release": 'ID=debian\nVERSION_ID="12"\n',
    **{key.format("systemd-networkd"): one for key, one in ON.items()},
}
UBUNTU = {"etc/os-release": 'ID=ubuntu\nVERSION_ID="22.04"\n'}
IFCFG = "DEVICE=eth0\nONBOOT=yes\nBOOTPROTO=static\nIPADDR=198.51.100.7\nPREFIX=24\nGATEWAY=198.51.100.1\n"
SUSE_IFCFG = "BOOTPROTO='static'\nIPADDR='198.51.100.7/24'\nSTARTMODE='auto'\n"
KEYFILE = (
    "[connection]\nid=lan\ntype=ethernet\ninterface-name=ens34\n\n[ipv4]\nmethod=manual\naddress1=198.51.100.7/24\n"
)
SCRIPTS, PROFILE = "etc/sysconfig/network-scripts", "etc/NetworkManager/system-connections/lan.nmconnection"
LO = "auto lo\niface lo inet loopback\n"
BRIDGED = f"{LO}iface eno2 inet manual\nauto br1\niface br1 inet static\n address 198.51.100.7/24\n"
DEBIAN_NIC = "auto eth0\niface eth0 inet static\n address 198.51.100.7/24\n gateway 198.51.100.1\n"

CASES = {
    "route-: metadata stays, the rest is named": (
        {**RHEL7, f"{SCRIPTS}/ifcfg-eth0": IFCFG,
         f"{SCRIPTS}/route-eth0": "169.254.169.254/32 dev eth0\n10.9.0.0/16 via 198.51.100.254\n"},
        {f"{SCRIPTS}/route-eth0": "169.254.169.254/32 dev eth0\n"}, ["10.9.0.0/16"], ["169.254"],
    ),
    "route-: ADDRESSn is numbered anew": (
        {**RHEL7, f"{SCRIPTS}/ifcfg-eth0": IFCFG, f"{SCRIPTS}/route-eth0":
         "ADDRESS0=10.9.0.0\nNETMASK0=255.255.0.0\nGATEWAY0=198.51.100.254\nADDRESS1=169.254.0.0\nNETMASK1=255.255.0.0\n"},
        {f"{SCRIPTS}/route-eth0": "ADDRESS0=169.254.0.0\nNETMASK0=255.255.0.0\n"}, ["10.9.0.0/16"], ["169.254"],
    ),
    "route-: a table of its own is a route, no gateway": (
        {**RHEL7, f"{SCRIPTS}/ifcfg-eth0": IFCFG.replace("GATEWAY", "X"),
         f"{SCRIPTS}/route-eth0": "default via 198.51.100.9 table 20\n",
         f"{SCRIPTS}/rule-eth0": "from 198.51.100.7 table 20\n"},
        {f"{SCRIPTS}/route-eth0": None, f"{SCRIPTS}/rule-eth0": None}, ["table 20", "rule from 198.51.100.7"], [],
    ),
    "a link-local route by the old address is lost": (
        {**RHEL7, f"{SCRIPTS}/ifcfg-eth0": IFCFG,
         f"{SCRIPTS}/route-eth0": "169.254.0.0/16 dev eth0 src 198.51.100.7\n"},
        {f"{SCRIPTS}/route-eth0": None}, ["169.254.0.0/16 dev eth0 src"], [],
    ),
    "SUSE routes": (
        {**SLES, "etc/sysconfig/network/ifcfg-eth0": SUSE_IFCFG, "etc/sysconfig/network/routes":
         "default 198.51.100.1 - -\n169.254.0.0 - 255.255.0.0 eth0\n169.254.0.0 198.51.100.3 255.255.0.0 eth0\n"
         "10.3.0.0/16 198.51.100.4 - -\n"},
        {"etc/sysconfig/network/routes": "# guestfix: default 198.51.100.1 - -\n169.254.0.0 - 255.255.0.0 eth0\n"
         "# guestfix: 169.254.0.0 198.51.100.3 255.255.0.0 eth0\n# guestfix: 10.3.0.0/16 198.51.100.4 - -\n"},
        ["10.3.0.0/16", "169.254.0.0 198.51.100.3"], ["169.254.0.0 - "],
    ),
    "SUSE routes of a NIC that has DHCP already": (
        {**SLES, "etc/sysconfig/network/ifcfg-eth0": "BOOTPROTO='dhcp'\nSTARTMODE='auto'\n",
         "etc/sysconfig/network/routes": "10.3.0.0/16 198.51.100.4 - -\n",
         "etc/sysconfig/network/config":
         'NETCONFIG_DNS_POLICY="STATIC"\nNETCONFIG_DNS_STATIC_SERVERS="198.51.100.53"\n'},
        {"etc/sysconfig/network/routes": "# guestfix: 10.3.0.0/16 198.51.100.4 - -\n",
         "etc/sysconfig/network/config": 'NETCONFIG_DNS_POLICY="auto"\nNETCONFIG_DNS_STATIC_SERVERS=""\n'},
        ["10.3.0.0/16", "198.51.100.53"], [],
    ),
    "SUSE's own resolver stays": (
        {**SLES, "etc/sysconfig/network/ifcfg-eth0": SUSE_IFCFG,
         "etc/sysconfig/network/config": 'NETCONFIG_DNS_POLICY="STATIC"\nNETCONFIG_DNS_STATIC_SERVERS="127.0.0.1"\n'},
        {"etc/sysconfig/network/config": 'NETCONFIG_DNS_POLICY="STATIC"\nNETCONFIG_DNS_STATIC_SERVERS="127.0.0.1"\n'},
        ["198.51.100.7/24"], ["127.0.0.1"],
    ),
    "SUSE ifroute-": (
        {**SLES, "etc/sysconfig/network/ifcfg-eth0": SUSE_IFCFG,
         "etc/sysconfig/network/ifroute-eth0": "# mine\n169.254.169.254/32 - - eth0\n10.3.0.0/16 198.51.100.4 - -\n"},
        {"etc/sysconfig/network/ifroute-eth0": "# mine\n169.254.169.254/32 - - eth0\n"}, ["10.3.0.0/16"], ["169.254"],
    ),
    "keyfile": (
        {**NM, PROFILE: KEYFILE + "route1=169.254.0.0/16,0.0.0.0,1000\nroute1_options=onlink=true\n"
         "route2=10.3.0.0/16,198.51.100.4\nroute2_options=mtu=1400\nroute3=169.254.3.3/32\n"
         "route3_options=src=198.51.100.7\n"
         "routing-rule1=priority 5 from 198.51.100.7 table 20\nignore-auto-dns=true\n"},
        {PROFILE: "[connection]\nid=lan\ntype=ethernet\nmulti-connect=3\n\n[ipv4]\nmethod=auto\n"
         "route1=169.254.0.0/16,0.0.0.0,1000\nroute1_options=onlink=true\n"},
        ["10.3.0.0/16", "169.254.3.3/32", "rule priority 5", "198.51.100.7/24"], ["169.254.0.0"],
    ),
    "netplan": (
        {**UBUNTU, "etc/netplan/01.yaml": "network:\n  version: 2\n  ethernets:\n    ens34:\n"
         "      addresses: [198.51.100.7/24]\n"
         "      routes:\n      - to: default\n        via: 198.51.100.1\n      # metadata\n"
         "      - to: 169.254.169.254/32\n        scope: link\n      - {to: 10.3.0.0/16, via: 198.51.100.4}\n"
         "      routing-policy: [{from: 198.51.100.7, table: 20}]\n"},
        {"etc/netplan/01.yaml": "network:\n  version: 2\n  ethernets:\n    ens34:\n"
         "      match: {name: \"e*\"}\n      dhcp4: true\n"
         "      routes:\n      - to: 169.254.169.254/32\n        scope: link\n"},
        ["10.3.0.0/16", "rule from 198.51.100.7 table 20"], ["169.254"],
    ),
    "networkd": (
        {**NETWORKD, "etc/systemd/network/10.network":
         "[Match]\nName=ens34\n[Network]\nAddress=198.51.100.7/24\n"
         "[Route]\nGateway=_dhcp4\nDestination=192.0.2.0/24\n[Route]\nDestination=169.254.169.254/32\nScope=link\n"
         "[Route]\nDestination=10.3.0.0/16\nGateway=198.51.100.4\n[RoutingPolicyRule]\nFrom=198.51.100.7\nTable=20\n"},
        {"etc/systemd/network/10.network": "[Match]\nName=en* eth*\n[Network]\nDHCP=yes\n"
         "[Route]\nGateway=_dhcp4\nDestination=192.0.2.0/24\n[Route]\nDestination=169.254.169.254/32\nScope=link\n"},
        ["10.3.0.0/16", "rule From=198.51.100.7"], ["169.254", "192.0.2.0"],
    ),
    "networkd's drop-ins": (
        {**NETWORKD, "etc/systemd/network/10.network": "[Match]\nName=ens34\n[Network]\nDHCP=yes\n",
         "etc/systemd/network/10.network.d/a.conf": "[Network]\nAddress=198.51.100.7/24\nDNS=198.51.100.53\nLLDP=yes\n",
         "etc/systemd/network/10.network.d/b.conf": "[DHCPv4]\nUseRoutes=no\n"},
        {"etc/systemd/network/10.network.d/a.conf": "[Network]\nLLDP=yes\n",
         "etc/systemd/network/10.network.d/b.conf": None}, ["198.51.100.7/24", "198.51.100.53"], ["left as it is"],
    ),
    "keyfile: settings of IPv6 alone stay": (
        {**NM, PROFILE: KEYFILE + "never-default=true\n\n[ipv6]\nmethod=auto\nnever-default=true\n"
         "ignore-auto-dns=true\naddr-gen-mode=eui64\n"},
        {PROFILE: "[connection]\nid=lan\ntype=ethernet\nmulti-connect=3\n\n[ipv4]\nmethod=auto\n\n[ipv6]\n"
         "method=auto\nnever-default=true\nignore-auto-dns=true\naddr-gen-mode=eui64\n"}, ["198.51.100.7/24"], [],
    ),
    "ifcfg: settings of IPv6 alone stay": (
        {**RHEL7, f"{SCRIPTS}/ifcfg-eth0": IFCFG + "PEERDNS=no\nIPV6_PEERDNS=no\nIPV6_AUTOCONF=no\nSEARCH=x.example\n"},
        {f"{SCRIPTS}/ifcfg-eth0": "DEVICE=eth0\nONBOOT=yes\nBOOTPROTO=dhcp\nIPV6_PEERDNS=no\nIPV6_AUTOCONF=no\n"},
        ["x.example"], [],
    ),
    "ifupdown": (
        {**DEBIAN, "etc/network/interfaces": DEBIAN_NIC
         + " up ip route add 169.254.169.254/32 dev eth0\n down ip route del 169.254.169.254/32 dev eth0\n"
         " up ip route add 10.3.0.0/16 via 198.51.100.4 || true\n up ip addr add 198.51.100.8/24 dev eth0\n"
         " up ip rule add from 198.51.100.8 table 20\n up ip link set eth0 mtu 9000\n"},
        {"etc/network/interfaces": "auto eth0\niface eth0 inet dhcp\n"
         " up ip route add 169.254.169.254/32 dev eth0\n down ip route del 169.254.169.254/32 dev eth0\n"},
        ["10.3.0.0/16", "198.51.100.8/24", "rule from 198.51.100.8", "ip link set eth0 mtu 9000"], ["169.254"],
    ),
    "ifupdown: a hook about nothing that goes moves along": (
        {**DEBIAN, "etc/network/interfaces": BRIDGED
         + " bridge_ports eno2\n pre-up iptables-restore < /etc/fw\n up ip link set $IFACE promisc on\n",
         "etc/fw": "*filter\n-A INPUT -p tcp --dport 22 -j ACCEPT\nCOMMIT\n"},
        {"etc/network/interfaces": "auto lo\niface lo inet loopback\nauto eno2\niface eno2 inet dhcp\n"
         "    pre-up iptables-restore < /etc/fw\n"},
        ["br1", "is run for eno2 from now on: pre-up iptables-restore"], [],
    ),
    "ifupdown: one about what goes is named": (
        {**DEBIAN, "etc/network/interfaces": BRIDGED + " bridge_ports eno2\n pre-up iptables-restore < /etc/fw\n",
         "etc/fw": "*filter\n-A INPUT -i br1 -p tcp --dport 22 -j ACCEPT\nCOMMIT\n"},
        {"etc/network/interfaces": "auto lo\niface lo inet loopback\nauto eno2\niface eno2 inet dhcp\n"},
        ["with it a command that was run for it: pre-up iptables-restore"], [],
    ),
}  # fmt: skip


@pytest.mark.parametrize("name", CASES)
def test_what_is_lost_is_named_and_the_rest_stays(tmp_path, name):
    files, wanted, said, unsaid = CASES[name]
    root = str(build(tmp_path / "root", files))
    plan = make_plan(DirectoryGuest(root), load_pack(), "kvm-virtio")
    apply_plan(DirectoryGuest(root), plan)
    for path, text in wanted.items():
        now = (Path(root) / path).read_text() if (Path(root) / path).exists() else None
        assert now == text, path
    words = " | ".join(one.summary for one in plan.findings if one.step == "network")
    assert [one for one in said if one not in words] == [], words
    assert [one for one in unsaid if one in words] == [], words
    assert all(one.evidence and one.remedy for one in plan.findings)
    assert make_plan(DirectoryGuest(root), load_pack(), "kvm-virtio").changes == ()


@pytest.mark.parametrize("policy", ["dhcp-first", "preserve"])
def test_what_stays_by_policy_is_not_named(tmp_path, policy):
    files = {**RHEL7, f"{SCRIPTS}/ifcfg-eth0": IFCFG, f"{SCRIPTS}/ifcfg-eth1": IFCFG.replace("eth0", "eth1")}
    files[f"{SCRIPTS}/route-eth1"] = "10.9.0.0/16 via 198.51.100.254\n"
    root = str(build(tmp_path / "root", files))
    options = Options(policies={"network": policy})
    plan = make_plan(DirectoryGuest(root), load_pack(), "kvm-virtio", options)
    lost = [one.summary for one in plan.findings if one.code in ("GF-NETWORK-STATIC-LOST", "GF-NETWORK-DEVICE-LOST")]
    assert [("10.9.0.0" in one, one.startswith("eth0")) for one in lost] == (
        [(False, True)] if policy == "dhcp-first" else []
    )
