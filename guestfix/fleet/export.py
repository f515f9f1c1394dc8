"""A run's tables as files for other tools: CSV (RFC 4180), or Parquet through pyarrow."""

from __future__ import annotations

import csv
import os
from collections.abc import Callable, Mapping, Sequence

from guestfix.base.errors import GuestfixError, UsageError
from guestfix.fleet.store import TABLES, Store
from guestfix.report.table import cell

Rows = Sequence[Sequence[object]]


def export(store: Store, run: int, folder: str, form: str) -> list[str]:
    """Write each of a run's tables into a new folder and return the files: ``runs``, ``guests``, ``findings``.

    Documents are left out: ``fleet show`` prints them. UsageError where the extra is missing, GuestfixError where the
    folder is there already or can't be written.
    """
    write = FORMS[form]()
    try:
        os.mkdir(folder)
        made = []
        for name in TABLES:
            made.append(os.path.join(folder, f"{name}.{form}"))
            write(made[-1], *store.table(name, run))
    except OSError as error:
        raise GuestfixError(
            f"the tables can't be written: {error.strerror or error}", where=folder, remedy="name a folder to be made"
        ) from error
    return made


def _csv() -> Callable[[str, Sequence[str], Rows], None]:
    def write(place: str, head: Sequence[str], rows: Rows) -> None:
        with open(place, "x", encoding="utf-8", newline="") as stream:
            writer = csv.writer(stream)
            writer.writerow(head)
            writer.writerows([cell(one) if isinstance(one, str) else one for one in row] for row in rows)

    return write


def _parquet() -> Callable[[str, Sequence[str], Rows], None]:
    try:
        import pyarrow
        from pyarrow import parquet
    except ImportError as error:
        raise UsageError("Parquet needs the extra parquet", remedy="pip install 'guestfix[parquet]'") from error

    def write(place: str, head: Sequence[str], rows: Rows) -> None:
        columns = {name: [row[at] for row in rows] for at, name in enumerate(head)}
        types = [pyarrow.field(name, pyarrow.type_for_alias(KINDS.get(name, "string"))) for name in head]
        parquet.write_table(pyarrow.table(columns, schema=pyarrow.schema(types)), place)

    return write


KINDS = dict.fromkeys(("id", "run", "kept", "guests"), "int64") | dict.fromkeys(
    ("started", "ended", "seconds", "cpu"), "float64"
)
"""Columns that hold no text, whatever a run has in them."""

FORMS: Mapping[str, Callable[[], Callable[[str, Sequence[str], Rows], None]]] = {"csv": _csv, "parquet": _parquet}
