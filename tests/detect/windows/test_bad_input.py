"""Real hives cut off anywhere, and each value that is read replaced by one of another type: findings, never a crash."""

from __future__ import annotations

import random
import time
from pathlib import Path

import pytest

from guestfix.cli import run
from guestfix.formats.windows.regf import (
    REG_BINARY,
    REG_DWORD,
    REG_EXPAND_SZ,
    REG_MULTI_SZ,
    REG_SZ,
    Hive,
)
from guestfix.formats.windows.regf.keys import Key
from tests.build.corpus import corpus_params
from tests.build.hive_oracles import corpus_hive
from tests.build.windows import CONFIG, SELECT, hive, make, pe
from tests.build.windows_texts import LOADER, C, bcd, service

PLACES = 64
SECONDS = 25
"""The longest that one test here takes; what is left by then is left to the next run, which begins elsewhere."""
HIVES = {f"{CONFIG}/SYSTEM": "SYSTEM", f"{CONFIG}/SOFTWARE": "SOFTWARE", "Boot/BCD": "BCD", f"{CONFIG}/SAM": "SAM"}


def cut_of(name: str) -> list[bytes]:
    data = corpus_hive(name)
    return [data[: len(data) * place // PLACES + place % 5] for place in range(PLACES)]


@pytest.mark.parametrize("path", corpus_params("hives"))
def test_hives_that_are_cut_off(tmp_path: Path, path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    name = path.name.removesuffix(".xz")
    if "log" in name.lower():
        pytest.skip("a transaction log, no hive")
    pieces, end = cut_of(name), time.monotonic() + SECONDS
    make(tmp_path, service("viostor", 0))
    kept = {place: (tmp_path / place).read_bytes() for place in HIVES if (tmp_path / place).exists()}
    for number, piece in enumerate(pieces):
        place = list(HIVES)[number % len(HIVES)]
        (tmp_path / place).parent.mkdir(exist_ok=True)
        (tmp_path / place).write_bytes(piece)
        status = run(["report", str(tmp_path)])
        out = capsys.readouterr().out
        assert status in (0, 1, 2), f"{place} cut at {len(piece)}"
        if HIVES[place] != "SAM":
            assert "GF-WINDOWS-HIVE-" in out and f"/{place}" in out, f"{place} cut at {len(piece)}"
        (tmp_path / place).unlink()
        for other, data in kept.items():
            (tmp_path / other).write_bytes(data)
        if time.monotonic() > end:
            break


NICS = f"{C}\\Services\\Tcpip\\Parameters\\Interfaces\\{{A}}"
CLASS = f"{C}\\Control\\Class\\{{4d36e967-e325-11ce-bfc1-08002be10318}}"
SYSTEM = (
    SELECT
    + "".join(service(one, 0) for one in ("viostor", "pci", "acpi", "disk", "xenfilt", "vsepflt"))
    + "".join(service(one, 2, 16) for one in ("VMTools", "NTDS", "DNS", "vmcompute", "cloudbase-init", "sshd", "WinRM"))
    + "".join(service(one, 4, 16) for one in ("Dhcp", "TermService", "DeviceInstall"))
    + f"""
[{C}\\Control\\ProductOptions]
"ProductType"="LanmanNT"
[{C}\\Control\\Session Manager]
"PendingFileRenameOperations"=str(7):"\\\\??\\\\C:\\\\a\\0"
[{C}\\Control\\Session Manager\\Memory Management]
"PagingFiles"=str(7):"?:\\\\pagefile.sys\\0"
"ExistingPageFiles"=str(7):"\\\\??\\\\D:\\\\pagefile.sys\\0"
[{C}\\Control\\Session Manager\\Environment]
"PROCESSOR_ARCHITECTURE"="AMD64"
[{C}\\Control\\TimeZoneInformation]
"RealTimeIsUniversal"=dword:0
[{C}\\Control\\CrashControl]
"AutoReboot"=dword:0
[{C}\\Control\\Terminal Server]
"fDenyTSConnections"=dword:1
[{C}\\Control\\DeviceGuard]
"EnableVirtualizationBasedSecurity"=dword:1
"RequirePlatformSecurityFeatures"=dword:3
[{C}\\Control\\Lsa]
"LsaCfgFlags"=dword:1
[{C}\\Control\\SystemInformation]
"SystemManufacturer"="Dell"
"SystemProductName"="PowerEdge"
[{C}\\Control\\Nls\\Language]
"InstallLanguage"="0407"
[{C}\\Control\\NetworkProvider\\Order]
"ProviderOrder"="vmhgfs,RDPNP"
[{CLASS}]
"UpperFilters"=str(7):"partmgr\\0gone\\0xenfilt\\0"
[{C}\\Enum\\SCSI\\Disk\\1]
"LowerFilters"=str(7):"gone\\0"
[{C}\\Enum\\PCI\\VEN_1AF4&DEV_1001\\1]
"ConfigFlags"=dword:1
"ClassGUID"="{{4d36e97b-e325-11ce-bfc1-08002be10318}}"
"Service"="viostor"
[{C}\\Services\\vsepflt\\Instances]
"DefaultInstance"="one"
[{C}\\Services\\vsepflt\\Instances\\one]
"Altitude"="320000"
[{C}\\Services\\viostor\\StartOverride]
"0"=dword:3
[{C}\\Services\\NTDS\\Parameters]
"DSA Database file"="E:\\\\ntds.dit"
[{NICS}]
"EnableDHCP"=dword:0
"IPAddress"=str(7):"192.0.2.10\\0"
"SubnetMask"=str(7):"255.255.255.0\\0"
"DefaultGateway"=str(7):"192.0.2.1\\0"
"NameServer"="192.0.2.53"
"Domain"="corp.example"
[{C}\\Services\\Tcpip\\Parameters]
"SearchList"="corp.example"
"NV Domain"="corp.example"
[{C}\\Services\\NetBT\\Parameters\\Interfaces\\Tcpip_{{A}}]
"NameServerList"=str(7):"192.0.2.54\\0"
[{C}\\Control\\Network\\{{4D36E972-E325-11CE-BFC1-08002BE10318}}\\{{A}}\\Connection]
"Name"="Team"
"PnpInstanceID"="COMPOSITEBUS\\\\MS_IMPLAT_MP\\\\1"
[{C}\\Services\\partmgr\\Parameters]
"SanPolicy"=dword:3
[MountedDevices]
"\\\\DosDevices\\\\C:"=hex:01,02,03,04,00,00,10,00,00,00,00,00
[Setup]
"SetupType"=dword:0
"CmdLine"=""
[HardwareConfig]
"LastConfig"="{{1}}"
[DriverDatabase\\DeviceIds\\PCI\\VEN_1AF4&DEV_1001]
"oem1.inf"=hex:01
[DriverDatabase\\DriverInfFiles\\oem1.inf]
"Active"="oem1"
[DriverDatabase\\DriverPackages\\oem1\\Descriptors\\PCI\\VEN_1AF4&DEV_1001]
"Configuration"="c"
[DriverDatabase\\DriverPackages\\oem1\\Configurations\\c]
"Service"="viostor"
"""
)
SOFTWARE = r"""[Microsoft\Windows NT\CurrentVersion]
"CurrentVersion"="6.3"
"CurrentBuild"="20348"
"CurrentBuildNumber"="20348"
"CurrentMajorVersionNumber"=dword:0000000a
"CurrentMinorVersionNumber"=dword:00000000
"EditionID"="ServerStandardEval"
"ProductName"="Windows Server 2022"
"InstallationType"="Server"
[Microsoft\Windows NT\CurrentVersion\Winlogon]
"AutoAdminLogon"="1"
"DefaultUserName"="x"
[Microsoft\Windows NT\CurrentVersion\SoftwareProtectionPlatform]
"KeyManagementServiceName"="kms.core.windows.net"
[Microsoft\Windows\CurrentVersion\Setup\State]
"ImageState"="IMAGE_STATE_COMPLETE"
[Microsoft\Windows\CurrentVersion\Uninstall\x]
"DisplayName"="VMware Tools"
"DisplayVersion"="12"
[Microsoft\Windows\CurrentVersion\WSMAN\Listener\*+HTTP]
"Port"=dword:1761
[Policies\Microsoft\Windows\DeviceGuard]
"LsaCfgFlags"=dword:1
[Cloudbase Solutions\Cloudbase-Init\i-1\Plugins]
"SetHostNamePlugin"=dword:1
"""
OTHERS: list[tuple[int, bytes | str | int | list[str]]] = [
    (REG_SZ, "text"),
    (REG_EXPAND_SZ, "%SystemRoot%\\x"),
    (REG_DWORD, 0xFFFFFFFF),
    (REG_BINARY, b"\x01\xd8"),
    (REG_MULTI_SZ, ["one", "two"]),
    (REG_SZ, b"\x00\xd8\x41\x00\x2e\x20"),
    (99, b""),
]
"""Types and data that no fact expects: texts where numbers belong, half a character, nothing at all."""


def values_of(key: Key, path: str = "") -> list[tuple[str, str]]:
    found = [(path, value.name) for value in key.values()]
    for one in key.subkeys():
        found += values_of(one, f"{path}\\{one.name}" if path else one.name)
    return found


def test_values_of_another_type(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    store = bcd("\\\\Windows\\\\system32\\\\winload.exe", ems=True, policy=0)
    drivers = {f"Windows/System32/drivers/{one}.sys": pe() for one in ("viostor", "pci", "disk", "xenfilt", "vsepflt")}
    sound = {
        f"{CONFIG}/SYSTEM": hive(SYSTEM, "SYSTEM"),
        f"{CONFIG}/SOFTWARE": hive(SOFTWARE, "SOFTWARE"),
        "Boot/BCD": store,
    }
    make(tmp_path, files={**drivers, **sound})
    assert run(["report", str(tmp_path)]) in (0, 1, 2)
    work = [
        (place, *one, other) for place in sound for one in values_of(Hive.open(sound[place]).root) for other in OTHERS
    ]
    assert len(work) > 700 and any(LOADER in path for _, path, _, _ in work)
    random.seed()
    random.shuffle(work)
    end = time.monotonic() + SECONDS
    for place, path, name, (kind, data) in work:
        changed = Hive.open(sound[place])
        changed.set_value(path, name, kind, data)
        (tmp_path / place).write_bytes(changed.to_bytes())
        status = run(["report", str(tmp_path), "--format", "json" if kind == 99 else "text"])
        told = capsys.readouterr()
        assert status in (0, 1, 2), f"{place}: {path}: {name} of type {kind}: {told.err}"
        (tmp_path / place).write_bytes(sound[place])
        if time.monotonic() > end:
            break
