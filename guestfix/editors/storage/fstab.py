"""Changes to /etc/fstab: device names to UUIDs, volumes that are gone, shares, unreadable lines.

All of them work on single lines and leave the number of lines as it is. A line that would be switched
off becomes a comment that says why, with the line itself behind it.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence

from guestfix.base.edit import Content, Edit, Note, Splice, Table, apply_splices
from guestfix.base.globs import text_matcher
from guestfix.base.patterns import regex
from guestfix.formats.storage import devices
from guestfix.formats.storage.dependents import REQUIRING, dependents, device_of
from guestfix.formats.storage.fstab import MAX_LINE, VITAL, FstabEntry, Span, entries, escape, number_of, readable, show

_NO_DEVICE = regex(
    "aufs|autofs|bind|binfmt_misc|bpf|cgroup2?|configfs|debugfs|devpts|devtmpfs|efivarfs|fusectl|hugetlbfs|ignore|mqueue|"
    "nfsd|none|overlay(?:fs)?|proc|pstore|ramfs|rootfs|rpc_pipefs|securityfs|selinuxfs|sysfs|tmpfs|tracefs|usbdevfs|usbfs|zfs"
)
"""Types whose first field names no block device that could be looked up."""

LENIENT = {
    "systemd": ("nofail", "nofail,x-systemd.device-timeout=30s"),
    "mountall": ("nobootwait", "nofail,nobootwait"),
}
"""Per init system: the option that keeps boot from waiting for an entry, and all that are added with it."""


def done(src: bytes, splices: list[Splice], notes: list[Note]) -> Content | Edit:
    """Return the text with its splices done, with the notes if there are any."""
    content = apply_splices(src, splices)
    return Edit(content, tuple(notes)) if notes else content


def note_of(entry: FstabEntry, level: str, code: str, summary: str, remedy: str = "") -> Note:
    """Return a note about an entry."""
    return Note(level, summary, entry.number, entry.text, remedy, code)  # type: ignore[arg-type]


def replace(span: Span, data: bytes) -> Splice:
    """Return the splice that puts data in a field's place."""
    return Splice(span.start, span.end - span.start, data)


def fits(entry: FstabEntry, splices: Iterable[Splice]) -> bool:
    """Tell whether the changed line is still read whole at boot (one that was too long before may stay so)."""
    grown = sum(len(splice.data) - splice.length for splice in splices)
    return grown <= 0 or len(entry.raw) + grown <= MAX_LINE


def too_long(entry: FstabEntry) -> Note:
    """Return the note that a changed line would not be read whole."""
    summary = f"the line for {where_of(entry)} can't be changed: it would be longer than {MAX_LINE} bytes"
    return note_of(entry, "warning", "GF-FSTAB-LINE-TOO-LONG", summary, "shorten the line by hand")


def where_of(entry: FstabEntry) -> str:
    """Return what a reader calls the entry: its mount point, or the swap area's name."""
    if entry.mount.startswith("/"):
        return show(entry.mount.encode("utf-8", "surrogateescape"))
    return f"the swap area {spec_of(entry)}" if entry.type == "swap" else spec_of(entry)


def spec_of(entry: FstabEntry) -> str:
    """Return the entry's first field to show to a reader."""
    return show(entry.spec.encode("utf-8", "surrogateescape"))


def _comment_out(src: bytes, entry: FstabEntry, why: str) -> Splice:
    r"""Make the line a comment. A NUL becomes ``\000``: getmntent(3) would lose the next line after it."""
    text = src[entry.start : entry.end].replace(b"\0", b"\\000")
    return Splice(entry.start, entry.end - entry.start, f"# guestfix: {why}: ".encode() + text)


def without(src: bytes, gone: Callable[[str], bool], keep: Sequence[str]) -> bytes:
    """Turn entries whose device is gone into comments, unless they are mounted at one of the places of ``keep``."""
    lost = [entry for entry in readable(src) if names_device(entry) and entry.place not in keep and gone(entry.spec)]
    return apply_splices(src, [_comment_out(src, entry, "its disk did not come along") for entry in lost])


# unreadable lines


def comment_unreadable(src: bytes | None) -> Content | Edit:
    """Turn lines that can't be entries into comments with the reason, unless no line at all can be one.

    A table without any readable entry (encrypted, binary) comes back as it is; the detector reports it.
    """
    if src is None:
        return src
    found = entries(src)
    bad = [entry for entry in found if entry.problem]
    if len(bad) == len(found):
        return src
    notes = [
        note_of(entry, "warning", "GF-FSTAB-LINE-UNREADABLE", f"a line of /etc/fstab can't be read: {entry.problem}")
        for entry in bad
    ]
    return done(src, [_comment_out(src, entry, f"not an entry, {entry.problem}") for entry in bad], notes)


