"""Completions in real shells, and man pages as man and mandoc read them."""

from __future__ import annotations

import os
import pty
import re
import select
import shutil
import subprocess
import sys
import time
from pathlib import Path

import pytest

from guestfix.base.catalog.findings import FINDINGS
from guestfix.commands.names import COMMANDS
from guestfix.pack.cache import load_pack
from tests.build.manual import COMPLETIONS, FILES, MAN

PACK = load_pack()
ENV = {**os.environ, "PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}", "TERM": "dumb"}

ASKED = [
    ("guestfix rep", {"report"}),
    ("guestfix r", {"report", "render", "revert", "registry", "rules"}),
    ("guestfix help verif", {"verify"}),
    ("guestfix registry e", {"export"}),
    ("guestfix compat d", {"diff"}),
    ("guestfix report --targ", {"--target"}),
    ("guestfix report --target a", {name for name in PACK.targets if name.startswith("a")}),
    ("guestfix apply guest --target kvm", {name for name in PACK.targets if name.startswith("kvm")}),
    ("guestfix report --only fstab/", {rule.id for rule in PACK.rules if rule.id.startswith("fstab/")}),
    ("guestfix report --accept GF-KERNEL-X", {one for one in FINDINGS if one.startswith("GF-KERNEL-X")}),
    ("guestfix report --policy n", {"network", "nfs"}),
    ("guestfix report --format s", {"sarif"}),
    ("guestfix compat list --system win", {one.id for one in PACK.systems if one.id.startswith("win")}),
    ("guestfix explain os.fam", {"os.family"}),
    ("guestfix list f", {"facts", "findings"}),
    ("guestfix schema ta", {"target"}),
    ("guestfix report gue", {"guest", "guest.qcow2"}),
    ("guestfix report guest --pack gue", {"guest"}),
]
"""A line that is typed, and all that it can go on with."""


def bash(line: str, here: Path) -> set[str]:
    words = line.split()
    script = f"source {COMPLETIONS / FILES['bash']}; COMP_WORDS=({line}); COMP_CWORD={len(words) - 1}\n"
    script += "_shtab_guestfix; printf '%s\\n' \"${COMPREPLY[@]}\""
    done = subprocess.run(["bash", "-c", script], cwd=here, env=ENV, capture_output=True, text=True, timeout=60)
    return {one.rstrip("/") for one in done.stdout.split("\n") if one}


def fish(line: str, here: Path) -> set[str]:
    script = f"source {COMPLETIONS / FILES['fish']}; complete -C '{line}'"
    env = {**ENV, "HOME": str(here), "XDG_CONFIG_HOME": str(here / ".config")}
    done = subprocess.run(["fish", "-c", script], cwd=here, env=env, capture_output=True, text=True, timeout=60)
    return {one.partition("\t")[0].rstrip("/") for one in done.stdout.split("\n") if one}


SETTING = """
PS1=; unsetopt prompt_cr prompt_sp
fpath=($HOME/functions $fpath); autoload -Uz compinit; compinit -u -d $HOME/.zcompdump
compadd() {
  if [[ ${@[1,(i)(-|--)]} == *-(O|A|D)\\ * ]]; then builtin compadd "$@"; return $?; fi
  local -a hits; builtin compadd -A hits "$@"; print -rl -- $hits >>$HOME/told; builtin compadd "$@"
}
_tell() { zle list-choices; print END >>$HOME/told; zle kill-buffer }
zle -N _tell; bindkey '^X^T' _tell
print END >>$HOME/told
"""
"""Lets Ctrl-X Ctrl-T write what a line can go on with into a file."""


