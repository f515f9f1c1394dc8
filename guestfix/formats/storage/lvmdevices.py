"""lvmdevices(8): the devices file, one line of KEY=VALUE words for each device that lvm may use.

IDTYPE and IDNAME say how the device is known: by a number of the disk itself (sys_wwid, sys_serial, and so on), by what
goes with the data (crypt_uuid, md_uuid, lvmlv_uuid), or by its name (devname). A device that is not found by them is
not used, nor is any other (lib/device/device_id.c).
"""

from __future__ import annotations

from guestfix.base.record import frozen
from guestfix.formats.storage.fstab import lines, show

LASTING = ("crypt_uuid", "md_uuid", "lvmlv_uuid")
"""Kinds of identity that a volume keeps on other hardware."""


@frozen
class OldDevice:
    """A line that names a device by what other hardware does not have."""

    number: int
    text: str


def first_old(src: bytes) -> OldDevice | None:
    """Return the first line of a device that other hardware has not, None where all of them last."""
    for number, _, raw in lines(src):
        words = dict(word.split("=", 1) for word in raw.decode("utf-8", "replace").split() if "=" in word)
        if "IDTYPE" in words and words["IDTYPE"] not in LASTING:
            return OldDevice(number, show(raw))
    return None
