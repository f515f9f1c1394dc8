"""As much of /etc/fstab as mounting needs. Editing it is another module's matter."""

from __future__ import annotations

import re
from collections.abc import Iterator

from guestfix.base.record import frozen


@frozen
class MountLine:
    """A line of /etc/fstab with its escapes undone."""

    spec: str
    mount: str
    type: str
    options: tuple[str, ...]

    @property
    def subvolume(self) -> str:
        """The Btrfs subvolume that the options name: a path, or ``subvolid:N``."""
        found = ""
        for option in self.options:
            name, _, value = option.partition("=")
            if name == "subvol":
                return value.strip("/") or "subvolid:5"
            if name == "subvolid":
                found = f"subvolid:{value}"
        return found


def fstab_entries(raw: bytes) -> Iterator[MountLine]:
    """Yield the lines of an fstab that have at least a device and a mount point (fstab(5))."""
    for line in raw.decode("utf-8", "surrogateescape").splitlines():
        words = line.split()
        if len(words) < 2 or words[0].startswith("#"):
            continue
        spec, mount = (re.sub(r"\\([0-7]{3})", lambda m: chr(int(m[1], 8) & 255), word) for word in words[:2])
        spec = re.sub(r"=[\"'](.*)[\"']$", r"=\1", spec)
        yield MountLine(spec, mount, words[2] if len(words) > 2 else "auto", tuple((words + ["", ""])[3].split(",")))
