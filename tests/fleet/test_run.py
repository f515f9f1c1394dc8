"""Whole runs: every guest has exactly one result, whatever becomes of workers; what is kept, what is asked of it."""

from __future__ import annotations

import contextlib
import csv
import json
import os
import random
import re
import shutil
import signal
import sqlite3
import subprocess
import sys
import time
import zlib
from pathlib import Path

import pytest

from guestfix.base.errors import GuestfixError, Stopped, UsageError
from guestfix.base.facts import Fact, Unknown
from guestfix.base.stopping import CANCEL, Stop, following
from guestfix.fleet.export import export
from guestfix.fleet.job import Guest, Job, Result, options_for, unpacked, work
from guestfix.fleet.page import render
from guestfix.fleet.rollup import differences, roll_up, text_of
from guestfix.fleet.run import BUNDLE, LOGS, Setting, _bundles, cluster, run
from guestfix.fleet.store import Store
from guestfix.pack.cache import load_pack
from guestfix.plan.model import Choice
from guestfix.plan.planner import Options
from guestfix.stage.starts import Started
from guestfix.verify import model
from guestfix.verify.model import Seen
from tests.build.documents import validate
from tests.build.servers import free_port, running
from tests.build.starts import BOOTED, MACHINE, walk
from tests.build.tree import build
from tests.fleet import doing

pytest.importorskip("distributed", reason="the extra fleet is not installed here")
dask = pytest.importorskip("dask")
ROOTS = "testdata/guests"
KEPT = {
    "worker.profile.enabled": False,
    "admin.low-level-log-length": LOGS,
    "admin.system-monitor.log-length": LOGS,
}
"""What a worker is told, so that its memory stays as it is after the first guests."""

PACK = load_pack()


def setting(**options) -> Setting:
    return Setting(**{"pack_digest": PACK.digest, "workers": 2, **options})


def guests(*names, folder="/nowhere") -> list[Guest]:
    return [Guest(name, (f"{folder}/{name}.raw",), target="kvm-virtio", where=f"x:{name}") for name in names]


@pytest.fixture
def store(tmp_path):
    made = Store(str(tmp_path / "results.db"), write=True)
    yield made
    made.close()


def test_reports_on_real_guests(store, tmp_path):
    found = [
        Guest(name, (f"dir:{os.path.abspath(ROOTS)}/{name}/root",), target="aws-nitro", tags=("prod",))
        for name in sorted(os.listdir(ROOTS))
    ]
    found.append(Guest("gone", (str(tmp_path / "gone.raw"),), target="aws-nitro"))
    told = []
    number = run(found, setting(), store, ["x"], told.append)
    rows = {row.name: row for row in store.rows(number)}
    assert set(rows) == {guest.name for guest in found} and told[-1].done == len(found)
    assert rows["gone"].outcome == "failed" and rows["gone"].error_code and "gone.raw" in rows["gone"].error
    debian = rows["debian-12"]
    assert debian.system.startswith("debian 12") and debian.before == "stops" and debian.tags == ("prod",)
    document = json.loads(unpacked(store.document(number, "debian-12")))
    assert {one["code"] for one in document["findings"]} == {
        code for _, code, *_ in store.findings(number, "debian-12")
    }
    roll = roll_up(store, number)
    assert roll.guests == len(found) and sum(roll.outcomes.values()) == len(found)
    assert sum(roll.tags["prod"].values()) == len(found) - 1 and roll.errors
    assert f"run {number}: {len(found)} guests\n" in text_of(roll)
    with pytest.raises(UsageError, match="has no guest"):
        store.document(number, "debian-13")


