from __future__ import annotations

import struct
from pathlib import Path

import pytest

from guestfix.base.facts import Unknown
from guestfix.base.guest import Disk, Disks, Volume
from tests.build.facts import told
from tests.build.windows import KVM, SELECT, codes, hive, learn, make
from tests.build.windows_texts import SERVICES, C, bcd, service


def test_control_sets_are_those_that_select_names(tmp_path: Path) -> None:
    facts, _ = learn(make(tmp_path))
    assert facts.value("windows.control_sets") == ["ControlSet001", "ControlSet002"]
    assert facts.evidence("windows.control_sets")[0].text == r"SYSTEM\Select: Default = 1"


def test_the_second_set_may_be_the_current_one(tmp_path: Path) -> None:
    text = '[Select]\n"Current"=dword:2\n"Default"=dword:2\n"LastKnownGood"=dword:3\n'
    facts, _ = learn(make(tmp_path, text))
    assert facts.value("windows.control_set") == "ControlSet002"
    assert facts.value("windows.control_sets") == ["ControlSet002"]


def test_the_set_of_the_next_start_counts_not_that_of_the_last(tmp_path: Path) -> None:
    text = '[Select]\n"Current"=dword:2\n"Default"=dword:1\n"LastKnownGood"=dword:2\n'
    facts, _ = learn(make(tmp_path, text))
    assert facts.value("windows.control_set") == "ControlSet001"
    assert facts.value("windows.control_sets") == ["ControlSet001", "ControlSet002"]


def test_without_select_the_first_set_counts(tmp_path: Path) -> None:
    files = {"Windows/System32/config/SYSTEM": hive("[ControlSet007\\Services]")}
    facts, _ = learn(make(tmp_path, files=files))
    assert facts.value("windows.control_sets") == ["ControlSet007"]
    files = {"Windows/System32/config/SYSTEM": hive("[Setup]")}
    facts, _ = learn(make(tmp_path / "b", files=files))
    assert isinstance(facts["windows.control_sets"].value, Unknown)


def test_boot_drivers_and_their_files(tmp_path: Path) -> None:
    text = service("disk", 0, more='"ImagePath"=str(2):"\\\\SystemRoot\\\\System32\\\\drivers\\\\disk.sys"')
    text += service("gone", 0, more='"ErrorControl"=dword:3\n"ImagePath"=str(2):"system32\\\\DRIVERS\\\\gone.sys"')
    text += service("later", 3) + service("nopath", 0)
    text += service("away", 0, more='"ImagePath"=str(2):"\\\\??\\\\D:\\\\x.sys"')
    files = {"Windows/System32/drivers/disk.sys": b"", "Windows/System32/drivers/nopath.sys": b""}
    facts, findings = learn(make(tmp_path, text, files=files))
    found = {one["service"]: (one["file"], one["present"]) for one in told(facts, "windows.boot_drivers")}
    assert found == {
        "disk": ("/Windows/System32/drivers/disk.sys", True),
        "gone": ("/Windows/system32/DRIVERS/gone.sys", False),
        "nopath": ("/Windows/System32/drivers/nopath.sys", True),
        "away": (None, False),
    }
    assert codes(findings) >= {"GF-WINDOWS-BOOT-DRIVER-MISSING"}


def test_automatic_services(tmp_path: Path) -> None:
    text = service("Dnscache", 2, 32) + service("later", 3, 32) + service("off", 4, 32) + service("disk", 0)
    facts, _ = learn(make(tmp_path, text))
    assert facts.value("windows.auto_services") == ["Dnscache"]
    assert [one["service"] for one in told(facts, "windows.boot_drivers")] == ["disk"]


def test_a_start_override_is_seen(tmp_path: Path) -> None:
    text = service("storahci", 0) + f'[{SERVICES}\\storahci\\StartOverride]\n"0"=dword:3\n'
    facts, _ = learn(make(tmp_path, text))
    (found,) = told(facts, "windows.storage_drivers")
    assert (found["service"], found["start"], found["start_override"]) == ("storahci", 0, 3)


