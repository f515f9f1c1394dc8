"""Windows setup information files (.inf): what a driver package installs on which Windows.

Source: "INF File Sections and Directives" of the Windows driver documentation: General Syntax Rules,
Manufacturer, Models, DDInstall, DDInstall.Services, AddService, CopyFiles, DestinationDirs, AddReg.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from guestfix.base.errors import TooLarge
from guestfix.base.patterns import regex
from guestfix.base.record import field, frozen, mutable
from guestfix.formats.windows.infregistry import RegistryValue, dword, registry_value

MAX_SIZE = 4 * 1024 * 1024
MAX_LINES = 100_000
MAX_QUOTED = 200_000
"""Commas and quotes of the entries that the grammar reads; they cost a second or two."""

_TOKEN = regex(r"%([^%]*)%")
_UNCOMMENTED = regex(r'[^";]*(?:"[^"]*(?:"|\Z)[^";]*)*')
_DECORATION = regex(
    r"nt(?P<arch>x86|ia64|amd64|arm|arm64)?"
    r"(?:\.(?P<major>\d*)(?:\.(?P<minor>\d*)(?:\.(?P<product>\d*)(?:\.(?P<suite>\w*)(?:\.(?P<build>\d*))?)?)?)?)?\Z"
)
DIRECTORIES = {
    "10": "/Windows",
    "11": "/Windows/System32",
    "12": "/Windows/System32/drivers",
    "13": "/Windows/System32/drivers",
    "17": "/Windows/INF",
}
"""Directory ids whose place is known offline. 13 is the driver store; a copy among the drivers serves boot."""


@frozen
class Line:
    """One entry: ``key = value, value`` or, with key None, ``value, value``. Tokens are still ``%name%``."""

    key: str | None
    values: tuple[str, ...]
    number: int


@frozen
class Platform:
    """The Windows that drivers are chosen for. ``product``: 1 workstation, 2 domain controller, 3 server."""

    arch: str
    major: int
    minor: int
    build: int = 0
    product: int = 1


@frozen
class CopiedFile:
    """A file to place: guest directory, name there, and path below the .inf file's folder."""

    directory: str
    name: str
    source: str


@frozen
class Driver:
    """What one install section makes of a package: a service, its file, and the devices it serves."""

    service: str
    binary: str
    type: int
    start: int
    error_control: int
    group: str
    hardware_ids: tuple[str, ...]
    files: tuple[CopiedFile, ...]
    registry: tuple[RegistryValue, ...]
    section: str


@mutable
class Inf:
    """A parsed file. Section and key names are compared without regard to case."""

    sections: Mapping[str, list[Line]] = field(default_factory=dict)
    strings: Mapping[str, str] = field(default_factory=dict)

    def section(self, name: str) -> list[Line]:
        """Return a section's lines; empty where there is none."""
        return self.sections.get(name.lower(), [])

    def text(self, raw: str) -> str:
        """Return raw with each ``%name%`` replaced from [Strings]; unknown ones and dirids stay."""
        return _TOKEN.sub(lambda found: "%" if not found[1] else self.strings.get(found[1].lower(), found[0]), raw)

    def values(self, section: str, key: str) -> tuple[str, ...]:
        """Return the values of a section's first line with this key, tokens replaced."""
        for line in self.section(section):
            if line.key is not None and line.key.lower() == key.lower():
                return tuple(self.text(value) for value in line.values)
        return ()

    def value(self, section: str, key: str) -> str:
        """Return the first value of a key, or an empty string."""
        return next(iter(self.values(section, key)), "")

    @property
    def class_guid(self) -> str:
        """The setup class as ``{...}``, or an empty string."""
        return self.value("Version", "ClassGuid")

    @property
    def version(self) -> tuple[tuple[int, ...], tuple[int, ...]]:
        """DriverVer as (date, version), each as numbers; the higher is the newer package."""
        date, version = (*self.values("Version", "DriverVer"), "", "")[:2]
        month, day, year = (*_numbers(date), 0, 0, 0)[:3]
        return (year, month, day), _numbers(version)

    def catalog(self, arch: str) -> str:
        """Return the catalogue file's name for an architecture, or an empty string."""
        names = (f"CatalogFile.NT{arch}", "CatalogFile.NT", "CatalogFile")
        return next((value for name in names if (value := self.value("Version", name))), "")


def _numbers(text: str) -> tuple[int, ...]:
    return tuple(int(part[:9]) for part in regex(r"\d+").findall(text)[:8])