@pytest.mark.parametrize(("do", "tries", "outcome"), [(doing.kills, 1, "failed"), (doing.kills_once, 1, "ready")])
def test_a_guest_that_kills_its_worker_costs_nothing_else(store, tmp_path, do, tries, outcome):
    names = [f"g{number}" for number in range(12)]
    found = guests(*names[:3], "killer", *names[3:], folder=str(tmp_path))
    number = run(found, setting(retries=tries), store, [], lambda at: None, do)
    rows = {row.name: row for row in store.rows(number)}
    assert len(rows) == 13 and rows.pop("killer").outcome == outcome
    assert {row.outcome for row in rows.values()} == {"ready"}
    if outcome == "failed":
        (one,) = store.rows(number, outcome="failed")
        assert one.error_code == "GF-FLEET-WORKER-DIED" and "died 2 times" in one.error


@pytest.mark.parametrize(("count", "workers"), [(0, 2), (1, 2), (7, 100), (1000, 2), (999, 3)])
def test_bundles_have_every_guest_once_and_the_last_ones_are_small(count, workers):
    jobs = [Job(guest, "report", (), "", 1) for guest in guests(*map(str, range(count)))]
    made = _bundles(jobs, workers)
    assert [job for bundle in made for job in bundle] == jobs
    sizes = [len(bundle) for bundle in made]
    assert sizes == sorted(sizes, reverse=True) and (not sizes or (sizes[0] <= BUNDLE and sizes[-1] == 1))
    assert all(len(one) == 1 for one in _bundles([Job(job.guest, "apply", (), "", 1) for job in jobs], workers))


def test_workers_keep_nothing_of_what_is_behind_them():
    with cluster(setting(), 2) as client:
        have = client.run(lambda: {name: dask.config.get(f"distributed.{name}") for name in KEPT})
    assert len(have) == 2 and all(one == KEPT for one in have.values())


def test_a_defect_is_one_guests_result(store):
    number = run(guests("a", "killer", "b"), setting(workers=1), store, [], lambda at: None, doing.breaks)
    assert [row.outcome for row in store.rows(number)] == ["ready", "ready", "failed"]
    assert "ZeroDivisionError" in store.rows(number, outcome="failed")[0].error


def test_guests_come_after_those_they_name(store):
    found = [Guest("a", ("/a",), after=("c",)), Guest("b", ("/b",)), Guest("c", ("/c",), after=("b",))]
    number = run(found, setting(), store, [], lambda at: None, doing.in_order)
    times = {row.name: int(row.system) for row in store.rows(number)}
    assert times["b"] < times["c"] < times["a"]


def test_a_wish_to_stop_keeps_what_was_done_and_another_run_does_the_rest(store, tmp_path):
    build(tmp_path, {f"g{number}.raw": "x" for number in range(10)})
    found = guests(*(f"g{number}" for number in range(10)), folder=str(tmp_path))
    stop = Stop()

    def tell(at):
        if at.done == 3:
            stop.wish(CANCEL)

    with following(stop), pytest.raises(Stopped):
        run(found, setting(workers=1), store, [], tell, doing.in_order)
    first = store.run()
    done = store.names(first.id)
    assert 3 <= len(done) < 10 and not first.ended
    told = []
    number = run(found, setting(workers=1), store, [], told.append, doing.in_order)
    rows = store.rows(number)
    assert len(rows) == 10 and {row.name for row in rows if row.kept} == done and told[0].kept == len(done)
    (tmp_path / "g0.raw").write_text("changed")
    third = run(found, setting(workers=1), store, [], lambda at: None, doing.in_order)
    assert {row.name for row in store.rows(third) if not row.kept} == {"g0"}
    assert run(found[:2], setting(workers=1, fresh=True), store, [], lambda at: None, doing.in_order)
    assert not any(row.kept for row in store.rows(store.run().id))


def test_workers_of_a_scheduler(store):
    from distributed import LocalCluster

    with LocalCluster(n_workers=2, threads_per_worker=1, dashboard_address=None, host="127.0.0.1") as cluster:
        names = [f"g{number}" for number in range(8)]
        run(guests(*names), setting(scheduler=cluster.scheduler_address), store, [], lambda at: None, doing.in_order)
    assert len(store.rows(store.run().id)) == 8
    with pytest.raises(GuestfixError, match="does not answer"):
        import guestfix.fleet.run as module

        before, module.START = module.START, 2
        try:
            run(guests("a"), setting(scheduler="tcp://127.0.0.1:9"), store, [], lambda at: None)
        finally:
            module.START = before