@pytest.mark.parametrize(("head", "state"), [(b"HIBR", True), (b"hibr", True), (b"wake", False), (b"\0\0\0\0", False)])
def test_hibernation(tmp_path: Path, head: bytes, state: bool) -> None:
    facts, findings = learn(make(tmp_path, files={"hiberfil.sys": head + bytes(100)}))
    assert facts.value("windows.hibernated") is state
    assert ("GF-DISK-HIBERNATED" in codes(findings)) is state


def test_a_dirty_volume_is_said_once(tmp_path: Path) -> None:
    disks = Disks((Disk("/dev/sda", partitions=(Volume("/dev/sda2", fstype="ntfs", unclean=True),)),))
    facts, findings = learn(make(tmp_path), KVM, disks)
    assert facts.value("windows.dirty_volumes") == ["/dev/sda2"]
    assert "GF-DISK-UNCLEAN-FILESYSTEM" in codes(findings)
    facts, findings = learn(make(tmp_path / "b", files={"hiberfil.sys": b"HIBR"}), KVM, disks)
    assert [one.code for one in findings if "DIRTY" in one.code or "HIBER" in one.code] == ["GF-DISK-HIBERNATED"]
    facts, _ = learn(make(tmp_path / "c"))
    assert isinstance(facts["windows.dirty_volumes"].value, Unknown)


def test_no_hibernation_file(tmp_path: Path) -> None:
    text = f'[{C}\\Control\\Session Manager\\Power]\n"HiberbootEnabled"=dword:1\n'
    facts, _ = learn(make(tmp_path, text))
    assert facts.value("windows.hibernated") is False
    assert facts.value("windows.fast_startup") is True


def test_pending_work(tmp_path: Path) -> None:
    software = r"[Microsoft\Windows\CurrentVersion\Component Based Servicing\RebootPending]"
    facts, findings = learn(make(tmp_path, "", software, {"Windows/WinSxS/pending.xml": b"<x/>"}))
    assert len(facts.value("windows.pending")) == 2
    assert "GF-WINDOWS-REBOOT-PENDING" in codes(findings)
    servicing = r"[Microsoft\Windows\CurrentVersion\Component Based Servicing\PackagesPending"
    facts, _ = learn(make(tmp_path / "empty", "", f"{servicing}]"))
    assert facts.value("windows.pending") == []
    facts, _ = learn(make(tmp_path / "one", "", servicing + "\\Package_for_KB1]"))
    assert facts.value("windows.pending") == ["packages are pending"]
    upgrade = '[Setup]\n"SystemSetupInProgress"=dword:1\n"CmdLine"="{0}"\n'
    facts, _ = learn(make(tmp_path / "up", upgrade.format("setup.exe")))
    assert facts.value("windows.pending") == ["setup or an upgrade is not finished"]
    facts, _ = learn(make(tmp_path / "sys", upgrade.format("oobe\\\\windeploy.exe")))
    assert facts.value("windows.pending") == []
    rename = f'[{C}\\Control\\Session Manager]\n"PendingFileRenameOperations"=str(7):"a\\0"\n'
    facts, findings = learn(make(tmp_path / "b", rename))
    assert len(facts.value("windows.pending")) == 1
    assert [one.severity for one in findings if one.code == "GF-WINDOWS-REBOOT-PENDING"] == ["info"]


