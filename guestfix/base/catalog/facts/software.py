"""Facts about software that belongs to a platform, or that watches the guest."""

from __future__ import annotations

from guestfix.base.catalog.facts.kind import texts

_BY = "services.access"

# fmt: off
SOFTWARE_GUEST = texts("software.guest",
    "guest software of hypervisors and clouds, named as in the table guest-software", _BY)
SOFTWARE_LEFT_SERVICES = texts("software.left_services",
    "scripts and jobs of guest software that is not the target's, by which they start at boot", _BY)
SOFTWARE_LEFT_UNITS = texts("software.left_units",
    "units of guest software that is not the target's and that nothing else of the guest requires", _BY)
SOFTWARE_SECURITY = texts("software.security", "antivirus and intrusion detection, as tables/security-software has it",
    _BY)
