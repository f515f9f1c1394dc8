"""What cloud-init has of the old instance in the guest's own files, and what a new one makes it write over.

Sources: cloud-init's documents "NoCloud", "Network configuration", "Module reference"; cloudinit/stages.py
(wait_for_physdevs: cloud-init-local fails where a NIC that its network names by address is not there).
Facts: cloudinit.old_nics, cloudinit.seeds, cloudinit.rewrites.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from guestfix.base.catalog.facts.software import CLOUDINIT_OLD_NICS, CLOUDINIT_REWRITES, CLOUDINIT_SEEDS
from guestfix.base.facts import Evidence, Facts, Finding
from guestfix.base.guest import GuestFS
from guestfix.base.patterns import regex
from guestfix.detect.files import exists, names_in, read_small

SEEDS = ("/var/lib/cloud/seed/nocloud", "/var/lib/cloud/seed/nocloud-net")
"""Folders of the guest's own from which NoCloud takes an instance, on any platform."""
MOST_NICS = 16

_ADDRESS = regex(rb"(?im)\bmac_?address[\"']?\s*:\s*[\"']?(?P<mac>[0-9a-f]{2}(?::[0-9a-f]{2}){5})\b")
_MODULE = regex(
    r"(?m)^\s*-\s*\[?\s*[\"']?(?P<name>set[-_]hostname|ssh|apt[-_]configure|update[-_]etc[-_]hosts)[\"']?\s*(?:[,\]#]|$)"
)
_SETTING = regex(
    r"(?m)^(?:(?P<name>preserve_hostname|ssh_deletekeys|manage_etc_hosts)|(?:apt_|[^#\n]*\b)(?P<apts>preserve_sources_list))"
    r"\s*:\s*[\"']?(?P<value>\w+)"
)
_REWRITES = (
    ("the host name", "set_hostname", "preserve_hostname", True),
    ("SSH host keys", "ssh", "ssh_deletekeys", False),
    ("apt's sources", "apt_configure", "preserve_sources_list", True),
    ("/etc/hosts", "update_etc_hosts", "manage_etc_hosts", False),
)
"""What a new instance writes: its module, and the setting, with the value that keeps it from that."""
_YES, _NO = ("true", "yes", "on", "1"), ("false", "no", "off", "0")


def learn(guest: GuestFS, facts: Facts, files: Mapping[str, bytes], networks: list[Evidence]) -> list[Finding]:
    """Put the facts of this module, of the configuration's files and of what sets the network up; tell of seeds."""
    nics = list(_nics(guest, networks))[:MOST_NICS]
    facts.put(CLOUDINIT_OLD_NICS, [one.text for one in nics], *nics)
    seeds = [
        Evidence(f"{folder}/{name}") for folder in SEEDS for name in names_in(guest, folder) if name == "meta-data"
    ]
    facts.put(CLOUDINIT_SEEDS, [one.path.rpartition("/")[0] for one in seeds], *seeds)
    rewrites = list(_rewrites(guest, files))
    facts.put(CLOUDINIT_REWRITES, [what for what, _ in rewrites], *(place for _, place in rewrites))
    return [*_seeded(seeds), *_rewritten(rewrites)]


def _nics(guest: GuestFS, networks: list[Evidence]) -> Iterator[Evidence]:
    """Yield each NIC that a network of the guest's own files names by its address."""
    for path in dict.fromkeys(one.path for one in networks):
        data = read_small(guest, path) or b""
        for found in _ADDRESS.finditer(data):
            yield Evidence(path, data.count(b"\n", 0, found.start()) + 1, found["mac"].decode().lower())


def _rewrites(guest: GuestFS, files: Mapping[str, bytes]) -> Iterator[tuple[str, Evidence]]:
    texts = {path: data.decode("utf-8", "replace") for path, data in files.items()}
    modules, settings = _modules(texts), _settings(texts)
    for what, module, setting, keeps in _REWRITES:
        said = settings.get(setting, "no" if setting == "manage_etc_hosts" else "")
        kept = said in (_YES if keeps else _NO)
        if module in modules and not kept and (what != "apt's sources" or exists(guest, "/etc/apt")):
            yield what, modules[module]


def _settings(texts: Mapping[str, str]) -> dict[str, str]:
    """Return what the last file says of each setting."""
    found = (one for text in texts.values() for one in _SETTING.finditer(text))
    return {one["name"] or one["apts"]: one["value"].lower() for one in found}


def _modules(texts: Mapping[str, str]) -> dict[str, Evidence]:
    """Return where each module is first listed."""
    places: dict[str, Evidence] = {}
    for path, text in texts.items():
        for found in _MODULE.finditer(text):
            line = text.count("\n", 0, found.start("name")) + 1
            places.setdefault(found["name"].replace("-", "_"), Evidence(path, line, found[0].strip()[:80]))
    return places


def _seeded(seeds: list[Evidence]) -> list[Finding]:
    if not seeds:
        return []
    what = (
        "the guest's own files have an instance for cloud-init, which is the old one; "
        "it goes before one that the target brings"
    )
    return [Finding("GF-CLOUD-INIT-SEED", "info", what, tuple(seeds))]


def _rewritten(rewrites: list[tuple[str, Evidence]]) -> list[Finding]:
    if not rewrites:
        return []
    what = (
        f"cloud-init writes these anew where the target names a new instance: {', '.join(one for one, _ in rewrites)}"
    )
    return [Finding("GF-CLOUD-INIT-REWRITES", "info", what, tuple(place for _, place in rewrites))]
