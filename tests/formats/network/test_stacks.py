from __future__ import annotations

import subprocess
import sys
from itertools import pairwise
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from guestfix.base.errors import GuestfixError
from guestfix.formats import ini, yamltree
from guestfix.formats.network import ifcfg, interfaces, keyfile, netplan, networkd, nic, udevnet
from tests.build.corpus import corpus_params

LAW = settings(max_examples=150, deadline=None)


def test_prefixes_and_addresses() -> None:
    table = {
        ("10.0.0.1", "255.255.255.0"): "10.0.0.1/24",
        ("10.0.0.1/255.255.0.0", ""): "10.0.0.1/16",
        ("10.0.0.1/8", "255.255.255.0"): "10.0.0.1/8",
        ("10.0.0.1", "255.0.255.0"): "10.0.0.1",
        ("10.0.0.1", "999.0.0.0"): "10.0.0.1",
        ("10.0.0.1", ""): "10.0.0.1",
    }
    assert {key: nic.cidr(*key) for key in table} == table
    assert nic.norm_mac("0:A:CD:28:89-13") == "00:0a:cd:28:89:13"
    assert nic.norm_mac("no mac") == ""


@pytest.mark.parametrize(
    ("name", "kind"),
    [("ens192", "ethernet"), ("eth0.5", "vlan"), ("eth0:1", "alias"), ("bond0", "bond"), ("vmbr0", "bridge")],
)
def test_kind_from_name(name: str, kind: str) -> None:
    assert nic.kind_of_name(name) == kind


def test_ifcfg_reads_every_address() -> None:
    src = (
        b"DEVICE=ens192\nHWADDR=00:50:56:AA:BB:CC\nBOOTPROTO=none\nIPADDR0=10.0.0.1\nPREFIX0=24\nIPADDR1=10.0.1.1\n"
        b"NETMASK1=255.255.0.0\nGATEWAY0=10.0.0.254\nDNS1=1.1.1.1\nDNS2=8.8.8.8\nDOMAIN='a.example b.example'\n"
        b"MTU=9000\n"
        b"IPV6ADDR=2001:db8::1/64\nIPV6_DEFAULTGW=fe80::1\n"
    )
    got = ifcfg.nic(src, "ifcfg-ens192")
    assert got.addresses == ("10.0.0.1/24", "10.0.1.1/16", "2001:db8::1/64")
    assert (got.gateway, got.gateway6, got.mtu, got.mac) == ("10.0.0.254", "fe80::1", 9000, "00:50:56:aa:bb:cc")
    assert (got.dns, got.search) == (("1.1.1.1", "8.8.8.8"), ("a.example", "b.example"))
    assert (got.method, got.method6, got.bound_mac) == ("static", "static", True)


@pytest.mark.parametrize(
    ("src", "name", "kind", "parents"),
    [
        (b"DEVICE=eth0.5\nVLAN=yes\n", "ifcfg-eth0.5", "vlan", ("eth0",)),
        (b"DEVICE=vlan5\nVLAN=yes\nPHYSDEV=ens3\n", "ifcfg-vlan5", "vlan", ("ens3",)),
        (b"DEVICE=bond0\nBONDING_OPTS='mode=1'\n", "ifcfg-bond0", "bond", ()),
        (b"DEVICE=br0\nTYPE=Bridge\n", "ifcfg-br0", "bridge", ()),
        (b"DEVICE=team0\nDEVICETYPE=Team\n", "ifcfg-team0", "team", ()),
        (b"DEVICE=eth0:1\nIPADDR=10.0.0.2\n", "ifcfg-eth0:1", "alias", ("eth0",)),
        (b"TYPE=Ethernet\nNAME=x\n", "ifcfg-x", "ethernet", ()),
    ],
)
def test_ifcfg_kinds(src: bytes, name: str, kind: str, parents: tuple[str, ...]) -> None:
    got = ifcfg.nic(src, name)
    assert (got.kind, got.parents) == (kind, parents)


