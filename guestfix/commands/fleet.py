"""``guestfix fleet``: many guests in one run, and what came of them."""

from __future__ import annotations

import argparse
from collections.abc import Sequence

from guestfix.base.errors import UsageError
from guestfix.base.nearest import did_you_mean
from guestfix.base.record import asdict
from guestfix.commands.channels import add_events
from guestfix.commands.choices import chosen_by, options_of
from guestfix.commands.common import (
    add_choices,
    add_config,
    add_format,
    add_packs,
    add_signature,
    events_of,
    pack_from,
    write,
    write_json,
)
from guestfix.commands.config import refuse_inside
from guestfix.commands.names import EXIT_BLOCKED, EXIT_DONE
from guestfix.commands.parser import Verbs, add_verb
from guestfix.commands.render import write_document
from guestfix.commands.terminal import add_view
from guestfix.fleet.job import ACTIONS, BAD, OUTCOMES, Guest, unpacked
from guestfix.fleet.store import Row, Run, Store
from guestfix.plan.model import SCHEMA
from guestfix.report.forms import FORMS

RESULTS = "guestfix-fleet.db"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the command's arguments."""
    verbs = parser.add_subparsers(dest="verb", required=True, metavar="run|list|show|diff|rollup|export")
    _add_run(add_verb(verbs, "run", "report on, apply to, revert or start every guest"))
    _add_results(verbs)
    for verb in verbs.choices.values():
        verb.add_argument("--results", metavar="FILE", default=RESULTS, help="the database")


def _add_run(one: argparse.ArgumentParser) -> None:
    one.add_argument(
        "places",
        metavar="PLACE",
        nargs="+",
        help="an inventory (.yaml, .csv), a libvirt .xml, a Proxmox .conf, disk images, addresses, folders of them",
    )
    one.add_argument("--do", choices=ACTIONS, default="report", help="what to do with each guest")
    one.add_argument("--target", metavar="TARGET", default="", help="for guests whose inventory names none")
    one.add_argument("--tag", metavar="TAG", action="append", default=[], help="just guests with this tag (repeatable)")
    one.add_argument("--limit", type=int, metavar="N", help="just the first N of them")
    one.add_argument(
        "--waves",
        metavar="TAG,TAG",
        default="",
        help="guests with the first tag, then those with the next, the rest last",
    )
    one.add_argument("--halt", action="store_true", help="begin no later wave where a guest is blocked or failed")
    one.add_argument("--workers", type=int, default=0, metavar="N", help="guests at once (default: one a processor)")
    one.add_argument("--scheduler", metavar="URL", default="", help="a Dask scheduler, such as tcp://HOST:8786")
    one.add_argument("--timeout", type=float, default=600, metavar="S", help="seconds for one guest")
    one.add_argument("--retries", type=int, default=1, metavar="N", help="tries more where a worker died")
    one.add_argument("--fresh", action="store_true", help="do again what an earlier run found, unchanged or not")
    one.add_argument("--in-place", action="store_true", help="apply, revert: write into the disk images themselves")
    add_packs(one)
    add_signature(one)
    add_choices(one, one=False)
    add_config(one)
    add_events(one)


def _add_results(verbs: Verbs[argparse.ArgumentParser]) -> None:
    for name, help_text in (
        ("list", "the runs, or a run's guests"),
        ("show", "one guest's document"),
        ("diff", "what a run says otherwise than another"),
        ("rollup", "the sums of a run"),
        ("export", "a run's tables as files"),
    ):
        verb = add_verb(verbs, name, help_text)
        if name == "show":
            verb.add_argument("guest", metavar="GUEST", help="its name in the inventory")
        if name == "diff":
            verb.add_argument("old", type=int, metavar="OLD", help="the number of a run: fleet list --runs")
            verb.add_argument("new", type=int, metavar="NEW", help="the number of a later one")
            verb.add_argument("--changes", action="store_true", help="also the files that the plans change otherwise")
        else:
            verb.add_argument("--run", type=int, default=0, metavar="N", help="the run (default: the newest)")
        if name == "list":
            verb.add_argument("--runs", action="store_true", help="the runs themselves")
            verb.add_argument("--outcome", choices=OUTCOMES, default="", help="just guests with this outcome")
            verb.add_argument("--code", default="", metavar="CODE", help="just guests with this finding")
            verb.add_argument("--tag", default="", metavar="TAG", help="just guests with this tag")
            verb.add_argument(
                "--stops-at", default="", metavar="STEP", help="just guests that stop there with their plan"
            )
        if name == "rollup":
            verb.add_argument("--format", choices=("text", "json", "html"), default="text", help="html: one page")
            verb.add_argument("--pages", metavar="DIR", help="make a folder: that page, all guests' lists and reports")
        elif name == "export":
            verb.add_argument("folder", metavar="DIR", help="the folder to be made")
            verb.add_argument("--format", choices=("csv", "parquet"), default="csv", help="how the tables are written")
        elif name == "show":
            verb.add_argument(
                "--format",
                choices=("json", "text", *FORMS),
                default="json",
                help="json: the document; else the report of the plan, or what a start showed",
            )
            add_view(verb)
        else:
            add_format(verb)


