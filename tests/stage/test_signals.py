"""A signal at every write of apply and revert: the file at hand is finished, then all is undone, or it was all."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from guestfix.apply.apply import apply_plan
from guestfix.apply.undo import revert
from guestfix.backends.directory import DirectoryGuest
from guestfix.base.errors import ApplyError, Stopped
from guestfix.base.homes import journal_homes
from guestfix.base.stopping import Stop, follow, following
from guestfix.commands.signals import catch
from tests.build.documents import validate
from tests.build.faults import at_write
from tests.build.plans import every_kind, make_guest, plan_for, tree
from tests.build.signalled import SIGNALS, program_of

ROOT = Path(__file__).resolve().parents[2]
PROGRAM = program_of("directory", "DirectoryGuest")


@pytest.fixture
def caught() -> Iterator[None]:
    """Let the signals be followed as in the program, for the time of a test."""
    before = {number: signal.signal(number, signal.SIG_DFL) for number in SIGNALS}  # a background job ignores some
    catch()
    yield
    for number, handler in before.items():
        signal.signal(number, handler)
    follow(None)


def signalled(root: Path, number: int, which: signal.Signals) -> DirectoryGuest:
    return at_write(str(root), number, lambda: os.kill(os.getpid(), which))


@pytest.mark.parametrize("which", SIGNALS)
def test_apply_at_every_write(which: signal.Signals, tmp_path: Path, caught: None) -> None:
    root = tmp_path / "guest"
    make_guest(root)
    before = tree(root)
    plan = plan_for(DirectoryGuest(str(root)), every_kind)
    outcomes = []
    for number in range(1, 100):
        guest = signalled(root, number, which)
        with following(Stop()):
            try:
                receipt = apply_plan(guest, plan)
            except Stopped as stopped:
                assert stopped.by == which.name and "as it was before" in stopped.what, number
                assert tree(root) == before, f"stopped at write {number}"
                outcomes.append("restored")
                continue
        revert(DirectoryGuest(str(root)))
        assert tree(root) == before, number
        if guest.writes < number:  # type: ignore[attr-defined]
            assert not receipt.stopped
            break
        assert receipt.stopped == which.name
        outcomes.append("finished")
    assert outcomes.count("restored") > 20
    assert outcomes[outcomes.index("finished") :] == ["finished", "finished"], "the last file's rename, and the mark"


@pytest.mark.parametrize("which", SIGNALS)
def test_revert_at_every_write(which: signal.Signals, tmp_path: Path, caught: None) -> None:
    root = tmp_path / "guest"
    make_guest(root)
    before = tree(root)
    plan = plan_for(DirectoryGuest(str(root)), every_kind)
    for number in range(1, 100):
        apply_plan(DirectoryGuest(str(root)), plan)
        guest = signalled(root, number, which)
        with following(Stop()):
            done = revert(guest)
        assert tree(root) == before, number
        if guest.writes < number:  # type: ignore[attr-defined]
            assert not done.stopped
            break
        assert done.stopped == which.name, number
    assert number > 12


def test_a_signal_before_the_first_write_of_revert(tmp_path: Path, caught: None) -> None:
    root = tmp_path / "guest"
    make_guest(root)
    apply_plan(DirectoryGuest(str(root)), plan_for(DirectoryGuest(str(root)), every_kind))
    applied = tree(root)
    with following(Stop()), pytest.raises(Stopped):
        os.kill(os.getpid(), signal.SIGTERM)
        revert(DirectoryGuest(str(root)))
    assert tree(root) == applied


class Odd(Exception):
    pass


def test_a_callback_that_raises_at_every_call(tmp_path: Path) -> None:
    root = tmp_path / "guest"
    make_guest(root)
    before = tree(root)
    plan = plan_for(DirectoryGuest(str(root)), every_kind)
    calls: list[str] = []

    def progress(stage: str, done: int, total: int) -> None:
        calls.append(stage)
        if len(calls) == wanted:
            raise Odd("enough")

    for wanted in range(1, 100):
        calls.clear()
        try:
            receipt = apply_plan(DirectoryGuest(str(root)), plan, progress)
        except Stopped as stopped:
            assert isinstance(stopped.because, Odd) and "Odd: enough" in stopped.what
            assert stopped.by == "callback" and tree(root) == before
            continue
        assert receipt.stopped == ("callback" if len(calls) == wanted else "")
        revert(DirectoryGuest(str(root)))
        assert tree(root) == before
        if len(calls) < wanted:
            break
    assert wanted > len(plan.changes)


@pytest.mark.parametrize("error", [KeyboardInterrupt, MemoryError, TypeError])
def test_any_other_end_of_apply_undoes_it_too(error: type[BaseException], tmp_path: Path) -> None:
    """Ctrl-C of a program that uses the API, and what would be a defect: it goes on its way, and the guest is whole."""
    root = tmp_path / "guest"
    make_guest(root)
    before = tree(root)
    plan = plan_for(DirectoryGuest(str(root)), every_kind)

    def fail() -> None:
        raise error

    for number in (1, 2, 5, 9, 14, 20):
        with pytest.raises(error):
            apply_plan(at_write(str(root), number, fail), plan)
        assert tree(root) == before, number


def test_where_undoing_fails_as_well(tmp_path: Path) -> None:
    """Somebody takes the original and its backup away: the journal stays, and who reads it is told."""
    root = tmp_path / "guest"
    make_guest(root)
    plan = plan_for(DirectoryGuest(str(root)), every_kind)
    stop = Stop()
    backup = root / "etc/.fstab.guestfix.orig"

    def happens() -> None:
        if backup.exists():
            stop.wish("SIGTERM")
            os.unlink(backup)
            os.unlink(root / "etc/fstab")

    number = 0
    while not stop.by:
        number += 1
        with following(stop):
            try:
                apply_plan(at_write(str(root), number, happens), plan)
            except ApplyError as error:
                assert "stopped by SIGTERM, and undoing" in error.what and not error.restored
                assert "guestfix revert" in error.remedy
        if not stop.by:
            revert(DirectoryGuest(str(root)))
    assert len(journal_homes(DirectoryGuest(str(root)))) == 1


def program(which: signal.Signals, at: int, *words: object) -> tuple[int, dict[str, object], str]:
    done = subprocess.run(
        [sys.executable, "-c", PROGRAM, ROOT, str(int(which)), str(at), *map(str, words), "--format", "json"],
        capture_output=True, text=True, check=False,
    )  # fmt: skip
    return done.returncode, json.loads(done.stdout), done.stderr


@pytest.mark.parametrize("which", SIGNALS)
def test_the_program_tells_it_by_its_status_and_one_document(which: signal.Signals, tmp_path: Path) -> None:
    root = tmp_path / "guest"
    make_guest(root)
    (root / "bin").mkdir()
    (root / "etc/fstab").write_text("//nas/share /mnt cifs defaults 0 0\n/dev/sda1 / ext4 defaults 0 1\n")
    before = tree(root)
    apply = ("apply", root, "--only", "fstab/*", "--accept", "*")
    status, document, said = program(which, 4, *apply)
    assert status == 5 and tree(root) == before, said
    assert document["error"]["kind"] == "Stopped" and document["error"]["by"] == which.name  # type: ignore[index]
    assert "everything is as it was before" in document["error"]["what"]  # type: ignore[index]
    validate("receipt", document)
    status, document, said = program(which, 99, *apply)
    assert (status, document.get("stopped")) == (0, None), said
    assert program(which, 1, "revert", root)[:2][0] == 0 and tree(root) == before
    late = next(at for at in range(5, 40) if program(which, at, *apply)[0] == 0)
    assert tree(root) != before
    status, document, _ = program(which, 2, "revert", root)
    assert status == 0 and document["stopped"] == {"by": which.name, "outcome": "finished"} and tree(root) == before
    status, document, _ = program(which, late, *apply)
    assert status == 0 and document["stopped"] == {"by": which.name, "outcome": "finished"}
    validate("receipt", document)
