"""What a run is asked for and tells while it goes on: tags, a limit, events, guests that vanish, other packs, print."""

from __future__ import annotations

import hashlib
import json
import re
import shutil
import sqlite3
import sys
import zlib
from pathlib import Path

import pytest

from guestfix.base.errors import GuestfixError
from guestfix.base.text import to_json
from guestfix.fleet import store as stores
from guestfix.fleet.job import Guest, Result
from guestfix.fleet.page import render
from guestfix.fleet.rollup import roll_up
from guestfix.fleet.run import Setting, run
from guestfix.fleet.store import Store
from guestfix.pack.cache import load_pack
from tests.build.browser import printed
from tests.build.fleets import results
from tests.build.packs import make_pack
from tests.build.starts import starts, written
from tests.build.terminal import on_terminal
from tests.build.tree import build

pytest.importorskip("distributed", reason="the extra fleet is not installed here")
NAMES = ("a", "b", "c", "d")


@pytest.fixture
def fleet(tmp_path, monkeypatch, capsys):
    """Four guests in an inventory: b and d have the tag x, d also y. Return what does a verb and gives what it says."""
    rows = ["guests:"]
    for name in NAMES:
        files = {
            "etc/os-release": "ID=debian\nVERSION_ID=12\n",
            "etc/fstab": "//nas/x /x cifs defaults 0 0\n",
            "usr/x": "",
        }
        build(tmp_path / name, files)
        tags = {"b": "[x]", "d": "[x, y]"}.get(name, "[]")
        rows.append(f"  - {{name: {name}, disks: ['dir:{tmp_path}/{name}'], target: kvm-virtio, tags: {tags}}}")
    (tmp_path / "fleet.yaml").write_text("\n".join(rows) + "\n")

    def do(*words):
        from guestfix.__main__ import main

        monkeypatch.setattr(sys, "argv", ["guestfix", "fleet", *words, "--results", str(tmp_path / "r.db")])
        status = main()
        return status, *capsys.readouterr()

    return do


def listed(fleet) -> list[str]:
    return [one["name"] for one in json.loads(fleet("list", "--format", "json")[1])["guests"]]


@pytest.mark.parametrize(
    ("words", "names"),
    [
        (["--tag", "x"], ["b", "d"]),
        (["--tag", "x", "--tag", "y"], ["d"]),
        (["--limit", "3"], ["a", "b", "c"]),
        (["--tag", "x", "--limit", "1"], ["b"]),
        (["--limit", "9"], list(NAMES)),
    ],
)
def test_just_some_of_them(fleet, tmp_path, words, names):
    said = fleet("run", str(tmp_path / "fleet.yaml"), "--workers", "1", *words)
    assert f"run 1: {len(names)} guests" in said[1], said
    assert listed(fleet) == names


@pytest.mark.parametrize("limit", ["0", "-1", "x"])
def test_a_limit_that_can_not_be(fleet, tmp_path, limit):
    status, _, err = fleet("run", str(tmp_path / "fleet.yaml"), "--limit", limit)
    assert status == 64 and "--limit" in err and not (tmp_path / "r.db").exists()


def test_events_of_a_run(fleet, tmp_path):
    shutil.rmtree(tmp_path / "c")
    told = tmp_path / "events"
    status, _, _ = fleet("run", str(tmp_path / "fleet.yaml"), "--workers", "1", "--events", f"file:{told}")
    events = [json.loads(line) for line in told.read_text().splitlines()]
    assert status == 2
    assert any("c: failed" in one.get("message", "") for one in events), events
    told = [one for one in events if one["type"] == "progress"]
    progress = [one["guests"] for one in told]
    assert told[-1]["rest"] == 0 and 0.01 < told[-1]["rate"] < 1000 and {one["stage"] for one in told} == {"fleet"}
    assert [one["done"] for one in progress] == sorted(one["done"] for one in progress)
    assert progress[-1] == {"done": 4, "total": 4}
    assert events[-1]["type"] == "result"
    assert re.fullmatch(r"done, but for some of 4 guests: (\d blocked, )?1 failed", events[-1]["message"]), events[-1]
    result = events[-1]["result"]
    assert (result["run"], sum(result["outcomes"].values()), result["outcomes"]["failed"]) == (1, 4, 1)


def test_a_bar_on_a_terminal(fleet, tmp_path):
    pytest.importorskip("rich")
    words = ["fleet", "run", str(tmp_path / "fleet.yaml"), "--workers", "1", "--results", str(tmp_path / "r.db")]
    code = "import guestfix.commands.bar as bar, sys; bar.Bar.__init__.__defaults__ = (0,)\n"
    code += f"from guestfix.cli import run\nif __name__ == '__main__': sys.exit(run({words!r}))\n"
    (tmp_path / "run.py").write_text(code)
    found = on_terminal(str(tmp_path / "run.py")).decode()
    assert "Working on the guests" in found and re.search(r"\d of 4, [\d.]+ a (second|minute), \d+:\d\d left", found), (
        found
    )


