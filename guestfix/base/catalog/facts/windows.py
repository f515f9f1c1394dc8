"""Facts that only Windows has."""

from __future__ import annotations

from guestfix.base.catalog.facts.kind import flag, number, records, table, text, texts
from guestfix.base.catalog.records.windows import DriverBinding, DriverService, WindowsNic

_BY = "windows.detector"

# fmt: off
WINDOWS_ACCOUNTS_WITHOUT_PASSWORD = texts("windows.accounts_without_password",
    "local accounts that are on and have no password", _BY)
WINDOWS_AGENT_VERSIONS = table("windows.agent_versions", "versions of installed guest software, by product", _BY)
WINDOWS_AGENTS = texts("windows.agents", "installed guest software of hypervisors", _BY)
WINDOWS_ANTIVIRUS = texts("windows.antivirus", "installed antivirus programs", _BY)
WINDOWS_AUTO_SERVICES = texts("windows.auto_services", "services beside Windows' own that start by themselves", _BY)
WINDOWS_AUTOLOGON = flag("windows.autologon", "somebody is logged on automatically at each start", _BY)
WINDOWS_BCD = texts("windows.bcd", "the boot configuration stores", _BY)
WINDOWS_BITLOCKER = texts("windows.bitlocker", "volumes that are encrypted with BitLocker", _BY)
WINDOWS_BOOT_DEVICES_GONE = texts("windows.boot_devices_gone",
    "objects of the boot configuration that name a partition which no disk has", _BY)
WINDOWS_BOOT_ENTRIES = texts("windows.boot_entries", "the entries of the boot menu, the default one first", _BY)
WINDOWS_BOOT_DRIVERS = records("windows.boot_drivers", DriverService, "drivers that start at boot", _BY)
WINDOWS_BOOT_STATUS_POLICY = number("windows.boot_status_policy", "what the boot menu does after a failed start", _BY,
    may_lack=True)
WINDOWS_BUS_DRIVERS = records("windows.bus_drivers", DriverService, "services for the buses of the target", _BY)
WINDOWS_CLOCK = text("windows.clock", "how Windows takes the hardware clock", _BY, "utc localtime")
WINDOWS_CLOUDBASE = texts("windows.cloudbase", "instances that cloudbase-init remembers", _BY)
WINDOWS_CLUSTER = flag("windows.cluster", "a node of a failover cluster", _BY)
WINDOWS_COMPACT_OS = flag("windows.compact_os", "programs are kept packed (CompactOS)", _BY)
WINDOWS_CONTROL_SET = text("windows.control_set", "the control set that starts", _BY)
WINDOWS_CONTROL_SETS = texts("windows.control_sets", "every control set", _BY)
WINDOWS_CRASH_REBOOT = flag("windows.crash_reboot", "Windows restarts after a crash", _BY)
WINDOWS_DEVICE_INSTALL_RESTRICTED = flag("windows.device_install_restricted",
    "a policy keeps devices from being installed", _BY)
WINDOWS_DIRTY_VOLUMES = texts("windows.dirty_volumes", "volumes whose dirty flag is set", _BY)
WINDOWS_DISABLED_DEVICES = texts("windows.disabled_devices", "devices of the target that are switched off here", _BY)
WINDOWS_DISK_BINDINGS = records("windows.disk_bindings", DriverBinding,
    "which services Windows gives the target's disk controllers to", _BY)
WINDOWS_DISK_GROUP = text("windows.disk_group", "the group of dynamic disks that Windows starts from; empty for none",
    _BY)
WINDOWS_DNS_SEARCH = texts("windows.dns_search", "the DNS suffixes that names are tried with", _BY)
WINDOWS_DNS_SUFFIX = text("windows.dns_suffix", "the DNS suffix of the computer; empty for none", _BY)
WINDOWS_DOMAIN_CONTROLLER = flag("windows.domain_controller", "a domain controller", _BY)
WINDOWS_DOTNET = text("windows.dotnet", "the version of .NET Framework from 4.5 on; empty for none", _BY)
WINDOWS_DRIVE_LETTERS = table("windows.drive_letters", "each drive letter with its disk id and offset, or volume id",
    _BY)