def test_interfaces(tmp_path: Path) -> None:
    base = f"{SERVICES}\\Tcpip\\Parameters\\Interfaces"
    text = f"""[{base}\\{{A}}]
"EnableDHCP"=dword:0
"IPAddress"=str(7):"192.0.2.10\\0192.0.2.11\\0"
"SubnetMask"=str(7):"255.255.255.0\\0255.255.255.0\\0"
"DefaultGateway"=str(7):"192.0.2.1\\0"
"NameServer"="192.0.2.53,192.0.2.54"
[{base}\\{{B}}]
"EnableDHCP"=dword:1
"IPAddress"=str(7):"0.0.0.0\\0"
[{C}\\Control\\Network\\{{4D36E972-E325-11CE-BFC1-08002BE10318}}\\{{A}}\\Connection]
"Name"="Ethernet"
"PnpInstanceID"="PCI\\\\VEN_15AD&DEV_07B0\\\\1"
"""
    facts, _ = learn(make(tmp_path, text))
    assert facts.value("windows.static_addresses") is True
    assert told(facts, "windows.nics") == [
        {
            "guid": "{A}",
            "name": "Ethernet",
            "device": "PCI\\VEN_15AD&DEV_07B0\\1",
            "static": True,
            "addresses": ["192.0.2.10", "192.0.2.11"],
            "masks": ["255.255.255.0", "255.255.255.0"],
            "gateways": ["192.0.2.1"],
            "dns": ["192.0.2.53", "192.0.2.54"],
            "wins": [],
            "suffix": "",
        },
        {
            "guid": "{B}",
            "name": "",
            "device": "",
            "static": False,
            "addresses": [],
            "masks": [],
            "gateways": [],
            "dns": [],
            "wins": [],
            "suffix": "",
        },
    ]


def test_name_servers_entered_by_hand(tmp_path: Path) -> None:
    text = f"""[{SERVICES}\\Tcpip\\Parameters\\Interfaces\\{{B}}]
"EnableDHCP"=dword:1
"NameServer"="192.0.2.53"
"""
    _, findings = learn(make(tmp_path, text))
    assert "GF-NETWORK-RESOLV-FIXED" in codes(findings)


def test_clock_san_policy_crash(tmp_path: Path) -> None:
    text = f'[{C}\\Control\\TimeZoneInformation]\n"RealTimeIsUniversal"=dword:1\n'
    text += f'[{SERVICES}\\partmgr\\Parameters]\n"SanPolicy"=dword:3\n'
    text += f'[{C}\\Control\\CrashControl]\n"AutoReboot"=dword:0\n'
    facts, _ = learn(make(tmp_path, text))
    assert [facts.value(f"windows.{n}") for n in ("clock", "san_policy", "crash_reboot")] == ["utc", 3, False]
    facts, _ = learn(make(tmp_path / "b"))
    assert [facts.value(f"windows.{n}") for n in ("clock", "san_policy", "crash_reboot")] == ["localtime", None, True]


RULE = "v2.10|Action=Allow|Active={0}|Dir=In|Protocol=6|LPort=3389|App=System|"


@pytest.mark.parametrize(
    ("denied", "active", "enabled", "let_through"),
    [(0, "TRUE", True, True), (1, "TRUE", False, True), (0, "FALSE", True, False)],
)
def test_remote_desktop(tmp_path: Path, denied: int, active: str, enabled: bool, let_through: bool) -> None:
    text = service("TermService", 3, 32) + f'[{C}\\Control\\Terminal Server]\n"fDenyTSConnections"=dword:{denied}\n'
    rules = f"{SERVICES}\\SharedAccess\\Parameters\\FirewallPolicy"
    text += (
        f'[{rules}\\StandardProfile]\n"EnableFirewall"=dword:1\n[{rules}\\PublicProfile]\n"EnableFirewall"=dword:1\n'
    )
    text += f'[{rules}\\FirewallRules]\n"RemoteDesktop-In-TCP"="{RULE.format(active)}"\n'
    facts, findings = learn(make(tmp_path, text))
    assert facts.value("windows.rdp.enabled") is enabled
    assert facts.value("windows.rdp.firewall") is let_through
    assert ("GF-WINDOWS-RDP" in codes(findings)) is not (enabled and let_through)


def test_remote_desktop_of_server_2003(tmp_path: Path) -> None:
    base = f"{SERVICES}\\SharedAccess\\Parameters\\FirewallPolicy\\StandardProfile"
    text = service("TermService", 2, 32) + f'[{C}\\Control\\Terminal Server]\n"fDenyTSConnections"=dword:0\n'
    text += f'[{base}]\n"EnableFirewall"=dword:1\n'
    facts, _ = learn(make(tmp_path, text))
    assert facts.value("windows.rdp.firewall") is False
    text += f'[{base}\\GloballyOpenPorts\\List]\n"3389:TCP"="3389:TCP:*:Enabled:@xpsp2res.dll,-22009"\n'
    facts, _ = learn(make(tmp_path / "b", text))
    assert facts.value("windows.rdp.firewall") is True