def outcomes(store, number):
    return {row.name: (row.outcome, row.error_code) for row in store.rows(number)}


def test_who_comes_after_a_guest_that_failed_is_not_touched(store):
    found = [Guest("killer", ("/k",)), Guest("a", ("/a",), after=("killer",)), Guest("b", ("/b",), after=("a",))]
    found.append(Guest("c", ("/c",)))
    number = run(found, setting(action="apply"), store, [], lambda at: None, doing.breaks)
    held = ("blocked", "GF-FLEET-HELD")
    assert outcomes(store, number) == {
        "killer": ("failed", "GF-RUN-DEFECT"), "a": held, "b": held, "c": ("ready", ""),
    }  # fmt: skip
    assert "killer, after which it comes" in next(row.error for row in store.rows(number) if row.name == "a")
    number = run(found, setting(action="report"), store, [], lambda at: None, doing.breaks)
    assert outcomes(store, number)["a"] == ("ready", ""), "a report touches nothing"


@pytest.mark.parametrize("halt", [True, False])
def test_a_wave_that_failed_halts_those_after_it(store, halt):
    found = [Guest("killer", ("/k",), tags=("pilot",)), Guest("p", ("/p",), tags=("pilot",)), Guest("rest", ("/r",))]
    asked = setting(action="apply", waves=("pilot",), halt=halt)
    number = run(found, asked, store, [], lambda at: None, doing.breaks)
    told = outcomes(store, number)
    assert told["p"] == ("ready", "")
    assert told["rest"] == (("blocked", "GF-FLEET-HELD") if halt else ("ready", ""))


def test_workers_of_another_version_are_refused(store):
    from distributed import LocalCluster

    with (
        LocalCluster(
            n_workers=1, threads_per_worker=1, dashboard_address=None, host="127.0.0.1", preload=["tests.fleet.older"]
        ) as cluster,
        pytest.raises(GuestfixError, match=r"has guestfix 0\.0\.1 on Python .*; here are") as caught,
    ):
        run(guests("a"), setting(scheduler=cluster.scheduler_address), store, [], lambda at: None)
    assert caught.value.remedy and store.rows(store.run().id) == []


def test_a_scheduler_that_goes_away_is_told_and_what_was_done_is_kept(store):
    port = free_port()
    env = {**os.environ, "PYTHONPATH": os.getcwd()}
    dask, address = [sys.executable, "-m", "dask"], f"tcp://127.0.0.1:{port}"
    scheduler = [*dask, "scheduler", "--host", "127.0.0.1", "--port", str(port), "--no-dashboard"]
    worker = [*dask, "worker", address, "--nthreads", "1", "--no-dashboard", "--no-nanny"]
    names = [f"g{number}" for number in range(200)]
    with (
        running(scheduler, port, env=env) as one,
        running(worker, env=env),
        pytest.raises(GuestfixError, match="the scheduler went away") as caught,
    ):
        run(guests(*names), setting(scheduler=address), store, [], lambda at: at.done < 5 or one.kill(), doing.in_order)
    assert caught.value.code == "GF-FLEET-SCHEDULER" and caught.value.where == address
    found = store.run()
    assert 5 <= len(store.names(found.id)) < 200 and not found.ended


# one job


OWN = ("image:/a.raw", "0" * 64, "1" * 64)
"""A guest's place and identity, and its plan's digest."""


