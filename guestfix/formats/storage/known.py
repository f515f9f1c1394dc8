"""What a guest's volumes answer to, and what it means that none of them answers to a name."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Literal

from guestfix.base.edit import Table
from guestfix.base.record import frozen
from guestfix.formats.storage import devices

Answer = Literal["yes", "absent", "unnamed", "unknown"]


@frozen
class Known:
    """What the facts ``disks.*`` say of the guest's volumes.

    ``table`` leads from names to UUIDs, ``specs`` is all that the volumes answer to. ``tagged``: all volumes
    are described with their tags; ``complete``: those above partitions are described too. A tag or a name above
    partitions that is not among them belongs to no volume, unless a pattern of ``doubtful`` matches it:
    a volume may have it and the description does not say so. ``old`` are patterns of the names that the guest's own
    configuration (multipath, udev rules, crypttab) makes of the old hardware.
    """

    table: Table
    specs: frozenset[str]
    tagged: bool
    complete: bool
    doubtful: tuple[str, ...] = ()
    old: tuple[str, ...] = ()

    def is_old(self, name: str) -> bool:
        """Tell whether other hardware has another name for this volume, or none."""
        name = devices.normal(name)
        if devices.is_unstable(name):
            return True
        return any(devices.matches(name, one) for one in self.old)

    def answer(self, name: str) -> Answer:
        """Tell whether a volume answers to the name: ``unnamed`` is one that is there and whose UUID is not known."""
        plain = devices.tag(name) or devices.normal(name)
        if plain in self.specs or plain in self.table:
            return "yes" if plain in self.table or not devices.is_unstable(name) else "unnamed"
        if self.is_old(name) or devices.is_bare_uuid(name):
            return "yes" if devices.resolve(name, self.table) else "absent"
        tag = devices.tag(name)
        whole = self.tagged if tag else devices.is_layered(name)
        whole = whole and (self.complete or tag.startswith("PART"))
        return "absent" if whole and not any(devices.matches(plain, one) for one in self.doubtful) else "unknown"

    def is_gone(self, name: str) -> bool:
        """Tell whether the name is of a volume that did not come along; never without a description of the disks.

        ``/dev/GROUP/*`` is every volume of a group, which is gone where there is none of it.
        """
        if not self.specs:
            return False
        if name.endswith("/*"):
            told = self.complete and not any(devices.matches(name, one) for one in self.doubtful)
            return told and not any(devices.matches(one, name) for one in self.specs)
        return self.answer(name) == "absent"


def known(
    table: Table,
    specs: Iterable[str],
    tagged: bool,
    complete: bool,
    doubtful: Iterable[str] = (),
    old: Iterable[str] = (),
) -> Known:
    """Return what is known of the guest's volumes, from the facts of the same names."""
    return Known(table, devices.known_tags(specs), tagged, complete, tuple(doubtful), tuple(old))
