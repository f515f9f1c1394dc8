"""Which distribution and version a Linux tree is, from every kind of release file that is in use.

Sources, in the order in which they are trusted: os-release(5), the one-line release files of Red Hat's
and SUSE's families, lsb-release, debian_version and its like, the CPE name, /etc/issue. The machine-readable
ID and ID_LIKE count; NAME does not (RHEL 7 once called itself "Red Hat Enterprise Linux Server" there).
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator

from guestfix.base.facts import Evidence
from guestfix.base.guest import GuestFS
from guestfix.base.patterns import regex
from guestfix.base.record import replace
from guestfix.detect.files import lines_of, names_in, read_small
from guestfix.detect.system.distro import ALIASES, DEBIAN, LIKE, NAMES, Identity
from guestfix.formats import shellvars

OS_RELEASE = ("/etc/os-release", "/usr/lib/os-release")

_RELEASE = regex(r"(?:\brelease|\bversion|\blinux|\bubuntu|\bmint|\bserver)\s+v?(\d+(?:\.\d+)*)", re.IGNORECASE)
_UNHEARD_OF = regex(r"([A-Za-z][A-Za-z0-9]{1,30})\b[^\n]{0,200}?\brelease\s+v?\d", re.IGNORECASE)
_UPDATE = regex(r"\bupdate (\d+)\b", re.IGNORECASE)
_SUSE_FIELD = regex(r"(VERSION|PATCHLEVEL)\s*=\s*(\d[\d.]*)")
_SERVICE_PACK = regex(r"\bSP\s*(\d+)\b")


def identify(guest: GuestFS) -> Identity | None:
    """Return what the guest's release files say, its version as precise as they allow; None if nothing."""
    for find in (_from_os_release, _from_release_files, _from_lsb, _from_plain, _from_cpe, _from_issue):
        found = find(guest)
        if found is not None:
            refine = _REFINERS.get(found.id)
            return refine(guest, found) if refine else found
    return None


def _from_os_release(guest: GuestFS) -> Identity | None:
    for path in OS_RELEASE:
        data = read_small(guest, path)
        found = parse_os_release(data, path) if data is not None else None
        if found is not None:
            return found
    return None


def parse_os_release(data: bytes, path: str) -> Identity | None:
    """Return what an os-release file says; None where it names no ID (os-release(5) then means ``linux``)."""
    said = {one.name: one for one in shellvars.assignments(data)}

    def value(name: str) -> str:
        return said[name].value.strip() if name in said else ""

    given = value("ID").lower()
    ident = ALIASES.get(given, given) if given != "suse" else given
    if not ident or not ident.isprintable():
        return None
    version = value("VERSION_ID")
    if ident in ("sles", "sled"):
        version = service_pack(version)
    stream = ident == "centos" and value("REDHAT_SUPPORT_PRODUCT_VERSION").lower() == "centos stream"
    seen = tuple(
        Evidence(path, said[name].line, f"{name}={said[name].value}")
        for name in ("ID", "VERSION_ID", "ID_LIKE")
        if name in said
    )
    return Identity(
        ident,
        version,
        value("PRETTY_NAME") or value("NAME"),
        tuple(value("ID_LIKE").lower().split()) or LIKE.get(ident, ()),
        "stream" if stream else value("VARIANT_ID").lower(),
        value("VERSION_CODENAME").lower(),
        seen,
    )


def service_pack(version: str) -> str:
    """Return SUSE's dotted version as SUSE says it: ``12.3`` is ``12 SP3``. Others come back as they are."""
    major, dot, minor = version.partition(".")
    if not dot or major not in ("10", "11", "12", "15") or not re.fullmatch(r"[0-9]{1,3}", minor):
        return version
    return f"{major} SP{int(minor)}" if int(minor) else major


RELEASE_FILES = (
    "/etc/oracle-release",
    "/etc/enterprise-release",
    "/etc/rocky-release",
    "/etc/almalinux-release",
    "/etc/centos-release",
    "/etc/fedora-release",
    "/etc/SuSE-release",
    "/etc/redhat-release",
    "/etc/system-release",
)
"""The distribution's own file before those that derived distributions carry too."""


