"""Which operating system a guest is: family, distribution, version, architecture.

Facts: os.family, os.id, os.id_like, os.version, os.variant, os.name, os.arch, and system.*, what the rule pack tells
of the distribution (pack/systemfacts.py has them all). An unknown Linux still has os.family, so that rules which need
no more than that apply. What a Windows guest is beyond its family is learned from its registry, elsewhere.
"""

from __future__ import annotations

from collections.abc import Sequence

from guestfix.base.catalog.facts.system import OS_ARCH, OS_FAMILY, OS_ID, OS_ID_LIKE, OS_NAME, OS_VARIANT, OS_VERSION
from guestfix.base.facts import Evidence, Facts, Finding, Unknown
from guestfix.base.guest import GuestFS
from guestfix.base.patterns import regex
from guestfix.detect.files import exists, kind_of, lines_of, names_in, read_small
from guestfix.detect.system.distro import Identity
from guestfix.detect.system.elf import find_arch
from guestfix.detect.system.identity import identify
from guestfix.pack.model import System
from guestfix.pack.traits import facts_of

LONGEST = 128
"""Characters of an ID, version or name that are kept; the rest of a longer one is no use to anybody."""

_UNIX_VERSION = regex(r"""(?:BSD |VERSION=["']?)(\d{1,3}(?:\.\d{1,3}){1,2})""")
_LINUX_SIGNS = ("/etc/fstab", "/etc/passwd", "/lib/modules", "/usr/lib/modules", "/sbin/init", "/bin/sh", "/boot/grub")
_OTHER_FAMILIES = ("freebsd", "netbsd", "openbsd", "dragonfly", "solaris", "illumos", "openindiana", "haiku")


def detect(guest: GuestFS, facts: Facts, systems: Sequence[System]) -> list[Finding]:
    """Record the os.* and system.* facts. A tree that holds no system at all is a blocker."""
    windows = _windows_root(guest)
    if windows is not None:
        facts.put(OS_FAMILY, "windows", windows)
        return []
    found = identify(guest, systems)
    if found is None:
        found = _unix(guest, systems)
    if found is None:
        return _unknown(guest, facts)
    known = next((one.family for one in systems if one.id == found.id), "")
    family = known or next((name for name in _OTHER_FAMILIES if found.id.startswith(name)), "linux")
    facts.put(OS_FAMILY, family, *found.evidence)
    _put_identity(facts, found)
    put_system(facts, systems)
    _put_arch(guest, facts)
    return []


def _unix(guest: GuestFS, systems: Sequence[System]) -> Identity | None:
    """Return the BSD whose mark is there, its version from the line of its own files that has it."""
    for system in systems:
        mark = next((path for path in system.names.marks if exists(guest, path)), "")
        if system.family in ("linux", "windows") or not mark:
            continue
        for path in system.names.version_files:
            for number, line in lines_of((read_small(guest, path) or b"")[:65536]):
                if said := _UNIX_VERSION.search(line):
                    name = f"{system.title} {said[1]}"
                    return Identity(system.id, said[1], name, evidence=(Evidence(path, number, line[:160]),))
        return Identity(system.id, "", system.title, evidence=(Evidence(mark),))
    return None


def _windows_root(guest: GuestFS) -> Evidence | None:
    """Return the registry's folder or the kernel as evidence of a Windows root, or None."""
    for top in names_in(guest, "/"):
        if top.lower() not in ("windows", "winnt"):
            continue
        for sign in ("System32/config/SYSTEM", "System32/ntoskrnl.exe", "System32"):
            path = _ignoring_case(guest, f"/{top}", sign)
            if path is not None:
                return Evidence(path)
    return None


def _ignoring_case(guest: GuestFS, folder: str, rest: str) -> str | None:
    at = folder
    for part in rest.split("/"):
        name = next((one for one in names_in(guest, at) if one.lower() == part.lower()), None)
        if name is None:
            return None
        at = f"{at}/{name}"
    return at


def _put_identity(facts: Facts, found: Identity) -> None:
    seen = found.evidence
    facts.put(OS_ID, found.id[:LONGEST], *seen)
    facts.put(OS_ID_LIKE, [one[:LONGEST] for one in found.like[:16]], *seen)
    missing = Unknown("no release file says which version this is")
    facts.put(OS_VERSION, found.version[:LONGEST] or missing, *seen)
    facts.put(OS_NAME, found.name[:LONGEST] or found.id[:LONGEST], *seen)
    if found.variant:
        facts.put(OS_VARIANT, found.variant[:LONGEST], *seen)


def put_system(facts: Facts, systems: Sequence[System]) -> None:
    """Record as system.* what the pack knows of this version of the distribution; what it does not tell is no fact."""
    like, version = facts.value(OS_ID_LIKE) or (), facts.value(OS_VERSION) or ""
    for name, value in facts_of(systems, facts.value(OS_ID) or "", like, version).items():
        facts.put(f"system.{name}", value, *facts.evidence(OS_VERSION))


def _put_arch(guest: GuestFS, facts: Facts) -> None:
    arch = find_arch(guest)
    if arch is None:
        facts.put(OS_ARCH, Unknown("none of the guest's usual programs has an ELF header"))
    else:
        facts.put(OS_ARCH, arch[0], arch[1])


def _unknown(guest: GuestFS, facts: Facts) -> list[Finding]:
    reason = Unknown("no release file that guestfix knows is in the guest")
    sign = next((path for path in _LINUX_SIGNS if exists(guest, path)), None)
    facts.put(OS_FAMILY, "linux", Evidence(sign)) if sign else facts.put(OS_FAMILY, reason)
    facts.put(OS_ID, reason)
    facts.put(OS_VERSION, reason)
    if sign:
        _put_arch(guest, facts)
        return []
    return [
        Finding(
            "GF-OS-NOT-FOUND",
            "blocker",
            "no operating system was found in this tree: it has neither /etc with a release file nor a Windows folder",
            (Evidence("/", 0, ", ".join(names_in(guest, "/")[:12]) or "(empty)"),),
            _what_next(guest),
        )
    ]


def _what_next(guest: GuestFS) -> str:
    """Say what the tree looks like instead."""
    names = set(names_in(guest, "/"))
    if {"vmlinuz", "grub", "grub2", "loader"} & names and "usr" not in names:
        return "this looks like a /boot filesystem; name the guest's root, with /boot mounted below it"
    nested = [name for name in sorted(names)[:32] if kind_of(guest, f"/{name}/etc") == "dir"]
    if nested:
        return f"the root seems to be one level below, in {', '.join(nested[:4])}; name that folder"
    return "name the directory where the guest's root filesystem is mounted or unpacked, or the guest's disk images"
