"""A plan file may come from anybody: what is not exactly a plan ends with status 2, and nothing is written."""

from __future__ import annotations

import base64
import copy
import json
import os
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from guestfix import __version__
from guestfix.apply.apply import apply_plan
from guestfix.backends.directory import DirectoryGuest
from guestfix.base.edit import Splice
from guestfix.base.errors import GuestfixError, PlanError
from guestfix.base.guest import Meta
from guestfix.base.record import replace
from guestfix.cli import run
from guestfix.pack.cache import load_pack
from guestfix.plan.model import Plan, digest_of, dump_plan
from guestfix.plan.reader import load_plan
from tests.build.plans import every_kind, make_guest, plan_for, tree
from tests.build.tree import build

Document = dict[str, Any]
Mutation = Callable[[Document], object]
EDIT, CREATE, LINK, DELETE = 1, 3, 4, 5
"""Which of the plan's changes is an edit of /etc/fstab, a new file, a link, a file moved aside."""


def at(*path: str | int) -> Callable[[Any], Mutation]:
    """Return a function that makes the mutation which puts a value at this place of the document."""

    def value(new: Any) -> Mutation:
        def change(document: Document) -> None:
            holder: Any = document
            for step in path[:-1]:
                holder = holder[step]
            holder[path[-1]] = new

        return change

    return value


def moved(index: int, path: str) -> Mutation:
    """Return the mutation that gives a change another path, in both places where it stands."""

    def change(document: Document) -> None:
        document["changes"][index]["path"] = document["contents"][index]["path"] = path

    return change


def put(document: Document, place: int, index: int, path: str = "") -> None:
    """Add a copy of a change, with what it writes, at a place of the list."""
    for part in ("changes", "contents"):
        one = copy.deepcopy(document[part][index])
        document[part].insert(place, {**one, "path": path} if path else one)


def without(*path: str | int) -> Mutation:
    def change(document: Document) -> None:
        holder: Any = document
        for step in path[:-1]:
            holder = holder[step]
        del holder[path[-1]]

    return change


WRONG_TYPES = {"null": None, "true": True, "number": 7, "float": 1.5, "text": "x", "list": [1], "object": {"a": 1}}
PLACES: dict[tuple[str | int, ...], set[str]] = {
    ("schema",): set(),
    ("guest",): set(),
    ("guest", "identity"): set(),
    ("guest", "uri"): {"text"},
    ("target",): {"text"},
    ("verdict",): set(),
    ("compat",): {"object"},
    ("policies",): set(),
    ("facts",): set(),
    ("decisions",): set(),
    ("findings",): set(),
    ("changes",): set(),
    ("follow_ups",): set(),
    ("versions",): set(),
    ("versions", "pack"): {"text"},
    ("changes", EDIT): set(),
    ("changes", EDIT, "path"): set(),
    ("changes", EDIT, "kind"): set(),
    ("changes", EDIT, "rules"): set(),
    ("changes", EDIT, "before"): set(),
    ("changes", EDIT, "after"): set(),
    ("changes", EDIT, "size"): set(),
    ("contents",): set(),
    ("contents", EDIT): set(),
    ("contents", EDIT, "path"): set(),
    ("contents", EDIT, "splices"): set(),
    ("contents", EDIT, "splices", 0): set(),
    ("contents", EDIT, "splices", 0, "offset"): set(),
    ("contents", EDIT, "splices", 0, "length"): set(),
    ("contents", EDIT, "splices", 0, "base64"): set(),
    ("changes", EDIT, "diff"): {"text"},
    ("changes", EDIT, "meta"): {"null"},
    ("changes", CREATE, "meta"): set(),
    ("changes", CREATE, "meta", "mode"): set(),
    ("changes", CREATE, "meta", "uid"): {"null", "number"},
    ("changes", CREATE, "meta", "gid"): {"null", "number"},
    ("changes", CREATE, "meta", "xattrs"): set(),
}
"""Each place of a plan, and the kinds of value that may stand there after all."""

