"""Changes to /etc/fstab: device names to UUIDs, volumes that are gone, shares, unreadable lines.

All of them work on single lines and leave the number of lines as it is. A line that would be switched
off becomes a comment that says why, with the line itself behind it.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable
from fnmatch import translate

from guestfix.base.edit import Content, Edit, Note, Splice, Table, apply_splices
from guestfix.base.patterns import regex
from guestfix.base.record import frozen
from guestfix.formats.storage import devices
from guestfix.formats.storage.fstab import MAX_LINE, VITAL, Entry, Span, entries, escape, number_of, readable, show

_NO_DEVICE = regex(
    "aufs|autofs|bind|binfmt_misc|bpf|cgroup2?|configfs|debugfs|devpts|devtmpfs|efivarfs|fusectl|hugetlbfs|ignore|mqueue|"
    "nfsd|none|overlay(?:fs)?|proc|pstore|ramfs|rootfs|rpc_pipefs|securityfs|selinuxfs|sysfs|tmpfs|tracefs|usbdevfs|usbfs|zfs"
)
"""Types whose first field names no block device that could be looked up."""

_LINUX_EXT = {"ext2": "ext", "ext3": "ext", "ext4": "ext"}
_SAME_TYPE = {**_LINUX_EXT, "msdos": "fat", "vfat": "fat", "fat": "fat", "ntfs3": "ntfs", "ntfs-3g": "ntfs"}

_LENIENT = {
    "systemd": ("nofail", "nofail,x-systemd.device-timeout=30s"),
    "mountall": ("nobootwait", "nofail,nobootwait"),
}
"""Per init system: the option that keeps boot from waiting for an entry, and all that are added with it."""


def _done(src: bytes, splices: list[Splice], notes: list[Note]) -> Content | Edit:
    content = apply_splices(src, splices)
    return Edit(content, tuple(notes)) if notes else content


def _note(entry: Entry, level: str, code: str, summary: str, remedy: str = "") -> Note:
    return Note(level, summary, entry.number, entry.text, remedy, code)  # type: ignore[arg-type]


def _replace(span: Span, data: bytes) -> Splice:
    return Splice(span.start, span.end - span.start, data)


def _fits(entry: Entry, splices: Iterable[Splice]) -> bool:
    """Tell whether the changed line is still read whole at boot (one that was too long before may stay so)."""
    grown = sum(len(splice.data) - splice.length for splice in splices)
    return grown <= 0 or len(entry.raw) + grown <= MAX_LINE


def _too_long(entry: Entry) -> Note:
    summary = f"the line for {_where(entry)} can't be changed: it would be longer than {MAX_LINE} bytes"
    return _note(entry, "warning", "GF-FSTAB-LINE-TOO-LONG", summary, "shorten the line by hand")


def _where(entry: Entry) -> str:
    """Return what a reader calls the entry: its mount point, or the swap area's name."""
    if entry.mount.startswith("/"):
        return show(entry.mount.encode("utf-8", "surrogateescape"))
    return f"the swap area {_spec(entry)}" if entry.type == "swap" else _spec(entry)


def _spec(entry: Entry) -> str:
    return show(entry.spec.encode("utf-8", "surrogateescape"))


def _comment_out(src: bytes, entry: Entry, why: str) -> Splice:
    r"""Make the line a comment. A NUL becomes ``\000``: getmntent(3) would lose the next line after it."""
    text = src[entry.start : entry.end].replace(b"\0", b"\\000")
    return Splice(entry.start, entry.end - entry.start, f"# guestfix: {why}: ".encode() + text)


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
        _note(entry, "warning", "GF-FSTAB-LINE-UNREADABLE", f"a line of /etc/fstab can't be read: {entry.problem}")
        for entry in bad
    ]
    return _done(src, [_comment_out(src, entry, f"not an entry, {entry.problem}") for entry in bad], notes)


# device names


def _names_device(entry: Entry) -> bool:
    return not entry.bound and not _NO_DEVICE.fullmatch(entry.type) and not entry.problem


def _same_type(one: str, other: str) -> bool:
    return _SAME_TYPE.get(one, one) == _SAME_TYPE.get(other, other)


def _fits_type(entry: Entry, spec: str, types: Table) -> bool:
    """Tell whether the volume can be the one meant: it holds the filesystem that the line asks for."""
    known = types.get(spec, "")
    kinds = entry.type.split(",")
    return not known or "auto" in kinds or any(_same_type(kind, known) for kind in kinds) or entry.type == "fuseblk"


def _resolved(entry: Entry, volumes: devices.Resolver) -> str | None:
    """Return the stable spec for the entry's device name; None where it has no such name or nothing is known."""
    if not (devices.is_unstable(entry.spec) or devices.is_bare_uuid(entry.spec)):
        return None
    return volumes.find(entry.spec)


