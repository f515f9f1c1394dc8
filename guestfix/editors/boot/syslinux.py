"""Which label of an extlinux.conf or syslinux.cfg boots.

Source: the Syslinux wiki, "Config" and "Menu"; com32/elflink/ldlinux/readconfig.c (a DEFAULT that names a label counts
before MENU DEFAULT, ONTIMEOUT before both).
"""

from __future__ import annotations

from collections.abc import Collection

from guestfix.base.edit import Splice, apply_splices, insert_lines
from guestfix.formats.boot import syslinux
from guestfix.formats.shellvars import encode


def set_default(src: bytes, label: str, labels: Collection[str]) -> bytes:
    """Make the settings of one file name a label; ``labels`` are all of the menu, of which one may be named already.

    DEFAULT and ONTIMEOUT are changed where they name a label or nothing that is there, MENU DEFAULT goes from other
    labels to this one. Programs that show a menu (``DEFAULT menu.c32``) stay. src itself comes back where nothing does.
    """
    splices: list[Splice] = []
    inside, has = "", False
    for one in syslinux.directives(src):
        words = one.rest.split()
        if one.name == "label":
            inside = words[0] if words else ""
        elif one.name in ("default", "ontimeout") and words and not words[0].lower().endswith(".c32"):
            if words[0] != label:
                splices.append(Splice(one.rest_start, one.rest_end - one.rest_start, encode(label)))
        elif one.name == "menu" and one.rest.lower().split() == ["default"]:
            has = has or inside == label
            if inside != label:
                splices.append(Splice(one.at, 0, b"#"))
    if not has and label in labels:
        splices += _menu_default(src, label)
    return apply_splices(src, splices)


def _menu_default(src: bytes, label: str) -> list[Splice]:
    """Return what gives a label its MENU DEFAULT, where a menu chooses by it or by the first label."""
    ui = [
        one for one in syslinux.directives(src) if one.name in ("ui", "default") and one.rest.lower().endswith(".c32")
    ]
    place = next((one for one in syslinux.directives(src) if one.name == "label" and one.rest.split() == [label]), None)
    if not ui or place is None:
        return []
    end = src.find(b"\n", place.rest_end) + 1 or len(src)
    return [insert_lines(src, end, b"  MENU DEFAULT")]
