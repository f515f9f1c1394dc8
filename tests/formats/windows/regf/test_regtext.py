"""Registry text: exact in both directions, and the forms that regedit and others write."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from guestfix.base.errors import EditError, GuestfixError, UsageError
from guestfix.cases.runner import copy_guest
from guestfix.formats.windows.regf import Hive, empty_hive, regexport, regtext
from guestfix.formats.windows.regf.roots import hive_root, inner_path
from tests.build.hive_model import Node, act, steps
from tests.build.hive_oracles import corpus_hive, listing, tool

ROOT = r"HKEY_LOCAL_MACHINE\SYSTEM"


def imported(text: str | bytes) -> Hive:
    hive = Hive.open(empty_hive("SYSTEM"))
    regtext.apply(hive, text)
    return Hive.open(hive.to_bytes())


READ = [
    ('"a"=dword:0000001f', ("a", 4, "1f000000")),
    ('"a"=qword:1F', ("a", 11, "1f00000000000000")),
    ('@="x"', ("", 1, "78000000")),
    ('"a"=""', ("a", 1, "0000")),
    ('"a"="q\\"\\\\"', ("a", 1, "710022005c000000")),
    ('"a"="x" ; why', ("a", 1, "78000000")),
    ('"a"="x;y"', ("a", 1, "78003b0079000000")),
    ('"q\\"\\\\"="x"', ('q"\\', 1, "78000000")),
    ('  "a"  =  hex:01,2,\\\r\n   ff', ("a", 3, "0102ff")),
    ('"a"=hex:', ("a", 3, "")),
    ('"a"=hex(0):', ("a", 0, "")),
    ('"a"=hex(ffff0011):01', ("a", 0xFFFF0011, "01")),
    ('"a"=hex(2):25,00,00,00 ; a comment', ("a", 2, "25000000")),
    ('"a"=str(2):"%x%"', ("a", 2, "2500780025000000")),
    ('"a"=str(7):"b\\0c"', ("a", 7, "6200000063000000" + "0000")),
    ('"a"=str(2):"c:\\\\0dir"', ("a", 2, "63003a005c003000640069007200" + "0000")),
    ('"a"="two\nlines"', ("a", 1, "740077006f000a006c0069006e00650073000000")),
]


@pytest.mark.parametrize(("line", "value"), READ, ids=[line for line, _ in READ])
def test_values_are_read(line: str, value: tuple[str, int, str]) -> None:
    hive = imported(f'[{ROOT}\\Key]\n{line}\n"after"=dword:1\n')
    assert dict(listing(hive))["Key"] == [value, ("after", 4, "01000000")]


@pytest.mark.parametrize(
    "line", ["x", '"a"', '"a"=', '"a"=dword:', '"a"=dword:123456789', '"a"=hex:zz', '"a"="x', '"a"=str(2):x', "[open"]
)
def test_what_is_not_understood_is_named_with_its_line(line: str) -> None:
    with pytest.raises(UsageError) as caught:
        list(regtext.parse(f"{regtext.HEADER}\n\n[Key]\n{line}\n"))
    assert caught.value.where == "line 4"


def test_value_before_any_key_is_refused() -> None:
    with pytest.raises(UsageError, match="belongs to no key"):
        list(regtext.parse('"a"=dword:1'))


def test_deletions() -> None:
    hive = imported('[A\\B]\n"x"=dword:1\n"y"=dword:2\n[C]\n[A\\B]\n"X"=-\n[-C]\n[-Never]\n')
    assert listing(hive) == [("", []), ("A", []), ("A\\B", [("y", 4, "02000000")])]


@pytest.mark.parametrize("root", ["HKLM\\SYSTEM", "HKEY_LOCAL_MACHINE\\SYSTEM", "hkey_users\\S-1-5", ""])
def test_the_name_of_the_hive_is_dropped(root: str) -> None:
    assert imported(f"[{root}\\Key]\n" if root else "[Key]\n").key("Key") is not None


@pytest.mark.parametrize(
    ("raw", "name"),
    [
        ('[Key]\n"\u00e9"=dword:1\n'.encode("utf-16"), "\u00e9"),
        ('[Key]\n"\u4e2d"=dword:1\n'.encode("utf-8-sig"), "\u4e2d"),
        ('[Key]\n"\u00e9"=dword:1\n'.encode("cp1252"), "\u00e9"),
    ],
    ids=("utf-16", "utf-8", "cp1252"),
)
def test_encodings(raw: bytes, name: str) -> None:
    assert imported(raw).get("Key", name) == 1


def test_old_header_means_strings_of_one_byte_a_character() -> None:
    assert imported('REGEDIT4\n\n[Key]\n"a"=hex(2):25,61,00\n').get("Key", "a") == "%a"


def test_export_is_as_regedit_writes_it() -> None:
    hive = imported(
        f'[{ROOT}\\Key]\n"Text"="a \\"b\\" \\\\c"\n@=dword:0000000a\n"Bin"=hex:00,01\n"Wide"="\u00e9"\n'
        f'"Long"=hex:{",".join(["ab"] * 60)}\n"Expand"=str(2):"x"\n"None"=hex(0):\n[{ROOT}\\Key\\Sub]\n'
    )
    key = hive.key("Key")
    assert key is not None
    text = "".join(regexport.export(key, f"{ROOT}\\Key", ascii_data=True))
    assert text.split("\r\n") == [
        "Windows Registry Editor Version 5.00",
        "",
        f"[{ROOT}\\Key]",
        '"Text"="a \\"b\\" \\\\c"',
        "@=dword:0000000a",
        '"Bin"=hex:00,01',
        '"Wide"=hex(1):e9,00,00,00',
        f'"Long"=hex:{"ab," * 22}\\',
        f"  {'ab,' * 25}\\",
        f"  {','.join(['ab'] * 13)}",
        '"Expand"=hex(2):78,00,00,00',
        '"None"=hex(0):',
        "",
        f"[{ROOT}\\Key\\Sub]",
        "",
        "",
    ]
    assert '"Wide"="\u00e9"' in "".join(regexport.export(key, ROOT))
    assert all(len(line) <= 80 for line in text.split("\r\n"))


@settings(max_examples=60, deadline=None)
@given(st.lists(steps, min_size=1, max_size=6), st.booleans())
def test_export_and_import_give_the_same_hive(todo: list[tuple], ascii_data: bool) -> None:
    hive = Hive.open(empty_hive("SYSTEM"))
    for step in todo:
        act(hive, Node(""), step) if step[0] in ("set", "create") else None
    text = "".join(regexport.export(hive.root, ROOT, ascii_data=ascii_data))
    assert listing(imported(text)) == listing(hive)
    assert listing(imported(text.encode("utf-8"))) == listing(hive)


def test_names_with_line_breaks_are_left_out_of_an_export() -> None:
    hive = Hive.open(empty_hive("SYSTEM"))
    hive.set_value("Key", "a\r\n[HKEY_LOCAL_MACHINE\\SOFTWARE\\Evil]\r\n", 4, 1)
    hive.create_key("Odd\r\n[HKEY_LOCAL_MACHINE\\SOFTWARE\\Evil]\\Sub")
    text = "".join(regexport.export(hive.root, ROOT))
    assert [line for line in text.split("\r\n") if line.startswith("[")] == [f"[{ROOT}]", f"[{ROOT}\\Key]"]
    assert text.count("has a line break is left out") == 5


def test_real_hive_survives_export_and_import() -> None:
    hive = Hive.open(corpus_hive("BCD"))
    text = "".join(regexport.export(hive.root, ROOT))
    assert listing(imported(text)) == listing(hive)


def test_hivexregedit_reads_an_export(tmp_path: Path) -> None:
    hive = Hive.open(corpus_hive("BCD"))
    (tmp_path / "in.reg").write_text("".join(regexport.export(hive.root, "HKEY_LOCAL_MACHINE\\X", ascii_data=True)))
    (tmp_path / "hive").write_bytes(empty_hive("X"))
    command = [tool("hivexregedit"), "--merge", "--prefix", "HKEY_LOCAL_MACHINE\\X", str(tmp_path / "hive")]
    subprocess.run([*command, str(tmp_path / "in.reg")], check=True, capture_output=True)
    merged = Hive.open((tmp_path / "hive").read_bytes())
    assert {place: sorted(values) for place, values in listing(merged)} == {
        place: sorted(values) for place, values in listing(hive)
    }


def test_reged_imports_an_export(tmp_path: Path) -> None:
    hive = Hive.open(corpus_hive("BCD"))
    (tmp_path / "in.reg").write_text("".join(regexport.export(hive.root, "HKEY_LOCAL_MACHINE\\X", ascii_data=True)))
    (tmp_path / "hive").write_bytes(empty_hive("X"))
    command = [tool("reged"), "-I", "-C", str(tmp_path / "hive"), "HKEY_LOCAL_MACHINE\\X", str(tmp_path / "in.reg")]
    assert subprocess.run(command, capture_output=True, check=False).returncode == 2  # changed
    merged = Hive.open((tmp_path / "hive").read_bytes())
    assert {place: sorted(values) for place, values in listing(merged)} == {
        place: sorted(values) for place, values in listing(hive)
    }


def test_we_read_what_hivexregedit_exports(tmp_path: Path) -> None:
    data = corpus_hive("BCD")
    (tmp_path / "hive").write_bytes(data)
    command = [tool("hivexregedit"), "--export", "--prefix", ROOT, str(tmp_path / "hive"), "\\"]
    text = subprocess.run(command, check=True, capture_output=True).stdout
    assert {place: sorted(values) for place, values in listing(imported(text))} == {
        place: sorted(values) for place, values in listing(Hive.open(data))
    }


@pytest.mark.parametrize(
    ("names", "root"),
    [
        (("\\SystemRoot\\System32\\Config\\SYSTEM", "x"), ROOT),
        (("", "/srv/hives/SOFTWARE"), "HKEY_LOCAL_MACHINE\\SOFTWARE"),
        (("\\??\\C:\\Users\\a\\ntuser.dat", "y"), "HKEY_CURRENT_USER"),
        (("kVolume1\\EFI\\Microsoft\\Boot\\BCD", ""), "HKEY_LOCAL_MACHINE\\BCD00000000"),
        (("", "odd.bin"), "HKEY_LOCAL_MACHINE\\ODD.BIN"),
        (("", ""), "HKEY_LOCAL_MACHINE\\HIVE"),
    ],
)
def test_hive_root(names: tuple[str, ...], root: str) -> None:
    assert hive_root(*names) == root


WRONG = {
    '[Key\n"a"=dword:1': ("line 1", "no closing bracket"),
    '"a"=dword:1': ("line 1", "belongs to no key"),
    '[Key] junk\n"a"=dword:1': ("line 1", "follows a key"),
    '[Key]\r"a"=dword:1\r': ("line 1", "follows a key"),
    '[Key]\n\n"a"=dword:zz': ("line 3", "can't be understood"),
    '[Key]\n"a"=dword:123456789': ("line 2", "can't be understood"),
    '[Key]\n"a"=hex:123': ("line 2", "can't be understood"),
    '[Key]\n"a"=hex:0011': ("line 2", "can't be understood"),
    '[Key]\n"a"=hex:00,\\': ("line 2", "can't be understood"),
    '[Key]\n"a"=hex:00,\\\n[Other]\n': ("line 2", "can't be understood"),
    '[Key]\n"a"=hex(1ffffffff):00': ("line 2", "can't be understood"),
    '[Key]\n"a"=str(4):"1"': ("line 2", "no type of text"),
    '[Key]\n"a"="b\n"c"=dword:1': ("line 2", "can't be understood"),
    '[Key]\n"a"="b" junk': ("line 2", "can't be understood"),
    '[Key]\n"a" dword:1': ("line 2", "neither a key nor a value"),
    '[Key]\n"a"=dword:1\n[a\\\\b]': ("line 3", "no key can be named"),
    "[Key]\n[-]": ("line 2", "root key"),
    "[Key]\n[HKEY_CLASSES_ROOT\\.txt]": ("line 2", "no hive of its own"),
    "[Key]\n[HKLM\\SOFTWARE\\X]": ("line 2", "not in this hive"),
}


@pytest.mark.parametrize("text", WRONG)
def test_wrong_text_is_refused_with_its_line(text: str) -> None:
    where, reason = WRONG[text]
    with pytest.raises((UsageError, EditError), match=reason) as caught:
        imported(text)
    assert caught.value.where == where


def test_cut_text_is_refused() -> None:
    with pytest.raises(UsageError, match="half a character"):
        imported("[Key]\n".encode("utf-16") + b"x")


def test_wrong_text_of_a_case_is_named_with_file_and_line(tmp_path: Path) -> None:
    place = tmp_path / "in" / "Windows" / "System32" / "config"
    place.mkdir(parents=True)
    (place / "SYSTEM.reg").write_text('[Select]\n"Current"=dword:one\n')
    with pytest.raises(UsageError) as caught:
        copy_guest(tmp_path / "in", tmp_path / "root")
    assert caught.value.where == f"{place / 'SYSTEM.reg'}:2"


@pytest.mark.parametrize(
    ("path", "own", "inner"),
    [
        (r"HKLM\SYSTEM\Select", r"HKEY_LOCAL_MACHINE\SYSTEM", "Select"),
        (r"HKEY_LOCAL_MACHINE\OFFLINE\Select", r"HKEY_LOCAL_MACHINE\SYSTEM", "Select"),
        (r"HKU\S-1-5-21-1\Console", "HKEY_CURRENT_USER", "Console"),
        (r"HKCU\Software\Classes\x", r"HKEY_CURRENT_USER\Software\Classes", "x"),
        (r"HKCU\Software\x", "HKEY_CURRENT_USER", r"Software\x"),
        (r"SYSTEM\Select", r"HKEY_LOCAL_MACHINE\SYSTEM", r"SYSTEM\Select"),
        ("HKLM", "", ""),
        ("", "", ""),
    ],
)
def test_inner_path(path: str, own: str, inner: str) -> None:
    assert inner_path(path, own) == inner


PIECES = (
    *("\0", "str(7):"),
    "[",
    "]",
    "-",
    '"',
    "\\",
    "=",
    "hex:",
    "hex(2):",
    "dword:",
    "a",
    "0",
    ",",
    "\n",
    "\r\n",
    ";",
    "@",
    "str(7):",
    " ",
    "\0",
)
pieces = st.sampled_from((*PIECES, "\u00e9"))


@settings(max_examples=300, deadline=None)
@given(st.lists(pieces, max_size=60).map("".join))
def test_any_text_is_read_or_refused(text: str) -> None:
    try:
        imported(text)
        imported(f"[Key]\n{text}")
    except GuestfixError as error:
        assert str(error)
