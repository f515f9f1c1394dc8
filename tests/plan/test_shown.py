"""A plan from a file shows what it does: each diff is made again from the contents, and a forged one is refused."""

import json
from pathlib import Path

import pytest

from guestfix.backends import open_guest
from guestfix.backends.directory import DirectoryGuest
from guestfix.base.digest import digest_bytes
from guestfix.base.edit import Splice
from guestfix.base.errors import PlanError
from guestfix.base.record import replace
from guestfix.cases.runner import copy_guest
from guestfix.pack.cache import load_pack
from guestfix.plan.model import digest_of, dump_plan, new_chunks
from guestfix.plan.planner import Options, make_plan
from guestfix.plan.reader import load_plan
from guestfix.plan.shown import check_plan
from tests.build.tree import build, elf

ROOT = Path(__file__).resolve().parents[2]
GUESTS = sorted(path for path in (ROOT / "testdata/guests").glob("*") if path.is_dir())
FSTAB = "UUID=1 / ext4 defaults 0 1\n//nas/share /mnt/share cifs credentials=/root/c 0 0\n"


@pytest.fixture(scope="module")
def pack():
    return load_pack()


@pytest.mark.parametrize("guest", GUESTS, ids=lambda path: path.name)
@pytest.mark.parametrize("target", ["aws-nitro", "kvm-virtio"])
def test_what_is_planned_shows_what_it_does(guest, target, pack):
    disks = guest.with_name(f"{guest.name}.disks.yaml")
    opened = open_guest(str(guest), disks=str(disks) if disks.exists() else None)
    plan = make_plan(opened, pack, target, Options(accept=("*",), confidence="possible"))
    saved = load_plan(dump_plan(plan))
    assert saved == plan and saved.digest == plan.digest
    check_plan(opened, saved, pack)


@pytest.fixture
def guest(tmp_path):
    files = {"etc/os-release": 'ID=debian\nVERSION_ID="12"\n', "etc/fstab": FSTAB, "bin/sh": elf(), "var/lib/x": ""}
    return DirectoryGuest(str(build(tmp_path / "guest", files)))


def forged(guest, plan, path, splices=None, **changes):
    """Return a plan whose one change does something else, with states that fit."""
    made = []
    for change in plan.changes:
        if change.path == path:
            change = replace(change, **changes)
            if splices is not None:
                change = replace(change, splices=splices)
                new = b"".join(new_chunks(guest, change))
                change = replace(change, after=digest_bytes([new]), size=len(new))
        made.append(change)
    return load_plan(dump_plan(replace(plan, changes=tuple(made))))


@pytest.mark.parametrize(
    "diff", ["", None, "driver file: 9 bytes\n", "binary file: 2 bytes, 9 after\n", "+ x (9 bytes)\n"]
)
def test_a_text_is_shown_line_by_line(guest, pack, diff):
    plan = make_plan(guest, pack, "aws-nitro")
    other = (Splice(0, 0, b"/dev/sdz /evil ext4 exec 0 0\n"),)
    told = {} if diff is None else {"diff": diff}
    plan = forged(guest, plan, "/etc/fstab", other, **told)
    with pytest.raises(PlanError) as caught:
        check_plan(guest, plan, pack)
    assert caught.value.code == "GF-PLAN-DIFF" and caught.value.where == "/etc/fstab"


def test_a_hive_is_shown_key_by_key(pack, tmp_path):
    copy_guest(ROOT / "rules/fix/windows/ghost-adapters/cases/remove/in", tmp_path / "guest")
    guest = open_guest(str(tmp_path / "guest"))
    plan = make_plan(guest, pack, "kvm-virtio", Options(accept=("*",), confidence="possible"))
    change = next(one for one in plan.changes if one.path.endswith("/SYSTEM"))
    lines = change.diff.split("\n")
    for shown in ("\n".join(lines[: len(lines) // 2]), "", "driver file: 9 bytes\n"):
        with pytest.raises(PlanError, match="another change"):
            check_plan(guest, forged(guest, plan, change.path, diff=shown), pack)
    check_plan(guest, forged(guest, plan, change.path, diff=change.diff), pack)


@pytest.mark.parametrize(("name", "value"), [("guestfix", "9.9.9"), ("pack", "of tomorrow"), ("pack_digest", "0" * 64)])
def test_versions_that_are_not_at_hand_are_refused(guest, pack, name, value):
    plan = make_plan(guest, pack, "aws-nitro")
    with pytest.raises(PlanError) as caught:
        check_plan(guest, replace(plan, versions={**plan.versions, name: value}), pack)
    assert caught.value.code == "GF-PLAN-UNKNOWN" and value in caught.value.what


def test_rules_and_targets_that_there_are_not_are_refused(guest, pack):
    plan = make_plan(guest, pack, "aws-nitro")
    other = replace(plan, changes=tuple(replace(one, rules=("evil/rule",)) for one in plan.changes))
    for one in (other, replace(plan, target="mainframe")):
        with pytest.raises(PlanError) as caught:
            check_plan(guest, one, pack)
        assert caught.value.code == "GF-PLAN-UNKNOWN"


def test_a_document_that_was_changed_is_not_what_its_digest_says(guest, pack):
    document = json.loads(dump_plan(make_plan(guest, pack, "aws-nitro")))
    assert document["plan_digest"] == digest_of(document)
    document["follow_ups"] = [*document["follow_ups"], "and pay"]
    with pytest.raises(PlanError) as caught:
        load_plan(json.dumps(document).encode())
    assert caught.value.code == "GF-PLAN-DIGEST"


def test_a_plan_of_several_packs_is_read_again(guest, tmp_path):
    folder = build(tmp_path / "own", {"pack.yaml": "id: own\nversion: 1\nextends: guestfix\n"})
    plan = make_plan(guest, load_pack([str(folder)]), "aws-nitro")
    assert load_plan(dump_plan(plan)) == plan
