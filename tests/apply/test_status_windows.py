"""What ``guestfix status`` tells of the first start of a Windows, whose script keeps a marker and exit codes."""

import json
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from guestfix.cli import run
from guestfix.formats.firststart import TaskEnd
from guestfix.formats.windows.firststart import read_outcome


def windows(root: Path, files: dict[str, bytes]) -> Path:
    """Make a Windows' folders with what its first start kept."""
    for path, data in {"Windows/System32/config/SYSTEM": b"regf", **files}.items():
        (root / path).parent.mkdir(parents=True, exist_ok=True)
        (root / path).write_bytes(data)
    return root


BROUGHT = {"Windows/guestfix/programs/qemu-ga.msi": b"\xd0\xcf", "Windows/guestfix/programs/agent.exe": b"MZ"}
DONE = "Windows/guestfix/firstboot.done"


def told(root: Path, capfd: pytest.CaptureFixture[str]) -> dict[str, object] | None:
    assert run(["status", str(root), "--format", "json"]) == 0
    found: dict[str, object] | None = json.loads(capfd.readouterr().out)["first_start"]
    return found


def test_before_the_first_start_nothing_is_told(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    assert told(windows(tmp_path, BROUGHT), capfd) is None


def test_exit_codes_are_told_and_a_program_without_an_end(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    kept = {
        DONE: b"started Mon 11/30/2026  1:00:00.12\r\nfinished Mon 11/30/2026  1:02:09.00\r\n",
        "Windows/guestfix/programs/qemu-ga.msi.exit": b"3010\r\n",
        "Windows/guestfix/programs/qemu-ga.msi.log": b"\xff\xfe",
    }
    found = told(windows(tmp_path, BROUGHT | kept), capfd)
    assert found == {
        "started": "Mon 11/30/2026  1:00:00.12",
        "finished": "Mon 11/30/2026  1:02:09.00",
        "tasks": [
            {"name": "agent.exe", "code": None, "why": ""},
            {"name": "qemu-ga.msi", "code": 3010, "why": ""},
        ],
        "log": "/Windows/guestfix/firstboot.log",
    }
    assert run(["status", str(tmp_path)]) == 0
    text = capfd.readouterr().out
    assert "  qemu-ga.msi: exit code 3010" in text and "  agent.exe: no end was seen" in text
    assert "its log is /Windows/guestfix/firstboot.log" in text


@pytest.mark.parametrize("kind", ["link", "folder", "exit-folder", "exit-link"])
def test_a_hostile_outcome_harms_nobody(tmp_path: Path, kind: str, capfd: pytest.CaptureFixture[str]) -> None:
    root = windows(tmp_path, BROUGHT)
    exit_file = root / "Windows/guestfix/programs/agent.exe.exit"
    if kind == "folder":
        (root / DONE).mkdir()
    elif kind == "link":
        (root / DONE).symlink_to("/etc/shadow")
    else:
        (root / DONE).write_bytes(b"started T\r\n")
        exit_file.mkdir() if kind == "exit-folder" else exit_file.symlink_to("/etc/shadow")
    found = told(root, capfd)
    assert found is not None and "root:" not in str(found)


def test_codes_have_a_sign_as_cmd_shows_them() -> None:
    found = read_outcome(b"", {"a.exe": b"-1073741819\r\n", "b.exe": b"no\r\n"}, "/log")
    assert found.tasks == (TaskEnd("a.exe", -1073741819), TaskEnd("b.exe", None))


@given(st.binary(max_size=500), st.binary(max_size=30))
def test_any_outcome_is_read(marker: bytes, code: bytes) -> None:
    found = read_outcome(marker, {"a.exe": code}, "/log")
    assert len(found.started) <= 80 and "\n" not in found.started and len(found.tasks) == 1
