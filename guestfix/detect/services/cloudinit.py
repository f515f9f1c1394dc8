"""Where cloud-init looks for what a platform says of an instance, and what it has of the old one.

Sources: cloud-init's documents "Datasources", "ds-identify", "Network configuration"; tools/ds-identify.
Facts: cloudinit.data_sources, cloudinit.fits, cloudinit.forced, cloudinit.old_arguments, cloudinit.network_places;
those of instance.py.
"""

from __future__ import annotations

from collections.abc import Iterator

from guestfix.base.catalog.facts.boot import BOOT_DEFAULT
from guestfix.base.catalog.facts.network import NETWORK_CLOUD_INIT
from guestfix.base.catalog.facts.software import (
    CLOUDINIT_DATA_SOURCES,
    CLOUDINIT_FITS,
    CLOUDINIT_FORCED,
    CLOUDINIT_NETWORK_PLACES,
    CLOUDINIT_OLD_ARGUMENTS,
    CLOUDINIT_WAITS,
    CLOUDINIT_WANTED,
)
from guestfix.base.errors import EditError
from guestfix.base.facts import Evidence, Facts, Finding
from guestfix.base.guest import GuestFS
from guestfix.base.patterns import regex
from guestfix.detect.files import exists, names_in, read_small
from guestfix.detect.services import instance
from guestfix.pack.model import Target

FOLDER = "/etc/cloud/cloud.cfg.d"
IDENTIFY = "/etc/cloud/ds-identify.cfg"
IDENTIFIERS = ("/usr/lib/cloud-init/ds-identify", "/usr/libexec/cloud-init/ds-identify", "/lib/cloud-init/ds-identify")
PROGRAMS = ("/usr/bin/cloud-init", "/usr/local/bin/cloud-init", "/usr/bin/cloud-init-2", "/usr/bin/cloud-init-3")
LOCAL = ("nocloud", "configdrive", "ovf", "none")
"""Data sources that look at disks and files alone, so that nothing waits for them."""
MOST_FILES = 128

_STATED = regex(rb"(?m)^datasource_list\s*:")
_NETWORK = regex(rb"(?m)^network\s*:(?!\s*\{\s*[\"']?config[\"']?\s*:\s*[\"']?disabled)")
_DISABLED = regex(rb"(?m)^network\s*:\s*\n\s+config\s*:\s*[\"']?disabled")
_DISKS = (b"\ndisk_setup:", b"\nfs_setup:", b"\nmounts:")
_RENDERERS = regex(rb"(?m)^[ \t]++renderers\s*:\s*(?P<names>\[[^\]\n]*|(?:-[ \t]*[\"'\w-]++\s*+)+)")
_SETTING = regex(r"(?P<key>datasource|policy)\s*:\s*[\"']?(?P<value>[^#\"']*)")
_ARGUMENT = regex(r"(?:ci\.ds|ci\.datasource|ds)=(?P<name>[A-Za-z0-9]+)")


def detect(guest: GuestFS, facts: Facts, target: Target) -> list[Finding]:
    """Put the cloudinit.* facts; nothing where there is no cloud-init, or it is switched off."""
    if facts.value(NETWORK_CLOUD_INIT) not in ("enabled", "network-disabled"):
        return []
    files = dict(_files(guest))
    stated, place = _stated(files)
    forced, policy = _identify(guest)
    arguments = _arguments(facts, target)
    told_to = policy == "enabled" or "notfound=enabled" in policy
    looks = not told_to and (any(exists(guest, one) for one in IDENTIFIERS) or not _is_installed(guest))
    fits = _fits([one.lower() for one in stated], target, looks)
    seen = (place,) if place else ()
    facts.put(CLOUDINIT_DATA_SOURCES, stated, *seen)
    facts.put(CLOUDINIT_FITS, fits, *seen)
    facts.put(
        CLOUDINIT_WAITS,
        not looks,
        *(() if looks else (Evidence(IDENTIFY if told_to else IDENTIFIERS[0], 0, policy or "it is not there"),)),
    )
    facts.put(CLOUDINIT_WANTED, f"[ {', '.join([*target.data_sources, 'None'])} ]")
    old = forced is not None and bool(target.data_sources) and not _has(target, forced[0])
    facts.put(CLOUDINIT_FORCED, forced[0] if forced and old else "", *((forced[1],) if forced and old else ()))
    facts.put(CLOUDINIT_OLD_ARGUMENTS, [one.text for one in arguments], *arguments)
    networks = _networks(guest, files)
    facts.put(CLOUDINIT_NETWORK_PLACES, [one.path for one in networks], *networks)
    found = [*(() if fits else seen or (Evidence("/etc/cloud/cloud.cfg"),)), *arguments]
    told = _told([*found, *((forced[1],) if forced and old else ())], target)
    return [*told, *_configured(facts, target, files), *instance.learn(guest, facts, files, networks)]


