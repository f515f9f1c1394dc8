from __future__ import annotations

import os
import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest

from guestfix.apply.apply import apply_plan
from guestfix.backends.directory import DirectoryGuest
from guestfix.base.catalog.records.network import Nic
from guestfix.base.errors import PackError
from guestfix.base.facts import Facts, Unknown
from guestfix.commands.networkmap import read_map
from guestfix.detect.network import services as network_services
from guestfix.detect.network import stacks as network
from guestfix.detect.system.initsystem import Services
from guestfix.detect.system.os import put_system
from guestfix.formats.network.wired import route_of, wires_of
from guestfix.pack.cache import load_pack
from guestfix.pack.model import Target
from guestfix.plan.planner import Options, make_plan
from tests.build.facts import menu_entry, told
from tests.build.systems import SYSTEMS
from tests.build.tree import build

LINK = "link"
UNITS = "usr/lib/systemd/system/"
WANTS = "etc/systemd/system/multi-user.target.wants/"
DEBIAN = {"etc/os-release": 'ID=debian\nVERSION_ID="12"\n'}
NETPLAN = "network:\n  ethernets:\n    ens160: {dhcp4: true}\n"
PROFILE = (
    "[connection]\nid=a\ntype=ethernet\ninterface-name=ens192\n[ipv4]\nmethod=manual\n"
    "address1=192.0.2.10/24,192.0.2.1\n"
)
STATIC = "auto ens192\niface ens192 inet static\n address 192.0.2.10/24\n gateway 192.0.2.1\n"


def learn(root: Path, files: dict[str, Any], os_id: str = "debian", version: str = "12") -> tuple[Facts, list[Any]]:
    facts = Facts()
    facts.put("os.family", "linux")
    facts.put("os.id", os_id)
    facts.put("os.version", version)
    put_system(facts, SYSTEMS)
    found = network.detect(DirectoryGuest(str(build(root, {**DEBIAN, **files}))), facts, Target("t", "t"))
    return facts, found


def on(name: str) -> dict[str, Any]:
    return {UNITS + name: "[Unit]\n", WANTS + name: (LINK, f"/{UNITS}{name}")}


IN_CHARGE: list[tuple[dict[str, Any], list[str], str, str]] = [
    ({"etc/network/interfaces": STATIC}, ["ifupdown"], "ifupdown", "ifupdown"),
    ({"etc/netplan/a.yaml": NETPLAN, "etc/network/interfaces": "auto lo\n"}, ["netplan"], "netplan", "networkd"),
    (
        {"etc/netplan/a.yaml": "network: {renderer: NetworkManager}\n", **on("NetworkManager.service")},
        ["netplan", "networkmanager"],
        "netplan",
        "networkmanager",
    ),
    (
        {"etc/NetworkManager/system-connections/a.nmconnection": PROFILE, **on("NetworkManager.service")},
        ["networkmanager"],
        "networkmanager",
        "networkmanager",
    ),
    (
        {"etc/network/interfaces": "auto lo\niface lo inet loopback\n", **on("NetworkManager.service")},
        ["networkmanager"],
        "networkmanager",
        "networkmanager",
    ),
    (
        {"etc/systemd/network/a.network": "[Match]\nName=en*\n[Network]\nDHCP=yes\n", **on("systemd-networkd.service")},
        ["networkd"],
        "networkd",
        "networkd",
    ),
    (
        {
            "etc/sysconfig/network/ifcfg-eth0": "BOOTPROTO='static'\nIPADDR='192.0.2.1/24'\n",
            **on("NetworkManager.service"),
        },
        ["networkmanager"],
        "networkmanager",
        "networkmanager",
    ),
    (
        {"etc/netplan/a.yaml": NETPLAN, "etc/network/interfaces": STATIC, **on("systemd-networkd.service")},
        ["netplan"],
        "netplan",
        "networkd",
    ),
    (
        {
            "etc/netplan/a.yaml": NETPLAN,
            "etc/network/interfaces": STATIC,
            **on("systemd-networkd.service"),
            **on("networking.service"),
        },
        ["netplan", "ifupdown"],
        "ifupdown",
        "ifupdown",
    ),
    ({"etc/dhcpcd.conf": "static ip_address=192.0.2.1/24\n", **on("dhcpcd.service")}, ["dhcpcd"], "dhcpcd", "dhcpcd"),
    ({}, [], "", ""),
]


