"""Facts about the system, its kernels and what runs in it; about the target and the choices of the administrator."""

from __future__ import annotations

from guestfix.base.catalog.facts.kind import flag, number, numbers, record, records, table, text, texts
from guestfix.base.catalog.records.boot import Kernel
from guestfix.base.catalog.records.system import ServiceLimits, ServiceState

_OS, _BOTH, _KERNELS, _ACCESS = "system.os", "system.os windows.detector", "boot.kernels", "services.access"

# fmt: off
OS_ARCH = text("os.arch", "what the system's programs are built for, such as x86_64 or i686", f"{_BOTH} {_KERNELS}")
OS_BUILD = number("os.build", "Windows' build number", "windows.detector")
OS_DISPLAY_VERSION = text("os.display_version", "Windows' feature update, such as 22H2", "windows.detector")
OS_EDITION = text("os.edition", "Windows' edition, such as Standard or Professional", "windows.detector")
OS_FAMILY = text("os.family", "whether the guest is a Linux, a Windows or a BSD", _BOTH,
    "linux windows freebsd openbsd netbsd")
OS_ID = text("os.id", "the system, by the name of its row in the compatibility table where it has one", _BOTH)
OS_ID_LIKE = texts("os.id_like", "systems that this one is related to, nearest first", _BOTH)
OS_INSTALLATION_TYPE = text("os.installation_type", "Windows' kind of installation, such as Server Core",
    "windows.detector")
OS_LANGUAGE = text("os.language", "the system language of Windows, such as en-US", "windows.detector")
OS_NAME = text("os.name", "what the system calls itself", _BOTH)
OS_OSINFO = text("os.osinfo", "the system's id in libosinfo, as importers know it; unknown where the table has none",
    "systems")
OS_SERVICE_PACK = number("os.service_pack", "Windows' service pack, 0 where there is none", "windows.detector")
OS_VARIANT = text("os.variant", "the variant of the system that the table has rows for, such as stream", _OS)
OS_VERSION = text("os.version", "the system's version as its makers write it, point release included", _BOTH)
SYSTEM_DOM0 = flag("system.dom0", "its kernel is the first guest (dom0) of a Xen that comes with the system",
    "systems")
SYSTEM_EFI_FOLDERS = texts("system.efi_folders",
    "its folders below EFI on the EFI system partition, the usual one first", "systems")
SYSTEM_GRUB_BY_FIRMWARE = flag("system.grub_by_firmware",
    "its GRUB is patched to load a kernel by linux16 or linuxefi", "systems")
SYSTEM_IFCFG = text("system.ifcfg",
    "who reads ifcfg files: below network-scripts that name or networkmanager, elsewhere ifup or wicked", "systems",
    "network-scripts networkmanager ifup wicked none")
SYSTEM_INIT = text("system.init", "who mounts what fstab lists at boot", "systems",
    "systemd mountall sysv openrc runit")
SYSTEM_INITRAMFS = text("system.initramfs", "the program that makes its initramfs; none where it boots without one",
    "systems", "dracut initramfs-tools mkinitcpio mkinitfs mkinitrd-rh mkinitrd-suse genkernel in-kernel none")
SYSTEM_INSTALL = text("system.install", "the command that installs a package", "systems")
SYSTEM_KERNEL_PACKAGES = text("system.kernel_packages", "the package with the drivers of the kernel {kernel}",
    "systems")
SYSTEM_KERNELS = texts("system.kernels",
    "globs for the releases (uname -r) of its own kernels; !GLOB for those that are not", "systems")
SYSTEM_NETWORK_FILES = texts("system.network_files",
    "files or globs of its own that set the network up and are left as they are", "systems")
SYSTEM_DISKS = texts("system.disks", "a BSD: what its kernel calls disks, by the target's bus (virtio-blk=vtbd)",
    "systems")
SYSTEM_NICS = texts("system.nics", "a BSD: what its kernel calls NICs, by the target's NIC (virtio-net=vtnet)",
    "systems")
SYSTEM_UDEV = flag("system.udev",
    "udev names its NICs; false: where none of its rules are there, the kernel does", "systems")
SYSTEM_WIDE_NVME_TIMEOUT = texts("system.wide_nvme_timeout",
    "globs for its kernels before 4.15 whose nvme_core.io_timeout is wide", "systems")
COMPAT_KERNELS = table("compat.kernels", "the table's verdict on each installed kernel, by its release", "compat")
KERNEL_CUSTOM = texts("kernel.custom", "installed kernels that are not the distribution's own", _KERNELS)
KERNEL_DEFAULT = text("kernel.default", "the release (uname -r) of the kernel that boots by default", _KERNELS)
KERNEL_LAST_BOOTED = text("kernel.last_booted", "the release of the kernel that ran last, by wtmp", _KERNELS)
KERNEL_RELEASES = texts("kernel.releases", "the releases of all installed kernels, oldest first", _KERNELS)
KERNEL_RESCUE = texts("kernel.rescue", "kernel images that are for rescue only", _KERNELS)
KERNELS = records("kernels", Kernel, "each installed kernel with its files", _KERNELS)
FIREWALL_ACTIVE = texts("firewall.active", "the firewalls that start at boot", _ACCESS)
FIREWALL_SSH = text("firewall.ssh", "whether they let SSH in: open, limited (under conditions) or closed", _ACCESS,
    "open limited closed")