@pytest.mark.parametrize(
    ("ending", "outcome", "after"),
    [("reached", "ready", "passes"), ("unreachable", "needs you", "passes"), ("unproven", "needs you", "unknown")],
)
def test_a_start_of_one_guest(monkeypatch, ending, outcome, after):
    seen = Seen(ending, MACHINE, 60.0, BOOTED)
    target = PACK.targets["kvm-virtio"]
    asked = []

    def start(paths, target, pack, bounds, *, root):
        asked.append((tuple(paths), target.id, bounds.limit, root))
        facts = (Fact("os.id", "debian"), Fact("os.version", "12"), Fact("os.arch", Unknown("not told")))
        return Started("as it is", target, walk(), True, seen, facts, *OWN)

    monkeypatch.setattr("guestfix.stage.starts.start_guest", start)
    found = work(Job(Guest("a", ("image:/a.raw",), target=target.id, root="/dev/sda2"), "verify", (), PACK.digest, 90))
    assert asked == [(("image:/a.raw",), "kvm-virtio", 90, "/dev/sda2")]
    assert (found.outcome, found.before, found.after, found.error) == (outcome, "passes", after, "")
    document = json.loads(unpacked(found.document))
    validate("verify", document)
    (one,) = document["starts"]
    assert one["ending"] == ending and one["state"] == "as it is" and found.system == "debian 12"
    assert {step["said"] for step in one["steps"]} == {"passes"} and any(step["reached"] for step in one["steps"])


def test_what_is_told_of_a_start(store, monkeypatch, capsys):
    seen = Seen("stopped", MACHINE, 60.0, stop=model.Stop("root", "Give up waiting for root"))
    found = Started("as it is", PACK.targets["kvm-virtio"], walk(), True, seen, (Fact("os.id", "debian"),), *OWN)
    monkeypatch.setattr("guestfix.stage.starts.start_guest", lambda *_, **__: found)
    job = Job(Guest("a", ("/a.raw",), target="kvm-virtio"), "verify", (), PACK.digest, 90)
    number = store.begin("verify", "p", "v", 1, [])
    store.put(number, job.guest, work(job))
    roll = roll_up(store, number)
    assert roll.systems == {"debian": {"blocked": 1}} and roll.stops_after == {"root": 1}
    assert "and when it was started\n  root 1\n" in text_of(roll)
    assert ">When it was started</th>" in render(roll, store.rows(number))
    shown = guestfix(monkeypatch, capsys, "fleet", "show", "a", "--format", "text", "--results", store.path)[1]
    assert "ending   stops at root (" in shown and " 6 root       passes    not" in shown
    page = guestfix(monkeypatch, capsys, "fleet", "show", "a", "--format", "html", "--results", store.path)[1]
    assert "stops at root (" in page


def test_a_folder_can_not_be_started():
    found = work(Job(Guest("a", (os.path.abspath(ROOTS),), target="kvm-virtio"), "verify", (), PACK.digest, 9))
    assert found.outcome == "failed" and "only disk images can be started" in found.error


def test_a_job_of_another_version_or_pack_is_refused():
    guest = guests("a")[0]
    for job in (Job(guest, "report", (), PACK.digest, 9, version="0"), Job(guest, "report", (), "0" * 64, 9)):
        found = work(job)
        assert (found.outcome, found.error_code) == ("failed", "GF-RUN-USAGE") and "this worker has" in found.error


def test_apply_and_revert_of_one_guest(tmp_path):
    shutil.copytree(f"{ROOTS}/rhel7-vmware/root", tmp_path / "root", symlinks=True)
    fstab = (tmp_path / "root/etc/fstab").read_bytes()
    guest = Guest(
        "a",
        (f"dir:{tmp_path}/root",),
        target="kvm-virtio",
        describe=os.path.abspath(f"{ROOTS}/rhel7-vmware/disks.yaml"),
    )
    assert os.path.exists(guest.describe)
    found = work(Job(guest, "apply", (), PACK.digest, 60))
    assert found.error == "" and (tmp_path / "root/etc/fstab").read_bytes() != fstab
    assert unpacked(found.document).startswith("{") and not Job(guest, "report", (), PACK.digest, 60).lasting
    found = work(Job(guest, "revert", (), PACK.digest, 60))
    assert found.error == "" and (tmp_path / "root/etc/fstab").read_bytes() == fstab


