"""Every document of every command keeps to its published schema, failures too, whatever the guest holds."""

import json
from pathlib import Path
from typing import get_type_hints

import jsonschema
import pytest

import guestfix
from guestfix.apply.apply import Provenance, Receipt
from guestfix.apply.left import Left
from guestfix.apply.status import AppliedFile, AppliedPlan, GuestStatus
from guestfix.apply.undo import Reverted
from guestfix.authoring.coverage import Coverage
from guestfix.authoring.lint import Remark
from guestfix.backends.directory import DirectoryGuest
from guestfix.backends.outcome import Check, Saved
from guestfix.backends.status import Status
from guestfix.base.edit import Splice
from guestfix.base.errors import GuestfixError
from guestfix.base.events import Event
from guestfix.base.facts import Evidence, Finding
from guestfix.base.guest import Meta
from guestfix.base.record import frozen, names_of
from guestfix.base.shapes import EvidenceOut
from guestfix.cli import run
from guestfix.commands.documents import DOCUMENTS, document_schema
from guestfix.compat.diff import Diff
from guestfix.compat.shapes import CompatOut, DiffOut, KernelOut
from guestfix.compat.verdict import KernelVerdict, Verdict
from guestfix.fleet.freeing import Freeing
from guestfix.fleet.job import Guest, Job, failed
from guestfix.fleet.rollup import Difference, Roll
from guestfix.fleet.store import Row, Run, Store
from guestfix.formats.firststart import FirstStart, TaskEnd
from guestfix.pack.model import PackPart
from guestfix.plan.model import Change, Choice, Decision, Plan
from guestfix.plan.planner import Inspection
from guestfix.plan.shapes import (
    ChangeOut,
    ChoiceOut,
    DecisionOut,
    FindingOut,
    InspectionOut,
    MetaOut,
    PackOut,
    PlanOut,
    SpliceOut,
)
from guestfix.report import shapes
from guestfix.stage.outcome import Outcome
from guestfix.verify import shapes as verified
from guestfix.verify.model import Hardware, Mark, Reached, Seen, Stop, Wire
from guestfix.walk.model import Step, Walk, Walks
from guestfix.walk.shapes import StepOut, WalkOut, WalksOut
from tests.build.documents import validate
from tests.build.packs import make_pack
from tests.build.tree import build, elf

ROOT = Path(__file__).resolve().parents[2]
GUESTS = sorted(path for path in (ROOT / "testdata/guests").glob("*") if path.is_dir())
FSTAB = b"UUID=1 / ext4 defaults 0 1\n//n/s\xe9\xff /m cifs guest 0 0\n"


@pytest.fixture
def guest(tmp_path):
    files = {"etc/os-release": "ID=debian\nVERSION_ID=12\n", "bin/sh": elf()}
    root = build(tmp_path / "guest", files)
    (root / "etc/fstab").write_bytes(FSTAB)
    return root


@pytest.fixture
def document(capfdbinary):
    def call(*words):
        status = run([*map(str, words), "--format", "json"])
        return status, json.loads(capfdbinary.readouterr().out.decode("utf-8"))

    return call


@pytest.mark.parametrize("guest", GUESTS, ids=lambda path: path.name)
def test_reports_of_the_bundled_guests(guest, document):
    for command in ("report", "inspect"):
        status, found = document(command, guest, "--target", "aws-nitro")
        validate(command, found)
        assert status in (0, 2) and "error" not in found


def test_a_report_with_a_pack_on_top_and_a_path_that_is_no_utf8(guest, document, tmp_path):
    pack = tmp_path / "acme"
    (pack / "fix").mkdir(parents=True)
    (pack / "pack.yaml").write_text("id: acme\nversion: '1.0'\nextends: guestfix\n")
    status, found = document("report", guest, "--pack", pack, "--accept", "*")
    validate("report", found)
    assert status == 0 and [one["id"] for one in found["versions"]["packs"]] == ["guestfix", "acme"]


def test_what_apply_and_revert_print(guest, document, monkeypatch):
    _, found = document("apply", guest, "--target", "mainframe")
    validate("receipt", found), validate("error", found)
    assert found["error"]["code"] == "GF-RUN-USAGE"
    status, found = document("apply", guest)
    validate("receipt", found)
    assert (status == 0) is ("error" not in found)
    status, found = document("apply", guest, "--accept", "*")
    validate("receipt", found)
    assert status == 0
    status, found = document("status", guest)
    validate("status", found)
    assert status == 0 and found["state"] == "applied"
    rename = DirectoryGuest.rename

    def failing(self, old, new):
        raise OSError(5, "Input/output error", new)

    monkeypatch.setattr(DirectoryGuest, "rename", failing)
    status, found = document("revert", guest)
    validate("revert", found)
    assert status == 4 and found["left"]
    monkeypatch.setattr(DirectoryGuest, "rename", rename)
    for expected in (0, 2):  # the second time there is nothing to revert
        status, found = document("revert", guest)
        validate("revert", found)
        assert status == expected


