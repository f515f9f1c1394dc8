"""Entries of an .inf file's AddReg sections: ``HKR, key, name, flags, data ...`` ("INF AddReg directive")."""

from __future__ import annotations

from collections.abc import Sequence

from guestfix.base.record import frozen
from guestfix.formats.windows.regf.values import REG_BINARY, REG_DWORD, REG_EXPAND_SZ, REG_MULTI_SZ, REG_SZ

_TYPES = {0x00000: REG_SZ, 0x00001: REG_BINARY, 0x10000: REG_MULTI_SZ, 0x10001: REG_DWORD, 0x20000: REG_EXPAND_SZ}
"""FLG_ADDREG_TYPE_* to the registry's type: text, bytes, texts, number, text with variables."""
_DELETES, _KEY_ONLY, _ONLY_WHERE_THERE = 0x4, 0x10, 0x20


@frozen
class RegistryValue:
    """A value below the service's key: sub-key (may be empty), name, the registry's type, and data of that type."""

    key: str
    name: str
    type: int
    data: int | str | list[str] | bytes


def dword(text: str, default: int) -> int:
    """Return a 32-bit number, decimal or with ``0x``; default where the text is none."""
    text = text.strip().lower()
    try:
        found = int(text, 16) if text.startswith("0x") else int(text[:12])
    except ValueError:
        return default
    return found if 0 <= found < 2**32 else default


def registry_value(fields: Sequence[str]) -> RegistryValue | None:
    """Return the value that an entry of a service sets, or None: another root, a key alone, or no data for its type."""
    root, key, name, flags_text, *rest = (*fields, "", "", "", "")[: max(4, len(fields))]
    flags = dword(flags_text, 0) if flags_text else 0
    kind = _TYPES.get(flags & 0xFFFF0001)
    if root.upper() != "HKR" or kind is None or flags & (_DELETES | _KEY_ONLY | _ONLY_WHERE_THERE):
        return None
    data = [one for one in rest if one][:1000]
    if not data:
        return None
    if kind == REG_DWORD:
        return RegistryValue(key, name, kind, dword(data[0], 0))
    if kind == REG_MULTI_SZ:
        return RegistryValue(key, name, kind, data)
    if kind == REG_BINARY:
        try:
            return RegistryValue(key, name, kind, bytes(int(one, 16) for one in data))
        except ValueError:
            return None
    return RegistryValue(key, name, kind, data[0])
