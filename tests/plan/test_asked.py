"""Initramfs images are read where somebody asks what is in them, and only there."""

import ast
from pathlib import Path

import pytest

from guestfix.actions import ACTIONS
from guestfix.backends import open_guest
from guestfix.base.errors import UsageError
from guestfix.base.record import replace
from guestfix.base.recorder import Recorder
from guestfix.detect import DETECTORS
from guestfix.pack.cache import load_pack
from guestfix.plan.asked import detectors_for
from guestfix.plan.planner import Options, inspect_guest, make_plan

ROOT = Path(__file__).resolve().parents[2]
GUEST = ROOT / "testdata" / "guests" / "rhel7-vmware"
IMAGE = "/boot/initramfs-3.10.0-1160.el7.x86_64.img"


@pytest.fixture
def guest():
    return Recorder(open_guest(str(GUEST)))


def step(plan):
    return next(one for one in plan.walk.before.steps if one.id == "initramfs")


@pytest.mark.parametrize(
    "options",
    [
        Options(only=("fstab/*",)),
        Options(only=("network/*", "boot/device-map")),
        Options(skip=("initramfs/*",)),
        Options(skip=("init*", "fstab/*")),
        Options(only=("boot/*",), skip=("initramfs/*",)),
    ],
    ids=str,
)
def test_no_image_is_read_where_no_chosen_rule_asks(guest, options):
    plan = make_plan(guest, load_pack(), options=options)
    assert IMAGE not in guest.was_read
    assert not any(fact.name.startswith("initramfs.") for fact in plan.facts)
    assert (step(plan).outcome, step(plan).because.partition(":")[0]) == ("unknown", "not looked at")
    assert not [one for one in plan.findings if "INITRAMFS" in one.code]
    assert plan.walk.before.outcome == "stops" and plan.walk.before.stops_at == "mounts"


@pytest.mark.parametrize(
    "options",
    [
        Options(),
        Options(only=("initramfs/unblock",)),
        Options(only=("initramfs/persist-dracut", "fstab/*")),
        Options(only=("boot/default-entry",)),
        Options(only=("boot/driver-blacklists",)),
        Options(skip=("initramfs/unblock",)),
        Options(skip=("fstab/*",)),
    ],
    ids=str,
)
def test_images_are_read_where_a_chosen_rule_asks(guest, options):
    plan = make_plan(guest, load_pack(), options=options)
    assert IMAGE in guest.was_read
    assert step(plan).outcome == "stops"


def test_a_plan_says_the_same_of_the_rest(guest):
    """What a left out detector does not tell is all that is missing."""
    whole = make_plan(guest, load_pack(), options=Options(only=("fstab/*", "initramfs/target-drivers")))
    part = make_plan(guest, load_pack(), options=Options(only=("fstab/*",)))
    about = [fact for fact in whole.facts if not fact.name.startswith("initramfs.")]
    assert list(part.facts) == about
    assert [one for one in part.changes if one.path == "/etc/fstab"] == [
        one for one in whole.changes if one.path == "/etc/fstab"
    ]
    assert set(part.findings) <= set(whole.findings)


def test_a_target_that_refuses_by_an_image_has_it_read(tmp_path):
    pack = load_pack()
    target = pack.targets["kvm-virtio"]
    assert "initramfs.images" not in detectors_for(pack, target, {"fstab/swap"}, ())
    refusal = next(one for row in pack.targets.values() for one in row.refuses)
    asking = replace(target, refuses=(replace(refusal, when=(["compare", "initramfs.generator", "==", "dracut"],)),))
    assert "initramfs.images" in detectors_for(pack, asking, {"fstab/swap"}, ())


def test_an_inspection_of_some_facts_shows_these(guest):
    found = inspect_guest(guest, load_pack(), asked=["os", "disks.uuid_*"])
    assert IMAGE not in guest.was_read
    assert {name.partition(".")[0] for name in found.facts} == {"os", "disks"}
    whole = inspect_guest(guest, load_pack())
    assert all(found.facts[name] == whole.facts[name] for name in found.facts)
    assert {name for name in whole.facts if name.startswith("os.")} <= set(found.facts)


@pytest.mark.parametrize("asked", ["initramfs", "initramfs.generator", "*.generator"])
def test_an_inspection_that_asks_for_an_image_reads_it(guest, asked):
    found = inspect_guest(guest, load_pack(), asked=[asked])
    assert IMAGE in guest.was_read and found.facts["initramfs.generator"].value != "unknown"


def test_a_fact_that_there_is_not_is_told(guest):
    with pytest.raises(UsageError, match="no fact is named 'oss'") as error:
        inspect_guest(guest, load_pack(), asked=["oss"])
    assert error.value.remedy == "did you mean os?"


def test_the_command_shows_the_facts_that_were_asked_for(capsys):
    from guestfix.cli import run

    assert run(["inspect", str(GUEST), "--facts", "os.id", "--facts", "policy"]) == 0
    said = capsys.readouterr().out
    assert "os.id: rhel" in said and "policy.network: dhcp" in said and "os.version" not in said
    assert run(["inspect", str(GUEST), "--facts", "non.sense"]) == 64


def test_every_action_that_takes_these_facts_is_named():
    """An action that reads facts of a detector on demand and is not named there would find none."""
    takers = set()
    for path in (ROOT / "guestfix" / "actions").rglob("*.py"):
        froms = [node for node in ast.walk(ast.parse(path.read_text())) if isinstance(node, ast.ImportFrom)]
        names = {one.name for node in froms for one in node.names}
        if "VERDICTS" in names or any(name.startswith("INITRAMFS_") for name in names):
            takers.add(".".join(path.relative_to(ROOT / "guestfix" / "actions").with_suffix("").parts))
    named = [*DETECTORS["initramfs.images"].on_demand, *DETECTORS["initramfs.images"].helps]
    by_module = {ACTIONS[name].partition(":")[0] for name in ACTIONS if name in named or name.startswith("initramfs.")}
    assert takers == by_module and takers