def set_device(src: bytes | None, *, table: Table, types: Table) -> Content | Edit:
    """Name devices by the ``UUID=`` that table has for them, wherever their own name would not last.

    ``table`` is the fact disks.uuid_by_device, ``types`` is disks.fstype_by_spec: a volume that holds
    another filesystem than the line says is not taken for the one meant. Device names that go with the
    data (LVM, device-mapper, md, /dev/disk/by-uuid and so on) stay. A UUID without ``UUID=`` gets it.
    """
    if src is None:
        return src
    splices: list[Splice] = []
    notes: list[Note] = []
    found = readable(src)
    volumes = devices.Resolver(table, (entry.spec for entry in found))
    for entry in filter(_names_device, found):
        spec = _resolved(entry, volumes)
        if spec is None:
            continue
        change = _replace(entry.fields[0], escape(spec))
        if not _fits_type(entry, spec, types):
            notes.append(_wrong_type(entry, spec, types[spec]))
        elif _fits(entry, [change]):
            splices.append(change)
        else:
            notes.append(_too_long(entry))
    return _done(src, splices, notes)


def _wrong_type(entry: Entry, spec: str, known: str) -> Note:
    summary = f"{_spec(entry)} should hold {show(entry.type.encode('utf-8', 'replace'))}, but {spec} holds {known}"
    return _note(
        entry, "warning", "GF-FSTAB-TYPE-MISMATCH", summary, "check the order of the disks given, or the entry's type"
    )


# volumes that no disk holds


@frozen
class _Known:
    """What is known of the guest's volumes; see :func:`guard_missing`."""

    volumes: devices.Resolver
    types: Table
    answering: frozenset[str]
    tagged: bool
    complete: bool

    def lacks(self, entry: Entry) -> str:
        """Return what is wrong with the entry's volume: a key of _LACKS, or an empty text."""
        spec = _resolved(entry, self.volumes)
        if spec is not None:
            return "" if _fits_type(entry, spec, self.types) else "other"
        if devices.is_unstable(entry.spec) or devices.is_bare_uuid(entry.spec):
            return "unnamed" if devices.normal(entry.spec) in self.answering else "absent"
        tag = devices.tag(entry.spec)
        if tag:
            return "absent" if self.tagged and tag not in self.answering else ""
        layered = devices.is_layered(entry.spec) and devices.normal(entry.spec) not in self.answering
        return "absent" if layered and self.complete else ""


_LACKS = {
    "absent": ("nothing answers to {spec}", "attach its disk", "import the disk that holds {place}, or name {spec} in"),
    "unnamed": ("the UUID of {spec} is not known", "name it by UUID=", "give the UUID of {spec} in"),
    "other": (
        "{spec} holds another filesystem than the entry says",
        "name it by UUID=",
        "check the order of the disks in",
    ),
}
"""Per lack: what is wrong, what to do afterwards, and what to do now with the description of the disks."""


def guard_missing(
    src: bytes | None, *, table: Table, types: Table, specs: list[str], tagged: bool, complete: bool, init: str
) -> Content | Edit:
    """Keep entries whose volume is not there from stopping the boot; block where nothing can be done.

    Missing is: a device name that table can't resolve; where the disks are described with what they hold
    (``tagged``), a tag that is not in ``specs``; where the volumes above partitions are described too
    (``complete``), likewise an LVM, device-mapper or md name. Such an entry gets ``nofail`` (systemd: and a
    device timeout of 30 s, so that what waits for it continues; Ubuntu's mountall: ``nobootwait``) and no
    fsck, with a follow-up. The mount points in VITAL are never made optional: they are a blocker. Entries
    that boot doesn't wait for (noauto, nofail, automount) stay; those with noauto lose their fsck, which
    sysvinit would still run.
    """
    if src is None:
        return src
    splices: list[Splice] = []
    notes: list[Note] = []
    found = readable(src)
    volumes = devices.Resolver(table, (entry.spec for entry in found))
    known = _Known(volumes, types, devices.known_tags(specs), tagged, complete)
    for entry in filter(_names_device, found):
        lack = known.lacks(entry)
        changes, said = _guard(entry, lack, bool(specs), init) if lack else ([], [])
        fits = _fits(entry, changes)
        splices += changes if fits else []
        notes += said if fits else [_too_long(entry)]
    return _done(src, splices, notes)


def _guard(entry: Entry, lack: str, described: bool, init: str) -> tuple[list[Splice], list[Note]]:
    lenient, options = _LENIENT.get(init, ("nofail", "nofail"))
    if entry.has("noauto"):
        return ([] if init == "systemd" else _no_fsck(entry)), []
    if entry.has(lenient, "x-systemd.automount", "comment=systemd.automount"):
        return [], []
    if entry.place in VITAL:
        return [], [_vital(entry, lack, described)]
    where, (wrong, afterwards, _) = _where(entry), _LACKS[lack]
    summary = f"{where} would hold up the boot: {wrong.format(spec=_spec(entry))}"
    follow_up = f"{lenient} was added to {where}: {afterwards}, then remove it"
    notes = [_note(entry, "warning", "GF-FSTAB-VOLUME-MISSING", summary), Note("follow_up", follow_up)]
    return [*_add_options(entry, options), *_no_fsck(entry)], notes


