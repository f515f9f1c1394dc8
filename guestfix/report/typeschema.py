"""JSON Schemas from types: of records, and of the typed dictionaries that writers of documents return."""

from __future__ import annotations

import types
from collections.abc import Mapping
from typing import Annotated, Literal, NotRequired, TypeVar, Union, get_args, get_origin, get_type_hints, is_typeddict

from guestfix.base.record import Says, names_of
from guestfix.base.shapes import ErrorOut

Schema = dict[str, object]
T = TypeVar("T")

DEFS: dict[object, str] = {ErrorOut: "error"}
"""Types that have a definition of their own in each schema: one of them holds itself."""

_SCALARS: dict[object, str] = {
    str: "string",
    int: "integer",
    float: "number",
    bool: "boolean",
    types.NoneType: "null",
}


def of_type(kind: object) -> Schema:
    """Return the schema of a value of this type, as JSON has it. TypeError for a type that no document may have."""
    if kind in _SCALARS:
        return {"type": _SCALARS[kind]}
    if kind in DEFS:
        return {"$ref": f"#/$defs/{DEFS[kind]}"}
    if is_typeddict(kind) or names_of(kind):
        return members(kind)
    origin, args = get_origin(kind), get_args(kind)
    if origin is Annotated:
        return {**_with(of_type(args[0]), args[1:]), **_told(args[1:])}
    if origin is NotRequired:
        return of_type(args[0])
    if origin in (Union, types.UnionType):
        return {"anyOf": [of_type(one) for one in args]}
    if origin is Literal:
        return {"enum": list(args)}
    if origin is tuple and args[-1:] != (...,):
        return {"type": "array", "prefixItems": [of_type(one) for one in args], "items": False}
    if origin in (tuple, list):
        return {"type": "array", "items": of_type(args[0])}
    if isinstance(origin, type) and issubclass(origin, Mapping):
        return {"type": "object", "additionalProperties": of_type(args[1])}
    if kind is object or getattr(kind, "__name__", "") == "Any":
        return {}
    raise TypeError(f"no document may have a {kind}")


def _with(schema: Schema, notes: tuple[object, ...]) -> Schema:
    """Return the schema of an object that has the members of these typed dictionaries too."""
    for more in (members(one) for one in notes if is_typeddict(one)):
        merged = {**_of(schema, "properties", dict), **_of(more, "properties", dict)}
        needed = [*_of(schema, "required", list), *_of(more, "required", list)]
        schema = {**schema, "properties": merged, "required": needed}
    return schema


def _of(schema: Schema, name: str, kind: type[T]) -> T:
    found = schema[name]
    assert isinstance(found, kind)
    return found


def _told(notes: tuple[object, ...]) -> Schema:
    """Return what annotations say; tuples are lists in JSON."""
    said = {name: value for note in notes if isinstance(note, Says) for name, value in note.words.items()}
    return {name: list(value) if isinstance(value, tuple) else value for name, value in said.items()}


def members(kind: object) -> Schema:
    """Return the schema of a record or typed dictionary: each member by its type; others are passed over."""
    hints = get_type_hints(kind, include_extras=True)
    told = getattr(kind, "__required_keys__", hints)
    needed = [name for name, one in hints.items() if name in told and get_origin(one) is not NotRequired]
    found: Schema = {"type": "object", "required": needed, "properties": {n: of_type(t) for n, t in hints.items()}}
    if is_typeddict(kind):
        found["description"] = " ".join((kind.__doc__ or "").split())
    return found


def definitions() -> dict[str, Schema]:
    """Return the schemas that others refer to, by name."""
    return {name: members(kind) for kind, name in DEFS.items()}