def test_a_guest_that_takes_too_long_is_told():
    guest = Guest("a", (f"dir:{os.path.abspath(ROOTS)}/debian-12/root",), target="kvm-virtio")
    found = work(Job(guest, "report", (), PACK.digest, 0.000001))
    assert found.outcome == "failed" and "took longer" in found.error


# the database


def test_one_writer_and_later_readers(store, tmp_path):
    with pytest.raises(GuestfixError, match="another fleet run"):
        Store(store.path, write=True)
    reader = Store(store.path)
    assert reader.runs() == []
    with pytest.raises(UsageError, match="no run yet"):
        reader.run()
    reader.close()
    with pytest.raises(UsageError, match="there are no results"):
        Store(str(tmp_path / "other.db"))


@pytest.mark.parametrize(("version", "said"), [(99, "newer guestfix"), (0, "holds no results")])
def test_other_files(tmp_path, version, said):
    place = str(tmp_path / "x.db")
    with sqlite3.connect(place) as db:
        db.execute(f"PRAGMA user_version={version}")
        db.execute("CREATE TABLE x (y)")
    with pytest.raises(GuestfixError, match=said):
        Store(place)


def test_what_is_no_database(tmp_path):
    (tmp_path / "x.db").write_bytes(b"no database at all" * 99)
    with pytest.raises(GuestfixError, match="can't be used"):
        Store(str(tmp_path / "x.db"))


def test_a_full_disk_keeps_what_was_done(store):
    number = store.begin("report", "p", "v", 2, [])
    store.put(number, guests("a")[0], Result("a", "ready", "k", "report"))
    store.db.execute(f"PRAGMA max_page_count={store.db.execute('PRAGMA page_count').fetchone()[0]}")
    with pytest.raises(GuestfixError, match="can't be used"):
        store.put(number, guests("b")[0], Result("b", "ready", "k", "report", document=b"x" * (1 << 20)))
    assert store.names(number) == {"a"}


def test_a_run_keeps_no_secret_of_an_address(store):
    place = "https://me:s3cret@host/web.raw?sig=t0ken"
    number = run([Guest("a", (place,))], setting(workers=1), store, [place], lambda at: None, doing.ready)
    assert store.run(number).places == ("https://host/web.raw",)
    assert not [
        row for name in ("runs", "guests", "findings") for row in store.table(name, number)[1] if "s3cret" in str(row)
    ]
    store.db.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    assert b"s3cret" not in Path(store.path).read_bytes() and b"t0ken" not in Path(store.path).read_bytes()


def test_a_full_disk_while_results_are_taken_over(store):
    number = store.begin("report", "p", "v", 1, [])
    (guest,) = guests("a")
    noise = random.Random(1).randbytes(1 << 20)
    store.put(number, guest, Result("a", "ready", "k", "report", document=noise))
    again = store.begin("report", "p", "v", 1, [])
    store.db.execute(f"PRAGMA max_page_count={store.db.execute('PRAGMA page_count').fetchone()[0]}")
    with pytest.raises(GuestfixError, match="can't be used") as caught:
        store.keep(again, guest, "k")
    assert "what was done so far is kept" in str(caught.value.remedy) and store.names(again) == set()


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_ends_a_run_and_all_of_its_processes(tmp_path, number):
    for at in range(300):
        build(tmp_path / f"all/g{at}", {"etc/os-release": "ID=debian\nVERSION_ID=12\n", "etc/fstab": ""})
    db = str(tmp_path / "r.db")
    words = ["fleet", "run", str(tmp_path / "all"), "--target", "kvm-virtio", "--results", db, "--workers", "2"]
    env = {**os.environ, "PYTHONPATH": os.getcwd(), "PYTHONDONTWRITEBYTECODE": "1"}
    command = [sys.executable, "-m", "guestfix", *words]
    before = signal.signal(number, signal.SIG_DFL)  # a background job ignores one of them, and so would what it starts
    with subprocess.Popen(command, env=env, stderr=subprocess.PIPE, text=True, start_new_session=True) as process:
        signal.signal(number, before)
        end = time.monotonic() + 60
        while time.monotonic() < end and not (os.path.exists(db) and _some(db)):
            time.sleep(0.05)
        process.send_signal(number)
        said = process.communicate(timeout=60)[1]
    assert process.returncode == 5 and f"stopped by {number.name}; every result that came so far is kept" in said
    assert "Traceback" not in said and "leaked" not in said
    end = time.monotonic() + 10
    while _living(process.pid) and time.monotonic() < end:
        time.sleep(0.05)
    assert _living(process.pid) == []
    store = Store(db, write=True)
    assert 0 < len(store.names(store.run().id)) < 300
    store.close()


