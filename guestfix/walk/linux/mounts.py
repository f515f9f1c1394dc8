"""Step 7: what init mounts. systemd waits 90 s for each device and enters emergency mode where one is required."""

from __future__ import annotations

from collections.abc import Iterable

from guestfix.base.catalog.facts.storage import DISKS_UNCLAIMED, FSTAB_ENTRIES
from guestfix.base.catalog.records.storage import Mount
from guestfix.base.facts import Evidence, Finding
from guestfix.detect.storage.fstab import PATH
from guestfix.walk.names import answers
from guestfix.walk.scene import Ground, Look, Scene, passes, unknown

TIMEOUT = 90
"""Seconds that systemd waits for a device (DefaultTimeoutStartSec), unless x-systemd.device-timeout says other."""


def ground(scene: Scene) -> Ground:
    """Tell whether the table of mounts was read."""
    entries = scene.facts.value(FSTAB_ENTRIES)
    if entries is None:
        return unknown(scene.facts.why_unknown(FSTAB_ENTRIES) or "/etc/fstab can't be read", Evidence(PATH))
    doubtful = [one for one in _required(entries) if answers(scene, one.spec, DISKS_UNCLAIMED)[0] == "unknown"]
    if doubtful:
        names = ", ".join(one.spec for one in doubtful[:4])
        return unknown(f"{answers(scene, doubtful[0].spec, DISKS_UNCLAIMED)[1]}: {names}", _place(doubtful[0]))
    return passes("every volume that has to be mounted answers", Evidence(PATH))


def check(scene: Scene) -> Iterable[Finding]:
    """Find required entries whose volume the target does not have by that name."""
    for one in _required(scene.facts.value(FSTAB_ENTRIES) or ()):
        answer, why = answers(scene, one.spec, DISKS_UNCLAIMED)
        if answer == "no":
            yield Finding(
                "GF-WALK-MOUNT",
                "blocker",
                f"{one.mount} is required at boot and its volume is {one.spec}: {why}",
                (_place(one),),
                "name the volume by UUID, or make the entry optional with nofail",
                outcome="stops",
            )


def _required(entries: Iterable[Mount]) -> list[Mount]:
    """Return the entries of volumes without which a boot ends: mounts that are neither optional nor for later."""
    return [one for one in entries if one.mount.startswith("/") and _is_volume(one) and not _optional(one)]


def _is_volume(entry: Mount) -> bool:
    return entry.spec.startswith(("/dev/", "UUID=", "LABEL=", "PARTUUID=", "PARTLABEL="))


def _optional(entry: Mount) -> bool:
    return bool({"nofail", "noauto"} & set(entry.options.split(",")))


def _place(entry: Mount) -> Evidence:
    return Evidence(PATH, entry.line, f"{entry.spec} {entry.mount}")


LOOK = Look("mounts", "filesystems are mounted", ground, check)