PATHS = {
    "relative": "etc/fstab",
    "empty": "",
    "the root": "/",
    "two slashes": "//etc/fstab",
    "an empty part": "/etc//fstab",
    "a slash at the end": "/etc/fstab/",
    "a dot": "/etc/./fstab",
    "two dots": "/etc/../etc/fstab",
    "out of the guest": "/../../etc/fstab",
    "a NUL": "/etc/fst\0ab",
    "half a character": "/etc/\ud800",
    "a long name": "/etc/" + "n" * 256,
    "a long path": "/e" * 3000,
    "a deep path": "/d" * 70,
    "a backup": "/etc/.fstab.guestfix.orig",
    "a staged file": "/etc/.fstab.guestfix.new",
    "a second backup": "/etc/.x.guestfix.2.orig",
    "any such name": "/etc/x.guestfix.y",
    "such a name in capitals": "/etc/.x.GuestFix.orig",
    "a folder of such a name": "/etc/.x.guestfix.orig/file",
    "the journals' home": "/var/lib/guestfix",
    "in the journals' home": "/var/lib/guestfix/0001/journal.json",
    "another spelling of it": "/Var/Lib/GUESTFIX/0001/applied",
    "that of Windows": "/ProgramData/guestfix/0001/journal.json",
    "a folder above it": "/var/lib",
}


def _wrong_types() -> Iterator[tuple[str, Mutation]]:
    for place, fine in PLACES.items():
        for name, value in WRONG_TYPES.items():
            if name not in fine:
                yield f"{'.'.join(map(str, place))}: {name}", at(*place)(value)


def _wrong_values() -> Iterator[tuple[str, Mutation]]:
    for name, path in PATHS.items():
        yield f"path: {name}", moved(CREATE, path)
    edit, written = ("changes", EDIT), ("contents", EDIT)
    values: dict[tuple[str | int, ...], tuple[Any, ...]] = {
        (*edit, "size"): (-1, 1 << 63, 10**30, 0, 5),
        (*edit, "kind"): ("chmod", "Edit", "create", "delete", "link", ""),
        (*edit, "before"): (None, "sha256:", "sha256:" + "A" * 64, "md5:x", "link:/etc/passwd", "sha256:" + "0" * 65),
        (*edit, "after"): (None, "link:/etc/shadow", "sha256:" + "0" * 64, "link:"),
        (*written, "splices", 0, "offset"): (-1, 10**6, 1 << 62, 1 << 63, 1 << 64),
        (*written, "splices", 0, "length"): (-1, 10**6, 1 << 62, 1 << 63, 1 << 64),
        (*written, "splices", 0, "base64"): ("?", "a", "YQ==\n", "\ud800", "YW5vdGhlcg=="),
        (*written, "splices"): (
            [], [{"offset": 0, "length": 0}], [{"offset": 5, "length": 0, "base64": ""}] * 2 + [{}],
            [{"offset": 4, "length": 9, "base64": ""}, {"offset": 5, "length": 1, "base64": ""}],
            [{"offset": 9, "length": 1, "base64": ""}, {"offset": 5, "length": 1, "base64": ""}],
        ),
        (*written, "path"): ("/etc/shadow", "", "/etc/fstab/"),
        (*written, "more"): (1,),
        ("contents",): ([],),
        (*edit, "meta"): ({"mode": "0644", "uid": 0, "gid": 0, "xattrs": {}},),
        (*edit, "more"): (1,),
        (*edit, "utf16"): (
            [], {"path": "?"}, {"path": "AA=="}, {"path": _utf16("/etc/shadow")}, {"path": _utf16("/etc/fstab")},
            {"before": _utf16("link:x")}, {"kind": _utf16("edit")}, {"path": 5},
        ),
        (*edit, "rules"): (["x" * 501], ["a"] * 1001, [["a"]]),
        ("changes", CREATE, "meta", "mode"): (
            "4755", "2755", "1777", "0999", "644", "00644", "-644", "0o64", "\u0660\u0666\u0664\u0664",
        ),
        ("changes", CREATE, "meta", "uid"): (-1, 1 << 32, (1 << 32) - 1, 10**20),
        ("changes", CREATE, "meta", "gid"): (-1, 1 << 32, (1 << 32) - 1, 10**20),
        ("changes", CREATE, "meta", "xattrs"): (
            {"security.capability": "YQ=="}, {"trusted.overlay.opaque": "eQ=="}, {"system.posix_acl_access": "YQ=="},
            {"security.selinux": "?"}, {"security.selinux": 1}, {"user." + "x" * 300: ""}, {"": "YQ=="},
            {"user.x": base64.b64encode(bytes(70_000)).decode()}, {"user.a\0b": ""}, {"user.": ""},
        ),
        ("changes", CREATE, "meta"): (None,),
        ("changes", CREATE, "before"): ("sha256:" + "0" * 64,),
        ("contents", CREATE, "splices", 0, "length"): (1,),
        ("contents", CREATE, "splices", 0, "offset"): (1,),
        ("changes", LINK, "after"): ("link:", "link:a\0b", "link:" + "x" * 5000, "link:\ud800"),
        ("changes", LINK, "size"): (1,),
        ("changes", DELETE, "after"): ("sha256:" + "0" * 64, "link:x"),
        ("contents", DELETE, "splices"): ([{"offset": 0, "length": 0, "base64": "eA=="}],),
        ("guest", "identity"): ("", "0" * 63, "0" * 64),
        ("verdict",): ("maybe",),
        ("schema",): (0, 1, 3, 10**20, 1.0, True),
        ("findings",): ([{"code": "x"}], [_finding(severity="Blocker")], [_finding(code="gf-space-root")],
                        [_finding(code="GF-X")],
                        [_finding(evidence=[{}])], [_finding(evidence=[{"path": "/", "line": -1, "text": ""}])],
                        [_finding(rule=5)]),
        ("decisions",): ([{"rule": "x"}], [_decision(outcome="done")], [_decision(selected="yes")],
                         [_decision(why=None)]),
        ("facts",): ({"a": {}}, {"a": {"value": 1}}, {"a": {"value": 1, "evidence": [{"path": "/"}]}},
                     {"a": {"value": None, "unknown": 5, "evidence": []}}),
        ("compat",): ({"summary": 5}, {"source": ["x"]}, {"date": {}}),
        ("follow_ups",): ([5], ["\ud800"]),
        ("policies",): ({"a": 5}, {"a": "x" * 501}),
        ("versions",): ({}, {"guestfix": "1", "pack": "1", "compat": "1"}),
    }  # fmt: skip
    for place, wrong in values.items():
        for index, value in enumerate(wrong):
            yield f"{'.'.join(map(str, place))}: value {index}", at(*place)(value)