def _from_release_files(guest: GuestFS) -> Identity | None:
    for path in (*RELEASE_FILES, *_other_release_files(guest)):
        data = read_small(guest, path)
        found = parse_release(data, path) if data is not None else None
        if found is not None:
            return found
    return None


def _other_release_files(guest: GuestFS) -> Iterator[str]:
    """Yield the release files of distributions that nobody here has heard of."""
    known = {"/etc/os-release", "/etc/lsb-release", *RELEASE_FILES, *(path for path, _, _ in PLAIN_FILES)}
    for name in names_in(guest, "/etc"):
        if name.endswith(("-release", "_release")) and f"/etc/{name}" not in known:
            yield f"/etc/{name}"


def parse_release(data: bytes, path: str) -> Identity | None:
    """Return what a release file's first line says; the rest of a SuSE-release gives the service pack."""
    lines = list(lines_of(data))
    if not lines:
        return None
    number, line = lines[0]
    text = line.lower().removeprefix("derived from ").removeprefix("welcome to ").lstrip()
    ident = next((ident for start, ident in NAMES if text.startswith(start)), None)
    if ident is None and path.endswith("release") and (said := _UNHEARD_OF.match(line)):
        ident = said[1].lower()
    if ident is None:
        return None
    version = _suse_version(lines) if ident in ("sles", "sled", "opensuse") else _red_hat_version(line)
    variant = "stream" if ident == "centos" and "stream" in text else ""
    return Identity(ident, version, line, LIKE.get(ident, ()), variant, "", (Evidence(path, number, line),))


def _red_hat_version(line: str) -> str:
    found = _RELEASE.search(line)
    if not found:
        return ""
    update = _UPDATE.search(line)
    return f"{found[1]}.{update[1]}" if update and "." not in found[1] else found[1]


def _suse_version(lines: list[tuple[int, str]]) -> str:
    fields = {match[1]: match[2] for _, line in lines if (match := _SUSE_FIELD.match(line))}
    number = re.search(r"\d[\d.]*", lines[0][1])
    version = fields.get("VERSION") or (number[0] if number else "")
    pack = _SERVICE_PACK.search(lines[0][1])
    level = fields.get("PATCHLEVEL") or (pack[1] if pack else "0")
    return f"{version} SP{level}" if level.strip("0.") and "." not in version else version


def _from_lsb(guest: GuestFS) -> Identity | None:
    path = "/etc/lsb-release"
    data = read_small(guest, path)
    said = {one.name: one for one in shellvars.assignments(data)} if data else {}
    if "DISTRIB_ID" not in said:
        return None
    given = said["DISTRIB_ID"].value.strip().lower()
    ident = ALIASES.get(given, given.replace(" ", ""))
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
    return Identity(ident, version, name, LIKE.get(ident, ()), "", code, seen)


PLAIN_FILES = (
    ("/etc/debian_version", "debian", "Debian GNU/Linux"),
    ("/etc/alpine-release", "alpine", "Alpine Linux"),
    ("/etc/arch-release", "arch", "Arch Linux"),
    ("/etc/gentoo-release", "gentoo", "Gentoo"),
    ("/etc/slackware-version", "slackware", "Slackware"),
    ("/etc/photon-release", "photon", "Photon"),
)
"""Files whose being there names the distribution; the first number in them is the version."""


def _from_plain(guest: GuestFS) -> Identity | None:
    for path, ident, name in PLAIN_FILES:
        data = read_small(guest, path)
        if data is None:
            continue
        number, line = next(lines_of(data), (0, ""))
        version = debian_version(line) if ident == "debian" else ""
        found = re.search(r"\d+(?:\.\d+)*", line)
        version = version or (found[0] if found else "")
        title = line if name.split()[0] in line else f"{name} {line}".rstrip()
        return Identity(ident, version, title, LIKE.get(ident, ()), "", "", (Evidence(path, number, line),))
    return None


def debian_version(line: str) -> str:
    """Return the version that debian_version names: ``12.4``, or the number of a codename before release."""
    if re.fullmatch(r"\d+(\.\d+)*", line):
        return line
    return DEBIAN.get(line.partition("/")[0].lower(), "")


