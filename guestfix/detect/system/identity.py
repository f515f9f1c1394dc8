"""Which distribution and version a Linux tree is, from every kind of release file that is in use.

Sources, in the order in which they are trusted: os-release(5), the one-line release files of Red Hat's
and SUSE's families, lsb-release, debian_version and its like, the CPE name, /etc/issue. The machine-readable
ID and ID_LIKE count; NAME does not (RHEL 7 once called itself "Red Hat Enterprise Linux Server" there).
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence

from guestfix.base.facts import Evidence
from guestfix.base.guest import GuestFS
from guestfix.base.patterns import regex
from guestfix.base.record import replace
from guestfix.detect.files import exists, lines_of, names_in, read_small
from guestfix.detect.system.distro import Identity, Known, variant_of
from guestfix.formats import shellvars
from guestfix.pack.model import System

OS_RELEASE = ("/etc/os-release", "/usr/lib/os-release")

_RELEASE = regex(r"(?:\brelease|\bversion|\blinux|\bserver)\s+v?(\d+(?:\.\d+)*)", re.IGNORECASE)
_BEHIND_NAME = regex(r"[^\d\n]{0,40}?[ v](\d+(?:\.\d+)*)")
_UNHEARD_OF = regex(r"([A-Za-z][A-Za-z0-9]{1,30})\b[^\n]{0,200}?\brelease\s+v?\d", re.IGNORECASE)
_UPDATE = regex(r"\bupdate (\d+)\b", re.IGNORECASE)
_PACK_FIELD = regex(r"(VERSION|PATCHLEVEL)\s*=\s*(\d[\d.]*)")
_SERVICE_PACK = regex(r"\bSP\s*(\d+)\b")


def identify(guest: GuestFS, systems: Sequence[System]) -> Identity | None:
    """Return what the guest's release files say, its version as precise as they allow; None if nothing.

    The id is written as the system's own file in the pack writes it.
    """
    known = Known(systems)
    for find in (_from_os_release, _from_release_files, _from_lsb, _from_version_files, _from_cpe, _from_issue):
        found = find(guest, known)
        if found is not None:
            system = known.by_id(found.id)
            return _derived(guest, known, _refined(guest, known, found, system)) if system is not None else found
    return None


def _derived(guest: GuestFS, known: Known, found: Identity) -> Identity:
    """Return the system that is built from this one and leaves its release files, where a mark of it is there."""
    for system in known.systems:
        mark = next((path for path in system.names.marks if system.base == found.id and exists(guest, path)), "")
        if mark:
            versions = [own for own, base in system.base_versions if f"{found.version}.".startswith(f"{base}.")]
            version, seen = next(iter(versions), ""), (*found.evidence, Evidence(mark))
            return replace(found, id=system.id, version=version, like=system.like, evidence=seen)
    return found


def _from_os_release(guest: GuestFS, known: Known) -> Identity | None:
    for path in OS_RELEASE:
        data = read_small(guest, path)
        found = parse_os_release(data, path, known) if data is not None else None
        if found is not None:
            return found
    return None


def parse_os_release(data: bytes, path: str, known: Known) -> Identity | None:
    """Return what an os-release file says; None where it names no ID (os-release(5) then means ``linux``)."""
    said = {one.name: one for one in shellvars.assignments(data)}

    def value(name: str) -> str:
        return said[name].value.strip() if name in said else ""

    given = value("ID").lower()
    system = known.by_id(given) or known.by_shared_id(given, value("NAME"))
    ident = system.id if system is not None else given
    if not ident or not ident.isprintable():
        return None
    version = value("VERSION_ID")
    if system is not None and system.scheme == "service-pack":
        version = service_pack(version)
    seen = tuple(
        Evidence(path, said[name].line, f"{name}={said[name].value}")
        for name in ("ID", "VERSION_ID", "ID_LIKE")
        if name in said
    )
    return Identity(
        ident,
        version,
        value("PRETTY_NAME") or value("NAME"),
        tuple(value("ID_LIKE").lower().split()) or _like(system),
        variant_of(system, (value("NAME"), value("REDHAT_SUPPORT_PRODUCT_VERSION"))) or value("VARIANT_ID").lower(),
        value("VERSION_CODENAME").lower(),
        seen,
    )


def _like(system: System | None) -> tuple[str, ...]:
    return system.like if system is not None else ()


def service_pack(version: str) -> str:
    """Return SUSE's dotted version as SUSE says it: ``12.3`` is ``12 SP3``. Others come back as they are."""
    major, dot, minor = version.partition(".")
    if not dot or major not in ("10", "11", "12", "15") or not regex(r"[0-9]{1,3}").fullmatch(minor):
        return version
    return f"{major} SP{int(minor)}" if int(minor) else major


