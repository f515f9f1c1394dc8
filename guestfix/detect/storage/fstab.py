"""What the guest mounts at boot: /etc/fstab, and systemd's own mount and swap units.

Facts: fstab.readable, fstab.entries (spec, mount, type, options, dump, pass, line of each readable line), fstab.init
(systemd, mountall, sysv, openrc or unknown: who reads the table at boot).
"""

from __future__ import annotations

from collections.abc import Iterable

from guestfix.base.bounds import MOUNT_TABLE
from guestfix.base.catalog.facts.storage import DISKS_UUID_BY_DEVICE, FSTAB_ENTRIES, FSTAB_INIT, FSTAB_READABLE
from guestfix.base.catalog.facts.system import OS_FAMILY, SYSTEM_INIT
from guestfix.base.catalog.records.storage import Mount
from guestfix.base.errors import GuestError, NotFound
from guestfix.base.facts import Evidence, Facts, Finding, Unknown
from guestfix.base.guest import GuestFS
from guestfix.detect.files import exists, names_in
from guestfix.formats.storage import devices
from guestfix.formats.storage.fstab import VITAL, FstabEntry, entries, number_of
from guestfix.pack.model import Target

PATH = "/etc/fstab"
LIMIT = MOUNT_TABLE
"""Bytes of a table that is still one that somebody wrote."""

_INIT_SIGNS = (
    ("mountall", ("/sbin/mountall", "/usr/sbin/mountall", "/etc/init/mountall.conf")),
    ("openrc", ("/sbin/openrc-run", "/usr/sbin/openrc-run", "/sbin/openrc", "/etc/init.d/localmount")),
    ("sysv", ("/etc/rc.d/rc.sysinit", "/etc/inittab", "/etc/init.d/rcS")),
    ("systemd", ("/usr/lib/systemd/systemd", "/lib/systemd/systemd", "/etc/systemd/system")),
)


def detect(guest: GuestFS, facts: Facts, target: Target) -> list[Finding]:
    """Record the fstab.* facts of a Linux guest; report a table that can't be read and entries given twice."""
    if facts.value(OS_FAMILY) != "linux":
        return []
    facts.put(FSTAB_INIT, find_init(guest, facts))
    facts.put(FSTAB_READABLE, False)
    try:
        data = guest.read(PATH, LIMIT)
    except NotFound:
        facts.put(FSTAB_ENTRIES, [])
        return [_missing()]
    except GuestError as error:
        facts.put(FSTAB_ENTRIES, Unknown(error.what))
        return [_unreadable(error.what, error.remedy)]
    found = entries(data)
    good = [entry for entry in found if not entry.problem]
    if found and not good:
        facts.put(FSTAB_ENTRIES, Unknown("no line of it can be an entry"))
        return [_unreadable(f"no line of it can be an entry ({found[0].problem})", "", found[0])]
    facts.put(FSTAB_READABLE, True, Evidence(PATH))
    facts.put(FSTAB_ENTRIES, [_mount(entry) for entry in good], Evidence(PATH))
    return [
        *_generated(guest),
        *_hidden(guest, good),
        *_twice(good, facts.value(DISKS_UUID_BY_DEVICE, {})),
        *_devices_in_options(good),
    ]


def find_init(guest: GuestFS, facts: Facts) -> str:
    """Return who mounts the table's entries at boot; ``unknown`` where neither files nor the release show it."""
    try:
        target = guest.realpath("/sbin/init")
    except GuestError:
        target = ""
    if target.endswith("/systemd"):
        return "systemd"
    signs = (name for name, paths in _INIT_SIGNS if any(exists(guest, path) for path in paths))
    return next(signs, "") or str(facts.value(SYSTEM_INIT, "unknown"))


def _text(value: str) -> str:
    return value.encode("utf-8", "surrogateescape").decode("utf-8", "backslashreplace")


def _mount(entry: FstabEntry) -> Mount:
    return Mount(
        spec=_text(entry.spec),
        mount=_text(entry.mount),
        type=_text(entry.type),
        options=_text(entry.options),
        dump=number_of(entry.dump),
        pass_=number_of(entry.fsck),
        line=entry.number,
    )


def _missing() -> Finding:
    summary = "the guest has no /etc/fstab, so nothing in it had to be checked"
    return Finding("GF-FSTAB-MISSING", "info", summary, (Evidence(PATH),))


def _unreadable(why: str, remedy: str, entry: FstabEntry | None = None) -> Finding:
    evidence = Evidence(PATH, entry.number, entry.text) if entry else Evidence(PATH)
    remedy = remedy or "put a valid table in its place: without it nothing but the root filesystem would be mounted"
    return Finding("GF-FSTAB-UNREADABLE", "blocker", f"/etc/fstab can't be read: {why}", (evidence,), remedy)


