"""What strands a Windows after its first start: security, roles, services, clouds, hardware, accounts."""

from __future__ import annotations

import struct
from pathlib import Path

import pytest

from guestfix.base.guest import Disk, Disks, Volume
from guestfix.base.record import replace
from guestfix.formats.windows.regf import REG_BINARY, Hive, empty_hive
from guestfix.pack.model import Target
from tests.build.windows import CONFIG, KVM, learn, make
from tests.build.windows_texts import C, service

GUARD = f"{C}\\Control\\DeviceGuard"
POLICY = "Policies\\Microsoft\\Windows\\DeviceGuard"


def value(key: str, name: str, data: object) -> str:
    return f'[{key}]\n"{name}"={f"dword:{data:08x}" if isinstance(data, int) else chr(34) + str(data) + chr(34)}\n'


def told(
    tmp_path: Path, system: str = "", software: str = "", target: Target = KVM, disks: Disks | None = None
) -> dict:
    facts, findings = learn(make(tmp_path, system, software), target, disks)
    return {**{one.code: one for one in findings}, "facts": facts}


@pytest.mark.parametrize(
    ("system", "software", "parts", "words"),
    [
        (value(GUARD, "EnableVirtualizationBasedSecurity", 1), "", ["vbs"], "virtualization-based"),
        ("", value(POLICY, "EnableVirtualizationBasedSecurity", 1), ["vbs"], "virtualization-based"),
        (value(GUARD + "\\Scenarios\\HypervisorEnforcedCodeIntegrity", "Enabled", 1), "", ["hvci"], "HVCI"),
        (value(f"{C}\\Control\\Lsa", "LsaCfgFlags", 1), "", ["credential-guard", "uefi-lock"], "locked by UEFI"),
        (value(f"{C}\\Control\\Lsa", "LsaCfgFlags", 2), "", ["credential-guard"], "Credential Guard"),
        (value(GUARD, "RequirePlatformSecurityFeatures", 3), "", ["dma-protection"], "IOMMU"),
    ],
)
def test_virtualization_based_security(
    tmp_path: Path, system: str, software: str, parts: list[str], words: str
) -> None:
    found = told(tmp_path, system, software)
    assert found["facts"].value("windows.virtualization_security") == parts
    one = found["GF-WINDOWS-VBS"]
    assert (
        words in one.summary and one.severity == "warning" and one.evidence and not one.evidence[0].text.endswith("0")
    )


def test_security_that_is_off_and_features_with_a_hypervisor(tmp_path: Path) -> None:
    text = value(GUARD, "EnableVirtualizationBasedSecurity", 0) + value(f"{C}\\Control\\Lsa", "LsaCfgFlags", 0)
    assert "GF-WINDOWS-VBS" not in told(tmp_path / "off", text)
    assert "WSL" in told(tmp_path / "wsl", service("LxssManager", 3, 32))["GF-WINDOWS-VIRTUAL-HOST"].summary
    assert "GF-WINDOWS-VIRTUAL-HOST" not in told(tmp_path / "no", service("vmcompute", 4, 16))
    role = service("vmcompute", 2, 16) + service("vmms", 2, 16)
    assert "GF-WINDOWS-VIRTUAL-HOST" not in told(tmp_path / "role", role)


INTERFACE = f"{C}\\Services\\Tcpip\\Parameters\\Interfaces\\{{A}}"
STATIC = f'[{INTERFACE}]\n"EnableDHCP"=dword:0\n"IPAddress"=str(7):"192.0.2.10\\0"\n'
CONTROLLER = value(f"{C}\\Control\\ProductOptions", "ProductType", "LanmanNT")


@pytest.mark.parametrize("name", ["NTDS", "DNS", "DHCPServer", "ClusSvc", "WINS"])
def test_roles_that_others_know_by_address(tmp_path: Path, name: str) -> None:
    found = told(tmp_path, service(name, 2, 32) + STATIC)
    assert "192.0.2.10" in found["GF-WINDOWS-ROLE-ADDRESS"].summary
    assert "GF-WINDOWS-ROLE-ADDRESS" not in told(tmp_path / "off", service(name, 4, 32) + STATIC)
    assert "GF-WINDOWS-ROLE-ADDRESS" not in told(tmp_path / "dhcp", service(name, 2, 32))


HOME = "aaaaaaaa-0000-4000-8000-00000000000c"
DISKS = Disks((Disk("/dev/sda", table="gpt", partitions=(Volume("/dev/sda1", partuuid=HOME, fstype="ntfs"),)),))


def letter(name: str, data: bytes) -> str:
    return f'[MountedDevices]\n"\\\\DosDevices\\\\{name}:"=hex:{data.hex(",")}\n'


