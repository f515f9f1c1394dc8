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