def test_ifcfg_suse() -> None:
    src = b"BOOTPROTO='static'\nIPADDR='10.0.0.5/24'\nIPADDR_1='10.0.0.6'\nPREFIXLEN_1='25'\nSTARTMODE='auto'\n"
    got = ifcfg.nic(src, "ifcfg-eth0", suse=True)
    assert (got.name, got.addresses, got.auto) == ("eth0", ("10.0.0.5/24", "10.0.0.6/25"), True)
    bond = b"BONDING_MASTER='yes'\nBONDING_SLAVE_0='eth0'\nBONDING_SLAVE_1='eth1'\n"
    assert ifcfg.nic(bond, "ifcfg-bond0", suse=True).parents == ("eth0", "eth1")


def test_route_files() -> None:
    assert ifcfg.routes(b"ADDRESS0=10.20.0.0\nGATEWAY0=10.20.0.1\nNETMASK0=255.255.0.0\n") == (
        "10.20.0.0/16 via 10.20.0.1",
    )
    lines = ifcfg.routes(b"# x\n169.254.169.254 via 0.0.0.0 dev eth0\n\n")
    assert lines == ("169.254.169.254 via 0.0.0.0 dev eth0",)
    assert ifcfg.default_gateway(("default 10.0.0.1 - -",)) == "10.0.0.1"
    assert ifcfg.default_gateway(("10.0.0.0/8 10.0.0.1", "default via 10.0.0.2 dev eth0")) == "10.0.0.2"


def test_interfaces_stanzas() -> None:
    src = (
        b"auto lo ens192\niface lo inet loopback\n# c \\\niface ens192 inet static\n  address 10.0.0.5\n"
        b"  netmask \\\n"
        b"255.255.255.0\n  gateway 10.0.0.1\n  dns-nameservers 1.1.1.1 8.8.8.8\n  dns-search a.example\n"
        b"  up route add -net 10.1.0.0\n"
        b"allow-hotplug ens224\niface ens224 inet manual\nauto ens192.7\niface ens192.7 inet static\n"
        b"  address 10.7.0.1/24\n"
        b"auto bond0\niface bond0 inet dhcp\n  bond-slaves ens1 ens2\n"
    )
    found = {one.name: one for one in interfaces.nics(src)}
    assert found["ens192"].addresses == ("10.0.0.5/24",)
    assert found["ens192"].dns == ("1.1.1.1", "8.8.8.8")
    assert found["ens192"].routes == ("10.1.0.0",)
    assert found["ens192"].line == 4
    assert (found["ens192.7"].kind, found["ens192.7"].parents) == ("vlan", ("ens192",))
    assert (found["bond0"].kind, found["bond0"].parents) == ("bond", ("ens1", "ens2"))
    assert interfaces.raised(interfaces.parse(src)) == {
        "lo": "auto",
        "ens192": "auto",
        "ens224": "allow-hotplug",
        "ens192.7": "auto",
        "bond0": "auto",
    }
    assert [one.keyword for one in interfaces.parse(b"auto eth0\n  address 1.2.3.4\n").misplaced] == ["address"]


def test_keyfile() -> None:
    src = (
        b"[connection]\nid=ens192\ntype=ethernet\ninterface-name=ens192\n\n[ethernet]\n"
        b"mac-address=00:50:56:AA:BB:CC\nmtu=9000\n"
        b"[ipv4]\naddress1=10.0.0.5/24,10.0.0.1\naddress2=10.0.0.6/24\ndns=1.1.1.1;8.8.8.8;\n"
        b"dns-search=a.example;\nmethod=manual\n"
        b"route1=10.9.0.0/16,10.0.0.9\n[ipv6]\nmethod=disabled\n"
    )
    got = keyfile.nic(src)
    assert (got.name, got.method, got.method6, got.gateway) == ("ens192", "static", "none", "10.0.0.1")
    assert got.addresses == ("10.0.0.5/24", "10.0.0.6/24")
    assert (got.dns, got.routes, got.mtu) == (("1.1.1.1", "8.8.8.8"), ("10.9.0.0/16,10.0.0.9",), 9000)
    assert keyfile.no_auto_default([b"[main]\nplugins=keyfile\n", b"[main]\nno-auto-default=*\n"])
    assert not keyfile.no_auto_default([b"[main]\nplugins=keyfile\n"])


