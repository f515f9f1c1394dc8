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
class DriverBinding:
    """By which services Windows drives the devices of a driver that the target needs.

    The driver itself is among ``services`` where Windows gives it one of them. ``staged``: a package for them lies in
    the driver store, whose service is not known.
    """

    driver: str
    services: list[str]
    staged: bool


@frozen
class WindowsNic:
    """An interface of TCP/IP. ``static``: its addresses were set by hand.

    ``suffix`` is the DNS suffix of its connection, ``wins`` its WINS servers.
    """

    guid: str
    name: str
    device: str
    static: bool
    addresses: list[str]
    masks: list[str]
    gateways: list[str]
    dns: list[str]
    wins: list[str]
    suffix: str
