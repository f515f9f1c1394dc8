"""Documents against their schemas: what a document has and its schema does not tell is an error here."""

from __future__ import annotations

from typing import Any

import jsonschema

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
