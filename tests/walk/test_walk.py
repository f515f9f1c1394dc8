"""The boot walk: each step's outcome in both states, its JSON, and what a plan blocks for."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from guestfix.backends import open_guest
from guestfix.base.errors import PlanError
from guestfix.base.facts import Evidence, Facts, Finding
from guestfix.pack.cache import load_pack
from guestfix.plan.model import dump_plan
from guestfix.plan.planner import Options, make_plan
from guestfix.plan.reader import load_plan
from guestfix.walk import looks
from guestfix.walk.model import Step, Walk, Walks
from guestfix.walk.names import answers
from guestfix.walk.scene import Scene
from tests.build.tree import build

ROOT = Path(__file__).resolve().parents[2]
GUESTS = sorted(path.parent.name for path in (ROOT / "testdata/guests").glob("*/root"))
LINUX = tuple(one.id for one in looks("linux"))


def plan_of(name: str, target: str = "aws-nitro", **options: Any):
    place = ROOT / "testdata/guests" / name
    guest = open_guest(str(place / "root"), disks=str(place / "disks.yaml"))
    return make_plan(guest, load_pack(), target, Options(**options))


def scene(target: str = "aws-nitro", **facts: Any) -> Scene:
    told = Facts()
    for name, value in facts.items():
        told.put(name.replace("__", "."), value)
    return Scene(open_guest(str(ROOT / "testdata")), told, load_pack().targets[target], ())


def test_the_steps_of_the_two_families_are_the_ones_that_others_build_on():
    assert LINUX == ("firmware", "loader", "entry", "kernel", "initramfs", "root", "mounts", "network", "access")
    windows = ("firmware", "loader", "entry", "kernel", "registry", "drivers", "root", "setup", "network", "access")
    assert tuple(one.id for one in looks("windows")) == windows and tuple(looks("plan9")) == ()


@pytest.mark.parametrize("name", GUESTS)
def test_the_bundled_guests_stop_before_and_pass_after(name):
    plan = plan_of(name)
    assert tuple(step.id for step in plan.walk.before.steps) == LINUX
    assert plan.walk.before.outcome == "stops" and plan.walk.after.outcome == "passes"
    assert plan.walk.after.stops_at is None and not plan.blockers
    for walk in (plan.walk.before, plan.walk.after):
        for step in walk.steps:
            assert step.because, step.id
            assert step.evidence or step.outcome == "unknown", step.id


def test_where_it_stops_is_said_with_the_line_and_what_settles_it():
    before, after = plan_of("debian-12").walk.before, plan_of("debian-12").walk.after
    assert before.stops_at == "entry" and "nvme" in next(s for s in before.steps if s.id == "initramfs").because
    root = next(step for step in before.steps if step.id == "root")
    assert root.outcome == "stops" and root.evidence == (Evidence("/boot/grub/grub.cfg", 75, "Debian GNU/Linux"),)
    assert next(step for step in after.steps if step.id == "initramfs").rule == "initramfs/target-drivers"


def test_a_plan_of_chosen_rules_warns_and_a_whole_one_blocks():
    chosen = plan_of("debian-12", only=("fstab/*", "initramfs/unblock"))
    assert chosen.walk.after.stops_at == "entry" and not chosen.blockers
    assert {one.severity for one in chosen.findings if one.outcome == "stops" and not one.settled_by} == {"warning"}
    assert {"GF-WALK-ROOT", "GF-INITRAMFS-LACKS"} <= {one.code for one in chosen.findings if one.outcome == "stops"}


def test_what_no_rule_can_repair_blocks(tmp_path):
    tree = {
        "etc/os-release": 'ID=debian\nVERSION_ID="12"\n',
        "etc/fstab": "UUID=0a 1 / ext4 defaults 0 1\n".replace("0a 1", "0a1"),
        "boot/grub/grub.cfg": "menuentry 'x' {\n linux /boot/vmlinuz-6.1.0-9-amd64 root=/dev/sdz9 ro\n}\n",
    }
    disks = tmp_path / "disks.yaml"
    disks.write_text("disks:\n  - {device: /dev/sda, partitions: [{device: /dev/sda1, fstype: ext4, uuid: 0a1}]}\n")
    build(tmp_path / "g", tree)
    plan = make_plan(open_guest(str(tmp_path / "g"), disks=str(disks)), load_pack(), "kvm-virtio")
    assert plan.walk.after.stops_at == "root"
    assert any(one.severity == "blocker" and one.step == "root" for one in plan.findings)


NAMES = [
    ("/dev/sda1", "no", "nvme"),
    ("/dev/nvme0n1p1", "yes", "alike"),
    ("UUID=ab", "yes", "answers"),
    ("/dev/disk/by-uuid/ab", "yes", "answers"),
    ("UUID=cd", "no", "no volume"),
    ("PARTUUID=cd", "unknown", "not described"),
    ("LABEL=data", "unknown", "not described"),
    ("/dev/disk/by-id/ata-QEMU-part1", "no", "old hardware"),
    ("/dev/mapper/vg-root", "yes", "answers"),
    ("/dev/vg/gone", "no", "no volume"),
]


@pytest.mark.parametrize(("name", "answer", "says"), NAMES)
def test_names_of_volumes_on_the_target(name, answer, says):
    known = scene(
        disks__known=True,
        disks__tagged=True,
        disks__complete=True,
        disks__doubtful=["PARTUUID=*", "LABEL=*"],
        disks__specs=["UUID=ab", "/dev/mapper/vg-root", "/dev/nvme0n1p1"],
        disks__uuid_by_device={"/dev/nvme0n1p1": "UUID=ab"},
    )
    told, why = answers(known, name)
    assert told == answer and says in why


@pytest.mark.parametrize("name", ["UUID=cd", "/dev/vg/root", "LABEL=x", "/dev/nvme0n1p1"])
def test_without_a_description_nothing_is_called_absent(name):
    assert answers(scene(disks__known=False), name)[0] == "unknown"


def test_the_json_form_goes_both_ways():
    plan = plan_of("rhel7-vmware")
    document = json.loads(dump_plan(plan))
    assert set(document["walk"]) == {"before", "after"} and document["walk"]["after"]["outcome"] == "passes"
    again = load_plan(dump_plan(plan))
    assert again.walk == plan.walk and again.findings == plan.findings


def test_an_empty_walk_is_unknown_and_a_stop_wins():
    assert Walk().outcome == "unknown" and Walk().stops_at is None and Walks().before == Walk()
    steps = (Step("firmware", "t", "unknown", "b"), Step("root", "t", "stops", "b"), Step("mounts", "t", "waits", "b"))
    assert Walk(steps).stops_at == "root" and Walk(steps).untold == ("firmware",)


BAD = [None, {}, {"before": {}}, {"before": 1, "after": 2}]
BAD_STEPS = [None, "x", [{}], [{"id": "flies"}], [{"outcome": "flies"}], [{"seconds": -1}], [{"evidence": 1}]]


@pytest.mark.parametrize("bad", BAD)
def test_a_plan_with_no_walk_is_refused(bad):
    document = json.loads(dump_plan(plan_of("debian-12")))
    document["walk"] = bad
    with pytest.raises(PlanError):
        load_plan(json.dumps(document).encode())


@pytest.mark.parametrize("bad", BAD_STEPS)
def test_a_plan_with_steps_of_another_form_is_refused(bad):
    document = json.loads(dump_plan(plan_of("debian-12")))
    good = document["walk"]["after"]["steps"][0]
    document["walk"]["after"]["steps"] = [{**good, **one} for one in bad] if isinstance(bad, list) and bad[0] else bad
    with pytest.raises(PlanError):
        load_plan(json.dumps(document).encode())


def test_a_finding_names_its_step():
    assert Finding("GF-WALK-ROOT", "blocker", "s", (Evidence("/x"),)).step == "root"
    assert Finding("GF-SSH-MISSING", "warning", "s", (Evidence("/x"),)).step == "access"
