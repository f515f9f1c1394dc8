"""Facts about software that belongs to a platform, that watches the guest, sets its clock, or asks a cloud."""

from __future__ import annotations

from guestfix.base.catalog.facts.kind import flag, table, text, texts

_BY, _CLOUD, _TIME = "services.access", "services.cloudinit", "services.timesync"
_PLACES = "services.repositories"

# fmt: off
CLOUDINIT_DATA_SOURCES = texts("cloudinit.data_sources",
    "data sources that cloud-init is told to look for; none: all", _CLOUD)
CLOUDINIT_FITS = flag("cloudinit.fits", "cloud-init finds the target's data source, and waits for no other", _CLOUD)
CLOUDINIT_FORCED = text("cloudinit.forced", "what ds-identify.cfg settles on and the target does not have", _CLOUD)
CLOUDINIT_NETWORK_PLACES = texts("cloudinit.network_places",
    "files of the guest with a network that cloud-init sets up for a new instance", _CLOUD)
CLOUDINIT_OLD_ARGUMENTS = texts("cloudinit.old_arguments",
    "arguments of the kernel that settle on a data source which the target does not have", _CLOUD)
CLOUDINIT_OLD_NICS = texts("cloudinit.old_nics",
    "hardware addresses by which a network of the guest's files for cloud-init names its NICs", _CLOUD)
CLOUDINIT_REWRITES = texts("cloudinit.rewrites", "what cloud-init writes anew for a new instance", _CLOUD)
CLOUDINIT_SEEDS = texts("cloudinit.seeds", "folders of the guest with an instance for cloud-init", _CLOUD)
CLOUDINIT_WAITS = flag("cloudinit.waits", "cloud-init tries each data source of its list, sign or not (no ds-identify)",
    _CLOUD)
CLOUDINIT_WANTED = text("cloudinit.wanted", "the list of data sources that suits the target, as cloud.cfg says it",
    _CLOUD)
REPOSITORIES_HOSTS = table("repositories.hosts",
    "hosts of the old cloud's packages, with the public ones in their place", _PLACES)
REPOSITORIES_OLD = texts("repositories.old", "package servers of the old cloud, as cloud-repositories has them",
    _PLACES)
SOFTWARE_GUEST = texts("software.guest",
    "guest software of hypervisors and clouds, named as in the table guest-software", _BY)
SOFTWARE_LEFT_SERVICES = texts("software.left_services",
    "scripts and jobs of guest software that is not the target's, by which they start at boot", _BY)
SOFTWARE_LEFT_UNITS = texts("software.left_units",
    "units of guest software that is not the target's and that nothing else of the guest requires", _BY)
SOFTWARE_SECURITY = texts("software.security", "antivirus and intrusion detection, as tables/security-software has it",
    _BY)
TIME_DEVICE = text("time.device", "the clock of the target's host, where the guest's udev gives it its name", _TIME)
TIME_OLD_SOURCES = texts("time.old_sources", "sources of time that only another platform has", _TIME)
TIME_OTHER_SOURCES = texts("time.other_sources", "what is left to set the clock by on the target", _TIME)
TIME_SOURCES = texts("time.sources", "hosts and devices by which programs set the clock", _TIME)
