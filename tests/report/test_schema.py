"""Every document of every command keeps to its published schema, failures too, whatever the guest holds."""

import json
from pathlib import Path

import jsonschema
import pytest

from guestfix.backends.directory import DirectoryGuest
from guestfix.cli import run
from guestfix.report.documents import DOCUMENTS, document_schema
from tests.build.packs import make_pack
from tests.build.tree import build, elf

ROOT = Path(__file__).resolve().parents[2]
GUESTS = sorted(path for path in (ROOT / "testdata/guests").glob("*") if path.is_dir())
FSTAB = b"UUID=1 / ext4 defaults 0 1\n//n/s\xe9\xff /m cifs guest 0 0\n"


def validate(name, document):
    schema = document_schema(name)
    jsonschema.Draft202012Validator.check_schema(schema)
    jsonschema.Draft202012Validator(schema).validate(document)


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


def test_a_document_without_a_member_is_none(guest, document):
    _, found = document("report", guest)
    for name in ("plan_digest", "guest", "schema", "walk"):
        with pytest.raises(jsonschema.ValidationError):
            validate("report", {key: value for key, value in found.items() if key != name})