def _vital(entry: Entry, lack: str, described: bool) -> Note:
    code = "GF-FSTAB-ROOT-UNRESOLVED" if entry.place == "/" else "GF-FSTAB-VITAL-UNRESOLVED"
    wrong, _, now = _LACKS[lack]
    remedy = "describe the guest's disks with --disks, so that the volume's UUID is known"
    if described:
        remedy = now.format(spec=_spec(entry), place=entry.place) + " the description of the disks"
    return _note(entry, "blocker", code, f"{entry.place} can't be mounted: {wrong.format(spec=_spec(entry))}", remedy)


def _add_options(entry: Entry, options: str) -> list[Splice]:
    """Add options that the entry doesn't have yet, in fields of their own where it has none."""
    add = ",".join(option for option in options.split(",") if not entry.has(option.partition("=")[0]))
    if not add:
        return []
    if len(entry.fields) >= 4:
        return [Splice(entry.fields[3].end, 0, f",{add}".encode())]
    gap = b"\t" if b"\t" in entry.raw else b" "
    kind = b"" if len(entry.fields) == 3 else gap + b"auto"
    return [Splice(entry.fields[-1].end, 0, kind + gap + add.encode())]


def _no_fsck(entry: Entry) -> list[Splice]:
    return [_replace(entry.fields[5], b"0")] if len(entry.fields) > 5 and number_of(entry.fsck) else []


# shares and network filesystems


def _matchers(patterns: list[str]) -> list[Callable[[str], object]]:
    return [re.compile(translate(pattern), re.DOTALL).match for pattern in patterns]


def _is_share(entry: Entry, types: list[str], sources: list[Callable[[str], object]]) -> bool:
    if entry.problem or entry.bound:
        return False
    if entry.type in types:
        return True
    return not entry.spec.startswith("//dev/") and any(match(entry.spec) for match in sources)


def disable(src: bytes | None, *, types: list[str], sources: list[str], why: str) -> Content | Edit:
    """Turn entries of these types, or whose first field matches a pattern of ``sources``, into comments.

    ``why`` is part of the comment and of the follow-up. Entries with noauto too: they would only fail later.
    A share at one of the mount points in VITAL is a blocker instead.
    """
    if src is None:
        return src
    splices: list[Splice] = []
    notes: list[Note] = []
    matchers = _matchers(sources)
    for entry in readable(src):
        if not _is_share(entry, types, matchers):
            continue
        if entry.place in VITAL:
            notes.append(_vital_share(entry, why))
            continue
        splices.append(_comment_out(src, entry, f"disabled, {why}"))
        notes.append(Note("follow_up", f"{_where(entry)} ({_spec(entry)}) was disabled in /etc/fstab: {why}"))
    return _done(src, splices, notes)


def _vital_share(entry: Entry, why: str) -> Note:
    summary = f"{entry.place} is no filesystem of the guest's own disks: {_spec(entry)}, {why}"
    return _note(entry, "blocker", "GF-FSTAB-VITAL-FOREIGN", summary, "copy it to a disk of the guest, then name that")


def network(src: bytes | None, *, types: list[str], policy: str, init: str) -> Content | Edit:
    """Treat network filesystems as the policy says: ``keep``, ``nofail`` or ``disable``.

    ``keep`` warns of each that boot waits for. ``nofail`` lets boot continue without it (systemd: and gives
    up mounting after 30 s). ``disable`` turns the line into a comment. noauto entries and VITAL stay.
    """
    if src is None:
        return src
    splices: list[Splice] = []
    notes: list[Note] = []
    lenient, _ = _LENIENT.get(init, ("nofail", "nofail"))
    for entry in readable(src):
        if entry.bound or entry.type not in types or entry.has("noauto"):
            continue
        where, spec = _where(entry), _spec(entry)
        if policy == "disable" and entry.place not in VITAL:
            splices.append(_comment_out(src, entry, "disabled, network filesystem (policy nfs)"))
            notes.append(Note("follow_up", f"{where} ({spec}) was disabled in /etc/fstab: policy nfs is disable"))
        elif entry.has(lenient, "x-systemd.automount", "comment=systemd.automount"):
            continue
        elif policy == "nofail" and entry.place not in VITAL:
            splices += [*_add_options(entry, _NET_LENIENT.get(init, lenient)), *_no_fsck(entry)]
            notes.append(Note("follow_up", f"{lenient} was added to {where} ({spec}): check that it is reachable"))
        else:
            notes.append(_kept(entry))
    return _done(src, splices, notes)


_NET_LENIENT = {"systemd": "nofail,x-systemd.mount-timeout=30s", "mountall": "nofail,nobootwait"}


def _kept(entry: Entry) -> Note:
    summary = f"boot waits for {_where(entry)} from {_spec(entry)}, which must be reachable from the new platform"
    remedy = "check the route and the server's export list, or choose --policy nfs=nofail or nfs=disable"
    return _note(entry, "warning", "GF-FSTAB-NFS-KEPT", summary, remedy)
