"""What cloud-init's configuration asks of the platform: disks that it partitions and mounts, renderers of the network.

Sources: cloud-init's documents "Module reference" (disk_setup, fs_setup, mounts), "Network configuration" (renderers);
the data sources that map ephemeral0: DataSourceAzure, DataSourceEc2, DataSourceOpenStack, DataSourceConfigDrive.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from guestfix.base.catalog.facts.network import NETWORK_STACK
from guestfix.base.errors import EditError
from guestfix.base.facts import Evidence, Facts, Finding
from guestfix.base.patterns import regex
from guestfix.base.text import some
from guestfix.formats import yamltree
from guestfix.formats.yamltree import Node
from guestfix.pack.model import Target

EPHEMERAL = ("azure", "ec2", "openstack", "configdrive")
"""Data sources of platforms that may give a machine a disk for what need not last, which they call ephemeral0."""

RENDERERS = {
    "eni": ("ifupdown",),
    "netplan": ("netplan",),
    "networkd": ("networkd",),
    "network-manager": ("networkmanager",),
    "sysconfig": ("ifcfg", "ifcfg-suse"),
}
"""Which kind of configuration each renderer writes."""

MOST_PLACES = 8
_ALIAS = regex(r"(?:ephemeral|swap)[0-9]*(?:\.[0-9]+)?")
_BY_PLACE = regex(r"(?:/dev/)?(?P<prefix>sd|hd|vd|xvd|nvme)(?:[a-z]{1,3}[0-9]*|[0-9]+n[0-9]+(?:p[0-9]+)?)")
_BY_CLOUD = regex(r"/dev/disk/(?:cloud|azure|by-id|by-path)/.*")
_WORD = regex(r"[A-Za-z][A-Za-z-]*")


def disks(target: Target, files: Mapping[str, bytes]) -> Iterator[Finding]:
    """Tell of disks that files of cloud-init's configuration name and the target gives to another, or to none."""
    roots = [(path, root) for path, data in files.items() if (root := _parsed(data)) is not None]
    made = [place for path, root in roots for place in _made(path, root, target)]
    mounted = [place for path, root in roots for place in _mounted(path, root, target)]
    for places, what in (
        ([one for one in made if not _ALIAS.fullmatch(one.text)],
         "cloud-init partitions or formats {} where the platform names a new instance; on {} that may be another disk"),
        ([one for one in mounted if not _ALIAS.fullmatch(one.text)],
         "cloud-init mounts {} for a new instance, which is no name of a disk on {}: it is not mounted then"),
    ):  # fmt: skip
        if places:
            yield _told("warning", what, places, target)
    if rest := [one for one in (*made, *mounted) if _ALIAS.fullmatch(one.text)]:
        yield _told("info", "cloud-init is to set up {}, which {} does not give: it passes over that", rest, target)


def _told(severity: str, what: str, places: list[Evidence], target: Target) -> Finding:
    names = some(dict.fromkeys(one.text for one in places))
    return Finding("GF-CLOUD-INIT-DISKS", severity, what.format(names, target.id), tuple(places[:MOST_PLACES]))


def renderers(facts: Facts, found: Evidence) -> Iterator[Finding]:
    """Tell of renderers, the list of which was found there, none of which writes what the guest reads."""
    stack, names = facts.value(NETWORK_STACK, ""), _WORD.findall(found.text)
    known = {one for kinds in RENDERERS.values() for one in kinds}
    if stack in known and names and not any(stack in RENDERERS.get(one, (stack,)) for one in names):
        what = f"cloud-init writes the network for {some(names)} alone, and this guest reads {stack}"
        yield Finding("GF-CLOUD-INIT-RENDERER", "warning", what, (found,))


def _parsed(data: bytes) -> Node | None:
    try:
        return yamltree.parse(data)
    except EditError:  # cloud-init passes over it
        return None


def _made(path: str, root: Node, target: Target) -> Iterator[Evidence]:
    """Yield each disk that cloud-init would partition or format, by a name that may be another disk's or none's."""
    setups = root.get("disk_setup")
    yield from (_place(path, name) for name, _ in (setups.pairs if setups else ()) if _unsure(name.value, target))
    systems = root.get("fs_setup")
    for one in systems.items if systems else ():
        name = one.get("device")
        if name is not None and _unsure(name.value, target):
            yield _place(path, name)


def _mounted(path: str, root: Node, target: Target) -> Iterator[Evidence]:
    """Yield each disk that it would mount and the target calls otherwise, or does not give."""
    mounts = root.get("mounts")
    for row in mounts.items if mounts else ():
        name = row.items[0] if row.items else row
        placed = _BY_PLACE.fullmatch(name.value)
        if _unsure(name.value, target) and not (placed and placed["prefix"] == target.disk_prefix):
            yield _place(path, name)


def _unsure(name: str, target: Target) -> bool:
    if _ALIAS.fullmatch(name):
        return not {one.lower() for one in target.data_sources} & {*EPHEMERAL}
    return bool(_BY_PLACE.fullmatch(name) or _BY_CLOUD.fullmatch(name))


def _place(path: str, node: Node) -> Evidence:
    return Evidence(path, node.line, node.value[:200])