_CPE = {
    ("redhat", "enterprise_linux"): "rhel",
    ("centos", "centos"): "centos",
    ("centos", "linux"): "centos",
    ("oracle", "linux"): "ol",
    ("amazon", "linux"): "amzn",
    ("amazon", "amazon_linux"): "amzn",
    ("fedoraproject", "fedora"): "fedora",
    ("rocky", "rocky"): "rocky",
    ("almalinux", "almalinux"): "almalinux",
    ("scientificlinux", "scientificlinux"): "scientific",
    ("suse", "sles"): "sles",
    ("opensuse", "leap"): "opensuse-leap",
}


def _from_cpe(guest: GuestFS) -> Identity | None:
    path = "/etc/system-release-cpe"
    data = read_small(guest, path)
    number, line = next(lines_of(data), (0, "")) if data else (0, "")
    if not line.lower().startswith("cpe:"):
        return None
    parts = line.lower().removeprefix("cpe:2.3:").removeprefix("cpe:/").split(":")
    if len(parts) < 4 or parts[0] != "o":
        return None
    ident = _CPE.get((parts[1], parts[2]), parts[2])
    digits = [part for part in parts[3:5] if part.isdigit()] or [parts[3]]
    return Identity(ident, ".".join(digits), line, LIKE.get(ident, ()), "", "", (Evidence(path, number, line),))


def _from_issue(guest: GuestFS) -> Identity | None:
    """Read /etc/issue, a greeting that anyone may edit, so it is asked last."""
    for path in ("/etc/centos-release-upstream", "/etc/rocky-release-upstream", "/etc/issue"):
        data = read_small(guest, path)
        for number, line in list(lines_of(data))[:10] if data else ():
            found = parse_release(line.encode(), path)
            if found is not None and found.version:
                ident = path.removeprefix("/etc/").partition("-")[0] if path.endswith("-upstream") else found.id
                return replace(found, id=ident, like=LIKE.get(ident, ()), evidence=(Evidence(path, number, line),))
    return None


def _debian_point(guest: GuestFS, found: Identity) -> Identity:
    """Take the point release from debian_version, which os-release lacks."""
    path = "/etc/debian_version"
    data = read_small(guest, path)
    number, line = next(lines_of(data), (0, "")) if data else (0, "")
    version = debian_version(line)
    fits = version and (not found.version or version == found.version or version.startswith(found.version + "."))
    if fits and all(one.path != path for one in found.evidence):
        return replace(found, version=version, evidence=(*found.evidence, Evidence(path, number, line)))
    if not found.version and found.codename in DEBIAN:
        return replace(found, version=DEBIAN[found.codename])
    return found


def _red_hat_point(paths: tuple[str, ...]) -> Callable[[GuestFS, Identity], Identity]:
    def refine(guest: GuestFS, found: Identity) -> Identity:
        if "." in found.version:
            return replace(found, version=".".join(found.version.split(".")[:2]))
        for said in _parsed(guest, paths):
            if (said.version.startswith(found.version) and said.version.count(".")) or said.variant:
                point = ".".join(said.version.split(".")[:2])
                evidence = (*found.evidence, *said.evidence)
                return replace(found, version=point, variant=said.variant or found.variant, evidence=evidence)
        return found

    return refine


def _parsed(guest: GuestFS, paths: tuple[str, ...]) -> Iterator[Identity]:
    for path in paths:
        data = read_small(guest, path)
        said = parse_release(data, path) if data is not None else None
        if said is not None:
            yield said


_REFINERS: dict[str, Callable[[GuestFS, Identity], Identity]] = {
    "debian": _debian_point,
    "centos": _red_hat_point(("/etc/centos-release", "/etc/redhat-release", "/etc/centos-release-upstream")),
    "rhel": _red_hat_point(("/etc/redhat-release",)),
    "ol": _red_hat_point(("/etc/oracle-release", "/etc/enterprise-release")),
    "rocky": _red_hat_point(("/etc/rocky-release", "/etc/redhat-release")),
    "almalinux": _red_hat_point(("/etc/almalinux-release", "/etc/redhat-release")),
    "scientific": _red_hat_point(("/etc/redhat-release",)),
}
