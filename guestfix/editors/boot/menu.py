"""The boot menu's own settings in the files that loaders read: timeout, terminal, drives, commands.

Sources: GNU GRUB manual ("timeout", "timeout_style", "terminal_output"); GRUB Legacy manual ("hiddenmenu",
"terminal", "device.map"); loader.conf(5). Sources of grub-mkconfig are :mod:`guestfix.editors.boot.grubdefault`'s.
"""

from __future__ import annotations

import re
from collections.abc import Iterator

from guestfix.base.edit import Content, Splice, append_lines, apply_splices, insert_lines
from guestfix.base.patterns import regex
from guestfix.formats.boot import grubcfg, grubenv, grublegacy, syslinux
from guestfix.formats.boot.grubcfg import Node, Script
from guestfix.formats.shellvars import decode, drop, encode, settled

_TIMEOUT = regex(rb"[ \t]*+timeout=(?P<quote>[\"']?)(?P<value>-?\d{1,9})(?P=quote)[ \t\r]*+")
_STYLE = regex(rb"[ \t]*+timeout_style=(?P<quote>[\"']?)(?P<value>hidden)(?P=quote)[ \t\r]*+")
_NUMBER = regex(r"-?\d{1,9}\Z")
_OWN_CONDITIONS = (b"menu_auto_hide", b"menu_show_once", b"fastboot", b"recordfail", b"boot_once", b"$have_grubenv")
"""Conditions on a former boot or on the user, below which a timeout of its own makes sense."""


def grub_timeout(src: bytes | None, *, seconds: int, longest: int) -> Content:
    """Make grub.cfg show its menu for a short while.

    Timeouts outside 1 to ``longest`` become ``seconds``, a hidden menu is shown. A file with entries that
    sets no timeout, so that GRUB would wait for ever, gets one. Timeouts that depend on how the last boot
    went stay.
    """
    if src is None or (b"timeout" not in src and b"menuentry" not in src):
        return src
    script = grubcfg.parse(src)
    splices: list[Splice] = []
    for node in _settings(script):
        match = _TIMEOUT.fullmatch(src, node.rest_start, node.rest_end)
        if match and not 1 <= int(match["value"]) <= longest:
            splices.append(_over(match, str(seconds)))
        match = _STYLE.fullmatch(src, node.rest_start, node.rest_end)
        if match:
            splices.append(_over(match, "menu"))
    if b"timeout=" not in src and any(node.name == b"menuentry" for node in script.nodes):
        splices.insert(0, insert_lines(src, 0, b"set timeout=%d" % seconds))
    return apply_splices(src, splices)


def _over(match: re.Match[bytes], text: str) -> Splice:
    start, end = match.span("value")
    return Splice(start, end - start, text.encode())


def _settings(script: Script) -> Iterator[Node]:
    """Yield the set commands outside of entries and functions, but for those under a condition of their own."""
    todo = [iter(script.nodes)]
    while todo:
        node = next(todo[-1], None)
        if node is None:
            todo.pop()
        elif node.name == b"set":
            yield node
        for condition, body in node.branches or () if node else ():
            first = condition[0].start if condition else 0
            text = script.src[first : condition[-1].rest_end] if condition else b""
            if not any(mark in text for mark in _OWN_CONDITIONS):
                todo.append(iter(body))


def legacy_timeout(src: bytes | None, *, seconds: int, longest: int) -> Content:
    """Make a GRUB Legacy menu show for a short while; ``hiddenmenu`` becomes a comment."""
    if src is None:
        return src
    menu = grublegacy.parse(src)
    if not menu.stanzas:
        return src
    splices = []
    for one in menu.commands:
        if one.name == "timeout" and _NUMBER.match(one.rest) and not 1 <= int(one.rest) <= longest:
            splices.append(Splice(one.start, one.end - one.start, str(seconds).encode()))
        elif one.name == "hiddenmenu":
            splices.append(Splice(one.at, 0, b"#"))
    if not any(one.name == "timeout" for one in menu.commands):
        splices.insert(0, insert_lines(src, 0, b"timeout=%d" % seconds))
    return apply_splices(src, splices)


def syslinux_timeout(src: bytes | None, *, seconds: int, longest: int) -> Content:
    """Make a menu or prompt of syslinux start its default after a short while; its unit is a tenth of a second.

    A file that shows neither stays: its default starts at once.
    """
    if src is None:
        return src
    found = list(syslinux.directives(src))
    asks = [
        one for one in found if one.name == "ui" or (one.name == "prompt" and one.rest.split()[:1] not in ([], ["0"]))
    ]
    asks += [one for one in found if one.name == "default" and one.rest.lower().split(" ")[0].endswith(".c32")]
    times = [one for one in found if one.name == "timeout"]
    if not asks:
        return src
    if not times and not any(one.name == "totaltimeout" for one in found):
        return apply_splices(src, [insert_lines(src, 0, b"TIMEOUT %d" % (seconds * 10))])
    wrong = [one for one in times if _NUMBER.match(one.rest) and not 1 <= int(one.rest) <= longest * 10]
    return apply_splices(src, [Splice(one.rest_start, len(encode(one.rest)), b"%d" % (seconds * 10)) for one in wrong])


_LOADER = regex(rb"^[ \t]*timeout[ \t]+(?P<value>[^\s#]+)", re.MULTILINE)


def loader_timeout(src: bytes | None, *, seconds: int, longest: int) -> Content:
    """Make systemd-boot's loader.conf show the menu for a short while. Without a timeout there is no menu."""
    if src is None:
        return src
    found = list(_LOADER.finditer(src))
    if not found:
        return append_lines(src, b"timeout %d" % seconds)
    last, value = found[-1], decode(found[-1]["value"])
    if _NUMBER.match(value) and 1 <= int(value) <= longest:
        return src
    return src[: last.start("value")] + str(seconds).encode() + src[last.end("value") :]