@pytest.mark.parametrize(("files", "active", "stack", "manager"), IN_CHARGE)
def test_who_is_in_charge(files: dict[str, Any], active: list[str], stack: str, manager: str, tmp_path: Path) -> None:
    facts, _ = learn(tmp_path, files)
    assert facts.value("network.active") == active
    assert (facts.value("network.stack"), facts.value("network.manager")) == (stack, manager)


IFCFG = {"etc/sysconfig/network-scripts/ifcfg-eth0": "DEVICE=eth0\nBOOTPROTO=dhcp\n"}
UNMANAGED = {"etc/sysconfig/network-scripts/ifcfg-eth0": "DEVICE=eth0\nNM_CONTROLLED=no\nBOOTPROTO=dhcp\n"}
SYSV = {"etc/rc.d/init.d/network": "#!/bin/sh\n", "etc/rc.d/rc3.d/S10network": (LINK, "../init.d/network")}


@pytest.mark.parametrize(
    ("files", "version", "os_id", "manager"),
    [
        (IFCFG, "8.10", "rhel", "networkmanager"),
        (IFCFG, "6.10", "rhel", "initscripts"),
        (IFCFG, "2", "amzn", "initscripts"),
        ({**IFCFG, **SYSV}, "7.9", "centos", "initscripts"),
        ({**IFCFG, **SYSV, **on("NetworkManager.service")}, "7.9", "centos", "networkmanager"),
        ({**UNMANAGED, **SYSV, **on("NetworkManager.service")}, "7.9", "centos", "initscripts"),
    ],
)
def test_who_applies_ifcfg(files: dict[str, Any], version: str, os_id: str, manager: str, tmp_path: Path) -> None:
    facts, _ = learn(tmp_path, files, os_id, version)
    assert facts.value("network.manager") == manager


@pytest.mark.parametrize(
    ("os_id", "files", "told", "active"),
    [
        ("gentoo", {"etc/conf.d/net": 'config_eth0="192.0.2.10/24"\n'}, ["/etc/conf.d/net"], []),
        (
            "vyos",
            {"config/config.boot": "interfaces {\n}\n", "etc/network/interfaces": ""},
            ["/config/config.boot"],
            [],
        ),
        ("debian", {"etc/conf.d/net": "x\n", "etc/network/interfaces": ""}, [], ["ifupdown"]),
    ],
)
def test_a_way_of_the_systems_own_is_told_and_left(
    os_id: str, files: dict[str, Any], told: list[str], active: list[str], tmp_path: Path
) -> None:
    """And no other stack is taken for the one in charge, so that none gets a configuration that nobody reads."""
    facts, found = learn(tmp_path, files, os_id, "2")
    assert [one.evidence[0].path for one in found if one.code == "GF-NETWORK-REPORT-ONLY"] == told
    assert facts.value("network.active") == active


def test_version_10_reads_no_ifcfg(tmp_path: Path) -> None:
    files = {**IFCFG, "etc/NetworkManager/system-connections/a.nmconnection": PROFILE, **on("NetworkManager.service")}
    facts, found = learn(tmp_path, files, "rhel", "9.6")
    assert facts.value("network.active") == ["ifcfg", "networkmanager"]
    facts, found = learn(tmp_path / "b", files, "rhel", "10.1")
    assert (facts.value("network.active"), facts.value("network.stack")) == (["networkmanager"], "networkmanager")
    assert "GF-NETWORK-CONFIG-UNREADABLE" in [one.code for one in found]


