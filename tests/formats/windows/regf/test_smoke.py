"""The API as its docstring shows it."""

from __future__ import annotations

from guestfix.formats.windows.regf import REG_DWORD, REG_EXPAND_SZ, REG_MULTI_SZ, REG_SZ, Hive, empty_hive, regtext

TEXT = r"""Windows Registry Editor Version 5.00

; a comment
[HKEY_LOCAL_MACHINE\SYSTEM\Select]
"Current"=dword:00000001

[HKEY_LOCAL_MACHINE\SYSTEM\ControlSet001\Services\viostor]
"Start"=dword:00000003
"ImagePath"=str(2):"system32\\drivers\\viostor.sys"
"Group"="SCSI \"miniport\""
"Depend"=str(7):"a\0bc"
@=hex(1):41,00,\
  00,00

[-HKEY_LOCAL_MACHINE\SYSTEM\Gone]
"""


def test_text_builds_a_hive() -> None:
    hive = Hive.open(empty_hive("SYSTEM"))
    regtext.apply(hive, TEXT)
    again = Hive.open(hive.to_bytes())
    key = again.key(r"controlset001\SERVICES\VioStor")
    assert key is not None and key.name == "viostor"
    assert {value.name: (value.type, value.decoded) for value in key.values()} == {
        "Start": (REG_DWORD, 3),
        "ImagePath": (REG_EXPAND_SZ, r"system32\drivers\viostor.sys"),
        "Group": (REG_SZ, 'SCSI "miniport"'),
        "Depend": (REG_MULTI_SZ, ["a", "bc"]),
        "": (REG_SZ, "A"),
    }
    assert again.get("Select", "current") == 1
    assert again.key("Gone") is None
    assert again.root.security == key.security != b""


def test_nothing_changed_is_the_same_object() -> None:
    data = empty_hive("SYSTEM")
    hive = Hive.open(data)
    hive.set_value("Select", "Current", REG_DWORD, 1)
    data = hive.to_bytes()
    hive = Hive.open(data)
    assert not hive.set_value("select", "CURRENT", REG_DWORD, 1)
    assert not hive.delete_value("Select", "Default")
    assert not hive.delete_key("Setup", recursive=True)
    assert hive.to_bytes() is data
