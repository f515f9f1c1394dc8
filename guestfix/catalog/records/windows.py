"""Records of Windows: drivers as its services describe them, interfaces of TCP/IP."""

from __future__ import annotations

from guestfix.base.record import frozen


@frozen
class DriverService:
    """A driver. ``start`` is the service's Start value; ``file`` the driver's path, ``present``: it is there."""

    service: str
    start: int | None
    start_override: int | None
    file: str | None
    present: bool


@frozen
class WindowsNic:
    """An interface of TCP/IP. ``static``: its addresses were set by hand."""

    guid: str
    name: str
    device: str
    static: bool
    addresses: list[str]
    masks: list[str]
    gateways: list[str]
    dns: list[str]