def _utf16(text: str) -> str:
    return base64.b64encode(text.encode("utf-16-le")).decode()


def _finding(**more: Any) -> Document:
    finding = {
        "code": "GF-SPACE-ROOT",
        "severity": "warning",
        "summary": "s",
        "evidence": [],
        "remedy": "",
        "rule": None,
    }
    return {**finding, **more}


def _decision(**more: Any) -> Document:
    return {"rule": "a", "outcome": "no", "because": "", "confidence": "", "title": "", "why": "", **more}


def _missing() -> Iterator[tuple[str, Mutation]]:
    for place in PLACES:
        if isinstance(place[-1], str):
            yield f"without {'.'.join(map(str, place))}", without(*place)


def _together() -> Iterator[tuple[str, Mutation]]:
    def again(document: Document) -> None:
        put(document, len(document["changes"]), EDIT)

    def below(document: Document) -> None:
        put(document, len(document["changes"]), CREATE, "/etc/fstab/x")

    def above(document: Document) -> None:
        put(document, 0, CREATE, "/etc/systemd")

    def file_as_folder(document: Document) -> None:
        moved(CREATE, "/etc/machine-id/below")(document)

    def through_a_link(document: Document) -> None:
        moved(CREATE, "/linked/new")(document)

    def same_by_a_link(document: Document) -> None:
        moved(EDIT, "/linked/fstab")(document)

    def edit_of_nothing(document: Document) -> None:
        moved(EDIT, "/etc/nothing")(document)

    def many(document: Document) -> None:
        for part in ("changes", "contents"):
            one = document[part][CREATE]
            document[part] = [{**one, "path": f"/etc/new{index}"} for index in range(10_001)]

    def contents_of_another(document: Document) -> None:
        document["contents"][EDIT], document["contents"][CREATE] = (document["contents"][n] for n in (CREATE, EDIT))

    functions = (again, below, above, file_as_folder, through_a_link, same_by_a_link, edit_of_nothing, many)
    for function in (*functions, contents_of_another):
        yield function.__name__.replace("_", " "), function


MUTATIONS = dict([*_wrong_types(), *_wrong_values(), *_missing(), *_together()])

