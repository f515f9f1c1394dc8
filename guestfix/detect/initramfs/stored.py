"""What an initramfs has stored of the machine that it was made on, and what it has to say on the target.

A copy inside the image counts at boot whatever the root's own file says. Sources: dracut.cmdline(7) (etc/cmdline.d),
dracut's wait_for_dev (hooks/initqueue/finished/devexists-*.sh), initramfs-tools(7) (conf/conf.d/resume), crypttab(5),
mdadm.conf(5), lvm.conf(5), lvmdevices(8), systemd.unit(5) (a link to /dev/null takes a .wants/ dependency away).
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Sequence

from guestfix.base.catalog.facts.storage import (
    DISKS_COMPLETE,
    DISKS_DOUBTFUL,
    DISKS_FSTYPE_BY_SPEC,
    DISKS_KNOWN,
    DISKS_LAYOUT,
    DISKS_OLD_NAMES,
    DISKS_PARTUUID_BY_DEVICE,
    DISKS_SPECS,
    DISKS_TAGGED,
    DISKS_UUID_BY_DEVICE,
)
from guestfix.base.catalog.facts.system import TARGET_DISK_PREFIX
from guestfix.base.edit import Content, Edit
from guestfix.base.errors import GuestError
from guestfix.base.facts import Facts
from guestfix.base.patterns import regex
from guestfix.base.record import replace
from guestfix.detect.initramfs.held import LVM, Outcome, Stored, StoredDisks, held
from guestfix.detect.storage import given
from guestfix.editors.boot.args import DEVICE_ARGUMENTS, DeviceChange
from guestfix.editors.storage import crypttab, fstab
from guestfix.formats import shellvars
from guestfix.formats.boot import argplaces
from guestfix.formats.boot.cmdline import ArgLine, Rewrite, name_of, value_of
from guestfix.formats.initramfs.image import Image
from guestfix.formats.storage import devices, lvmdevices
from guestfix.formats.storage.fstab import readable
from guestfix.formats.storage.known import known

RESUME_WAIT = 30
"""Seconds that scripts/local-premount/resume of initramfs-tools waits for the device; dracut waits no less."""

DEVICE_WAIT = 90
"""Seconds that systemd waits for a device that a line of crypttab names."""

_ARGUMENTS = regex(r"etc/cmdline(?:\.d/[^/]+\.conf)?$")
_RESUME = regex(r"conf/(?:initramfs\.conf|conf\.d/(?!cryptroot$)[^/]+)$")
_CRYPTTAB = regex(r"(?:etc|cryptroot)/crypttab$")
_CRYPTROOT = regex(r"conf/conf\.d/cryptroot$")
_SOURCE = regex(rb"(?:^|,)source=([^,\s]+)")
_DEVICES_FILE = regex(r"etc/lvm/devices/[^/]+\.devices$")
_RULES = regex(r"etc/udev/rules\.d/[^/]+\.rules$")
_FSTAB = regex(r"etc/fstab(?:\.sys|\.empty)?$")
_MDADM = regex(r"etc/(?:mdadm/)?mdadm\.conf$")
_LINK = regex(r"etc/systemd/network/[^/]+\.link$")
_LUNS = regex(r"(?:etc|var/lib)/multipath/(?:bindings|wwids)$|etc/multipath\.(?:conf|bindings)$")
_START = regex(r"config/[^/]+\.sh$")
_WAITING = regex(r"(?:(?:(?:usr|var)/)?lib/dracut/hooks/initqueue/|initqueue-)finished/devexists-[^/]*\.sh$")
_UNITS = regex(r"etc/systemd/system/[^/]+\.(?:mount|service|target)$")
_UNIT = regex(r"(?:etc|(?:usr/)?lib|run)/systemd/system/[^/]+\.(?:wants|requires)/(?P<name>dev-[^/]+)\.device$")
_ROOTS = ("/", "/sysroot", "/usr", "/sysroot/usr")
_DEVICE = regex(rb"/dev/[^\s\"';&|)]+")
_HEX = regex(r"\\x([0-9a-f]{2})")


def stored(facts: Facts, image: Image, args: Sequence[str], root: str) -> list[Stored]:
    """Return what an image has stored that does not hold on the target. ``root`` is what / is mounted from."""
    value = facts.value
    names = known(
        value(DISKS_UUID_BY_DEVICE, {}),
        value(DISKS_SPECS, []),
        bool(value(DISKS_TAGGED)),
        bool(value(DISKS_COMPLETE)),
        value(DISKS_DOUBTFUL, []),
        value(DISKS_OLD_NAMES, []),
    )
    partuuids, types = dict(value(DISKS_PARTUUID_BY_DEVICE, {})), dict(value(DISKS_FSTYPE_BY_SPEC, {}))
    laid = value(DISKS_LAYOUT, [])
    disks = StoredDisks(
        known=bool(value(DISKS_KNOWN)),
        partuuids=partuuids,
        types=types,
        names=names,
        prefix=str(value(TARGET_DISK_PREFIX, "")),
        members=tuple(one.device or one.disk for one in laid if one.fstype in ("LVM2_member", "linux_raid_member")),
    )
    found: list[Stored] = []
    for name, src in sorted(image.files.items()):
        for pattern, look in _LOOKS:
            if pattern.match(name):
                found += (held(one, src, disks) for one in look(name, src, disks, args, root))
    return found + [held(one, one.text.encode("utf-8", "surrogateescape"), disks) for one in _units(image, disks)]


Look = Callable[[str, bytes, StoredDisks, Sequence[str], str], Iterator[Stored]]


def _changed(
    name: str, src: bytes, edit: Callable[[], Content | Edit], outcome: Outcome, wait: int = 0
) -> Iterator[Stored]:
    try:
        made = edit()
    except GuestError:
        return
    after = made.content if isinstance(made, Edit) else made
    if isinstance(after, bytes) and after != src:
        line, text = _first_difference(src, after)
        yield Stored(name, line, text, after, outcome, wait)


def _first_difference(before: bytes, after: bytes) -> tuple[int, str]:
    new = after.splitlines()
    for number, line in enumerate(before.splitlines(), 1):
        if number > len(new) or line != new[number - 1]:
            return number, shellvars.decode(line.strip())[:200].encode("utf-8", "replace").decode()
    return 1, ""


def _arguments(name: str, src: bytes, disks: StoredDisks, args: Sequence[str], root: str) -> Iterator[Stored]:
    """Dracut reads these before the loader's arguments, the last of which counts."""
    by_loader = {name_of(one) for one in args}
    devices_of = DeviceChange(disks.table, disks.partuuids, gone=disks.gone, is_old=disks.names.is_old)
    unknown: dict[str, None] = {}

    def change(texts: Sequence[str], line: ArgLine) -> Rewrite:
        found = devices_of(texts, line)
        for at, text in enumerate(texts):
            key, value = name_of(text), value_of(text)
            if at in found.replace or key not in DEVICE_ARGUMENTS or not disks.names.is_old(value):
                continue
            if disks.known and (key in by_loader or key != "root"):
                found.replace[at] = None
            else:
                unknown[text] = None
        return found

    only = b"root=" in src and "root" not in by_loader
    for one in _changed(name, src, lambda: argplaces.rewrite(src, "cmdline", change), "waits", RESUME_WAIT):
        yield replace(one, outcome="stops", seconds=0) if only or devices_of.stale else one
    for text in unknown:
        yield Stored(name, 1, text, src, "waits", RESUME_WAIT, fixed=False)


