"""Programs of the payload: which ones are staged, and the script that runs them."""

from __future__ import annotations

from pathlib import Path

import pytest

from guestfix.actions.payload import open_payload
from guestfix.actions.windows.programs import Program, programs, script_of
from guestfix.base.errors import PackError


def made(folder: Path, **files: str) -> list[Program]:
    for name, text in files.items():
        path = folder / name.replace("__", "/").replace("_dot_", ".")
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    return list(programs(open_payload(str(folder))))


def test_a_program_is_what_has_a_description_beside_it(tmp_path: Path) -> None:
    found = made(
        tmp_path,
        a_dot_msi="x", a_dot_yaml="title: A\n", B_dot_EXE="x", b_dot_yml="switches: /S\narch: [i686]\n",
        other_dot_exe="x", text_dot_yaml="a: b\n",
        deep__c_dot_msi="x", deep__c_dot_yaml="switches: [/quiet]\nwindows: ['6.1']\n",
    )  # fmt: skip
    assert [(one.path, one.title, one.switches, one.arch, one.windows) for one in found] == [
        ("B.EXE", "B.EXE", ("/S",), ("i686",), ()),
        ("a.msi", "A", ("/qn", "/norestart"), (), ()),
        ("deep/c.msi", "c.msi", ("/quiet",), (), ("6.1",)),
    ]


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("title: x\n", "without asking"),
        ("switches: ['a\"b']\n", "quotes"),
        ("switches: [/S]\narch: [amd64]\n", "'arch' can't be"),
        ("switchs: [/S]\n", "switchs"),
        ("- a\n", "mapping"),
        ("a: [\n", "a.yaml:"),
    ],
)
def test_mistakes_have_their_line(tmp_path: Path, text: str, words: str) -> None:
    with pytest.raises(PackError) as caught:
        made(tmp_path, a_dot_exe="x", a_dot_yaml=text)
    assert words in str(caught.value) and "a.yaml:" in str(caught.value)


def test_the_script_runs_each_and_keeps_its_exit_code() -> None:
    exe = Program("deep/100%.exe", "x", ("/S", "NAME=two words", "a&b"), (), ())
    text = script_of([exe, Program("a.msi", "a", ("/qn",), (), ())]).decode()
    lines = text.split("\r\n")
    assert r'start "" /wait "%~dp0programs\100%%.exe" /S NAME="two words" "a&b"' in lines
    assert r'>"%~dp0programs\100%%.exe.exit" echo %ERRORLEVEL%' in lines
    assert any("msiexec.exe" in one and one.endswith(r'/qn /l*v "%~dp0programs\a.msi.log"') for one in lines)
    assert lines[0] == "@echo off" and lines[-1] == ""
