from __future__ import annotations

from pathlib import Path

import pytest

from guestfix.base.facts import Unknown
from tests.build.windows import codes, learn, make, pe

NT = r"[Microsoft\Windows NT\CurrentVersion]"
SERVER = '[ControlSet001\\Control\\ProductOptions]\n"ProductType"="ServerNT"\n'
CLIENT = '[ControlSet001\\Control\\ProductOptions]\n"ProductType"="WinNT"\n'


def version(number: str, build: int, edition: str = "", name: str = "", more: str = "") -> str:
    lines = [NT, f'"CurrentBuild"="{build}"']
    if number.startswith("10."):
        lines += ['"CurrentVersion"="6.3"', '"CurrentMajorVersionNumber"=dword:0000000a']
        lines += ['"CurrentMinorVersionNumber"=dword:00000000']
    else:
        lines += [f'"CurrentVersion"="{number}"']
    if edition:
        lines += [f'"EditionID"="{edition}"']
    if name:
        lines += [f'"ProductName"="{name}"']
    return "\n".join([*lines, more])


ROWS = [
    (SERVER, "5.2", 3790, "", "Microsoft Windows Server 2003", "windows-server-2003", "Standard"),
    (SERVER, "5.2", 3790, "", "Microsoft Windows Server 2003 R2", "windows-server-2003-r2", "Standard"),
    (SERVER, "6.0", 6002, "ServerEnterprise", "", "windows-server-2008", "Enterprise"),
    (SERVER, "6.1", 7601, "ServerWeb", "", "windows-server-2008-r2", "Web Server"),
    (SERVER, "6.2", 9200, "ServerStandard", "", "windows-server-2012", "Standard"),
    (SERVER, "6.3", 9600, "ServerDatacenterCore", "", "windows-server-2012-r2", "Datacenter"),
    (SERVER, "10.0", 14393, "ServerStandardEval", "", "windows-server-2016", "Standard"),
    (SERVER, "10.0", 16299, "ServerDatacenterACor", "", "windows-server-1709", "Datacenter"),
    (SERVER, "10.0", 17134, "ServerStandardACor", "", "windows-server-1803", "Standard"),
    (SERVER, "10.0", 17763, "ServerStandard", "Windows Server 2019 Standard", "windows-server-2019", "Standard"),
    (SERVER, "10.0", 17763, "ServerStandardACor", "Windows Server Standard", "windows-server-1809", "Standard"),
    (SERVER, "10.0", 19042, "ServerStandardACor", "", "windows-server-20h2", "Standard"),
    (SERVER, "10.0", 20348, "ServerDatacenter", "", "windows-server-2022", "Datacenter"),
    (SERVER, "10.0", 20348, "ServerTurbine", "", "windows-server-2022", "Datacenter"),
    (SERVER, "10.0", 26100, "ServerStandard", "", "windows-server-2025", "Standard"),
    (SERVER, "10.0", 22631, "ServerRdsh", "Windows 11 Enterprise multi-session", "windows-11", "Enterprise"),
    (CLIENT, "5.1", 2600, "", "Microsoft Windows XP", "windows-xp", "Professional"),
    (CLIENT, "6.0", 6002, "Business", "", "windows-vista", "Business"),
    (CLIENT, "6.1", 7601, "HomePremium", "", "windows-7", "Home"),
    (CLIENT, "6.2", 9200, "Core", "", "windows-8", "Home"),
    (CLIENT, "6.3", 9600, "Enterprise", "", "windows-8.1", "Enterprise"),
    (CLIENT, "10.0", 19045, "EnterpriseS", "Windows 10 Enterprise LTSC", "windows-10", "Enterprise"),
    (CLIENT, "10.0", 22631, "Professional", "Windows 10 Pro", "windows-11", "Professional"),
    (CLIENT, "10.0", 26100, "CoreSingleLanguage", "", "windows-11", "Home"),
    (CLIENT, "10.0", 19044, "Education", "", "windows-10", "Education"),
]


@pytest.mark.parametrize(("kind", "number", "build", "edition", "name", "ident", "expected"), ROWS)
def test_identity(
    tmp_path: Path, kind: str, number: str, build: int, edition: str, name: str, ident: str, expected: str
) -> None:
    facts, _ = learn(make(tmp_path, kind, version(number, build, edition, name)))
    assert facts.value("os.family") == "windows"
    assert facts.value("os.id") == ident
    assert facts.value("os.edition") == expected
    assert facts.value("os.version") == f"{number}.{build}"
    assert facts.value("os.build") == build
    assert any("SOFTWARE" in item.path for item in facts.evidence("os.id"))


@pytest.mark.parametrize(
    ("suites", "expected"), [("DataCenter", "Datacenter"), ("Enterprise", "Enterprise"), ("Blade", "Web Server")]
)
def test_edition_of_server_2003_is_its_product_suite(tmp_path: Path, suites: str, expected: str) -> None:
    text = SERVER + f'"ProductSuite"=str(7):"Terminal Server\\0{suites}\\0"\n'
    facts, _ = learn(make(tmp_path, text, version("5.2", 3790)))
    assert facts.value("os.edition") == expected


