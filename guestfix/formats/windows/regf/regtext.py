r"""Registry text as regedit(1) imports and exports it ("Windows Registry Editor Version 5.00", .reg files).

Both directions are exact: whatever type and bytes a value has, importing what was exported gives the same.
Beyond regedit's own form ``str(2):"text"`` is read, a readable way to write strings of another type
(``str(7)``: texts separated by ``\0``). Class names and security descriptors have no form in such text.
"""

from __future__ import annotations

import re
from collections.abc import Iterator

from guestfix.base.errors import EditError, UsageError
from guestfix.base.patterns import regex
from guestfix.base.record import frozen
from guestfix.formats.windows.regf.hive import Hive
from guestfix.formats.windows.regf.roots import hive_root, inner_path
from guestfix.formats.windows.regf.values import (
    REG_BINARY,
    REG_DWORD,
    REG_EXPAND_SZ,
    REG_MULTI_SZ,
    REG_QWORD,
    REG_SZ,
    STRINGS,
    encode,
)

HEADER = "Windows Registry Editor Version 5.00"
_OLD_HEADER = "REGEDIT4"
_NAME = regex(r'[ \t]*(?:@|"((?:[^"\\]|\\.)*)")[ \t]*=[ \t]*', re.DOTALL)
_STRING = regex(r'(?:str(?:\(([0-9a-fA-F]+)\))?:)?"((?:[^"\\]|\\.)*)"[ \t]*(?:;[^\n]*)?\r?$', re.DOTALL | re.MULTILINE)
_HEX = regex(r"hex(?:\(([0-9a-fA-F]{1,8})\))?:\s*+((?:[0-9a-fA-F]{1,2}\s*+(?:,\s*+|$))*+)$")
_NUMBER = regex(r"(dword|qword):[ \t]*([0-9a-fA-F]{1,16})$")
_PAIRS = regex(r"[0-9a-fA-F]{1,2}")
_ESCAPE = regex(r"\\(.)", re.DOTALL)
_CONTINUED = regex(r"\\[ \t]*\r?\n[ \t]*")


@frozen
class Setting:
    """One thing that a text asks for.

    ``name`` None: the key is to exist, or to be gone where ``delete`` is set. Otherwise the value of that
    name is to have this type and data, or to be gone. ``line`` is where the text says so.
    """

    key: str
    line: int
    name: str | None = None
    type: int = 0
    data: bytes = b""
    delete: bool = False


def decode_text(raw: bytes) -> str:
    """Return the text of a .reg file: UTF-16 with a byte order mark, UTF-8, or else the Windows code page 1252."""
    if raw[:2] in (b"\xff\xfe", b"\xfe\xff"):
        if len(raw) & 1:
            raise UsageError("the text is cut: it is UTF-16 and ends in half a character")
        return raw.decode("utf-16", "surrogatepass")
    try:
        return raw.decode("utf-8-sig", "surrogatepass")
    except UnicodeDecodeError:
        return raw.decode("cp1252", "replace")


# reading


def parse(text: str | bytes) -> Iterator[Setting]:
    """Yield what the text asks for, in order. Raises UsageError with the line that can't be understood.

    The header line may be absent.
    """
    if isinstance(text, bytes):
        text = decode_text(text)
    at, line, key, ansi = 0, 1, None, False
    while at < len(text):
        end = text.find("\n", at)
        end = len(text) if end < 0 else end
        one = text[at:end].strip()
        if one == _OLD_HEADER:
            ansi = True
        elif one.startswith("["):
            key = _section(one, line)
            yield Setting(key.removeprefix("-"), line, delete=key.startswith("-"))
        elif one and not one.startswith(";") and one.lstrip("\ufeff") != HEADER:
            if key is None or key.startswith("-"):
                raise UsageError(f"this belongs to no key: {one[:60]!r}", where=f"line {line}")
            setting, end = _value(text, at, end, key, line, ansi)
            yield setting
        line += text.count("\n", at, end) + 1
        at = end + 1


