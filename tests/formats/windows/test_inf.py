from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from guestfix.base.errors import TooLarge
from guestfix.formats.windows import inf as infs
from guestfix.formats.windows import infgrammar
from guestfix.formats.windows.inf import CopiedFile, Platform, decode, drivers, models, parse
from guestfix.formats.windows.infregistry import RegistryValue, registry_value

W10 = Platform("amd64", 10, 0, 19045)
W7_32 = Platform("x86", 6, 1, 7601)
S2019 = Platform("amd64", 10, 0, 17763, 3)

SCSI = r'''
; a storage driver's package, as a driver kit would write it
[Version]
Signature   = "$WINDOWS NT$"
Class       = SCSIAdapter
ClassGUID   = {4D36E97B-E325-11CE-BFC1-08002BE10318}
Provider    = %MAKER%
DriverVer   = 03/14/2024,100.95.104.26200
CatalogFile = exscsi.cat
CatalogFile.NTx86 = exscsi32.cat

[SourceDisksNames]
1 = %DISK%,,,
[SourceDisksFiles]
exscsi.sys = 1,,
[SourceDisksFiles.amd64]
exscsi.sys = 1,\bin64

[DestinationDirs]
DefaultDestDir = 12
tools = 10,ExTools

[Manufacturer]
%MAKER% = Models, NTx86, NTAMD64.6.1, NTamd64.10.0, NTamd64.10.0...22000, NTamd64.10.0.3

[Models.NTx86]
%DESC% = inst32, PCI\VEN_1AF4&DEV_1004
[Models.NTamd64.6.1]
%DESC% = inst61, PCI\VEN_1AF4&DEV_1004
[Models.NTamd64.10.0]
%DESC% = inst, PCI\VEN_1AF4&DEV_1004&SUBSYS_00081AF4&REV_00, PCI\VEN_1AF4&DEV_1004
%DESC% = INST, pci\ven_1af4&dev_1048&subsys_11001af4&rev_01
[Models.NTamd64.10.0...22000]
%DESC% = inst11, PCI\VEN_1AF4&DEV_1004
[Models.NTamd64.10.0.3]
%DESC% = instserver, PCI\VEN_1AF4&DEV_1004

[inst]
CopyFiles = wrong.list
[inst.NT]
CopyFiles = @exscsi.sys, \
            tools ; both
[tools]
exctl.exe,exctl64.exe,,0x2
..\..\evil.exe
[inst.NT.Services]
AddService = exscsi, 0x00000002 , Service, Events
[Service]
DisplayName    = "Example; ""SCSI"""
ServiceType    = %KERNEL%
StartType      = 0
ErrorControl   = 0x3
ServiceBinary  = %12%\exscsi.sys
LoadOrderGroup = SCSI Miniport
AddReg         = params
[params]
HKR, "Parameters\PnpInterface", "5", %DWORD%, 0x00000001
HKR, "Parameters", "Mode",, "fast, sure"
HKR, "Parameters", "Blob", 1, 00,01
HKLM, "Software\Example", "x", %DWORD%, 1

[inst32.Services]
AddService = exscsi32, 2, Service
[Strings]
MAKER = "Example, Inc."
DESC  = "Example SCSI; controller"
DISK  = "Disk"
KERNEL = 1
DWORD = 0x00010001
'''


def test_the_driver_for_windows_10() -> None:
    (driver,) = drivers(parse(SCSI.encode()), W10)
    assert (driver.service, driver.binary, driver.type, driver.start, driver.error_control, driver.group) == (
        "exscsi",
        "exscsi.sys",
        1,
        0,
        3,
        "SCSI Miniport",
    )
    assert driver.hardware_ids == (
        r"PCI\VEN_1AF4&DEV_1004&SUBSYS_00081AF4&REV_00",
        r"PCI\VEN_1AF4&DEV_1004",
        r"PCI\VEN_1AF4&DEV_1048&SUBSYS_11001AF4&REV_01",
    )
    assert driver.files == (
        CopiedFile("/Windows/System32/drivers", "exscsi.sys", "bin64/exscsi.sys"),
        CopiedFile("/Windows/ExTools", "exctl.exe", "exctl64.exe"),
    )
    assert driver.registry == (
        RegistryValue(r"Parameters\PnpInterface", "5", 4, 1),
        RegistryValue("Parameters", "Mode", 1, "fast, sure"),
        RegistryValue("Parameters", "Blob", 3, b"\x00\x01"),
    )


