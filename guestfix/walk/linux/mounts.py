"""Step 7: what init mounts. systemd waits 90 s for each device and enters emergency mode where one is required."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from guestfix.base.facts import Evidence, Finding
from guestfix.detect.storage.fstab import PATH
from guestfix.walk.names import answers
from guestfix.walk.scene import Ground, Look, Scene, passes, unknown

TIMEOUT = 90
"""Seconds that systemd waits for a device (DefaultTimeoutStartSec), unless x-systemd.device-timeout says other."""


def ground(scene: Scene) -> Ground:
    """Tell whether the table of mounts was read."""
    entries = scene.value("fstab.entries")
    if entries is None:
        return unknown(scene.why_unknown("fstab.entries") or "/etc/fstab can't be read", Evidence(PATH))
    doubtful = [one for one in _required(entries) if answers(scene, str(one["spec"]))[0] == "unknown"]
    if doubtful:
        names = ", ".join(str(one["spec"]) for one in doubtful[:4])
        return unknown(f"{answers(scene, str(doubtful[0]['spec']))[1]}: {names}", _place(doubtful[0]))
    return passes("every volume that has to be mounted answers", Evidence(PATH))


def check(scene: Scene) -> Iterable[Finding]:
    """Find required entries whose volume the target does not have by that name."""
    for one in _required(scene.value("fstab.entries") or ()):
        answer, why = answers(scene, str(one["spec"]))
        if answer == "no":
            yield Finding(
                "GF-WALK-MOUNT",
                "blocker",
                f"{one['mount']} is required at boot and its volume is {one['spec']}: {why}",
                (_place(one),),
                "name the volume by UUID, or make the entry optional with nofail",
                outcome="stops",
            )


def _required(entries: Iterable[dict[str, Any]]) -> list[dict[str, Any]]:
    """Return the entries of volumes without which a boot ends: mounts that are neither optional nor for later."""
    return [one for one in entries if one["mount"].startswith("/") and _is_volume(one) and not _optional(one)]


def _is_volume(entry: dict[str, Any]) -> bool:
    return str(entry["spec"]).startswith(("/dev/", "UUID=", "LABEL=", "PARTUUID=", "PARTLABEL="))


def _optional(entry: dict[str, Any]) -> bool:
    return bool({"nofail", "noauto"} & set(str(entry["options"]).split(",")))


def _place(entry: dict[str, Any]) -> Evidence:
    return Evidence(PATH, int(entry["line"]), f"{entry['spec']} {entry['mount']}")


LOOK = Look("mounts", "filesystems are mounted", ground, check)
