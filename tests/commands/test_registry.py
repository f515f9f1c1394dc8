"""`guestfix registry` as its users run it."""

from __future__ import annotations

import shutil
import struct
from pathlib import Path

import pytest

from guestfix.cli import run
from guestfix.formats.windows.regf import Hive, empty_hive, regtext
from tests.build.hive_logs import entry as log_entry
from tests.build.hive_logs import new_log, sealed, two_states
from tests.build.hive_oracles import corpus_hive, listing

TEXT = r"""
[Select]
"Current"=dword:00000001
[ControlSet001\Services\viostor]
"Start"=dword:00000000
"ImagePath"=str(2):"system32\\drivers\\viostor.sys"
"List"=str(7):"a\0b"
"Bin"=hex:01,02
@="default"
[ControlSet001\Services\atapi]
[Odd/name]
"""


@pytest.fixture
def hive(tmp_path: Path) -> str:
    made = Hive.open(empty_hive("SYSTEM"))
    regtext.apply(made, TEXT)
    path = tmp_path / "hive"
    path.write_bytes(made.to_bytes())
    return str(path)


def printed(capfd: pytest.CaptureFixture[str], *args: str, status: int = 0) -> str:
    assert run(["registry", *args]) == status
    return capfd.readouterr().out


def test_ls_prints_one_name_a_line(hive: str, capfd: pytest.CaptureFixture[str]) -> None:
    assert printed(capfd, "ls", hive) == "ControlSet001\nOdd/name\nSelect\n"
    assert printed(capfd, "ls", hive, r"controlset001\services") == "atapi\nviostor\n"
    assert printed(capfd, "ls", hive, "CurrentControlSet/Services/") == "atapi\nviostor\n"
    assert printed(capfd, "ls", hive, "Odd/name") == ""


def test_get_prints_the_data(hive: str, capfd: pytest.CaptureFixture[str]) -> None:
    key = r"CurrentControlSet\Services\viostor"
    for name, data in {
        "start": "0",
        "ImagePath": r"system32\drivers\viostor.sys",
        "List": "a\nb",
        "Bin": "0102",
    }.items():
        assert printed(capfd, "get", hive, key, name) == f"{data}\n"
    assert printed(capfd, "get", hive, key, "@") == printed(capfd, "get", hive, key, "") == "default\n"
    assert printed(capfd, "get", hive, key).splitlines() == [
        '"Start"=dword:00000000',
        r'"ImagePath"=str(2):"system32\\drivers\\viostor.sys"',
        r'"List"=str(7):"a\0b"',
        '"Bin"=hex:01,02',
        '@="default"',
    ]


def test_export_is_read_back(hive: str, capfdbinary: pytest.CaptureFixture[bytes]) -> None:
    for encoding, mark in (("utf-8", b"Windows"), ("utf-16", b"\xff\xfeW\0")):
        assert run(["registry", "export", hive, "--encoding", encoding]) == 0
        out = capfdbinary.readouterr().out
        assert out.startswith(mark)
        again = Hive.open(empty_hive("SYSTEM"))
        regtext.apply(again, out)
        assert listing(again) == listing(Hive.open(Path(hive).read_bytes()))


def test_export_of_a_key_has_its_full_name(hive: str, capfd: pytest.CaptureFixture[str]) -> None:
    out = printed(capfd, "export", hive, r"currentcontrolset\services\ATAPI").replace("\r", "")
    assert (
        out
        == "Windows Registry Editor Version 5.00\n\n[HKEY_LOCAL_MACHINE\\SYSTEM\\ControlSet001\\Services\\atapi]\n\n"
    )
    assert "[X\\Select]" in printed(capfd, "export", hive, "Select", "--prefix", "X")


