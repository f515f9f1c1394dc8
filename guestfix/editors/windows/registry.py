r"""Registry editors: values and keys of a hive, with what changed as the report's diff.

``key`` is a path inside the hive (``ControlSet001\Services\viostor``); one that starts with
``CurrentControlSet`` stands for every control set that ``Select`` names. All raise EditError for a hive
that is damaged or whose last write was not finished: an editor sees no logs (see
:mod:`guestfix.formats.windows.regf.guestfile` for those); and for what would take one of Windows' own drivers away.
"""

from __future__ import annotations

from collections.abc import Callable

from guestfix.base.edit import Content, Edit
from guestfix.base.errors import EditError, UsageError
from guestfix.base.text import one_line
from guestfix.formats.windows.regf import regtext
from guestfix.formats.windows.regf.controlsets import expand
from guestfix.formats.windows.regf.hive import Hive
from guestfix.formats.windows.regf.roots import hive_root, inner_path
from guestfix.formats.windows.regf.store import BadHive
from guestfix.formats.windows.regf.values import REG_MULTI_SZ, STRINGS, TYPES, Data
from guestfix.formats.windows.services import refuse_harm

_NUMBERS = ("REG_DWORD", "REG_DWORD_BIG_ENDIAN", "REG_QWORD")


def _edit(src: bytes | None, change: Callable[[Hive], None]) -> Content | Edit:
    """Return the hive after change; src itself where nothing changed, or there is no hive."""
    if src is None:
        return None
    try:
        hive = Hive.open(src)
        change(hive)
        after = hive.to_bytes()
        return src if after is src else Edit(after, diff="".join(f"{one_line(line)}\n" for line in hive.diff()))
    except BadHive as error:
        raise EditError(f"the hive is not changed: {error.what}", where=error.where, remedy=error.remedy) from error


def value_of(type_name: str, data: str, items: list[str]) -> tuple[int, Data]:
    """Return a value's type number and data from a rule's arguments. Raises EditError."""
    kind = TYPES.get(type_name)
    if kind is None:
        raise EditError(f"there is no registry type {type_name!r}; one of: {', '.join(TYPES)}")
    try:
        if type_name in _NUMBERS:
            return kind, int(data, 0)
        if kind == REG_MULTI_SZ:
            return kind, items
        return kind, data if kind in STRINGS else bytes.fromhex(data)
    except ValueError as error:
        raise EditError(f"{data!r} is no data for {type_name}") from error


def set_value(
    src: bytes | None,
    *,
    key: str,
    name: str,
    type: str = "REG_SZ",
    data: str = "",
    items: list[str] | None = None,
    create: bool = True,
) -> Content | Edit:
    r"""Make the key have this value.

    ``name`` "" is the default value. ``type`` is REG_DWORD and the like; ``data`` text, a number (``0x``
    for hex), or hex digits for types without either; ``items`` the texts of a REG_MULTI_SZ. ``create``
    no: only where the key exists.
    """
    kind, content = value_of(type, data, items or [])

    def change(hive: Hive) -> None:
        for path in expand(hive, key):
            if create or hive.key(path) is not None:
                refuse_harm(hive, path, name, content)
                hive.set_value(path, name, kind, content)

    return _edit(src, change)


def delete_value(src: bytes | None, *, key: str, name: str) -> Content | Edit:
    """Remove a value, where it exists."""

    def change(hive: Hive) -> None:
        for path in expand(hive, key):
            refuse_harm(hive, path, name)
            hive.delete_value(path, name)

    return _edit(src, change)


def delete_key(src: bytes | None, *, key: str) -> Content | Edit:
    """Remove a key with all below it, where it exists."""

    def change(hive: Hive) -> None:
        for path in expand(hive, key):
            refuse_harm(hive, path, None)
            hive.delete_key(path, recursive=True)

    return _edit(src, change)


def merge(src: bytes | None, *, text: str) -> Content | Edit:
    """Do what a text in regedit's form (.reg) asks for."""
    try:
        settings = list(regtext.parse(text))
    except UsageError as error:
        raise EditError(error.what, where=error.where) from error

    def change(hive: Hive) -> None:
        for setting in settings:
            for path in expand(hive, inner_path(setting.key, hive_root(hive.header.file_name))):
                if setting.delete or setting.name is not None:
                    refuse_harm(hive, path, setting.name, None if setting.delete else setting.data)
                regtext.apply_one(hive, path, setting)

    return _edit(src, change)
