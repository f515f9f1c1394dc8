"""The step access: a firewall is judged by the interface names and zones that the planned guest will have."""

from __future__ import annotations

import pytest

from guestfix.backends.directory import DirectoryGuest
from guestfix.pack.cache import load_pack
from guestfix.plan.planner import Options, make_plan
from tests.build.tree import build

UNIT, WANTS = "usr/lib/systemd/system", "etc/systemd/system/multi-user.target.wants"


def on(*units: str) -> dict[str, object]:
    return {
        **{f"{UNIT}/{one}.service": "" for one in units},
        **{f"{WANTS}/{one}.service": ("link", f"/{UNIT}/{one}.service") for one in units},
    }


SSH: dict[str, object] = {"usr/sbin/sshd": "", "etc/ssh/sshd_config": "Port 22\n", **on("sshd")}
RULES = "*filter\n:INPUT DROP [0:0]\n-A INPUT -i lo -j ACCEPT\n-A INPUT -i {} -p tcp --dport 22 -j ACCEPT\nCOMMIT\n"
BRIDGE = (
    "auto lo\niface lo inet loopback\nauto br7\niface br7 inet static\n address 198.51.100.7/24\n"
    " gateway 198.51.100.1\n bridge_ports enp5s0\n pre-up iptables-restore < /etc/fw\niface enp5s0 inet manual\n"
)
DEBIAN = {"etc/os-release": 'ID=debian\nVERSION_ID="12"\n', "sbin/dhclient": "", **SSH, **on("networking")}
RHEL = {"etc/os-release": 'ID="rhel"\nVERSION_ID="9.4"\n', **SSH, **on("NetworkManager")}
PROFILE = "etc/NetworkManager/system-connections/lan.nmconnection"
BOND = {
    "etc/NetworkManager/system-connections/team.nmconnection": "[connection]\nid=bond3\ntype=bond\n"
    "interface-name=bond3\n[ipv4]\nmethod=manual\naddress1=198.51.100.7/24,198.51.100.1\n",
    "etc/NetworkManager/system-connections/port.nmconnection": "[connection]\nid=p\ntype=ethernet\n"
    "interface-name=ens34\nmaster=bond3\nslave-type=bond\n",
}
NFT = (
    'table inet filter {{\n chain input {{\n  type filter hook input priority 0; policy drop;\n  iifname "lo" accept\n'
    "  iifname {} tcp dport 22 accept\n }}\n}}\n"
)
ZONE = '<zone>\n  <service name="ssh"/>\n  {}\n</zone>\n'
DROP = {"etc/firewalld/firewalld.conf": "DefaultZone=drop\n", **on("firewalld")}
PLAIN = {PROFILE: "[connection]\nid=lan\ntype=ethernet\ninterface-name=ens34\n[ipv4]\nmethod=auto\n"}


def nft(name: str) -> dict[str, object]:
    return {**on("nftables"), "etc/nftables.conf": NFT.format(name)}


SET = (
    "table inet filter {{\n set lan {{\n  type ifname\n  elements = {{ {} }}\n }}\n chain input {{\n"
    '  type filter hook input priority 0; policy drop;\n  iifname "lo" accept\n'
    "  iifname @lan tcp dport 22 accept\n }}\n}}\n"
)
MAP = (
    "table inet filter {{\n chain outside {{\n  tcp dport 22 accept\n }}\n chain input {{\n"
    "  type filter hook input priority 0; policy drop;\n  iifname vmap {{ lo : accept, {} : jump outside }}\n }}\n}}\n"
)
SLES: dict[str, object] = {
    "etc/os-release": 'ID="sles"\nVERSION_ID="12.5"\n',
    "etc/sysconfig/network/ifcfg-eth0": "BOOTPROTO='dhcp'\nSTARTMODE='auto'\n",
    "boot/grub2/grub.cfg": "menuentry x {\n linux /boot/vmlinuz-4.12.14-122-default net.ifnames=0 root=UUID=a\n}\n",
    **SSH,
    **on("wicked"),
}
ALPINE: dict[str, object] = {
    "etc/os-release": 'ID=alpine\nVERSION_ID="3.19"\n',
    "etc/network/interfaces": "auto lo\niface lo inet loopback\nauto eth0\niface eth0 inet dhcp\n",
    "sbin/udhcpc": "", "usr/sbin/sshd": "", "etc/ssh/sshd_config": "Port 22\n",
    **{f"etc/init.d/{name}": "" for name in ("sshd", "networking")},
    "etc/runlevels/default/sshd": ("link", "/etc/init.d/sshd"),
    "etc/runlevels/boot/networking": ("link", "/etc/init.d/networking"),
}  # fmt: skip