def _some(db: str) -> bool:
    with contextlib.suppress(GuestfixError, sqlite3.Error):
        store = Store(db)
        try:
            return any(store.names(one.id) for one in store.runs())
        finally:
            store.close()
    return False


def _living(session: int) -> list[str]:
    """Return the processes of a session that are no zombies."""
    done = subprocess.run(["ps", "-eo", "sid=,stat=,args="], capture_output=True, text=True, check=True)
    rows = [line.split(None, 2) for line in done.stdout.splitlines()]
    return [row[-1] for row in rows if row[0] == str(session) and not row[1].startswith("Z")]


def test_lone_surrogates_of_a_guest_are_kept_as_text(store):
    number = store.begin("report", "p", "v", 1, [])
    found = Result("a", "blocked", "k", "report", system="x\udcff", findings=(("GF-X", "blocker", "", "\ud800"),))
    store.put(number, guests("a")[0], found)
    assert store.rows(number, code="GF-X")[0].system == "x\\udcff"


def test_what_two_runs_say_otherwise(store):
    for outcome, codes in (("blocked", ("GF-A", "GF-B")), ("needs you", ("GF-B", "GF-C"))):
        number = store.begin("report", "p", "v", 2, [])
        rows = tuple((code, "warning", "", "") for code in codes)
        store.put(number, guests("a")[0], Result("a", outcome, "k", "report", findings=rows))
        store.put(number, guests("same")[0], Result("same", "ready", "k", "report"))
    store.put(2, guests("new")[0], Result("new", "ready", "k", "report"))
    found = {one.name: one for one in differences(store, 1, 2)}
    assert set(found) == {"a", "new"} and (found["new"].before, found["new"].after) == ("", "ready")
    assert found["a"].changes == ()
    assert (found["a"].before, found["a"].after, found["a"].gone, found["a"].new) == (
        "blocked",
        "needs you",
        ("GF-A",),
        ("GF-C",),
    )


def test_what_two_plans_change_otherwise(store):
    for fstab in ("-a", "-b"):
        number = store.begin("report", "p", "v", 2, [])
        changes = [{"path": "/etc/fstab", "diff": fstab}, {"path": "/etc/same", "diff": "x"}]
        packed = zlib.compress(json.dumps({"changes": changes}).encode())
        store.put(number, guests("a")[0], Result("a", "repaired", "k", "report", document=packed))
        store.put(number, guests("same")[0], Result("same", "ready", "k", "report"))
    assert differences(store, 1, 2) == []
    assert [(one.name, one.changes) for one in differences(store, 1, 2, changes=True)] == [("a", ("/etc/fstab",))]


def test_the_last_runs_beside_one_another(store):
    for outcome in ("blocked", "ready"):
        number = store.begin("report", "p", "v", 1, [])
        store.put(number, guests("a")[0], Result("a", outcome, "k", "report"))
    other = store.begin("apply", "p", "v", 1, [])
    store.put(other, guests("a")[0], Result("a", "failed", "k", "apply"))
    assert [(run, dict(of)) for run, _, of in roll_up(store, 2).trend] == [(1, {"blocked": 1}), (2, {"ready": 1})]
    assert "run by run\n  1: 1 blocked\n  2: 1 ready\n" in text_of(roll_up(store, 2))
    assert len(roll_up(store, other).trend) == 1 and "run by run" not in text_of(roll_up(store, other))


# the command


