"""Random network set-ups of every stack: always planned, one run is enough, the DHCP NIC has nothing static left."""

from __future__ import annotations

import os
import tempfile
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from guestfix.actions.network.common import SWITCHED
from guestfix.apply.apply import apply_plan
from guestfix.backends.directory import DirectoryGuest
from guestfix.base.catalog.records.network import Nic
from guestfix.base.facts import Facts
from guestfix.detect.network import stacks as network
from guestfix.pack.cache import load_pack
from guestfix.pack.model import Target
from guestfix.plan.planner import Options, make_plan
from tests.build.facts import told
from tests.build.tree import build

NAMES = ("eth0", "eth1", "ens3", "ens192", "ens224", "enp1s0")
MACS = ("", "00:50:56:aa:bb:01", "00:50:56:aa:bb:02")


def nics() -> st.SearchStrategy[list[Nic]]:
    one = st.builds(
        Nic,
        name=st.sampled_from(NAMES),
        mac=st.sampled_from(MACS),
        method=st.sampled_from(["dhcp", "static", "none"]),
        gateway=st.sampled_from(["", "192.0.2.1"]),
        mtu=st.sampled_from([None, 9000]),
        auto=st.booleans(),
    )
    return st.lists(one, max_size=4, unique_by=lambda nic: nic.name).flatmap(_with_more)


def _with_more(wired: list[Nic]) -> st.SearchStrategy[list[Nic]]:
    names = [nic.name for nic in wired]
    bare = Nic("ens9.7", kind="vlan", method="static", gateway="192.0.2.1", parents=("ens9",))
    if not names:
        return st.sampled_from([[], [bare]])
    bridge = Nic("br0", kind="bridge", method="static", gateway="192.0.2.1", parents=(names[0],))
    vlan = Nic(f"{names[-1]}.7", kind="vlan", method="static", gateway="192.0.2.1", parents=(names[-1],))
    return st.lists(st.sampled_from([bridge, vlan, bare]), max_size=2, unique_by=lambda nic: nic.name).map(
        lambda x: wired + x
    )


def address(nic: Nic) -> str:
    return f"192.0.2.{10 + sum(nic.name.encode()) % 200}/24"


def ifcfg(found: list[Nic]) -> dict[str, str]:
    files = {}
    for nic in found:
        text = f"DEVICE={nic.name}\nONBOOT={'yes' if nic.auto else 'no'}\nBOOTPROTO={nic.method}\n"
        text += f"IPADDR={address(nic)}\n" if nic.method == "static" else ""
        text += f"GATEWAY={nic.gateway}\n" if nic.gateway else ""
        text += f"HWADDR={nic.mac}\n" if nic.mac else ""
        text += f"MTU={nic.mtu}\n" if nic.mtu else ""
        text += {"bridge": "TYPE=Bridge\n", "vlan": "VLAN=yes\n"}.get(nic.kind, "")
        masters = [one.name for one in found if one.kind == "bridge" and nic.name in one.parents]
        text += f"BRIDGE={masters[0]}\n" if masters else ""
        files[f"etc/sysconfig/network-scripts/ifcfg-{nic.name}"] = text
    return files


def suse(found: list[Nic]) -> dict[str, str]:
    files = {"etc/os-release": 'ID="sles"\nVERSION_ID="15.5"\n'}
    for nic in found:
        text = f"BOOTPROTO='{nic.method}'\nSTARTMODE='{'auto' if nic.auto else 'off'}'\n"
        text += f"IPADDR='{address(nic)}'\n" if nic.method == "static" else ""
        text += f"BRIDGE='yes'\nBRIDGE_PORTS='{nic.parents[0]}'\n" if nic.kind == "bridge" else ""
        text += f"ETHERDEVICE='{nic.parents[0]}'\n" if nic.kind == "vlan" else ""
        files[f"etc/sysconfig/network/ifcfg-{nic.name}"] = text
        if nic.gateway:
            files[f"etc/sysconfig/network/ifroute-{nic.name}"] = f"default {nic.gateway} - -\n"
    return files


def debian(found: list[Nic]) -> dict[str, str]:
    text = "auto lo\niface lo inet loopback\n"
    for nic in found:
        text += f"auto {nic.name}\n" if nic.auto else ""
        text += f"iface {nic.name} inet {'manual' if nic.method == 'none' else nic.method}\n"
        text += f"  address {address(nic)}\n" if nic.method == "static" else ""
        text += f"  gateway {nic.gateway}\n" if nic.gateway and nic.method == "static" else ""
        text += f"  hwaddress {nic.mac}\n" if nic.mac else ""
        text += f"  bridge-ports {nic.parents[0]}\n" if nic.kind == "bridge" else ""
    return {"etc/network/interfaces": text}


def netplan(found: list[Nic]) -> dict[str, str]:
    groups: dict[str, str] = {}
    for nic in found:
        text = f"    {nic.name}:\n      dhcp4: {'true' if nic.method == 'dhcp' else 'false'}\n"
        text += f"      addresses: [{address(nic)}]\n" if nic.method == "static" else ""
        text += f"      gateway4: {nic.gateway}\n" if nic.gateway else ""
        text += f"      match: {{macaddress: '{nic.mac}'}}\n      set-name: {nic.name}\n" if nic.mac else ""
        text += f"      interfaces: [{nic.parents[0]}]\n" if nic.kind == "bridge" else ""
        text += f"      id: 7\n      link: {nic.parents[0]}\n" if nic.kind == "vlan" else ""
        group = {"bridge": "bridges", "vlan": "vlans"}.get(nic.kind, "ethernets")
        groups[group] = groups.get(group, f"  {group}:\n") + text
    return {"etc/netplan/a.yaml": "network:\n  version: 2\n" + "".join(groups.values())}


