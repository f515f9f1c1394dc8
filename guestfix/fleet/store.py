"""What came of fleet runs, in one SQLite file: runs, guests, findings, every document. One process writes at a time."""

from __future__ import annotations

import fcntl
import json
import os
import sqlite3
import time
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager

from guestfix.base.errors import GuestfixError, UsageError
from guestfix.base.record import asdict, frozen, names_of
from guestfix.fleet.job import BAD, Guest, Result

VERSION = 1
"""PRAGMA user_version of the schema below; a file of a lower one is brought up to it when it is opened."""

SCHEMA = (
    """
    CREATE TABLE runs (id INTEGER PRIMARY KEY, started REAL NOT NULL, ended REAL, action TEXT NOT NULL,
        pack TEXT NOT NULL, version TEXT NOT NULL, guests INTEGER NOT NULL, places TEXT NOT NULL);
    CREATE TABLE guests (run INTEGER NOT NULL REFERENCES runs, name TEXT NOT NULL, outcome TEXT NOT NULL,
        key TEXT NOT NULL, action TEXT NOT NULL, system TEXT NOT NULL, target TEXT NOT NULL,
        walk_before TEXT NOT NULL, walk_after TEXT NOT NULL, stops_before TEXT NOT NULL, stops_after TEXT NOT NULL,
        error_code TEXT NOT NULL, error TEXT NOT NULL, seconds REAL NOT NULL, cpu REAL NOT NULL, tags TEXT NOT NULL,
        place TEXT NOT NULL, kept INTEGER, document BLOB NOT NULL, PRIMARY KEY (run, name));
    CREATE TABLE findings (run INTEGER NOT NULL, guest TEXT NOT NULL, code TEXT NOT NULL, severity TEXT NOT NULL,
        rule TEXT NOT NULL, summary TEXT NOT NULL);
    CREATE INDEX by_code ON findings (run, code);
    CREATE INDEX by_guest ON findings (run, guest);
    """,
)
"""For each version what makes it of the one before. ``kept``: the run whose result still holds; ``document``: zlib."""

TABLES = {"runs": "id", "guests": "run", "findings": "run"}
"""Each table, and its column that has the run's number."""


@frozen
class Run:
    """One run: times are seconds since 1970; ``ended`` is 0 for one that was cut off or goes on."""

    id: int
    started: float
    ended: float
    action: str
    pack: str
    version: str
    guests: int
    places: tuple[str, ...]


@frozen
class Row:
    """A guest of a run as it is listed."""

    name: str
    outcome: str
    system: str
    target: str
    before: str
    after: str
    stops_before: str
    stops_after: str
    error_code: str
    error: str
    seconds: float
    tags: tuple[str, ...]
    kept: int


