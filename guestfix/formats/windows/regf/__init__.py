r"""Windows registry hives (the regf format, versions 1.3 to 1.6): reading, and writing without loss.

Reading::

    hive = Hive.open(data, logs=(log1, log2))     # bytes or an mmap; raises BadHive
    hive.refusal                                  # "" or why it must not be changed (dirty, and no usable logs)
    key = hive.key(r"ControlSet001\Services\viostor")      # Key or None; case is ignored
    key.name, key.class_name, key.timestamp, key.security
    for sub in key.subkeys(): ...                 # lazily, in the hive's order
    key.subkey("Parameters"), key.value("Start")  # or None
    value.name, value.type, value.data, value.decoded      # decoded: str, int, list of str, else bytes
    hive.get(r"Select", "Current")                # decoded value, or None

Writing (raises EditError; missing keys of a path are created)::

    hive.set_value(r"ControlSet001\Services\viostor", "Start", REG_DWORD, 0)
    hive.set_value(path, "ImagePath", REG_EXPAND_SZ, r"system32\drivers\viostor.sys")
    hive.set_value(path, "Group", REG_SZ, "SCSI miniport"); hive.set_value(path, "DependOn", REG_MULTI_SZ, ["a", "b"])
    hive.create_key(path, class_name="", security=b""); hive.delete_value(path, name)
    hive.delete_key(path, recursive=True)
    new = hive.to_bytes()                         # the same object where nothing was changed

A new hive is ``Hive.open(empty_hive("SYSTEM"))``. Text in regedit's form is read and written by
:mod:`guestfix.formats.windows.regf.regtext`; :mod:`guestfix.formats.windows.regf.diff` tells what changed.

Nothing depends on the time of day: changed keys keep their timestamps unless ``Hive.open`` is given one.
Keys that are links are not written through. Bytes outside the cells that a change touches, and outside the
base block's counters, stay as they are.
Paths are names joined by backslashes, without the name of the root. An offline hive has no
``CurrentControlSet``: read ``Select\Current`` and use ``ControlSet%03d``.
"""

from guestfix.formats.windows.regf.hive import Hive
from guestfix.formats.windows.regf.keys import Key
from guestfix.formats.windows.regf.new import empty_hive
from guestfix.formats.windows.regf.store import BadHive
from guestfix.formats.windows.regf.values import (
    REG_BINARY,
    REG_DWORD,
    REG_EXPAND_SZ,
    REG_MULTI_SZ,
    REG_NONE,
    REG_QWORD,
    REG_SZ,
    TYPES,
    Value,
    type_name,
)

__all__ = [
    "REG_BINARY",
    "REG_DWORD",
    "REG_EXPAND_SZ",
    "REG_MULTI_SZ",
    "REG_NONE",
    "REG_QWORD",
    "REG_SZ",
    "TYPES",
    "BadHive",
    "Hive",
    "Key",
    "Value",
    "empty_hive",
    "type_name",
]
