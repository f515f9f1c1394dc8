"""Which Windows it is: the ``os.*`` facts, from SOFTWARE, SYSTEM and the kernel's own header.

The ids are those of the compatibility table (``windows-server-2019``, ``windows-10``). They come from
version, build and product type, never from the product's name alone, which upgrades leave stale.
"""

from __future__ import annotations

import re

from guestfix.base.catalog.facts.system import (
    OS_ARCH,
    OS_BUILD,
    OS_DISPLAY_VERSION,
    OS_EDITION,
    OS_FAMILY,
    OS_ID,
    OS_ID_LIKE,
    OS_INSTALLATION_TYPE,
    OS_LANGUAGE,
    OS_NAME,
    OS_SERVICE_PACK,
    OS_VERSION,
)
from guestfix.base.catalog.facts.windows import WINDOWS_EDITION_ID, WINDOWS_LANGUAGES
from guestfix.base.facts import Evidence, Facts, Unknown
from guestfix.base.guest import GuestFS
from guestfix.base.patterns import regex
from guestfix.formats.windows.files import program_head
from guestfix.formats.windows.pe import GUEST_ARCH, machine
from guestfix.formats.windows.registry import Registry

VERSION = r"Microsoft\Windows NT\CurrentVersion"

_SERVERS = {
    "5.0": "windows-2000-server",
    "5.2": "windows-server-2003",
    "6.0": "windows-server-2008",
    "6.1": "windows-server-2008-r2",
    "6.2": "windows-server-2012",
    "6.3": "windows-server-2012-r2",
}
_CLIENTS = {
    "5.0": "windows-2000",
    "5.1": "windows-xp",
    "5.2": "windows-xp",
    "6.0": "windows-vista",
    "6.1": "windows-7",
    "6.2": "windows-8",
    "6.3": "windows-8.1",
}
_SERVER_BUILDS = (
    (26100, "windows-server-2025"),
    (25398, "windows-server-23h2"),
    (20348, "windows-server-2022"),
    (19042, "windows-server-20h2"),
    (19041, "windows-server-2004"),
    (18363, "windows-server-1909"),
    (18362, "windows-server-1903"),
    (17763, "windows-server-2019"),
    (17134, "windows-server-1803"),
    (16299, "windows-server-1709"),
    (0, "windows-server-2016"),
)
"""The lowest build of each, newest first (Windows Server release information)."""

_EDITIONS = (
    ("datacenter", "Datacenter"),
    ("turbine", "Datacenter"),  # Azure Edition
    ("enterprise", "Enterprise"),
    ("serverrdsh", "Enterprise"),  # Windows 10 and 11 Enterprise multi-session
    ("serverweb", "Web Server"),
    ("blade", "Web Server"),
    ("essentials", "Essentials"),
    ("solution", "Essentials"),
    ("standard", "Standard"),
    ("professional", "Professional"),
    ("ultimate", "Ultimate"),
    ("education", "Education"),
    ("starter", "Starter"),
    ("home", "Home"),
    ("core", "Home"),
    ("business", "Business"),
)
LANGUAGES = {
    0x0401: "ar-SA",
    0x0402: "bg-BG",
    0x0404: "zh-TW",
    0x0405: "cs-CZ",
    0x0406: "da-DK",
    0x0407: "de-DE",
    0x0408: "el-GR",
    0x0409: "en-US",
    0x040A: "es-ES",
    0x040B: "fi-FI",
    0x040C: "fr-FR",
    0x040D: "he-IL",
    0x040E: "hu-HU",
    0x0410: "it-IT",
    0x0411: "ja-JP",
    0x0412: "ko-KR",
    0x0413: "nl-NL",
    0x0414: "nb-NO",
    0x0415: "pl-PL",
    0x0416: "pt-BR",
    0x0418: "ro-RO",
    0x0419: "ru-RU",
    0x041B: "sk-SK",
    0x041D: "sv-SE",
    0x041E: "th-TH",
    0x041F: "tr-TR",
    0x0422: "uk-UA",
    0x0424: "sl-SI",
    0x0804: "zh-CN",
    0x0809: "en-GB",
    0x080A: "es-MX",
    0x0816: "pt-PT",
    0x0C04: "zh-HK",
    0x0C0A: "es-ES",
    0x0C0C: "fr-CA",
}
"""Language identifiers that Windows is or was sold in (MS-LCID)."""
BINARIES = ("ntoskrnl.exe", "cmd.exe", "smss.exe", "kernel32.dll")
_REGISTRY_ARCH = {"amd64": "x86_64", "x86": "i686", "arm64": "aarch64", "ia64": "ia64"}