@pytest.mark.parametrize(
    ("files", "state", "system"),
    [
        (on("networking.service"), "on", "systemd"),
        ({UNITS + "networking.service": ""}, "off", "systemd"),
        (
            {UNITS + "networking.service": "", "etc/systemd/system/networking.service": (LINK, "/dev/null")},
            "masked",
            "systemd",
        ),
        ({"etc/init.d/networking": "", "etc/rcS.d/S10networking": (LINK, "../init.d/networking")}, "on", "sysv"),
        ({"etc/init.d/networking": "", "etc/rc3.d/K10networking": (LINK, "../init.d/networking")}, "off", "sysv"),
        ({"etc/init/networking.conf": "start on x\n"}, "on", "upstart"),
        ({"etc/init/networking.conf": "start on x\n", "etc/init/networking.override": "manual\n"}, "off", "upstart"),
        (
            {"etc/init.d/networking": "", "etc/runlevels/boot/networking": (LINK, "/etc/init.d/networking")},
            "on",
            "openrc",
        ),
        ({"etc/init.d/networking": "", "etc/runlevels/boot/hwclock": (LINK, "/etc/init.d/hwclock")}, "off", "openrc"),
        (
            {"etc/sv/networking/run": "", "etc/runit/runsvdir/default/networking": (LINK, "/etc/sv/networking")},
            "on",
            "runit",
        ),
        ({"etc/sv/networking/run": ""}, "off", "runit"),
        ({}, "absent", ""),
    ],
)
def test_service_state(files: dict[str, Any], state: str, system: str, tmp_path: Path) -> None:
    guest = DirectoryGuest(str(build(tmp_path, {**DEBIAN, **files})))
    found = network_services.look(guest, Services(guest), "ifupdown")
    assert (found.state, found.system) == (state, system)


def test_dhcp_client(tmp_path: Path) -> None:
    many = {f"usr/sbin/tool{number}": "" for number in range(60)}
    facts, _ = learn(tmp_path / "a", {"etc/network/interfaces": STATIC, **many})
    assert facts.value("network.dhcp_client") == ""
    facts, _ = learn(tmp_path / "b", {"etc/network/interfaces": STATIC, **many, "usr/sbin/dhclient": ""})
    assert facts.value("network.dhcp_client") == "dhclient"
    facts, _ = learn(tmp_path / "c", {"etc/network/interfaces": STATIC})
    assert isinstance(facts["network.dhcp_client"].value, Unknown)
    facts, _ = learn(tmp_path / "d", {"etc/netplan/a.yaml": NETPLAN, **many})
    assert facts.value("network.dhcp_client") == "netplan"


@pytest.mark.parametrize(
    ("files", "names"),
    [
        ({"usr/lib/udev/rules.d/80-net-setup-link.rules": "x\n"}, True),
        ({"lib/udev/rules.d/75-persistent-net-generator.rules": "x\n"}, False),
        (
            {
                "usr/lib/udev/rules.d/80-net-setup-link.rules": "x\n",
                "etc/systemd/network/99-default.link": (LINK, "/dev/null"),
            },
            False,
        ),
        (
            {"usr/lib/udev/rules.d/80-net-setup-link.rules": "x\n", "etc/udev/rules.d/80-net-setup-link.rules": ""},
            False,
        ),
        ({"etc/network/interfaces": STATIC}, True),
        ({"etc/network/interfaces": STATIC.replace("ens192", "eth0")}, None),
    ],
)
def test_predictable_names(files: dict[str, Any], names: bool | None, tmp_path: Path) -> None:
    facts, _ = learn(tmp_path, files)
    assert facts.value("network.predictable_names") is names


def test_kernel_argument_turns_names_off(tmp_path: Path) -> None:
    facts = Facts()
    facts.put("os.family", "linux")
    facts.put("boot.default", menu_entry(args=["ro", "net.ifnames=0"]))
    files = {**DEBIAN, "etc/network/interfaces": STATIC}
    network.detect(DirectoryGuest(str(build(tmp_path, files))), facts, Target("t", "t"))
    assert facts.value("network.predictable_names") is False