def env_show_menu(src: bytes | None) -> Content:
    """Take menu_auto_hide out of GRUB's environment block: Fedora and RHEL hide the menu by it."""
    return src if src is None or not grubenv.is_block(src) else grubenv.unset(src, "menu_auto_hide")


# terminals


def grub_terminal(src: bytes | None) -> Content:
    """Let GRUB use the screen and keyboard too where grub.cfg names only a serial port."""
    if src is None or b"serial" not in src:
        return src
    splices = []
    for node in grubcfg.parse(src).walk():
        if node.name in (b"terminal_input", b"terminal_output", b"terminal"):
            words = src[node.rest_start : node.rest_end].split()
            if words and all(word.startswith(b"serial") for word in words):
                end = node.rest_start + len(src[node.rest_start : node.rest_end].rstrip())
                splices.append(Splice(end, 0, b" console"))
    return apply_splices(src, splices)


def legacy_terminal(src: bytes | None) -> Content:
    """Let GRUB Legacy use the screen too where its menu names only a serial port."""
    if src is None:
        return src
    splices = []
    for one in grublegacy.parse(src).commands:
        words = [word for word in one.rest.split() if not word.startswith("--")]
        if one.name == "terminal" and words and all(word == "serial" for word in words):
            splices.append(Splice(one.end, 0, b" console"))
    return apply_splices(src, splices)


def default_terminal(src: bytes | None) -> Content:
    """Let grub-mkconfig name the screen too where GRUB_TERMINAL is a serial port alone."""
    if src is None:
        return src
    splices = []
    for one in settled(src):
        names = ("GRUB_TERMINAL", "GRUB_TERMINAL_INPUT", "GRUB_TERMINAL_OUTPUT")
        if one.name in names and not one.dynamic and one.value.split() == ["serial"]:
            splices.append(Splice(one.value_start, one.value_end - one.value_start, b'"serial console"'))
    return apply_splices(src, splices)


def default_uuid(src: bytes | None) -> Content:
    """Let grub-mkconfig write UUIDs: GRUB_DISABLE_LINUX_UUID, _LINUX_PARTUUID and _UUID become comments."""
    if src is None:
        return src
    names = ("GRUB_DISABLE_LINUX_UUID", "GRUB_DISABLE_UUID")
    return drop(src, [one for one in settled(src) if one.name in names and one.value == "true"], b"#")


# drives


def device_map(src: bytes | None, *, prefix: str) -> Content:
    """Make device.map name the target's disks, in the order of the map; floppies and CDs stay."""
    if src is None:
        return src
    splices = []
    drives = [one for one in grublegacy.device_map(src) if one.drive.startswith("(hd")]
    for at, one in enumerate(drives[:26]):
        name = disk_name(prefix, at)
        if name and one.device != name and not one.device.startswith(("/dev/mapper/", "/dev/md")):
            splices.append(Splice(one.start, one.end - one.start, encode(name)))
    return apply_splices(src, splices)


def disk_name(prefix: str, place: int) -> str:
    """Return what the target calls its disk at a place counted from 0: /dev/vda, /dev/nvme0n1."""
    if not prefix:
        return ""
    return f"/dev/nvme{place}n1" if prefix == "nvme" else f"/dev/{prefix}{chr(ord('a') + place)}"


_BOOT_COMMENT = regex(rb"^#boot=(?P<device>/dev/\S+)", re.MULTILINE)


def legacy_boot_disk(src: bytes | None, *, prefix: str) -> Content:
    """Make anaconda's ``#boot=/dev/sda`` and ``boot=`` of /etc/sysconfig/grub name the target's first disk.

    grubby and the Red Hat family's updates of GRUB Legacy install the loader there.
    """
    if src is None or not prefix:
        return src
    name = encode(disk_name(prefix, 0))
    spans = [match.span("device") for match in _BOOT_COMMENT.finditer(src)]
    spans += [
        (one.value_start, one.value_end)
        for one in settled(src)
        if one.name == "boot" and one.value.startswith("/dev/") and src[one.value_start : one.value_start + 1] == b"/"
    ]
    splices = []
    for start, end in spans:
        old, new = src[start:end], _keep_number(src[start:end], name)
        if old != new and not old.startswith((b"/dev/mapper/", b"/dev/md")):
            splices.append(Splice(start, end - start, new))
    return apply_splices(src, splices)


def _keep_number(old: bytes, disk: bytes) -> bytes:
    """Return the partition of the new disk that the old name's number means; a whole disk stays whole."""
    match = regex(rb"/dev/(?:[a-z]+?d[a-z]+|nvme\d+n\d+p)(\d+)\Z").search(old)
    if match is None:
        return disk
    return disk + (b"p" if disk[-1:].isdigit() else b"") + match[1]


# commands


def loader_commands(src: bytes | None, *, linux: str, initrd: str) -> Content:
    """Make every entry load its kernel with these commands: linuxefi and initrdefi, or linux and initrd."""
    if src is None:
        return src
    wanted = {b"linux": linux, b"linux16": linux, b"linuxefi": linux}
    wanted |= {b"initrd": initrd, b"initrd16": initrd, b"initrdefi": initrd}
    splices = []
    for node in grubcfg.parse(src).walk():
        name = wanted.get(node.name, "").encode()
        if name and name != node.name:
            splices.append(Splice(node.start, len(node.name), name))
    return apply_splices(src, splices)
