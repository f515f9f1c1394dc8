"""Documents that the command prints, and schemas that pass over nothing: what they do not tell is an error."""

from __future__ import annotations

import json
import sys
from typing import Any

import jsonschema
import pytest

from guestfix.__main__ import main
from guestfix.commands.documents import document_schema


def closed(schema: Any) -> Any:
    """Return a schema that passes over nothing: no object may have members that it does not tell."""
    if isinstance(schema, list):
        return [closed(one) for one in schema]
    if not isinstance(schema, dict):
        return schema
    found = {name: closed(one) for name, one in schema.items()}
    if isinstance(schema.get("properties"), dict):
        found.setdefault("additionalProperties", False)
    return found


def validate(name: str, document: object) -> None:
    """Raise ValidationError where a document is not of the form that its name has."""
    schema = closed(document_schema(name))
    jsonschema.Draft202012Validator.check_schema(schema)
    jsonschema.Draft202012Validator(schema).validate(document)


def report(capsys: pytest.CaptureFixture[str], *words: str) -> dict[str, Any]:
    """Return the plan that ``guestfix report`` prints, with its exit ``status`` and all that was ``said``."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(sys, "argv", ["guestfix", "report", *words, "--target", "kvm-virtio", "--format", "json"])
        status = main()
    said = capsys.readouterr()
    return {"status": status, "said": said.out + said.err, **json.loads(said.out)}
