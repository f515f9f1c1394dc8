"""Whatever a registry holds, detection and planning end in facts and findings, never in a stray exception."""

from __future__ import annotations

import shutil
import tempfile
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from guestfix.backends.directory import DirectoryGuest
from guestfix.formats.windows.regf import Hive, empty_hive
from guestfix.pack.cache import load_pack
from guestfix.plan.planner import Options, make_plan
from tests.build.windows import CONFIG, SELECT, codes, hive, learn, make
from tests.build.windows_corpus import RULES, payload

C = "ControlSet001"
SYSTEM_VALUES = [
    ("Select", "Current"),
    ("Select", "LastKnownGood"),
    (f"{C}\\Control\\ProductOptions", "ProductType"),
    (f"{C}\\Control\\ProductOptions", "ProductSuite"),
    (f"{C}\\Control\\Windows", "CSDVersion"),
    (f"{C}\\Control\\Nls\\Language", "InstallLanguage"),
    (f"{C}\\Control\\Session Manager", "PendingFileRenameOperations"),
    (f"{C}\\Control\\Session Manager\\Memory Management", "PagingFiles"),
    (f"{C}\\Control\\Terminal Server", "fDenyTSConnections"),
    (f"{C}\\Control\\TimeZoneInformation", "RealTimeIsUniversal"),
    (f"{C}\\Control\\CrashControl", "AutoReboot"),
    (f"{C}\\Control\\Class\\{{4d36e967-e325-11ce-bfc1-08002be10318}}", "UpperFilters"),
    (f"{C}\\Enum\\PCI\\VEN_1&DEV_2\\3", "ClassGUID"),
    (f"{C}\\Enum\\PCI\\VEN_1&DEV_2\\3", "Driver"),
    (f"{C}\\Services\\viostor", "Start"),
    (f"{C}\\Services\\viostor", "ImagePath"),
    (f"{C}\\Services\\viostor\\StartOverride", "0"),
    (f"{C}\\Services\\VMTools", "Start"),
    (f"{C}\\Services\\TermService", "Start"),
    (f"{C}\\Services\\vmms", "Start"),
    (f"{C}\\Services\\partmgr\\Parameters", "SanPolicy"),
    (f"{C}\\Services\\Tcpip\\Parameters\\Interfaces\\x", "EnableDHCP"),
    (f"{C}\\Services\\Tcpip\\Parameters\\Interfaces\\x", "IPAddress"),
    (f"{C}\\Services\\Tcpip\\Parameters\\Interfaces\\x", "NameServer"),
    (f"{C}\\Services\\Tcpip\\Parameters\\PersistentRoutes", "0.0.0.0,a"),
    (f"{C}\\Services\\SharedAccess\\Parameters\\FirewallPolicy\\FirewallRules", "RemoteDesktop-In-TCP"),
    ("MountedDevices", "\\DosDevices\\C:"),
    ("Setup", "SetupType"),
    ("Setup", "CmdLine"),
    ("Setup", "UnattendFile"),
    ("DriverDatabase", "Version"),
    ("DriverDatabase\\DeviceIds\\PCI\\VEN_1AF4&DEV_1001", "oem1.inf"),
    ("DriverDatabase\\DriverInfFiles\\oem1.inf", "Active"),
    ("DriverDatabase\\DriverPackages\\x\\Descriptors\\PCI\\VEN_1AF4&DEV_1001", "Configuration"),
    (f"{C}\\Control\\CriticalDeviceDatabase\\pci#ven_1af4&dev_1001", "DriverPackageId"),
    (f"{C}\\Control\\CriticalDeviceDatabase\\pci#ven_1af4&dev_1001", "Service"),
    (f"{C}\\Control\\Terminal Server\\WinStations\\RDP-Tcp", "PortNumber"),
    (f"{C}\\Control\\Network\\{{4D36E972-E325-11CE-BFC1-08002BE10318}}\\x\\Connection", "Name"),
    (f"{C}\\Services\\Tcpip\\Parameters\\Interfaces\\x", "DefaultGateway"),
    (f"{C}\\Services\\dmio\\Boot Info\\Primary Disk Group", "Name"),
    (f"{C}\\Services\\ClusSvc", "Start"),
    ("Setup", "Compact"),
]
NT = "Microsoft\\Windows NT\\CurrentVersion"
SOFTWARE_VALUES = [
    *((NT, name) for name in ("CurrentVersion", "CurrentBuild", "EditionID", "ProductName", "CSDVersion")),
    *((NT, name) for name in ("CurrentMajorVersionNumber", "CurrentMinorVersionNumber", "InstallationType")),
    (f"{NT}\\Winlogon", "AutoAdminLogon"),
    (f"{NT}\\Server\\ServerLevels", "NanoServer"),
    ("Microsoft\\Windows\\CurrentVersion", "DevicePath"),
    ("Microsoft\\Windows\\CurrentVersion\\Setup\\State", "ImageState"),
    ("Microsoft\\NET Framework Setup\\NDP\\v4\\Full", "Release"),
]
BCD_VALUES = [
    ("Objects\\{9dea862c-5cdd-4e70-acc1-f32b344d4795}\\Elements\\23000003", "Element"),
    ("Objects\\{9dea862c-5cdd-4e70-acc1-f32b344d4795}\\Elements\\24000001", "Element"),
    ("Objects\\{1}\\Description", "Type"),
    ("Objects\\{1}\\Elements\\12000002", "Element"),
    ("Objects\\{1}\\Elements\\250000e0", "Element"),
    ("Objects\\{1}\\Elements\\260000b0", "Element"),
    ("Objects\\{1}\\Elements\\zz", "Element"),
]
TEXTS = st.one_of(
    st.sampled_from(
        ["0", "1", "10.0", "6.1", "winnt", "system32\\drivers\\x.sys", "C:\\..\\x", "\\??\\C:\\a", "9" * 30]
    ),
    st.text(max_size=12),
)
DATA = st.one_of(
    st.binary(max_size=24),
    TEXTS.map(lambda text: (text + "\0").encode("utf-16-le", "surrogatepass")),
    st.integers(0, 2**32 - 1).map(lambda number: number.to_bytes(4, "little")),
    st.sampled_from([0, 1, 2, 3, 4, 0x10200003]).map(lambda number: number.to_bytes(4, "little")),
)
KINDS = st.sampled_from([0, 1, 2, 3, 4, 5, 7, 11, 99])
VALUE = st.one_of(st.none(), st.tuples(KINDS, DATA))