def test_export_says_that_names_need_utf_16(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    made = Hive.open(empty_hive("SYSTEM"))
    made.create_key("\u4e2d\ud800")
    (tmp_path / "hive").write_bytes(made.to_bytes())
    assert run(["registry", "export", str(tmp_path / "hive"), "--encoding", "utf-8"]) == 0
    assert "--encoding utf-16" in capfd.readouterr().err
    assert run(["registry", "ls", str(tmp_path / "hive")]) == 0
    assert capfd.readouterr().out == "\u4e2d\\ud800\n"


def test_hive_in_a_guest(hive: str, tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    place = tmp_path / "guest" / "Windows" / "System32" / "config"
    place.mkdir(parents=True)
    shutil.copy(hive, place / "SYSTEM")
    for path in ("/Windows/System32/config/SYSTEM", r"\windows\system32\config\system", "SYSTEM", "system"):
        out = printed(capfd, "ls", "--guest", str(tmp_path / "guest"), path, "Select")
        assert out == ""
        assert "ControlSet001\n" in printed(capfd, "ls", "--guest", str(tmp_path / "guest"), path)


def test_keys_may_be_named_in_full(hive: str, capfd: pytest.CaptureFixture[str]) -> None:
    for root in ("HKLM", "HKEY_LOCAL_MACHINE", "hklm:", "Computer\\HKEY_LOCAL_MACHINE", "\\HKLM"):
        assert printed(capfd, "ls", hive, rf"{root}\system\CurrentControlSet\SERVICES") == "atapi\nviostor\n"
        assert printed(capfd, "get", hive, rf"{root}\SYSTEM\Select", "current") == "1\n"
    assert "ControlSet001\n" in printed(capfd, "ls", hive, r"HKLM\SYSTEM")


WRONG_KEYS = {
    r"HKLM\SOFTWARE\Microsoft": (64, "this is the hive of HKEY_LOCAL_MACHINE\\SYSTEM"),
    r"HKCR\.txt": (64, "HKEY_CLASSES_ROOT has no hive of its own"),
    r"ControlSet001\Services\vioscsi": (2, r"ControlSet001\Services has no subkey vioscsi"),
    r"ControlSet001\Servces\viostor": (2, "is Services meant?"),
    "Selct": (2, "the root has no subkey Selct"),
    r"Select\\Current": (2, "Select has no subkey"),
}


@pytest.mark.parametrize("key", WRONG_KEYS)
def test_a_wrong_key_is_told_what_is_there(key: str, hive: str, capfd: pytest.CaptureFixture[str]) -> None:
    status, text = WRONG_KEYS[key]
    assert run(["registry", "ls", hive, key]) == status
    caught = capfd.readouterr()
    assert text in caught.err and "remedy" in caught.err and caught.out == ""


ODD = r"""
[Key]
"Group Name"="with spaces"
"Number"=hex(b):05,00,00,00,00,00,00,80
"Empty"=hex:
"None"=hex(0):01,02
"Vendor's"=hex(ffff0012):6f,64,64
"Big endian"=hex(5):00,00,01,02
"Größe"="中文 💾"
"No NUL"=hex(1):61,00,62,00
"Lines"=hex(1):61,00,0d,00,0a,00,62,00,00,00
"""


def test_get_prints_every_type(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    made = Hive.open(empty_hive("X"))
    regtext.apply(made, ODD)
    made.set_value("Key", "two\nlines", 4, 7)
    path = str(tmp_path / "hive")
    Path(path).write_bytes(made.to_bytes())
    for name, data in {
        "group name": "with spaces",
        "Number": "9223372036854775813",
        "Empty": "",
        "None": "0102",
        "vendor's": "6f6464",
        "Big Endian": "258",
        "GRÖSSE": None,
        "grÖße": "中文 💾",
        "No NUL": "ab",
        "Lines": "a\r\nb",
        "two\nlines": "7",
    }.items():
        assert printed(capfd, "get", path, "Key", name, status=2 if data is None else 0) == (
            "" if data is None else f"{data}\n"
        )
    listed = printed(capfd, "get", path, "KEY").splitlines()
    assert len(listed) == 10 and listed[-1] == '"two\\nlines"=dword:00000007'
    assert '"Größe"="中文 💾"' in listed


def test_hives_of_a_guest_are_found_by_name(hive: str, tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    guest = tmp_path / "guest"
    (guest / "Windows" / "System32" / "config").mkdir(parents=True)
    (guest / "EFI" / "Microsoft" / "Boot").mkdir(parents=True)
    shutil.copy(hive, guest / "EFI" / "Microsoft" / "Boot" / "BCD")
    for user in ("Jörg", "admin"):
        (guest / "Users" / user).mkdir(parents=True)
        shutil.copy(hive, guest / "Users" / user / "NTUSER.DAT")
    assert "Select\n" in printed(capfd, "ls", "--guest", str(guest), "bcd")
    assert "Select\n" in printed(capfd, "ls", "--guest", str(guest), r"C:\Users\jörg\ntuser.dat")
    for name, status, text in (
        ("NTUSER.DAT", 64, "/Users/Jörg/NTUSER.DAT"),
        ("SYSTEMS", 2, "give SYSTEM, SOFTWARE"),
        (r"C:\Windows\System32\config\SAM", 2, "no such file"),
    ):
        assert run(["registry", "ls", "--guest", str(guest), name]) == status
        assert text in capfd.readouterr().err
    assert run(["registry", "ls", str(guest)]) == 2
    assert f"--guest {guest}" in capfd.readouterr().err


def test_a_log_is_no_hive(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    path = dirty_hive(tmp_path).with_name("ntuser.dat.LOG1")
    assert run(["registry", "ls", str(path)]) == 2
    assert "a transaction log, not a hive" in capfd.readouterr().err


def dirty_hive(folder: Path) -> Path:
    before, after = two_states()
    (folder / "NTUSER.DAT").write_bytes(sealed(before, first=21, second=20))
    (folder / "ntuser.dat.LOG1").write_bytes(new_log(before, log_entry(before, after, 20), sequence=20))
    (folder / "ntuser.dat.LOG2").write_bytes(b"")
    return folder / "NTUSER.DAT"


def test_logs_beside_a_hive_are_replayed(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    path = dirty_hive(tmp_path)
    assert "New\n" in printed(capfd, "ls", str(path))
    assert "New\n" in printed(capfd, "ls", "--guest", str(tmp_path), "/NTUSER.DAT")
    log = tmp_path / "ntuser.dat.LOG1"
    log.rename(tmp_path / "elsewhere")
    assert run(["registry", "ls", str(path)]) == 0
    caught = capfd.readouterr()
    assert "New\n" not in caught.out and "may be incomplete" in caught.err
    assert "New\n" in printed(capfd, "ls", str(path), "--log", str(tmp_path / "elsewhere"))


def test_errors_have_a_status_and_name_the_file(hive: str, tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "noise").write_bytes(b"noise" * 2000)
    (tmp_path / "empty").write_bytes(b"")
    for args in (
        ["ls", hive, "None"],
        ["get", hive, "Select", "None"],
        ["ls", str(tmp_path / "none")],
        ["ls", str(tmp_path)],
        ["ls", str(tmp_path / "noise")],
        ["export", str(tmp_path / "empty")],
    ):
        assert run(["registry", *args]) == 2
        assert args[1] in capfd.readouterr().err
    for args in ([], ["ls"], ["set", hive], ["get", hive]):
        assert run(["registry", *args]) == 64


def test_damage_ends_an_export_with_its_place(hive: str, capfd: pytest.CaptureFixture[str]) -> None:
    data = bytearray(Path(hive).read_bytes())
    key = Hive.open(bytes(data)).key("Select")
    assert key is not None
    struct.pack_into("<H", data, key.at, 0)
    Path(hive).write_bytes(data)
    assert run(["registry", "export", hive]) == 2
    caught = capfd.readouterr()
    assert f"no nk record at byte {key.at:#x}" in caught.err and "remedy" in caught.err


def test_real_hives(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "SYSTEM").write_bytes(corpus_hive("SYSTEM_WIN_10_1709"))
    assert run(["registry", "ls", str(tmp_path / "SYSTEM")]) == 0
    caught = capfd.readouterr()
    assert "ControlSet001\n" in caught.out and "no logs" in caught.err
    (tmp_path / "corrupted").write_bytes(corpus_hive("corrupted_system_hive"))
    assert run(["registry", "ls", str(tmp_path / "corrupted")]) == 2
    assert "0x1a000" in capfd.readouterr().err


def test_export_says_which_names_it_left_out(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    made = Hive.open(empty_hive("SYSTEM"))
    made.set_value("Odd\nname", "x", 1, "y")
    made.set_value("Plain", "two\rlines", 1, "y")
    path = tmp_path / "hive"
    path.write_bytes(made.to_bytes())
    for encoding in ("utf-8", "utf-16"):
        assert run(["registry", "export", str(path), "--prefix", "P", "--encoding", encoding]) == 0
        told = capfd.readouterr().err
        assert "left out" in told and "P\\Odd\\nname" in told and "P\\Plain: two\\rlines" in told
    assert run(["registry", "export", str(path), "Select" if made.key("Select") else "Plain"]) == 0