def _section(one: str, line: int) -> str:
    close = one.rfind("]")
    if close < 0:
        raise UsageError(f"this key has no closing bracket: {one[:60]!r}", where=f"line {line}")
    rest = one[close + 1 :].strip()
    if rest and not rest.startswith(";"):
        raise UsageError(f"this follows a key on its line: {rest[:60]!r}", where=f"line {line}")
    return one[1:close]


def _value(text: str, at: int, end: int, key: str, line: int, ansi: bool) -> tuple[Setting, int]:
    """Read the value that starts at ``at``; return it and the end of its last line."""
    match = _NAME.match(text, at)
    if match is None:
        raise UsageError(f"this is neither a key nor a value: {text[at:end].strip()[:60]!r}", where=f"line {line}")
    name = _ESCAPE.sub(r"\1", match[1] or "")
    start = match.end()
    string = _STRING.match(text, start)
    if string:
        kind = int(string[1] or "1", 16)
        if kind not in (*STRINGS, REG_MULTI_SZ):
            raise UsageError(f"str({kind:x}) is no type of text", where=f"line {line}", remedy="write it as hex")
        return Setting(key, line, name, kind, _string_data(kind, string[2])), _line_end(text, string.end())
    end = _line_end(text, start)
    while text[start:end].rstrip().endswith("\\") and end < len(text):
        end = _line_end(text, end + 1)
    body = _CONTINUED.sub("", text[start:end]).split(";")[0].strip()
    if body == "-":
        return Setting(key, line, name, delete=True), end
    kind, data = _data(body, line)
    if ansi and kind in (REG_SZ, REG_EXPAND_SZ, REG_MULTI_SZ):
        data = data.decode("cp1252", "replace").encode("utf-16-le")
    return Setting(key, line, name, kind, data), end


def _line_end(text: str, at: int) -> int:
    end = text.find("\n", at)
    return len(text) if end < 0 else end


def _string_data(kind: int, body: str) -> bytes:
    r"""Return a quoted text's bytes. ``\0`` parts the texts of a list; elsewhere it is a 0."""
    nul = "\0" if kind == REG_MULTI_SZ else "0"
    text = _ESCAPE.sub(lambda match: nul if match[1] == "0" else match[1], body)
    if kind == REG_MULTI_SZ:
        return encode(kind, [part for part in text.split("\0") if part])
    return (text + "\0").encode("utf-16-le", "surrogatepass")


def _data(body: str, line: int) -> tuple[int, bytes]:
    if match := _NUMBER.match(body):
        kind, width = (REG_DWORD, 4) if match[1] == "dword" else (REG_QWORD, 8)
        number = int(match[2], 16)
        if number < 1 << 8 * width:
            return kind, number.to_bytes(width, "little")
    if match := _HEX.match(body):
        return int(match[1], 16) if match[1] else REG_BINARY, bytes(int(pair, 16) for pair in _PAIRS.findall(match[2]))
    raise UsageError(f"this data can't be understood: {body[:60]!r}", where=f"line {line}")


def apply(hive: Hive, text: str | bytes) -> None:
    """Do to the hive what the text asks for. Raises UsageError for the text, EditError for the hive, with the line.

    A path may start with the hive's full name, which is dropped (see :mod:`guestfix.formats.windows.regf.roots`).
    """
    own = hive_root(hive.header.file_name)
    for setting in parse(text):
        try:
            apply_one(hive, inner_path(setting.key, own), setting)
        except (EditError, UsageError) as error:
            raise type(error)(error.what, where=f"line {setting.line}", remedy=error.remedy) from error


def apply_one(hive: Hive, path: str, setting: Setting) -> None:
    """Do one thing that a text asks for, to the key at path. Raises EditError."""
    if setting.name is None and setting.delete:
        hive.delete_key(path, recursive=True)
    elif setting.name is None:
        hive.create_key(path)
    elif setting.delete:
        hive.delete_value(path, setting.name)
    else:
        hive.set_value(path, setting.name, setting.type, setting.data)
