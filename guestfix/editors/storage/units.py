"""Changes to units of systemd that name devices: mount units, and requirements of any unit.

Sources: systemd.mount(5) (What=), systemd.unit(5) (dependencies, and how a path becomes a unit's name).
"""

from __future__ import annotations

from collections.abc import Sequence

from guestfix.base.edit import Content, Splice, Table, apply_splices
from guestfix.base.patterns import regex
from guestfix.formats import ini
from guestfix.formats.storage import devices
from guestfix.formats.storage.dependents import device_of
from guestfix.formats.storage.known import known

_WORDS = regex(rb"[^\s]+")
_DEPENDENCIES = (
    "Requires", "Requisite", "BindsTo", "Wants", "PartOf", "Upholds", "After", "Before", "Conflicts",
)  # fmt: skip


def set_device(src: bytes | None, *, table: Table, old: Sequence[str]) -> Content:
    """Name devices by their UUID's link where their own name would not last: What=, and dependencies on devices.

    ``table`` and ``old`` are the facts disks.uuid_by_device and disks.old_names. What can't be told stays.
    """
    if src is None or (b"/dev/" not in src and b"dev-" not in src):
        return src
    names = known(table, (), False, False, (), old)
    groups = ini.groups(src, continued=True)
    wanted = [entry for entry in ini.entries(groups, "Unit") if entry.key in _DEPENDENCIES]
    splices = []
    for entry in (*wanted, *ini.entries(groups, "Mount", "What")):
        for match in _WORDS.finditer(src, entry.value_start, entry.value_end):
            word = match[0].decode("utf-8", "surrogateescape")
            device = word if entry.key == "What" else device_of(word)
            spec = devices.resolve(device, table) if device and names.is_old(device) else None
            if spec:
                link = devices.link_of(spec)
                after = link if word.startswith("/") else unit_of(link)
                splices.append(Splice(match.start(), len(match[0]), after.encode("utf-8", "surrogateescape")))
    return apply_splices(src, sorted(splices, key=lambda one: one.offset))


def unit_of(path: str) -> str:
    r"""Return the name of a device's unit: ``dev-disk-by\x2duuid-ab.device`` for /dev/disk/by-uuid/ab."""
    escaped = regex(r"[^A-Za-z0-9:_./]").sub(
        lambda found: "".join(f"\\x{b:02x}" for b in found[0].encode("utf-8", "surrogateescape")), path
    )
    return f"{escaped.strip('/').replace('/', '-')}.device"