# device names


def names_device(entry: FstabEntry) -> bool:
    """Tell whether the entry's first field names a block device that can be looked up."""
    return not entry.bound and not _NO_DEVICE.fullmatch(entry.type) and not entry.problem


def fits_type(entry: FstabEntry, spec: str, types: Table) -> bool:
    """Tell whether the volume can be the one meant: it holds the filesystem that the line asks for."""
    known = types.get(spec, "")
    return not known or devices.same_type(entry.type, known)


def resolved(entry: FstabEntry, table: Table, volumes: devices.Resolver, old: Sequence[str]) -> str | None:
    """Return the stable spec for the entry's device name; None where it has no such name or nothing is known.

    A label that several volumes have is no better than a device name.
    """
    name = devices.tag(entry.spec) or devices.normal(entry.spec)
    if name in table and (devices.tag(name) or any(devices.matches(name, one) for one in old)):
        return table[name]
    if not (devices.is_unstable(entry.spec) or devices.is_bare_uuid(entry.spec)):
        return None
    return volumes.find(entry.spec)


def set_device(src: bytes | None, *, table: Table, types: Table, old: Sequence[str] = ()) -> Content | Edit:
    """Name devices by the ``UUID=`` that table has for them, wherever their own name would not last.

    ``table`` is the fact disks.uuid_by_device, ``types`` is disks.fstype_by_spec: a volume that holds
    another filesystem than the line says is not taken for the one meant. ``old`` is disks.old_names. Names that go with
    the data (LVM, device-mapper, md, /dev/disk/by-uuid and so on) stay. A UUID without ``UUID=`` gets it.
    """
    if src is None:
        return src
    splices: list[Splice] = []
    notes: list[Note] = []
    found = readable(src)
    volumes = devices.Resolver(table, (entry.spec for entry in found))
    for entry in filter(names_device, found):
        splices += _required_devices(entry, volumes)
        spec = resolved(entry, table, volumes, old)
        if spec is None:
            continue
        change = replace(entry.fields[0], escape(spec))
        if not fits_type(entry, spec, types):
            notes.append(_wrong_type(entry, spec, types[spec]))
        elif fits(entry, [change]):
            splices.append(change)
        else:
            notes.append(too_long(entry))
    return done(src, splices, notes)


def _required_devices(entry: FstabEntry, volumes: devices.Resolver) -> list[Splice]:
    """Name the devices that systemd is told to wait for (``x-systemd.requires=/dev/sdb1``) by their UUIDs' links."""
    options = entry.options.split(",")
    for at, option in enumerate(options):
        name, _, value = option.partition("=")
        device = device_of(value) if name in REQUIRING else ""
        found = volumes.find(device) if device and devices.is_unstable(device) else None
        if found:
            options[at] = f"{name}={devices.link_of(found)}"
    after = ",".join(options)
    change = [replace(entry.fields[3], escape(after))] if after != entry.options else []
    return change if fits(entry, change) else []


def _wrong_type(entry: FstabEntry, spec: str, known: str) -> Note:
    summary = f"{spec_of(entry)} should hold {show(entry.type.encode('utf-8', 'replace'))}, but {spec} holds {known}"
    return note_of(
        entry, "warning", "GF-FSTAB-TYPE-MISMATCH", summary, "check the order of the disks given, or the entry's type"
    )


# options


def add_options(entry: FstabEntry, options: str) -> list[Splice]:
    """Add options that the entry doesn't have yet, in fields of their own where it has none."""
    add = ",".join(option for option in options.split(",") if not entry.has(option.partition("=")[0]))
    if not add:
        return []
    if len(entry.fields) >= 4:
        return [Splice(entry.fields[3].end, 0, f",{add}".encode())]
    gap = b"\t" if b"\t" in entry.raw else b" "
    kind = b"" if len(entry.fields) == 3 else gap + b"auto"
    return [Splice(entry.fields[-1].end, 0, kind + gap + add.encode())]


def relax(
    found: Sequence[FstabEntry], lost: Sequence[FstabEntry], init: str, splices: list[Splice], notes: list[Note]
) -> None:
    """Make what builds upon lost entries optional too, and say so; what the system can't boot without is a blocker."""
    lenient, _ = LENIENT.get(init, ("nofail", "nofail"))
    for entry, base in dependents(found, lost):
        if entry.has("noauto", lenient, "x-systemd.automount", "comment=systemd.automount"):
            continue
        place = where_of(entry)
        summary = f"{place} builds upon {where_of(base)}, which the boot does without, and would hold it up"
        if entry.place in VITAL:
            code = "GF-FSTAB-ROOT-UNRESOLVED" if entry.place == "/" else "GF-FSTAB-VITAL-UNRESOLVED"
            notes.append(note_of(entry, "blocker", code, summary, f"see that {where_of(base)} is there on the target"))
            continue
        change = [*add_options(entry, lenient), *no_fsck(entry)]
        if fits(entry, change):
            splices += change
            notes.append(note_of(entry, "warning", "GF-FSTAB-DEPENDENT", summary))
            notes.append(Note("follow_up", f"{lenient} was added to {place}, as {where_of(base)} may be missing"))
        else:
            notes.append(too_long(entry))


