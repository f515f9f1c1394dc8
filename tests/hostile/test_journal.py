"""A journal lies in the guest: whatever stands at its place, apply can be undone or does not begin."""

from __future__ import annotations

import json
import os
import resource
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from guestfix.apply.apply import apply_plan
from guestfix.apply.undo import revert
from guestfix.backends.directory import DirectoryGuest
from guestfix.base.edit import Link
from guestfix.base.errors import ApplyError, Blocked, PlanError
from guestfix.base.homes import journal_homes
from guestfix.cli import run
from guestfix.pack.cache import load_pack
from guestfix.plan.model import Plan
from guestfix.plan.planner import make_plan
from tests.build.plans import every_kind, make_guest, plan_for, tree
from tests.build.tree import build


@pytest.fixture(autouse=True)
def wide(monkeypatch):
    """Let no sentence be wrapped."""
    monkeypatch.setenv("COLUMNS", "1000")


HOME = "var/lib/guestfix"
ODD = ("1", "00001", "0001x", "-001", "\u0661\u0662\u0663\u0664")


@pytest.fixture
def root(tmp_path: Path) -> Path:
    make_guest(tmp_path / "guest")
    return tmp_path / "guest"


def guest_at(root: Path) -> DirectoryGuest:
    return DirectoryGuest(str(root))


def plan_of(root: Path) -> Plan:
    return plan_for(guest_at(root), every_kind)


def text_at(path: Path, data: bytes = b"") -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(data)


# what may stand in the journals' home and is in nobody's way

HARMLESS: dict[str, Callable[[Path], object]] = {
    "a number of four nines": lambda home: (home / "9999").mkdir(),
    "a large number": lambda home: (home / ("9" * 100)).mkdir(),
    "ten thousand folders": lambda home: [(home / f"{number:04d}").mkdir() for number in range(10_000)],
    "a file": lambda home: (home / "0001").touch(),
    "a link": lambda home: (home / "0007").symlink_to("/etc"),
    "a dangling link": lambda home: (home / "0001").symlink_to("nowhere"),
    "a loop": lambda home: (home / "0001").symlink_to("0001"),
    "a FIFO": lambda home: os.mkfifo(home / "0001"),
    "other names": lambda home: [(home / name).mkdir() for name in ODD],
    "somebody's file": lambda home: text_at(home / "0003/notes", b"mine"),
    "a draft of somebody else's": lambda home: text_at(home / ".0009.guestfix.1.2.new/notes", b"mine"),
}  # fmt: skip


@pytest.mark.parametrize("what", HARMLESS)
def test_apply_and_revert_work_whatever_is_there(what: str, root: Path) -> None:
    (root / HOME).mkdir()
    HARMLESS[what](root / HOME)
    before = tree(root)
    start = time.monotonic()
    receipt = apply_plan(guest_at(root), plan_of(root))
    assert receipt.journal is not None and journal_homes(guest_at(root)) == [os.path.dirname(receipt.journal)]
    assert (root / "etc/fstab").read_text() == "UUID=1 / ext4 defaults 0 1\n"
    assert len(revert(guest_at(root)).journals) == 1
    assert time.monotonic() - start < 10
    assert tree(root) == before


@pytest.mark.parametrize("last", [9998, 9999, 10_000, 99_999])
def test_journals_of_any_number_are_undone_newest_first(last: int, root: Path) -> None:
    before = tree(root)
    for number in range(3):
        if number == 1:
            (root / HOME / "0001").rename(root / HOME / f"{last:04d}")
            text = (root / HOME / f"{last:04d}/journal.json").read_text()
            text = text.replace("/var/lib/guestfix/0001", f"/var/lib/guestfix/{last:04d}")
            (root / HOME / f"{last:04d}/journal.json").write_text(text)
        content = f"version {number}\n".encode()
        apply_plan(guest_at(root), plan_for(guest_at(root), lambda fs, data=content: fs.put("/etc/hosts", data)))
    done = revert(guest_at(root))
    assert [int(home.rpartition("/")[2]) for home in done.journals] == [last, last + 1, last + 2]
    assert {name: state for name, state in tree(root).items() if name != HOME} == before


