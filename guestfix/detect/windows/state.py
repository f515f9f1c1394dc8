"""What else matters of a Windows guest: roles, agents, remote access, sysprep state, policies of its own."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from guestfix.base.catalog.facts.system import OS_ID
from guestfix.base.catalog.facts.windows import (
    WINDOWS_AGENT_VERSIONS,
    WINDOWS_AGENTS,
    WINDOWS_ANTIVIRUS,
    WINDOWS_CLOCK,
    WINDOWS_CRASH_REBOOT,
    WINDOWS_DEVICE_INSTALL_RESTRICTED,
    WINDOWS_DISK_GROUP,
    WINDOWS_DNS_SEARCH,
    WINDOWS_DNS_SUFFIX,
    WINDOWS_DOTNET,
    WINDOWS_DRIVE_LETTERS,
    WINDOWS_IMAGE_STATE,
    WINDOWS_LEFTOVER_SERVICES,
    WINDOWS_NICS,
    WINDOWS_PAGE_FILES,
    WINDOWS_SAN_POLICY,
    WINDOWS_SHA2_SIGNATURES,
    WINDOWS_STATIC_ADDRESSES,
    WINDOWS_SYSPREPPED,
    WINDOWS_UNATTEND_FILE,
)
from guestfix.base.catalog.records.windows import WindowsNic
from guestfix.base.facts import Evidence, Facts, Finding
from guestfix.base.record import frozen
from guestfix.formats.windows.registry import Registry
from guestfix.formats.windows.services import DISABLED, products_of, read_service
from guestfix.pack.model import Target

SETUP_STATE = r"Microsoft\Windows\CurrentVersion\Setup\State"
NDP = r"Microsoft\NET Framework Setup\NDP\v4\Full"
DOTNET = (
    (533320, "4.8.1"),
    (528040, "4.8"),
    (461808, "4.7.2"),
    (461308, "4.7.1"),
    (460798, "4.7"),
    (394802, "4.6.2"),
    (394254, "4.6.1"),
    (393295, "4.6"),
    (379893, "4.5.2"),
    (378675, "4.5.1"),
    (378389, "4.5"),
)
"""The lowest Release number of each .NET Framework version (Microsoft, "How to determine which versions")."""
UNINSTALL = (
    r"Microsoft\Windows\CurrentVersion\Uninstall",
    r"WOW6432Node\Microsoft\Windows\CurrentVersion\Uninstall",
)
PACKAGES = r"Microsoft\Windows\CurrentVersion\Component Based Servicing\Packages"
IN_USE = (0x50, 0x70, 0x80)
"""Values of a package's CurrentState that mean its files are in use: superseded, installed, permanent."""
NET_CLASS = "{4D36E972-E325-11CE-BFC1-08002BE10318}"


@frozen
class State:
    """What every detector of this module is given."""

    system: Registry
    software: Registry
    control: str
    facts: Facts
    target: Target
    root: str
    has_file: Callable[[str], bool]

    def key(self, rest: str) -> str:
        """Return a key of the current control set."""
        return rf"{self.control}\{rest}"


def learn_state(state: State) -> list[Finding]:
    """Put all ``windows.*`` facts of this module and return what was found."""
    found: list[Finding] = []
    for learn in (
        _agents,
        _antivirus,
        _network,
        _clock_and_disks,
        _sysprep,
        _framework,
        _signatures,
        _page_file,
        _device_install,
        _mounted_devices,
    ):
        found += learn(state)
    return found


def _agents(state: State) -> list[Finding]:
    names = {name.lower(): name for name in state.system.names(state.key("Services"))}
    programs = _programs(state.software)
    products, leftovers, proofs, versions = [], [], [], {}
    for product in products_of(state.target.tables.get("windows-products", {})):
        seen = [names[one] for one in (*product.services, *product.marks, *product.filters) if one in names]
        entry = next((path for title, path in programs.items() if title.startswith(product.titles or ("\0",))), None)
        if not seen and entry is None:
            continue
        products.append(product.name)
        proofs += [state.system.evidence(state.key(rf"Services\{seen[0]}"))] if seen else []
        if entry is not None:
            versions[product.name] = state.software.text(entry, "DisplayVersion")
            proofs.append(state.software.evidence(entry, "DisplayVersion"))
        stays = product.stays(state.target.hypervisor, state.target.cloud, *state.target.agents)
        leaving = () if stays else (*product.services, *product.filters)
        for name in (names[one] for one in leaving if one in names):
            service = read_service(state.system, state.control, name)
            if service is not None and service.start not in (None, DISABLED):
                leftovers.append(name)
    state.facts.put(WINDOWS_AGENTS, products, *proofs)
    state.facts.put(WINDOWS_AGENT_VERSIONS, versions, *proofs)
    state.facts.put(WINDOWS_LEFTOVER_SERVICES, leftovers, *proofs)
    return []


