"""Every document that guestfix writes, by its name, and the type that its JSON Schema is made from.

Version policy: each document has ``schema``, and its schema's ``$id`` has the same number. It rises where a reader of
the older form could misread the newer one. Members may be added without that: readers pass over what they don't know.
"""

from __future__ import annotations

from typing import Annotated, TypedDict, get_args, get_origin, get_type_hints

from guestfix.authoring.coverage import Coverage
from guestfix.authoring.lint import Remark
from guestfix.base.record import Says
from guestfix.base.shapes import Code
from guestfix.compat.shapes import CompatOut, DiffOut, RowOut
from guestfix.fleet.job import OUTCOMES
from guestfix.fleet.rollup import Difference, Roll
from guestfix.fleet.store import Row, Run
from guestfix.plan.model import SCHEMA
from guestfix.plan.shapes import InspectionOut, Number, PlanOut
from guestfix.report import shapes
from guestfix.report.shapes import FailureOut
from guestfix.report.typeschema import Schema, definitions, of_type
from guestfix.verify.shapes import VerifyOut


class Numbered(TypedDict):
    """What a document has besides the record that it is."""

    schema: Number


class NamedOut(TypedDict):
    """A thing that has a name; what else is known of it stands under its label."""

    kind: str
    name: str
    says: str


Label = str | list[str]
EntryOut = Annotated[NamedOut, Says(additionalProperties=of_type(Label))]


class EntriesOut(TypedDict):
    """Everything that has the name that was asked for."""

    schema: Number
    entries: list[EntryOut]


class ListOut(TypedDict, total=False):
    """All things of one kind, under the kind's name."""

    facts: list[EntryOut]
    findings: list[EntryOut]
    ops: list[EntryOut]
    rules: list[EntryOut]
    targets: list[EntryOut]
    policies: list[EntryOut]
    systems: list[EntryOut]


class ListedOut(ListOut):
    """All things of one kind, as a document."""

    schema: Number


class RemarksOut(TypedDict):
    """What is wrong with a pack, or what it lacks."""

    schema: Number
    remarks: list[Remark]


class RunsOut(TypedDict):
    """The runs over a fleet; times are seconds since 1970, ``ended`` is 0 for one that did not come to its end."""

    schema: Number
    runs: list[Run]


class GuestsOut(TypedDict):
    """The guests of a run over a fleet."""

    schema: Number
    run: int
    guests: list[Row]


class DifferencesOut(TypedDict):
    """What a run over a fleet says otherwise than another."""

    schema: Number
    old: int
    new: int
    guests: list[Difference]


class WhyOut(TypedDict):
    """Why there is no document of a guest."""

    code: Code
    message: str


class NoneOut(TypedDict):
    """A guest of a run over a fleet that could not be judged."""

    schema: Number
    guest: str
    outcome: Annotated[str, Says(enum=OUTCOMES)]
    error: WhyOut


DOCUMENTS: dict[str, tuple[str, object]] = {
    "report": (
        "What guestfix report --format json prints, which is also the plan that apply takes",
        PlanOut | FailureOut,
    ),
    "receipt": ("What guestfix apply --format json prints", shapes.ReceiptOut | FailureOut),
    "revert": ("What guestfix revert --format json prints", shapes.RevertOut | shapes.HalfOut | FailureOut),
    "status": ("What guestfix status --format json prints", shapes.StatusOut | FailureOut),
    "inspect": ("What guestfix inspect --format json prints", InspectionOut | FailureOut),
    "error": ("What any command prints with --format json where it fails", FailureOut),
    "backends": ("What guestfix backends --format json prints", shapes.BackendsOut | FailureOut),
    "compat": (
        "What guestfix compat list, show and diff --format json print",
        list[Annotated[RowOut, Says(additionalProperties=True)]] | CompatOut | DiffOut | FailureOut,
    ),
    "events": ("A line of --events", shapes.EventOut),
    "test": ("What guestfix test --format json prints", shapes.TestOut | FailureOut),
    "list": ("What guestfix list --format json prints", ListedOut | FailureOut),
    "explain": ("What guestfix explain --format json prints", EntriesOut | FailureOut),
    "rules": (
        "What guestfix rules lint and coverage --format json print",
        RemarksOut | Annotated[Coverage, Numbered] | FailureOut,
    ),
    "fleet": (
        "What guestfix fleet list, diff and rollup --format json print, and show of a guest without a plan",
        RunsOut | GuestsOut | DifferencesOut | Annotated[Roll, Numbered] | NoneOut | FailureOut,
    ),
    "verify": ("What guestfix verify --format json prints", VerifyOut | FailureOut),
}
"""Every document by name: what it is, and its type."""


def version_of(kind: object) -> int:
    """Return the number of a document's form: the one that its member ``schema`` has, else that of a plan."""
    for one in get_args(kind) or (kind,):
        told = get_type_hints(one, include_extras=True).get("schema") if isinstance(one, type) else None
        if told is not None and get_origin(told) is Annotated:
            return int(told.__metadata__[0].words["const"])
    return SCHEMA


def document_schema(name: str) -> Schema:
    """Return the schema of one of :data:`DOCUMENTS`."""
    title, kind = DOCUMENTS[name]
    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "$id": f"urn:guestfix:schema:{name}:{version_of(kind)}",
        **of_type(kind),
        "title": title,
        "$defs": definitions(),
    }
