"""The types that documents are made of: what writes one is typed by them, and its JSON Schema is made from them.

A member is told once, here or beside what writes it in a unit above: mypy holds the writer to it, and
:mod:`guestfix.report.typeschema` makes the schema. What a type of Python can't say stands in an annotation, as JSON
Schema has it. These modules are loaded for schemas and by type checkers alone.
"""

from __future__ import annotations

from typing import Annotated, NotRequired, TypedDict

from guestfix.base.catalog.findings import STAGES
from guestfix.base.record import Says

Whole = Annotated[int, Says(minimum=0)]
Seconds = Annotated[float, Says(minimum=0)]
Percent = Annotated[int, Says(minimum=0, maximum=100)]
Moment = Annotated[str, Says(format="date-time")]
Code = Annotated[str, Says(pattern="^GF-[A-Z0-9-]+$")]
Digest = Annotated[str, Says(pattern="^[0-9a-f]{64}$")]
GuestPath = Annotated[str, Says(pattern="^/")]
State = Annotated[str, Says(pattern="^(sha256:[0-9a-f]{64}|link:.*)$")]
_NO_STEPS = ("disks", "system", "services", "rules", "run")
StepId = Annotated[str, Says(enum=[one for one in STAGES if one not in _NO_STEPS])]


class EvidenceOut(TypedDict):
    """Where something was seen; line 0 is the whole file."""

    path: str
    line: Whole
    text: str


class ErrorOut(TypedDict):
    """Why it failed. ``by`` is who stopped it, ``problems`` are all mistakes of a file."""

    code: Code
    kind: str
    what: str
    where: str
    remedy: str
    by: NotRequired[str]
    problems: NotRequired[list[ErrorOut]]


class ReadOut(TypedDict):
    """How much of a disk that is elsewhere was read."""

    bytes: Whole
    of: Whole
    requests: Whole


class FileOut(TypedDict):
    """A file of the host that was opened as a disk image, or on behalf of one."""

    path: str
    because: str
    read: NotRequired[ReadOut]
