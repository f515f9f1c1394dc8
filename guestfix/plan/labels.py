"""SELinux labels for files that a plan creates in a guest whose files carry labels."""

from __future__ import annotations

from guestfix.base.errors import GuestError
from guestfix.base.guest import GuestFS, Meta
from guestfix.base.names import parents
from guestfix.base.record import replace
from guestfix.formats.selinux import XATTR, label_for, policy_type

MAX_CONTEXTS = 32 * 1024 * 1024


def with_label(guest: GuestFS, path: str, kind: str, meta: Meta) -> Meta:
    """Return meta with the label that the guest's policy gives to a new path, else its folder's label.

    A guest without labels on its files (a tree copied without extended attributes) gets none.
    """
    folder = next((one for one in reversed(parents(path)) if guest.stat(one) is not None), "/")
    try:
        above = dict(guest.meta(folder).xattrs).get(XATTR)
    except GuestError:
        return meta
    if above is None:
        return meta
    label = label_for(path, kind, _contexts(guest)) or above
    return replace(meta, xattrs=(*meta.xattrs, (XATTR, label)))


def _contexts(guest: GuestFS) -> list[bytes]:
    config = _read(guest, "/etc/selinux/config", 65536)
    policy = policy_type(config)
    if policy is None:
        return []
    base = f"/etc/selinux/{policy}/contexts/files/file_contexts"
    return [_read(guest, path, MAX_CONTEXTS) for path in (base, f"{base}.homedirs", f"{base}.local")]


def _read(guest: GuestFS, path: str, limit: int) -> bytes:
    try:
        return guest.read(path, limit)
    except GuestError:
        return b""