def test_service_packs(tmp_path: Path) -> None:
    more = '"CSDVersion"="Service Pack 2"'
    facts, _ = learn(make(tmp_path / "a", SERVER, version("5.2", 3790, more=more)))
    assert facts.value("os.service_pack") == 2
    control = '[ControlSet001\\Control\\Windows]\n"CSDVersion"=dword:00000100\n'
    facts, _ = learn(make(tmp_path / "b", SERVER + control, version("5.2", 3790)))
    assert facts.value("os.service_pack") == 1


@pytest.mark.parametrize(("machine", "arch"), [(0x14C, "i686"), (0x8664, "x86_64"), (0xAA64, "aarch64")])
def test_architecture_is_the_kernels(tmp_path: Path, machine: int, arch: str) -> None:
    facts, _ = learn(make(tmp_path, CLIENT, version("10.0", 19045), {"Windows/System32/ntoskrnl.exe": pe(machine)}))
    assert facts.value("os.arch") == arch
    assert facts.evidence("os.arch")[0].path == "/Windows/System32/ntoskrnl.exe"


def test_architecture_without_a_kernel_is_the_registrys(tmp_path: Path) -> None:
    text = CLIENT + '[ControlSet001\\Control\\Session Manager\\Environment]\n"PROCESSOR_ARCHITECTURE"="AMD64"\n'
    facts, _ = learn(make(tmp_path, text, version("6.1", 7601), {"Windows/System32/ntoskrnl.exe": b"no PE"}))
    assert facts.value("os.arch") == "x86_64"
    facts, _ = learn(make(tmp_path / "b", CLIENT, version("6.1", 7601), {"Windows/System32/ntoskrnl.exe": b""}))
    assert isinstance(facts["os.arch"].value, Unknown)


def test_language_and_display_version(tmp_path: Path) -> None:
    text = CLIENT + '[ControlSet001\\Control\\Nls\\Language]\n"InstallLanguage"="0407"\n'
    text += "[ControlSet001\\Control\\MUI\\UILanguages\\de-DE]\n[ControlSet001\\Control\\MUI\\UILanguages\\en-US]\n"
    more = '"ReleaseId"="2009"\n"DisplayVersion"="22H2"\n"InstallationType"="Client"'
    facts, _ = learn(make(tmp_path, text, version("10.0", 19045, "Core", more=more)))
    assert facts.value("os.language") == "de-DE"
    assert facts.value("windows.languages") == ["de-DE", "en-US"]
    assert facts.value("os.display_version") == "22H2"
    assert facts.value("os.installation_type") == "Client"


def test_without_a_product_type_the_installation_type_tells(tmp_path: Path) -> None:
    facts, _ = learn(make(tmp_path, "", version("10.0", 14393, more='"InstallationType"="Server Core"')))
    assert facts.value("os.id") == "windows-server-2016"


def test_an_empty_registry_leaves_it_unknown(tmp_path: Path) -> None:
    facts, _ = learn(make(tmp_path))
    assert facts.value("os.family") == "windows"
    for name in ("os.id", "os.version", "os.edition", "os.language"):
        assert isinstance(facts[name].value, Unknown), name


def test_names_in_any_case(tmp_path: Path) -> None:
    make(tmp_path / "x", CLIENT, version("6.1", 7601))
    (tmp_path / "x" / "Windows").rename(tmp_path / "x" / "WINDOWS")
    (tmp_path / "x" / "WINDOWS" / "System32").rename(tmp_path / "x" / "WINDOWS" / "SYSTEM32")
    facts, _ = learn(tmp_path / "x")
    assert facts.value("os.id") == "windows-7"


def test_an_upgraded_windows_in_winnt_with_small_letters(tmp_path: Path) -> None:
    make(tmp_path / "x", SERVER, version("5.2", 3790), {"Windows/System32/drivers/viostor.sys": b""})
    old = tmp_path / "x" / "Windows"
    (old / "System32" / "config" / "SYSTEM").rename(old / "System32" / "config" / "system")
    (old / "System32" / "config" / "SOFTWARE").rename(old / "System32" / "config" / "software")
    (old / "System32").rename(old / "system32")
    old.rename(tmp_path / "x" / "WINNT")
    facts, _ = learn(tmp_path / "x")
    assert facts.value("os.id") == "windows-server-2003"
    assert facts.value("windows.root") == "/WINNT"


def test_a_hypervisor_server_is_no_home_edition(tmp_path: Path) -> None:
    facts, _ = learn(make(tmp_path, SERVER, version("10.0", 17763, "ServerHyperCore")))
    assert isinstance(facts["os.edition"].value, Unknown)


def test_an_answer_file_of_before_vista(tmp_path: Path) -> None:
    system = SERVER + '[Setup]\n"SetupType"=dword:1\n"CmdLine"="setup -newsetup -mini"\n'
    _, findings = learn(make(tmp_path, system, version("5.2", 3790)))
    assert "GF-WINDOWS-SYSPREP-INF" in codes(findings)
    files = {"Sysprep/Sysprep.inf": b"[Unattended]\r\n"}
    _, findings = learn(make(tmp_path / "b", system, version("5.2", 3790), files))
    assert "GF-WINDOWS-SYSPREP-INF" not in codes(findings)
