"""More than one system in what was given: another root, another /etc, another operating system to boot."""

from __future__ import annotations

from collections.abc import Iterator

from guestfix.base.catalog.facts.boot import BOOT_EFI
from guestfix.base.catalog.facts.system import OS_FAMILY
from guestfix.base.facts import Evidence, Facts, Finding
from guestfix.base.guest import GuestFS
from guestfix.detect.files import exists, kind_of, names_in, real_path
from guestfix.pack.model import Target

MOST = 64
"""Folders of one level that are looked into."""

_OWN = frozenset(
    ("bin", "boot", "dev", "etc", "home", "lib", "lib32", "lib64", "libx32", "lost+found", "media", "mnt", "opt")
    + ("proc", "root", "run", "sbin", "snap", "srv", "sys", "sysroot", "tmp", "usr", "var")
    + ("ostree", "nix", "gnu", ".snapshots")
)  # fmt: skip
_SIGNS = ("etc/os-release", "usr/lib/os-release", "etc/fstab", "etc/redhat-release", "etc/debian_version")


def check(guest: GuestFS, facts: Facts, target: Target) -> list[Finding]:
    """Report other roots. None of them is changed."""
    if facts.value(OS_FAMILY) != "linux":
        return []
    return [*_roots(guest), *_etcs(guest), *_windows(guest, facts)]


def _candidates(guest: GuestFS) -> Iterator[str]:
    yield from (f"/{name}" for name in names_in(guest, "/")[: 4 * MOST] if name not in _OWN)
    for folder in ("/mnt", "/media"):
        for name in names_in(guest, folder)[:MOST]:
            yield f"{folder}/{name}"
    if kind_of(guest, "/mnt/etc") == "dir":
        yield "/mnt"


def _roots(guest: GuestFS) -> Iterator[Finding]:
    found = []
    for path in list(_candidates(guest))[: 4 * MOST]:
        if kind_of(guest, f"{path}/etc") == "dir" and real_path(guest, path) == path:
            sign = next((one for one in _SIGNS if exists(guest, f"{path}/{one}")), "")
            found += [Evidence(f"{path}/{sign}")] if sign else []
        elif kind_of(guest, f"{path}/Windows/System32") == "dir":
            found.append(Evidence(f"{path}/Windows/System32"))
    if found:
        yield Finding(
            "GF-OS-SEVERAL-ROOTS",
            "warning",
            f"there {'is another system' if len(found) == 1 else f'are {len(found)} other systems'} below this root; "
            "only the one at / is repaired",
            tuple(found[:8]),
            "if another one is meant, name its folder as the guest; remove old systems that nobody boots",
        )


def _etcs(guest: GuestFS) -> Iterator[Finding]:
    names = [name for name in names_in(guest, "/") if name.casefold() == "etc"]
    if len(names) > 1:
        yield Finding(
            "GF-OS-SEVERAL-ETC",
            "warning",
            f"there are several folders that pass for /etc: {', '.join('/' + name for name in names)}; /etc is used",
            tuple(Evidence(f"/{name}") for name in names),
            "remove or rename the ones that the system does not use",
        )


def _windows(guest: GuestFS, facts: Facts) -> Iterator[Finding]:
    folders = [one.path for one in facts.value(BOOT_EFI) or ()]
    found = [path for path in folders if path.lower().endswith("/efi/microsoft")]
    if found:
        yield Finding(
            "GF-OS-DUAL-BOOT",
            "warning",
            "Windows can be booted beside this system; only this one is repaired",
            tuple(Evidence(path) for path in found),
            "give each system a machine of its own, or repair the other root in a run of its own",
        )