def _generated(guest: GuestFS) -> Iterable[Finding]:
    """Yield a finding where the table is a product of NixOS or Guix, which regenerate it."""
    try:
        real = guest.realpath(PATH)
    except GuestError:
        return
    if real.startswith(("/nix/store/", "/gnu/store/")):
        summary = "/etc/fstab is made from the system's configuration, so changes to it last until the next rebuild"
        remedy = "make the same changes under fileSystems in the configuration"
        yield Finding("GF-FSTAB-GENERATED", "warning", summary, (Evidence(real),), remedy)


# /etc below an overlay


def _hidden(guest: GuestFS, found: list[FstabEntry]) -> Iterable[Finding]:
    """Yield a finding where an overlay is mounted on /etc whose upper layer has files: they hide those beneath."""
    for entry in found:
        upper = [one.partition("=")[2] for one in entry.options.split(",") if one.startswith("upperdir=/")]
        if entry.place != "/etc" or entry.type != "overlay" or not upper:
            continue
        folder = upper[-1].removeprefix("/sysroot")
        names = names_in(guest, folder)
        if names:
            shown = ", ".join(_text(name) for name in names[:6]) + (" ..." if len(names) > 6 else "")
            yield Finding(
                "GF-FSTAB-ETC-OVERLAY",
                "warning",
                f"an overlay lies on /etc at boot, whose layer {_text(folder)} hides what is read here: {shown}",
                (Evidence(PATH, entry.number, entry.text), Evidence(folder, 0, shown)),
                outcome="unknown" if "fstab" in names else "",
            )


# the same twice


def _twice(found: list[FstabEntry], table: dict[str, str]) -> Iterable[Finding]:
    """Yield findings for a mount point or a volume that two entries name.

    A second entry for a mount point of VITAL is a blocker: which of the two boots is the reader's choice
    (systemd takes the first, mount -a puts one over the other).
    """
    mounts: dict[str, FstabEntry] = {}
    volumes: dict[str, FstabEntry] = {}
    resolver = devices.Resolver(table, (entry.spec for entry in found))
    for entry in found:
        if entry.mount.startswith("/"):
            first = mounts.setdefault(entry.place, entry)
            if first is not entry and not entry.has("noauto"):
                yield _same_mount(first, entry)
        volume = _volume(entry, resolver)
        if volume:
            first = volumes.setdefault(volume, entry)
            if first is not entry and not _may_share(first, entry):
                yield _same_volume(first, entry)


def _volume(entry: FstabEntry, resolver: devices.Resolver) -> str:
    """Return one name for the volume, however the entry names it; empty where it names none."""
    if entry.bound or not (entry.spec.startswith("/dev/") or devices.tag(entry.spec)):
        return ""
    spec = resolver.find(entry.spec) or entry.spec
    return devices.tag(spec) or devices.normal(spec)


def _may_share(one: FstabEntry, other: FstabEntry) -> bool:
    """Tell whether both may well be mounted: subvolumes, or a drive that takes different media."""
    kinds = {one.type, other.type}
    return (
        "btrfs" in kinds or "bcachefs" in kinds or one.has("noauto") or other.has("noauto") or one.place == other.place
    )


def _same_mount(first: FstabEntry, entry: FstabEntry) -> Finding:
    severity = "blocker" if entry.place in VITAL else "warning"
    return Finding(
        "GF-FSTAB-MOUNT-TWICE",
        severity,
        f"two entries mount something at {_text(entry.place)}",
        (Evidence(PATH, first.number, first.text), Evidence(PATH, entry.number, entry.text)),
        "remove the entry that is not meant",
    )


def _same_volume(first: FstabEntry, entry: FstabEntry) -> Finding:
    return Finding(
        "GF-FSTAB-VOLUME-TWICE",
        "warning",
        f"two entries use the same volume: {_text(first.spec)} and {_text(entry.spec)}",
        (Evidence(PATH, first.number, first.text), Evidence(PATH, entry.number, entry.text)),
        "remove the entry that is not meant",
    )


def _devices_in_options(found: list[FstabEntry]) -> Iterable[Finding]:
    """Yield a finding for each device name inside options, where no UUID can stand for it."""
    for entry in found:
        for option in entry.options.split(","):
            name, _, value = option.partition("=")
            if name in ("logdev", "rtdev", "device", "journal_path") and devices.is_unstable(value):
                yield Finding(
                    "GF-FSTAB-DEVICE-IN-OPTIONS",
                    "warning",
                    f"{_text(entry.place)} has the option {_text(option)}, and that device gets another name",
                    (Evidence(PATH, entry.number, entry.text),),
                    "name the device by a link that stays, such as one below /dev/disk/by-partuuid",
                )
