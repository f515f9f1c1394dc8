"""Events: virt-v2v's lines with more in them, wherever they are sent, and a bar for people."""

import json
import os
import re

import pytest

from guestfix.base.events import STAGES, Event, Events
from guestfix.cli import run
from guestfix.pack.cache import load_pack
from tests.build.terminal import on_terminal
from tests.build.tree import build, elf

FSTAB = "UUID=1 / ext4 defaults 0 1\n//nas/share /mnt/share cifs credentials=/root/c 0 0\n"
TIMESTAMP = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{9}\+00:00")


@pytest.fixture
def guest(tmp_path):
    files = {"etc/os-release": 'ID=debian\nVERSION_ID="12"\n', "etc/fstab": FSTAB, "bin/sh": elf(), "var/lib/x": ""}
    return build(tmp_path / "guest", files)


def check(lines, status):
    events = [json.loads(line) for line in lines]
    for one in events:
        assert {"message", "timestamp", "type"} <= set(one) and TIMESTAMP.fullmatch(one["timestamp"])
        assert one["type"] in ("message", "info", "warning", "error", "progress", "result")
    percents = [one["percent"] for one in events]
    assert percents == sorted(percents) and percents[-1] <= 100
    assert all(re.fullmatch("[0-9]+/[0-9]+", one["message"]) for one in events if one["type"] == "progress")
    assert [one["type"] for one in events].count("result") == 1
    assert events[-1]["type"] == "result" and events[-1]["result"]["status"] == status
    return events


def stages(events):
    return list(dict.fromkeys(one["stage"] for one in events if "stage" in one))


@pytest.mark.parametrize("where", ["stderr", "file", "fd", "stdout"])
def test_events_go_where_they_are_sent(guest, tmp_path, capfdbinary, where):
    file = tmp_path / "events"
    fd = os.open(file, os.O_WRONLY | os.O_CREAT)
    status = run(["apply", str(guest), "--events", {"file": f"file:{file}", "fd": f"fd:{fd}"}.get(where, where)])
    os.close(fd)
    out, err = capfdbinary.readouterr()
    data = {"stderr": err, "stdout": out}.get(where) or file.read_bytes()
    events = check(data.splitlines(), status)
    assert status == 0 and stages(events) == ["open", "read", "plan", "write"]
    assert "fstab/foreign-filesystems" in str([one.get("rule") for one in events if one["type"] == "info"])
    assert events[-1]["percent"] == 100
    assert b"Applied" in (err if where == "stdout" else out)
    os.write(1, b"afterwards\n")
    assert capfdbinary.readouterr().out == b"afterwards\n"


def test_a_progress_of_the_rules_names_the_one_that_is_asked(guest, tmp_path):
    file = tmp_path / "events"
    asked = [one.id for one in load_pack().rules]
    for words in (["report"], ["apply", "--accept", "*"]):
        assert run([words[0], str(guest), *words[1:], "--events", f"file:{file}"]) == 0
        told = [one for one in check(file.read_bytes().splitlines(), 0) if one["type"] == "progress"]
        rules = [one for one in told if "rules" in one]
        assert len(rules) > 5 and "rule" not in rules[-1] and rules[-1]["rules"]["done"] == len(asked)
        assert [one["rule"] for one in rules[:-1]] == [asked[one["rules"]["done"]] for one in rules[:-1]]
        assert not [one for one in told if "rule" in one and one not in rules]


def test_a_failure_has_a_result_too(guest, tmp_path):
    file = tmp_path / "events"
    (guest / "bin/sh").unlink()
    (guest / "bin/sh").write_bytes(elf(243))
    for args, status, code in (
        (["apply", guest], 2, "GF-TARGET-ARCH"),
        (["report", tmp_path / "none"], 2, None),
        (["report", guest, "--target", "mainframe"], 64, None),
    ):
        assert run([*map(str, args), "--events", f"file:{file}"]) == status
        events = check(file.read_text().splitlines(), status)
        errors = [one for one in events if one["type"] == "error"]
        assert errors and (code is None or code in {one.get("code") for one in errors})


