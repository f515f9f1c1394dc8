"""Reports keep to the published schema."""

import json
from pathlib import Path

import jsonschema
import pytest

from guestfix.cli import run
from tests.build.tree import build, elf

ROOT = Path(__file__).resolve().parents[2]
SCHEMA = json.loads((ROOT / "docs/report.schema.json").read_text())
GUESTS = sorted(path for path in (ROOT / "testdata/guests").glob("*") if path.is_dir())


def validate(document):
    jsonschema.Draft202012Validator(SCHEMA).validate(document)


@pytest.mark.parametrize("guest", GUESTS, ids=lambda path: path.name)
def test_reports_of_the_bundled_guests(guest, capfdbinary):
    run(["report", str(guest), "--format", "json", "--target", "aws-nitro"])
    validate(json.loads(capfdbinary.readouterr().out))


def test_what_apply_prints(tmp_path, capfdbinary):
    files = {"etc/os-release": "ID=debian\nVERSION_ID=12\n", "etc/fstab": "//n/s /m cifs guest 0 0\n", "bin/sh": elf()}
    root = build(tmp_path / "guest", files)
    for accept in ([], ["--accept", "*"]):
        run(["apply", str(root), "--format", "json", *accept])
        validate(json.loads(capfdbinary.readouterr().out))


def test_the_schema_itself_is_one():
    jsonschema.Draft202012Validator.check_schema(SCHEMA)