@pytest.mark.parametrize(
    ("platform", "section"),
    [
        (W10, "inst"),
        (W7_32, "inst32"),
        (Platform("amd64", 6, 1), "inst61"),
        (Platform("amd64", 6, 3), "inst61"),
        (Platform("amd64", 6, 0), None),
        (Platform("amd64", 10, 0, 22631), "inst11"),
        (S2019, "instserver"),
        (Platform("amd64", 10, 0, 17763, 2), "instserver"),
        (Platform("arm64", 10, 0, 26100), None),
    ],
)
def test_models_by_version_and_architecture(platform: Platform, section: str | None) -> None:
    found = {line.values[0].lower() for line in models(parse(SCSI.encode()), platform)}
    assert found == ({section} if section else set())


def test_version_section() -> None:
    inf = parse(SCSI.encode())
    assert inf.version == ((2024, 3, 14), (100, 95, 104, 26200))
    assert inf.class_guid == "{4D36E97B-E325-11CE-BFC1-08002BE10318}"
    assert inf.value("Version", "Provider") == "Example, Inc."
    assert (inf.catalog("amd64"), inf.catalog("x86")) == ("exscsi.cat", "exscsi32.cat")


@pytest.mark.parametrize("codec", ["utf-16", "utf-8-sig", "utf-16-le", "cp1252"])
def test_encodings(codec: str) -> None:
    text = SCSI.replace("Example, Inc.", "Exämple").replace("\n", "\r\n")
    inf = parse(text.encode(codec))
    assert inf.value("Version", "Provider") == "Exämple"
    assert [driver.service for driver in drivers(inf, W10)] == ["exscsi"]


def test_an_undecorated_package_is_for_x86_only() -> None:
    head = b"[Manufacturer]\nmaker = m\n[m]\nd = i, PCI\\X\n[i.Services]\nAddService=s,2,v\n"
    inf = parse(head + b"[v]\nServiceBinary=%12%\\s.sys")
    assert [driver.service for driver in drivers(inf, W7_32)] == ["s"]
    assert drivers(inf, W10) == []


@pytest.mark.parametrize("binary", [r"%12%\..\evil?.sys", "", r"%12%\.."])
def test_a_binary_with_a_bad_name_is_no_driver(binary: str) -> None:
    src = SCSI.replace(r"%12%\exscsi.sys", binary).encode()
    assert drivers(parse(src), W10) == []


def test_comments_quotes_and_lone_lines() -> None:
    inf = parse(b'[A]\nk = "a;b" ; c\n"x=y" = 1, , 3\nlone, "two"\n[ a ]\nk2=v\n[b\nk=1')
    assert [(line.key, line.values) for line in inf.section("a")] == [
        ("k", ("a;b",)),
        ("x=y", ("1", "", "3")),
        (None, ("lone", "two")),
        ("k2", ("v",)),
    ]
    assert inf.value("b", "K") == "1"
    assert inf.text("100%% %none% %12%") == "100% %none% %12%"


def test_too_large() -> None:
    with pytest.raises(TooLarge):
        parse(b";" * (4 * 1024 * 1024 + 1))


def test_too_many_quotes() -> None:
    """Entries without quotes have no such bound: they go by without the grammar."""
    assert parse(b"[a]\nk = 1" + b",00" * (infs.MAX_QUOTED + 1)).value("a", "k") == "1"
    with pytest.raises(TooLarge, match="more than"):
        parse(b'[a]\nk = "1"' + b",00" * infs.MAX_QUOTED)


@pytest.mark.parametrize(
    ("text", "key", "values"),
    [
        ('k = "v"', "k", ("v",)),
        ('"a = b", c = d', None, ("a = b", "c = d")),
        ('"a, b" = c = d, ', "a, b", ("c = d", "")),
        ('"say ""yes"""', None, ('say "yes"',)),
        ('"", """", ""', None, ("", '"', "")),
        ('  " two  blanks " ', None, (" two  blanks ",)),
        ('HKR,, "C:\\ends\\" , 0x1', None, ("HKR", "", "C:\\ends\\", "0x1")),
        ('a "b c" d e', None, ("a b cde",)),
        ('"x" "y" = z', "xy", ("z",)),
        ('" " "x", " "', None, ("x", " ")),
        ('k = "never closed, a = ""b', "k", ('never closed, a = "b',)),
        ('k = "', "k", ("",)),
        ('%k% = %v%, "%% of %v%"', "%k%", ("%v%", "%% of %v%")),
        ("", None, ("",)),
        ("=", "", ("",)),
    ],
)
def test_entries(text: str, key: str | None, values: tuple[str, ...]) -> None:
    assert infgrammar.entry(text) == (key, values)


