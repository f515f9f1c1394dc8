"""firewalld's zone of an interface, which a NIC with another name would not be in."""

from __future__ import annotations

from guestfix.actions.network.common import Setup
from guestfix.base.catalog.facts.network import NETWORK_CARRIER
from guestfix.base.patterns import regex
from guestfix.detect.files import paths_like
from guestfix.formats.ini import get, groups
from guestfix.formats.shellvars import get as variable

ZONES = "/etc/firewalld/zones/*.xml"
_COMMENT = regex(rb"(?s:<!--.*?-->)")
_INTERFACE = regex(rb"""<interface\b[^<>]{0,200}?\bname\s*=\s*["']([^"'<>]{1,32})["']""")


def zone_to_keep(setup: Setup) -> str:
    """Return the zone that the old interface was in and the primary's profile doesn't say; "" where there is none.

    That of the profile of the bond, bridge or VLAN that carried the default route, else of the zone that has its name.
    """
    route, primary = setup.bench.facts.value(NETWORK_CARRIER), setup.primary
    if primary is None or setup.policy != "dhcp" or _own(setup, primary.path):
        return ""
    own = _own(setup, route.path) if route is not None else ""
    names = {name for one in (route, primary) if one is not None for name in (one.name, one.id) if name}
    for path in paths_like(setup.bench.fs, ZONES, 64) if not own else ():
        text = _COMMENT.sub(b"", setup.read(path) or b"")
        if any(one.decode("utf-8", "replace") in names for one in _INTERFACE.findall(text)):
            return path.rpartition("/")[2].removesuffix(".xml")
    return own


def _own(setup: Setup, path: str) -> str:
    data = setup.read(path) or b""
    return get(groups(data), "connection", "zone") or variable(data, "ZONE") or ""