SELINUX_MODE = text("selinux.mode", "whether SELinux is in force; unknown where the guest has none", _ACCESS,
    "enforcing permissive disabled")
SSH_ADDRESSES = texts("ssh.addresses", "addresses that sshd is bound to and that the move takes away", _ACCESS)
SSH_ENABLED = flag("ssh.enabled", "whether the SSH server starts at boot", _ACCESS)
SSH_HOST_KEYS = texts("ssh.host_keys", "the SSH server's host keys", _ACCESS)
SSH_INSTALLED = flag("ssh.installed", "whether there is an SSH server", _ACCESS)
SSH_KEY_MAKER = text("ssh.key_maker", "what makes host keys at a start; empty for nothing, or where there are some",
    _ACCESS)
SSH_LOGINS = texts("ssh.logins", "accounts that the SSH server lets in, by key or password", _ACCESS)
SSH_PORTS = numbers("ssh.ports", "the TCP ports that sshd listens on", _ACCESS)
SSH_REFUSED = texts("ssh.refused", "accounts that it refuses, each with the reason", _ACCESS)
SSH_SERVICE = record("ssh.service", ServiceState, "the SSH server's service and its state", _ACCESS)
USERS_LOGIN = texts("users.login", "users besides root who can log in", _ACCESS)
USERS_WITH_KEY = texts("users.with_key", "users with a public key for SSH", _ACCESS)

NETWORK_MAP = table("network.map", "old NIC (name or MAC) to new MAC or name, as --network-map gives it", "options")
PAYLOAD_DIR = text("payload.dir", "the host's folder or ISO image of what is brought, as --payload gives it", "options")
UNIX_DISK = text("unix.disk", "on a BSD: the driver that the target's disks are named after, such as vtbd",
    "system.unix")
UNIX_NIC = text("unix.nic", "on a BSD: the driver that the target's NIC is named after, such as vtnet", "system.unix")
TARGET_ADDRESSES = text("target.addresses", "where a NIC of the target gets its address: from a DHCP server, from what "
    "cloud-init is told, or as the administrator has set up the network; empty where that is not known", "target",
    "dhcp cloud-init administrator")
TARGET_AGENTS = texts("target.agents", "the platforms whose guest software is at home on the target", "target")
TARGET_ARCH = texts("target.arch", "the processors that the target has, as os.arch names them", "target")
TARGET_CLOCK = text("target.clock", "how the target's hardware clock runs", "target", "utc localtime")
TARGET_CONSOLE = text("target.console", "the target's serial console for the guest's processor, such as "
    "ttyS0,115200n8; empty for none", "target")
TARGET_CLOUD = text("target.cloud", "the cloud that the target is part of, whose agents stay; empty for none", "target",
    "alibaba aws azure digitalocean google hetzner ibm oci vultr")
TARGET_DATA_SOURCES = texts("target.data_sources", "cloud-init's names of the data sources that the target has",
    "target")
TARGET_DATE = text("target.date", "when the target's description was last checked", "target")
TARGET_DISK_BUS = text("target.disk_bus", "the bus that the target attaches disks by", "target",
    "ide nvme pvscsi sata scsi virtio-blk virtio-scsi xen")
TARGET_DISK_PREFIX = text("target.disk_prefix", "how the target's disks are named below /dev: sd, vd, xvd or nvme",
    "target")
TARGET_DNS = texts("target.dns", "addresses of the target's own resolvers, which answer nowhere else", "target")
TARGET_DRIVERS_NETWORK = texts("target.drivers.network", "the Linux modules for the target's NIC", "target")
TARGET_DRIVERS_STORAGE = texts("target.drivers.storage", "the Linux modules for the target's disks", "target")
TARGET_FIRMWARE = texts("target.firmware", "the firmware that the target offers", "target", "bios uefi")
TARGET_HYPERVISOR = text("target.hypervisor", "the hypervisor, whose guest software stays", "target",
    "kvm xen vmware hyperv")
TARGET_ID = text("target.id", "the target, as --target names it", "target")
TARGET_KERNEL_ARGS = texts("target.kernel_args", "kernel arguments that the target asks for", "target")
TARGET_LIMITS = record("target.limits", ServiceLimits, "what the target's import service takes", "target")
TARGET_MTU = number("target.mtu", "the MTU of the target's network in bytes; 0 where that is not known", "target")
TARGET_NETWORK_NOTES = texts("target.network_notes", "what is peculiar to the target's network", "target")
TARGET_NIC = text("target.nic", "the target's network adapter", "target")
TARGET_OWNER = text("target.owner", "the import service whose compatibility table speaks for the target", "target")
TARGET_SOURCE = text("target.source", "where the target is described", "target")
TARGET_TIME_DEVICE = text("target.time_device", "the PTP clock that the target's host keeps, such as /dev/ptp_hyperv",
    "target")
TARGET_TIME_SERVERS = texts("target.time_servers", "the NTP servers that the target's platform has for its guests",
    "target")
TARGET_TITLE = text("target.title", "what the target is called", "target")
TARGET_WINDOWS_DRIVERS_NETWORK = texts("target.windows_drivers.network", "the Windows services for the target's NIC",
    "target")
TARGET_WINDOWS_DRIVERS_STORAGE = texts("target.windows_drivers.storage",
    "the Windows services for the target's disks", "target")
