"""Why a run ends without its work done: the codes of errors, told in documents, events and failure records."""

from __future__ import annotations

from guestfix.base.catalog.findings.kind import Kind

# fmt: off
RUN: dict[str, Kind] = {
    "GF-APPLY-BLOCKED": Kind("run", "blocker",
        "The guest's state forbids apply or revert; nothing was written.",
        "look at the place named here, then try again"),
    "GF-APPLY-FAILED": Kind("run", "blocker",
        "Writing failed, and everything was put back as it was.",
        "fix the cause (room, permission, a read-only mount), then apply again"),
    "GF-APPLY-HALF-DONE": Kind("run", "blocker",
        "Writing failed, and some of what was written could not be put back.",
        "fix the cause, then run: guestfix revert GUEST"),
    "GF-APPLY-NO-JOURNAL": Kind("run", "blocker",
        "There is no journal in the guest, so nothing to revert.",
        "name the guest that was applied to; an image that was written as a new file has its journal there"),
    "GF-DISK-IMAGE": Kind("run", "blocker",
        "A disk image can't be opened, read or written.",
        "look at the file named here; guestfix backends shows what is usable on this machine"),
    "GF-GUEST-UNREADABLE": Kind("run", "blocker",
        "Something of the guest that is needed can't be read or written.",
        "look at the path named here: permission, damage, or no regular file"),
    "GF-PACK-INVALID": Kind("run", "blocker",
        "A rule pack or another YAML file has mistakes, each told with its line.",
        "mend each at its line; guestfix rules lint DIR tells all of a pack"),
    "GF-PLAN-INVALID": Kind("run", "blocker",
        "The file is no plan, or one that contradicts itself.",
        "make it with: guestfix report --format json GUEST > plan.json"),
    "GF-RUN-DEFECT": Kind("run", "blocker",
        "A defect of guestfix itself.",
        "report it with the lines on standard error"),
    "GF-RUN-FAILED": Kind("run", "blocker",
        "A file or program of this machine that is needed can't be used.",
        "look at the place named here, then try again"),
    "GF-RUN-USAGE": Kind("run", "blocker",
        "The command line or an argument of the API can't be used as given.",
        "see: guestfix COMMAND --help"),
}