def test_a_guest_that_vanishes_in_the_middle(tmp_path):
    found = []
    for name in NAMES:
        build(tmp_path / name, {"etc/os-release": "ID=debian\nVERSION_ID=12\n", "usr/x": ""})
        found.append(Guest(name, (f"dir:{tmp_path}/{name}",), target="kvm-virtio"))
    seen = []

    def told(at):
        if not seen:
            shutil.rmtree(tmp_path / "d")
        seen.append(at.name)

    store = Store(str(tmp_path / "r.db"), write=True)
    number = run(found, Setting(pack_digest=load_pack().digest, workers=1), store, [], told)
    rows = {row.name: row for row in store.rows(number)}
    store.close()
    assert sorted(rows) == list(NAMES) and "d" not in seen[:1]
    assert rows["d"].outcome == "failed" and rows["d"].error_code and str(tmp_path / "d") in rows["d"].error
    assert {rows[name].outcome for name in "abc"}.isdisjoint({"failed"})


@pytest.mark.parametrize("form", ["text", "html", "markdown", "junit"])
def test_what_a_start_showed(fleet, tmp_path, form):
    store = Store(str(tmp_path / "r.db"), write=True)
    number = store.begin("verify", "p", "v", 1, [])
    document = zlib.compress(to_json(written(starts())).encode())
    store.put(number, Guest("a", ("/x",)), Result("a", "ready", "k", "verify", document=document))
    store.close()
    status, said, err = fleet("show", "a", "--format", form)
    assert status == 0 and "aws-nitro" in said and "10.0.2.15" in said, err
    assert "\x1b" not in said and (form != "html" or "<script>|" not in said)


# results of other versions


def digest(place: Path) -> str:
    return hashlib.sha256(place.read_bytes()).hexdigest()


@pytest.mark.parametrize("write", [False, True])
@pytest.mark.parametrize(("version", "said"), [(99, "newer guestfix"), (0, "holds no results")])
def test_files_that_are_left_as_they_are(tmp_path, version, said, write):
    place = tmp_path / "x.db"
    with sqlite3.connect(place) as db:
        db.execute("CREATE TABLE x (y)")
        db.execute(f"PRAGMA user_version={version}")
    db.close()
    before = digest(place)
    for _ in range(2):  # the lock is let go of too
        with pytest.raises(GuestfixError, match=said) as caught:
            Store(str(place), write=write)
        assert "--results" in str(caught.value.remedy)
    assert digest(place) == before


def test_results_of_an_older_one_are_renewed_by_a_run(tmp_path, monkeypatch):
    place = str(tmp_path / "r.db")
    old = Store(place, write=True)
    old.begin("report", "p", "v", 0, [])
    old.close()
    monkeypatch.setattr(stores, "VERSION", stores.VERSION + 1)
    monkeypatch.setattr(stores, "SCHEMA", (*stores.SCHEMA, "CREATE TABLE more (x)"))
    with pytest.raises(GuestfixError, match="older guestfix") as caught:
        Store(place)
    assert "a new run renews them" in str(caught.value.remedy)
    new = Store(place, write=True)
    assert len(new.runs()) == 1 and new.db.execute("SELECT count(*) FROM more").fetchone() == (0,)
    new.close()
    Store(place).close()


# what another pack would change


def test_two_packs(fleet, tmp_path):
    empty, shares = (str(make_pack(tmp_path / name, rules)) for name, rules in (("p1", {}), ("p2", None)))
    for pack in (empty, shares):
        said = fleet("run", str(tmp_path / "fleet.yaml"), "--workers", "1", "--limit", "2", "--pack", pack)
        assert "2 guests" in said[1], said
    found = json.loads(fleet("diff", "1", "2", "--changes", "--format", "json")[1])
    assert [(one["name"], one["changes"]) for one in found["guests"]] == [("a", ["/etc/fstab"]), ("b", ["/etc/fstab"])]
    assert json.loads(fleet("diff", "2", "2", "--changes", "--format", "json")[1])["guests"] == []


# on paper


def test_printed_no_row_is_cut_or_lost(tmp_path):
    store, run = results(tmp_path, 300)
    page = tmp_path / "page.html"
    page.write_text(render(roll_up(store, run), store.rows(run)), "utf-8", "surrogateescape")
    rows = store.rows(run)
    store.close()
    sheets = printed(page)
    lines = [line for sheet in sheets for line in sheet.splitlines()]
    for row in rows[1:]:
        assert any(row.name in line and row.outcome in line for line in lines), row.name
    assert not any(sheet.split("\n")[0].strip() == "" and not sheet.strip() for sheet in sheets), "an empty sheet"
    with_guests = [sheet for sheet in sheets if sheet.count("guest-00") > 3]
    assert len(with_guests) > 2 and all("Outcome" in sheet for sheet in with_guests), "the head stands on each sheet"