def test_no_percent_is_told_twice_however_many_steps():
    told = []
    events = Events(("read", "plan"), [told.append])
    for stage in ("read", "plan"):
        for step in range(10_001):
            events(stage, step, 10_000)
    progress = [one.percent for one in told if one.type == "progress"]
    assert len(progress) <= 53 and progress[0] == 0 and progress[-1] == 100 and progress == sorted(progress)
    read, plan = STAGES["read"][0], STAGES["plan"][0]
    assert max(one.percent for one in told if one.stage == "read") == 100 * read // (read + plan)


def test_a_stage_of_no_size_and_one_too_many_do_no_harm():
    told = []
    events = Events(("read",), [told.append])
    for done, total in ((0, 0), (5, 3), (1, 3)):
        events("read", done, total)
    events("other", 1, 2)
    assert all(0 <= one.percent <= 100 for one in told)


@pytest.mark.parametrize("where", ["fd:99", "fd:x", "fd:0", "pigeon", "file:", "fd:99999999999999999999"])
def test_a_channel_that_is_none(guest, capfdbinary, where, monkeypatch):
    null = os.open(os.devnull, os.O_RDONLY)
    saved = os.dup(0)
    os.dup2(null, 0)
    try:
        assert run(["report", str(guest), "--events", where]) == 64
    finally:
        os.dup2(saved, 0)
        os.close(saved), os.close(null)
    assert b"events" in capfdbinary.readouterr().err


def test_a_file_that_cannot_be_written_blocks(guest, tmp_path, capfdbinary):
    assert run(["report", str(guest), "--events", f"file:{tmp_path}/none/x"]) == 2


def test_a_reader_that_goes_away_does_not_stop_the_work(guest, capfdbinary):
    read, wrote = os.pipe()
    os.close(read)
    assert run(["apply", str(guest), "--events", f"fd:{wrote}"]) == 0
    os.close(wrote)
    assert capfdbinary.readouterr().err.count(b"events can't be written") == 1


def test_what_the_guest_holds_stays_utf8(guest, tmp_path):
    (guest / "etc/fstab").write_bytes(FSTAB.encode() + b"/dev/\xe9\xff /mnt ext4 defaults 0 0\n")
    file = tmp_path / "events"
    run(["report", str(guest), "--events", f"file:{file}"])
    check(file.read_bytes().decode("utf-8").splitlines(), 0)


def test_features_are_listed_a_line_each(capfdbinary):
    assert run(["--machine-readable"]) == 0
    lines = capfdbinary.readouterr().out.decode().splitlines()
    assert lines[0] == "guestfix" and len(lines) == len(set(lines)) and not [one for one in lines if " " in one]
    assert {"events:fd", "backend:uml", "convert:windows"} <= set(lines)


def test_a_bar_for_people_on_a_terminal(guest):
    pytest.importorskip("rich")
    slow = "import guestfix.commands.bar as bar, sys; bar.DELAY = 0; bar.Bar.__init__.__defaults__ = (0,)\n"
    code = f"{slow}from guestfix.cli import run; sys.exit(run(['report', {str(guest)!r}]))"
    found = on_terminal("-c", code)
    assert b"Opening the guest" in found and b"Changes: " in found
    assert b"\x1b[2K" in found.partition(b"Changes: ")[0]  # taken away before the report is written


def test_a_small_report_on_a_terminal_loads_no_bar(guest):
    code = "import guestfix.commands.bar as bar, sys; bar.Bar.__init__.__defaults__ = (60,)\n"
    code += f"from guestfix.cli import run; run(['report', {str(guest)!r}]); print('rich.progress' in sys.modules)"
    assert on_terminal("-c", code).splitlines()[-1] == b"False"


def test_a_bar_shows_any_text():
    pytest.importorskip("rich")
    from guestfix.commands.bar import Bar

    bar = Bar(0)
    bar(Event("message", "[bold]x[/nonsense]", "read", 1))
    bar(Event("progress", "5/100", "read", 5))
    bar.close()
