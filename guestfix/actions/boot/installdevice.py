"""The disk that debconf keeps for GRUB: updates of grub-pc write the loader there, and fail where it is not.

Source: grub-pc's debconf templates (grub-pc/install_devices) and postinst, which asks nobody on an unattended upgrade.
"""

from __future__ import annotations

from collections.abc import Sequence

from guestfix.actions.workbench import Workbench
from guestfix.base.edit import Splice, apply_splices
from guestfix.base.patterns import regex
from guestfix.detect.limits.boot import DEBCONF, install_devices
from guestfix.detect.limits.firmware import disks_of
from guestfix.editors.boot.menu import disk_name
from guestfix.formats.shellvars import encode

_KERNEL = regex(r"/dev/(?:(?:sd|hd|vd|xvd)(?P<letter>[a-z])|nvme(?P<number>\d)n1)")


def set_install_devices(bench: Workbench) -> None:
    """Make debconf name the target's disks where it is certain which of them is meant; all of a list or none.

    The kernel's own names tell a disk by its place among those described, or by its letter where none are. Any other
    name is certain in a guest that has one disk.
    """
    content, prefix = bench.fs.content(DEBCONF), bench.target.disk_prefix
    found = install_devices(content) if isinstance(content, bytes) else None
    if not isinstance(content, bytes) or found is None or not prefix:
        return
    known = [one.device for one in disks_of(bench.fs)]
    places = [_place(name, known) for name in found.names]
    named = [disk_name(prefix, place) for place in places if place is not None]
    if named and len(named) == len(places) and list(found.names) != named:
        text = encode(", ".join(dict.fromkeys(named)))
        bench.fs.put(DEBCONF, apply_splices(content, [Splice(found.start, found.end - found.start, text)]))


def _place(name: str, known: Sequence[str]) -> int | None:
    """Return which of the guest's disks a name means, counted from 0; None where that is not certain."""
    match = _KERNEL.fullmatch(name)
    if match and known:
        return known.index(name) if name in known else None
    if match is None:
        return 0 if len(known) == 1 else None
    return int(match["number"]) if match["number"] else ord(match["letter"]) - ord("a")
