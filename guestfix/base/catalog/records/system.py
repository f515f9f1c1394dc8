"""Records of services and of the target."""

from __future__ import annotations

from typing import TypedDict

from guestfix.base.record import frozen


@frozen
class ServiceState:
    """A service and whether it starts at boot: ``on``, ``off``, ``masked`` or ``absent``."""

    name: str
    state: str


class ServiceLimits(TypedDict, total=False):
    """What an import service takes, as far as its target says: volumes, bytes of a disk, root filesystems."""

    volumes: int
    disk_bytes: int
    root_filesystems: list[str]