def run(args: argparse.Namespace) -> int:
    """Do what the verb says."""
    if args.verb == "list":
        _check_names(args)
    verbs = {"run": _run, "list": _list, "show": _show, "diff": _diff, "rollup": _rollup, "export": _export}
    return verbs[args.verb](args)


def _run(args: argparse.Namespace) -> int:
    """Return 2 where a guest is blocked or could not be judged, else 0."""
    from guestfix.base.record import replace
    from guestfix.commands.signals import catch
    from guestfix.fleet import inventory
    from guestfix.fleet.rollup import roll_up, text_of
    from guestfix.fleet.run import Progress, Setting
    from guestfix.fleet.run import run as run_all
    from guestfix.plan.planner import check_options

    options = options_of(args, chosen_by(args))
    pack = pack_from(args)
    check_options(pack, options)
    known = inventory.Known(tuple(pack.targets), {name: tuple(one.values) for name, one in pack.policies.items()})
    if args.target and args.target not in pack.targets:
        raise UsageError(f"there is no target {args.target!r}", remedy=did_you_mean(args.target, pack.targets))
    guests = [one if one.target else replace(one, target=args.target) for one in inventory.read(args.places, known)]
    if args.config is None:
        refuse_inside(args.site, [disk for one in guests for disk in one.disks])
    guests = _some(guests, args)
    lacking = next((one for one in guests if not one.target and args.do != "revert"), None)
    if lacking is not None:
        what = f"the guest {lacking.name} has no target"
        raise UsageError(what, where=lacking.where, remedy="--target ID, or in the inventory")
    tell = events_of(args)
    tell.expect("fleet")

    def told(at: Progress) -> None:
        tell("fleet", at.done, at.total)
        if at.outcome in ("blocked", "failed"):
            tell.say("warning", f"{at.name}: {at.outcome}")

    catch()
    setting = Setting(
        args.do,
        tuple(args.pack),
        pack.digest,
        args.workers,
        args.scheduler,
        args.timeout,
        args.retries,
        args.fresh,
        args.in_place,
        options,
        tuple(tag for tag in args.waves.split(",") if tag),
        args.halt,
    )
    store = Store(args.results, write=True)
    try:
        number = run_all(guests, setting, store, args.places, told)
        roll = roll_up(store, number)
    finally:
        store.close()
    tell.outcome.update(run=number, outcomes=dict(roll.outcomes))
    write(text_of(roll))
    bad = [f"{roll.outcomes[name]} {name}" for name in BAD if roll.outcomes.get(name)]
    tell.last = f"done, but for some of {roll.guests} guests: {', '.join(bad)}" if bad else ""
    return EXIT_BLOCKED if bad else EXIT_DONE


def _some(guests: Sequence[Guest], args: argparse.Namespace) -> list[Guest]:
    """Return the guests that have the tags, as many as are asked for. Raises UsageError where none is left."""
    if args.limit is not None and args.limit < 1:
        raise UsageError(f"--limit {args.limit}: no guest would be left", remedy="a number from 1 on, or none for all")
    found = [one for one in guests if set(args.tag) <= set(one.tags)][: args.limit]
    if not found:
        raise UsageError("no guest has all of these tags", remedy="see the tags in the inventory")
    return found


