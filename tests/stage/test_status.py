"""What guestfix status tells of a guest, in every state that an apply can leave it in."""

from __future__ import annotations

import json
import os
from pathlib import Path

import pytest

from guestfix import __version__
from guestfix.apply.apply import apply_plan
from guestfix.apply.status import status_of
from guestfix.apply.undo import revert
from guestfix.backends.directory import DirectoryGuest
from guestfix.base.overlay import Overlay
from guestfix.cli import run
from tests.build.documents import validate
from tests.build.faults import at_write
from tests.build.plans import every_kind, make_guest, plan_for, tree

ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture
def root(tmp_path: Path) -> Path:
    make_guest(tmp_path / "guest")
    return tmp_path / "guest"


def opened(root: Path) -> DirectoryGuest:
    return DirectoryGuest(str(root))


def told(root: Path, capfd: pytest.CaptureFixture[str]) -> dict:
    """Return the document, which keeps to its schema and writes nothing; the text tells the same state."""
    before = tree(root)
    assert run(["status", str(root), "--format", "json"]) == 0
    document = json.loads(capfd.readouterr().out)
    validate("status", document)
    assert run(["status", str(root)]) == 0
    text = capfd.readouterr().out
    for one in document["applies"]:
        assert f"{one['journal']}: {one['state']}" in text and one["plan_digest"] in text
    assert tree(root) == before
    return document


def again(overlay: Overlay) -> None:
    overlay.put("/etc/fstab", b"UUID=2 / ext4 defaults 0 1\n")


def test_from_nothing_to_nothing(root: Path, capfd: pytest.CaptureFixture[str]) -> None:
    assert told(root, capfd)["state"] == "none"
    plan = plan_for(opened(root), every_kind)
    apply_plan(opened(root), plan)
    document = told(root, capfd)
    (one,) = document["applies"]
    assert (document["state"], one["state"], one["plan_digest"]) == ("applied", "finished", plan.digest)
    assert (one["guestfix"], one["pack"], one["target"]) == (__version__, "0", "kvm-virtio")
    assert document["still_applied"] == [change.path for change in plan.changes]
    assert {file["kind"]: file["original"] for file in one["files"]} == {
        "edit": "kept", "delete": "kept", "create": "none", "link": "none",
    }  # fmt: skip
    (root / "etc/hosts").write_text("by hand\n")
    os.unlink(root / "etc/fstab")
    os.unlink(root / "etc/.hosts.guestfix.orig")
    document = told(root, capfd)
    files = {file["path"]: (file["state"], file["original"]) for file in document["applies"][0]["files"]}
    assert files["/etc/hosts"] == ("changed", "missing") and files["/etc/fstab"] == ("missing", "kept")
    assert document["state"] == "changed" and document["changed_since"] == ["/etc/fstab", "/etc/hosts"]


def test_a_later_apply_of_the_same_path(root: Path, capfd: pytest.CaptureFixture[str]) -> None:
    for change in (every_kind, again):
        apply_plan(opened(root), plan_for(opened(root), change))
    document = told(root, capfd)
    first, second = document["applies"]
    assert {file["state"] for file in (*first["files"], *second["files"])} == {"applied"}
    (root / "etc/fstab").write_text("by hand\n")
    document = told(root, capfd)
    assert [file["state"] for file in document["applies"][0]["files"]].count("applied") == len(first["files"])
    assert document["changed_since"] == ["/etc/fstab"]


def test_what_somebody_put_back_by_hand_is_as_before(root: Path, capfd: pytest.CaptureFixture[str]) -> None:
    apply_plan(opened(root), plan_for(opened(root), every_kind))
    os.replace(root / "etc/.fstab.guestfix.orig", root / "etc/fstab")
    document = told(root, capfd)
    (file,) = [one for one in document["applies"][0]["files"] if one["path"] == "/etc/fstab"]
    assert (file["state"], file["original"], document["changed_since"]) == ("original", "none", [])


class Died(BaseException):
    pass


@pytest.mark.parametrize("at", [5, 12, 20])
def test_interrupted_and_running(at: int, root: Path, capfd: pytest.CaptureFixture[str]) -> None:
    plan, seen = plan_for(opened(root), every_kind), []

    def look() -> None:
        if not seen:
            seen.append(status_of(opened(root)))
            return
        raise Died

    with pytest.raises(Died):
        apply_plan(at_write(str(root), at, look, onward=True), plan)
    (running,) = seen
    assert running.running and running.state == "running" and running.applies[-1].state == "running"
    document = told(root, capfd)
    assert document["state"] == document["applies"][-1]["state"] == "interrupted" and not document["running"]
    revert(opened(root))
    assert told(root, capfd)["state"] == "none"


def test_a_forged_journal_is_refused(root: Path, capfd: pytest.CaptureFixture[str]) -> None:
    home = root / "var/lib/guestfix/0001"
    home.mkdir(parents=True)
    (home / "journal.json").write_text('{"schema": 1}')
    assert run(["status", str(root), "--format", "json"]) == 2
    assert json.loads(capfd.readouterr().out)["error"]["code"] == "GF-PLAN-INVALID"


def test_a_path_that_is_no_utf8(root: Path, capfd: pytest.CaptureFixture[str]) -> None:
    odd = os.fsdecode(b"/etc/caf\xe9\x1b")
    apply_plan(opened(root), plan_for(opened(root), lambda overlay: overlay.put(odd, b"x\n")))
    document = told(root, capfd)
    assert document["applies"][0]["files"][0]["path"] == "/etc/caf\\xe9\x1b"