def test_events_of_work_and_of_failures(guest, tmp_path):
    file = tmp_path / "events"
    for words in (
        ["report", guest],
        ["apply", guest, "--accept", "*"],
        ["revert", guest],
        ["inspect", tmp_path / "no"],
    ):
        run([*map(str, words), "--events", f"file:{file}"])
        lines = file.read_bytes().decode("utf-8").splitlines()
        assert lines
        for line in lines:
            validate("events", json.loads(line))


def test_other_commands(document, tmp_path):
    pack = make_pack(tmp_path / "pack")
    (tmp_path / "none").mkdir()
    for name, words in (
        ("backends", ["backends"]),
        ("compat", ["compat", "list"]),
        ("compat", ["compat", "show", "debian", "12"]),
        ("compat", ["compat", "diff", ROOT / "rules", pack]),
        ("compat", ["compat", "diff", pack, tmp_path / "no"]),
        ("list", ["list", "rules"]),
        ("list", ["list", "facts", "--pack", tmp_path / "none"]),
        ("explain", ["explain", "GF-KERNEL-XEN"]),
        ("explain", ["explain", "GF-KERNEL-XEM"]),
        ("rules", ["rules", "lint", pack]),
        ("rules", ["rules", "coverage", pack]),
        ("rules", ["rules", "lint", tmp_path / "none"]),
        ("fleet", ["fleet", "list", "--results", tmp_path / "none.db"]),
        ("verify", ["verify", tmp_path / "none.qcow2"]),
        ("test", ["test", pack]),
        ("test", ["test", tmp_path / "none"]),
        ("inspect", ["inspect", tmp_path / "none"]),
        ("report", ["report", tmp_path / "none"]),
        ("status", ["status", tmp_path / "none"]),
    ):
        _, found = document(*words)
        validate(name, found)


@pytest.mark.parametrize("name", DOCUMENTS)
def test_schemas_are_told_published_and_versioned(name, capfdbinary):
    assert run(["schema", name]) == 0
    told = json.loads(capfdbinary.readouterr().out)
    assert told == document_schema(name) and told["$id"].startswith(f"urn:guestfix:schema:{name}:")
    assert json.loads((ROOT / f"docs/schemas/{name}.json").read_text()) == told


FAILS = {
    "report": ["report", "none"], "receipt": ["apply", "none"], "revert": ["revert", "none"],
    "status": ["status", "none"], "inspect": ["inspect", "none"], "error": ["report", "none"],
    "compat": ["compat", "show", "none", "1", "--pack", "none"], "test": ["test", "none"],
    "list": ["list", "rules", "--pack", "none"], "explain": ["explain", "none"], "rules": ["rules", "lint", "none"],
    "fleet": ["fleet", "diff", "1", "2", "--results", "none"], "verify": ["verify", "none"],
    "backends": ["backends", "none"],
}  # fmt: skip


