"""The systems of a pack, one ``os/<id>/os.yaml`` each, and ``compat.yaml``, the version of their table.

What is checked: every row has a source and a date; rows are in the system's own order; no release that the
system is known to have had lies between two rows (a gap) or in two of them (an overlap, a tie where both rows say
the same range); no two systems go by the same name.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from pathlib import PurePosixPath

from guestfix.base.errors import Problem
from guestfix.base.record import frozen, replace
from guestfix.pack.model import CONFIDENCES, FAMILIES, System
from guestfix.pack.ranges import SCHEMES, Key, RangeError, Span, expand, key_of, parse_span
from guestfix.pack.schema import Reader
from guestfix.pack.systemfacts import read_base, read_facts, read_flavours, read_names
from guestfix.pack.yamlpos import Mark, Node

VERDICTS = ("supported", "deprecated", "unlisted", "unsupported")
TABLE_KEYS = ("version", "date", "title", "deprecated_arch", "owner")
SYSTEM_KEYS = (
    "id", "title", "family", "scheme", "releases", "arch", "like", "base", "base_versions", "names", "flavours",
    "facts", "sources", "rows",
)  # fmt: skip
ROW_KEYS = (
    "version", "variant", "kernels", "except", "editions", "builds", "arch", "min_service_pack", "verdict",
    "deprecated", "confidence", "note", "owner", "source", "date",
)  # fmt: skip
KERNEL_KEYS = ("series", "flavour", "print")


MOST_ROWS, MOST_RELEASES = 400, 2000
"""Rows and releases of one system; each row is compared with every other one and every release."""


@frozen
class _Row:
    span: Span
    mark: Mark
    text: str
    variant: str


def load_systems(nodes: Mapping[str, Node]) -> tuple[tuple[System, ...], list[Problem]]:
    """Return the systems of a pack's YAML nodes (by path in the pack), sorted by id, and all problems."""
    problems: list[Problem] = []
    table = _table(nodes.get("compat.yaml"), problems)
    systems: list[System] = []
    marks: dict[str, Mark] = {}
    for name in sorted(nodes):
        parts = PurePosixPath(name).parts
        if parts[0] != "os":
            continue
        if len(parts) != 3 or parts[2] != "os.yaml":
            problems.append(nodes[name].mark.problem("a system is os/<id>/os.yaml; this file is none"))
            continue
        systems.append(replace(_system(Reader(nodes[name], problems, "a system"), parts[1]), table=table))
        marks[parts[1]] = nodes[name].mark
    if systems and "compat.yaml" not in nodes:
        mark = next(node.mark for name, node in nodes.items() if name.startswith("os/"))
        problems.append(mark.problem("there are systems but no compat.yaml, which says the table's version"))
    problems += _clashes(systems, marks)
    return tuple(systems), problems


_WORDS = ("id", "aliases", "lsb", "families", "words", "cpe")


def _clashes(systems: Sequence[System], marks: Mapping[str, Mark]) -> Iterator[Problem]:
    """Yield a problem for each name that two systems go by, and for each base that there is not."""
    taken: dict[tuple[str, str], str] = {}
    for kind in _WORDS:
        for one in systems:
            for word in (one.id.casefold(),) if kind == "id" else getattr(one.names, kind):
                other = taken.setdefault(("id" if kind == "aliases" else kind, word), one.id)
                if other != one.id:
                    yield marks[one.id].problem(f"{word!r} names the system {other!r} too ({kind})")
    for one in systems:
        if one.base and ("id", one.base.casefold()) not in taken:
            yield marks[one.id].problem(f"there is no system {one.base!r}, which is said to be the base of this one")


def _table(node: Node | None, problems: list[Problem]) -> dict[str, object]:
    if node is None:
        return {}
    reader = Reader(node, problems, "the table")
    reader.allow(TABLE_KEYS)
    dates = reader.child("deprecated_arch")
    by_arch = Reader(dates, problems, "deprecated_arch") if dates is not None else None
    return {
        "version": reader.text("version"),
        "date": reader.date("date"),
        "title": reader.text("title"),
        "owner": _owner(reader),
        "deprecated_arch": {arch: by_arch.date(arch) for arch in by_arch.keys} if by_arch else {},
    }


def _owner(reader: Reader) -> dict[str, str]:
    node = reader.child("owner")
    if node is None:
        return {}
    inner = Reader(node, reader.problems, "owner")
    inner.allow(("id", "title"))
    return {name: inner.text(name) for name in ("id", "title")}


def _system(reader: Reader, ident: str) -> System:
    reader.allow(SYSTEM_KEYS)
    if reader.text("id") != ident:
        reader.complain(reader.node.mark, f"the system's id must be {ident!r}, as its folder is named")
    scheme = reader.text("scheme", "plain", one_of=(*SCHEMES, "listed"))
    scheme = scheme if scheme in (*SCHEMES, "listed") else "plain"
    releases = tuple(_releases(reader))
    base, base_versions = read_base(reader, scheme, releases)
    system = System(
        ident,
        reader.text("title"),
        reader.text("family", one_of=FAMILIES),
        scheme,
        releases,
        reader.texts("arch"),
        like=reader.texts("like"),
        base=base,
        base_versions=base_versions,
        names=read_names(reader),
        flavours=read_flavours(reader),
        facts=read_facts(reader, scheme, releases),
    )
    return replace(system, rows=_rows(reader, system))