def guestfix(monkeypatch, capsys, *words):
    from guestfix.__main__ import main

    monkeypatch.setattr(sys, "argv", ["guestfix", *words])
    status = main()
    said = capsys.readouterr()
    return status, said.out, said.err


def test_the_command(tmp_path, monkeypatch, capsys):
    for name in ("rhel7-vmware", "debian-12"):
        shutil.copytree(f"{ROOTS}/{name}", tmp_path / "all" / name, symlinks=True)
    db = ["--results", str(tmp_path / "r.db")]
    status, out, err = guestfix(
        monkeypatch, capsys, "fleet", "run", str(tmp_path / "all"), "--target", "kvm-virtio", *db
    )
    assert status in (0, 2) and "run 1: 2 guests" in out, err
    status, out, _ = guestfix(monkeypatch, capsys, "fleet", "list", "--format", "json", *db)
    listed = json.loads(out)
    assert status == 0 and [one["name"] for one in listed["guests"]] == ["debian-12", "rhel7-vmware"]
    assert guestfix(monkeypatch, capsys, "fleet", "list", *db)[1].count("\n") == 2
    assert "2 guests, ended" in guestfix(monkeypatch, capsys, "fleet", "list", "--runs", *db)[1]
    document = json.loads(guestfix(monkeypatch, capsys, "fleet", "show", "debian-12", *db)[1])
    assert document["target"] == "kvm-virtio"
    assert guestfix(monkeypatch, capsys, "fleet", "diff", "1", "1", *db)[:2] == (0, "no guest differs\n")
    assert json.loads(guestfix(monkeypatch, capsys, "fleet", "rollup", "--format", "json", *db)[1])["guests"] == 2
    assert guestfix(monkeypatch, capsys, "fleet", "rollup", *db)[1].startswith("run 1: 2 guests")
    page = guestfix(monkeypatch, capsys, "fleet", "show", "debian-12", "--format", "html", *db)[1]
    assert page.startswith("<!doctype html>") and "kvm-virtio" in page
    tables = tmp_path / "tables"
    assert guestfix(monkeypatch, capsys, "fleet", "export", str(tables), *db)[0] == 0
    rows = list(csv.DictReader((tables / "guests.csv").open(newline="")))
    assert [row["name"] for row in rows] == ["debian-12", "rhel7-vmware"] and "document" not in rows[0]
    assert {row["guest"] for row in csv.DictReader((tables / "findings.csv").open())} == {"debian-12", "rhel7-vmware"}
    status, _, err = guestfix(monkeypatch, capsys, "fleet", "export", str(tables), *db)
    assert status == 2 and "name a folder to be made" in err
    pages = tmp_path / "pages"
    assert guestfix(monkeypatch, capsys, "fleet", "rollup", "--pages", str(pages), *db)[0] == 0
    index = (pages / "index.html").read_text()
    assert sorted(re.findall(r'href="(guests/[^"]*)"', index)) == [f"guests/00000{at}.html" for at in (1, 2)]
    assert "Red Hat Enterprise Linux" in (pages / "guests/000002.html").read_text()


def test_a_table_of_parquet(store, tmp_path):
    parquet = pytest.importorskip("pyarrow.parquet", reason="the extra parquet is not installed here")
    number = store.begin("report", "p", "v", 1, ["x"])
    store.put(number, guests("=a")[0], Result("=a", "ready", "k", "report", seconds=1.5))
    made = export(store, number, str(tmp_path / "out"), "parquet")
    assert [os.path.basename(one) for one in made] == ["runs.parquet", "guests.parquet", "findings.parquet"]
    (row,) = parquet.read_table(made[1]).to_pylist()
    assert (row["run"], row["name"], row["seconds"], row["kept"]) == (number, "=a", 1.5, None)
    assert parquet.read_table(made[2]).num_rows == 0 and parquet.read_table(made[0])["ended"].type == "double"
    made = export(store, number, str(tmp_path / "csv"), "csv")
    assert "'=a" in Path(made[1]).read_text(), "no cell is a formula"