def test_networkd() -> None:
    src = (
        b"[Match]\nName=ens192\n[Network]\nAddress=10.0.0.5/24\nGateway=10.0.0.1\nDNS=1.1.1.1\n"
        b"Domains=a.example\nVLAN=v7\n"
        b"[Route]\nDestination=10.9.0.0/16\nGateway=10.0.0.9\n[Link]\nMTUBytes=9000\n"
    )
    got = networkd.nic(src)
    assert (got.name, got.method, got.gateway, got.mtu) == ("ens192", "static", "10.0.0.1", 9000)
    assert got.routes == ("10.9.0.0/16 via 10.0.0.9",)
    assert networkd.vlans(src) == ("v7",)
    wild = networkd.nic(b"[Match]\nName=en*\n[Network]\nDHCP=ipv4\n")
    assert (wild.bound_name, wild.method) == (False, "dhcp")
    assert networkd.link_binding(b"[Match]\nMACAddress=00:11:22:33:44:55\n[Link]\nName=lan0\n").startswith("MACAddress")
    assert networkd.link_binding(b"[Match]\nOriginalName=*\n[Link]\nNamePolicy=kernel\n") == ""


def test_netplan_merges_as_netplan_does() -> None:
    merged = netplan.merge(
        [
            (
                "/etc/netplan/a.yaml",
                b"network:\n  version: 2\n  ethernets:\n    ens160:\n      addresses: [10.0.0.5/24]\n",
            ),
            (
                "/etc/netplan/b.yaml",
                b"network:\n  renderer: networkd\n  ethernets:\n    ens160:\n      addresses: [10.0.0.6/24]\n"
                b"      gateway4: 10.0.0.1\n"
                b"  vlans:\n    v5: {id: 5, link: ens160}\n",
            ),
            ("/etc/netplan/c.yaml", b"network: [\n"),
        ]
    )
    first, vlan = merged.nics()
    assert (first.addresses, first.gateway, first.path, first.line) == (
        ("10.0.0.5/24", "10.0.0.6/24"),
        "10.0.0.1",
        "/etc/netplan/a.yaml",
        4,
    )
    assert (vlan.kind, vlan.parents, merged.renderer) == ("vlan", ("ens160",), "networkd")
    assert [path for path, _ in merged.errors] == ["/etc/netplan/c.yaml"]


def test_yaml_limits() -> None:
    bomb = b"a0: &a0 [1,1]\n" + b"".join(b"a%d: &a%d [*a%d,*a%d]\n" % (n, n, n - 1, n - 1) for n in range(1, 40))
    for bad in (
        bomb,
        b"a: &x [*x]\n",
        b"a: *x\n",
        b"[" * 100 + b"]" * 100,
        b"\xff\xfe",
        b"\xef\xbb\xbfa: 1\n",
        b"a: 'x\n",
    ):
        with pytest.raises(GuestfixError):
            yamltree.parse(bad)
    assert yamltree.parse(b"") is None
    root = yamltree.parse(b"a: &x [1]\nb: *x\nc: &y 'd'\n")
    assert root is not None and root.aliases and root.data() == {"a": ["1"], "b": ["1"], "c": "d"}
    one = yamltree.parse(b"a: &x [1]\n")
    assert one is not None and not one.aliases and one.pairs[0][1].start == 6


def test_what_netplan_hands_to_networkmanager_counts() -> None:
    src = b"""network:
  ethernets:
    a:
      match: {}
      networkmanager:
        passthrough:
          connection.interface-name: ens160
          connection.autoconnect: "false"
          ipv4.method: manual
          ipv4.address1: "192.0.2.44/24,192.0.2.1"
          ipv4.dns: "192.0.2.53;192.0.2.54;"
"""
    one = netplan.merge([("/etc/netplan/a.yaml", src)]).nics()[0]
    assert (one.name, one.method, one.addresses, one.gateway) == ("ens160", "static", ("192.0.2.44/24",), "192.0.2.1")
    assert (one.dns, one.auto, one.bound_name) == (("192.0.2.53", "192.0.2.54"), False, True)


