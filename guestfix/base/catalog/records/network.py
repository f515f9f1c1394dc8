"""Records of the network's configuration."""

from __future__ import annotations

from guestfix.base.record import frozen, replace


@frozen
class Nic:
    """One configured interface. ``name`` is the interface's name or, where the file has none, the profile's id.

    ``method`` and ``method6`` are dhcp, static, auto (SLAAC), manual or none ("" where nothing is said).
    ``addresses`` have their prefix length (``192.0.2.1/24``); ``gateway`` and ``gateway6`` are default routes,
    ``routes`` the others as text. ``parents`` are the ports of a bond, team or bridge, or a VLAN's link.
    ``bound_name`` and ``bound_mac`` say whether the file matches the NIC by its name or by ``mac``; ``tied_to``
    are the bonds, bridges or teams that it is a port of, and what else its file matches by. ``unmanaged`` is
    NM_CONTROLLED=no or Unmanaged=yes. ``any_nic``: the file serves every wired NIC at once.
    """

    name: str
    path: str = ""
    line: int = 0
    stack: str = ""
    kind: str = "ethernet"
    mac: str = ""
    method: str = ""
    method6: str = ""
    addresses: tuple[str, ...] = ()
    gateway: str = ""
    gateway6: str = ""
    dns: tuple[str, ...] = ()
    search: tuple[str, ...] = ()
    routes: tuple[str, ...] = ()
    mtu: int | None = None
    parents: tuple[str, ...] = ()
    auto: bool = True
    bound_name: bool = True
    bound_mac: bool = False
    id: str = ""
    uuid: str = ""
    unmanaged: bool = False
    any_nic: bool = False
    tied_to: tuple[str, ...] = ()

    def with_path(self, path: str) -> Nic:
        """Return the same interface, seen in the file at path."""
        return replace(self, path=path)


@frozen
class NameBinding:
    """A line that ties an interface's name to a NIC, in a udev rule or a ``link`` file."""

    kind: str
    path: str
    line: int
    name: str
    mac: str
    text: str


@frozen
class ResolvConf:
    """What /etc/resolv.conf is: ``file``, ``link`` (whose target is not in the guest: ``dangling``) or ``missing``."""

    kind: str
    target: str
    dangling: bool
    nameservers: tuple[str, ...]


@frozen
class NetworkService:
    """The service that sets the network up; ``state`` is on, off, masked or absent, ``system`` the init's kind."""

    name: str
    state: str
    unit: str
    system: str
