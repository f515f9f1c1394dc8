"""What the documentation shows: the site builds, links lead somewhere, every command is run or at least understood.

A ``console`` block holds commands after ``$`` and what they print: they run in the page's order, in one folder. ``...``
stands for any text of a line or, alone, for any lines. All other commands of the pages are parsed as the program would.
"""

from __future__ import annotations

import os
import re
import shlex
import shutil
import subprocess
import sys
from itertools import product
from pathlib import Path

import pytest

from guestfix import cli
from guestfix.backends.status import usable
from guestfix.base.errors import UsageError
from tests.build.images import debian_disk, have

ROOT = Path(__file__).resolve().parents[2]
PAGES = [ROOT / "README.md", ROOT / "rules/README.md", ROOT / "CONTRIBUTING.md", *sorted((ROOT / "docs").glob("*.md"))]
PAGES += sorted((ROOT / "docs").glob("start/*.md")) + sorted((ROOT / "docs").glob("guides/*.md"))
CONSOLE = re.compile(r"^```console\n(.*?)^```", re.M | re.S)
WALKED = [page for page in PAGES if CONSOLE.search(page.read_text())]
NEEDS_IMAGE = {page for page in WALKED if "disk.vmdk" in page.read_text()}


def steps(page: Path) -> list[tuple[str, list[str]]]:
    """Return the page's commands, each with the lines that are shown after it."""
    found: list[tuple[str, list[str]]] = []
    for block in CONSOLE.findall(page.read_text()):
        for line in block.splitlines():
            if line.startswith("$ "):
                found.append((line[2:], []))
            else:
                found[-1][1].append(line)
    return found


def prints(shown: list[str], out: list[str]) -> bool:
    """Tell whether the output is what is shown."""
    if not shown:
        return not out
    if shown[0] == "...":
        return any(prints(shown[1:], out[at:]) for at in range(len(out) + 1))
    wanted = ".*".join(re.escape(part) for part in shown[0].split("..."))
    return bool(out) and re.fullmatch(wanted, out[0].rstrip()) is not None and prints(shown[1:], out[1:])


@pytest.fixture(scope="module")
def image(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return debian_disk(tmp_path_factory.mktemp("disk"), "vmdk")


@pytest.mark.parametrize("page", WALKED, ids=lambda page: str(page.relative_to(ROOT)))
def test_a_page_does_what_it_shows(page: Path, tmp_path: Path, request: pytest.FixtureRequest) -> None:
    if page in NEEDS_IMAGE:
        if not have("mke2fs", "sfdisk", "qemu-img") or not usable("uml"):
            pytest.skip("e2fsprogs, fdisk, qemu-utils or User-mode Linux is missing")
        shutil.copy(request.getfixturevalue("image"), tmp_path / "disk.vmdk")
    if "ssh-keygen" in page.read_text() and not have("ssh-keygen"):
        pytest.skip("ssh-keygen is not installed")
    shutil.copytree(ROOT / "testdata/guests", tmp_path / "testdata/guests", symlinks=True)
    program = tmp_path / "bin/guestfix"
    program.parent.mkdir()
    program.write_text(f'#!/bin/sh\nexec {sys.executable} -m guestfix "$@"\n')
    program.chmod(0o755)
    env = {name: value for name, value in os.environ.items() if name not in ("CI", "LC_ALL", "LANG")}
    env |= {"PYTHONPATH": str(ROOT), "PATH": f"{program.parent}{os.pathsep}{os.environ['PATH']}", "COLUMNS": "80"}
    env |= {"XDG_CACHE_HOME": str(tmp_path / "cache"), "LC_ALL": "C.UTF-8"}
    for command, shown in steps(page):
        done = subprocess.run(["bash", "-ec", command], cwd=tmp_path, env=env, capture_output=True, text=True)
        assert done.returncode == 0, f"{command}\n{done.stdout}{done.stderr}"
        out = (done.stdout + done.stderr).splitlines()
        assert prints(shown, out), f"{command} does not print what {page.name} shows but:\n" + "\n".join(out)


INLINE = re.compile(r"`(guestfix [^`]+)`")
FENCED = re.compile(r"^```\w*\n(.*?)^```", re.M | re.S)
LINE = re.compile(r"^(?:\$ )?(guestfix .*)$", re.M)


def blocks(text: str) -> str:
    """Return the lines of all code blocks, without indentation."""
    indented = "\n".join(line[4:] for line in text.splitlines() if line.startswith("    "))
    return "\n".join([*FENCED.findall(text), indented]).replace("\\\n", " ")


def bare(line: str) -> str:
    """Return a command without what explains it behind two blanks, and without where its output goes."""
    command = re.sub(r"^(guestfix [a-z]+) +", r"\1 ", line)
    return re.split(r" {2,}|\s+#\s|\s+\d?[|>]|;", command)[0].strip()


def readings(command: str) -> list[list[str]]:
    """Return the command lines that a form stands for: ``a|b`` is either, what is in brackets may be there."""
    words = shlex.split(re.sub(r"[\[\]]", "", command))[1:]
    choices = [word.split("|") if re.fullmatch(r"[a-z-]+(\|[a-z-]+)+", word) else [word] for word in words]
    return [list(one) for one in product(*choices)]


def understood(command: str, *, whole: bool) -> None:
    """Parse a command as the program does; one that is named in a sentence may lack what the sentence says."""
    for words in readings(command):
        if not words or words[0] in ("COMMAND", "--machine-readable", "--version", "--help"):
            continue
        assert words[0] in cli.COMMANDS, f"{words[0]} is no command"
        try:
            cli.parser_for(words[0]).parse_args([word for word in words[1:] if word not in ("...", "FORM")])
        except UsageError as error:
            assert not whole and re.search(r"are required|expected one argument|can't be '[A-Z]+'", str(error)), error


SHOWN = sorted({(page, bare(one)) for page in PAGES for one in LINE.findall(blocks(page.read_text()))})
NAMED = sorted({(page, bare(one)) for page in PAGES for one in INLINE.findall(page.read_text().replace("\n", " "))})


@pytest.mark.parametrize(("page", "command"), SHOWN, ids=[f"{page.name}-{one}" for page, one in SHOWN])
def test_every_command_is_understood(page: Path, command: str) -> None:
    understood(command, whole=True)


@pytest.mark.parametrize(("page", "command"), NAMED, ids=[f"{page.name}-{one}" for page, one in NAMED])
def test_every_command_in_a_sentence_is_understood(page: Path, command: str) -> None:
    understood(command, whole=False)


def test_the_site_is_built_without_a_warning(tmp_path: Path) -> None:
    """Links and anchors too: the build is strict."""
    mkdocs = [sys.executable, "-m", "mkdocs", "build", "-q", "-f", str(ROOT / "tests/build/site/mkdocs.yml")]
    env = {**os.environ, "NO_MKDOCS_2_WARNING": "1"}
    done = subprocess.run([*mkdocs, "-d", str(tmp_path / "site")], env=env, cwd=ROOT, capture_output=True, text=True)
    assert done.returncode == 0 and done.stdout + done.stderr == "", done.stdout + done.stderr
    assert "GF-FSTAB-ROOT-UNRESOLVED" in (tmp_path / "site/reference/findings.html").read_text()
    fetched = re.findall(r'(?:src|<link[^>]*href)="(https?://[^"]+)', (tmp_path / "site/index.html").read_text())
    assert fetched == [], "a reader's browser would fetch from elsewhere"