@pytest.mark.parametrize(
    ("files", "code"),
    [
        ({"etc/resolv.conf": (LINK, "../run/systemd/resolve/stub-resolv.conf")}, "GF-NETWORK-RESOLV-DANGLING"),
        (
            {"etc/resolv.conf": (LINK, "../run/systemd/resolve/stub-resolv.conf"), **on("systemd-resolved.service")},
            "",
        ),
        ({"etc/resolv.conf": (LINK, "/etc/gone.conf")}, "GF-NETWORK-RESOLV-DANGLING"),
        ({"etc/resolv.conf": (LINK, "/run/NetworkManager/resolv.conf")}, ""),
        ({"etc/resolv.conf": "nameserver 192.0.2.53\n"}, ""),
        (
            {"etc/iptables/rules.v4": "*filter\n:INPUT DROP [0:0]\n-A INPUT -p tcp --dport 22 -j ACCEPT\n"},
            "GF-NETWORK-FIREWALL-DHCP",
        ),
        (
            {
                "etc/iptables/rules.v4": "*filter\n:INPUT DROP [0:0]\n"
                "-A INPUT -m state --state RELATED,ESTABLISHED -j ACCEPT\n"
            },
            "",
        ),
        ({"etc/wicked/ifconfig/a.xml": "<interface/>"}, "GF-NETWORK-REPORT-ONLY"),
        ({"etc/systemd/network/a.network.d/b.conf": "[Network]\nDNS=1.1.1.1\n"}, "GF-NETWORK-REPORT-ONLY"),
        ({"etc/netplan/b.yaml": "network: [\n"}, "GF-NETWORK-CONFIG-UNREADABLE"),
        ({"etc/sysconfig/network-scripts/ifcfg-x": "U2FsdGVkX18\n"}, "GF-NETWORK-CONFIG-UNREADABLE"),
    ],
)
def test_findings(files: dict[str, Any], code: str, tmp_path: Path) -> None:
    facts, found = learn(tmp_path, {"etc/network/interfaces": STATIC, **files})
    assert {one.code for one in found} - {"GF-NETWORK-NONE"} == ({code} if code else set())
    assert told(facts, "network.resolv_conf")["kind"] in ("missing", "link", "file")


def test_fixed_name_servers_are_named_for_networkd(tmp_path: Path) -> None:
    files = {"etc/netplan/a.yaml": NETPLAN, "etc/resolv.conf": "nameserver 192.0.2.53\nnameserver 127.0.0.53\n"}
    _, found = learn(tmp_path / "a", files)
    assert [one.code for one in found] == ["GF-NETWORK-RESOLV-FIXED"]
    _, found = learn(tmp_path / "b", {**files, **on("systemd-resolved.service")})
    assert found == []


def test_sources_are_followed_and_bounded(tmp_path: Path) -> None:
    files = {
        "etc/network/interfaces": "source interfaces.d/*.cfg\nsource-directory more\nsource /etc/network/interfaces\n",
        "etc/network/interfaces.d/a.cfg": STATIC,
        "etc/network/interfaces.d/b.txt": "iface no inet dhcp\n",
        "etc/network/more/good-name": "auto eth1\niface eth1 inet dhcp\nsource /etc/network/loop\n",
        "etc/network/more/bad.name": "iface no inet dhcp\n",
        "etc/network/loop": (LINK, "loop"),
    }
    facts, _ = learn(tmp_path, files)
    assert [one["name"] for one in told(facts, "network.interfaces")] == ["ens192", "eth1"]


HOSTILE = """
etc/network/interfaces etc/resolv.conf etc/cloud/cloud.cfg etc/netplan/a.yaml etc/sysconfig/network
etc/NetworkManager/system-connections/a etc/systemd/network/a.network etc/systemd/network/a.link
etc/udev/rules.d/a.rules etc/NetworkManager/conf.d/a.conf etc/iptables/rules.v4
etc/sysconfig/network-scripts/ifcfg-a etc/sysconfig/network-scripts/route-a
"""


def test_hostile_files_do_not_raise(tmp_path: Path) -> None:
    junk = b"\xff\xfe\x00[iface\n\\\n=" * 50
    facts, _ = learn(tmp_path, dict.fromkeys(HOSTILE.split(), junk))
    assert facts.value("network.active") is not None


NICS = [
    Nic("bond0.7", kind="vlan", parents=("bond0",), gateway="192.0.2.1", method="static"),
    Nic("bond0", kind="bond"),
    Nic("ens10", tied_to=("bond0",)),
    Nic("ens9", tied_to=("bond0",)),
    Nic("ens3", method="dhcp"),
]