def learn_os(guest: GuestFS, facts: Facts, root: str, system: Registry, software: Registry, control: str) -> None:
    """Put ``os.family`` to ``os.language`` and ``windows.edition_id``; what can't be told is Unknown."""
    facts.put(OS_FAMILY, "windows", Evidence(root))
    version, build = _version(software)
    server, product = _is_server(system, software, control)
    if not version:
        reason = Unknown("SOFTWARE holds no Windows version")
        for kind in (OS_ID, OS_VERSION):
            facts.put(kind, reason, software.evidence(VERSION))
        facts.put(OS_BUILD, reason, software.evidence(VERSION))
    else:
        proof = (software.evidence(VERSION, "CurrentBuild"), product)
        facts.put(OS_ID, _identity(version, build, server, software), *proof)
        facts.put(OS_VERSION, f"{version}.{build}" if build else version, *proof)
        facts.put(OS_BUILD, build, software.evidence(VERSION, "CurrentBuild"))
    name = software.text(VERSION, "ProductName")
    if facts.value(OS_ID) == "windows-11":
        name = name.replace("Windows 10", "Windows 11")  # Windows 11 itself still calls itself so in this value
    facts.put(OS_NAME, name or "Windows", software.evidence(VERSION, "ProductName"))
    facts.put(OS_ID_LIKE, ["windows"])
    facts.put(OS_INSTALLATION_TYPE, _installation_type(software, server), product)
    shown = software.text(VERSION, "DisplayVersion") or software.text(VERSION, "ReleaseId")
    facts.put(OS_DISPLAY_VERSION, shown, software.evidence(VERSION, "DisplayVersion"))
    _put_edition(facts, system, software, control, server)
    _put_service_pack(facts, system, software, control)
    _put_arch(guest, facts, root, system, control)
    _put_language(facts, system, control)


def _version(software: Registry) -> tuple[str, int]:
    """Return (``10.0``, build). CurrentVersion stays at 6.3 from Windows 10 on, so the numbers go first."""
    major = software.number(VERSION, "CurrentMajorVersionNumber")
    minor = software.number(VERSION, "CurrentMinorVersionNumber")
    build = software.number(VERSION, "CurrentBuildNumber") or software.number(VERSION, "CurrentBuild") or 0
    if major is not None:
        return f"{major}.{minor or 0}", build
    found = regex(r"\d+\.\d+").match(software.text(VERSION, "CurrentVersion"))
    return (found[0] if found else ""), build


def _is_server(system: Registry, software: Registry, control: str) -> tuple[bool, Evidence]:
    if software.text(VERSION, "EditionID").lower() == "serverrdsh":  # a client that calls itself a server
        return False, software.evidence(VERSION, "EditionID")
    key = rf"{control}\Control\ProductOptions"
    kind = system.text(key, "ProductType").lower()
    if kind:
        return kind != "winnt", system.evidence(key, "ProductType")
    kind = software.text(VERSION, "InstallationType")
    if kind:
        return kind.lower() != "client", software.evidence(VERSION, "InstallationType")
    return "server" in software.text(VERSION, "ProductName").lower(), software.evidence(VERSION, "ProductName")


def _identity(version: str, build: int, server: bool, software: Registry) -> str:
    name = software.text(VERSION, "ProductName").lower()
    if version.startswith("10."):
        if not server:
            return "windows-11" if build >= 22000 else "windows-10"
        found = next(identity for lowest, identity in _SERVER_BUILDS if build >= lowest)
        return "windows-server-1809" if found.endswith("2019") and name and "2019" not in name else found
    if not server:
        return _CLIENTS.get(version, f"windows-nt-{version}")
    if version == "5.2" and regex(r"\br2\b").search(name):
        return "windows-server-2003-r2"
    return _SERVERS.get(version, f"windows-server-nt-{version}")