def _root(name: str, src: bytes, disks: StoredDisks, args: Sequence[str], root: str) -> Iterator[Stored]:
    """ROOT= of initramfs-tools counts where the loader gives no root=."""
    value = shellvars.get(src, "ROOT") or ""
    spec = devices.resolve(value, disks.table) if disks.names.is_old(value) else None
    if spec and not any(name_of(one) == "root" for one in args):
        yield from _changed(name, src, lambda: shellvars.set_value(src, "ROOT", spec or ""), "stops")


def _own_units(name: str, src: bytes, disks: StoredDisks, args: Sequence[str], root: str) -> Iterator[Stored]:
    """A unit of the administrator's in the image: what it mounts or requires by an old name does not come."""
    from guestfix.editors.storage import units  # few images have such a file

    yield from _changed(name, src, lambda: units.set_device(src, table=disks.table, old=disks.names.old), "stops")


def _resume(name: str, src: bytes, disks: StoredDisks, args: Sequence[str], root: str) -> Iterator[Stored]:
    value = shellvars.get(src, "RESUME") or ""
    if not value or value in ("none", "auto"):
        return
    spec = devices.resolve(value, disks.table) if disks.names.is_old(value) else None
    if spec or disks.gone(value):
        after = shellvars.set_value(src, "RESUME", spec or "none")
        yield from _changed(name, src, lambda: after, "waits", RESUME_WAIT)
    elif disks.names.is_old(value):
        yield Stored(name, 1, f"RESUME={value}", src, "waits", RESUME_WAIT, fixed=False)


