"""What an initramfs has stored of the machine that it was made on, and what it has to say on the target.

A copy inside the image counts at boot whatever the root's own file says. Sources: dracut.cmdline(7) (etc/cmdline.d),
dracut's wait_for_dev (hooks/initqueue/finished/devexists-*.sh), initramfs-tools(7) (conf/conf.d/resume), crypttab(5),
mdadm.conf(5), lvm.conf(5), systemd.unit(5) (a link to /dev/null takes a .wants/ dependency away).
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Sequence
from typing import Literal

from guestfix.base.catalog.facts.storage import (
    DISKS_COMPLETE,
    DISKS_DOUBTFUL,
    DISKS_FSTYPE_BY_SPEC,
    DISKS_KNOWN,
    DISKS_OLD_NAMES,
    DISKS_PARTUUID_BY_DEVICE,
    DISKS_SPECS,
    DISKS_UUID_BY_DEVICE,
)
from guestfix.base.edit import Content, Edit
from guestfix.base.errors import GuestError
from guestfix.base.facts import Facts
from guestfix.base.patterns import regex
from guestfix.base.record import frozen
from guestfix.editors.boot.args import DEVICE_ARGUMENTS, DeviceChange
from guestfix.editors.initramfs import resume
from guestfix.editors.storage import crypttab, fstab
from guestfix.formats import shellvars
from guestfix.formats.boot import argplaces
from guestfix.formats.boot.cmdline import ArgLine, Rewrite, name_of, value_of
from guestfix.formats.initramfs.image import Image
from guestfix.formats.storage import devices
from guestfix.formats.storage.known import known

Outcome = Literal["", "waits", "stops"]

RESUME_WAIT = 30
"""Seconds that scripts/local-premount/resume of initramfs-tools waits for the device; dracut waits no less."""

_ARGUMENTS = regex(r"etc/cmdline(?:\.d/[^/]+\.conf)?$")
_RESUME = regex(r"conf/(?:initramfs\.conf|conf\.d/[^/]+)$")
_CRYPTTAB = regex(r"(?:etc|cryptroot)/crypttab$")
_FSTAB = regex(r"etc/fstab(?:\.sys|\.empty)?$")
_MDADM = regex(r"etc/(?:mdadm/)?mdadm\.conf$")
_LVM = regex(r"etc/lvm/lvm(?:local)?\.conf$")
_WAITING = regex(r"(?:(?:usr|var)/)?lib/dracut/hooks/initqueue/finished/devexists-[^/]*\.sh$")
_UNIT = regex(r"(?:etc|(?:usr/)?lib|run)/systemd/system/[^/]+\.(?:wants|requires)/(?P<name>dev-[^/]+)\.device$")
_DEVICE = regex(rb"/dev/[^\s\"';&|)]+")
_HEX = regex(r"\\x([0-9a-f]{2})")


@frozen
class Stored:
    """A file of an image that names what the target has not. ``after`` is what it has to hold; None: a link to nothing.

    ``text`` is the first line that changes. ``fixed`` is false where nothing tells what the name means.
    """

    name: str
    line: int
    text: str
    after: bytes | None
    outcome: Outcome
    seconds: int = 0
    fixed: bool = True


@frozen
class _Disks:
    """What is known of the guest's disks."""

    known: bool
    table: dict[str, str]
    partuuids: dict[str, str]
    types: dict[str, str]
    specs: list[str]
    complete: bool
    doubtful: list[str]
    old: list[str]

    def gone(self, name: str) -> bool:
        """Tell whether a name means nothing on the target: no volume that is known answers to it."""
        if not self.known:
            return False
        unstable = devices.is_unstable(name) and devices.resolve(name, self.table) is None
        return unstable or known(self.table, self.specs, True, self.complete, self.doubtful, self.old).is_gone(name)


def stored(facts: Facts, image: Image, args: Sequence[str], root: str) -> list[Stored]:
    """Return what an image has stored that does not hold on the target. ``root`` is what / is mounted from."""
    disks = _Disks(
        bool(facts.value(DISKS_KNOWN)),
        dict(facts.value(DISKS_UUID_BY_DEVICE, {})),
        dict(facts.value(DISKS_PARTUUID_BY_DEVICE, {})),
        dict(facts.value(DISKS_FSTYPE_BY_SPEC, {})),
        list(facts.value(DISKS_SPECS, [])),
        bool(facts.value(DISKS_COMPLETE)),
        list(facts.value(DISKS_DOUBTFUL, [])),
        list(facts.value(DISKS_OLD_NAMES, [])),
    )
    found: list[Stored] = []
    for name, src in sorted(image.files.items()):
        for pattern, look in _LOOKS:
            if pattern.match(name):
                found += look(name, src, disks, args, root)
    return found + list(_units(image, disks))


Look = Callable[[str, bytes, _Disks, Sequence[str], str], Iterator[Stored]]


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