def profiles(found: list[Nic]) -> dict[str, str]:
    files = {}
    for nic in found:
        kind = nic.kind if nic.kind != "ethernet" else "ethernet"
        text = f"[connection]\nid={nic.name}\ntype={kind}\ninterface-name={nic.name}\n"
        text += "" if nic.auto else "autoconnect=false\n"
        masters = [one.name for one in found if one.kind == "bridge" and nic.name in one.parents]
        text += f"master={masters[0]}\nslave-type=bridge\n" if masters else ""
        text += f"[ethernet]\nmac-address={nic.mac}\n" if nic.mac else ""
        text += f"[vlan]\nid=7\nparent={nic.parents[0]}\n" if nic.kind == "vlan" else ""
        text += f"[ipv4]\nmethod={'manual' if nic.method == 'static' else 'auto'}\n"
        text += f"address1={address(nic)},{nic.gateway}\n" if nic.method == "static" else ""
        files[f"etc/NetworkManager/system-connections/{nic.name}.nmconnection"] = text
    return files


def networkd(found: list[Nic]) -> dict[str, str]:
    files = {}
    for nic in found:
        text = f"[Match]\nName={nic.name}\n" + (f"MACAddress={nic.mac}\n" if nic.mac else "") + "[Network]\n"
        text += "DHCP=yes\n" if nic.method == "dhcp" else ""
        text += f"Address={address(nic)}\n" if nic.method == "static" else ""
        text += f"Gateway={nic.gateway}\n" if nic.gateway else ""
        text += "".join(f"Bridge={one.name}\n" for one in found if one.kind == "bridge" and nic.name in one.parents)
        text += "".join(f"VLAN={one.name}\n" for one in found if one.kind == "vlan" and nic.name in one.parents)
        files[f"etc/systemd/network/{nic.name}.network"] = text
        if nic.kind != "ethernet":
            files[f"etc/systemd/network/{nic.name}.netdev"] = f"[NetDev]\nName={nic.name}\nKind={nic.kind}\n"
    return files


WRITERS = {
    "ifcfg": ifcfg,
    "ifcfg-suse": suse,
    "ifupdown": debian,
    "netplan": netplan,
    "networkmanager": profiles,
    "networkd": networkd,
}


def learn(root: Path) -> Facts:
    facts = Facts()
    facts.put("os.family", "linux")
    network.detect(DirectoryGuest(str(root)), facts, Target("t", "t"))
    return facts


@pytest.mark.parametrize("policy", ["dhcp", "dhcp-first", "preserve"])
@pytest.mark.parametrize("stack", list(WRITERS))
@settings(
    max_examples=int(os.environ.get("GUESTFIX_EXAMPLES", "6")), deadline=None, suppress_health_check=list(HealthCheck)
)
@given(found=nics(), predictable=st.booleans())
def test_one_run_is_enough(stack: str, policy: str, found: list[Nic], predictable: bool) -> None:
    if stack in ("netplan", "networkd"):  # there a VLAN's own NIC is always in a file
        found = [nic for nic in found if nic.name != "ens9.7"]
    files: dict[str, Any] = {"etc/os-release": 'ID=debian\nVERSION_ID="12"\n', **WRITERS[stack](found)}
    files[f"usr/lib/udev/rules.d/{'80-net-setup-link' if predictable else '50-default'}.rules"] = "x\n"
    options = Options(only=("network/*",), confidence="possible", policies={"network": policy})
    with tempfile.TemporaryDirectory() as folder:
        root = build(Path(folder), files)
        before = learn(root)
        plan = make_plan(DirectoryGuest(folder), load_pack(), options=options)
        assert not [one for one in plan.findings if one.code == "GF-RULE-FAILED"]
        if plan.changes:
            apply_plan(DirectoryGuest(folder), plan)
        again = make_plan(DirectoryGuest(folder), load_pack(), options=options)
        assert [(one.path, one.diff) for one in again.changes] == []
        check(policy, before, learn(root))


def check(policy: str, before: Facts, after: Facts) -> None:
    """The NIC with the default route uses DHCP and has nothing static; under preserve every address is still there."""
    if policy == "preserve":
        old = [(one["addresses"], one["gateway"]) for one in told(before, "network.interfaces")]
        assert [(one["addresses"], one["gateway"]) for one in told(after, "network.interfaces")] == old
        return
    main = after.value("network.carrier" if policy == "dhcp-first" else "network.primary")
    if told(before, "network.primary"):
        assert (main.method, main.addresses, main.gateway, main.mtu) == ("dhcp", (), "", None)
        assert main.auto and not main.bound_mac
    if policy == "dhcp":
        known = [one for one in told(after, "network.interfaces") if one["auto"] or one["stack"] not in SWITCHED]
        static = [one for one in known if one["addresses"] and one["kind"] != "loopback"]
        assert static == []