def suse(names: str, more: str = "") -> dict[str, object]:
    text = f'FW_DEV_EXT="{names}"\nFW_CONFIGURATIONS_EXT="sshd"\n{more}\n'
    return {**on("SuSEfirewall2"), "etc/sysconfig/SuSEfirewall2": text}


def ufw(rule: str) -> dict[str, object]:
    tuples = f"### tuple ### allow tcp 22 0.0.0.0/0 any 0.0.0.0/0 {rule}\n"
    return {**on("ufw"), "etc/ufw/ufw.conf": "ENABLED=yes\n", "etc/ufw/user.rules": tuples,
            "etc/default/ufw": 'DEFAULT_INPUT_POLICY="DROP"\n'}  # fmt: skip


def shorewall(
    interfaces: str, rules: str = "SSH(ACCEPT) net $FW", policy: str = "net all DROP", params: str = ""
) -> dict[str, object]:
    files = {
        "interfaces": f"?FORMAT 2\n{interfaces}",
        "rules": rules,
        "policy": f"{policy}\nall all REJECT",
        "params": params,
    }
    return {**on("shorewall"), "etc/shorewall/shorewall.conf": "STARTUP_ENABLED=Yes\n",
            **{f"etc/shorewall/{name}": f"# a comment\n{text}\n" for name, text in files.items()}}  # fmt: skip