def test_udev_rules() -> None:
    src = (
        b'# c\nSUBSYSTEM=="net", ACTION=="add", DRIVERS=="?*", ATTR{address}=="08:00:27:75:63:C5", '
        b'KERNEL=="eth*", NAME="eth0"\n'
        b'SUBSYSTEM=="block", NAME="cd"\nKERNEL=="eth*", SYSFS{address}=="00:11:22:33:44:55", \\\n NAME="eth1"\n'
    )
    assert [(one.name, one.mac, one.line) for one in udevnet.name_rules(src)] == [
        ("eth0", "08:00:27:75:63:c5", 2),
        ("eth1", "00:11:22:33:44:55", 5),
    ]


def test_pin_rules_hold_only_safe_words() -> None:
    made = udevnet.pin_rules(["ens192", 'x", RUN+="/bin/sh', "ens224"], ["", "", "00:11:22:33:44:55"]).decode()
    assert "RUN" not in made
    assert 'KERNEL=="eth0", NAME="ens192"' in made
    assert 'ATTR{address}=="00:11:22:33:44:55", NAME="ens224"' in made
    assert udevnet.pin_rules([], []) == b""


CORPUS = corpus_params("ifcfg-rh", "ifcfg-suse", "interfaces", "netplan", "nm", "udev-net")


@pytest.mark.parametrize("path", CORPUS)
def test_corpus_is_read(path: Path) -> None:
    """Spans are the file's own: putting every span back gives the file, and nothing raises."""
    src = path.read_bytes()
    for group in ini.groups(src):
        assert src[group.start : group.start + 200].lstrip()[:1] == b"["
        for one in group.entries:
            assert src[one.value_start : one.value_end].decode(errors="surrogateescape") == one.value
    lines = [line for one in interfaces.parse(src).stanzas for line in (one.head, *one.options)]
    assert all(
        src[line.start : line.end].split()[:1] == [line.keyword.encode(errors="surrogateescape")] for line in lines
    )
    ifcfg.nic(src, "ifcfg-x")
    ifcfg.routes(src)
    keyfile.nic(src)
    networkd.nic(src)
    udevnet.name_rules(src)
    netplan.merge([("/x", src)]).nics()


TEXT = st.lists(
    st.sampled_from(
        [
            b"iface",
            b"eth0",
            b"inet",
            b"static",
            b"\n",
            b" ",
            b"\\\n",
            b"#",
            b"auto",
            b"=",
            b"[",
            b"]",
            b"ipv4",
            b"'",
            b'"',
            b"\r\n",
        ]
        + [
            b"network:",
            b"ethernets:",
            b"  ",
            b"- ",
            b"{",
            b"}",
            b",",
            b"\x00",
            b"\xff",
            b"IPADDR",
            b"10.0.0.1",
            b"NAME",
            b"==",
        ]
    ),
    max_size=40,
).map(b"".join)


@LAW
@given(st.one_of(TEXT, st.binary(max_size=200)))
def test_readers_never_raise(src: bytes) -> None:
    for group in ini.groups(src, continued=True) + ini.groups(src):
        assert 0 <= group.start <= group.body <= group.end <= len(src)
    spans = [(line.start, line.end) for line in interfaces._logical_lines(src)]
    assert all(a[1] <= b[0] for a, b in pairwise(spans))
    interfaces.nics(src)
    ifcfg.nic(src, "ifcfg-x")
    ifcfg.nic(src, "ifcfg-x", suse=True)
    ifcfg.default_gateway(ifcfg.routes(src))
    keyfile.nic(src)
    networkd.nic(src)
    networkd.link_binding(src)
    networkd.netdev(src)
    udevnet.name_rules(src)
    assert len(netplan.merge([("/x", src)]).errors) <= 1


def test_import_is_light() -> None:
    modules = "guestfix.formats.network.netplan, guestfix.editors.network.netplan"
    code = f"import sys, {modules}; sys.exit('yaml' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
