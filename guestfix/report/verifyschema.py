"""The JSON Schema of the document of ``guestfix verify``."""

from __future__ import annotations

from typing import get_args

from guestfix.plan.model import SCHEMA
from guestfix.verify.model import PROOFS, Ending
from guestfix.walk.model import WORST

Schema = dict[str, object]

_TEXT: Schema = {"type": "string"}
_TEXT_OR_NOT: Schema = {"type": ["string", "null"]}
_NUMBER: Schema = {"type": "number", "minimum": 0}


def _object(**members: Schema) -> Schema:
    return {"type": "object", "additionalProperties": False, "required": list(members), "properties": members}


def _list(items: Schema) -> Schema:
    return {"type": "array", "items": items}


def _says(schema: Schema, text: str) -> Schema:
    return {**schema, "description": text}


def verify_schema() -> Schema:
    """Return the schema: a start each under ``starts``."""
    stop = _object(
        step=_says(_TEXT, "a step of the walk; empty where nothing tells"),
        also=_says(_list(_TEXT), "the steps that the same sign may be of"),
        why=_TEXT,
        line=_says(_TEXT, "the line of the console that showed it"),
        seconds=_NUMBER,
    )
    step = _object(
        id=_TEXT,
        reached=_says({"type": ["boolean", "null"]}, "null where nothing tells"),
        seconds=_says({"type": ["number", "null"]}, "since the start of the machine"),
        sign=_says(_TEXT_OR_NOT, "the mark that proves it, or stop"),
        said={"enum": list(WORST), "description": "what the walk said of it before"},
        agrees=_says({"type": ["boolean", "null"]}, "null where the two can't be compared"),
    )
    known = ", ".join([*PROOFS, "disks", "root-mounted", "network-online"])
    mark = _object(name=_says(_TEXT, f"one of: {known}"), seconds=_NUMBER, line=_TEXT)
    hardware = _object(
        target=_TEXT,
        accelerator=_says(_TEXT, "KVM, or emulation"),
        because=_TEXT,
        firmware={"enum": ["bios", "uefi"]},
        secure_boot={"type": "boolean"},
        disk=_TEXT,
        nic=_TEXT,
        stand_ins=_says(_list(_TEXT), "what QEMU does not have of the target, and what is in its place"),
        program=_TEXT,
    )
    start = _object(
        state=_says(_TEXT, "as it is; with --before-and-after: before, after, reverted"),
        ending={"enum": list(get_args(Ending))},
        stop={"anyOf": [stop, {"type": "null"}]},
        steps=_list(step),
        marks=_list(mark),
        failed_units=_list(_TEXT),
        waited_for=_list(_TEXT),
        dhcp=_object(requests={"type": "integer", "minimum": 0}, lease=_TEXT_OR_NOT),
        addresses=_says(_list(_TEXT), "what the guest used as its own on the NIC"),
        ssh_banner=_TEXT_OR_NOT,
        seconds=_NUMBER,
        hardware=hardware,
        console=_object(text=_TEXT, dropped={"type": "integer", "minimum": 0}),
    )
    return _object(schema={"const": SCHEMA}, starts=_list(start))