WINDOWS_EDITION_ID = text("windows.edition_id", "the edition as the registry has it (ServerStandard)", _BY)
WINDOWS_EMS = flag("windows.ems", "Emergency Management Services are on", _BY)
WINDOWS_ESP = text("windows.esp", "where the EFI system partition is seen", _BY)
WINDOWS_FAST_STARTUP = flag("windows.fast_startup", "shutting down hibernates the kernel", _BY)
WINDOWS_FOREIGN_FILTERS = texts("windows.foreign_filters", "filter drivers of neither Windows nor a platform", _BY)
WINDOWS_HARDWARE = text("windows.hardware", "the machine that Windows last ran on; empty where nothing tells", _BY)
WINDOWS_HIBERNATED = flag("windows.hibernated", "Windows is hibernated or was shut down by fast startup", _BY)
WINDOWS_HIVES = table("windows.hives", "the path of each registry hive, by its name", _BY)
WINDOWS_HYPERV_ROLE = flag("windows.hyperv_role", "the Hyper-V role is installed", _BY)
WINDOWS_IMAGE_STATE = text("windows.image_state", "setup's state of the image; empty for none", _BY)
WINDOWS_KMS_SERVER = text("windows.kms_server", "the server that activates Windows; empty for none", _BY)
WINDOWS_LANGUAGES = texts("windows.languages", "the languages of the user interface", _BY)
WINDOWS_LEFTOVER_SERVICES = texts("windows.leftover_services", "services of the old platform's guest software", _BY)
WINDOWS_NANO = flag("windows.nano", "Nano Server", _BY)
WINDOWS_NETWORK_SERVICES_OFF = texts("windows.network_services_off",
    "services that networking rests on and that are switched off", _BY)
WINDOWS_NICS = records("windows.nics", WindowsNic, "every interface of TCP/IP with how it gets its address", _BY)
WINDOWS_ORPHAN_FILTERS = texts("windows.orphan_filters", "filters of devices whose driver is gone or switched off", _BY)
WINDOWS_PACKED_FILES = texts("windows.packed_files", "programs that are packed and can't be read here", _BY)
WINDOWS_PAGE_FILES = texts("windows.page_files", "the page files", _BY)
WINDOWS_PENDING = texts("windows.pending", "work that waits for the next start", _BY)
WINDOWS_PHYSICAL = flag("windows.physical", "Windows last ran on hardware, not in a virtual machine", _BY)
WINDOWS_PLATFORM_FILTERS = texts("windows.platform_filters", "filter drivers of the old platform", _BY)
WINDOWS_PROCESSOR_DRIVERS = texts("windows.processor_drivers", "drivers of processors that start, before Vista", _BY)
WINDOWS_PRODUCT_TYPE = text("windows.product_type", "workstation (winnt), server (servernt) or controller (lanmannt)",
    _BY, "winnt servernt lanmannt")
WINDOWS_RDP_ENABLED = flag("windows.rdp.enabled", "Remote Desktop is on", _BY)
WINDOWS_RDP_FIREWALL = flag("windows.rdp.firewall", "the firewall lets Remote Desktop in everywhere", _BY)
WINDOWS_RDP_PORT = number("windows.rdp.port", "the port of Remote Desktop", _BY)
WINDOWS_RDP_PROFILES = texts("windows.rdp.profiles", "the kinds of network on which it is let in", _BY)
WINDOWS_REMOTE_ACCESS = texts("windows.remote_access", "by what an administrator gets in from another network", _BY,
    "rdp winrm ssh")
WINDOWS_ROLES = texts("windows.roles", "what the guest serves others with, by an address that they know", _BY)
WINDOWS_ROOT = text("windows.root", "Windows' folder", _BY)
WINDOWS_SAFE_MODE = text("windows.safe_mode", "the safe mode that Windows starts in; empty for none", _BY,
    "minimal network dsrepair")
WINDOWS_SAN_POLICY = number("windows.san_policy", "whether new disks come online", _BY, may_lack=True)
WINDOWS_SHA2_SIGNATURES = flag("windows.sha2_signatures", "Windows can check SHA-2 signatures of drivers", _BY)
WINDOWS_STATIC_ADDRESSES = flag("windows.static_addresses", "an interface has an address that was set by hand", _BY)
WINDOWS_STORAGE_DRIVERS = records("windows.storage_drivers", DriverService, "services for storage controllers", _BY)
WINDOWS_SYSPREPPED = flag("windows.sysprepped", "the image was generalised with sysprep", _BY)
WINDOWS_TEAMS = texts("windows.teams", "adapters that are made of others: teams, bridges, virtual switches", _BY)
WINDOWS_UNATTEND_FILE = text("windows.unattend_file", "the answer file that the registry names; empty for none", _BY)
WINDOWS_VIRTUALIZATION_SECURITY = texts("windows.virtualization_security",
    "what of virtualization-based security is on", _BY, "vbs hvci credential-guard uefi-lock dma-protection")
WINDOWS_WRITABLE_HIVES = texts("windows.writable_hives", "the hives that can be changed", _BY)
