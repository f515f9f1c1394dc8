"""The types of what a document tells of the compatibility table, see :mod:`guestfix.base.shapes`."""

from __future__ import annotations

from typing import Annotated, NotRequired, TypedDict

from guestfix.base.record import Says
from guestfix.base.shapes import Code, EvidenceOut
from guestfix.compat.verdict import STATUSES
from guestfix.pack.model import CONFIDENCES

VerdictName = Annotated[str, Says(enum=STATUSES)]
Confidence = Annotated[str, Says(enum=CONFIDENCES)]


class RowOut(TypedDict):
    """A row of the table; more members are told by the row's own fields."""

    id: str
    version: str
    verdict: VerdictName
    source: str
    date: str


class KernelOut(TypedDict):
    """What the table says of one kernel."""

    release: str
    status: VerdictName
    summary: str
    default: bool


class CompatOut(TypedDict):
    """What the table says of a guest. ``findings`` only where it is asked alone."""

    status: VerdictName
    summary: str
    row: dict[str, object] | None
    source: str
    date: str
    confidence: Confidence
    owner: str
    speaks: bool
    evidence: list[EvidenceOut]
    kernels: list[KernelOut]
    table: str
    findings: NotRequired[list[Code]]


class FieldOut(TypedDict):
    """A field that differs between two tables."""

    old: object
    new: object


class ChangedOut(TypedDict):
    """A row that differs between two tables."""

    row: str
    fields: dict[str, FieldOut]


class DiffOut(TypedDict):
    """What differs between two tables."""

    old: str | None
    new: str | None
    added: list[dict[str, object]]
    removed: list[dict[str, object]]
    changed: list[ChangedOut]
