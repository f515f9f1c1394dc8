"""The script of the first start, run by every shell that is here, and what is read of its outcome."""

from __future__ import annotations

import hashlib
import os
import shutil
import subprocess
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from guestfix.formats.firststart import DIGESTS, FOLDER, STARTERS, FirstStart, Task, TaskEnd, read_outcome, script_of

SHELLS = [one for one in (["dash"], ["bash", "--posix"], ["busybox", "sh"], ["mksh"]) if shutil.which(one[0])]


def started(home: Path, shell: list[str], tasks: dict[str, tuple[str, int]], damage: str = "") -> FirstStart:
    """Lay tasks out as a guest has them, below another folder, and run the script twice."""
    made = []
    for name, (text, seconds) in tasks.items():
        folder = home / "tasks" / name
        folder.mkdir(parents=True)
        (folder / name).write_text(text)
        digest = hashlib.sha256(text.encode()).hexdigest()
        (folder / DIGESTS).write_text(f"{'0' * 64 if name == damage else digest}  {name}\n")
        made.append(Task(name, ("sh", f"./{name}", "two words", "$HOME'"), seconds))
    (home / "run.sh").write_bytes(script_of(made).replace(FOLDER.encode(), bytes(home)))
    for _ in range(2):
        subprocess.run([*shell, str(home / "run.sh")], check=False, stderr=subprocess.DEVNULL, timeout=60)
    return read_outcome((home / "started/outcome").read_bytes())


@pytest.mark.parametrize("shell", SHELLS, ids=lambda one: one[0])
def test_each_is_run_once_in_its_folder_and_its_exit_code_is_kept(tmp_path: Path, shell: list[str]) -> None:
    said = 'printf "%s|" "$@" >>said; echo loud; echo error >&2\n'
    found = started(tmp_path, shell, {"a.sh": (said, 9), "b.sh": ("exit 7\n", 9), "c.sh": ("read x; exit 3", 9)})
    assert found.tasks == (TaskEnd("a.sh", 0), TaskEnd("b.sh", 7), TaskEnd("c.sh", 3))
    assert found.started <= found.finished and found.started.endswith("Z")
    assert (tmp_path / "tasks/a.sh/said").read_text() == "two words|$HOME'|"
    log = (tmp_path / "started/log").read_text()
    assert "== a.sh: sh ./a.sh" in log and "loud\nerror\n" in log


@pytest.mark.parametrize("shell", SHELLS, ids=lambda one: one[0])
def test_what_takes_too_long_is_ended_with_all_that_it_started(tmp_path: Path, shell: list[str]) -> None:
    text = "sleep 300 &\necho $! >inner\nwait\n"
    found = started(tmp_path, shell, {"a.sh": (text, 1), "b.sh": ("exit 0", 9)})
    assert found.tasks == (TaskEnd("a.sh", -1, "it took longer than its time"), TaskEnd("b.sh", 0))
    inner = Path("/proc", (tmp_path / "tasks/a.sh/inner").read_text().strip(), "stat")
    assert not inner.exists() or inner.read_text().split()[2] == "Z"


@pytest.mark.parametrize("shell", SHELLS, ids=lambda one: one[0])
def test_a_file_that_was_changed_is_not_run(tmp_path: Path, shell: list[str]) -> None:
    found = started(tmp_path, shell, {"a.sh": (": >ran", 9), "b.sh": ("exit 0", 9)}, damage="a.sh")
    assert [(one.name, one.code) for one in found.tasks] == [("a.sh", -1), ("b.sh", 0)]
    assert "not those that were brought" in found.tasks[0].why and not (tmp_path / "tasks/a.sh/ran").exists()


def test_where_nothing_can_be_written_nothing_is_run(tmp_path: Path) -> None:
    (tmp_path / "run.sh").write_bytes(script_of([Task("a", ("touch", str(tmp_path / "ran")), 5)]))
    (tmp_path / "run.sh").write_bytes((tmp_path / "run.sh").read_bytes().replace(FOLDER.encode(), b"/nonexistent"))
    subprocess.run(["sh", str(tmp_path / "run.sh")], check=True, stderr=subprocess.DEVNULL, timeout=20)
    assert not (tmp_path / "ran").exists()


def test_a_start_that_was_cut_off_has_no_end() -> None:
    found = read_outcome(b"started 2026-11-30T01:00:00Z\nbegin a.deb 2026-11-30T01:00:01Z\n")
    assert found == FirstStart("2026-11-30T01:00:00Z", "", (TaskEnd("a.deb", None),))


@given(st.binary(max_size=2000))
def test_any_outcome_is_read(data: bytes) -> None:
    found = read_outcome(data)
    assert all(one.code is None or -1 <= one.code <= 999 for one in found.tasks)


@pytest.mark.parametrize("name", sorted(STARTERS))
def test_what_starts_it_looks_for_the_marker_and_is_a_script_where_it_must_be_one(name: str, tmp_path: Path) -> None:
    path, text, mode = STARTERS[name]
    assert f"{FOLDER}/started" in text and f"{FOLDER}/run.sh" in text
    if text.startswith("#!"):
        assert mode == 0o755
        (tmp_path / "script").write_text(text)
        assert subprocess.run(["sh", "-n", str(tmp_path / "script")], check=False).returncode == 0
    else:
        assert os.path.dirname(path) == "/etc/systemd/system" and mode == 0o644
