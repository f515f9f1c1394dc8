"""What a system's file says of the distribution: names by which a guest is told, and facts by version."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest

from guestfix.backends.directory import DirectoryGuest
from guestfix.base.record import names_of
from guestfix.pack.cache import load_pack
from guestfix.pack.model import Names, System
from guestfix.pack.systemfacts import SYSTEM_FACTS
from guestfix.pack.systems import SYSTEM_KEYS, load_systems
from guestfix.pack.traits import facts_of, find_relative, find_system, fits
from guestfix.pack.yamlpos import parse
from guestfix.plan.planner import make_plan
from tests.build.packs import REAL, make_pack
from tests.build.systems import SYSTEMS
from tests.build.tree import build

TABLE = b'version: "1"\ndate: 2026-11-25\ntitle: t\n'
ROWS = """
releases: ["1", "2"]
arch: [x86_64]
rows:
  - version: "1 - 2"
    verdict: supported
    source: s
    date: 2026-11-29
"""


def load(**files: str) -> tuple[tuple[System, ...], list[str]]:
    """Load systems from their texts below id, title and family; return them and all problems."""
    texts = {f"os/{name}/os.yaml": f"id: {name}\ntitle: {name}\nfamily: linux\n{text}" for name, text in files.items()}
    nodes = {"compat.yaml": parse(TABLE, "compat.yaml")[0]}
    nodes |= {name: parse(text.encode(), name)[0] for name, text in texts.items()}
    systems, problems = load_systems({name: node for name, node in nodes.items() if node is not None})
    return systems, [f"{one.where}: {one.what}" for one in problems]


def sourced(facts: str, *names: str) -> str:
    tells = ", ".join(names)
    return f"facts:\n  {facts}\nsources:\n  - tells: [{tells}]\n    source: s\n    date: 2026-11-29\n"


@pytest.mark.parametrize("given", ["MyOS", "myos", "MYOS"])
def test_a_system_whose_id_has_a_capital_is_matched(tmp_path: Path, given: str) -> None:
    root = make_pack(tmp_path / "pack", {})
    (root / "os/MyOS").mkdir()
    (root / "os/MyOS/os.yaml").write_text("id: MyOS\ntitle: My System\nfamily: linux" + ROWS)
    guest = build(tmp_path / "guest", {"etc/os-release": f'ID="{given}"\nVERSION_ID="1"\n'})
    plan = make_plan(DirectoryGuest(str(guest)), load_pack(root))
    assert plan.verdict == "supported"
    assert next(one.value for one in plan.facts if one.name == "os.id") == "MyOS", "as rules would compare it"


MISTAKES = [
    ("ids in two cases", {"A": ROWS, "a": ROWS}, "'a' names the system 'A' too (id)"),
    ("an alias that is an id", {"a": ROWS, "b": "names: {aliases: [a]}\n"}, "'a' names the system 'a' too (aliases)"),
    ("one word twice", {"a": "names: {words: [x]}\n", "b": "names: {words: [x]}\n"}, "'x' names the system 'a' too"),
    ("a capital in a word", {"a": "names: {words: [Xen]}\n"}, "compared in lower case"),
    ("a base that is none", {"a": "base: b\n" + ROWS}, "there is no system 'b'"),
    ("versions of no base", {"a": 'base_versions: {"1": "2"}\n' + ROWS}, "there is no 'base'"),
    ("a fact unheard of", {"a": "facts: {inti: systemd}\n"}, "facts has no key 'inti'"),
    ("a value unheard of", {"a": sourced("init: launchd", "init")}, "'init' can't be 'launchd'"),
    ("a range that is none", {"a": sourced('init: {"x": systemd}', "init")}, "'x' is no version"),
    ("no source", {"a": "facts: {init: systemd}\nsources: []\n"}, "no source tells the fact 'init'"),
    ("a source of nothing", {"a": sourced("init: systemd", "init", "ifcfg")}, "tells 'ifcfg', which 'facts' does not"),
    ("braces", {"a": sourced('kernel_packages: "x-{version}"', "kernel_packages")}, "may name {kernel} and nothing"),
    ("a list that is none", {"a": sourced("kernels: {any: {b: c}}", "kernels")}, "must be a list of texts"),
    ("too long", {"a": sourced(f"install: {'x' * 500}", "install")}, "text of at most 200 characters"),
    ("a file that is no guest path", {"a": "names: {release_files: [etc/a]}\n"}, "'etc/a' must be an absolute guest"),
    ("a mark outside", {"a": "names: {marks: [/../a]}\n"}, "it may not leave the guest's root"),
    ("a glob outside", {"a": sourced("network_files: [/a/../../b*]", "network_files")}, "it may not leave the guest's"),
    ("rows without releases", {"a": ROWS.replace('releases: ["1", "2"]', "")}, "lacks the key 'releases'"),
]


@pytest.mark.parametrize(("files", "says"), [pytest.param(*rest, id=name) for name, *rest in MISTAKES])
def test_every_mistake_has_its_place(files: dict[str, str], says: str) -> None:
    problems = load(**files)[1]
    assert [one for one in problems if says in one and one.startswith("os/")], problems


A = sourced('init: {"1": sysv, "2 and later": systemd}', "init", "install", "ifcfg").replace(
    "sources:", "  install: get\n  ifcfg: {any: none}\nsources:"
)
FAMILY = {
    "a": A + 'releases: ["1", "2"]\n',
    "rebuilt": "like: [a]\nbase: a\n",
    "derived": 'like: [a]\nbase: a\nbase_versions: {"20": "1", "21 and later": "2"}\n'
    + sourced("install: put", "install"),
    "cousin": "like: [a]\n",
    "around": "base: around\n" + sourced("install: go", "install"),
}
KNOWN = [
    # id, ID_LIKE, version, facts
    ("a", (), "1", {"init": "sysv", "install": "get", "ifcfg": "none"}),
    ("a", (), "2.5", {"init": "systemd", "install": "get", "ifcfg": "none"}),
    ("a", (), "", {"install": "get", "ifcfg": "none"}),
    ("rebuilt", (), "2", {"init": "systemd", "install": "get", "ifcfg": "none"}),
    ("derived", (), "20.3", {"init": "sysv", "install": "put", "ifcfg": "none"}),
    ("derived", (), "21", {"init": "systemd", "install": "put", "ifcfg": "none"}),
    ("derived", (), "19", {"install": "put", "ifcfg": "none"}),
    ("cousin", (), "2", {"install": "get", "ifcfg": "none"}),
    ("unheard-of", ("x", "A"), "2", {"init": "systemd", "install": "get", "ifcfg": "none"}),
    ("unheard-of", ("a",), "31", {"install": "get", "ifcfg": "none"}),
    ("unheard-of", (), "2", {}),
    ("around", (), "2", {"install": "go"}),
]


@pytest.mark.parametrize(("ident", "like", "version", "facts"), KNOWN)
def test_a_system_inherits_what_holds_for_its_version(
    ident: str, like: tuple[str, ...], version: str, facts: dict[str, Any]
) -> None:
    systems, problems = load(**FAMILY)
    assert problems == []
    assert facts_of(systems, ident, like, version) == facts


def test_words_of_another_case_and_families() -> None:
    assert getattr(find_system(SYSTEMS, "RHEL"), "id", "") == "rhel"
    assert find_system(SYSTEMS, "suse") is None, "an ID that several systems have had"
    assert getattr(find_relative(SYSTEMS, "SUSE"), "id", "") == "sles"


@pytest.mark.parametrize(
    ("text", "globs", "inside"),
    [
        ("5.14.0-1.el9.x86_64", ("*.el[0-9]*", "!*elrepo*"), True),
        ("6.5.1-1.el9.elrepo.x86_64", ("*.el[0-9]*", "!*elrepo*"), False),
        ("6.5.1", ("*.el[0-9]*", "!*elrepo*"), False),
        ("6.5.1", ("!*uek*",), True),
        ("5.4.17.el8uek", ("!*uek*",), False),
    ],
)
def test_globs_take_in_and_leave_out(text: str, globs: tuple[str, ...], inside: bool) -> None:
    assert fits(text, globs) is inside


@pytest.mark.parametrize(
    ("ident", "version", "facts"),
    [
        (
            "rocky",
            "8.9",
            {"init": "systemd", "initramfs": "dracut", "ifcfg": "networkmanager", "install": "dnf install"},
        ),
        ("ol", "10.0", {"ifcfg": "none", "efi_folders": ["redhat"]}),
        ("centos", "6.9", {"init": "sysv", "ifcfg": "network-scripts", "efi_folders": ["centos"]}),
        ("sled", "11 SP4", {"init": "sysv", "initramfs": "mkinitrd-suse", "ifcfg": "ifup"}),
        ("opensuse-leap", "15.6", {"ifcfg": "wicked", "efi_folders": ["opensuse"]}),
        ("scientific", "7.9", {"init": "systemd", "grub_by_firmware": True}),
    ],
)
def test_what_the_pack_that_ships_tells(ident: str, version: str, facts: dict[str, Any]) -> None:
    found = facts_of(SYSTEMS, ident, (), version)
    assert {name: found.get(name) for name in facts} == facts


def test_the_guide_names_every_key() -> None:
    text = (REAL / "README.md").read_text()
    keys = {*SYSTEM_KEYS, *SYSTEM_FACTS, *names_of(Names)}
    assert [key for key in sorted(keys) if not re.search(rf"\b{key}\b", text)] == []