CASES: list[tuple[str, dict[str, object], str, set[str]]] = [
    ("rules of a hook by the bridge that goes", {**DEBIAN,
     "etc/network/interfaces": BRIDGE, "etc/fw": RULES.format("br7")},
     "dhcp", {"GF-NETWORK-HOOK-LOST", "GF-NETWORK-DEVICE-LOST"}),
    ("saved rules by the bridge that goes", {**DEBIAN, **on("netfilter-persistent"), "etc/network/interfaces": BRIDGE,
     "etc/fw": "", "etc/iptables/rules.v4": RULES.format("br7")}, "dhcp", {"GF-SSH-FIREWALL", "GF-NETWORK-NAME-USED"}),
    ("by the NIC whose name is kept", {**DEBIAN, **on("netfilter-persistent"), "etc/network/interfaces": BRIDGE,
     "etc/fw": "", "etc/iptables/rules.v4": RULES.format("enp5s0")}, "dhcp", set()),
    ("by the bridge that stays", {**DEBIAN, **on("netfilter-persistent"), "etc/network/interfaces": BRIDGE,
     "etc/fw": "", "etc/iptables/rules.v4": RULES.format("br7")}, "dhcp-first", set()),
    ("nft by the bond that goes", {**RHEL, **BOND, **nft('"bond3"')}, "dhcp", {"GF-SSH-FIREWALL"}),
    ("nft by every name", {**RHEL, **BOND, **nft('{ "bond3", "e*" }')}, "dhcp", set()),
    ("nft by all but one", {**RHEL, **BOND, **nft('!= "docker0"')}, "dhcp", set()),
    ("a zone by the bond that goes", {**RHEL, **BOND, **DROP,
     "etc/firewalld/zones/x.xml": ZONE.format('<interface name="bond3"/>')},
     "dhcp", set()),
    ("the profile's zone", {**RHEL, **DROP, PROFILE: str(PLAIN[PROFILE]).replace("type=", "zone=x\ntype="),
     "etc/firewalld/zones/x.xml": ZONE.format("")}, "dhcp", set()),
    ("the default zone", {**RHEL, **DROP, **PLAIN, "etc/firewalld/zones/x.xml": ZONE.format("")}, "dhcp",
     {"GF-SSH-FIREWALL"}),
    ("nft by a defined name", {**RHEL, **BOND, **on("nftables"),
     "etc/nftables.conf": "define LAN = bond3\n" + NFT.format("$LAN")},
     "dhcp", {"GF-SSH-FIREWALL"}),
    ("nft by a defined list", {**RHEL, **BOND, **on("nftables"),
     "etc/nftables.conf": 'define LAN = { "bond3", "e*" }\n' + NFT.format("$LAN")}, "dhcp", set()),
    ("nft by a set", {**RHEL, **BOND, **on("nftables"), "etc/nftables.conf": SET.format('"bond3"')},
     "dhcp", {"GF-SSH-FIREWALL"}),
    ("nft by a set of all", {**RHEL, **BOND, **on("nftables"), "etc/nftables.conf": SET.format('"bond3", "e*"')},
     "dhcp", set()),
    ("nft by a map of names", {**RHEL, **BOND, **on("nftables"), "etc/nftables.conf": MAP.format('"bond3"')},
     "dhcp", {"GF-SSH-FIREWALL"}),
    ("nft by a map of every name", {**RHEL, **BOND, **on("nftables"), "etc/nftables.conf": MAP.format('"e*"')},
     "dhcp", set()),
    ("Shorewall by the bond that goes", {**RHEL, **BOND, **shorewall("net bond3 dhcp")}, "dhcp",
     {"GF-SSH-FIREWALL"}),
    ("Shorewall by the bond that stays", {**RHEL, **BOND, **shorewall("net bond3 dhcp")}, "dhcp-first", set()),
    ("Shorewall by any name", {**RHEL, **BOND, **shorewall("net + dhcp")}, "dhcp", set()),
    ("Shorewall by a variable", {**RHEL, **BOND, **shorewall("net $NET_IF dhcp", params="NET_IF=bond3")}, "dhcp",
     {"GF-SSH-FIREWALL"}),
    ("Shorewall by a physical name", {**RHEL, **BOND, **shorewall("net NET_IF dhcp,physical=e+")}, "dhcp", set()),
    ("Shorewall that lets in all but the net", {**RHEL, **BOND, **shorewall("net + dhcp", rules="")}, "dhcp",
     {"GF-SSH-FIREWALL"}),
    ("Shorewall with an open policy", {**RHEL, **BOND, **shorewall("net + dhcp", rules="", policy="net all ACCEPT")},
     "dhcp", set()),
    ("Shorewall that drops first", {**RHEL, **BOND,
     **shorewall("net + dhcp", rules="DROP net $FW tcp 22\nSSH(ACCEPT) net $FW")}, "dhcp", {"GF-SSH-FIREWALL"}),
    ("Shorewall that is not switched on", {**RHEL, **BOND, **shorewall("net bond3"),
     "etc/shorewall/shorewall.conf": "STARTUP_ENABLED=No\n"}, "dhcp", set()),
    ("SuSEfirewall2 by the NIC that is renamed", {**SLES, **suse("eth1", 'FW_ZONE_DEFAULT="dmz"')}, "dhcp",
     {"GF-SSH-FIREWALL"}),
    ("SuSEfirewall2 by the name that stays", {**SLES, **suse("eth0", 'FW_ZONE_DEFAULT="dmz"')}, "dhcp", set()),
    ("SuSEfirewall2 for any", {**SLES, **suse("any eth5")}, "dhcp", set()),
    ("SuSEfirewall2, inside", {**SLES, **suse("eth7", 'FW_DEV_INT="eth0"')}, "dhcp", set()),
    ("SuSEfirewall2, inside and shut", {**SLES, **suse("eth7", 'FW_DEV_INT="eth0"\nFW_PROTECT_FROM_INT="yes"')},
     "dhcp", {"GF-SSH-FIREWALL"}),
    ("ufw by the bond that goes", {**RHEL, **BOND, **ufw("in_bond3")}, "dhcp", {"GF-SSH-FIREWALL"}),
    ("ufw by the bond that stays", {**RHEL, **BOND, **ufw("in_bond3")}, "dhcp-first", set()),
    ("OpenRC's saved rules", {**ALPINE, "etc/iptables/rules-save": RULES.format("bond3"),
     "etc/runlevels/default/iptables": ("link", "/etc/init.d/iptables"), "etc/init.d/iptables": ""}, "dhcp",
     {"GF-SSH-FIREWALL"}),
    ("a zone by source", {**RHEL, **DROP, **PLAIN, "etc/firewalld/zones/drop.xml": "<zone target='DROP'/>",
     "etc/firewalld/zones/x.xml": ZONE.format('<source address="192.0.2.0/24"/>')}, "dhcp",
     {"GF-SSH-FIREWALL-LIMITED"}),
]  # fmt: skip