def _files(guest: GuestFS) -> Iterator[tuple[str, bytes]]:
    """Yield the files of the configuration in the order in which a later one wins."""
    names = [name for name in names_in(guest, FOLDER) if name.endswith(".cfg")][:MOST_FILES]
    for path in ("/etc/cloud/cloud.cfg", *(f"{FOLDER}/{name}" for name in names)):
        if (data := read_small(guest, path)) is not None:
            yield path, data


def _stated(files: dict[str, bytes]) -> tuple[list[str], Evidence | None]:
    """Return the list of data sources that wins, and its place; nothing where no file has one that can be read."""
    for path, data in reversed(files.items()):
        if not _STATED.search(data):
            continue
        from guestfix.formats import yamltree

        try:
            root = yamltree.parse(data)
        except EditError:
            continue
        node, key = (root.get("datasource_list"), root.key("datasource_list")) if root else (None, None)
        if node and key and node.kind == "seq":
            names = [one.value for one in node.items if one.value and one.value.isascii() and one.value.isprintable()]
            return names, Evidence(path, key.line, f"datasource_list: {', '.join(names)}"[:200])
    return [], None


def _identify(guest: GuestFS) -> tuple[tuple[str, Evidence] | None, str]:
    """Return the data source that ds-identify.cfg settles on, with its line, and the policy; the last line counts."""
    forced, policy = None, ""
    text = (read_small(guest, IDENTIFY) or b"").decode("utf-8", "replace")
    for number, line in enumerate(text.splitlines(), 1):
        found = _SETTING.match(line.strip())
        if found and found["key"] == "policy":
            policy = found["value"].strip()
        elif found:
            forced = (found["value"].strip(), Evidence(IDENTIFY, number, line.strip()[:200]))
    return forced, policy


def _is_installed(guest: GuestFS) -> bool:
    return any(exists(guest, one) for one in PROGRAMS)


def _has(target: Target, name: str) -> bool:
    return name.lower() in ("none", *(one.lower() for one in target.data_sources))


def _fits(stated: list[str], target: Target, looks: bool) -> bool:
    """Tell whether cloud-init finds the target's data source, and waits for no other.

    ``looks``: it begins with those of which there is a sign (ds-identify), and ends where there is none.
    """
    own = {one.lower() for one in target.data_sources}
    if not own or stated == ["none"]:
        return True
    if stated and not own & set(stated):
        return False
    return looks or (bool(stated) and set(stated) <= own | set(LOCAL))


def _arguments(facts: Facts, target: Target) -> list[Evidence]:
    """Return the kernel's arguments that settle on a data source which the target does not have."""
    entry = facts.value(BOOT_DEFAULT)
    found = []
    for word in entry.args if entry and target.data_sources else ():
        named = _ARGUMENT.match(word)
        name = named["name"].lower() if named else ""
        if entry and name and not _has(target, name.removesuffix("net")) and not _has(target, name):
            found.append(Evidence(entry.path, entry.line, word[:200]))
    return found


def _networks(guest: GuestFS, files: dict[str, bytes]) -> list[Evidence]:
    """Return where the guest itself has a network configuration that cloud-init applies to any new instance."""
    found = [
        Evidence(path, data.count(b"\n", 0, match.start()) + 1, "network:")
        for path, data in files.items()
        if (match := _NETWORK.search(data)) and not _DISABLED.search(data)
    ]
    for folder in instance.SEEDS:
        if exists(guest, f"{folder}/meta-data"):
            found += [Evidence(f"{folder}/{name}") for name in ("network-config",) if exists(guest, f"{folder}/{name}")]
    return found


def _configured(facts: Facts, target: Target, files: dict[str, bytes]) -> Iterator[Finding]:
    """Tell what the configuration asks of the platform; few guests ask it for anything."""
    asking = {path: data for path, data in files.items() if any(one in b"\n" + data for one in _DISKS)}
    listed = next(
        (
            (path, data, found)
            for path, data in reversed(files.items())
            if b"renderers" in data and (found := _RENDERERS.search(data))
        ),
        None,
    )
    if not asking and not listed:
        return
    from guestfix.detect.services import cloudconfig

    yield from cloudconfig.disks(target, asking)
    if listed and facts.value(NETWORK_CLOUD_INIT) == "enabled":
        path, data, found = listed
        line = data.count(b"\n", 0, found.start("names")) + 1
        names = " ".join(found["names"].decode("utf-8", "replace").split())
        yield from cloudconfig.renderers(facts, Evidence(path, line, names[:200]))


def _told(places: list[Evidence], target: Target) -> list[Finding]:
    if not places:
        return []
    own = ", ".join(target.data_sources)
    summary = f"cloud-init looks for data sources that {target.id} does not have, and may wait for them; it has {own}"
    return [Finding("GF-CLOUD-INIT-SOURCES", "warning", summary, tuple(places)[:8])]
