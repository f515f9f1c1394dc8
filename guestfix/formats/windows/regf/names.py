"""Key and value names: letter case, order, hashes and storage, as Windows has them.

Source: the public description of the format by M. Suhanov (hash leaf, key node, key value).
"""

from __future__ import annotations

MAX_KEY_NAME = 255
"""Characters (UTF-16 code units) that Windows allows in a key's name."""
MAX_VALUE_NAME = 16383
"""Characters (UTF-16 code units) that Windows allows in a value's name."""

# Capitals that are younger than the table that Windows compares names with (the one in NTFS' $UpCase).
_LATE = (
    *((0x037F, 0x037F), (0x0524, 0x052F), (0x10C7, 0x10CD), (0x13A0, 0x13F5), (0x1C89, 0x1CBF), (0x2C2F, 0x2C2F)),
    *((0x2C70, 0x2C70), (0x2C7E, 0x2C7F), (0x2CEB, 0x2CFF), (0xA660, 0xA661), (0xA698, 0xA69B), (0xA78D, 0xA7FF)),
)


def printable(text: str) -> str:
    """Return a name or text for a line of its own: what can't be printed is escaped."""
    if text.isprintable():
        return text
    return "".join(one if one.isprintable() else one.encode("unicode_escape").decode("ascii") for one in text)


def _capital(char: str) -> str:
    """Return the capital of one code unit: only a one-to-one pair counts."""
    for upper in (char.upper(), char.title()):
        if len(upper) == 1 and ord(upper) <= 0xFFFF and upper.lower() == char:
            return char if any(low <= ord(upper) <= high for low, high in _LATE) else upper
    return char


class _Capitals(dict[str, str]):
    """The capitals met so far."""

    def __missing__(self, char: str) -> str:
        found = self[char] = _capital(char)
        return found


_CAPITALS = _Capitals()


def upcase(name: str) -> str:
    """Return name in capitals, code unit by code unit, so that its length never changes.

    Two halves of a UTF-16 pair are the character that they make, so one name has one form.
    """
    if name.isascii():
        return name.upper()
    whole = name.encode("utf-16-le", "surrogatepass").decode("utf-16-le", "surrogatepass")
    return "".join(map(_CAPITALS.__getitem__, whole))


def sort_key(name: str) -> bytes:
    """Return bytes that order names as subkey lists are ordered: by the code units of their capitals."""
    return upcase(name).encode("utf-16-be", "surrogatepass")


def _units(text: str) -> list[int]:
    if text.isascii():
        return list(text.encode("ascii"))
    raw = text.encode("utf-16-le", "surrogatepass")
    return [raw[at] | raw[at + 1] << 8 for at in range(0, len(raw), 2)]


def name_hash(name: str) -> int:
    """Return the 32-bit hash that a hash leaf holds for name."""
    total = 0
    for unit in _units(upcase(name)):
        total = total * 37 + unit & 0xFFFFFFFF
    return total


def name_hint(name: str) -> int:
    """Return a fast leaf's hint as a 32-bit number: the first four characters, up to the last one above 255 zero."""
    hint = 0
    for place, unit in enumerate(_units(name)[:4]):
        hint = 0 if unit > 255 else hint | unit << 8 * place
    return hint


def store_name(name: str) -> tuple[bytes, bool]:
    """Return a name's bytes in a cell, and whether they are compressed: one byte a character."""
    try:
        return name.encode("latin-1"), True
    except UnicodeEncodeError:
        return name.encode("utf-16-le", "surrogatepass"), False


def load_name(raw: bytes | bytearray, compressed: bool) -> str:
    """Return the name that a cell holds. An odd last byte of UTF-16 text is passed over."""
    if compressed:
        return raw.decode("latin-1")
    return raw[: len(raw) & ~1].decode("utf-16-le", "surrogatepass")


def wide_length(name: str) -> int:
    """Return the length in bytes that name has as UTF-16."""
    return len(name) * 2 if name.isascii() else len(name.encode("utf-16-le", "surrogatepass"))
