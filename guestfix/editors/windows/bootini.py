r"""boot.ini of Windows before Vista: ``[boot loader]`` and ``[operating systems]``, changed line by line."""

from __future__ import annotations

import re

from guestfix.base.edit import Content
from guestfix.base.patterns import regex

_SETTING = regex(rb"[ \t]*redirect(?:baudrate)?[ \t]*=[^\r\n]*(?:\r?\n|\Z)", re.IGNORECASE)
_SWITCH = regex(rb"[ \t]+/redirect(?=[ \t\r\n]|\Z)", re.IGNORECASE)


def ems_off(src: bytes | None) -> Content:
    """Remove what switches Emergency Management Services on: ``redirect=``, ``redirectbaudrate=``, ``/redirect``."""
    if src is None:
        return None
    lines = src.splitlines(keepends=True)
    changed = [b"" if _SETTING.fullmatch(line) else _SWITCH.sub(b"", line) for line in lines]
    return src if changed == lines else b"".join(changed)