def test_the_default_route_is_followed_down() -> None:
    assert [one.name for one in wires_of(NICS[0], NICS)] == ["ens10", "ens9"]
    assert [one.name for one in route_of(NICS) or ()] == ["bond0.7", "ens10"]
    assert [one.name for one in route_of(NICS, "ens3") or ()] == ["ens3", "ens3"]
    assert route_of([Nic("a", kind="bridge", parents=("b",)), Nic("b", kind="bridge", parents=("a",))]) is None
    named = route_of([Nic("vmbr0", kind="bridge", parents=("enp1s0",), gateway="192.0.2.1")])
    assert [one.name for one in named or ()] == ["vmbr0", "enp1s0"]


def plan(root: Path, files: dict[str, Any], policy: str, table: dict[str, str]) -> dict[str, str]:
    guest = DirectoryGuest(str(build(root, {**DEBIAN, **files})))
    options = Options(only=("network/*",), policies={"network": policy}, extra={"network.map": table})
    made = make_plan(guest, load_pack(), "kvm-virtio", options)
    assert not [one for one in made.findings if one.code == "GF-RULE-FAILED"]
    return {change.path: change.diff for change in made.changes}


MAPS = [
    ({"ens192": "52:54:00:00:00:01"}, 'ATTR{address}=="52:54:00:00:00:01", NAME="ens192"'),
    ({"ens192": "eth1"}, 'KERNEL=="eth1", NAME="ens192"'),
    ({"ens192": "enp7s0"}, 'ENV{ID_NET_NAME_PATH}=="enp7s0", NAME="ens192"'),
]


@pytest.mark.parametrize(("table", "rule"), MAPS)
def test_preserve_with_a_map(table: dict[str, str], rule: str, tmp_path: Path) -> None:
    changes = plan(tmp_path, {"etc/network/interfaces": STATIC}, "preserve", table)
    assert list(changes) == ["/etc/udev/rules.d/70-guestfix-net.rules"]
    assert rule in changes["/etc/udev/rules.d/70-guestfix-net.rules"]
    assert 'KERNEL=="eth0"' not in changes["/etc/udev/rules.d/70-guestfix-net.rules"]


def test_preserve_by_the_mac_of_the_old_udev_rule(tmp_path: Path) -> None:
    """SUSE's files name no MAC: the rule or .link file that named the NIC does."""
    rule = 'SUBSYSTEM=="net", ATTR{address}=="00:50:56:aa:bb:cc", NAME="eth0"\n'
    link = "[Match]\nMACAddress=00:50:56:AA:BB:DD\n[Link]\nName=eth1\n"
    static = "BOOTPROTO='static'\nSTARTMODE='auto'\nIPADDR='192.0.2.10/24'\n"
    files = {
        "etc/os-release": 'ID=sles\nVERSION_ID="15.5"\n',
        "etc/udev/rules.d/70-persistent-net.rules": rule,
        "etc/systemd/network/10-eth1.link": link,
        **{f"etc/sysconfig/network/ifcfg-eth{n}": static for n in (0, 1)},
        **on("wicked.service"),
    }
    table = {"00:50:56:aa:bb:cc": "52:54:00:00:00:02", "00:50:56:AA:BB:DD": "52:54:00:00:00:01"}
    new = plan(tmp_path, files, "preserve", table)["/etc/udev/rules.d/70-guestfix-net.rules"]
    assert 'ATTR{address}=="52:54:00:00:00:02", NAME="eth0"' in new
    assert 'ATTR{address}=="52:54:00:00:00:01", NAME="eth1"' in new


@pytest.mark.skipif(os.geteuid() != 0 or shutil.which("chattr") is None, reason="needs root and chattr")
def test_an_immutable_resolv_conf_is_left_alone(tmp_path: Path) -> None:
    """F39: the file can't be changed, and apply does not fail for it."""
    text = "nameserver 192.0.2.53\n"
    build(tmp_path, {**DEBIAN, "etc/network/interfaces": STATIC, "etc/resolv.conf": text})
    file = tmp_path / "etc/resolv.conf"
    if subprocess.run(["chattr", "+i", file], check=False, capture_output=True).returncode:
        pytest.skip("this filesystem has no immutable files")
    try:
        guest = DirectoryGuest(str(tmp_path))
        apply_plan(guest, make_plan(guest, load_pack(), "kvm-virtio", Options(only=("network/*",))))
    finally:
        subprocess.run(["chattr", "-i", file], check=True)
    assert file.read_text() == text
    assert "inet dhcp" in (tmp_path / "etc/network/interfaces").read_text()


