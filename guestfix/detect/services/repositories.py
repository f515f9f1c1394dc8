"""Package repositories that a cloud keeps for its own guests, by the pack's table of their hosts.

Facts: repositories.old (what was found, by its name), repositories.hosts (each host that a public one stands in for).
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from fnmatch import fnmatchcase

from guestfix.base.catalog.facts.software import REPOSITORIES_HOSTS, REPOSITORIES_OLD
from guestfix.base.facts import Evidence, Facts, Finding
from guestfix.base.guest import GuestFS
from guestfix.base.record import frozen
from guestfix.detect.files import lines_of, paths_like, read_small
from guestfix.formats.urls import hosts_in
from guestfix.pack.model import Target

FILES = (
    "/etc/apt/sources.list", "/etc/apt/sources.list.d/*.list", "/etc/apt/sources.list.d/*.sources",
    "/etc/apt/mirrors/*", "/etc/yum.repos.d/*.repo", "/etc/zypp/repos.d/*.repo", "/etc/zypp/services.d/*.service",
)  # fmt: skip
"""Where apt, yum, dnf and zypper are told of repositories, as the rule software/repositories names them too."""
MOST_FILES, MOST_HOSTS = 128, 512


@frozen
class Seen:
    """A host, or a file that points to one, with the name of its row."""

    name: str
    host: str
    place: Evidence


def detect(guest: GuestFS, facts: Facts, target: Target) -> list[Finding]:
    """Put the repositories.* facts; return a finding for each row of the table that is not of the target."""
    table = target.tables.get("cloud-repositories", {})
    rows = {name: row for name, row in table.items() if not set(row["platform"]) & set(target.agents)}
    found = list(dict.fromkeys([*_by_host(guest, rows), *_by_file(guest, rows)]))
    by_name: dict[str, list[Seen]] = {}
    for one in found:
        by_name.setdefault(one.name, []).append(one)
    places = [one.place for one in found]
    hosts = {one.host: rows[one.name]["instead"] for one in found if one.host and rows[one.name]["instead"]}
    facts.put(REPOSITORIES_OLD, list(by_name), *places[:16])
    facts.put(REPOSITORIES_HOSTS, hosts, *places[:16])
    return [_told(name, those, rows[name]) for name, those in by_name.items()]


def _by_host(guest: GuestFS, rows: Mapping[str, Mapping[str, object]]) -> Iterator[Seen]:
    globs = [(name, glob) for name, row in rows.items() for glob in _texts(row["hosts"])]
    known: dict[str, str] = {}
    for path in [path for pattern in FILES for path in paths_like(guest, pattern, MOST_FILES)][:MOST_FILES]:
        for number, line in lines_of(read_small(guest, path) or b""):
            for host in hosts_in(line) if not line.startswith("#") else ():
                if host not in known and len(known) < MOST_HOSTS:
                    known[host] = next((name for name, glob in globs if fnmatchcase(host, glob)), "")
                if name := known.get(host, ""):
                    yield Seen(name, host, Evidence(path, number, line[:200]))


def _by_file(guest: GuestFS, rows: Mapping[str, Mapping[str, object]]) -> Iterator[Seen]:
    for name, row in rows.items():
        for path in _texts(row["files"]):
            text = (read_small(guest, path) or b"").decode("utf-8", "replace").strip()
            if text and text != "default":
                yield Seen(name, "", Evidence(path, 1, text.splitlines()[0][:200]))


def _texts(value: object) -> list[str]:
    return [str(one) for one in value] if isinstance(value, list) else []


def _told(name: str, those: list[Seen], row: Mapping[str, object]) -> Finding:
    """Return the finding; what a public host can stand in for is only told."""
    instead = str(row["instead"])
    remedy = str(row["remedy"]) or f"name {instead} there; --policy repositories=switch does so"
    summary = f"packages come from servers of the old cloud: {name}"
    severity = "info" if instead else "warning"
    return Finding("GF-REPOSITORY-OLD", severity, summary, tuple(one.place for one in those)[:8], remedy)