def _from_release_files(guest: GuestFS, known: Known) -> Identity | None:
    for path in (*known.release_files, *_other_release_files(guest, known)):
        data = read_small(guest, path)
        found = parse_release(data, path, known) if data is not None else None
        if found is not None:
            return found
    return None


def _other_release_files(guest: GuestFS, known: Known) -> Iterator[str]:
    """Yield the release files of distributions that the pack does not have."""
    asked = {"/etc/os-release", "/etc/lsb-release", *known.release_files, *(path for path, _ in known.version_files)}
    for name in names_in(guest, "/etc"):
        if name.endswith(("-release", "_release")) and f"/etc/{name}" not in asked:
            yield f"/etc/{name}"


def parse_release(data: bytes, path: str, known: Known) -> Identity | None:
    """Return what a release file's first line says; VERSION and PATCHLEVEL below it give SUSE's service pack."""
    lines = list(lines_of(data))
    if not lines:
        return None
    number, line = lines[0]
    system, rest = known.by_line(line) or (None, "")
    if system is not None:
        ident = system.id
    elif path.endswith("release") and (said := _UNHEARD_OF.match(line)):
        ident = said[1].lower()
    else:
        return None
    packed = system is not None and system.scheme == "service-pack"
    version = _packed_version(lines, packed) or _version_in(line, rest)
    seen = (Evidence(path, number, line),)
    return Identity(ident, version, line, _like(system), variant_of(system, (line,)), "", seen)


def _version_in(line: str, rest: str) -> str:
    """Return the version behind a word such as release, else the number that follows the system's name."""
    found = _RELEASE.search(line) or _BEHIND_NAME.match(rest)
    if not found:
        return ""
    update = _UPDATE.search(line)
    return f"{found[1]}.{update[1]}" if update and "." not in found[1] else found[1]


def _packed_version(lines: list[tuple[int, str]], packed: bool) -> str:
    """Return the version that fields below the first line say, with its service pack.

    Where service packs count and there are no fields, the first line says both.
    """
    fields = {match[1]: match[2] for _, line in lines[1:] if (match := _PACK_FIELD.match(line))}
    number = regex(r"\d[\d.]*").search(lines[0][1]) if packed else None
    version = fields.get("VERSION") or (number[0] if number else "")
    pack = _SERVICE_PACK.search(lines[0][1])
    level = fields.get("PATCHLEVEL") or (pack[1] if pack else "0")
    return f"{version} SP{level}" if version and level.strip("0.") and "." not in version else version


def _from_lsb(guest: GuestFS, known: Known) -> Identity | None:
    path = "/etc/lsb-release"
    data = read_small(guest, path)
    said = {one.name: one for one in shellvars.assignments(data)} if data else {}
    if "DISTRIB_ID" not in said:
        return None
    given = said["DISTRIB_ID"].value.strip().lower()
    system = known.by_lsb(given)
    ident = system.id if system is not None else given.replace(" ", "")
    if not ident:
        return None
    seen = tuple(
        Evidence(path, said[name].line, f"{name}={said[name].value}")
        for name in ("DISTRIB_ID", "DISTRIB_RELEASE")
        if name in said
    )
    version = said["DISTRIB_RELEASE"].value.strip() if "DISTRIB_RELEASE" in said else ""
    name = said["DISTRIB_DESCRIPTION"].value if "DISTRIB_DESCRIPTION" in said else given
    code = said["DISTRIB_CODENAME"].value.lower() if "DISTRIB_CODENAME" in said else ""
    return Identity(ident, version, name, _like(system), "", code, seen)