def test_preserve_by_the_old_mac(tmp_path: Path) -> None:
    yaml = (
        'network:\n  ethernets:\n    lan:\n      match: {macaddress: "00:50:56:AA:BB:CC"}\n'
        "      addresses: [192.0.2.10/24]\n"
    )
    changes = plan(tmp_path, {"etc/netplan/a.yaml": yaml}, "preserve", {"00:50:56:aa:bb:cc": "52:54:00:00:00:01"})
    assert list(changes) == ["/etc/netplan/a.yaml"]
    assert '+      match: {macaddress: "52:54:00:00:00:01"}' in changes["/etc/netplan/a.yaml"]


@pytest.mark.parametrize("path", ["etc/NetworkManager/system-connections/a.nmconnection"])
def test_preserve_gives_the_profile_the_new_mac(path: str, tmp_path: Path) -> None:
    text = PROFILE.replace("[ipv4]", "[ethernet]\nmac-address=00:50:56:AA:BB:CC\n[ipv4]")
    changes = plan(tmp_path, {path: text, **on("NetworkManager.service")}, "preserve", {"ens192": "52:54:00:00:00:01"})
    assert "+mac-address=52:54:00:00:00:01" in changes[f"/{path}"]
    assert "address1" not in "".join(line for line in changes[f"/{path}"].splitlines() if line[0] in "+-")


def test_a_map_that_is_no_use_is_passed_over(tmp_path: Path) -> None:
    changes = plan(tmp_path, {"etc/network/interfaces": STATIC}, "preserve", {"ens192": 'x", RUN+="/bin/sh'})
    assert "RUN" not in "".join(changes.values())


def test_the_map_file(tmp_path: Path) -> None:
    file = tmp_path / "map.yaml"
    file.write_text("ens192: 52-54-00-12-34-56\n00:50:56:AA:BB:CC: enp7s0\n")
    assert read_map(str(file)) == {"ens192": "52:54:00:12:34:56", "00:50:56:AA:BB:CC": "enp7s0"}
    file.write_text("ens192: [a]\n'bad name': eth0\nens224: eth0\n")
    with pytest.raises(PackError) as caught:
        read_map(str(file))
    assert [one.where.rpartition("map.yaml:")[2] for one in caught.value.problems] == ["1:9", "2:1", "3:9"]
    file.write_text("- a\n")
    with pytest.raises(PackError):
        read_map(str(file))


@pytest.mark.parametrize(("names", "said"), [(("eth0", "eth1"), True), (("ens192", "ens224"), False)])
def test_names_that_udev_can_not_exchange(names: tuple[str, str], said: bool, tmp_path: Path) -> None:
    text = "".join(f"auto {name}\niface {name} inet static\n address 192.0.2.{n}/24\n" for n, name in enumerate(names))
    guest = DirectoryGuest(str(build(tmp_path, {**DEBIAN, "etc/network/interfaces": text})))
    table = {name: f"52:54:00:00:00:0{n}" for n, name in enumerate(names)}
    options = Options(("network/*",), policies={"network": "preserve"}, extra={"network.map": table})
    codes = [one.code for one in make_plan(guest, load_pack(), "kvm-virtio", options).findings]
    assert ("GF-NETWORK-NAMES-TAKEN" in codes) is said


def test_a_map_with_a_nic_that_is_not_there(tmp_path: Path) -> None:
    guest = DirectoryGuest(str(build(tmp_path, {**DEBIAN, "etc/network/interfaces": STATIC})))
    options = Options(("network/*",), policies={"network": "preserve"}, extra={"network.map": {"ens9": "eth0"}})
    made = make_plan(guest, load_pack(), "kvm-virtio", options)
    assert "GF-NETWORK-MAP-UNUSED" in [one.code for one in made.findings]


def test_profiles_bound_by_mac_alone_are_named(tmp_path: Path) -> None:
    text = PROFILE.replace("interface-name=ens192\n", "").replace(
        "[ipv4]", "[ethernet]\nmac-address=0:1:2:3:4:5\n[ipv4]"
    )
    files = {"etc/NetworkManager/system-connections/a.nmconnection": text, **on("NetworkManager.service")}
    guest = DirectoryGuest(str(build(tmp_path, {**DEBIAN, **files})))
    made = make_plan(guest, load_pack(), options=Options(("network/*",), policies={"network": "preserve"}))
    assert "a was bound to a MAC" in "".join(one.summary for one in made.findings)