def _crypttab(name: str, src: bytes, disks: StoredDisks, args: Sequence[str], root: str) -> Iterator[Stored]:
    """A line whose device is gone costs a wait under systemd; initramfs-tools ends in a shell."""

    def edit() -> Content | Edit:
        made = crypttab.set_device(src, table=disks.table, partuuids=disks.partuuids, types=disks.types)
        after = made.content if isinstance(made, Edit) else made
        return crypttab.without(after, disks.gone) if isinstance(after, bytes) else after

    def lost() -> Content | Edit:
        return crypttab.without(src, disks.gone)

    systemd = not name.startswith("cryptroot/")
    if systemd and edit() == lost():
        yield from _changed(name, src, lost, "waits", DEVICE_WAIT)
    else:
        yield from _changed(name, src, edit, "stops")


def _cryptroot(name: str, src: bytes, disks: StoredDisks, args: Sequence[str], root: str) -> Iterator[Stored]:
    """Debian 8 and before: a line of ``target=...,source=...`` for each volume, and a shell for one that is gone."""
    after = []
    for line in src.splitlines(keepends=True):
        match = _SOURCE.search(line)
        device = shellvars.decode(match[1]) if match else ""
        spec = devices.resolve(device, disks.table) if match and disks.names.is_old(device) else None
        if match and spec:
            line = line[: match.start(1)] + shellvars.encode(devices.link_of(spec)) + line[match.end(1) :]
        elif match and disks.gone(device):
            line = b""
        after.append(line)
    yield from _changed(name, src, lambda: b"".join(after), "stops")


def _fstab(name: str, src: bytes, disks: StoredDisks, args: Sequence[str], root: str) -> Iterator[Stored]:
    """What systemd mounts in the initramfs; it does not go on without one that is not there."""

    def edit() -> Content | Edit:
        made = fstab.set_device(src, table=disks.table, types=disks.types, old=disks.names.old)
        after = made.content if isinstance(made, Edit) else made
        return fstab.without(after, disks.gone, _ROOTS) if isinstance(after, bytes) else after

    yield from _changed(name, src, edit, "stops")
    for entry in readable(src):
        if entry.place in _ROOTS and entry.place != "/" and fstab.names_device(entry) and disks.gone(entry.spec):
            yield Stored(name, entry.number, entry.text, src, "stops", fixed=False, gone=True)


def _devices_file(name: str, src: bytes, disks: StoredDisks, args: Sequence[str], root: str) -> Iterator[Stored]:
    """The disks that lvm may use, by their own numbers; without the file it uses them all."""
    line = lvmdevices.first_old(src)
    if line is not None:
        logical = devices.is_layered(root) and not root.startswith("/dev/md")
        yield Stored(name, line.number, line.text, None, "stops" if logical else "", link="guestfix-uses-all-disks")


def _mdadm(name: str, src: bytes, disks: StoredDisks, args: Sequence[str], root: str) -> Iterator[Stored]:
    from guestfix.editors.storage import assembly  # its grammars load only where an image has such a file

    outcome: Outcome = "stops" if root.startswith("/dev/md") else ""
    yield from _changed(name, src, lambda: assembly.any_member(src), outcome)


def _lvm(name: str, src: bytes, disks: StoredDisks, args: Sequence[str], root: str) -> Iterator[Stored]:
    from guestfix.editors.storage import assembly

    logical = devices.is_layered(root) and not root.startswith("/dev/md")
    yield from _changed(name, src, lambda: assembly.any_volume(src, prefix=disks.prefix), "stops" if logical else "")


def _waiting(name: str, src: bytes, disks: StoredDisks, args: Sequence[str], root: str) -> Iterator[Stored]:
    """A hook that is not content keeps dracut's queue waiting, and after the time-out comes the emergency shell."""
    after, unknown = src, False
    for raw in dict.fromkeys(_DEVICE.findall(src)):
        device = shellvars.decode(raw)
        spec = devices.resolve(device, disks.table) if disks.names.is_old(device) else None
        if spec:
            tag, _, identity = spec.partition("=")
            after = re.sub(
                re.escape(raw) + rb"(?![^\s\"';&|)])", f"/dev/disk/by-{tag.lower()}/{identity}".encode(), after
            )
        elif disks.gone(device):
            after = b":\n"
            break
        else:
            unknown = unknown or disks.names.is_old(device)
    yield from _changed(name, src, lambda: after, "stops")
    if unknown and after == src:
        yield Stored(name, *_line_of(src, b"/dev/"), src, "stops", fixed=False)