def _from_version_files(guest: GuestFS, known: Known) -> Identity | None:
    """Read files whose being there names the distribution; the first number in them is the version."""
    for path, system in known.version_files:
        data = read_small(guest, path)
        if data is None:
            continue
        number, line = next(lines_of(data), (0, ""))
        title = line if system.title.split()[0] in line else f"{system.title} {line}".rstrip()
        seen = (Evidence(path, number, line),)
        return Identity(system.id, _plain_version(line, system), title, system.like, "", "", seen)
    return None


def _plain_version(line: str, system: System) -> str:
    """Return the version that a version file says: ``12.4``, the number of a codename, else the first number."""
    if regex(r"[0-9]+(\.[0-9]+)*").fullmatch(line):
        return line
    found = system.names.codenames.get(line.partition("/")[0].lower(), "")
    number = regex(r"[0-9]+(?:\.[0-9]+)*").search(line)
    return found or (number[0] if number else "")


def _from_cpe(guest: GuestFS, known: Known) -> Identity | None:
    path = "/etc/system-release-cpe"
    data = read_small(guest, path)
    number, line = next(lines_of(data), (0, "")) if data else (0, "")
    if not line.lower().startswith("cpe:"):
        return None
    parts = line.lower().removeprefix("cpe:2.3:").removeprefix("cpe:/").split(":")
    if len(parts) < 4 or parts[0] != "o":
        return None
    system = known.cpe.get(f"{parts[1]}:{parts[2]}") or known.by_id(parts[2])
    ident = system.id if system is not None else parts[2]
    digits = [part for part in parts[3:5] if part.isdigit()] or [parts[3]]
    return Identity(ident, ".".join(digits), line, _like(system), "", "", (Evidence(path, number, line),))


def _from_issue(guest: GuestFS, known: Known) -> Identity | None:
    """Read what a rebuild says of its upstream, then /etc/issue, a greeting that anyone may edit, so it is last."""
    for path, system in (*known.upstream_files, ("/etc/issue", None)):
        data = read_small(guest, path)
        for number, line in list(lines_of(data))[:10] if data else ():
            found = parse_release(line.encode(), path, known)
            if found is not None and found.version:
                owner = system or known.by_id(found.id)
                ident = owner.id if owner is not None else found.id
                return replace(found, id=ident, like=_like(owner), evidence=(Evidence(path, number, line),))
    return None


# what os-release lacks


def _refined(guest: GuestFS, known: Known, found: Identity, system: System) -> Identity:
    """Take the point release and the variant from the system's own files."""
    parts = system.names.point_parts
    if parts and found.version.count(".") >= parts - 1:
        return replace(found, version=".".join(found.version.split(".")[:parts]))
    version_files = [path for path, owner in known.version_files if owner is system]
    for path in system.names.point_files:
        better = (_by_number if path in version_files else _by_line)(guest, known, found, system, path)
        if better is not None:
            return better
    codes = system.names.codenames
    return replace(found, version=codes[found.codename]) if not found.version and found.codename in codes else found


def _by_number(guest: GuestFS, known: Known, found: Identity, system: System, path: str) -> Identity | None:
    data = read_small(guest, path)
    number, line = next(lines_of(data), (0, "")) if data else (0, "")
    plain = regex(r"[0-9]+(\.[0-9]+)*").fullmatch(line) or line.partition("/")[0].lower() in system.names.codenames
    version = _plain_version(line, system) if plain else ""
    fits = version and (not found.version or version == found.version or version.startswith(found.version + "."))
    if not fits or any(one.path == path for one in found.evidence):
        return None
    return replace(found, version=version, evidence=(*found.evidence, Evidence(path, number, line)))


def _by_line(guest: GuestFS, known: Known, found: Identity, system: System, path: str) -> Identity | None:
    data = read_small(guest, path)
    said = parse_release(data, path, known) if data is not None else None
    if said is None or not ((said.version.startswith(found.version) and said.version.count(".")) or said.variant):
        return None
    parts = system.names.point_parts or None
    point = ".".join(said.version.split(".")[:parts])
    evidence = (*found.evidence, *said.evidence)
    return replace(found, version=point, variant=said.variant or found.variant, evidence=evidence)