def _check_names(args: argparse.Namespace) -> None:
    """Raise UsageError for a code or step that there is not."""
    from guestfix.base.catalog.findings import FINDINGS, RENAMED, STAGES

    if args.code and args.code not in (*FINDINGS, *RENAMED):
        raise UsageError(f"no finding has the code {args.code!r}", remedy=did_you_mean(args.code, FINDINGS))
    if args.stops_at and args.stops_at not in STAGES:
        raise UsageError(f"no step of a boot is named {args.stops_at!r}", remedy=did_you_mean(args.stops_at, STAGES))


def _list(args: argparse.Namespace) -> int:
    store = Store(args.results)
    try:
        if args.runs:
            runs = store.runs()
            if args.format == "json":
                write_json({"schema": SCHEMA, "runs": [asdict(one) for one in runs]})
            else:
                write("".join(_run_line(one) for one in runs))
            return 0
        run = store.run(args.run)
        rows = store.rows(run.id, outcome=args.outcome, code=args.code, tag=args.tag, step=args.stops_at)
    finally:
        store.close()
    if args.format == "json":
        write_json({"schema": SCHEMA, "run": run.id, "guests": [asdict(one) for one in rows]})
    else:
        write("".join(_line(one) for one in rows))
    return 0


def _run_line(one: Run) -> str:
    return f"{one.id:>4}  {_time(one.started)}  {one.action:<7} {one.guests} guests, {_ended(one.ended)}\n"


def _time(seconds: float) -> str:
    import datetime

    return datetime.datetime.fromtimestamp(seconds).astimezone().isoformat(" ", "seconds")


def _ended(seconds: float) -> str:
    return f"ended {_time(seconds)}" if seconds else "did not come to its end"


def _line(one: Row) -> str:
    why = f"{one.error_code} {one.error}" if one.error_code else ""
    why = why or (f"stops at {one.stops_after}" if one.stops_after else "")
    return f"{one.outcome:<10} {one.name:<24} {one.system or 'not told'}{f' ({why})' if why else ''}\n"


def _show(args: argparse.Namespace) -> int:
    store = Store(args.results)
    try:
        run = store.run(args.run)
        document = unpacked(store.document(run.id, args.guest))
        found = store.rows(run.id)
    finally:
        store.close()
    if args.format != "json":
        write_document(document.encode("utf-8", "surrogateescape"), f"the document of {args.guest}", args)
    elif document:
        write(document)
    else:
        one = next(row for row in found if row.name == args.guest)
        why = {"code": one.error_code, "message": one.error}
        write_json({"schema": SCHEMA, "guest": one.name, "outcome": one.outcome, "error": why})
    return 0


def _export(args: argparse.Namespace) -> int:
    from guestfix.fleet.export import export

    store = Store(args.results)
    try:
        made = export(store, store.run(args.run).id, args.folder, args.format)
    finally:
        store.close()
    write("".join(f"{place}\n" for place in made))
    return 0


def _diff(args: argparse.Namespace) -> int:
    """Return 1 where the runs differ, else 0."""
    from guestfix.fleet.rollup import differences

    store = Store(args.results)
    try:
        found = differences(store, store.run(args.old).id, store.run(args.new).id, changes=args.changes)
    finally:
        store.close()
    if args.format == "json":
        write_json({"schema": SCHEMA, "old": args.old, "new": args.new, "guests": [asdict(one) for one in found]})
    for one in found if args.format == "text" else ():
        codes = [*(f"-{code}" for code in one.gone), *(f"+{code}" for code in one.new)]
        states = f"{one.before or 'not there'} -> {one.after or 'not there'}"
        write(f"{one.name}: {states}  {' '.join([*codes, *one.changes])}".rstrip() + "\n")
    if not found and args.format == "text":
        write("no guest differs\n")
    return 1 if found else 0


def _rollup(args: argparse.Namespace) -> int:
    from guestfix.fleet.rollup import roll_up, text_of

    store = Store(args.results)
    try:
        roll = roll_up(store, store.run(args.run).id)
        rows = store.rows(roll.run) if args.format == "html" else []
        if args.pages:
            from guestfix.fleet.pages import write_pages

            count = write_pages(store, roll.run, args.pages)
    finally:
        store.close()
    if args.pages:
        write(f"{args.pages}/index.html, and {count} pages of guests beside it\n")
    elif args.format == "html":
        from guestfix.fleet.page import ranked, render

        write(render(roll, ranked(rows)))
    elif args.format == "json":
        write_json({"schema": SCHEMA, **asdict(roll)})
    else:
        write(text_of(roll))
    return 0
