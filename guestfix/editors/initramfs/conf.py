"""Configuration of the programs that build an initramfs: which modules the next rebuild puts in.

Sources: dracut.conf(5), initramfs-tools(7), mkinitcpio.conf(5), mkinitrd(8) of SUSE (/etc/sysconfig/kernel)
and of Red Hat (modprobe.conf's scsi_hostadapter), modprobe.d(5).
"""

from __future__ import annotations

import re

from guestfix.base.edit import Content, Edit, Note, append_lines
from guestfix.base.patterns import regex
from guestfix.formats import shellvars
from guestfix.formats.initramfs import modprobe

_HEAD = b"# Added by guestfix: the drivers of the platform that this system was moved to.\n"
_ARRAY = regex(rb"^(?P<lead>[ \t]*MODULES=)\((?P<body>[^()#'\"$`]*)\)", re.MULTILINE)
_ADAPTER = regex(rb"^[ \t]*alias[ \t]+scsi_hostadapter(\d*)[ \t]+(\S+)", re.MULTILINE)


def _names(modules: list[str]) -> list[str]:
    """Return the module names that can be written into a configuration file, normalised, once each."""
    good = [name.replace("-", "_") for name in modules if regex(r"[A-Za-z0-9_-]{1,64}").fullmatch(name)]
    return list(dict.fromkeys(good))


def dracut_add_drivers(src: bytes | None, *, modules: list[str]) -> Content:
    """Make a dracut.conf.d file add these modules to every image: ``add_drivers+=" a b "``.

    The blanks inside the quotes separate the words from what other files add. Modules that the file
    names already, in add_drivers or force_drivers, are not repeated.
    """
    text = src or b""
    known = {
        word.replace("-", "_")
        for one in shellvars.assignments(text)
        if one.name in ("add_drivers", "force_drivers")
        for word in one.value.split()
    }
    fresh = [name for name in _names(modules) if name not in known]
    if not fresh:
        return src
    line = f'add_drivers+=" {" ".join(fresh)} "'.encode()
    return shellvars.add_lines(text, "add_drivers", *(() if text else (_HEAD.rstrip(),)), line)


def dracut_keep_drivers(src: bytes | None, *, modules: list[str]) -> Content:
    """Take these modules out of omit_drivers in a dracut configuration file."""
    if src is None:
        return None
    wanted = set(_names(modules))
    for one in reversed(shellvars.settled(src)):
        words = one.value.split()
        kept = [word for word in words if word.replace("-", "_") not in wanted]
        if one.name != "omit_drivers" or one.dynamic or len(kept) == len(words):
            continue
        old = src[one.value_start : one.value_end]
        value = " ".join(kept)
        padded = f" {value} " if one.append and value else value
        src = src[: one.value_start] + shellvars.quote(padded, old) + src[one.value_end :]
    return src


def initramfs_tools_add_modules(src: bytes | None, *, modules: list[str]) -> Content:
    """Make /etc/initramfs-tools/modules name these modules, one a line; arguments of those there are kept."""
    text = src or b""
    known = set()
    for line in text.splitlines():
        words = line.split(b"#", 1)[0].split()
        if words:
            known.add(words[0].replace(b"-", b"_").decode("utf-8", "surrogateescape"))
    fresh = [name for name in _names(modules) if name not in known]
    if not fresh:
        return src
    return append_lines(text, *(name.encode() for name in fresh))


def sysconfig_add_modules(src: bytes | None, *, modules: list[str]) -> Content | Edit:
    """Make INITRD_MODULES in SUSE's /etc/sysconfig/kernel name these modules. A file that is absent stays so."""
    if src is None:
        return None
    found = shellvars.find(src, "INITRD_MODULES")
    words = found.value.split() if found else []
    if found is not None and found.dynamic:
        note = "INITRD_MODULES is computed by the shell and was left as it is"
        return Edit(src, (Note("warning", note, found.line, found.value, code="GF-INITRAMFS-NOT-PERSISTENT"),))
    known = {word.replace("-", "_") for word in words}
    fresh = [name for name in _names(modules) if name not in known]
    if not fresh:
        return src
    return shellvars.set_value(src, "INITRD_MODULES", " ".join([*words, *fresh]))