def _programs(software: Registry) -> dict[str, str]:
    """Return the installed programs: the title in small letters, and its key below Uninstall."""
    found = {}
    for base in UNINSTALL:
        for name in software.names(base):
            title = software.text(rf"{base}\{name}", "DisplayName").lower()
            if title:
                found[title] = rf"{base}\{name}"
    return found


def _antivirus(state: State) -> list[Finding]:
    names = {name.lower(): name for name in state.system.names(state.key("Services"))}
    table = state.target.tables.get("antivirus", {})
    found = {product: names[name] for product, services in table.items() for name in services if name in names}
    proofs = tuple(state.system.evidence(state.key(rf"Services\{name}")) for name in found.values())
    state.facts.put(WINDOWS_ANTIVIRUS, sorted(found), *proofs)
    if not found:
        return []
    text = f"antivirus software is installed ({', '.join(sorted(found))}); it may keep new drivers from loading"
    return [
        Finding("GF-WINDOWS-ANTIVIRUS", "warning", text, proofs, "remove it before the migration, add it again after")
    ]


def _network(state: State) -> list[Finding]:
    """Put ``windows.nics``: every interface of TCP/IP with its way of getting an address."""
    base = state.key(r"Services\Tcpip\Parameters\Interfaces")
    names = state.key(rf"Control\Network\{NET_CLASS}")
    netbios = state.key(r"Services\NetBT\Parameters\Interfaces")
    nics, proofs = [], []
    for guid in state.system.names(base):
        path = rf"{base}\{guid}"
        addresses = [one for one in state.system.texts(path, "IPAddress") if one != "0.0.0.0"]
        dhcp = state.system.number(path, "EnableDHCP")
        static = dhcp == 0 and bool(addresses)
        nics.append(
            WindowsNic(
                guid=guid,
                name=state.system.text(rf"{names}\{guid}\Connection", "Name"),
                device=state.system.text(rf"{names}\{guid}\Connection", "PnpInstanceID"),
                static=static,
                addresses=addresses,
                masks=state.system.texts(path, "SubnetMask"),
                gateways=state.system.texts(path, "DefaultGateway"),
                dns=_split(state.system.text(path, "NameServer")),
                wins=state.system.texts(rf"{netbios}\Tcpip_{guid}", "NameServerList"),
                suffix=state.system.text(path, "Domain"),
            )
        )
        if static:
            proofs.append(state.system.evidence(path, "IPAddress"))
    state.facts.put(WINDOWS_NICS, nics, *proofs)
    state.facts.put(WINDOWS_STATIC_ADDRESSES, bool(proofs), *proofs)
    general = state.key(r"Services\Tcpip\Parameters")
    searched = _split(state.system.text(general, "SearchList"))
    state.facts.put(WINDOWS_DNS_SEARCH, searched, state.system.evidence(general, "SearchList"))
    state.facts.put(
        WINDOWS_DNS_SUFFIX, state.system.text(general, "NV Domain"), state.system.evidence(general, "NV Domain")
    )
    return []


def _split(text: str) -> list[str]:
    """Return the items of a list that commas or spaces part."""
    return text.replace(",", " ").split()


def _clock_and_disks(state: State) -> list[Finding]:
    system, facts = state.system, state.facts
    zone = state.key(r"Control\TimeZoneInformation")
    utc = system.number(zone, "RealTimeIsUniversal")
    facts.put(WINDOWS_CLOCK, "utc" if utc else "localtime", system.evidence(zone, "RealTimeIsUniversal"))
    policy = state.key(r"Services\partmgr\Parameters")
    facts.put(WINDOWS_SAN_POLICY, system.number(policy, "SanPolicy"), system.evidence(policy, "SanPolicy"))
    crash = state.key(r"Control\CrashControl")
    facts.put(WINDOWS_CRASH_REBOOT, system.number(crash, "AutoReboot") != 0, system.evidence(crash, "AutoReboot"))
    return []


def _sysprep(state: State) -> list[Finding]:
    """Put ``windows.sysprepped``: whether the next start is the first of a generalised image."""
    image = state.software.text(SETUP_STATE, "ImageState")
    kind = state.system.number("Setup", "SetupType")
    command = state.system.text("Setup", "CmdLine").lower()
    reseal = image.upper().startswith("IMAGE_STATE_GENERALIZE_RESEAL_TO_OOBE")
    by_setup = kind in (1, 2) and ("windeploy" in command or "setup.exe -mini" in command or "setup -mini" in command)
    proofs = (state.software.evidence(SETUP_STATE, "ImageState"), state.system.evidence("Setup", "SetupType"))
    state.facts.put(WINDOWS_IMAGE_STATE, image, proofs[0])
    named = state.system.text("Setup", "UnattendFile")
    state.facts.put(WINDOWS_UNATTEND_FILE, named, state.system.evidence("Setup", "UnattendFile"))
    state.facts.put(WINDOWS_SYSPREPPED, reseal or by_setup, *proofs)
    if image.upper() == "IMAGE_STATE_GENERALIZE_RESEAL_TO_AUDIT":
        text = "the image will start in audit mode, where nobody can log on over the network"
        return [Finding("GF-WINDOWS-AUDIT-MODE", "warning", text, proofs[:1], "run sysprep /oobe before the migration")]
    return []


