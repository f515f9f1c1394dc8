"""The scripts behind README's two commands, with other programs in the place of the host's."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]
KEPT = ("sh", "sed", "dirname", "ls", "tr", "grep", "cat", "mktemp", "rm", "tail", "mkdir", "env", "chmod", "touch")


@pytest.fixture
def host(tmp_path: Path) -> Path:
    """A folder of programs: the real ones of KEPT, and an apt-get that brings everything but chntpw."""
    programs = tmp_path / "bin"
    programs.mkdir()
    for name in KEPT:
        (programs / name).symlink_to(shutil.which(name) or "/missing")
    write(programs / "id", "echo ${FAKE_UID:-0}")
    write(programs / "dpkg-query", 'for last; do :; done; [ -e "$0-$last" ] && echo install ok installed')
    write(programs / "apt-get", f"""
        echo "apt-get $*" >> {tmp_path}/asked
        case "$*" in *chntpw*) echo "E: Unable to locate package chntpw" >&2; exit 100;; esac
        [ "$1" = install ] && for name; do case $name in
            -*|install) ;; *) : > "{programs}/dpkg-query-$name";; esac; done
        exit 0""")  # fmt: skip
    (tmp_path / "src" / "tests").mkdir(parents=True)
    for name in ("packages.sh", "venv.sh"):
        shutil.copy2(ROOT / "tests" / name, tmp_path / "src" / "tests")
    (tmp_path / "src" / "pyproject.toml").touch()
    return programs


def write(place: Path, text: str) -> None:
    place.write_text("#!/bin/sh\n" + text)
    place.chmod(0o755)


def ask(host: Path, script: str, **env: str) -> subprocess.CompletedProcess[str]:
    command = ["sh", str(host.parent / "src" / "tests" / script), *(["core"] if script == "venv.sh" else [])]
    return subprocess.run(command, env={"PATH": str(host), **env}, capture_output=True, text=True, check=False)


def test_what_could_not_be_installed_is_said_with_the_reason(host: Path) -> None:
    done = ask(host, "packages.sh")
    assert done.returncode == 0 and done.stdout.split() == ["chntpw"]
    assert "installing make ca-certificates" in done.stderr
    assert (
        "could not install chntpw, so the tests that need it skip:\nE: Unable to locate package chntpw" in done.stderr
    )
    assert (host.parent / "asked").read_text().count("chntpw") == 2


def test_an_ordinary_user_gets_one_line_for_the_packages(host: Path) -> None:
    done = ask(host, "packages.sh", FAKE_UID="1000")
    (line,) = [one for one in done.stderr.splitlines() if "apt-get install" in one]
    assert line.split()[:4] == ["apt-get", "install", "-y", "--no-install-recommends"]
    assert line.split()[4:] == done.stdout.split() and "chntpw" in line and not (host.parent / "asked").exists()


@pytest.mark.parametrize("python", ["", "exit 1"], ids=["no python", "no ensurepip"])
def test_an_ordinary_user_without_venv_gets_one_line(python: str, host: Path) -> None:
    if python:
        write(host / "python3", python)
    done = ask(host, "venv.sh", FAKE_UID="1000", PYTHON="python3")
    assert done.returncode == 69 and not (host.parent / "src" / ".venv").exists()
    (line,) = [one for one in done.stderr.splitlines() if "apt-get install" in one]
    assert "as root" in line and " python3-venv" in line and not (host.parent / "asked").exists()


PYTHON = """
case "$*" in
  *"-m venv"*) for last; do :; done; mkdir -p "$last/bin"; touch "$last/pyvenv.cfg"; echo made by $0 >> "$last/made"
     printf '#!%s/bin/python\\necho "$@" >> %s/installed\\n' "$PWD/$last" "$PWD" > "$last/bin/pip"
     printf '#!/bin/sh\\nexit 0\\n' > "$last/bin/python"; chmod a+x "$last/bin/pip" "$last/bin/python";;
esac
exit 0
"""


def test_an_environment_that_works_is_kept_and_another_is_made_anew(host: Path) -> None:
    write(host / "one", PYTHON)
    write(host / "two", PYTHON)
    src = host.parent / "src"
    (src / ".venv" / "lib").mkdir(parents=True)  # what a stopped `python3 -m venv` leaves
    (src / ".venv" / "pyvenv.cfg").touch()
    for python in ("one", "two", "two"):
        done = ask(host, "venv.sh", PYTHON=python)
        assert done.returncode == 0, done.stderr
        assert (src / ".venv" / "made").read_text() == f"made by {host / 'one'}\n"
    assert not (src / ".venv" / "lib").exists()
    (src / ".venv" / "bin" / "python").unlink()
    assert ask(host, "venv.sh", PYTHON="two").returncode == 0
    assert (src / ".venv" / "made").read_text() == f"made by {host / 'two'}\n"


def test_a_folder_that_is_no_environment_is_left_alone(host: Path) -> None:
    write(host / "one", PYTHON)
    folder = host.parent / "src" / ".venv"
    folder.mkdir()
    (folder / "precious").touch()
    done = ask(host, "venv.sh", PYTHON="one")
    assert done.returncode == 69 and "is in the way" in done.stderr and (folder / "precious").exists()


def test_the_readme_names_both_commands() -> None:
    readme = (ROOT / "README.md").read_text()
    assert "    sh tests/try.sh\n" in readme and "    sh tests/check.sh\n" in readme
    assert "sh tests/check.sh\n" in (ROOT / ".ci" / "run").read_text()
    assert "sh tests/check.sh\n" in (ROOT / "Makefile").read_text()