def _rules(name: str, src: bytes, disks: StoredDisks, args: Sequence[str], root: str) -> Iterator[Stored]:
    """A link that a rule gives by what only the old disk has, where an argument goes by that link."""
    values = [value_of(one) for one in args if name_of(one) in DEVICE_ARGUMENTS]
    wanted = [one for one in values if one.startswith("/dev/") and not devices.tag(one) and not devices.is_layered(one)]
    wanted = [one for one in wanted if not devices.is_unstable(one) and devices.normal(one) not in disks.table]
    for link in given.links_in(name, src) if wanted else ():
        if any(devices.matches(one, link.pattern) for one in wanted):
            yield Stored(name, link.place.line, link.place.text, src, "stops", fixed=False)


def _nic_rules(name: str, src: bytes, disks: StoredDisks, args: Sequence[str], root: str) -> Iterator[Stored]:
    """What names a NIC by its old address; the root's own copy is what network/persistent-names changes."""
    if b"NAME" not in src and b"rename_netiface" not in src and b"[Match]" not in src:
        return
    from guestfix.detect.initramfs import copies  # few images have such a file

    found = (copies.link_of_nic if name.endswith(".link") else copies.rules_of_nics)(src)
    if found is not None:
        yield Stored(name, found[0], found[1][:200], found[2], "", nic=True)


def _luns(name: str, src: bytes, disks: StoredDisks, args: Sequence[str], root: str) -> Iterator[Stored]:
    """What multipath calls the LUNs of the old storage."""
    from guestfix.detect.initramfs import copies

    if name.endswith(".conf"):
        found = copies.without_aliases(src, disks.names)
    else:
        found = copies.without_luns(src, disks.names, name.endswith("bindings"))
    if found is not None:
        yield Stored(name, *found, "")


def _start_scripts(name: str, src: bytes, disks: StoredDisks, args: Sequence[str], root: str) -> Iterator[Stored]:
    """SUSE's mkinitrd stores the root's and the swap area's devices, which count where no argument says other."""
    from guestfix.detect.initramfs import copies

    def resolve(value: str) -> str | None:
        spec = devices.resolve(value, disks.table) if disks.names.is_old(value) else None
        return devices.link_of(spec) if spec else "" if disks.gone(value) else None

    by_loader = {name_of(one) for one in args}
    for variable, value, after in copies.start_variables(src, "root" not in by_loader, resolve):
        outcome: Outcome = "stops" if variable == "rootdev" else "" if "resume" in by_loader else "waits"
        line, text = _line_of(src, variable.encode() + b"=")
        yield Stored(name, line, text or value, after, outcome, RESUME_WAIT if outcome == "waits" else 0)


def _line_of(src: bytes, mark: bytes) -> tuple[int, str]:
    for number, line in enumerate(src.splitlines(), 1):
        if mark in line:
            return number, shellvars.decode(line.strip())[:200].encode("utf-8", "replace").decode()
    return 1, ""


def _units(image: Image, disks: StoredDisks) -> Iterator[Stored]:
    """A target that wants a device's unit waits for it: dracut switches the time-out of such units off."""
    for name in sorted(image.entries):
        match = _UNIT.match(name)
        entry = image.entries[name]
        if match is None or entry.target == "/dev/null":
            continue
        device = "/" + _HEX.sub(lambda one: chr(int(one[1], 16)), match["name"].replace("-", "/"))
        if disks.gone(device) or (disks.names.is_old(device) and disks.known):
            yield Stored(name, 0, device, None, "stops")
        elif disks.names.is_old(device):
            yield Stored(name, 0, device, b"", "stops", fixed=False)


_LOOKS: tuple[tuple[re.Pattern[str], Look], ...] = (
    (_ARGUMENTS, _arguments),
    (_RESUME, _resume),
    (_RESUME, _root),
    (_UNITS, _own_units),
    (_CRYPTTAB, _crypttab),
    (_CRYPTROOT, _cryptroot),
    (_DEVICES_FILE, _devices_file),
    (_RULES, _rules),
    (_RULES, _nic_rules),
    (_LINK, _nic_rules),
    (_LUNS, _luns),
    (_START, _start_scripts),
    (_FSTAB, _fstab),
    (_MDADM, _mdadm),
    (LVM, _lvm),
    (_WAITING, _waiting),
)