def _framework(state: State) -> list[Finding]:
    release = state.software.number(NDP, "Release") or 0
    version = next((name for lowest, name in DOTNET if release >= lowest), "")
    state.facts.put(WINDOWS_DOTNET, version, state.software.evidence(NDP, "Release"))
    return []


def _signatures(state: State) -> list[Finding]:
    """Put ``windows.sha2_signatures``: whether Windows 7 and Server 2008 R2 have the update for SHA-2."""
    if state.facts.value(OS_ID) not in ("windows-7", "windows-server-2008-r2"):
        return []
    named = [name for name in state.software.names(PACKAGES) if "KB4474419" in name or "KB3033929" in name]
    states = {name: state.software.number(rf"{PACKAGES}\{name}", "CurrentState") for name in named}
    found = [name for name in named if states[name] in (None, *IN_USE)]
    proof = state.software.evidence(rf"{PACKAGES}\{found[0]}" if found else PACKAGES)
    state.facts.put(WINDOWS_SHA2_SIGNATURES, bool(found), proof)
    return []


def _page_file(state: State) -> list[Finding]:
    path = state.key(r"Control\Session Manager\Memory Management")
    files = state.system.texts(path, "PagingFiles")
    proof = state.system.evidence(path, "PagingFiles")
    state.facts.put(WINDOWS_PAGE_FILES, files, proof)
    if any(one.startswith("?:") for one in files):  # managed by the system: where it lies is told elsewhere
        there = state.system.texts(path, "ExistingPageFiles")
        files = [one.removeprefix("\\??\\") for one in there]
        proof = state.system.evidence(path, "ExistingPageFiles")
    away = [one for one in files if one[1:2] == ":" and one[0].lower() not in "c?"]
    if not away:
        return []
    text = f"the page file is on another volume than C: ({away[0]}), whose letter may change or which may be missing"
    return [Finding("GF-WINDOWS-PAGEFILE", "info", text, (proof,), "put a page file of fixed size on C:")]


def _device_install(state: State) -> list[Finding]:
    """Put ``windows.device_install_restricted``: a policy, or a service that is off, keeps new devices out."""
    settings = r"Policies\Microsoft\Windows\DeviceInstall\Restrictions"
    names = ("DenyUnspecified", "DenyDeviceClasses", "DenyDeviceIDs")
    denied = [name for name in names if state.software.number(settings, name)]
    off = read_service(state.system, state.control, "DeviceInstall")
    evidence: Sequence[Evidence] = [state.software.evidence(settings, name) for name in denied]
    if off is not None and off.start == DISABLED:
        evidence = [*evidence, state.system.evidence(state.key(r"Services\DeviceInstall"), "Start")]
    state.facts.put(WINDOWS_DEVICE_INSTALL_RESTRICTED, bool(evidence), *evidence)
    if not evidence:
        return []
    text = "installing devices is restricted or off, so drivers for the new platform's devices won't be installed"
    remedy = "lift the restriction until the guest has started once on the new platform"
    return [Finding("GF-WINDOWS-DEVICE-INSTALL", "warning", text, tuple(evidence), remedy)]


def _mounted_devices(state: State) -> list[Finding]:
    r"""Put ``windows.drive_letters``: each letter with the MBR disk id and offset, or the id of a volume.

    That is a GPT partition's, or that of a volume on dynamic disks. ``windows.disk_group`` is the name of the
    dynamic disks' group where Windows 2000 to Server 2003 starts from one.
    """
    letters = {}
    for name in state.system.value_names("MountedDevices"):
        data = state.system.get("MountedDevices", name)
        if not name.lower().startswith("\\dosdevices\\") or not isinstance(data, bytes):
            continue
        letters[name[12:].upper()] = _device(data)
    proof = state.system.evidence("MountedDevices")
    state.facts.put(WINDOWS_DRIVE_LETTERS, letters, proof)
    group = state.key(r"Services\dmio\Boot Info\Primary Disk Group")
    name = state.system.text(group, "Name")
    state.facts.put(WINDOWS_DISK_GROUP, name, state.system.evidence(group, "Name"))
    return []


def _device(data: bytes) -> str:
    if len(data) == 12:
        return f"mbr {int.from_bytes(data[:4], 'little'):08x} offset {int.from_bytes(data[4:], 'little')}"
    if data[:8] == b"DMIO:ID:" and len(data) == 24:
        from uuid import UUID

        return f"volume {UUID(bytes_le=data[8:])}"
    text = data[: len(data) & ~1].decode("utf-16-le", "replace")
    return f"device {text.split('#{')[0][:80]}"
