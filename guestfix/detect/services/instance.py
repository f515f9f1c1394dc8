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
_MODULE = r"(?m)^\s*-\s*\[?\s*[\"']?(?:%s)[\"']?\s*(?:[,\]#]|$)"
_REWRITES = (
    ("the host name", "set[-_]hostname", r"^preserve_hostname", True),
    ("SSH host keys", "ssh", r"^ssh_deletekeys", False),
    ("apt's sources", "apt[-_]configure", r"(?:^apt_|^[^#\n]*\b)preserve_sources_list", True),
    ("/etc/hosts", "update[-_]etc[-_]hosts", r"^manage_etc_hosts", False),
)
"""What a new instance writes: its module, and the setting, with the value that keeps it from that."""
_VALUE = r"(?m)%s\s*:\s*[\"']?(?P<value>\w+)"
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
    for what, module, setting, keeps in _REWRITES:
        place = next(_listed(texts, module), None)
        kept = _said(texts, setting) in (_YES if keeps else _NO)
        if place and not kept and (what != "apt's sources" or exists(guest, "/etc/apt")):
            yield what, place


def _said(texts: Mapping[str, str], setting: str) -> str:
    """Return what the last file says of a setting, or what counts where none does."""
    pattern = regex(_VALUE % setting)
    found = [one["value"].lower() for text in texts.values() for one in pattern.finditer(text)]
    return found[-1] if found else "no" if "manage" in setting else ""


def _listed(texts: Mapping[str, str], module: str) -> Iterator[Evidence]:
    for path, text in texts.items():
        if found := regex(_MODULE % module).search(text):
            line = text.count("\n", 0, found.start() + len(found[0]) - len(found[0].lstrip())) + 1
            yield Evidence(path, line, found[0].strip()[:80])


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