def _rows(reader: Reader, system: System) -> tuple[Mapping[str, object], ...]:
    """Return the rows, none where the system is known by its names only, and is judged as its relatives are."""
    rows, placed = [], []
    given = reader.readers("rows", "a row")
    if len(given) > MOST_ROWS:
        reader.complain(given[MOST_ROWS].node.mark, f"a system has at most {MOST_ROWS} rows")
    for one in given[:MOST_ROWS]:
        rows.append(_row(one, system))
        span = _span(one, system)
        if span is not None:
            placed.append(_Row(span, one.keys["version"].mark, one.text("version"), one.text("variant", "")))
    _check_order(placed, reader.problems)
    _check_cover(placed, system, reader.problems)
    return tuple(rows)


def _releases(reader: Reader) -> list[str]:
    found: list[str] = []
    node = reader.child("releases", required="rows" in reader.keys)
    for item in node.items or () if node is not None else ():
        try:
            found += expand(item.text or "")
        except RangeError as error:
            reader.complain(item.mark, str(error))
        if len(found) > MOST_RELEASES:
            reader.complain(item.mark, f"a system has at most {MOST_RELEASES} releases")
            return []
    return found


def _row(reader: Reader, system: System) -> dict[str, object]:
    reader.allow(ROW_KEYS)
    version = reader.text("version")
    listed = system.scheme == "listed"
    row: dict[str, object] = {
        "id": f"{system.id}-{version.lower().replace(' ', '-')}" if listed else system.id,
        "version": version,
        "verdict": reader.text("verdict", one_of=VERDICTS),
        "source": reader.text("source"),
        "date": reader.date("date"),
    }
    kernels = [kernel for node in _items(reader, "kernels") if (kernel := _kernel(node, reader))]
    texts: dict[str, object] = {name: list(reader.texts(name)) for name in ("except", "editions", "builds", "arch")}
    given = {"kernels": kernels, **texts, **{name: reader.text(name, "") for name in ("variant", "note", "owner")}}
    given["min_service_pack"] = reader.number("min_service_pack")
    row |= {name: value for name, value in given.items() if value}
    row.setdefault("arch", list(system.arch))
    _standing(reader, row)
    return row


def _items(reader: Reader, name: str) -> tuple[Node, ...]:
    node = reader.child(name)
    if node is not None and node.items is None:
        reader.complain(node.mark, f"{name!r} must be a list, not {node.kind}")
    return (node.items if node is not None else None) or ()


def _kernel(node: Node, reader: Reader) -> object:
    if node.text is not None:
        return node.text
    inner = Reader(node, reader.problems, "a kernel")
    inner.allow(KERNEL_KEYS)
    given = {"series": inner.text("series", ""), "flavour": inner.text("flavour"), "print": inner.text("print", "")}
    return {name: value for name, value in given.items() if value}


def _standing(reader: Reader, row: dict[str, object]) -> None:
    """Read what a verdict needs besides: since when it is deprecated, how sure an unlisted row is."""
    for verdict, key in (("deprecated", "deprecated"), ("unlisted", "confidence")):
        if row["verdict"] == verdict:
            row[key] = reader.date(key) if key == "deprecated" else reader.text(key, one_of=CONFIDENCES)
        elif key in reader.keys:
            reader.complain(reader.node.key_marks[key], f"only a row with the verdict {verdict} has {key!r}")


def _span(reader: Reader, system: System) -> Span | None:
    node = reader.keys.get("version")
    if node is None or not node.text:
        return None
    if system.scheme == "listed" and " - " in node.text:
        reader.complain(node.mark, "a system whose scheme is 'listed' has one row for each version")
        return None
    try:
        return parse_span(node.text, system.scheme, system.releases)
    except RangeError as error:
        reader.complain(node.mark, str(error))
        return None


def _check_order(rows: list[_Row], problems: list[Problem]) -> None:
    """Complain of rows of one variant that tie, overlap or stand in the wrong order."""
    for at, row in enumerate(rows):
        for earlier in rows[:at]:
            if earlier.variant != row.variant or earlier.mark.file != row.mark.file:
                continue  # the rows of a pack on top are looked at first
            if earlier.span == row.span:
                problems.append(row.mark.problem(f"a tie: {row.text!r} has a row already, at line {earlier.mark.line}"))
            elif earlier.span.overlaps(row.span):
                place = f"{earlier.text!r} at line {earlier.mark.line}"
                problems.append(row.mark.problem(f"an overlap: {row.text!r} has versions in common with {place}"))
            elif row.span.low < earlier.span.low:
                problems.append(row.mark.problem(f"out of order: {row.text!r} comes before {earlier.text!r}"))


def _check_cover(rows: list[_Row], system: System, problems: list[Problem]) -> None:
    """Complain of known releases between the first row and the end that no row covers, and of idle rows."""
    keys: list[tuple[str, Key]] = []
    for release in system.releases:
        key = key_of(release, system.scheme, system.releases)
        keys.append((release, key if key is not None else ()))
    for row in rows:
        if row.span.low and not any(row.span.holds(key) for _, key in keys):
            problems.append(row.mark.problem(f"no known release lies in {row.text!r}: correct it or add to 'releases'"))
    if not rows:
        return
    first = min(row.span.low for row in rows)
    for release, key in keys:
        if key >= first and not any(row.span.holds(key) for row in rows):
            after = next((row for row in rows if row.span.low > key), rows[-1])
            what = f"a gap: no row covers {release}, which lies before this one"
            if after.span.low < key:
                what = f"a gap: no row covers {release}, which comes after the last one"
            problems.append(after.mark.problem(what, "add a row, with the verdict unlisted where nothing is known"))
