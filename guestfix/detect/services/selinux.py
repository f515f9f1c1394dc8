"""Whether SELinux is in force, and whether the guest's files carry the labels that it goes by.

Sources: selinux(8), selinux_config(5); the kernel's admin-guide/kernel-parameters (``selinux=``, ``enforcing=``).
"""

from __future__ import annotations

from collections.abc import Sequence

from guestfix.base.errors import GuestError
from guestfix.base.facts import Evidence
from guestfix.base.guest import GuestFS
from guestfix.detect.files import exists, read_small
from guestfix.formats.selinux import XATTR, mode

CONFIG = "/etc/selinux/config"
RELABEL = "/.autorelabel"
SAMPLES = ("/etc", "/usr", "/etc/passwd")


def in_force(guest: GuestFS, args: Sequence[str]) -> tuple[str, Evidence] | None:
    """Return enforcing, permissive or disabled, and what says so; None for a guest without SELinux.

    ``args`` are those of the kernel that boots by default.
    """
    data = read_small(guest, CONFIG)
    if data is None:
        return None
    if "selinux=0" in args:
        return "disabled", Evidence(CONFIG, 0, "selinux=0 on the kernel's command line")
    found, line, text = mode(data)
    given = next((one for one in reversed(args) if one in ("enforcing=0", "enforcing=1")), "")
    if given and found != "disabled":
        word = "enforcing" if given.endswith("1") else "permissive"
        return word, Evidence(CONFIG, 0, f"{given} on the kernel's command line")
    return found, Evidence(CONFIG, line, text)


def unlabeled(guest: GuestFS) -> Evidence | None:
    """Return a path that every system has and that has no label here; None where one has, or a relabel is due."""
    seen = [path for path in SAMPLES if exists(guest, path)]
    try:
        bare = all(XATTR not in dict(guest.meta(path).xattrs) for path in seen)
    except GuestError:
        return None
    return Evidence(seen[0], 0, f"no {XATTR}") if seen and bare and not exists(guest, RELABEL) else None