def test_automatic_logon(tmp_path: Path) -> None:
    software = '[Microsoft\\Windows NT\\CurrentVersion\\Winlogon]\n"AutoAdminLogon"="1"\n"DefaultUserName"="bob"\n'
    facts, findings = learn(make(tmp_path, "", software))
    assert facts.value("windows.autologon") is True
    assert "GF-WINDOWS-AUTOLOGON" in codes(findings)


STATE = '[Microsoft\\Windows\\CurrentVersion\\Setup\\State]\n"ImageState"="{0}"\n'


@pytest.mark.parametrize(
    ("image", "setup", "expected"),
    [
        ("IMAGE_STATE_COMPLETE", "", False),
        ("IMAGE_STATE_GENERALIZE_RESEAL_TO_OOBE", "", True),
        ("IMAGE_STATE_COMPLETE", '"SetupType"=dword:2\n"CmdLine"="oobe\\\\windeploy.exe"', True),
        ("", '"SetupType"=dword:1\n"CmdLine"="setup -newsetup -mini"', True),
        ("", '"SetupType"=dword:0\n"CmdLine"=""', False),
    ],
)
def test_sysprep(tmp_path: Path, image: str, setup: str, expected: bool) -> None:
    facts, _ = learn(make(tmp_path, f"[Setup]\n{setup}\n", STATE.format(image)))
    assert facts.value("windows.sysprepped") is expected


def test_audit_mode(tmp_path: Path) -> None:
    _, findings = learn(make(tmp_path, "", STATE.format("IMAGE_STATE_GENERALIZE_RESEAL_TO_AUDIT")))
    assert "GF-WINDOWS-AUDIT-MODE" in codes(findings)


@pytest.mark.parametrize(("release", "version"), [(0, ""), (378389, "4.5"), (394806, "4.6.2"), (533325, "4.8.1")])
def test_dotnet(tmp_path: Path, release: int, version: str) -> None:
    software = f'[Microsoft\\NET Framework Setup\\NDP\\v4\\Full]\n"Release"=dword:{release:x}\n'
    facts, _ = learn(make(tmp_path, "", software))
    assert facts.value("windows.dotnet") == version


def test_a_page_file_elsewhere(tmp_path: Path) -> None:
    path = f"[{C}\\Control\\Session Manager\\Memory Management]\n"
    facts, findings = learn(make(tmp_path, path + '"PagingFiles"=str(7):"D:\\\\pagefile.sys 0 0\\0"\n'))
    assert facts.value("windows.page_files") == ["D:\\pagefile.sys 0 0"]
    assert "GF-WINDOWS-PAGEFILE" in codes(findings)
    _, findings = learn(make(tmp_path / "b", path + '"PagingFiles"=str(7):"?:\\\\pagefile.sys\\0"\n'))
    assert "GF-WINDOWS-PAGEFILE" not in codes(findings)


def test_orphan_filters_and_restrictions(tmp_path: Path) -> None:
    text = (
        f'[{C}\\Control\\Class\\{{4d36e967-e325-11ce-bfc1-08002be10318}}]\n"UpperFilters"=str(7):"PartMgr\\0oldav\\0"\n'
    )
    text += service("partmgr", 0)
    software = '[Policies\\Microsoft\\Windows\\DeviceInstall\\Restrictions]\n"DenyUnspecified"=dword:1\n'
    facts, findings = learn(make(tmp_path, text, software))
    assert facts.value("windows.orphan_filters") == ["oldav"]
    assert "GF-WINDOWS-DEVICE-INSTALL" in codes(findings)


def test_drive_letters(tmp_path: Path) -> None:
    mbr = (struct.pack("<IQ", 0x1234ABCD, 1048576)).hex(",")
    gpt = (b"DMIO:ID:" + bytes(range(16))).hex(",")
    cd = "\\??\\SCSI#CdRom&Ven_X#4&1#{53f5}".encode("utf-16-le").hex(",")
    names = [("C:", mbr), ("D:", gpt), ("E:", cd)]
    text = "[MountedDevices]\n" + "".join(f'"\\\\DosDevices\\\\{name}"=hex:{data}\n' for name, data in names)
    facts, _ = learn(make(tmp_path, text))
    assert facts.value("windows.drive_letters") == {
        "C:": "mbr 1234abcd offset 1048576",
        "D:": "volume 03020100-0504-0706-0809-0a0b0c0d0e0f",
        "E:": "device \\??\\SCSI#CdRom&Ven_X#4&1",
    }