@pytest.mark.parametrize(
    ("path", "named", "disks", "severity"),
    [
        ("C:\\\\Windows\\\\NTDS\\\\ntds.dit", "", DISKS, ""),
        ("E:\\\\NTDS\\\\ntds.dit", letter("E", b"DMIO:ID:" + bytes(16)), DISKS, "blocker"),
        ("E:\\\\NTDS\\\\ntds.dit", letter("E", b"DMIO:ID:" + bytes(16)), None, "warning"),
        ("E:\\\\NTDS\\\\ntds.dit", "", DISKS, "blocker"),
        ("E:\\\\NTDS\\\\ntds.dit", "", None, "warning"),
        ("E:\\\\NTDS", letter("E", struct.pack("<IQ", 0xDEADBEEF, 1048576)), replace(DISKS, read=True), "blocker"),
    ],
)
def test_a_domain_database_on_a_volume_that_stayed(
    tmp_path: Path, path: str, named: str, disks: Disks | None, severity: str
) -> None:
    text = CONTROLLER + value(f"{C}\\Services\\NTDS\\Parameters", "DSA Database file", path) + named
    found = told(tmp_path, text, disks=disks)
    assert (found["GF-WINDOWS-ROLE-DATA"].severity if "GF-WINDOWS-ROLE-DATA" in found else "") == severity
    assert "GF-WINDOWS-ROLE-DATA" not in told(tmp_path / "member", text.replace("LanmanNT", "ServerNT"), disks=disks)


@pytest.mark.parametrize("name", ["NDIS", "Tcpip", "AFD", "nsi", "nsiproxy", "Dhcp", "NlaSvc", "netprofm"])
def test_services_of_the_network(tmp_path: Path, name: str) -> None:
    one = told(tmp_path, service(name, 4))["GF-WINDOWS-NETWORK-SERVICE"]
    assert name in one.summary and one.outcome == ("" if name in ("NlaSvc", "netprofm") else "stops")
    assert "GF-WINDOWS-NETWORK-SERVICE" not in told(tmp_path / "on", service(name, 3))


@pytest.mark.parametrize(
    ("device", "kind"),
    [("COMPOSITEBUS\\\\MS_IMPLAT_MP\\\\{1}", "LBFO"), ("ROOT\\\\VMS_MP\\\\0000", "SET"), ("PCI\\\\VEN_15AD\\\\1", "")],
)
def test_teams(tmp_path: Path, device: str, kind: str) -> None:
    base = f"{C}\\Control\\Network\\{{4D36E972-E325-11CE-BFC1-08002BE10318}}\\{{A}}\\Connection"
    found = told(tmp_path, STATIC + value(base, "Name", "Team 1") + value(base, "PnpInstanceID", device))
    summary = found["GF-WINDOWS-NETWORK-TEAM"].summary if "GF-WINDOWS-NETWORK-TEAM" in found else ""
    assert kind in summary and bool(kind) == bool(summary)


def test_other_ways_in(tmp_path: Path) -> None:
    rules = f"{C}\\Services\\SharedAccess\\Parameters\\FirewallPolicy\\FirewallRules"
    ssh = service("sshd", 2, 16) + value(rules, "OpenSSH", "v2.30|Action=Allow|Active=TRUE|Dir=In|Protocol=6|LPort=22|")
    found = told(tmp_path / "ssh", ssh)
    assert found["facts"].value("windows.remote_access") == ["ssh"] and found["GF-WINDOWS-RDP"].severity == "info"
    shut = ssh.replace("Active=TRUE", "Active=FALSE")
    assert told(tmp_path / "shut", shut)["GF-WINDOWS-RDP"].severity == "warning"
    listener = "[Microsoft\\Windows\\CurrentVersion\\WSMAN\\Listener\\*+HTTP]\n"
    found = told(tmp_path / "winrm", service("WinRM", 2, 32), listener)
    assert found["facts"].value("windows.remote_access") == ["winrm"]
    assert told(tmp_path / "none", service("WinRM", 2, 32))["facts"].value("windows.remote_access") == []


@pytest.mark.parametrize("base", ["", "WOW6432Node\\"])
def test_an_instance_that_cloudbase_init_remembers(tmp_path: Path, base: str) -> None:
    software = value(f"{base}Cloudbase Solutions\\Cloudbase-Init\\i-1\\Plugins", "SetHostNamePlugin", 1)
    found = told(tmp_path, service("cloudbase-init", 2, 16), software)
    assert "i-1" in found["GF-WINDOWS-CLOUDBASE"].summary
    assert "GF-WINDOWS-CLOUDBASE" not in told(tmp_path / "off", service("cloudbase-init", 4, 16), software)
    assert "GF-WINDOWS-CLOUDBASE" not in told(tmp_path / "new", service("cloudbase-init", 2, 16))


@pytest.mark.parametrize(
    ("host", "cloud", "severity"),
    [
        ("kms.core.windows.net", "", "warning"),
        ("azkms.core.windows.net.", "azure", ""),
        ("169.254.169.250", "google", "warning"),
        ("kms.corp.example", "azure", "info"),
    ],
)
def test_the_server_that_activates(tmp_path: Path, host: str, cloud: str, severity: str) -> None:
    key = "Microsoft\\Windows NT\\CurrentVersion\\SoftwareProtectionPlatform"
    found = told(tmp_path, "", value(key, "KeyManagementServiceName", host), replace(KVM, cloud=cloud))
    assert (found["GF-WINDOWS-KMS"].severity if "GF-WINDOWS-KMS" in found else "") == severity


