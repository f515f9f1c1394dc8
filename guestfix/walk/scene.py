"""What a step of a walk is given, and what it gives back."""

from __future__ import annotations

from collections.abc import Callable, Iterable

from guestfix.base.catalog.facts.storage import FSTAB_ENTRIES
from guestfix.base.catalog.records.boot import MenuEntry
from guestfix.base.errors import GuestError
from guestfix.base.facts import Evidence, Facts, Finding
from guestfix.base.guest import Disks, GuestFS, Volume
from guestfix.base.record import frozen
from guestfix.formats.storage import devices
from guestfix.pack.model import Target
from guestfix.walk.model import Outcome


@frozen
class Scene:
    """A guest in one state, as it is or as a plan leaves it, before the target's devices.

    ``facts`` and ``findings`` are what detection said of that same state.
    """

    guest: GuestFS
    facts: Facts
    target: Target
    findings: tuple[Finding, ...]


def is_whole(scene: Scene) -> bool:
    """Tell whether the guest was read from its disks: what is not seen is not there then; a tree may be an excerpt."""
    return _read(scene) is not None


_NO_FILES = (None, "", "swap", "LVM2_member", "linux_raid_member")
"""What holds no files of its own: volumes above it are looked at by themselves."""


def all_in_sight(scene: Scene) -> bool:
    """Tell whether the guest was read from its disks, and each of their filesystems is mounted and was looked at.

    Where one is not (another system's, one that is encrypted, one that this backend can't read) a file that nobody
    sees may still be found by a loader, which looks at all of them.
    """
    disks = _read(scene)
    if disks is None:
        return False
    mounts = [one for one in scene.facts.value(FSTAB_ENTRIES) or () if one.mount.startswith("/")]
    seen = devices.known_tags(one.spec for one in mounts if _is_mounted(scene, one.mount))
    volumes = [one for one in disks.all_volumes() if one.fstype not in _NO_FILES and not one.lost]
    return all(one.device == disks.root or not seen.isdisjoint(_names(one)) for one in volumes)


def _read(scene: Scene) -> Disks | None:
    try:
        disks = scene.guest.disks()
    except GuestError:
        return None
    return disks if disks is not None and disks.read else None


def _is_mounted(scene: Scene, place: str) -> bool:
    """Tell whether files of a filesystem of its own are seen at a place."""
    try:
        here, root = scene.guest.stat(place), scene.guest.stat("/")
    except GuestError:
        return False
    return place == "/" or (here is not None and root is not None and here.device != root.device)


def _names(volume: Volume) -> frozenset[str]:
    tags = {"UUID": volume.uuid, "LABEL": volume.label, "PARTUUID": volume.partuuid, "PARTLABEL": volume.partlabel}
    specs = [f"{name}={value}" for name, value in tags.items() if value]
    return devices.known_tags((volume.device, *volume.aliases, *specs))


@frozen
class Ground:
    """What a step rests on where nothing was found against it: ``passes`` or ``unknown``, in a sentence."""

    outcome: Outcome
    because: str
    evidence: tuple[Evidence, ...] = ()


def passes(because: str, *evidence: Evidence) -> Ground:
    """Return that a step passes."""
    return Ground("passes", because, evidence)


def unknown(because: str, *evidence: Evidence) -> Ground:
    """Return that a step can't be told from what was given."""
    return Ground("unknown", because, evidence)


@frozen
class Look:
    """How one step is looked at.

    ``ground`` says what it rests on. ``check`` yields what stands against it that no detector tells: findings with
    an outcome (``stops``, ``waits``, ``unknown``).
    """

    id: str
    title: str
    ground: Callable[[Scene], Ground]
    check: Callable[[Scene], Iterable[Finding]]


def nothing(scene: Scene) -> Iterable[Finding]:
    """Return no finding: detectors tell all there is about this step."""
    return ()


def entry_place(entry: MenuEntry) -> Evidence:
    """Return where a boot entry stands."""
    return Evidence(entry.path, entry.line, entry.title or entry.id)