def no_fsck(entry: FstabEntry) -> list[Splice]:
    """Return what keeps fsck from looking at the entry's volume."""
    return [replace(entry.fields[5], b"0")] if len(entry.fields) > 5 and number_of(entry.fsck) else []


# shares and network filesystems


def _matchers(patterns: list[str]) -> list[Callable[[str], bool]]:
    return [text_matcher(pattern) for pattern in patterns]


def _is_share(entry: FstabEntry, types: list[str], sources: list[Callable[[str], bool]]) -> bool:
    if entry.problem or entry.bound:
        return False
    if entry.type in types:
        return True
    return not entry.spec.startswith("//dev/") and any(match(entry.spec) for match in sources)


def disable(src: bytes | None, *, types: list[str], sources: list[str], why: str, init: str = "") -> Content | Edit:
    """Turn entries of these types, or whose first field matches a pattern of ``sources``, into comments.

    ``why`` is part of the comment and of the follow-up. Entries with noauto too: they would only fail later.
    A share at one of the mount points in VITAL is a blocker instead. What builds upon such an entry becomes
    optional, as ``init`` (the fact fstab.init) spells it.
    """
    if src is None:
        return src
    splices: list[Splice] = []
    notes: list[Note] = []
    matchers = _matchers(sources)
    found, lost = readable(src), []
    for entry in found:
        if not _is_share(entry, types, matchers):
            continue
        if entry.place in VITAL:
            notes.append(_vital_share(entry, why))
            continue
        lost.append(entry)
        splices.append(_comment_out(src, entry, f"disabled, {why}"))
        notes.append(Note("follow_up", f"{where_of(entry)} ({spec_of(entry)}) was disabled in /etc/fstab: {why}"))
    relax(found, lost, init, splices, notes)
    return done(src, splices, notes)


def _vital_share(entry: FstabEntry, why: str) -> Note:
    summary = f"{entry.place} is no filesystem of the guest's own disks: {spec_of(entry)}, {why}"
    return note_of(
        entry, "blocker", "GF-FSTAB-VITAL-FOREIGN", summary, "copy it to a disk of the guest, then name that"
    )


def network(src: bytes | None, *, types: list[str], policy: str, init: str) -> Content | Edit:
    """Treat network filesystems as the policy says: ``keep``, ``nofail`` or ``disable``.

    ``keep`` warns of each that boot waits for. ``nofail`` lets boot continue without it (systemd: and gives
    up mounting after 30 s). ``disable`` turns the line into a comment. noauto entries and VITAL stay.
    """
    if src is None:
        return src
    splices: list[Splice] = []
    notes: list[Note] = []
    lenient, _ = LENIENT.get(init, ("nofail", "nofail"))
    found, lost = readable(src), []
    for entry in found:
        if entry.bound or entry.type not in types or entry.has("noauto"):
            continue
        place, volume = where_of(entry), spec_of(entry)
        if policy == "disable" and entry.place not in VITAL:
            lost.append(entry)
            splices.append(_comment_out(src, entry, "disabled, network filesystem (policy nfs)"))
            notes.append(Note("follow_up", f"{place} ({volume}) was disabled in /etc/fstab: policy nfs is disable"))
        elif entry.has(lenient, "x-systemd.automount", "comment=systemd.automount"):
            continue
        elif policy == "nofail" and entry.place not in VITAL:
            lost.append(entry)
            splices += [*add_options(entry, _NET_LENIENT.get(init, lenient)), *no_fsck(entry)]
            notes.append(Note("follow_up", f"{lenient} was added to {place} ({volume}): check that it is reachable"))
        else:
            notes.append(_kept(entry))
    relax(found, lost, init, splices, notes)
    return done(src, splices, notes)


_NET_LENIENT = {"systemd": "nofail,x-systemd.mount-timeout=30s", "mountall": "nofail,nobootwait"}


def _kept(entry: FstabEntry) -> Note:
    summary = f"boot waits for {where_of(entry)} from {spec_of(entry)}, which must be reachable from the new platform"
    remedy = "check the route and the server's export list, or choose --policy nfs=nofail or nfs=disable"
    return note_of(entry, "warning", "GF-FSTAB-NFS-KEPT", summary, remedy)