def decode(src: bytes) -> str:
    """Return an .inf file's text: UTF-16 or UTF-8 by its mark, else the ANSI code page (1252)."""
    for bom, codec in ((b"\xff\xfe", "utf-16-le"), (b"\xfe\xff", "utf-16-be"), (b"\xef\xbb\xbf", "utf-8")):
        if src.startswith(bom):
            return src[len(bom) :].decode(codec, "replace")
    if src[1:2] == b"\0":
        return src.decode("utf-16-le", "replace")
    return src.decode("cp1252", "replace")


def parse(src: bytes) -> Inf:
    """Return the file's sections. What is not understood is passed over; sections of one name add up.

    Raises TooLarge above MAX_SIZE or MAX_QUOTED.
    """
    if len(src) > MAX_SIZE:
        raise TooLarge(f"an .inf file larger than {MAX_SIZE} bytes")
    sections: dict[str, list[Line]] = {}
    current: list[Line] = []
    quoted = 0
    for number, text in _logical_lines(decode(src)):
        if text.startswith("["):
            current = sections.setdefault(text[1:].partition("]")[0].strip().strip('"').lower(), [])
        else:
            quoted += text.count(",") + text.count('"') if '"' in text else 0
            if quoted > MAX_QUOTED:
                raise TooLarge(f"an .inf file with more than {MAX_QUOTED} commas and quotes in entries with quotes")
            current.append(Line(*_entry(text), number))
    return Inf(sections, _strings(sections))


def _strings(sections: Mapping[str, list[Line]]) -> dict[str, str]:
    """Return [Strings], then [Strings.0409] (US English) for what only stands there."""
    found: dict[str, str] = {}
    for name in ("strings", "strings.0409"):
        for line in sections.get(name, []):
            if line.key is not None:
                found.setdefault(line.key.strip("%").lower(), line.values[0] if line.values else "")
    return found


def _logical_lines(text: str) -> Iterator[tuple[int, str]]:
    """Yield (line number, text) without comments, with lines that end in a backslash joined."""
    pending, first = "", 0
    for number, raw in enumerate(text.splitlines()[:MAX_LINES], 1):
        found = _UNCOMMENTED.match(raw) if ";" in raw else None
        line = (found[0] if found else raw).strip()
        first = first or number
        if line.endswith("\\") and len(pending) < 65536:
            pending += line[:-1]
            continue
        whole = (pending + line).strip()
        if whole:
            yield first, whole
        pending, first = "", 0
    if pending.strip():
        yield first, pending.strip()


def _entry(text: str) -> tuple[str | None, tuple[str, ...]]:
    """Return an entry's key and values; without quotes the short way, which says what the grammar says."""
    if '"' in text:
        from guestfix.formats.windows import infgrammar

        return infgrammar.entry(text)
    first, *more = text.split(",")
    key, equals, value = first.partition("=")
    values = tuple(one.strip() for one in (value if equals else first, *more))
    return (key.strip() if equals else None), values


def _rank(decoration: str, platform: Platform) -> tuple[int, ...] | None:
    """Return how closely a TargetOSVersion fits, None where it doesn't; "" is an undecorated name."""
    if not decoration:
        return (0, 0, 0, 0, 0) if platform.arch == "x86" else None
    found = _DECORATION.match(decoration.lower())
    if found is None:
        return None
    arch = found["arch"] or "x86"
    version = (_int(found["major"]), _int(found["minor"]), _int(found["build"]))
    product = _int(found["product"])
    if arch != platform.arch or version > (platform.major, platform.minor, platform.build):
        return None
    if product not in (0, platform.product, 3 if platform.product == 2 else platform.product):
        return None
    return (*version, 1 if product else 0, 1 if found["arch"] else 0)


def _int(text: str | None) -> int:
    return int(text[:9]) if text else 0


def models(inf: Inf, platform: Platform) -> list[Line]:
    """Return the Models lines (``description = install section, hardware id...``) for the platform.

    Of a manufacturer's decorated sections, the one for the highest version that is not above the
    platform's counts, as Windows chooses.
    """
    found: list[Line] = []
    for maker in inf.section("Manufacturer"):
        name, *decorations = [inf.text(value).strip() for value in maker.values] or [""]
        name = name or inf.text(maker.key or "")
        ranked = [(rank, deco) for deco in decorations or [""] if (rank := _rank(deco, platform)) is not None]
        if ranked:
            best = max(ranked)[1]
            found += inf.section(f"{name}.{best}" if best else name)
    return found


def _install_section(inf: Inf, name: str, platform: Platform) -> str:
    """Return the decorated DDInstall section that counts: by version and architecture, .NT, plain."""
    prefix = f"{name.lower()}."
    ranked: list[tuple[tuple[int, ...], str]] = []
    for section in inf.sections:
        if section.startswith(prefix) and _DECORATION.match(section[len(prefix) :]):
            decoration = section[len(prefix) :]
            neutral = regex(r"^nt(?=\.|\Z)").sub(f"nt{platform.arch}", decoration)
            rank = _rank(neutral, platform)
            if rank is not None:
                ranked.append(((*rank, 1 if neutral == decoration else 0), section))
    return max(ranked)[1] if ranked else name