def _arguments(name: str, src: bytes, disks: _Disks, args: Sequence[str], root: str) -> Iterator[Stored]:
    """Dracut reads these before the loader's arguments, the last of which counts."""
    by_loader = {name_of(one) for one in args}
    devices_of = DeviceChange(disks.table, disks.partuuids, gone=disks.gone)
    unknown: dict[str, None] = {}

    def change(texts: Sequence[str], line: ArgLine) -> Rewrite:
        found = devices_of(texts, line)
        for at, text in enumerate(texts):
            key, value = name_of(text), value_of(text)
            if at in found.replace or key not in DEVICE_ARGUMENTS or not devices.is_unstable(value):
                continue
            if disks.known and (key in by_loader or key != "root"):
                found.replace[at] = None
            else:
                unknown[text] = None
        return found

    only = b"root=" in src and "root" not in by_loader
    yield from _changed(
        name, src, lambda: argplaces.rewrite(src, "cmdline", change), "stops" if only else "waits", RESUME_WAIT
    )
    for text in unknown:
        yield Stored(name, 1, text, src, "waits", RESUME_WAIT, fixed=False)


def _resume(name: str, src: bytes, disks: _Disks, args: Sequence[str], root: str) -> Iterator[Stored]:
    def edit() -> Content | Edit:
        made = resume.set_resume(src, table=disks.table, specs=disks.specs, complete=disks.complete)
        after = made.content if isinstance(made, Edit) else made
        left = shellvars.get(after, "RESUME") if isinstance(after, bytes) else None
        if isinstance(after, bytes) and left and disks.gone(left):
            return shellvars.set_value(after, "RESUME", "none")
        return made

    told = False
    for one in _changed(name, src, edit, "waits", RESUME_WAIT):
        told = True
        yield one
    value = shellvars.get(src, "RESUME") or ""
    if not told and devices.is_unstable(value):
        yield Stored(name, 1, f"RESUME={value}", src, "waits", RESUME_WAIT, fixed=False)


def _crypttab(name: str, src: bytes, disks: _Disks, args: Sequence[str], root: str) -> Iterator[Stored]:
    def edit() -> Content | Edit:
        return crypttab.set_device(src, table=disks.table, partuuids=disks.partuuids, types=disks.types)

    yield from _changed(name, src, edit, "stops")


def _fstab(name: str, src: bytes, disks: _Disks, args: Sequence[str], root: str) -> Iterator[Stored]:
    yield from _changed(name, src, lambda: fstab.set_device(src, table=disks.table, types=disks.types), "stops")


def _mdadm(name: str, src: bytes, disks: _Disks, args: Sequence[str], root: str) -> Iterator[Stored]:
    from guestfix.editors.storage import assembly  # its grammars load only where an image has such a file

    outcome: Outcome = "stops" if root.startswith("/dev/md") else ""
    yield from _changed(name, src, lambda: assembly.any_member(src), outcome)


def _lvm(name: str, src: bytes, disks: _Disks, args: Sequence[str], root: str) -> Iterator[Stored]:
    from guestfix.editors.storage import assembly

    logical = devices.is_layered(root) and not root.startswith("/dev/md")
    yield from _changed(name, src, lambda: assembly.any_volume(src), "stops" if logical else "")


def _waiting(name: str, src: bytes, disks: _Disks, args: Sequence[str], root: str) -> Iterator[Stored]:
    """A hook that is not content keeps dracut's queue waiting, and after the time-out comes the emergency shell."""
    after, unknown = src, False
    for raw in dict.fromkeys(_DEVICE.findall(src)):
        device = shellvars.decode(raw)
        spec = devices.resolve(device, disks.table) if devices.is_unstable(device) else None
        if spec:
            tag, _, identity = spec.partition("=")
            after = re.sub(
                re.escape(raw) + rb"(?![^\s\"';&|)])", f"/dev/disk/by-{tag.lower()}/{identity}".encode(), after
            )
        elif disks.gone(device):
            after = b":\n"
            break
        else:
            unknown = unknown or devices.is_unstable(device)
    yield from _changed(name, src, lambda: after, "stops")
    if unknown and after == src:
        yield Stored(name, *_line_of(src, b"/dev/"), src, "stops", fixed=False)


def _line_of(src: bytes, mark: bytes) -> tuple[int, str]:
    for number, line in enumerate(src.splitlines(), 1):
        if mark in line:
            return number, shellvars.decode(line.strip())[:200].encode("utf-8", "replace").decode()
    return 1, ""


def _units(image: Image, disks: _Disks) -> Iterator[Stored]:
    """A target that wants a device's unit waits for it: dracut switches the time-out of such units off."""
    for name in sorted(image.entries):
        match = _UNIT.match(name)
        entry = image.entries[name]
        if match is None or entry.target == "/dev/null":
            continue
        device = "/" + _HEX.sub(lambda one: chr(int(one[1], 16)), match["name"].replace("-", "/"))
        if disks.gone(device) or (devices.is_unstable(device) and disks.known):
            yield Stored(name, 0, device, None, "stops")
        elif devices.is_unstable(device):
            yield Stored(name, 0, device, b"", "stops", fixed=False)


_LOOKS: tuple[tuple[re.Pattern[str], Look], ...] = (
    (_ARGUMENTS, _arguments),
    (_RESUME, _resume),
    (_CRYPTTAB, _crypttab),
    (_FSTAB, _fstab),
    (_MDADM, _mdadm),
    (_LVM, _lvm),
    (_WAITING, _waiting),
)
