"""The backend ``libguestfs``: read and write disk images through the libguestfs appliance.

Through the guestfs Python binding where this interpreter has it, else through guestfish. Writes go to the
same overlays as the backend ``uml``'s.
"""

from __future__ import annotations

import atexit
import os
from typing import Any

from guestfix.backends import Request
from guestfix.backends.damage import on_host
from guestfix.backends.disks.commit import open_to_write
from guestfix.backends.disks.formats import OpenDisk
from guestfix.backends.disks.hostfiles import HostFiles
from guestfix.backends.disks.naming import letters
from guestfix.backends.disks.overlaydisk import Overlays, same_size
from guestfix.backends.layout.mounts import lay_out
from guestfix.backends.libguestfs.appliance import Appliance
from guestfix.backends.libguestfs.far import launch
from guestfix.backends.outcome import Check, ImageWriter
from guestfix.backends.remote import RemoteGuest, disk_findings
from guestfix.backends.volumes.block import DiskError
from guestfix.base.errors import GuestError, UsageError


class LibguestfsGuest(RemoteGuest, ImageWriter):
    """A guest inside disk images, reached through the libguestfs appliance. Call ``close`` when done."""

    def __init__(
        self, paths: list[str], root: str = "", host: HostFiles | None = None, *, in_place: bool = False
    ) -> None:
        self.host_files = host or HostFiles()
        try:
            images, self.recovered = open_to_write(paths, self.host_files, in_place=in_place)
            self._open(images, paths, root)
        except BaseException:
            self.host_files.close()
            raise

    def _open(self, images: list[OpenDisk], paths: list[str], root: str) -> None:
        self.overlays = Overlays(images, export="nbd")
        self._handle: Any = None
        atexit.register(self.close)
        try:
            self._handle = launch(self.overlays.socket, len(images), self.overlays.run)
            for index, image in enumerate(images):
                same_size(image, int(self._handle.blockdev_getsize64(f"/dev/sd{letters(index)}")))
            folder = f"{self.overlays.folder}/x"
            os.mkdir(folder, 0o700)
            self._appliance = Appliance(self._handle, [image.block for image in images], folder)
            parts, disks = self._appliance.parts, self._appliance.disks
            look = self._appliance
            self._layout = lay_out(disks, parts, look.view, look.subvolumes, root, look.problems)
            far = self._appliance.mount_all(self._layout)
        except RuntimeError as error:
            self.close()
            raise DiskError(f"libguestfs: {error}") from error
        except BaseException:
            self.close()
            raise
        mounts = self._layout.mounts
        folding = [one.path for one in mounts if one.part.probe and one.part.probe.type in ("vfat", "ntfs")]
        super().__init__(
            "libguestfs:" + ",".join(paths),
            far,
            folder,
            self._layout.disks,
            windows=self._layout.root.system == "Windows",
            folding=lambda path: any(path == one or path.startswith(one + "/") for one in folding),
            findings=disk_findings(
                self._appliance.problems, self._layout.replayed(), self._layout.missing, self._layout.disorder()
            ),
        )

    def check(self) -> tuple[Check, ...]:
        """Unmount, check every filesystem without repairing it, and end the appliance."""
        if self._handle is None:
            raise GuestError("the guest was closed already")
        try:
            found = tuple(self._appliance.checks(self._layout))
            self._handle.shutdown()
            self.overlays.stop()
        except RuntimeError as error:
            raise DiskError(f"libguestfs: {error}") from error
        self._handle.close()
        self._handle = None
        return found

    def close(self) -> None:
        """End the appliance and drop the overlays. What was not saved before is gone."""
        if self._handle is not None:
            handle, self._handle = self._handle, None
            handle.close()
        self.overlays.close()
        self.host_files.close()
        atexit.unregister(self.close)


def open_place(place: str, request: Request) -> LibguestfsGuest:
    """Open disk images as the user named them."""
    if request.disks:
        raise UsageError("--disks is for folders; an image shows its disks itself")
    if request.keys:
        raise UsageError(
            "the backend libguestfs takes no keys of encrypted volumes", remedy="write through uml: or qemu:"
        )
    host = HostFiles(request.allow_backing, request.image_types)
    with on_host("the libguestfs appliance can't be started over it"):
        return LibguestfsGuest([place, *request.more], request.root, host, in_place=request.in_place)
