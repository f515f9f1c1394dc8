"""Changes to /etc/crypttab: device names to UUIDs, and lines whose device did not come along.

Sources: crypttab(5) of systemd and of Debian's cryptsetup.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

from guestfix.base.bounds import MOUNT_TABLE
from guestfix.base.edit import Content, Edit, Note, Splice, Table, apply_splices
from guestfix.base.errors import EditError
from guestfix.formats.storage import devices
from guestfix.formats.storage.fstab import Span, escape, fields, lines, show, unescape

MAX_BYTES = MOUNT_TABLE
"""A larger file is not one that somebody wrote; it is refused before any time is spent on it."""

_RANDOM = ("/dev/urandom", "/dev/random", "/dev/hw_random")
_HEADERLESS = ("swap", "tmp", "plain")


def set_device(src: bytes | None, *, table: Table, partuuids: Table, types: Table) -> Content | Edit:
    """Name the encrypted devices by UUID, or by PARTUUID where the content has no UUID that lasts.

    ``table``, ``partuuids`` and ``types`` are the facts disks.uuid_by_device, disks.partuuid_by_device and
    disks.fstype_by_spec. A device with a random key (swap, /tmp) is overwritten at every boot: where its
    partition can't be told, the line becomes a comment, for its name could be another disk's next time.
    Any other unknown device stays, with a finding.
    """
    if src is None:
        return src
    if len(src) > MAX_BYTES:
        raise EditError(f"larger than {MAX_BYTES} bytes, so it is no list of encrypted volumes")
    volumes, partitions = devices.Resolver(table), devices.Resolver(partuuids)
    splices: list[Splice] = []
    notes: list[Note] = []
    for number, start, raw in lines(src):
        spans = fields(raw, start)
        texts = [unescape(src[span.start : span.end]) for span in spans[:4]]
        if len(texts) < 2 or not devices.is_unstable(texts[1]):
            continue
        spec = _spec(texts, volumes, partitions, types)
        if spec:
            splices.append(_replace(spans[1], escape(spec)))
        elif _has_random_key(texts):
            splices.append(_comment_out(start, raw))
            notes.append(_disabled(texts))
        else:
            notes.append(_unresolved(number, raw, texts))
    content = apply_splices(src, splices)
    return Edit(content, tuple(notes)) if notes else content


LENIENT = "nofail,x-systemd.device-timeout=30s"
"""What keeps systemd from waiting for a mapping (crypttab(5)); init scripts pass over a device that is not there."""


def guard_missing(src: bytes | None, *, old: Sequence[str], init: str) -> Content | Edit:
    """Keep the boot from waiting for mappings that can't be opened: they get ``nofail`` where systemd opens them.

    ``old`` is the fact disks.old_names, which has the names of mappings that lost their device or the filesystem of
    their key; ``init`` is fstab.init. Lines with noauto or nofail stay.
    """
    if src is None or init != "systemd" or len(src) > MAX_BYTES:
        return src
    splices: list[Splice] = []
    notes: list[Note] = []
    for number, start, raw in lines(src):
        spans = fields(raw, start)[:4]
        texts = [unescape(src[span.start : span.end]) for span in spans]
        if len(texts) < 2 or f"/dev/mapper/{texts[0]}" not in old:
            continue
        options = {one.partition("=")[0] for one in texts[3].split(",")} if len(texts) > 3 else set[str]()
        if {"nofail", "noauto"} & options:
            continue
        add = ",".join(one for one in LENIENT.split(",") if one.partition("=")[0] not in options)
        lead = b"," if len(texts) > 3 else b" " if len(texts) == 3 else b" none "
        splices.append(Splice(spans[-1].end, 0, lead + add.encode()))
        name, device = _shown(texts[0]), _shown(texts[1])
        summary = f"the encrypted volume {name} would hold up the boot: {device}, or the disk of its key, is not there"
        notes.append(Note("warning", summary, number, show(raw), "", "GF-CRYPTTAB-MISSING"))
        notes.append(Note("follow_up", f"nofail was added to {name} in /etc/crypttab: attach its disk, then remove it"))
    return Edit(apply_splices(src, splices), tuple(notes)) if notes else src


def without(src: bytes, gone: Callable[[str], bool]) -> bytes:
    """Return the table of an initramfs with its lines of volumes that are gone turned into comments."""
    splices = []
    for _, start, raw in lines(src):
        spans = fields(raw, start)[:2]
        if len(spans) > 1 and gone(unescape(src[spans[1].start : spans[1].end])):
            splices.append(Splice(start, 0, b"# guestfix: its disk did not come along: "))
    return apply_splices(src, splices) if splices else src


def _replace(span: Span, data: bytes) -> Splice:
    return Splice(span.start, span.end - span.start, data)


def _has_random_key(texts: list[str]) -> bool:
    return len(texts) > 2 and texts[2] in _RANDOM


def _spec(texts: list[str], volumes: devices.Resolver, partitions: devices.Resolver, types: Table) -> str | None:
    options = texts[3].split(",") if len(texts) > 3 else []
    if _has_random_key(texts) or any(option in _HEADERLESS for option in options):
        return partitions.find(texts[1])
    spec = volumes.find(texts[1])
    return spec if spec and types.get(spec, "crypto_LUKS") in ("crypto_LUKS", "BitLocker") else None


def _comment_out(start: int, raw: bytes) -> Splice:
    why = b"# guestfix: disabled, the name may be another disk's now, which would be overwritten: "
    return Splice(start, len(raw), why + raw.replace(b"\0", b"\\000"))


def _shown(text: str) -> str:
    return show(text.encode("utf-8", "surrogateescape"))


def _disabled(texts: list[str]) -> Note:
    name, device = _shown(texts[0]), _shown(texts[1])
    summary = f"{name} on {device} was disabled in /etc/crypttab: name its partition by PARTUUID, then enable it"
    return Note("follow_up", summary)


def _unresolved(number: int, raw: bytes, texts: list[str]) -> Note:
    summary = f"the encrypted volume {_shown(texts[0])} is on {_shown(texts[1])}, whose UUID is not known"
    remedy = "describe the guest's disks with --disks, or name the volume by UUID= in /etc/crypttab"
    return Note("warning", summary, number, show(raw), remedy, "GF-CRYPTTAB-UNRESOLVED")
