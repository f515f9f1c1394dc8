"""udev rules that tie NIC names to old hardware (70-persistent-net.rules)."""

from __future__ import annotations

from guestfix.formats.ini import remove
from guestfix.formats.network.udevnet import name_rules


def unbind(src: bytes | None) -> bytes | None:
    """Remove every rule that names a NIC; None (the file is moved aside) where nothing but comments is left."""
    if src is None:
        return None
    found = name_rules(src)
    if not found:
        return src
    out = remove(src, [(one.start, one.end) for one in found])
    rest = [line for line in out.splitlines() if line.strip() and not line.lstrip().startswith(b"#")]
    return out if rest else None