def test_a_number_that_leaves_no_higher_one_is_refused(root: Path) -> None:
    (root / HOME / ("9" * 150)).mkdir(parents=True)
    before = tree(root)
    with pytest.raises(Blocked, match="higher number"):
        apply_plan(guest_at(root), plan_of(root))
    assert tree(root) == before


# what makes a journal impossible is told beforehand

IN_THE_WAY: dict[str, Callable[[Path], object]] = {
    "a dangling /var": lambda root: (root / "var").symlink_to("/nowhere"),
    "a dangling /var/lib": lambda root: build(root, {"var/lib": ("link", "../nowhere")}),
    "/var/lib is a file": lambda root: build(root, {"var/lib": "x"}),
    "/var/lib is a FIFO": lambda root: ((root / "var").mkdir(), os.mkfifo(root / "var/lib")),
    "/var/lib is a loop": lambda root: build(root, {"var/lib": ("link", "lib")}),
    "the home is a link": lambda root: build(root, {"srv/x": None, HOME: ("link", "/srv/x")}),
    "the home is a dangling link": lambda root: build(root, {HOME: ("link", "/nowhere")}),
    "the home is a loop": lambda root: build(root, {HOME: ("link", "guestfix")}),
    "the home is a file": lambda root: build(root, {HOME: "x"}),
    "the home is a FIFO": lambda root: ((root / "var/lib").mkdir(parents=True), os.mkfifo(root / HOME)),
}