def _installation_type(software: Registry, server: bool) -> str:
    if software.number(VERSION + r"\Server\ServerLevels", "NanoServer"):
        return "Nano Server"
    return software.text(VERSION, "InstallationType") or ("Server" if server else "Client")


def _put_edition(facts: Facts, system: Registry, software: Registry, control: str, server: bool) -> None:
    """EditionID exists from Vista on; before, the product suite tells, and nothing there is Standard."""
    raw = software.text(VERSION, "EditionID")
    proof = software.evidence(VERSION, "EditionID")
    if not raw:
        key = rf"{control}\Control\ProductOptions"
        proof = system.evidence(key, "ProductSuite")
        raw = _old_edition(system.texts(key, "ProductSuite"), server) if system.text(key, "ProductType") else ""
    folded = raw.lower()
    known = next((name for word, name in _EDITIONS if word in folded), "")
    if server and known in ("Home", "Starter", "Business"):
        known = ""  # such as ServerHyperCore
    if server and folded.startswith("serverstandard"):
        known = "Standard"
    facts.put(OS_EDITION, known or Unknown(f"the edition {raw!r} is not known"), proof)
    facts.put(WINDOWS_EDITION_ID, raw, proof)


def _old_edition(suites: list[str], server: bool) -> str:
    suite = next((one for one in suites if one.lower() in ("datacenter", "enterprise", "blade", "personal")), "")
    if suite.lower() == "personal":
        return "Home"
    return suite or ("Standard" if server else "Professional")


def _put_service_pack(facts: Facts, system: Registry, software: Registry, control: str) -> None:
    found = regex(r"Service Pack (\d+)", re.IGNORECASE).search(software.text(VERSION, "CSDVersion"))
    if found:
        facts.put(OS_SERVICE_PACK, int(found[1]), software.evidence(VERSION, "CSDVersion"))
        return
    key = rf"{control}\Control\Windows"
    facts.put(OS_SERVICE_PACK, (system.number(key, "CSDVersion") or 0) >> 8, system.evidence(key, "CSDVersion"))


def _put_arch(guest: GuestFS, facts: Facts, root: str, system: Registry, control: str) -> None:
    for name in BINARIES:
        path = f"{root}/System32/{name}"
        word = machine(program_head(guest, path)[0])
        if word:
            facts.put(OS_ARCH, GUEST_ARCH[word], Evidence(path, 0, f"machine {word} in the PE header"))
            return
    key = rf"{control}\Control\Session Manager\Environment"
    word = system.text(key, "PROCESSOR_ARCHITECTURE").lower()
    value = _REGISTRY_ARCH.get(word) or Unknown("neither the kernel's file nor the registry tells the architecture")
    facts.put(OS_ARCH, value, system.evidence(key, "PROCESSOR_ARCHITECTURE"))


def _put_language(facts: Facts, system: Registry, control: str) -> None:
    """The language that Windows was installed in, and all display languages that are there."""
    key = rf"{control}\Control\Nls\Language"
    raw = system.text(key, "InstallLanguage")
    installed = system.names(rf"{control}\Control\MUI\UILanguages")
    facts.put(WINDOWS_LANGUAGES, installed, system.evidence(rf"{control}\Control\MUI\UILanguages"))
    code = int(raw, 16) if regex(r"[0-9A-Fa-f]{1,8}").fullmatch(raw) else 0
    proof = system.evidence(key, "InstallLanguage")
    if code & 0xFFFF in LANGUAGES:
        facts.put(OS_LANGUAGE, LANGUAGES[code & 0xFFFF], proof)
    elif len(installed) == 1:
        facts.put(OS_LANGUAGE, installed[0], system.evidence(rf"{control}\Control\MUI\UILanguages"))
    else:
        facts.put(OS_LANGUAGE, Unknown(f"the language {raw or '?'} is not known"), proof)
