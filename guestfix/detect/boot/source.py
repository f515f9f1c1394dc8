"""Whether the filesystem that GRUB's default entry names has the kernel that it loads."""

from __future__ import annotations

from typing import Literal

from guestfix.base.facts import Evidence, Finding
from guestfix.base.guest import GuestFS
from guestfix.base.record import frozen, replace
from guestfix.detect.boot.menu import Menu, Source
from guestfix.detect.boot.volumes import Volumes
from guestfix.detect.files import exists, real_path
from guestfix.formats.boot import grubsearch
from guestfix.formats.boot.entry import BootEntry

_LEGACY = "write root (hdN,M) in the entry: the disk and the partition that has its kernel, both counted from 0"


@frozen
class Amiss:
    """Why GRUB does not find an entry's kernel. ``sure`` is false where a machine has to tell.

    ``spare`` is the title of the fallback that starts in its place.
    """

    why: str
    sure: bool
    spare: str = ""


def lost_of(guest: GuestFS, menu: Menu, volumes: Volumes | None) -> Amiss | None:
    """Return why the default entry's kernel is not found where the loader looks for it; None where it may be."""
    lost = amiss(guest, menu.source, menu.default, volumes)
    if lost is None or not lost.sure or menu.fallback is None or menu.spare is None:
        return lost
    here = amiss(guest, menu.spare, menu.fallback, volumes) is None and exists(guest, menu.fallback.kernel)
    return replace(lost, spare=menu.fallback.title) if here else lost


def amiss(guest: GuestFS, source: Source | None, entry: BootEntry | None, volumes: Volumes | None) -> Amiss | None:
    """Return why an entry's kernel is not found where the loader looks for it; None where it may be."""
    if source is None or entry is None or volumes is None or not exists(guest, entry.kernel):
        return None
    device, said = source.device, source.said or source.device
    numbers = grubsearch.numbered(device)
    if numbers:
        found = volumes.by_numbers(device)
        if found is None:
            return Amiss(f"it takes its files from {said}, which the guest's disks do not have", True)
        if not found and numbers[0]:
            return Amiss(f"it takes its files from {said}, and which disk comes second depends on the firmware", False)
        device = found
    layered = grubsearch.layered(device)
    if layered:
        found = volumes.by_name(layered)
        if found is None:
            return Amiss(f"it takes its files from {said}, and no volume of the guest answers to {layered}", True)
        device = found
    if source.gone:
        return Amiss(f"it looks for the filesystem with the {said}; there is none", True)
    if not device.startswith("@"):
        return None
    return _elsewhere(guest, device[1:], source.path, entry.kernel, volumes)


def _elsewhere(guest: GuestFS, place: str, written: str, kernel: str, volumes: Volumes) -> Amiss | None:
    """Tell whether a file that is there lies on another filesystem than the one that is asked for it."""
    wanted = f"{place.rstrip('/')}/{written.lstrip('/')}"
    own = volumes.place_of(kernel)
    there = exists(guest, wanted) and volumes.place_of(real_path(guest, wanted)) == place
    if not own or there:
        return None
    return Amiss(
        f"it looks for {written} on the filesystem of {place}, and the kernel is {kernel} on that of {own}", True
    )


def astray_findings(path: str, search: grubsearch.Search) -> list[Finding]:
    """Report a configuration on the firmware's path that leads to another one on a volume that is not there."""
    summary = f"GRUB's first configuration looks for the next one on a volume with the {_said(search)}; there is none"
    return [Finding("GF-BOOT-VOLUME", "warning", summary, (Evidence(path, 0, search.value),), outcome="stops")]


def _said(search: grubsearch.Search) -> str:
    return f"{'UUID' if search.kind == 'fs-uuid' else search.kind} {search.value}"


def source_findings(menu: Menu, found: Amiss | None) -> list[Finding]:
    """Report a default entry whose kernel is not where GRUB looks for it."""
    if found is None or menu.default is None:
        return []
    place = Evidence(menu.default.path, menu.default.line, menu.default.title)
    summary = f"GRUB does not find the kernel of the default entry {menu.default.title!r}: {found.why}"
    remedy = _LEGACY if menu.loader == "grub-legacy" else ""
    if found.spare:
        summary += f"; it then starts the fallback {found.spare!r}"
        return [Finding("GF-BOOT-VOLUME", "warning", summary, (place,), remedy)]
    outcome: Literal["stops", "unknown"] = "stops" if found.sure else "unknown"
    return [Finding("GF-BOOT-VOLUME", "warning", summary, (place,), remedy, outcome=outcome)]