TEXTS: dict[str, Callable[[bytes], bytes]] = {
    "empty": lambda plan: b"",
    "half": lambda plan: plan[: len(plan) // 2],
    "twice": lambda plan: plan + plan,
    "binary": lambda plan: bytes(range(256)) * 100,
    "UTF-16": lambda plan: plan.decode().encode("utf-16"),
    "brackets": lambda plan: b"[" * 3_000_000,
    "braces": lambda plan: b'{"a":' * 1_000_000,
    "deep facts": lambda plan: _with(plan, "facts", _fact(b"[" * 500 + b"]" * 500)),
    "deeper facts": lambda plan: _with(plan, "facts", _fact(b"[" * 9**6 + b"]" * 9**6)),
    "many lists": lambda plan: _with(plan, "facts", b"[" + b"[]," * 3_000_000 + b"[]]"),
    "a long number": lambda plan: _with(plan, "schema", b"1" * 1_000_000),
    "no number": lambda plan: _with(plan, "schema", b"NaN"),
    "an infinite one": lambda plan: _with(plan, "facts", _fact(b"Infinity")),
    "a name twice": lambda plan: plan.replace(b'"changes":', b'"changes": [], "changes":', 1),
    "a name twice inside": lambda plan: plan.replace(b'"path":', b'"path": "/etc/x", "path":', 1),
    "large": lambda plan: plan.replace(b'"diff": "', b'"diff": "' + b"x" * (65 << 20), 1),
    "a list": lambda plan: b"[" + plan + b"]",
    "a text": lambda plan: json.dumps(plan.decode()).encode(),
}  # fmt: skip


def _fact(value: bytes) -> bytes:
    return b'{"a": {"evidence": [], "value": ' + value + b"}}"


def _with(plan: bytes, name: str, value: bytes) -> bytes:
    document = json.loads(plan)
    document[name] = "@@@"
    return json.dumps(document).encode().replace(b'"@@@"', value)


@pytest.fixture
def guest(tmp_path: Path) -> Path:
    make_guest(tmp_path / "guest")
    (tmp_path / "guest/linked").symlink_to("etc")
    return tmp_path / "guest"


def plan_of(root: Path) -> Plan:
    pack = load_pack()
    versions = {"guestfix": __version__, "pack": pack.version, "pack_digest": pack.digest, "compat": "0"}
    return plan_for(DirectoryGuest(str(root)), every_kind, "fstab/stable-device-names", versions)


def sealed(document: Any) -> Any:
    """Return the document with the digest that it has as it is, so that a refusal is for what it holds."""
    if isinstance(document, dict) and isinstance(document.get("plan_digest"), str):
        document["plan_digest"] = digest_of(document)
    return document


def check(root: Path, data: bytes, capfd: pytest.CaptureFixture[str]) -> str:
    """Apply the plan file as the command does; it must end with 2, and the guest be as it was."""
    file = root.parent / "plan.json"
    file.write_bytes(data)
    before = tree(root)
    start = time.monotonic()
    status = run(["apply", str(root), "--plan", str(file), "--journal-copy", str(root.parent / "copy")])
    said = capfd.readouterr().err
    assert status == 2, said
    assert time.monotonic() - start < 10
    assert tree(root) == before
    assert not (root.parent / "copy").exists()
    assert "Traceback" not in said and len(said) < 2000
    return said


def test_there_are_enough_malformed_plans() -> None:
    assert len(MUTATIONS) + len(TEXTS) > 300


def test_the_plan_itself_is_applied(guest: Path) -> None:
    """Else every refusal below could be for another reason."""
    file = guest.parent / "plan.json"
    file.write_bytes(dump_plan(plan_of(guest)))
    assert run(["apply", str(guest), "--plan", str(file)]) == 0
    assert (guest / "etc/fstab").read_text() == "UUID=1 / ext4 defaults 0 1\n"


@pytest.mark.parametrize("name", MUTATIONS)
def test_a_malformed_plan(name: str, guest: Path, capfd: pytest.CaptureFixture[str]) -> None:
    document = json.loads(dump_plan(plan_of(guest)))
    MUTATIONS[name](document)
    said = check(guest, json.dumps(sealed(document), ensure_ascii=True).encode(), capfd)
    assert "what its digest says" not in said
    assert "remedy" in said or "plan" in said


@pytest.mark.parametrize("name", TEXTS)
def test_a_text_that_is_no_plan(name: str, guest: Path, capfd: pytest.CaptureFixture[str]) -> None:
    assert "plan" in check(guest, TEXTS[name](dump_plan(plan_of(guest))), capfd)


def test_a_plan_from_a_device_is_bounded(guest: Path, capfd: pytest.CaptureFixture[str]) -> None:
    assert run(["apply", str(guest), "--plan", "/dev/zero"]) == 2
    assert "larger than 67108864 bytes" in capfd.readouterr().err


values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=20),
    lambda one: st.lists(one, max_size=3),
)


