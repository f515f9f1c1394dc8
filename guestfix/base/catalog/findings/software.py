"""Findings about software that belongs to a platform, or that watches the guest."""

from __future__ import annotations

from guestfix.base.catalog.findings.kind import Kind

# fmt: off
SOFTWARE: dict[str, Kind] = {
    "GF-SOFTWARE-LEFT": Kind("services", "info",
        "Guest software of the old platform starts on the target, where it has no work.",
        "uninstall it once the guest runs; --policy leftovers=disable keeps it from starting until then"),
    "GF-SOFTWARE-REQUIRED": Kind("services", "warning",
        "A unit of the guest can't start without guest software of the old platform, which is left on for it.",
        "take the line out of the unit (Wants= instead of Requires=), then disable the old platform's software"),
    "GF-SOFTWARE-SECURITY": Kind("services", "info",
        "Antivirus or intrusion detection is installed, which watches files that are changed here.",
        "tell its console of the move: changed files are expected, and some agents have to register again"),
}
