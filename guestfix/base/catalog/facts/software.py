"""Facts about software that belongs to a platform, that watches the guest, or that sets its clock."""

from __future__ import annotations

from guestfix.base.catalog.facts.kind import text, texts

_BY, _TIME = "services.access", "services.timesync"

# fmt: off
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