@settings(max_examples=200, deadline=None)
@given(st.data())
def test_any_value_anywhere_makes_a_plan_or_a_plan_error(data: st.DataObject) -> None:
    document = copy.deepcopy(BASE)
    holder: Any = document
    while isinstance(holder, dict | list) and holder:
        keys = list(holder) if isinstance(holder, dict) else list(range(len(holder)))
        key = data.draw(st.sampled_from(keys))
        if data.draw(st.integers(0, 2)) == 0 or not isinstance(holder[key], dict | list) or not holder[key]:
            holder[key] = data.draw(values)
            break
        holder = holder[key]
    try:
        plan = load_plan(json.dumps(sealed(document)).encode())
    except PlanError:
        return
    assert load_plan(dump_plan(plan)) == plan


def _base() -> Document:
    import tempfile

    with tempfile.TemporaryDirectory() as scratch:
        root = build(Path(scratch) / "guest", {"etc/os-release": "ID=debian\n"})
        make_guest(root.parent / "full")
        document: Document = json.loads(dump_plan(plan_of(root.parent / "full")))
    return document | {
        "findings": [_finding(evidence=[{"path": "/a", "line": 1, "text": "t"}])],
        "decisions": [_decision()],
    }


BASE = _base()


@pytest.mark.parametrize(
    "pair", [("/EFI/new", "/EFI/NEW"), ("/ProgramData/a", "/programdata/A"), ("/x/\u00e4", "/x/\u00c4")]
)
def test_names_that_windows_holds_for_equal(pair: tuple[str, str], tmp_path: Path) -> None:
    root = build(tmp_path, {"Windows/System32/x": "", "ProgramData/x": "", "EFI/x": ""})
    plan = plan_for(DirectoryGuest(str(root)), lambda fs: fs.put("/Windows/System32/y", b"y"))
    (change,) = plan.changes
    both = replace(plan, changes=tuple(replace(change, path=path) for path in pair))
    before = tree(root)
    with pytest.raises(PlanError, match=r"contradicts itself|spelled otherwise"):
        apply_plan(DirectoryGuest(str(root)), both)
    assert tree(root) == before


@pytest.mark.parametrize(
    ("splices", "size"),
    [((Splice(0, 0, b"x"),), 31), ((Splice(0, 30, b""),), 0), ((Splice(29, 5, b""),), 25), ((), 30)],
)
def test_what_would_not_be_what_the_plan_says_is_refused_before_writing(
    splices: tuple[Splice, ...], size: int, guest: Path
) -> None:
    plan = plan_for(DirectoryGuest(str(guest)), lambda fs: fs.put("/etc/fstab", b"new\n"))
    lying = replace(plan, changes=(replace(plan.changes[0], splices=splices, size=size),))
    before = tree(guest)
    with pytest.raises(PlanError, match=r"than it says|fit the size"):
        apply_plan(DirectoryGuest(str(guest)), lying)
    assert tree(guest) == before


@pytest.mark.parametrize("what", ["file", "folder", "link", "fifo"])
def test_apply_does_not_begin_where_a_staged_name_is_taken(what: str, guest: Path) -> None:
    place = guest / "etc/.hosts.guestfix.new"
    {
        "file": lambda: place.write_text("mine"), "folder": place.mkdir,
        "link": lambda: place.symlink_to("hosts"), "fifo": lambda: os.mkfifo(place),
    }[what]()  # fmt: skip
    plan = plan_of(guest)
    before = tree(guest)
    with pytest.raises(GuestfixError, match="has the name under which the new content is to be staged"):
        apply_plan(DirectoryGuest(str(guest)), plan)
    assert tree(guest) == before


def test_thousands_of_kept_originals_do_not_slow_apply(guest: Path) -> None:
    for number in range(2, 5000):
        (guest / f"etc/.fstab.guestfix.{number}.orig").touch()
    (guest / "etc/.fstab.guestfix.orig").touch()
    start = time.monotonic()
    receipt = apply_plan(DirectoryGuest(str(guest)), plan_of(guest))
    assert receipt.backups["/etc/fstab"] == "/etc/.fstab.guestfix.5000.orig"
    assert time.monotonic() - start < 10


def test_the_reader_takes_what_the_writer_made(guest: Path) -> None:
    plan = plan_of(guest)
    change = replace(
        plan.changes[CREATE], meta=Meta(0o600, 0, 0, xattrs=(("security.selinux", b"a\0"), ("user.x", b"\xff")))
    )
    plan = replace(plan, changes=(*plan.changes[:CREATE], change, *plan.changes[CREATE + 1 :]))
    assert load_plan(dump_plan(plan)) == plan
