"""The platform that a container host believes to be on, whose metadata it asks for SSH keys and names.

Sources: Fedora CoreOS' documentation, "Supported Platforms"; coreos.github.io/afterburn (ignition.platform.id);
Flatcar's documentation (oem_id in the OEM partition's grub.cfg).
"""

from __future__ import annotations

from collections.abc import Sequence

from guestfix.actions.boot.args import change_all
from guestfix.actions.workbench import Workbench
from guestfix.base.catalog.facts.boot import BOOT_DEFAULT
from guestfix.base.facts import Evidence
from guestfix.base.patterns import regex
from guestfix.formats.boot.cmdline import ArgLine, Rewrite, name_of, value_of

ARGUMENT = "ignition.platform.id"
TABLE = "ignition-platforms"
OEM = ("/oem/grub.cfg", "/usr/share/oem/grub.cfg")
_OEM_ID = regex(rb"(?m)^[ \t]*set[ \t]+oem_id=(?P<quote>[\"']?)(?P<value>[a-z0-9_-]{1,40})(?P=quote)")


def set_platform(bench: Workbench) -> None:
    """Make the kernel's arguments name the target's platform where they name another.

    Nothing is added where none is named, and nothing is changed for a target that has no id of its own. Flatcar's OEM
    settings are told and stay, since the programs beside them are that platform's too.
    """
    own = next(iter(bench.target.tables.get(TABLE, {}).get(bench.target.id, ())), "")
    if not own:
        return
    seen: dict[str, None] = {}

    def change(texts: Sequence[str], line: ArgLine) -> Rewrite:
        found = {at: one for at, one in enumerate(texts) if name_of(one) == ARGUMENT and value_of(one) not in ("", own)}
        seen.update(dict.fromkeys(found.values()))
        replaced: dict[int, str | None] = dict.fromkeys(found, f"{ARGUMENT}={own}")
        return Rewrite(replaced)

    change_all(bench, change)
    default = bench.facts.value(BOOT_DEFAULT)
    if seen and default:
        _tell(
            bench, f"{', '.join(seen)} names the old platform and becomes {own}", Evidence(default.path, default.line)
        )
    for path in OEM:
        content = bench.fs.content(path)
        match = _OEM_ID.search(content) if isinstance(content, bytes) else None
        if isinstance(content, bytes) and match and match["value"] != own.encode():
            line = content.count(b"\n", 0, match.start()) + 1
            text = match[0].decode().strip()
            _tell(
                bench,
                f"the OEM partition's settings name the old platform ({text}) and stay",
                Evidence(path, line, text),
            )


def _tell(bench: Workbench, what: str, place: Evidence) -> None:
    bench.find("GF-BOOT-PLATFORM", "info", f"{what}; its metadata service is asked for SSH keys and names", place)