def test_parquet_names_its_extra(store, tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "pyarrow", None)
    with pytest.raises(UsageError) as caught:
        export(store, 1, str(tmp_path / "out"), "parquet")
    assert "guestfix[parquet]" in str(caught.value.remedy) and not (tmp_path / "out").exists()


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["run", ROOTS], "has no target"),
        (["run", ROOTS, "--target", "aws-nito"], "did you mean aws-nitro?"),
        (["run", ROOTS, "--target", "aws-nitro", "--tag", "x"], "no guest has all of these tags"),
        (["list"], "there are no results"),
    ],
)
def test_the_command_used_wrongly(tmp_path, monkeypatch, capsys, words, said):
    status, _, err = guestfix(monkeypatch, capsys, "fleet", *words, "--results", str(tmp_path / "r.db"))
    assert status == 64 and said in err


def test_a_missing_extra_is_named(store, monkeypatch):
    monkeypatch.setitem(sys.modules, "distributed", None)
    with pytest.raises(UsageError) as caught:
        run(guests("a"), setting(), store, [], lambda at: None)
    assert "guestfix[fleet]" in str(caught.value.remedy)


def test_what_the_inventory_says_of_a_guest_goes_before_what_is_chosen_for_all():
    chosen = (
        Choice("policy.nfs", "keep", "site:2"),
        Choice("accept", "GF-A", "site:3"),
        Choice("target", "x", "site:1"),
    )
    options = Options(skip=("boot/*",), policies={"nfs": "keep"}, accept=("GF-A",), choices=chosen)
    guest = Guest("one", ("/x",), target="x", policies={"nfs": "nofail"}, accept=("GF-B",), where="inv:7")
    found = options_for(Job(guest, "report", (), "", 1, options=options))
    assert (found.skip, found.policies, found.accept) == (("boot/*",), {"nfs": "nofail"}, ("GF-A", "GF-B"))
    said = {(one.name, one.value): one.origin for one in found.choices}
    assert said == {
        ("accept", "GF-A"): "site:3", ("target", "x"): "site:1",
        ("policy.nfs", "nofail"): "inv:7", ("accept", "GF-B"): "inv:7",
    }  # fmt: skip
    other = Job(guest, "report", (), "", 1)
    assert other.key() != Job(guest, "report", (), "", 1, options=options).key()


SITE = """target = "azure"
only = ["fstab/*"]

[policies]
nfs = "nofail"

[[accept]]
code = "*"
reason = "a trial"
expires = 2999-01-31
"""


def test_a_run_reads_the_choices_of_the_site(tmp_path, monkeypatch, capsys):
    guest = build(tmp_path / "all/one", {"etc/os-release": "ID=debian\nVERSION_ID=12\n", "etc/fstab": "", "usr/x": ""})
    (tmp_path / "guestfix.toml").write_text(SITE)
    monkeypatch.chdir(tmp_path)
    db = ["--results", str(tmp_path / "r.db"), "--workers", "1"]
    status, out, err = guestfix(monkeypatch, capsys, "fleet", "run", "all", "--skip", "fstab/stable-*", *db)
    assert "run 1: 1 guests" in out, err
    document = json.loads(guestfix(monkeypatch, capsys, "fleet", "show", "one", *db[:2])[1])
    assert document["target"] == "azure" and document["policies"]["nfs"] == "nofail"
    said = {one["name"]: one["origin"] for one in document["choices"]}
    assert said["target"] == "guestfix.toml:1" and said["skip"] == "command line"
    assert said["accept"].startswith("guestfix.toml:7: a trial")
    (guest / "guestfix.toml").write_text(SITE)
    monkeypatch.chdir(guest)
    status, _, err = guestfix(monkeypatch, capsys, "fleet", "run", "..", *db)
    assert status == 64 and "so it makes no choices" in err
    status, _, err = guestfix(
        monkeypatch, capsys, "fleet", "run", "..", "--only", "fstb/*", "--config", "guestfix.toml"
    )
    assert status == 64 and "no rule is named" in err
