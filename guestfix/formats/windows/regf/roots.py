r"""Full names of hives and keys: ``HKEY_LOCAL_MACHINE\SYSTEM\Select`` is the key ``Select`` of the hive SYSTEM."""

from __future__ import annotations

from guestfix.base.errors import UsageError

_ROOTS = {"HKEY_LOCAL_MACHINE": 2, "HKEY_USERS": 2, "HKEY_CURRENT_USER": 1}
"""How many names of a full path stand for the hive itself."""
_SHORT = {
    "HKLM": "HKEY_LOCAL_MACHINE",
    "HKU": "HKEY_USERS",
    "HKCU": "HKEY_CURRENT_USER",
    "HKCR": "HKEY_CLASSES_ROOT",
    "HKCC": "HKEY_CURRENT_CONFIG",
}
_MERGED = {
    "HKEY_CLASSES_ROOT": r"Software\Classes of the hives SOFTWARE and NTUSER.DAT",
    "HKEY_CURRENT_CONFIG": r"CurrentControlSet\Hardware Profiles\Current of the hive SYSTEM",
}
"""Roots that are views of keys elsewhere."""
_HIVE_ROOTS = {
    "system": r"HKEY_LOCAL_MACHINE\SYSTEM",
    "software": r"HKEY_LOCAL_MACHINE\SOFTWARE",
    "sam": r"HKEY_LOCAL_MACHINE\SAM",
    "security": r"HKEY_LOCAL_MACHINE\SECURITY",
    "components": r"HKEY_LOCAL_MACHINE\COMPONENTS",
    "drivers": r"HKEY_LOCAL_MACHINE\DRIVERS",
    "bcd": r"HKEY_LOCAL_MACHINE\BCD00000000",
    "default": r"HKEY_USERS\.DEFAULT",
    "ntuser.dat": "HKEY_CURRENT_USER",
    "usrclass.dat": r"HKEY_CURRENT_USER\Software\Classes",
}
_KNOWN = frozenset(root.upper() for root in _HIVE_ROOTS.values())


def hive_root(*file_names: str) -> str:
    """Return the full name under which Windows has a hive with one of these file names.

    The first name that is known decides; the last part of a path counts. Unknown ones give
    ``HKEY_LOCAL_MACHINE`` and the last name's file name in capitals.
    """
    names = [name.replace("/", "\\").rpartition("\\")[2].rstrip("\0 ") for name in file_names]
    for name in names:
        if name.lower() in _HIVE_ROOTS:
            return _HIVE_ROOTS[name.lower()]
    last = next((name for name in reversed(names) if name), "HIVE")
    return f"HKEY_LOCAL_MACHINE\\{last.upper()}"


def full_path(path: str) -> str:
    r"""Return the path with the long name of its root (``HKLM\X`` is ``HKEY_LOCAL_MACHINE\X``), else path itself.

    ``HKLM:\X`` and ``Computer\HKEY_LOCAL_MACHINE\X`` are understood too.
    """
    inner = path.lstrip("\\")
    inner = inner[9:] if inner[:9].lower() == "computer\\" else inner
    first, backslash, rest = inner.partition("\\")
    name = first.removesuffix(":").upper()
    name = _SHORT.get(name, name)
    return name + backslash + rest if name in _ROOTS or name in _MERGED else path


def inner_path(path: str, own: str = "") -> str:
    r"""Return the path inside a hive of a full path such as ``HKEY_LOCAL_MACHINE\SYSTEM\Select``.

    The names that stand for the hive are dropped; a path without a root name is returned as it is. ``own``
    is the hive's full name. Raises UsageError where both are known and differ, and for HKEY_CLASSES_ROOT.
    """
    names, known = full_path(path).split("\\"), own.upper().split("\\")
    if [name.upper() for name in names[: len(known)]] == known:
        return "\\".join(names[len(known) :])
    if names[0] in _MERGED:
        raise UsageError(f"{names[0]} has no hive of its own", remedy=f"name the key in {_MERGED[names[0]]}")
    count = _ROOTS.get(names[0], 0)
    if own.upper() in _KNOWN and "\\".join(names[:count]).upper() in _KNOWN:
        raise UsageError(f"{path} is not in this hive", remedy=f"this is the hive of {own}")
    return "\\".join(names[count:])
