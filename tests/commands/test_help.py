"""Help: every command has its groups, defaults and examples, and each example does what it says."""

from __future__ import annotations

import argparse
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from guestfix.cli import run
from guestfix.commands.examples import EXAMPLES
from guestfix.commands.help import told, verbs_of
from guestfix.commands.names import COMMANDS, EXITS
from guestfix.commands.parser import parser_for
from tests.build.examples import guestfix, place_for

ROOT = Path(__file__).resolve().parents[2]
WORDS = [(name,) for name in COMMANDS] + [(name, verb) for name in COMMANDS for verb in verbs_of(parser_for(name))]


@pytest.fixture
def helped(monkeypatch, capfdbinary):
    def call(*words, columns="80"):
        monkeypatch.setenv("COLUMNS", columns)
        with pytest.raises(SystemExit) as ended:
            run([*words, "--help"])
        assert ended.value.code == 0
        return capfdbinary.readouterr()[0].decode()

    return call


@pytest.mark.parametrize("words", WORDS, ids=" ".join)
def test_every_command_and_verb_has_help_with_examples_and_exit_status(words, helped):
    text = helped(*words)
    assert text.startswith(f"usage: guestfix {' '.join(words)} [OPTIONS]") and f"\n  {list(EXITS)[-1]}" in text
    shown = [line for line in text.splitlines() if line.startswith(f"  guestfix {' '.join(words)}")]
    assert len(shown) >= (2 if len(words) == 1 else 1)
    assert "(default: None)" not in text and "(default: )" not in text and "==SUPPRESS==" not in text


@pytest.mark.parametrize("columns", ["40", "60", "80", "200"])
def test_help_is_as_wide_as_the_terminal(columns, helped, monkeypatch, capfdbinary):
    examples = {f"  {one.line}" for found in EXAMPLES.values() for one in found}
    for name in ("report", "apply", "list"):
        wide = [line for line in helped(name, columns=columns).splitlines() if len(line) > int(columns)]
        assert [line for line in wide if line not in examples and "{" not in line] == []
    assert run(["--help"]) == 0
    assert all(len(line) <= int(columns) for line in capfdbinary.readouterr()[0].decode().splitlines())


@pytest.mark.parametrize("words", WORDS, ids=" ".join)
def test_every_argument_says_what_it_is_and_its_default_once(words):
    parser = parser_for(words[0])
    parser = verbs_of(parser)[words[1]] if len(words) > 1 else parser
    for action in parser._actions:
        if action.choices is None or action.option_strings:
            assert action.help, f"{words}: {action.dest} says nothing"
        text = told(action)
        assert text.count("(default") <= 1, text
        own = isinstance(action.default, str | int | float) and action.default not in ("", False, argparse.SUPPRESS)
        if action.option_strings and own:
            assert "(default: " in text, text


def test_options_stand_in_groups(helped):
    for name, titles in {
        "report": ("the guest", "target and rules", "output", "while it works", "for importers"),
        "apply": ("the guest", "target and rules", "output", "disk images", "a plan that was reviewed"),
        "verify": ("the guest", "the start"),
    }.items():
        text = helped(name)
        assert all(f"\n{title}:\n" in text for title in (*titles, "other options"))


def test_help_of_a_command_is_printed_by_help_too(helped, capfdbinary, monkeypatch):
    text = helped("report")
    assert run(["help", "report"]) == 0
    assert capfdbinary.readouterr()[0].decode() == text


def test_nothing_for_help_is_loaded_for_a_run():
    code = "import sys; from guestfix.cli import run; run(['list', 'targets'])\n"
    code += "print([one for one in sys.modules if one.rpartition('.')[2] in ('help', 'examples', 'mistakes')])"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.splitlines()[-1] == "[]"


EVERY = [(name, one) for name, found in EXAMPLES.items() for one in found]
LACKS = {"--output": ("linux.uml", "qemu-storage-daemon"), "plan sign": ("ssh-keygen",), "rules sign": ("ssh-keygen",)}
LACKS |= {"--allowed-signers": ("ssh-keygen",)}
"""Programs that an example needs, by a part of it."""
BEFORE = {"revert": ("apply", "guest"), "fleet list": ("fleet", "run", "inventory.yaml", "--target", "kvm-virtio")}
BEFORE |= dict.fromkeys(("fleet show", "fleet diff", "fleet rollup", "fleet export"), BEFORE["fleet list"])
"""What has to be done before an example can be."""


def test_every_command_has_examples():
    assert {name: len(found) >= 2 for name, found in EXAMPLES.items()} == dict.fromkeys(COMMANDS, True)
    assert all(one.line.startswith(f"guestfix {name} ") or one.line == f"guestfix {name}" for name, one in EVERY)


@pytest.fixture(scope="module")
def place(tmp_path_factory):
    return place_for(tmp_path_factory.mktemp("examples"))


@pytest.mark.parametrize("example", [one for name, one in EVERY if name != "verify"], ids=lambda one: one.line)
def test_an_example_runs_as_it_is_printed(example, place, tmp_path):
    for part, programs in LACKS.items():
        if part in example.line:
            lacking = [one for one in programs if not shutil.which(one)]
            if lacking:
                pytest.skip(f"{lacking[0]} is not installed")
    if " fleet " in example.line:
        pytest.importorskip("distributed", reason="the extra guestfix[fleet] is not installed")
    here = tmp_path / "here"
    shutil.copytree(place, here, symlinks=True)
    for words in [words for part, words in BEFORE.items() if f"guestfix {part}" in example.line]:
        for _ in range(2 if "fleet diff" in example.line else 1):
            guestfix(here, *words)
    env = {**os.environ, "PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}", "PAGER": "cat"}
    env.pop("CI", None)
    done = subprocess.run(["sh", "-ec", example.line], cwd=here, env=env, capture_output=True, text=True, timeout=300)
    assert done.returncode == 0, done.stdout + done.stderr
    target = example.line.partition(" > ")[2]
    assert (here / target).stat().st_size if target else done.stdout


@pytest.mark.e2e
@pytest.mark.parametrize("example", EXAMPLES["verify"], ids=lambda one: one.line)
def test_an_example_that_starts_a_guest_runs_as_it_is_printed(example, place, tmp_path):
    """The guest has no kernel, so the start ends with 1, and what was seen of it is told."""
    if not shutil.which("qemu-system-x86_64"):
        pytest.skip("qemu-system-x86_64 is not installed")
    shutil.copytree(place, tmp_path / "here", symlinks=True)
    env = {**os.environ, "PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}"}
    command = ["sh", "-ec", example.line]
    done = subprocess.run(command, cwd=tmp_path / "here", env=env, capture_output=True, text=True, timeout=900)
    assert done.returncode == 1 and "kvm-virtio" in done.stdout, done.stdout + done.stderr