def built(values: list[tuple[str, str]], drawn: list[tuple[int, bytes] | None], base: bytes) -> bytes:
    made = Hive.open(base)
    for (path, name), value in zip(values, drawn, strict=True):
        if value is not None:
            made.set_value(path, name, *value)
    return made.to_bytes()


def some(values: list[tuple[str, str]]) -> st.SearchStrategy[list[tuple[int, bytes] | None]]:
    return st.lists(VALUE, min_size=len(values), max_size=len(values))


PACK = load_pack(RULES)
POLICIES = {"windows_ghost_adapters": "remove", "windows_rdp": "on", "windows_autologon": "off"}


@settings(max_examples=40, deadline=None)
@given(
    some(SYSTEM_VALUES),
    some(SOFTWARE_VALUES),
    some(BCD_VALUES),
    st.sampled_from([b"", b"HIBR", b"\xff"]),
    st.sampled_from(["kvm-virtio", "vmware", "azure", "aws-xen", "aws-nitro"]),
)
def test_law_any_values(system: list, software: list, bcd: list, suspended: bytes, target: str) -> None:
    root = Path(tempfile.mkdtemp())
    try:
        files = {
            f"{CONFIG}/SYSTEM": built(SYSTEM_VALUES, system, hive(SELECT)),
            f"{CONFIG}/SOFTWARE": built(SOFTWARE_VALUES, software, empty_hive()),
            "Boot/BCD": built(BCD_VALUES, bcd, empty_hive()),
            "EFI/Microsoft/Boot/BCD": built(BCD_VALUES, bcd[::-1], empty_hive()),
            "hiberfil.sys": suspended,
            "Windows/System32/drivers/viostor.sys": b"",
        }
        make(root / "guest", files=files)
        options = Options(confidence="possible", policies=POLICIES, extra={"payload.dir": payload(root, "w10")})
        plan = make_plan(DirectoryGuest(str(root / "guest")), PACK, target, options)
        assert plan.findings
    finally:
        shutil.rmtree(root)


@settings(max_examples=40, deadline=None)
@given(st.integers(0, 12287), st.binary(min_size=1, max_size=8), st.sampled_from(["SYSTEM", "SOFTWARE"]))
def test_law_damaged_hives(at: int, junk: bytes, name: str) -> None:
    text = SELECT if name == "SYSTEM" else f'[{NT}]\n"CurrentBuild"="19045"\n'
    text += "".join(f'[{C}\\Services\\s{i}]\n"Start"=dword:0\n' for i in range(40))
    data = bytearray(hive(text))
    data[at : at + len(junk)] = junk
    root = Path(tempfile.mkdtemp())
    try:
        make(root, files={f"{CONFIG}/{name}": bytes(data)})
        make_plan(DirectoryGuest(str(root)), PACK, "kvm-virtio", Options(confidence="possible", policies=POLICIES))
    finally:
        shutil.rmtree(root)


@pytest.mark.parametrize("name", ["Windows/System32/config/SYSTEM", "hiberfil.sys", "Boot/BCD", "boot.ini"])
def test_a_folder_or_fifo_in_place_of_a_file(tmp_path: Path, name: str) -> None:
    import os

    make(tmp_path)
    path = tmp_path / name
    if path.exists():
        path.unlink()
    path.parent.mkdir(exist_ok=True)
    os.mkfifo(path)
    facts, _ = learn(tmp_path)
    assert facts.value("os.family") == "windows"


def test_without_a_system_hive(tmp_path: Path) -> None:
    make(tmp_path)
    (tmp_path / CONFIG / "SYSTEM").unlink()
    _, findings = learn(tmp_path)
    assert codes(findings) == {"GF-WINDOWS-HIVE-MISSING"}