class Zsh:
    """An interactive zsh on a terminal of its own: completion is a part of its line editor."""

    def __init__(self, here: Path) -> None:
        self.told = here / "told"
        (here / ".zshrc").write_text(SETTING)
        self.pid, self.fd = pty.fork()
        if self.pid == 0:
            os.chdir(here)
            os.environ.update({**ENV, "HOME": str(here), "ZDOTDIR": str(here)})
            os.execvp("zsh", ["zsh", "-d", "-i"])
        self.read()

    def read(self, seconds: float = 60) -> list[str]:
        """Return what was told since, once that is at its end."""
        end, screen = time.monotonic() + seconds, ""
        while time.monotonic() < end:
            if select.select([self.fd], [], [], 0.05)[0]:
                screen += os.read(self.fd, 65536).decode(errors="replace")
            if self.told.is_file() and (text := self.told.read_text()).endswith("END\n"):
                return text.splitlines()[:-1]
        raise AssertionError(screen)

    def ask(self, line: str) -> set[str]:
        """Return what a line can go on with."""
        self.told.write_text("")
        os.write(self.fd, f"{line}\x18\x14".encode())
        return {one.rstrip("/") for one in self.read() if one}


@pytest.fixture(scope="module")
def here(tmp_path_factory):
    folder = tmp_path_factory.mktemp("shells")
    (folder / "guest").mkdir()
    (folder / "guest.qcow2").touch()
    (folder / "functions").mkdir()
    shutil.copy(COMPLETIONS / FILES["zsh"], folder / "functions" / "_guestfix")
    return folder


@pytest.mark.parametrize("shell", [bash, fish], ids=["bash", "fish"])
@pytest.mark.parametrize(("line", "wanted"), ASKED, ids=[line for line, _ in ASKED])
def test_a_shell_completes(shell, line, wanted, here):
    if not shutil.which(shell.__name__):
        pytest.skip(f"{shell.__name__} is not installed")
    assert shell(line, here) == wanted


@pytest.fixture(scope="module")
def zsh(here):
    if not shutil.which("zsh"):
        pytest.skip("zsh is not installed")
    shell = Zsh(here)
    yield shell
    os.close(shell.fd)
    os.waitpid(shell.pid, 0)


@pytest.mark.parametrize(("line", "wanted"), ASKED, ids=[line for line, _ in ASKED])
def test_zsh_completes(line, wanted, zsh):
    assert zsh.ask(line) == wanted


# man pages


def test_there_is_a_man_page_for_the_whole_and_for_each_command():
    assert {path.name for path in MAN.iterdir()} == {"guestfix.1", *(f"guestfix-{name}.1" for name in COMMANDS)}


@pytest.mark.parametrize("path", sorted(MAN.iterdir()), ids=lambda path: path.name)
def test_a_man_page_is_read_without_a_warning(path):
    if not shutil.which("groff"):
        pytest.skip("groff is not installed")
    command = ["groff", "-mandoc", "-t", "-wall", "-Tutf8", "-rF0", str(path)]
    done = subprocess.run(command, capture_output=True, text=True, errors="replace")
    assert done.returncode == 0 and done.stderr == ""
    text = re.sub(r"\x1b\[[0-9;]*m|.\x08", "", done.stdout)
    assert all(f"\n{title}\n" in text for title in ("NAME", "SYNOPSIS", "DESCRIPTION", "EXIT STATUS"))
    assert "\\" not in re.sub(r"\\(?=SYSTEM|Services|\.\.\.)", "", text)


@pytest.mark.parametrize("path", sorted(MAN.iterdir()), ids=lambda path: path.name)
def test_mandoc_finds_no_fault(path):
    if not shutil.which("mandoc"):
        pytest.skip("mandoc is not installed")
    done = subprocess.run(["mandoc", "-T", "lint", "-W", "warning", str(path)], capture_output=True, text=True)
    assert done.stdout == ""


def test_man_shows_a_page():
    if not shutil.which("man"):
        pytest.skip("man is not installed")
    env = {**os.environ, "MANWIDTH": "80", "LC_ALL": "C"}
    done = subprocess.run(
        ["man", "--warnings", "-l", str(MAN / "guestfix-report.1")], capture_output=True, text=True, env=env
    )
    assert done.returncode == 0 and done.stderr == ""
    text = re.sub(".\x08", "", done.stdout)
    assert "guestfix-report - show what would change" in text and "--detailed-exitcode" in text