def mkinitcpio_add_modules(src: bytes | None, *, modules: list[str]) -> Content | Edit:
    """Make MODULES in mkinitcpio.conf, an array or a word list, name these modules. No file stays no file."""
    if src is None:
        return None
    arrays, found = list(_ARRAY.finditer(src)), shellvars.find(src, "MODULES")
    if arrays and found is not None and found.sure:
        last = arrays[-1]
        words = last["body"].decode("utf-8", "surrogateescape").split()
        fresh = [name for name in _names(modules) if name not in {word.replace("-", "_") for word in words}]
        if not fresh:
            return src
        glue = b" " if last["body"].strip() else b""
        body = last["body"].rstrip(b" \t") + glue + " ".join(fresh).encode()
        return src[: last.start("body")] + body + src[last.end("body") :]
    if found is None:
        line = f"MODULES=({' '.join(_names(modules))})".encode()
        return shellvars.add_lines(src, "MODULES", line) if _names(modules) else src
    if found.dynamic:
        note = "MODULES is written in a way that is not changed here"
        return Edit(src, (Note("warning", note, found.line, found.value, code="GF-INITRAMFS-NOT-PERSISTENT"),))
    words = found.value.split()
    fresh = [name for name in _names(modules) if name not in {word.replace("-", "_") for word in words}]
    if not fresh:
        return src
    return shellvars.set_value(src, "MODULES", " ".join([*words, *fresh]))


def mkinitcpio_append_modules(src: bytes | None, *, modules: list[str]) -> Content:
    """Make a file of mkinitcpio.conf.d add these modules to what others set: ``MODULES+=(a b)``."""
    text = src or b""
    assigned = [one.value for one in shellvars.assignments(text) if one.name == "MODULES"]
    known = {word.strip("()").replace("-", "_") for value in assigned for word in value.split()}
    fresh = [name for name in _names(modules) if name not in known]
    if not fresh:
        return src
    line = f"MODULES+=({' '.join(fresh)})".encode()
    return shellvars.add_lines(text, "MODULES", *(() if text else (_HEAD.rstrip(),)), line)


def add_features(src: bytes, *, features: list[str]) -> bytes | None:
    """Make ``features`` in mkinitfs.conf name these too; src itself where it does. None: the shell computes them."""
    found = shellvars.find(src, "features")
    if found is not None and found.dynamic:
        return None
    words = found.value.split() if found else []
    fresh = [name for name in features if name not in words]
    return shellvars.set_value(src, "features", " ".join([*words, *fresh])) if fresh else src


def modprobe_add_adapters(src: bytes | None, *, modules: list[str]) -> Content:
    """Make modprobe.conf name these modules as scsi_hostadapter aliases, which Red Hat's mkinitrd puts in.

    No file stays no file; the numbers continue after the highest that is used.
    """
    if src is None:
        return None
    found = [(match[1], match[2].replace(b"-", b"_").decode("utf-8", "replace")) for match in _ADAPTER.finditer(src)]
    fresh = [name for name in _names(modules) if name not in {module for _, module in found}]
    if not fresh:
        return src
    number = max((int(digits[:6] or 0) for digits, _ in found), default=-1) + 1
    lines = [f"alias scsi_hostadapter{number + index or ''} {name}".encode() for index, name in enumerate(fresh)]
    return append_lines(src, *lines)


def modprobe_allow(src: bytes | None, *, modules: list[str]) -> Content | Edit:
    """Make comments of the modprobe.d lines that keep these modules from loading: blacklist, install /bin/false."""
    if src is None:
        return None
    found = modprobe.blocking(src, _names(modules))
    if not found:
        return src
    notes = [
        Note("follow_up", f"{one.module} was kept from loading by '{one.text}'; this was disabled", one.line)
        for one in found
    ]
    return Edit(modprobe.allow(src, _names(modules)), tuple(notes))