def drivers(inf: Inf, platform: Platform) -> list[Driver]:
    """Return what the package would install on the platform, one Driver an install section.

    Only install sections that add a service are returned. File names that would leave their
    directory are dropped.
    """
    devices: dict[str, list[str]] = {}
    for line in models(inf, platform):
        if line.values:
            ids = devices.setdefault(inf.text(line.values[0]).strip().lower(), [])
            ids += [inf.text(value).strip().upper() for value in line.values[1:] if value]
    found = (_driver(inf, name, ids, platform) for name, ids in devices.items())
    return [driver for driver in found if driver is not None]


def _driver(inf: Inf, name: str, ids: list[str], platform: Platform) -> Driver | None:
    section = _install_section(inf, name, platform)
    added = [line for line in inf.section(f"{section}.Services") if (line.key or "").lower() == "addservice"]
    for line in added:
        service, _, install = (*(inf.text(value).strip() for value in line.values), "", "", "")[:3]
        binary = regex(r"[\\/]").split(inf.value(install, "ServiceBinary"))[-1]
        if safe_name(service) and safe_name(binary):
            return Driver(
                service,
                binary,
                dword(inf.value(install, "ServiceType"), 1),
                dword(inf.value(install, "StartType"), 3),
                dword(inf.value(install, "ErrorControl"), 1),
                inf.value(install, "LoadOrderGroup"),
                tuple(dict.fromkeys(ids)),
                tuple(_copied(inf, section, platform)),
                tuple(_service_registry(inf, install)),
                section,
            )
    return None


def safe_name(name: str) -> bool:
    r"""Tell whether a name is a plain file or key name: no separator, no drive, not ``..``, no wildcard."""
    return (
        bool(name) and len(name) <= 200 and name not in (".", "..") and not regex(r'[\\/:*?"<>|\0-\x1f]').search(name)
    )


def _copied(inf: Inf, section: str, platform: Platform) -> Iterator[CopiedFile]:
    for line in inf.section(section):
        if (line.key or "").lower() != "copyfiles":
            continue
        for value in (inf.text(one).strip() for one in line.values):
            if value.startswith("@"):
                entries, directory = [Line(None, (value[1:],), line.number)], _directory(inf, "")
            else:
                entries, directory = inf.section(value), _directory(inf, value)
            for entry in entries:
                copied = _copied_file(inf, entry, directory, platform)
                if copied is not None:
                    yield copied


def _copied_file(inf: Inf, entry: Line, directory: str, platform: Platform) -> CopiedFile | None:
    fields = [entry.key] if entry.key else [*entry.values]
    name = inf.text(fields[0] or "").strip() if fields else ""
    source = inf.text(fields[1]).strip() if len(fields) > 1 and fields[1] else name
    if not directory or not safe_name(name) or not safe_name(source):
        return None
    return CopiedFile(directory, name, _source_path(inf, source, platform))


def _directory(inf: Inf, section: str) -> str:
    """Return the guest directory of a file list, or an empty string where it isn't known offline."""
    values = inf.values("DestinationDirs", section) if section else ()
    values = values or inf.values("DestinationDirs", "DefaultDestDir")
    base = DIRECTORIES.get(values[0].strip(), "") if values else ""
    if not base or len(values) < 2 or not values[1].strip():
        return base
    parts = [part for part in regex(r"[\\/]").split(values[1].strip()) if part]
    return "/".join([base, *parts]) if all(safe_name(part) for part in parts) else ""


def _source_path(inf: Inf, name: str, platform: Platform) -> str:
    """Return the path below the .inf file's folder that [SourceDisksFiles] gives for a name."""
    for suffix in (f".{platform.arch}", ""):
        values = inf.values(f"SourceDisksFiles{suffix}", name)
        if values:
            parts = [part for part in regex(r"[\\/]").split(values[1] if len(values) > 1 else "") if part]
            if all(safe_name(part) for part in parts):
                return "/".join([*parts, name])
    return name


def _service_registry(inf: Inf, install: str) -> Iterator[RegistryValue]:
    """Yield the HKR values that a service's AddReg sections set."""
    for line in inf.section(install):
        if (line.key or "").lower() != "addreg":
            continue
        for entry in (one for name in line.values for one in inf.section(inf.text(name))):
            found = registry_value([inf.text(value).strip() for value in entry.values])
            if found is not None:
                yield found