class Store:
    """The database at a path. Raises GuestfixError where it can't be opened, written, or is of a newer guestfix."""

    def __init__(self, path: str, *, write: bool = False) -> None:
        self.path = path
        if not write and not os.path.exists(path):
            raise UsageError("there are no results", where=path, remedy="guestfix fleet run makes them; --results FILE")
        self._lock = self._locked() if write else None
        try:
            self.db = sqlite3.connect(path, isolation_level=None, timeout=30)
        except sqlite3.Error as error:
            self._unlock()
            raise self._failed(error) from error
        try:
            self.db.execute("PRAGMA foreign_keys=ON")
            self._migrate(write)
            if write:
                self.db.execute("PRAGMA journal_mode=WAL")
                self.db.execute("PRAGMA synchronous=NORMAL")  # a machine that dies may lose the last ones, never tear
        except sqlite3.Error as error:
            self.close()
            raise self._failed(error) from error
        except GuestfixError:
            self.close()
            raise

    def _locked(self) -> int:
        """Hold the writer's lock, on the file beside: SQLite's own locks last for one transaction only."""
        try:
            descriptor = os.open(f"{self.path}.lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        except OSError as error:
            raise GuestfixError(f"the results can't be written: {error.strerror}", where=self.path) from error
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            os.close(descriptor)
            what = "another fleet run writes to these results"
            raise GuestfixError(what, where=self.path, remedy="wait for it, or take another file: --results") from None
        return descriptor

    def _failed(self, error: sqlite3.Error) -> GuestfixError:
        full = getattr(error, "sqlite_errorcode", 0) == sqlite3.SQLITE_FULL
        remedy = "make room there; what was done so far is kept" if full else "take another file: --results FILE"
        return GuestfixError(f"the results can't be used: {error}", where=self.path, remedy=remedy)

    def _migrate(self, write: bool) -> None:
        (have,) = self.db.execute("PRAGMA user_version").fetchone()
        others = have == 0 and self.db.execute("SELECT count(*) FROM sqlite_master").fetchone() != (0,)
        if have > VERSION or others or (have == 0 and not write):
            what = "the results are of a newer guestfix" if have else "this file holds no results"
            raise GuestfixError(what, where=self.path, remedy="take another file: --results FILE")
        if not write and have < VERSION:
            raise GuestfixError("the results are of an older guestfix", where=self.path, remedy="a new run renews them")
        for number in range(have, VERSION):
            self.db.executescript(f"BEGIN; {SCHEMA[number]}; PRAGMA user_version={number + 1}; COMMIT;")

    def close(self) -> None:
        """Close the file and let go of the lock."""
        self.db.close()
        self._unlock()

    def _unlock(self) -> None:
        if self._lock is not None:
            os.close(self._lock)
            self._lock = None

    # writing

    def begin(self, action: str, pack: str, version: str, guests: int, places: Sequence[str]) -> int:
        """Note a new run and return its number."""
        row = (time.time(), action, pack, version, guests, json.dumps(list(places)))
        made = self._do("INSERT INTO runs (started, action, pack, version, guests, places) VALUES (?,?,?,?,?,?)", row)
        return int(made.lastrowid or 0)

    def end(self, run: int) -> None:
        """Note that a run came to its end."""
        self._do("UPDATE runs SET ended=? WHERE id=?", (time.time(), run))

    def put(self, run: int, guest: Guest, result: Result) -> None:
        """Keep one guest's result, with all of its findings or none."""
        values = asdict(result)
        own = [values[name] for name in values if name not in ("findings", "document")]
        row = [run, *own, json.dumps(guest.tags), guest.where, None, result.document]
        with self._whole():
            self.db.execute(f"INSERT OR REPLACE INTO guests VALUES ({','.join('?' * len(row))})", _texts(row))
            self.db.execute("DELETE FROM findings WHERE run=? AND guest=?", (run, guest.name))
            rows = [_texts((run, guest.name, *one)) for one in result.findings]
            self.db.executemany("INSERT INTO findings VALUES (?,?,?,?,?,?)", rows)

    def keep(self, run: int, guest: Guest, key: str) -> bool:
        """Take over the newest result with this key, where there is one that was judged; tell whether."""
        found = self.db.execute(
            "SELECT run, kept FROM guests WHERE name=? AND key=? AND outcome<>'failed' AND run<>? ORDER BY run DESC",
            (guest.name, key, run),
        ).fetchone()
        if found is None:
            return False
        old, kept = found
        names = [name for _, name, *_ in self.db.execute("PRAGMA table_info(guests)")]
        fixed = {"run": "?", "kept": "?", "tags": "?", "place": "?"}
        shown = ",".join(fixed.get(name, name) for name in names)
        given = {"run": run, "kept": kept or old, "tags": json.dumps(guest.tags), "place": guest.where}
        values = [given[name] for name in names if name in given]
        with self._whole():
            self.db.execute(
                f"INSERT OR REPLACE INTO guests SELECT {shown} FROM guests WHERE run=? AND name=?",
                (*values, old, guest.name),
            )
            self.db.execute(
                "INSERT INTO findings SELECT ?, guest, code, severity, rule, summary FROM findings "
                "WHERE run=? AND guest=?",
                (run, old, guest.name),
            )
        return True

    @contextmanager
    def _whole(self) -> Iterator[None]:
        """Write all that is done inside, or nothing. GuestfixError where it can't be written."""
        try:
            with self.db:
                self.db.execute("BEGIN IMMEDIATE")
                yield
        except sqlite3.Error as error:
            raise self._failed(error) from error

    def _do(self, sql: str, row: Sequence[object]) -> sqlite3.Cursor:
        try:
            return self.db.execute(sql, row)
        except sqlite3.Error as error:
            raise self._failed(error) from error

    # reading

    def runs(self) -> list[Run]:
        """Return all runs, the newest first."""
        rows = self.db.execute(
            "SELECT id, started, coalesce(ended, 0), action, pack, version, guests, places FROM runs ORDER BY id DESC"
        )
        return [
            Run(**{**dict(zip(names_of(Run), row, strict=True)), "places": tuple(json.loads(row[-1]))}) for row in rows
        ]

    def run(self, number: int = 0) -> Run:
        """Return a run by its number, the newest one for 0. Raises UsageError."""
        found = next((one for one in self.runs() if number in (0, one.id)), None)
        if found is None:
            raise UsageError(f"there is no run {number}" if number else "there is no run yet", where=self.path)
        return found

    def rows(self, run: int, *, outcome: str = "", code: str = "", tag: str = "", step: str = "") -> list[Row]:
        """Return the guests of a run by name: all, or those with an outcome, finding or tag, or that stop at a step."""
        sql = (
            "SELECT name, outcome, system, target, walk_before, walk_after, stops_before, stops_after, error_code, "
            "error, seconds, tags, coalesce(kept, 0) FROM guests WHERE run=? AND (?='' OR outcome=?) "
            "AND (?='' OR stops_after=?) "
            "AND (?='' OR name IN (SELECT guest FROM findings WHERE run=? AND code=?)) ORDER BY name"
        )
        rows = self.db.execute(sql, (run, outcome, outcome, step, step, code, run, code))
        found = [
            Row(**{**dict(zip(names_of(Row), row, strict=True)), "tags": tuple(json.loads(row[-2]))}) for row in rows
        ]
        return [one for one in found if not tag or tag in one.tags]

    def names(self, run: int) -> set[str]:
        """Return the names of the guests that a run has results of."""
        return {name for (name,) in self.db.execute("SELECT name FROM guests WHERE run=?", (run,))}

    def bad(self, run: int) -> list[str]:
        """Return the names of a run's guests that are blocked or failed."""
        marks = ",".join("?" * len(BAD))
        return [name for (name,) in self.db.execute(
            f"SELECT name FROM guests WHERE run=? AND outcome IN ({marks})", (run, *BAD))]  # fmt: skip

    def document(self, run: int, name: str) -> bytes:
        """Return a guest's document, packed; UsageError where the run has no such guest."""
        found = self.db.execute("SELECT document FROM guests WHERE run=? AND name=?", (run, name)).fetchone()
        if found is None:
            from guestfix.base.nearest import did_you_mean

            raise UsageError(f"run {run} has no guest {name!r}", remedy=did_you_mean(name, self.names(run)))
        return bytes(found[0])

    def table(self, name: str, run: int) -> tuple[list[str], list[tuple[object, ...]]]:
        """Return the columns of one of :data:`TABLES` but for documents, and its rows of a run."""
        columns = [column for _, column, *_ in self.db.execute(f"PRAGMA table_info({name})") if column != "document"]
        rows = self.db.execute(f"SELECT {', '.join(columns)} FROM {name} WHERE {TABLES[name]}=?", (run,))
        return columns, rows.fetchall()

    def trend(self, run: int, most: int) -> list[tuple[int, float, dict[str, int]]]:
        """Return number, begin and guests by outcome of the last runs of a run's action, it last."""
        found: dict[int, tuple[float, dict[str, int]]] = {}
        rows = self.db.execute(
            "SELECT runs.id, started, outcome, count(*) FROM runs JOIN guests ON guests.run=runs.id WHERE runs.id IN "
            "(SELECT id FROM runs WHERE id<=? AND action=(SELECT action FROM runs WHERE id=?) "
            "ORDER BY id DESC LIMIT ?) GROUP BY runs.id, outcome ORDER BY runs.id",
            (run, run, most),
        )
        for number, started, outcome, count in rows:
            found.setdefault(number, (started, {}))[1][outcome] = count
        return [(number, started, counts) for number, (started, counts) in found.items()]

    def findings(self, run: int, name: str = "") -> Iterator[tuple[str, str, str, str, str]]:
        """Yield guest, code, severity, rule and summary of a run's findings, of one guest or all."""
        sql = "SELECT guest, code, severity, rule, summary FROM findings WHERE run=? AND (?='' OR guest=?)"
        yield from self.db.execute(sql, (run, name, name))


def _texts(row: Iterable[object]) -> list[object]:
    """Return a row that SQLite takes: texts without lone surrogates, which a guest may have put into a name."""
    return [one.encode("utf-8", "backslashreplace").decode() if isinstance(one, str) else one for one in row]
