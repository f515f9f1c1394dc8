"""Hardware addresses of the old NICs leave every interface that stays, under any policy that keeps interfaces."""

from __future__ import annotations

from pathlib import Path

import pytest

from guestfix.apply.apply import apply_plan
from guestfix.backends.directory import DirectoryGuest
from guestfix.pack.cache import load_pack
from guestfix.plan.planner import Options, make_plan
from tests.build.tree import build

OLD, PORT, NEW = "00:50:56:0a:0b:0c", "00:50:56:0a:0b:0d", "52:54:00:11:22:33"
WANTS = "etc/systemd/system/multi-user.target.wants/{}.service"
NETWORKD = {"etc/os-release": 'ID=debian\nVERSION_ID="12"\n', WANTS.format("systemd-networkd"): "[Unit]\n"}
NM = {"etc/os-release": 'ID="rhel"\nVERSION_ID="9.4"\n', WANTS.format("NetworkManager"): "[Unit]\n"}
UBUNTU = {"etc/os-release": 'ID=ubuntu\nVERSION_ID="24.04"\n'}
DEBIAN = {"etc/os-release": 'ID=debian\nVERSION_ID="12"\n', "sbin/dhclient": ""}
RHEL = {"etc/os-release": 'ID="centos"\nVERSION_ID="7"\n', "etc/rc.d/init.d/network": "",
        "etc/rc.d/rc3.d/S10network": ""}  # fmt: skip
SLES = {"etc/os-release": 'ID="sles"\nVERSION_ID="15.5"\n'}
PROFILES, SCRIPTS, SUSE = (
    "etc/NetworkManager/system-connections",
    "etc/sysconfig/network-scripts",
    "etc/sysconfig/network",
)
STATIC = "address 198.51.100.7/24\n gateway 198.51.100.1\n"
STACKS = {
    "netplan's keys": (UBUNTU, {"etc/netplan/01.yaml": "network:\n  ethernets:\n    ens34:\n"
     f"      macaddress: '{OLD}'\n      addresses: [198.51.100.7/24]\n"
     f"  vlans:\n    v9: {{id: 9, link: ens34, macaddress: '{OLD}', addresses: [10.9.0.1/24]}}\n"}),
    "netplan's for NetworkManager": (UBUNTU, {"etc/netplan/90-NM.yaml": "network:\n  ethernets:\n    NM-x:\n"
     "      renderer: NetworkManager\n      match: {}\n      networkmanager:\n        passthrough:\n"
     f"          connection.interface-name: ens34\n          802-3-ethernet.mac-address: '{OLD}'\n"
     f"          802-3-ethernet.cloned-mac-address: '{OLD}'\n          ipv4.method: manual\n"
     "          ipv4.address1: 198.51.100.7/24,198.51.100.1\n"}),
    "networkd": (NETWORKD, {
     "etc/systemd/network/1.netdev": f"[NetDev]\nName=bond4\nKind=bond\nMACAddress={OLD}\n",
     "etc/systemd/network/2.netdev": f"[NetDev]\nName=v9\nKind=vlan\nMACAddress={OLD}\n[VLAN]\nId=9\n",
     "etc/systemd/network/1.network": "[Match]\nName=bond4\n[Network]\nAddress=198.51.100.7/24\nVLAN=v9\n",
     "etc/systemd/network/2.network": f"[Match]\nName=ens34\n[Link]\nMACAddress={OLD}\n[Network]\nBond=bond4\n"}),
    "keyfiles": (NM, {
     f"{PROFILES}/br.nmconnection": f"[connection]\nid=br\ntype=bridge\ninterface-name=br4\n[bridge]\n"
     f"mac-address={OLD}\n"
     "[ipv4]\nmethod=manual\naddress1=198.51.100.7/24\n",
     f"{PROFILES}/p.nmconnection": f"[connection]\nid=p\ntype=ethernet\ninterface-name=ens34\nmaster=br4\n"
     f"slave-type=bridge\n[ethernet]\nmac-address={OLD.upper()}\ncloned-mac-address={OLD}\n"}),
    "ifupdown": (DEBIAN, {"etc/network/interfaces": f"auto br4\niface br4 inet static\n {STATIC} bridge_ports ens34\n"
     f" bridge_hw {OLD}\n hwaddress ether {OLD}\niface ens34 inet manual\n hwaddress {OLD}\n"}),
    "ifcfg": (RHEL, {
     f"{SCRIPTS}/ifcfg-bond4": f"DEVICE=bond4\nTYPE=Bond\nBONDING_OPTS=mode=1\n"
     f"MACADDR={OLD}\nIPADDR=198.51.100.7\nPREFIX=24\n",
     f"{SCRIPTS}/ifcfg-bond4.9": f"DEVICE=bond4.9\nVLAN=yes\nMACADDR={OLD}\nIPADDR=10.9.0.1\nPREFIX=24\n",
     f"{SCRIPTS}/ifcfg-eth0": f"DEVICE=eth0\nHWADDR={OLD}\nMASTER=bond4\nSLAVE=yes\n"}),
    "SUSE": (SLES, {
     f"{SUSE}/ifcfg-br4": f"STARTMODE='auto'\nBRIDGE='yes'\nBRIDGE_PORTS='eth0'\n"
     f"LLADDR='{OLD}'\nIPADDR='198.51.100.7/24'\n",
     f"{SUSE}/ifcfg-eth0": f"STARTMODE='auto'\nBOOTPROTO='none'\nLLADDR='{OLD}'\n"}),
}  # fmt: skip


@pytest.mark.parametrize("policy", ["preserve", "dhcp-first"])
@pytest.mark.parametrize("name", STACKS)
def test_no_address_of_the_old_hardware_stays(tmp_path, name, policy):
    system, files = STACKS[name]
    root = str(build(tmp_path / "root", {**system, **files}))
    options = Options(policies={"network": policy})
    plan = make_plan(DirectoryGuest(root), load_pack(), "kvm-virtio", options)
    apply_plan(DirectoryGuest(root), plan)
    for path in files:
        text = (Path(root) / path).read_text()
        assert OLD not in text.lower(), path
        assert ("198.51.100.7" in text) == ("198.51.100.7" in files[path] and policy == "preserve"), path
    assert make_plan(DirectoryGuest(root), load_pack(), "kvm-virtio", options).changes == ()


def test_the_map_s_address_takes_the_place_of_one_that_netplan_hands_on(tmp_path):
    system, files = STACKS["netplan's for NetworkManager"]
    root = str(build(tmp_path / "root", {**system, **files}))
    options = Options(policies={"network": "preserve"}, extra={"network.map": {OLD: NEW}})
    apply_plan(DirectoryGuest(root), make_plan(DirectoryGuest(root), load_pack(), "kvm-virtio", options))
    assert f'mac-address: "{NEW.upper()}"' in (Path(root) / "etc/netplan/90-NM.yaml").read_text()