@pytest.mark.parametrize(
    ("maker", "product", "physical"),
    [
        ("Dell Inc.", "PowerEdge R740", True),
        ("VMware, Inc.", "VMware Virtual Platform", False),
        ("Microsoft Corporation", "Virtual Machine", False),
        ("Microsoft Corporation", "Surface Pro", True),
        ("QEMU", "Standard PC (Q35 + ICH9, 2009)", False),
        ("Amazon EC2", "m5.large", False),
    ],
)
def test_what_it_ran_on(tmp_path: Path, maker: str, product: str, physical: bool) -> None:
    key = f"{C}\\Control\\SystemInformation"
    found = told(tmp_path, value(key, "SystemManufacturer", maker) + value(key, "SystemProductName", product))
    assert found["facts"].value("windows.physical") is physical and ("GF-WINDOWS-PHYSICAL" in found) is physical


def test_devices_and_processors(tmp_path: Path) -> None:
    key = f"{C}\\Enum\\PCI\\VEN_1AF4&DEV_1001&SUBSYS_1\\1"
    assert "VEN_1AF4" in told(tmp_path / "off", value(key, "ConfigFlags", 1))["GF-WINDOWS-DEVICE-OFF"].summary
    assert "GF-WINDOWS-DEVICE-OFF" not in told(tmp_path / "on", value(key, "ConfigFlags", 0x40))
    now = "Microsoft\\Windows NT\\CurrentVersion"
    found = told(tmp_path / "old", service("intelppm", 1), value(now, "CurrentVersion", "5.2"))
    assert "GF-WINDOWS-PROCESSOR-DRIVER" in found
    assert "GF-WINDOWS-PROCESSOR-DRIVER" not in told(
        tmp_path / "new", service("intelppm", 3), value(now, "CurrentVersion", "6.1")
    )


def account(name: str, flags: int, hash_length: int) -> tuple[bytes, bytes]:
    text = name.encode("utf-16-le")
    places = bytearray(0xCC)
    struct.pack_into("<II", places, 0x0C, 0, len(text))
    struct.pack_into("<II", places, 0xA8, len(text), hash_length)
    return bytes(0x38) + struct.pack("<H", flags) + bytes(20), bytes(places) + text


def sam(*made: tuple[str, int, int]) -> bytes:
    hive = Hive.open(empty_hive("SAM"))
    for number, (name, flags, length) in enumerate(made, 0x1F4):
        general, places = account(name, flags, length)
        hive.set_value(f"SAM\\Domains\\Account\\Users\\{number:08X}", "F", REG_BINARY, general)
        hive.set_value(f"SAM\\Domains\\Account\\Users\\{number:08X}", "V", REG_BINARY, places)
    hive.create_key("SAM\\Domains\\Account\\Users\\Names\\x")
    return hive.to_bytes()


def test_accounts_without_a_password(tmp_path: Path) -> None:
    made = sam(
        ("Administrator", 0x10, 0x38), ("open", 0x14, 0x18), ("old", 0x10, 4), ("off", 0x11, 4), ("xp", 0x10, 20)
    )
    make(tmp_path, files={f"{CONFIG}/SAM": made})
    facts, findings = learn(tmp_path)
    assert facts.value("windows.accounts_without_password") == ["open", "old"]
    assert "GF-WINDOWS-NO-PASSWORD" in {one.code for one in findings}
    make(tmp_path / "b", files={f"{CONFIG}/SAM": b"regf"})
    facts, findings = learn(tmp_path / "b")
    assert facts.value("windows.accounts_without_password") is None


def test_evaluation_refs_and_page_file(tmp_path: Path) -> None:
    now = "Microsoft\\Windows NT\\CurrentVersion"
    assert "GF-WINDOWS-EVALUATION" in told(tmp_path / "eval", "", value(now, "EditionID", "ServerStandardEval"))
    refs = Disks((Disk("/dev/sda", partitions=(Volume("/dev/sda1", fstype="refs"),)),), root="/dev/sda1")
    assert "GF-WINDOWS-REFS" in told(tmp_path / "refs", disks=refs)
    key = f"{C}\\Control\\Session Manager\\Memory Management"
    managed = f'[{key}]\n"PagingFiles"=str(7):"?:\\\\pagefile.sys\\0"\n'
    managed += '"ExistingPageFiles"=str(7):"\\\\??\\\\D:\\\\pagefile.sys\\0"\n'
    assert "D:" in told(tmp_path / "page", managed)["GF-WINDOWS-PAGEFILE"].summary
    assert "GF-WINDOWS-PAGEFILE" not in told(tmp_path / "c", managed.replace("D:", "C:"))
