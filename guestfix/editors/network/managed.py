"""NetworkManager's lists of devices that it leaves alone, and udev's rules for that: wired NICs out of them."""

from __future__ import annotations

from collections.abc import Collection

from guestfix.base.edit import Splice, apply_splices, insert_lines
from guestfix.formats.ini import get, groups

WIRED = "except:type:ethernet"
"""An exception goes before all else in a device list (NetworkManager.conf(5))."""


def except_wired(src: bytes | None, *, lines: Collection[int]) -> bytes | None:
    """Except wired NICs from the device lists on these lines, and from the device sections that have one of them."""
    if src is None:
        return None
    splices = []
    for group in groups(src):
        for one in group.entries:
            listed = one.line in lines and one.key.startswith("unmanaged-devices")
            about = one.key == "match-device" and any(other.line in lines for other in group.entries)
            if (listed or about) and WIRED not in one.value:
                splices.append(Splice(one.value_start, 0, f"{WIRED},".encode()))
        hit = any(one.key == "managed" and one.line in lines for one in group.entries)
        if hit and get([group], group.name, "match-device") is None:
            splices.append(insert_lines(src, group.body, f"match-device={WIRED}".encode()))
    return apply_splices(src, splices)


def comment_rules(src: bytes | None, *, lines: Collection[int]) -> bytes | None:
    """Put the udev rules that begin on these lines out of force, with the lines that they go on over."""
    if src is None:
        return None
    splices, at, inside = [], 0, False
    for number, line in enumerate(src.splitlines(keepends=True), 1):
        inside = inside or number in lines
        if inside and not line.startswith(b"#"):
            splices.append(Splice(at, 0, b"# guestfix: "))
        inside = inside and line.rstrip(b"\r\n").endswith(b"\\")
        at += len(line)
    return apply_splices(src, splices)
