"""What a command writes for importers besides its document: inspection XML, their own forms, a failure record."""

from __future__ import annotations

import argparse
import contextlib
from collections.abc import Callable

from guestfix.base.errors import GuestfixError, UsageError
from guestfix.base.events import Event
from guestfix.base.facts import Fact, Finding
from guestfix.base.guest import GuestFS
from guestfix.base.nearest import did_you_mean
from guestfix.base.text import to_json
from guestfix.commands.parser import group
from guestfix.pack.model import Pack

IMPORTERS = ("forklift", "coriolis", "leapp")


def add_written(parser: argparse.ArgumentParser) -> None:
    """Add what is written for importers."""
    files = group(parser, "for importers", "What is written is the guest as it was found.")
    files.add_argument("-O", dest="inspection", metavar="FILE", help="write the XML of virt-v2v-inspector(1)")
    files.add_argument(
        "--write",
        metavar="IMPORTER=FILE",
        action="append",
        default=[],
        help=f"write what an importer reads: {', '.join(IMPORTERS)} (repeatable)",
    )


def check_written(args: argparse.Namespace) -> None:
    """Raise UsageError, before any work, for an importer that there is not, or no file."""
    if "-" in (args.inspection, *(text.partition("=")[2] for text in args.write)):
        what = "standard output has the command's own document, so nothing else is written there"
        raise UsageError(what, remedy="name a file, such as -O inspection.xml")
    for text in args.write:
        name, equals, file = text.partition("=")
        if name not in IMPORTERS or not file:
            remedy = did_you_mean(name, IMPORTERS) if equals else f"--write {name}=FILE"
            raise UsageError(f"--write takes IMPORTER=FILE, not {text!r}", remedy=remedy)


def write_for_importers(
    args: argparse.Namespace,
    guest: GuestFS,
    pack: Pack,
    facts: list[Fact],
    findings: list[Finding],
    digest: Callable[[], str],
) -> None:
    """Write every file that the arguments name. Raises GuestfixError where one can't be written.

    ``digest`` tells what the files are of: it is asked only where one is written.
    """
    if not args.inspection and not args.write:
        return
    from guestfix.report.importers import FORMS, Seen, inspection_xml

    ident = next((str(one.value) for one in facts if one.name == "os.id"), "")
    seen = Seen(facts, findings, guest.disks(), pack.tables.get("osinfo", {}).get(ident, {}))
    if args.inspection:
        _write(args.inspection, inspection_xml(seen))
    for text in args.write:
        name, _, file = text.partition("=")
        _write(file, (to_json(FORMS[name](seen, digest(), _host(guest))) + "\n").encode())


def _host(guest: GuestFS) -> str:
    with contextlib.suppress(GuestfixError):
        return guest.read("/etc/hostname", 4096).decode("utf-8", "replace").split("\n")[0].strip() or guest.uri
    return guest.uri


def _write(file: str, data: bytes) -> None:
    try:
        with open(file, "wb") as stream:
            stream.write(data)
    except OSError as error:
        raise GuestfixError(f"can't be written: {error.strerror}", where=file) from error


class FailureRecord:
    """A sink of events that writes why a run failed, as Forklift reads it; of one that did not, an empty file."""

    def __init__(self, file: str) -> None:
        self._file = file
        self._first: Event | None = None
        self._last: Event | None = None

    def __call__(self, event: Event) -> None:
        """Note an error; write the record when the run is at its end."""
        if event.type == "error":
            self._first = self._first or event
            self._last = event
        elif event.type == "result":
            self._end(event)

    def _end(self, event: Event) -> None:
        from guestfix.report.importers import failure_record

        told = dict(event.result or {})
        failed = told.get("status") not in (0, 1)
        why = self._last if told.get("status") != 2 else self._first
        data = b""
        if failed:
            data = failure_record(*((why.code or "GF-RUN-FAILED", why.message, why.remedy) if why else _UNSAID))
        with contextlib.suppress(GuestfixError):
            _write(self._file, data)


_UNSAID = ("GF-RUN-FAILED", "the run ended early", "")


def record_of(words: list[str]) -> str:
    """Return the file of ``--failure-record`` on words that may be no command line; empty where there is none."""
    for index, word in enumerate(words):
        if word.startswith("--failure-record="):
            return word.partition("=")[2]
        if word == "--failure-record":
            return words[index + 1] if index + 1 < len(words) else ""
    return ""
