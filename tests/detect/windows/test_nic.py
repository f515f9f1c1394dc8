"""Whether Windows has a driver for the target's NIC, and what a plan without one says."""

from __future__ import annotations

from pathlib import Path

import pytest

from guestfix.base.facts import Finding
from guestfix.base.record import replace
from guestfix.formats.windows.netdrivers import NETWORK_DRIVERS, brings, of
from guestfix.pack.cache import load_pack
from tests.build.windows import hive, learn, make, pe
from tests.build.windows_texts import service

NOW = r"[Microsoft\Windows NT\CurrentVersion]"
DRIVERS = "Windows/System32/drivers"
STORE = "Windows/System32/DriverStore/FileRepository"
VIRTIO = rb"%d%=i, PCI\VEN_1AF4&DEV_1000&SUBSYS_00011AF4"


def windows(version: str) -> str:
    major, minor, build = version.split(".")
    text = f'{NOW}\n"CurrentVersion"="{major}.{minor}"\n"CurrentBuild"="{build}"\n"CurrentBuildNumber"="{build}"\n'
    if major == "10":
        text += f'"CurrentMajorVersionNumber"=dword:0000000a\n"CurrentMinorVersionNumber"=dword:{minor}\n'
    return text + '"ProductName"="Windows Server"\n'


def judged(root: Path, target: str, version: str, system: str, files: dict[str, bytes]) -> list[Finding]:
    made = make(root, system, windows(version), files)
    found = learn(made, load_pack().targets[target])[1]
    return [one for one in found if one.code == "GF-WINDOWS-NIC-DRIVER"]


WITHOUT = [
    ("aws-nitro", "10.0.20348", "blocker", "AwsEnaNetworkDriver", ""),
    ("gce", "10.0.20348", "blocker", "virtio-win", ""),
    ("azure", "6.0.6002", "blocker", "integration services", ""),
    ("kvm-virtio", "10.0.20348", "warning", "virtio-win", "E1000, E1000E, RTL8139"),
    ("kvm-virtio", "6.1.7601", "warning", "virtio-win", "E1000, RTL8139"),
    ("kvm-virtio", "5.2.3790", "warning", "virtio-win", "RTL8139"),
    ("vmware", "10.0.20348", "warning", "VMware Tools", "E1000E, E1000"),
    ("vmware", "5.2.3790", "warning", "VMware Tools", "PCnet (Flexible)"),
]


@pytest.mark.parametrize(("target", "version", "severity", "package", "others"), WITHOUT)
def test_without_a_driver(tmp_path: Path, target: str, version: str, severity: str, package: str, others: str) -> None:
    (found,) = judged(tmp_path, target, version, "", {})
    assert (found.severity, found.step) == (severity, "network")
    assert package in found.remedy
    assert found.remedy.partition("has a driver for: ")[2] == others
    assert found.outcome == ("unknown" if others else "")


DATABASE = r"""[DriverDatabase\DeviceIds\PCI\VEN_1AF4&DEV_1000]
"netkvm.inf"=hex:01,ff,00,00
[DriverDatabase\DriverInfFiles\netkvm.inf]
"Active"="netkvm.inf_amd64_0123456789abcdef"
"""
SERVICE = service("netkvm", 3)
FILE = {f"{DRIVERS}/netkvm.sys": pe()}
WITH = [
    ("gce", SERVICE, FILE),
    ("gce", DATABASE, {}),
    ("gce", "", {f"{STORE}/netkvm.inf_amd64_0123456789abcdef/netkvm.inf": VIRTIO}),
    ("gce", "", {"Windows/INF/oem7.inf": VIRTIO}),
    ("gce", "", {"Windows/INF/oem7.inf": VIRTIO.decode().encode("utf-16")}),
    ("gce", "", {"Windows/INF/oem12.inf": b"[x.Services]\r\n  AddService = gvnic, 2, y\r\n"}),
    ("gce", service("gvnic", 3), {f"{DRIVERS}/gvnic.sys": pe()}),
    ("gce", "", {"Windows/guestfix/drivers/NetKVM/netkvm.inf": VIRTIO}),
    ("azure", "", {}),
    ("vmware", service("vmxnet3ndis5", 3), {f"{DRIVERS}/vmxnet3ndis5.sys": pe()}),
    ("aws-nitro", service("ena", 3), {f"{DRIVERS}/ena.sys": pe()}),
]


