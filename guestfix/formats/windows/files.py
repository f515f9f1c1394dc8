"""Files of a Windows volume that the host can't read: those that Windows keeps packed (CompactOS, WIMBoot).

Their data is behind a reparse point with the tag IO_REPARSE_TAG_WOF (0x80000017, MS-FSCC 2.1.2.1). ntfs-3g without
its plug-in shows such a file as a symbolic link to a text, the kernel's ntfs3 refuses to read it, and what knows
nothing of reparse points reads zeros.
"""

from __future__ import annotations

import errno

from guestfix.base.errors import GuestError, Packed
from guestfix.base.guest import GuestFS

HEAD = 4096
"""Bytes from a program's start that are looked at."""
_LINK = "unsupported reparse "
"""How the text begins that ntfs-3g gives as the target of a file it can't read."""


EVERYWHERE = frozenset(("disk.sys", "pci.sys", "ntfs.sys", "partmgr.sys", "volsnap.sys"))
"""Drivers that every Windows has: a folder of drivers without any of them is not seen as a whole."""


def is_packed(guest: GuestFS, path: str) -> bool:
    """Tell whether something is at path whose content is packed, as far as a look at its entry shows."""
    try:
        found = guest.stat(path, follow=False)
        return found is not None and found.kind == "symlink" and guest.readlink(path).startswith(_LINK)
    except GuestError:
        return False


def has_program(guest: GuestFS, path: str) -> bool:
    """Tell whether a program or driver is at path, whether or not its content can be read here."""
    try:
        found = guest.stat(path)
    except GuestError:
        return False
    return found.kind == "file" if found is not None else is_packed(guest, path)


def has_driver(guest: GuestFS, root: str, path: str) -> bool:
    """Tell whether a driver is there; also where its folder is not part of what is seen, so that nobody can tell."""
    if has_program(guest, path) or not has_program(guest, f"{root}/System32/ntoskrnl.exe"):
        return True
    names = {one.lower() for one in guest.list(path.rpartition("/")[0])}
    return not names & EVERYWHERE


def program_head(guest: GuestFS, path: str) -> tuple[bytes, bool]:
    """Return the first bytes of a program, empty where there is none, and whether it is packed instead."""
    try:
        if guest.stat(path) is None:
            return b"", is_packed(guest, path)
        with guest.open(path) as stream:
            head = stream.read(HEAD)
    except (GuestError, OSError) as error:
        refused = isinstance(error, OSError) and error.errno == errno.EOPNOTSUPP
        return b"", refused or isinstance(error, Packed)
    return head, bool(head) and not any(head)
