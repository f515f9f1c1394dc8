"""Whether a plan leaves an initramfs as it was found, told without reading all of the image once more."""

from __future__ import annotations

from guestfix.base.errors import GuestError
from guestfix.base.facts import Finding
from guestfix.base.overlay import Overlay
from guestfix.formats.initramfs import modprobe


def still_there(planned: Overlay, finding: Finding) -> bool | None:
    """Tell whether the planned guest still has a fault of an initramfs; None where only a whole look can tell.

    An image is changed by nothing but :func:`guestfix.actions.initramfs.inject.inject`, which adds all that one
    lacks or nothing, and reads back what it adds.
    """
    place = finding.evidence[0]
    path = place.path.partition(":")[0]
    if finding.code == "GF-INITRAMFS-LACKS" or path != place.path:
        images = dict.fromkeys(one.path.partition(":")[0] for one in finding.evidence)
        return not all(planned.is_changed(one) for one in images if one.startswith("/"))
    if not path.startswith("/"):
        return None
    try:
        lines = modprobe.directives(planned.read(path))
    except GuestError:
        return None
    return any(one.blocks and one.text == place.text for one in lines)
