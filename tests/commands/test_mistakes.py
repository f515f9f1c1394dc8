"""A mistyped command, verb, option, id or value is told with the nearest right one."""

from __future__ import annotations

import pytest

from guestfix.backends.disks.hostfiles import TYPES
from guestfix.cli import run
from guestfix.commands.channels import CHANNELS
from guestfix.commands.help import verbs_of
from guestfix.commands.names import COMMANDS
from guestfix.commands.parser import parser_for
from guestfix.commands.written import IMPORTERS
from guestfix.pack.cache import load_pack
from tests.build.tree import build, elf

PACK = load_pack()
PARSERS = {(name,): parser_for(name) for name in COMMANDS}
PARSERS |= {(*words, verb): one for words, parser in PARSERS.items() for verb, one in verbs_of(parser).items()}


def swapped(name: str) -> str:
    """Return the name with a typing mistake: two letters in the middle in the other order, or one left out."""
    at = len(name) // 2
    other = name[: at - 1] + name[at] + name[at - 1] + name[at + 1 :]
    return other if other != name else name[:at] + name[at + 1 :]


@pytest.fixture
def told(capfd):
    def call(*words):
        status = run(words)
        out, message = capfd.readouterr()
        assert status == 64 and out == "", (words, message)
        return message

    return call


@pytest.mark.parametrize("name", COMMANDS)
def test_a_command(name, told):
    assert f"there is no command {swapped(name)!r}" in told(swapped(name), "x")
    assert f"did you mean {name}?" in told(swapped(name))
    assert f"did you mean {name}?" in told("help", swapped(name))


def test_what_is_like_no_command_gets_all_of_them(told):
    assert all(name in told("xyzzy") for name in COMMANDS)


VERBS = [words for words in PARSERS if len(words) > 1 and len(words[1]) > 2]


@pytest.mark.parametrize("words", VERBS, ids=" ".join)
def test_a_verb(words, told):
    message = told(words[0], swapped(words[1]))
    assert f"did you mean {words[1]}?" in message and f"has no {swapped(words[1])!r}" in message


OPTIONS = sorted({option for one in PARSERS.values() for option in one._option_string_actions if len(option) > 2})


@pytest.mark.parametrize("option", OPTIONS)
def test_an_option_with_its_value_in_each_form_and_place(option, told):
    words, parser = next((words, one) for words, one in PARSERS.items() if option in one._option_string_actions)
    wrong = swapped(option)
    value = [] if parser._option_string_actions[option].nargs == 0 else ["x"]
    needed = ["x" for one in parser._actions if not one.option_strings and one.nargs in (None, "+")]
    for tried in ([wrong, *value, *needed], [*needed, wrong, *value], [f"{wrong}=x", *needed], [f"{wrong}=x"]):
        message = told(*words, *tried)
        assert f"there is no option {wrong}" in message and f"did you mean {option}?" in message, tried


CHOICES = [
    (words, action, value)
    for words, parser in PARSERS.items()
    for action in parser._actions
    if action.choices and isinstance(action.choices, list | tuple)
    for value in action.choices
    if len(value) > 3
]


@pytest.mark.parametrize(
    ("words", "action", "value"), CHOICES, ids=lambda one: one if isinstance(one, str) else getattr(one, "dest", None)
)
def test_a_value_of_an_option_or_argument(words, action, value, told):
    needed = ["x" for one in PARSERS[words]._actions if not one.option_strings and one.nargs in (None, "+")]
    given = [f"{action.option_strings[0]}={swapped(value)}", *needed] if action.option_strings else [swapped(value)]
    more = ["x"] * max(len(needed) - 1, 0) if not action.option_strings else []
    message = told(*words, *given, *more)
    assert f"can't be {swapped(value)!r}" in message and "did you mean " in message


IDS = [
    (["--target", "aws-nito"], "aws-nitro"),
    (["--only", "fstab/missing-volume"], "fstab/missing-volumes"),
    (["--skip", "boot/defaultentry"], "boot/default-entry"),
    (["--accept", "GF-KERNEL-XN"], "GF-KERNEL-XEN"),
    (["--policy", "nsf=keep"], "nfs"),
    (["--policy", "nfs=kep"], "keep"),
    (["--events", "stdrr"], "stderr"),
    (["--events", "fiel:x"], "file"),
    *((["--write", f"{swapped(name)}=x"], name) for name in IMPORTERS),
]


@pytest.mark.parametrize(("words", "right"), IDS, ids=lambda one: " ".join(one) if isinstance(one, list) else None)
def test_an_id(words, right, told, tmp_path):
    guest = build(tmp_path / "guest", {"etc/os-release": "ID=debian\n", "bin/sh": elf(), "etc/fstab": ""})
    assert f"did you mean {right}?" in told("report", str(guest), *words)


OTHERS = [
    (["report", "dri:x"], "dir"),
    (["report", "disk.img", "--image-type", "qcow3"], "qcow2"),
    (["report", "disk.img", "--image-type", "disk.img=qocw2"], "qcow2"),
    (["compat", "list", "--system", "windows-servr"], "windows-server"),
    (["fleet", "list", "--code", "GF-KERNEL-XN"], "GF-KERNEL-XEN"),
    (["fleet", "list", "--stops-at", "initramf"], "initramfs"),
    (["fleet", "run", "x", "--target", "kvm-virto"], "kvm-virtio"),
    (["explain", "fstab.disabel"], "fstab.disable"),
    (["list", "targets", "kvm-virtoi"], "kvm-virtio"),
]


@pytest.mark.parametrize(("words", "right"), OTHERS, ids=lambda one: " ".join(one) if isinstance(one, list) else None)
def test_an_id_elsewhere(words, right, told, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "disk.img").write_bytes(bytes(4096))
    assert f"did you mean {right}?" in told(*words)


def test_a_system_that_the_table_does_not_know_gets_the_nearest(capfd):
    assert run(["compat", "show", "windows-serv"]) == 0
    assert "did you mean windows-server?" in capfd.readouterr()[0]


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["fleet", "run", "x", "--limit", "many"], "--limit: 'many' is no whole number"),
        (["verify", "x", "--patience", "soon"], "--patience: 'soon' is no number"),
        (["verify", "x", "--memory", "much"], "--memory: 'much' is no whole number"),
        (["compat", "show", "a", "b", "c", "d"], "one argument too many: d"),
        (["registry", "ls"], "required: HIVE"),
    ],
)
def test_what_is_no_name(words, message, told):
    assert message in told(*words) and "--help" in told(*words)


def test_what_comes_after_two_dashes_is_no_option(told):
    assert "there is no option" not in told("explain", "--", "--targt")
    assert "there is no option" not in told("explain", "-5")


def test_no_short_form_of_an_option_is_taken(told):
    for words in (["report", "x", "--targ", "kvm-virtio"], ["compat", "diff", "a", "b", "--form", "json"]):
        assert "there is no option" in told(*words)


def test_the_tables_that_are_told_are_those_in_use():
    assert {"fd", "file", "stderr", "stdout"} == {one.partition(":")[0] for one in CHANNELS}
    assert "qcow2" in TYPES and "kvm-virtio" in PACK.targets