@pytest.mark.parametrize(("files", "policy", "codes"), [one[1:] for one in CASES], ids=[one[0] for one in CASES])
def test_a_firewall_is_judged_by_the_names_that_will_be(tmp_path, files, policy, codes):
    guest = DirectoryGuest(str(build(tmp_path / "root", files)))
    plan = make_plan(guest, load_pack(), "kvm-virtio", Options(policies={"network": policy}))
    found = {one.code for one in plan.findings if not one.settled_by}
    assert codes <= found
    assert ("GF-SSH-FIREWALL" in found) == ("GF-SSH-FIREWALL" in codes), [one.summary for one in plan.findings]
    step = next(one for one in plan.walk.after.steps if one.id == "access")
    assert (step.outcome == "passes") == (not {one for one in codes if "SSH" in one}), step.because
    assert not any(one.severity == "blocker" and one.step == "access" for one in plan.findings)


USED = {
    "etc/conf.d/sshd": 'rc_need="net.br7"\n',
    "etc/rc.conf": 'rc_sshd_need="net.br7"\n',
    "etc/shorewall/rules": "ACCEPT br7 $FW tcp 22\n",
    "etc/ferm/ferm.conf": "interface br7 proto tcp dport ssh ACCEPT;\n",
    "var/lib/iptables/rules-save": "-A INPUT -i br7 -j ACCEPT\n",
    "etc/sysconfig/ip6tables": "-A INPUT -i br7 -j ACCEPT\n",
    "etc/wireguard/wg0.conf": "PostUp = iptables -t nat -A POSTROUTING -o br7 -j MASQUERADE\n",
    "etc/keepalived/conf.d/lan.conf": "vrrp_instance a {\n  interface br7\n}\n",
    "etc/default/isc-dhcp-relay": 'INTERFACES="br7"\n',
    "etc/frr/frr.conf": "interface br7\n ip ospf area 0\n",
    "etc/udev/rules.d/9.rules": 'KERNEL=="br7", RUN+="/sbin/ip link set br7 txqueuelen 9"\n',
    "etc/sysctl.d/9.conf": "net.ipv4.conf.br7.rp_filter = 0\n",
}


@pytest.mark.parametrize("path", USED)
def test_where_else_the_name_that_goes_is_written_is_told(tmp_path, path):
    files = {**DEBIAN, "etc/network/interfaces": BRIDGE, "etc/fw": "", path: USED[path]}
    plan = make_plan(DirectoryGuest(str(build(tmp_path / "root", files))), load_pack(), "kvm-virtio")
    (told,) = [one for one in plan.findings if one.code == "GF-NETWORK-NAME-USED"]
    assert [place.path for place in told.evidence] == [f"/{path}"]