def test_networkd_by_mac_alone_gets_a_name(tmp_path: Path) -> None:
    text = "[Match]\nMACAddress=00:50:56:aa:bb:cc\n[Network]\nAddress=192.0.2.10/24\n"
    changes = plan(tmp_path, {"etc/systemd/network/a.network": text, **on("systemd-networkd.service")}, "preserve", {})
    assert "+Name=lan0" in changes["/etc/systemd/network/a.network"]
    assert 'NAME="lan0"' in changes["/etc/udev/rules.d/70-guestfix-net.rules"]


@pytest.mark.parametrize(
    ("args", "said"),
    [
        ("ro quiet ip=dhcp", ""),
        ("ip=:::::dhcp ip=on", ""),
        (
            "ip=192.0.2.10::192.0.2.1:255.255.255.0:a:ens192:none ro",
            "ip=192.0.2.10::192.0.2.1:255.255.255.0:a:ens192:none",
        ),
        ("ip=ens192:dhcp ifname=ens192:00:50:56:aa:bb:cc", "ip=ens192:dhcp ifname=ens192:00:50:56:aa:bb:cc"),
    ],
)
def test_networks_of_the_initramfs(args: str, said: str, tmp_path: Path) -> None:
    facts = Facts()
    facts.put("os.family", "linux")
    facts.put("boot.default", menu_entry(args=args.split(), path="/boot/grub/grub.cfg", line=7))
    found = network.detect(DirectoryGuest(str(build(tmp_path, DEBIAN))), facts, Target("t", "t"))
    assert [str(one.evidence[0]) for one in found if one.code == "GF-NETWORK-KERNEL-ARGS"] == (
        [f"/boot/grub/grub.cfg:7: {said}"] if said else []
    )


def test_name_servers_of_resolved(tmp_path: Path) -> None:
    files = {"etc/systemd/resolved.conf": "[Resolve]\n#DNS=9.9.9.9\nDNS=192.0.2.53\n"}
    _, found = learn(tmp_path / "a", files)
    assert "GF-NETWORK-RESOLV-FIXED" not in [one.code for one in found]
    _, found = learn(tmp_path / "b", {**files, **on("systemd-resolved.service")})
    (hit,) = [one for one in found if one.code == "GF-NETWORK-RESOLV-FIXED"]
    assert str(hit.evidence[0]) == "/etc/systemd/resolved.conf:3: DNS=192.0.2.53"


CLOUD = {"etc/cloud/cloud.cfg": "users: [default]\n"}


@pytest.mark.parametrize(
    ("files", "args", "state", "place"),
    [
        ({}, [], "absent", ""),
        (CLOUD, [], "enabled", "/etc/cloud/cloud.cfg"),
        ({**CLOUD, "etc/cloud/cloud-init.disabled": ""}, [], "disabled", "/etc/cloud/cloud-init.disabled"),
        ({**CLOUD, "etc/cloud/ds-identify.cfg": "policy: disabled\n"}, [], "disabled", "/etc/cloud/ds-identify.cfg:1"),
        ({**CLOUD, "etc/cloud/ds-identify.cfg": "policy: search,notfound=disabled\n"}, [], "enabled", ""),
        (CLOUD, ["ro", "cloud-init=disabled"], "disabled", "/boot/grub/grub.cfg:7: cloud-init=disabled"),
        (CLOUD, ["network-config=disabled"], "network-disabled", "/boot/grub/grub.cfg:7"),
        (
            {**CLOUD, "etc/cloud/cloud.cfg.d/99.cfg": "network: {config: disabled}\n"},
            [],
            "network-disabled",
            "/etc/cloud/cloud.cfg.d/99.cfg:1",
        ),
        (
            {"etc/cloud/cloud.cfg.d/99.cfg": "network:\n  config: disabled  # x\n"},
            [],
            "network-disabled",
            "/etc/cloud/cloud.cfg.d/99.cfg:2",
        ),
    ],
)
def test_cloud_init(files: dict[str, Any], args: list[str], state: str, place: str, tmp_path: Path) -> None:
    facts = Facts()
    facts.put("os.family", "linux")
    facts.put("boot.default", menu_entry(args=args, path="/boot/grub/grub.cfg", line=7))
    network.detect(DirectoryGuest(str(build(tmp_path, {**DEBIAN, **files}))), facts, Target("t", "t"))
    assert facts.value("network.cloud_init") == state
    assert "".join(str(one) for one in facts.evidence("network.cloud_init")).startswith(place)