@pytest.mark.parametrize("what", IN_THE_WAY)
def test_what_is_in_the_journals_way_blocks_in_the_report(
    what: str, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    root = build(tmp_path / "guest", {"etc/os-release": 'ID=debian\nVERSION_ID="12"\n', "etc/hosts": "x\n"})
    IN_THE_WAY[what](root)
    (found,) = [one for one in make_plan(guest_at(root), load_pack()).findings if one.code == "GF-JOURNAL-HOME"]
    assert found.severity == "blocker" and found.remedy and found.evidence
    before = tree(root)
    assert run(["report", str(root)]) in (0, 2)
    assert "GF-JOURNAL-HOME" in capfd.readouterr().out
    with pytest.raises(Blocked, match="no journal can be kept"):
        apply_plan(guest_at(root), plan_for(guest_at(root), lambda fs: fs.put("/etc/hosts", b"y\n")))
    assert run(["revert", str(root)]) in (0, 2)
    assert tree(root) == before


@pytest.mark.parametrize("link", ["var", "var/lib"])
def test_folders_above_the_home_may_be_links_that_lead_to_folders(link: str, tmp_path: Path) -> None:
    root = build(tmp_path / "guest", {"etc/hosts": "x\n", "srv/real/lib": None, "var/x": ""})
    if link == "var":
        (root / "var/x").unlink()
        (root / "var").rmdir()
    (root / link).symlink_to("/srv/real")
    before = tree(root)
    apply_plan(guest_at(root), plan_for(guest_at(root), lambda fs: fs.put("/etc/hosts", b"y\n")))
    revert(guest_at(root))
    assert tree(root) == before


# journals that guestfix did not write


def forge(root: Path, **more: Any) -> Path:
    entry = {"path": "/etc/hosts", "kind": "edit", "before": "sha256:" + "0" * 64, "after": "sha256:" + "1" * 64}
    entry |= {"backup": "/etc/.hosts.guestfix.orig", "staged": "/etc/.hosts.guestfix.new"}
    journal = {"schema": 1, "plan_digest": "0" * 64, "guestfix": "0", "made_folders": [], "folder_times": []}
    own = {name: value for name, value in more.items() if name in entry}
    journal |= {"entries": [{**entry, **own}]}
    journal |= {name: value for name, value in more.items() if name not in entry}
    text_at(root / HOME / "0001/journal.json", json.dumps(journal).encode())
    return root / HOME / "0001/journal.json"


FORGED: dict[str, dict[str, Any]] = {
    "a path outside": {"path": "/../etc/hosts"},
    "a relative path": {"path": "etc/hosts"},
    "a path with a NUL": {"path": "/etc/ho\0sts"},
    "half a character": {"path": "/etc/\ud800"},
    "its own home": {"path": "/var/lib/guestfix/0001/journal.json"},
    "a backup's name": {"path": "/etc/.x.guestfix.orig"},
    "another file as backup": {"backup": "/etc/machine-id"},
    "another file's backup": {"backup": "/etc/.fstab.guestfix.orig"},
    "a backup elsewhere": {"backup": "/root/.hosts.guestfix.orig"},
    "another file as staged": {"staged": "/etc/machine-id"},
    "no backup of what was there": {"backup": None},
    "a backup of nothing": {"before": None},
    "a number as kind": {"kind": 5},
    "another kind": {"kind": "chmod"},
    "a state that is none": {"before": "md5:0"},
    "a list as state": {"after": ["sha256:"]},
    "another folder as made": {"made_folders": ["/srv"]},
    "the root as made": {"made_folders": ["/"]},
    "folders that are no list": {"made_folders": {"/etc": 1}},
    "times of another folder": {"folder_times": [{"path": "/root", "atime_ns": 0, "mtime_ns": 0}]},
    "times beyond 64 bits": {"folder_times": [{"path": "/etc", "atime_ns": 0, "mtime_ns": 1 << 63}]},
    "times that are text": {"folder_times": [{"path": "/etc", "atime_ns": "0", "mtime_ns": 0}]},
    "a time that is true": {"folder_times": [{"path": "/etc", "atime_ns": True, "mtime_ns": 0}]},
    "entries that are none": {"entries": [None]},
    "entries that are no list": {"entries": 7},
    "a size below nothing": {"entries": [{"size": -1}]},
    "another schema": {"schema": 2},
    "a schema that is a list": {"schema": [1]},
    "a digest that is none": {"plan_digest": "x"},
    "a version that is a number": {"guestfix": 1},
    "a member that is not known": {"more": 1},
}

JOURNAL_TEXTS: dict[str, bytes] = {
    "nothing": b"",
    "brackets": b"[" * 3_000_000,
    "braces": b'{"a":' * 700_000,
    "lists": b"[" + b"[]," * 1_300_000 + b"[]]",
    "a long number": b"9" * 3_000_000,
    "NaN": b'{"schema": NaN}',
    "binary": bytes(range(256)) * 1000,
    "5 MB": b" " * 5_000_000,
}


@pytest.mark.parametrize("what", FORGED)
def test_a_forged_journal_does_nothing(what: str, root: Path, capfd: pytest.CaptureFixture[str]) -> None:
    forge(root, **FORGED[what])
    refused(root, capfd)


@pytest.mark.parametrize("what", JOURNAL_TEXTS)
def test_a_text_that_is_no_journal(what: str, root: Path, capfd: pytest.CaptureFixture[str]) -> None:
    text_at(root / HOME / "0001/journal.json", JOURNAL_TEXTS[what])
    memory = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    refused(root, capfd)
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - memory < 400_000


SPECIAL: dict[str, Callable[[Path], object]] = {
    "a link": lambda path: path.symlink_to("/etc/hosts"),
    "a dangling link": lambda path: path.symlink_to("nowhere"),
    "a folder": lambda path: path.mkdir(),
    "a FIFO": lambda path: os.mkfifo(path),
}


@pytest.mark.parametrize("what", SPECIAL)
@pytest.mark.parametrize("name", ["journal.json", "applied"])
def test_a_journal_that_is_no_file(what: str, name: str, root: Path, capfd: pytest.CaptureFixture[str]) -> None:
    if name == "applied":
        forge(root)
    (root / HOME / "0001").mkdir(parents=True, exist_ok=True)
    SPECIAL[what](root / HOME / "0001" / name)
    refused(root, capfd)


def refused(root: Path, capfd: pytest.CaptureFixture[str]) -> None:
    """Both apply and revert must refuse with status 2, name the journal, and change nothing."""
    before, start = tree(root), time.monotonic()
    with pytest.raises((PlanError, Blocked)) as caught:
        apply_plan(guest_at(root), plan_of(root))
    assert HOME in caught.value.where and caught.value.remedy
    assert run(["revert", str(root)]) == 2
    said = capfd.readouterr().err
    assert HOME in said and "Traceback" not in said and len(said) < 1500
    assert tree(root) == before
    assert time.monotonic() - start < 10


def test_many_large_journals_are_bounded_together(root: Path) -> None:
    for number in range(30):
        text_at(root / HOME / f"{number:04d}/journal.json", b" " * 4_000_000)
    start = time.monotonic()
    with pytest.raises(PlanError):
        revert(guest_at(root))
    assert time.monotonic() - start < 10


# undo removes nothing that apply did not make


def test_a_forged_journal_removes_no_file_with_a_staged_name(root: Path) -> None:
    """It says that apply was interrupted, and names a file of somebody else as staged."""
    hosts = (root / "etc/hosts").read_bytes()
    text_at(root / "etc/.hosts.guestfix.new", b"mine")
    import hashlib

    forge(root, before=f"sha256:{hashlib.sha256(hosts).hexdigest()}", backup="/etc/.hosts.guestfix.orig")
    before = tree(root)
    with pytest.raises(Blocked, match="taken by something that apply did not make") as caught:
        revert(guest_at(root))
    assert caught.value.where == "/etc/.hosts.guestfix.new"
    assert tree(root) == before
    with pytest.raises(Blocked):
        revert(guest_at(root), force=True)
    assert tree(root) == before


def test_names_that_are_taken_after_apply_stay(root: Path) -> None:
    apply_plan(guest_at(root), plan_of(root))
    text_at(root / "etc/.hosts.guestfix.new", b"mine")
    text_at(root / "etc/systemd/network/other.network", b"mine")
    revert(guest_at(root))
    assert (root / "etc/.hosts.guestfix.new").read_text() == "mine"
    assert [path.name for path in (root / "etc/systemd/network").iterdir()] == ["other.network"]
    assert not (root / "etc/systemd/system").exists()


class Failing(DirectoryGuest):
    """A guest in which somebody takes a name just before guestfix makes it."""

    taken = ""

    def put(self, path: str, chunks: Any, meta: Any) -> None:
        if path == self.taken:
            place = Path(self.root + path)
            place.write_text("mine")
        super().put(path, chunks, meta)


@pytest.mark.parametrize("name", ["/etc/.hosts.guestfix.new", "/boot/.initrd.img.guestfix.new"])
def test_a_name_that_is_taken_meanwhile_is_left_alone(name: str, root: Path) -> None:
    guest = Failing(str(root))
    guest.taken = name
    before = tree(root)
    with pytest.raises(ApplyError) as caught:
        apply_plan(guest, plan_of(root))
    assert caught.value.restored
    assert (root / name[1:]).read_text() == "mine"
    (root / name[1:]).unlink()
    after = tree(root)
    folder = os.path.dirname(name[1:])
    assert {key for key in before if before[key] != after.get(key)} <= {folder}
    assert set(after) == set(before)


def test_a_new_file_that_somebody_else_made_meanwhile_is_kept(root: Path) -> None:
    """Apply died before it renamed; the same content then came from elsewhere."""

    class Dying(DirectoryGuest):
        def rename(self, old: str, new: str) -> None:
            if new == "/etc/new":
                raise KeyboardInterrupt
            super().rename(old, new)

    with pytest.raises(KeyboardInterrupt):
        apply_plan(Dying(str(root)), plan_for(guest_at(root), lambda fs: fs.put("/etc/new", b"same\n")))
    (root / "etc/new").write_bytes(b"same\n")
    revert(guest_at(root))
    assert (root / "etc/new").read_bytes() == b"same\n"
    assert not (root / "etc/.new.guestfix.new").exists()


def test_revert_refuses_all_before_it_undoes_any(root: Path) -> None:
    """The older of two journals can't be undone: the newer is not touched either."""
    apply_plan(guest_at(root), plan_for(guest_at(root), lambda fs: fs.put("/etc/hosts", b"one\n")))
    apply_plan(guest_at(root), plan_for(guest_at(root), lambda fs: fs.put("/etc/fstab", b"two\n")))
    for change in ("lost", "changed"):
        backup = root / "etc/.hosts.guestfix.orig"
        kept = backup.read_bytes()
        backup.unlink() if change == "lost" else backup.write_bytes(b"other")
        before = tree(root)
        with pytest.raises(Blocked, match="missing or was changed"):
            revert(guest_at(root), force=True)
        assert tree(root) == before
        backup.write_bytes(kept)
    assert len(revert(guest_at(root)).journals) == 2


# nothing is left, and times come back


def test_every_folder_has_its_times_back(root: Path) -> None:
    """Each folder that apply touches, of one apply, of two, and of one within the folders of another."""
    for index, path in enumerate(sorted(path for path in root.rglob("*") if path.is_dir())):
        os.utime(path, ns=(10**18 + index, 10**18 + 1000 * index + 1))
    before = tree(root)
    for count in (1, 2):
        apply_plan(guest_at(root), plan_of(root))
        if count == 2:
            more = plan_for(guest_at(root), lambda fs: fs.put("/etc/systemd/network/20.network", b"x\n"))
            apply_plan(guest_at(root), more)
            links = plan_for(guest_at(root), lambda fs: fs.put("/etc/resolv.conf", Link("/run/x")))
            apply_plan(guest_at(root), links)
        assert len(revert(guest_at(root)).journals) == (1 if count == 1 else 3)
        assert tree(root) == before


@pytest.mark.parametrize("missing", ["var", "var/lib", HOME])
def test_death_at_each_write_of_the_first_journal_hinders_nothing(missing: str, tmp_path: Path) -> None:
    """The next apply works at once, and after its revert there is nothing of either, and every time is back."""
    root = build(tmp_path / "guest", {"etc/hosts": "x\n", "etc/machine-id": "1\n"})
    if missing != "var":
        (root / missing).parent.mkdir(parents=True)
    writes = 0
    while True:
        writes += 1
        for path in (root, root / "var", root / "var/lib"):
            if path.exists():
                os.utime(path, ns=(10**18, 10**18 + 7))
        before = tree(root)
        plan = plan_for(guest_at(root), lambda fs: fs.put("/etc/hosts", b"y\n"))
        died = _dying_in_the_journal(root, writes, plan)
        apply_plan(guest_at(root), plan) if died and writes % 2 else None
        revert(guest_at(root))
        assert tree(root) == before, f"death at write {writes}"
        if not died:
            break
    assert writes >= 4


def _dying_in_the_journal(root: Path, number: int, plan: Plan) -> bool:
    """Die at the n-th write that has to do with the journal; tell whether there were that many."""

    class Dying(DirectoryGuest):
        left = number

        def _tick(self, path: str) -> None:
            if "guestfix" in path:
                self.left -= 1
                if self.left == 0:
                    raise KeyboardInterrupt

        def mkdir(self, path: str, meta: Any) -> None:
            self._tick(path)
            super().mkdir(path, meta)

        def put(self, path: str, chunks: Any, meta: Any) -> None:
            self._tick(path if "/journal" in path else "")
            super().put(path, chunks, meta)

        def rename(self, old: str, new: str) -> None:
            self._tick(new)
            super().rename(old, new)

    try:
        apply_plan(Dying(str(root)), plan)
    except KeyboardInterrupt:
        return True
    return False


def test_an_empty_home_that_was_left_is_removed(root: Path) -> None:
    """An older guestfix left it when it died between two folders."""
    (root / HOME).mkdir()
    os.utime(root / "var/lib", ns=(10**18, 10**18 + 5))
    revert(guest_at(root))
    assert not (root / HOME).exists()
    assert (root / "var/lib").stat().st_mtime_ns == 10**18 + 5


def test_what_somebody_put_beside_the_journal_stays_where_it_is(root: Path) -> None:
    before = tree(root)
    apply_plan(guest_at(root), plan_of(root))
    text_at(root / HOME / "0001/notes", b"mine")
    revert(guest_at(root))
    assert {name: state[4] for name, state in tree(root).items() if name.startswith(HOME)} == {
        HOME: None, f"{HOME}/0001": None, f"{HOME}/0001/notes": b"mine",
    }  # fmt: skip
    assert {name: state for name, state in tree(root).items() if not name.startswith(HOME)} == before
    assert revert(guest_at(root)).journals == ()
    apply_plan(guest_at(root), plan_of(root))
    revert(guest_at(root))
    assert (root / HOME / "0001/notes").read_text() == "mine"