@pytest.mark.parametrize("name", [one for one in DOCUMENTS if one != "events"])
def test_each_command_that_fails_prints_a_document_of_the_same_name(name, document, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    status, found = document(*FAILS[name])
    assert status in (2, 64) and found["error"]["code"].startswith("GF-")
    validate(name, found), validate("error", found)


def test_a_fleets_documents(document, tmp_path):
    db = tmp_path / "r.db"
    store = Store(str(db), write=True)
    for number in (1, 2):
        store.begin("report", "0" * 64, "0.1.0", 1, ["x"])
        guest = Guest("one", ("/x",), target="kvm-virtio", where="x:1", tags=("a",))
        error = GuestfixError("no", code=f"GF-RUN-{'FAILED' if number == 1 else 'USAGE'}")
        store.put(number, guest, failed(Job(guest, "report", (), "", 1), "k", error))
        store.end(number)
    store.close()
    for words in (["list"], ["list", "--runs"], ["diff", "1", "2"], ["rollup"]):
        _, found = document("fleet", *words, "--results", db)
        validate("fleet", found)
        assert found["schema"] == 2


def test_what_a_fleet_shows_of_a_guest_without_a_plan(tmp_path, capfdbinary):
    store = Store(str(tmp_path / "r.db"), write=True)
    store.begin("report", "0" * 64, "0.1.0", 1, ["x"])
    guest = Guest("one", ("/x",), target="kvm-virtio", where="x:1")
    store.put(1, guest, failed(Job(guest, "report", (), "", 1), "k", GuestfixError("no")))
    store.close()
    assert run(["fleet", "show", "one", "--results", str(tmp_path / "r.db")]) == 0
    validate("fleet", json.loads(capfdbinary.readouterr().out))


# a type and its document

TOLD = {
    Evidence: EvidenceOut, Finding: FindingOut, Decision: DecisionOut, Choice: ChoiceOut, Change: ChangeOut,
    Splice: SpliceOut, Meta: MetaOut, Plan: PlanOut, Inspection: InspectionOut, PackPart: PackOut,
    Step: StepOut, Walk: WalkOut, Walks: WalksOut, Verdict: CompatOut, KernelVerdict: KernelOut, Diff: DiffOut,
    Receipt: shapes.ReceiptOut, Reverted: shapes.RevertOut, Outcome: shapes.ImageOut, Check: shapes.CheckOut,
    Saved: shapes.ImageOut, Event: shapes.EventOut, GuestStatus: shapes.StatusOut,
    Seen: verified.StartOut, Mark: verified.MarkOut, Stop: verified.StopOut, Hardware: verified.HardwareOut,
    Reached: verified.ReachedOut, Wire: verified.DhcpOut,
}  # fmt: skip
"""Types that a writer turns into a document's members; what is not here stands in the schema by its own fields."""

BY_ITSELF = (
    FirstStart,
    TaskEnd,
    Provenance,
    Left,
    AppliedPlan,
    AppliedFile,
    Status,
    Row,
    Run,
    Roll,
    Freeing,
    Difference,
    Remark,
    Coverage,
)

ELSEWHERE = {
    "Change.splices": "contents", "Splice.data": "base64", "Meta.mtime_ns": "set by apply, not planned",
    "Meta.atime_ns": "likewise", "Plan.told_digest": "plan_digest", "Outcome.saved": "image",
    "Check.said": "evidence of the error where one is raised", "Saved.elsewhere": "only for the command that undoes it",
    "Saved.told": "likewise", "Event.done": "steps, rules, bytes", "Event.total": "likewise", "Event.unit": "likewise",
    "GuestStatus.uri": "guest",
    "Seen.wire": "dhcp and addresses", "Seen.banner": "ssh_banner", "Seen.failed": "failed_units",
    "Seen.waited": "waited_for", "Seen.dropped": "console", "Wire.lease_seconds": "the mark lease",
    "Wire.addresses": "addresses",
}  # fmt: skip
"""Fields that a document has under another name, or on purpose not at all."""


def untold(kind, shape):
    """Return the fields of a type that its document does not have."""
    return {f"{kind.__name__}.{name}" for name in names_of(kind) if name not in get_type_hints(shape)}


def test_a_field_that_is_added_to_a_type_is_in_its_document_or_this_fails():
    lacking = {one for kind, shape in TOLD.items() for one in untold(kind, shape)}
    assert lacking == set(ELSEWHERE), "add the field to the type of the document, or say here where it is told"

    @frozen
    class More:
        path: str
        line: int
        text: str
        added: str

    assert untold(More, EvidenceOut) == {"More.added"}


@pytest.mark.parametrize("kind", BY_ITSELF, ids=lambda kind: kind.__name__)
def test_a_record_that_is_a_document_as_it_is_has_all_its_fields_there(kind):
    made = [document_schema(name) for name in DOCUMENTS]

    def objects(schema):
        if isinstance(schema, dict):
            yield schema.get("properties", {})
        for one in schema.values() if isinstance(schema, dict) else schema if isinstance(schema, list) else ():
            yield from objects(one)

    assert any(set(names_of(kind)) <= set(found) for one in made for found in objects(one))


def test_every_record_of_the_api_is_told_or_is_no_part_of_a_document():
    apart = {"Options", "Disk", "Disks", "Placed", "Volume", "Pack", "Fact", "Unknown"}  # facts hold values of any form
    public = {name for name in guestfix.__all__ if names_of(getattr(guestfix, name))}
    assert public - apart <= {kind.__name__ for kind in (*TOLD, *BY_ITSELF)}


def test_a_document_without_a_member_is_none(guest, document):
    _, found = document("report", guest)
    for name in ("plan_digest", "guest", "schema", "walk"):
        with pytest.raises(jsonschema.ValidationError):
            validate("report", {key: value for key, value in found.items() if key != name})