def test_bitlocker(tmp_path: Path) -> None:
    disks = Disks((Disk("0", partitions=(Volume("0p2", fstype="BitLocker"),)),))
    facts, findings = learn(make(tmp_path), KVM, disks)
    assert facts.value("windows.bitlocker") == ["0p2"]
    assert "GF-DISK-BITLOCKER" in codes(findings)


@pytest.mark.parametrize("place", ["EFI/Microsoft/Boot/BCD", "boot/efi/EFI/Microsoft/Boot/BCD", "Boot/BCD"])
@pytest.mark.parametrize("ems", [True, False])
def test_boot_configuration(tmp_path: Path, place: str, ems: bool) -> None:
    facts, _ = learn(make(tmp_path, files={place: bcd(ems=ems, policy=1)}))
    assert facts.value("windows.bcd") == [f"/{place}"]
    assert facts.value("windows.ems") is ems
    assert facts.value("windows.boot_status_policy") == 1
    assert facts.value("boot.firmware") == "bios"


def test_firmware_is_what_the_loader_is_for(tmp_path: Path) -> None:
    facts, _ = learn(make(tmp_path, files={"EFI/Microsoft/Boot/BCD": bcd("\\\\Windows\\\\system32\\\\winload.efi")}))
    assert facts.value("boot.firmware") == "uefi"
    facts, _ = learn(make(tmp_path / "b"))
    assert isinstance(facts["boot.firmware"].value, Unknown)


@pytest.mark.parametrize(("text", "ems"), [("[boot loader]\r\nredirect=COM1\r\n", True), ("[boot loader]\r\n", False)])
def test_boot_ini(tmp_path: Path, text: str, ems: bool) -> None:
    facts, _ = learn(make(tmp_path, files={"boot.ini": text.encode()}))
    assert facts.value("windows.ems") is ems
    assert facts.value("boot.firmware") == "bios"


@pytest.mark.parametrize(
    ("path", "found"),
    [
        ("multi(0)disk(0)rdisk(0)partition(1)", False),
        ("signature(1a2b)disk(0)rdisk(0)partition(1)", False),
        ("SCSI(0)disk(1)rdisk(0)partition(1)", True),
    ],
)
def test_a_disk_behind_its_own_driver_in_boot_ini(tmp_path: Path, path: str, found: bool) -> None:
    text = f'[boot loader]\r\ntimeout=30\r\ndefault={path}\\WINDOWS\r\n[operating systems]\r\n{path}\\WINDOWS="x"\r\n'
    _, findings = learn(make(tmp_path, files={"boot.ini": text.encode()}))
    proofs = [one.evidence for one in findings if one.code == "GF-WINDOWS-BOOT-INI-SCSI"]
    assert [[item.line for item in one] for one in proofs] == ([[3, 5]] if found else [])


def test_two_windows_are_a_blocker(tmp_path: Path) -> None:
    files = {"WINNT/System32/config/SYSTEM": hive(SELECT)}
    _, findings = learn(make(tmp_path, files=files))
    assert "GF-OS-SEVERAL-ROOTS" in codes(findings)


@pytest.mark.parametrize("data", [b"", b"regf", b"x" * 9000, hive(SELECT)[:5000]])
def test_a_broken_hive_is_a_blocker(tmp_path: Path, data: bytes) -> None:
    facts, findings = learn(make(tmp_path, files={"Windows/System32/config/SYSTEM": data}))
    assert "GF-WINDOWS-HIVE-DAMAGED" in codes(findings)
    assert facts.value("os.family") == "windows"
    assert facts.value("windows.hives") == {"SOFTWARE": "/Windows/System32/config/SOFTWARE"}
