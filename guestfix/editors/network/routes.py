"""Files of routes beside ifcfg files: what leads to the old network out of them, what is on the link itself kept.

Sources: sysconfig.txt of initscripts (route-*: lines of ip-route(8), or ADDRESSn), ifroute(5) of wicked (destination,
gateway, netmask, device).
"""

from __future__ import annotations

from collections.abc import Collection

from guestfix.base.edit import Splice, apply_splices
from guestfix.formats.network.ifcfg import NUMBERED, numbered_route, values
from guestfix.formats.network.nic import is_link_local
from guestfix.formats.shellvars import assignments, decode, encode

_ANYWHERE = ("default", "0.0.0.0/0", "0/0", "::/0")
_NOBODY = ("-", "0.0.0.0", "::")


def on_link(src: bytes | None, *, suse: bool = False) -> bytes | None:
    """Keep of one interface's routes those on the link itself, which any network has; None where there is none."""
    if src is None:
        return None
    if not suse and any(NUMBERED.match(name) for name in values(src)):
        return _numbered(src)
    splices, at, kept = [], 0, False
    for line in src.splitlines(keepends=True):
        text = decode(line).strip()
        stays = _stays(text.split()) if suse else is_link_local(text)
        if text and not text.startswith("#") and not stays:
            splices.append(Splice(at, len(line), b""))
        kept = kept or stays
        at += len(line)
    return apply_splices(src, splices) if kept else None


def _numbered(src: bytes) -> bytes | None:
    """Renumber what stays: the network scripts stop at the first number that is not there."""
    known = values(src)
    numbers = [match[1] for name in known if (match := NUMBERED.match(name))]
    kept = {number for number in numbers if is_link_local(numbered_route(known, number))}
    if not kept or len(kept) == len(numbers):
        return src if kept else None
    new = {number: str(index) for index, number in enumerate(one for one in numbers if one in kept)}
    splices = []
    for one in assignments(src):
        stem = one.name.rstrip("0123456789")
        number = one.name[len(stem) :]
        at = src.index(encode(one.name), one.start, one.value_start)
        if number in new:
            splices.append(Splice(at, len(one.name), encode(stem + new[number])))
        else:
            splices.append(Splice(one.start, one.end - one.start, b""))
    return apply_splices(src, splices)


def _stays(words: list[str]) -> bool:
    """Tell whether a line of SUSE's leads to addresses of the link itself through no gateway."""
    return is_link_local((words or [""])[0]) and (words[1:2] or ["-"])[0] in _NOBODY


def no_old_routes(
    src: bytes | None, *, devices: Collection[str] = (), gone: Collection[str] = (), loose: bool = False
) -> bytes | None:
    """Comment out routes of SUSE's /etc/sysconfig/network/routes that lead to the old network.

    These are default routes and those of ``devices``; with ``loose`` also those that name no device. What is on the
    link itself stays, but for devices that are ``gone``.
    """
    if src is None:
        return None
    splices, at = [], 0
    for line in src.splitlines(keepends=True):
        words = decode(line).split()
        device = (words[3:4] or ["-"])[0]
        old = _old_route(words, device, {*devices, *gone}, loose)
        if old and (device in gone or not _stays(words)):
            splices.append(Splice(at, 0, b"# guestfix: "))
        at += len(line)
    return apply_splices(src, splices)


def _old_route(words: list[str], device: str, devices: Collection[str], loose: bool) -> bool:
    if not words or words[0].startswith("#"):
        return False
    if words[0] in _ANYWHERE:
        return True
    return len(words) > 1 and (device in devices or (loose and device == "-"))
