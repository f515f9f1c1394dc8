"""The public API is what is documented, and importing guestfix stays cheap."""

import subprocess
import sys
import typing

import guestfix
from guestfix.base.record import names_of
from tests.build.packs import make_pack
from tests.build.plans import tree
from tests.build.tree import build, elf


def test_every_name_of_the_api_is_there_and_documented():
    for name in guestfix.__all__:
        found = getattr(guestfix, name)
        assert callable(found) and found.__doc__, name
        assert not found.__doc__.startswith(f"{name}("), f"{name} has only a generated docstring"
        assert getattr(guestfix, name) is found, "a submodule of that name took its place"


def records_in(hint):
    """Yield the record types of guestfix that a type is made of."""
    for part in typing.get_args(hint):
        yield from records_in(part)
    if names_of(hint) and isinstance(hint, type):
        yield hint


def test_every_record_that_the_api_returns_is_public():
    """From what is called to what it returns, and from each record to those in its fields."""
    called = [getattr(guestfix, name) for name in guestfix.__all__]
    methods = [one for name, one in vars(guestfix.Session).items() if callable(one) and not name.startswith("_")]
    functions = [one for one in (*called, *methods) if not isinstance(one, type)]
    todo = [hint for one in functions for hint in records_in(typing.get_type_hints(one).get("return"))]
    todo += [one for one in called if names_of(one)]
    seen = set()
    while todo:
        record = todo.pop()
        if record in seen or record.__name__ in ("Pack", "Options"):  # a pack's inside is its YAML, see rules/README.md
            continue
        seen.add(record)
        hints = typing.get_type_hints(record, vars(sys.modules[record.__module__]))
        todo += [inner for name in names_of(record) for inner in records_in(hints[name])]
    assert len(seen) > 20
    assert {one.__name__ for one in seen} <= set(guestfix.__all__)
    assert all(getattr(guestfix, one.__name__) is one for one in seen)


def test_the_whole_path_through_the_api(tmp_path, monkeypatch):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    fstab = "//nas/share /mnt cifs defaults 0 0\n"
    root = build(tmp_path / "g", {"etc/os-release": "ID=debian\nVERSION_ID=12\n", "etc/fstab": fstab, "bin/sh": elf()})
    before = tree(root)
    stages = []
    pack = guestfix.load_pack(make_pack(tmp_path / "pack"))
    plan = guestfix.make_plan(
        guestfix.open_guest(str(root)),
        pack,
        "aws-nitro",
        guestfix.Options(only=("fstab/*",)),
        lambda stage, done, total: stages.append(stage),
    )
    assert guestfix.load_plan(guestfix.dump_plan(plan)) == plan
    receipt = guestfix.apply_plan(guestfix.open_writable(str(root)), plan)
    assert receipt.applied == ("/etc/fstab",)
    assert set(stages) == {"read", "plan"}
    guestfix.revert(guestfix.open_writable(str(root)))
    assert tree(root) == before


def loaded_by(code):
    names = "{'lark', 'yaml', 'ruamel', 'pyparsing', 're', 'json', 'hashlib', 'dataclasses'}"
    shown = f"{code}; import sys; print(sorted({names} & set(sys.modules)))"
    return subprocess.run([sys.executable, "-c", shown], capture_output=True, text=True).stdout


def test_importing_guestfix_loads_nothing_heavy():
    assert loaded_by("import guestfix") == loaded_by("import importlib")


def test_a_report_with_a_warm_cache_loads_no_parser(tmp_path):
    root = build(tmp_path / "g", {"etc/os-release": "ID=debian\nVERSION_ID=12\n", "etc/fstab": "", "bin/sh": elf()})
    code = (
        "import sys; from guestfix.cli import run; run(['report', sys.argv[1]]); "
        "print(sorted({'lark', 'yaml', 'ruamel', 'pyparsing', 'zstandard', 'lz4'} & set(sys.modules)), file=sys.stderr)"
    )
    env = {"XDG_CACHE_HOME": str(tmp_path / "cache"), "PATH": "/usr/bin:/bin"}
    for _ in range(2):
        done = subprocess.run([sys.executable, "-c", code, str(root)], capture_output=True, text=True, env=env)
    assert done.stderr == "[]\n"