@pytest.mark.parametrize(("target", "system", "files"), WITH)
def test_with_a_driver(tmp_path: Path, target: str, system: str, files: dict[str, bytes]) -> None:
    found = judged(tmp_path, target, "10.0.20348", system, files)
    other_card = "gvnic" in system or any(b"gvnic" in one for one in files.values())
    assert [one.severity for one in found] == (["warning"] if other_card else [])


NOT_ENOUGH = [
    (service("netkvm", 4), FILE),
    (SERVICE, {}),
    ("", FILE),
    ("", {"Windows/INF/oem7.inf": b"; AddService = netkvmx\r\nAddService = netkvmx, 2, y"}),
    ("", {"Windows/INF/netkvm.inf.bak": VIRTIO}),
    ("", {"Windows/INF/oem7.inf": b"\xff\xfe\x00"}),
]


@pytest.mark.parametrize(("system", "files"), NOT_ENOUGH)
def test_what_is_no_driver(tmp_path: Path, system: str, files: dict[str, bytes]) -> None:
    assert [one.severity for one in judged(tmp_path, "gce", "10.0.20348", system, files)] == ["blocker"]


def test_an_optional_nic_is_not_missed(tmp_path: Path) -> None:
    target = replace(load_pack().targets["gce"], windows_drivers={"storage": (), "network": ("netkvm?",)})
    found = learn(make(tmp_path, "", windows("10.0.20348")), target)[1]
    assert "GF-WINDOWS-NIC-DRIVER" not in {one.code for one in found}


def test_every_nic_of_a_target_is_known() -> None:
    for target in load_pack().targets.values():
        named = [*target.windows_drivers["network"], *target.windows_offers.get("network", ())]
        for name in (part.strip() for item in named for part in item.split("|")):
            assert name in NETWORK_DRIVERS, (target.id, name)


def test_an_unknown_version_takes_what_any_windows_brings() -> None:
    assert of("netvsc").in_box(None) and not of("netkvm").in_box(None)
    assert not of("pcnet").in_box((6, 0)) and of("pcnet").in_box((5, 2))
    assert not brings(b"", "x", ())


def database(*devices: str, many: int = 200) -> bytes:
    """The hive DRIVERS of a Windows: many devices of others, and these, each served by a package."""
    text = "".join(f"[DriverDatabase\\DeviceIds\\PCI\\VEN_FFFF&DEV_{number:04X}]\n" for number in range(many))
    for device in devices:
        text += f'[DriverDatabase\\DeviceIds\\PCI\\{device}]\n"net.inf"=hex:01\n'
    return hive(text + '[DriverDatabase\\DriverInfFiles\\net.inf]\n"Active"="net.inf_amd64_1"\n', "DRIVERS")


@pytest.mark.parametrize(
    ("made", "others"),
    [
        (database("VEN_8086&DEV_100E"), "E1000"),
        (database("VEN_10EC&DEV_8139&REV_20"), "RTL8139"),
        (database("VEN_8086&DEV_100E", many=3), "E1000, E1000E, RTL8139"),
        (b"regf", "E1000, E1000E, RTL8139"),
    ],
)
def test_what_windows_brings_its_own_database_tells(tmp_path: Path, made: bytes, others: str) -> None:
    path = "Windows/System32/config/DRIVERS"
    (found,) = judged(tmp_path, "kvm-virtio", "10.0.20348", "", {path: made})
    assert found.remedy.partition("has a driver for: ")[2] == others
    assert judged(tmp_path / "b", "kvm-virtio", "10.0.20348", "", {path: database("VEN_1AF4&DEV_1000")}) == []