TABLE = "*filter\n:INPUT DROP [0:0]\n:OUTPUT ACCEPT [0:0]\n-A INPUT -i lo -j ACCEPT\n"
NFT = "table inet filter {\n chain input {\n  type filter hook input priority 0; policy drop;\n  tcp dport 22 accept\n"


@pytest.mark.parametrize(
    ("files", "places"),
    [
        ({"etc/iptables/rules.v4": TABLE}, ["/etc/iptables/rules.v4:2"]),
        ({"etc/iptables/rules.v4": TABLE + "-A INPUT -m state --state RELATED,ESTABLISHED -j ACCEPT\n"}, []),
        ({"etc/iptables/rules.v4": TABLE + "-A OUTPUT -m state --state ESTABLISHED -j ACCEPT\n"}, [":2"]),
        ({"etc/iptables/rules.v4": TABLE + "-A INPUT -p udp --dport 68 -j ACCEPT\n"}, []),
        ({"etc/iptables/rules.v4": TABLE + "-A INPUT -i eth0 -j ACCEPT\n"}, []),
        ({"etc/iptables/rules.v4": TABLE.replace("DROP", "ACCEPT") + "-A INPUT -j REJECT --reject-with x\n"}, [":5"]),
        (
            {
                "etc/iptables/rules.v4": TABLE.replace("INPUT DROP", "INPUT ACCEPT").replace(
                    "OUTPUT ACC", "OUTPUT DROP "
                )
            },
            [":3"],
        ),
        (
            {
                "etc/iptables/rules.v4": TABLE,
                "etc/init.d/netfilter-persistent": "",
                "etc/rc3.d/K10netfilter-persistent": (LINK, "../init.d/netfilter-persistent"),
            },
            [],
        ),
        ({"etc/nftables.conf": NFT + " }\n}\n", **on("nftables.service")}, ["/etc/nftables.conf:3"]),
        ({"etc/nftables.conf": NFT + " }\n}\n"}, []),
        ({"etc/nftables.conf": NFT + "  ct state established,related accept\n }\n}\n", **on("nftables.service")}, []),
        ({"etc/nftables.conf": NFT + "  # established\n }\n}\n", **on("nftables.service")}, [":3"]),
    ],
)
def test_firewalls_that_shut_dhcp_out(files: dict[str, Any], places: list[str], tmp_path: Path) -> None:
    _, found = learn(tmp_path, files)
    hits = [one for one in found if one.code == "GF-NETWORK-FIREWALL-DHCP"]
    assert len(hits) == len(places)
    for hit, place in zip(hits, places, strict=True):
        assert f"{hit.evidence[0].path}:{hit.evidence[0].line}".endswith(place)


DHCPCD = "#static ip_address=192.0.2.1/24\ninterface eth0\n"
CONNMAN = {"var/lib/connman/ethernet_1_cable/settings": "[x]\nIPv4.method=manual\n", **on("connman.service")}


@pytest.mark.parametrize(
    ("files", "severity", "line"),
    [
        ({"etc/dhcpcd.conf": DHCPCD, **on("dhcpcd.service")}, "info", 0),
        ({"etc/dhcpcd.conf": DHCPCD + " static ip_address=192.0.2.1/24\n", **on("dhcpcd.service")}, "warning", 3),
        (CONNMAN, "warning", 2),
        (on("connman.service"), "info", 0),
    ],
)
def test_dhcpcd_and_connman_are_reported(files: dict[str, Any], severity: str, line: int, tmp_path: Path) -> None:
    _, found = learn(tmp_path, files)
    (hit,) = [one for one in found if one.code == "GF-NETWORK-REPORT-ONLY"]
    assert (hit.severity, hit.evidence[0].line) == (severity, line)