NO_BREAKS = st.characters(exclude_categories=["Cs", "Cc", "Zl", "Zp"])


@given(
    st.text(st.sampled_from(" =,a%[]\t\xa0") | NO_BREAKS.filter(lambda one: one not in '";\\'), min_size=1, max_size=40)
)
def test_law_the_short_way_says_what_the_grammar_says(text: str) -> None:
    text = "a" + text.rstrip()
    (line,) = parse(f"[s]\n{text}".encode("utf-8-sig")).section("s")
    assert (line.key, line.values) == infgrammar.entry(text)


@given(st.text(NO_BREAKS, max_size=20), st.lists(st.text(NO_BREAKS, max_size=20), min_size=1, max_size=5))
def test_law_what_is_quoted_comes_back(key: str, values: list[str]) -> None:
    words = ['"' + word.replace('"', '""') + '"' for word in (key, *values)]
    (line,) = parse(f"[s]\n{words[0]} = {', '.join(words[1:])} ; 1".encode("utf-8-sig")).section("s")
    assert (line.key, line.values) == (key, tuple(values))


PIECES = st.sampled_from(
    [
        *("[Manufacturer]", "[m]", "[m.ntamd64]", "[i.services]", "%m%=m,ntamd64", "a=i,PCI\\X", "AddService=s,2,i"),
        *("[i]", "CopyFiles=@..\\x,i", "ServiceBinary=%12%\\..", "\\", '"', "%", "[", "=", ",", ";", "[strings]"),
        *("m=%m%", "[DestinationDirs]", "i=12,..\\.."),
    ]
)
LINES = st.lists(PIECES, max_size=40).map(lambda parts: "\n".join(parts).encode())


@settings(max_examples=200, deadline=None)
@given(st.one_of(st.binary(max_size=400), LINES))
def test_law_any_bytes(src: bytes) -> None:
    assert isinstance(decode(src), str)
    for driver in drivers(parse(src), W10):
        assert not set(driver.service + driver.binary) & set("\\/:")
        for file in driver.files:
            assert file.directory.startswith("/Windows")
            assert ".." not in f"{file.directory}/{file.name}/{file.source}".split("/")


@pytest.mark.parametrize(
    ("entry", "kind", "data"),
    [
        (["HKR", "Parameters", "x", "", "text"], 1, "text"),
        (["hkr", "Parameters", "x", "0x00010000", "VIF", "VBD", "IFACE"], 7, ["VIF", "VBD", "IFACE"]),
        (["HKR", "Parameters", "x", "0x00010001", "0x10"], 4, 16),
        (["HKR", "Parameters", "x", "0x00010003", "1"], 4, 1),
        (["HKR", "Parameters", "x", "0x00020000", "%SystemRoot%\\x"], 2, "%SystemRoot%\\x"),
        (["HKR", "Parameters", "x", "1", "0a", "ff"], 3, b"\x0a\xff"),
    ],
)
def test_registry_values(entry: list[str], kind: int, data: object) -> None:
    assert registry_value(entry) == RegistryValue("Parameters", "x", kind, data)


@pytest.mark.parametrize(
    "entry",
    [
        [],
        ["HKLM", "a", "b", "", "c"],
        ["HKR", "Parameters", "", "0x00000010"],
        ["HKR", "Parameters", "x", "0x4", "gone"],
        ["HKR", "Parameters", "x", "0x00010001"],
        ["HKR", "Parameters", "x", "1", "zz"],
        ["HKR", "Parameters", "x", "1", "100"],
        ["HKR", "Parameters", "x", "0x00030000", "y"],
    ],
)
def test_entries_that_set_nothing(entry: list[str]) -> None:
    assert registry_value(entry) is None
