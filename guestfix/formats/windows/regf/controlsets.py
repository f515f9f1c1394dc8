r"""Control sets of a SYSTEM hive: an offline hive has no ``CurrentControlSet``, only what ``Select`` names.

The loader takes ``Default`` (``LastKnownGood`` where that was asked for) and writes the number that it took to
``Current``: that one tells of the last start, not of the next. Sources: "HKLM\SYSTEM\Select" of the Windows 2000
resource kit; RegInitCurrentControlSet in ReactOS's boot loader.
"""

from __future__ import annotations

from guestfix.formats.windows.regf.hive import Hive
from guestfix.formats.windows.regf.keys import split_path

NAMES = ("Default", "Current", "LastKnownGood")
"""The values of ``Select`` whose control sets Windows may boot from, the one of the next start first."""


def control_sets(hive: Hive) -> list[str]:
    """Return the control sets that ``Select`` names and that exist, the one that starts first, each once.

    Without a ``Select`` key these are all keys named ``ControlSet`` and three digits, in order.
    """
    if hive.key("Select") is not None:
        numbers = dict.fromkeys(number for name in NAMES if isinstance(number := hive.get("Select", name), int))
        return [f"ControlSet{number:03d}" for number in numbers if hive.key(f"ControlSet{number:03d}") is not None]
    names = [key.name for key in hive.root.subkeys()]
    return [name for name in names if name[:10].lower() == "controlset" and len(name) == 13 and name[10:].isdecimal()]


def expand(hive: Hive, path: str) -> list[str]:
    r"""Return the paths that ``CurrentControlSet\...`` stands for: one a control set. Others stay as they are."""
    names = split_path(path)
    if not names or names[0].lower() != "currentcontrolset":
        return [path]
    return ["\\".join([one, *names[1:]]) for one in control_sets(hive)]
