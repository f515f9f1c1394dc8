"""What the guest's clock goes by, and which of it only the old platform has.

A source of time of another platform is asked in vain, and chronyd ends at once where the device of a refclock is not
there (chrony's refclock_phc.c). Facts: time.sources, time.old_sources, time.other_sources, time.device.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from fnmatch import fnmatchcase
from itertools import islice

from guestfix.base.catalog.facts.boot import BOOT_DEFAULT
from guestfix.base.catalog.facts.software import TIME_DEVICE, TIME_OLD_SOURCES, TIME_OTHER_SOURCES, TIME_SOURCES
from guestfix.base.facts import Evidence, Facts, Finding
from guestfix.base.guest import GuestFS
from guestfix.base.record import frozen
from guestfix.detect.files import lines_of, paths_like, read_small
from guestfix.formats.timesync import Source, sources
from guestfix.pack.model import Target

FILES = {
    "chrony": (
        "/etc/chrony.conf", "/etc/chrony/chrony.conf", "/etc/chrony.d/*.conf", "/etc/chrony/conf.d/*.conf",
        "/etc/chrony.d/*.sources", "/etc/chrony/sources.d/*.sources",
    ),
    "ntp": ("/etc/ntp.conf", "/etc/ntpsec/ntp.conf", "/etc/ntpsec/ntp.d/*.conf", "/etc/ntp.d/*.conf"),
    "openntpd": ("/etc/openntpd/ntpd.conf", "/etc/ntpd.conf"),
    "timesyncd": ("/etc/systemd/timesyncd.conf", "/etc/systemd/timesyncd.conf.d/*.conf"),
    "hosts": ("/etc/ntp/step-tickers",),
}  # fmt: skip
"""By the dialect: the configuration of each program, as the rule time/sources names it too."""
UDEV = (
    "/usr/lib/udev/rules.d/50-udev-default.rules",
    "/lib/udev/rules.d/50-udev-default.rules",
    "/etc/udev/rules.d/*.rules",
)
MODULES = ("/etc/modules", "/etc/modules-load.d/*.conf", "/usr/lib/modules-load.d/*.conf")
NUMBERED = "/dev/ptp[0-9]*"
"""A clock by its number, which any platform, and none, may have."""
HURTS = {
    "tsc=reliable": "the kernel no longer checks the processor's counter, which on other hosts may not be steady",
    "notsc": "the kernel leaves the processor's counter aside, and asks a slower clock",
    "no-kvmclock": "the kernel leaves KVM's clock aside",
    "clocksource=": "a clock of the old platform is asked for by name",
    "clock=": "a clock is asked for by name",
    "divider=": "timer interrupts are fewer, as hypervisors of old wanted",
}
"""Arguments of the kernel that were set for a hypervisor's clock, and what each does."""
BUILT_IN = "systemd-timesyncd's own list"
MOST_FILES, MOST_KNOWN = 64, 1024


@frozen
class Named:
    """A source of time with the program that asks it, and its place."""

    dialect: str
    source: Source
    place: Evidence


def detect(guest: GuestFS, facts: Facts, target: Target) -> list[Finding]:
    """Put the time.* facts; return what the target lacks of them."""
    known = list(islice(_all(guest), MOST_KNOWN))
    device = target.time_device if target.time_device and known and _is_linked(guest, target.time_device) else ""
    own = _at_home(guest, target, device) if known else set()
    old = [one for one in known if _is_old(one.source.name, target, own)]
    facts.put(TIME_SOURCES, list(dict.fromkeys(one.source.name for one in known)), *(one.place for one in known))
    facts.put(TIME_OLD_SOURCES, list(dict.fromkeys(one.source.name for one in old)), *(one.place for one in old))
    facts.put(TIME_DEVICE, device)
    facts.put(TIME_OTHER_SOURCES, list(dict.fromkeys(_others(known, old))))
    return [*(_told(those, target) for those in _by_program(old)), *_arguments(facts)]


def _all(guest: GuestFS) -> Iterator[Named]:
    for dialect, patterns in FILES.items():
        for path in (path for pattern in patterns for path in paths_like(guest, pattern, MOST_FILES)):
            for one in sources(read_small(guest, path) or b"", dialect):
                yield Named(dialect, one, Evidence(path, one.line, one.text))


def _at_home(guest: GuestFS, target: Target, device: str) -> set[str]:
    """Return the globs of sources that the target has, among them clocks by number where it is sure to have one.

    That is where the guest itself loads KVM's, and where the host's has no name of its own in this guest.
    """
    table = target.tables.get("time-sources", {})
    found = {glob for platform in target.agents for glob in table.get(platform, ())}
    loads = "kvm" in target.agents and any("ptp_kvm" in line for line in _lines(guest, MODULES))
    if loads or (target.time_device and not device):
        found.add(NUMBERED)
    return found | set(target.time_servers) | {target.time_device}


def _is_old(name: str, target: Target, own: set[str]) -> bool:
    globs = {glob for those in target.tables.get("time-sources", {}).values() for glob in those} | {NUMBERED}
    named = name.lower()
    return any(fnmatchcase(named, glob) for glob in globs) and not any(fnmatchcase(named, glob) for glob in own)


def _lines(guest: GuestFS, patterns: Sequence[str]) -> Iterator[str]:
    for path in (path for pattern in patterns for path in paths_like(guest, pattern, MOST_FILES)):
        yield from (line for _, line in lines_of(read_small(guest, path) or b"") if not line.startswith("#"))


def _is_linked(guest: GuestFS, device: str) -> bool:
    """Tell whether a rule of the guest's udev makes the device's name."""
    name = device.rpartition("/")[2]
    return any(f'"{name}"' in line and "SYMLINK" in line for line in _lines(guest, UDEV))


def _by_program(old: Sequence[Named]) -> list[list[Named]]:
    return [those for dialect in FILES if (those := [one for one in old if one.dialect == dialect])]


def _others(known: Sequence[Named], old: Sequence[Named]) -> Iterator[str]:
    """Yield what is left to set the clock by; timesyncd has a list built in, where none is set for that."""
    gone = set(old)
    yield from (one.source.name for one in known if one not in gone and one.dialect != "hosts")
    mine = [one for one in known if one.dialect == "timesyncd"]
    if mine and not any(one.source.fallback for one in mine):
        yield BUILT_IN


def _told(those: Sequence[Named], target: Target) -> Finding:
    names = ", ".join(dict.fromkeys(one.source.name for one in those))
    fatal = any(one.source.name.startswith("/") for one in those)
    what = "chronyd ends at once without the device" if fatal else "it is asked in vain"
    summary = f"the clock goes by what {target.id} does not have ({names}): {what}"
    return Finding("GF-TIME-SOURCE-OLD", "warning", summary, tuple(dict.fromkeys(one.place for one in those))[:8])


def _arguments(facts: Facts) -> Iterator[Finding]:
    entry = facts.value(BOOT_DEFAULT)
    for word in entry.args if entry else ():
        what = HURTS.get(word) or (HURTS.get(f"{word.partition('=')[0]}=") if "=" in word else None)
        if what and entry:
            place = Evidence(entry.path, entry.line, word[:200])
            yield Finding("GF-TIME-CLOCKSOURCE", "info", f"the kernel is started with {word[:80]}: {what}", (place,))
