"""Whether what a plan shows is what it does: every diff is made again from the contents of the guest and the plan.

A plan from a file was reviewed by its diffs, and is applied by its splices. Texts are compared again line by line,
hives key by key, initramfs images file by file; of other binary content the sizes count, and what it is a copy of.
"""

from __future__ import annotations

from collections.abc import Mapping

from guestfix.base.digest import state_of
from guestfix.base.errors import GuestError, PlanError
from guestfix.base.guest import GuestFS
from guestfix.base.overlay import BIG
from guestfix.base.patterns import regex
from guestfix.base.secrets import masked_lines
from guestfix.base.spliced import open_spliced
from guestfix.base.text import one_line
from guestfix.pack.model import Pack
from guestfix.plan.changes import WHOLE, unified
from guestfix.plan.model import Change, Plan, new_chunks

_COPY = regex(r"copy of (/[^\n]{1,4096})[,:] ([0-9]{1,20}) bytes\n")
_FILE = regex(r"driver file: ([0-9]{1,20}) bytes\n")
_ADDED = regex(r"\+ ([^\n]+) \(([0-9]{1,20}) bytes\)")
_HIVE = b"regf"
_DRIVER = (".inf", ".cat")
"""Files of a driver package that may be text, and that are as little shown as the driver itself."""


def check_plan(guest: GuestFS, plan: Plan, pack: Pack) -> None:
    """Raise PlanError where a plan was not made by this guestfix with this pack, or shows what it does not do.

    A plan that was applied already shows what is no more; it is not looked at, since it changes nothing.
    """
    _known(plan, pack)
    after = {change.path: change.after for change in plan.changes}
    if all(state_of(guest, path) == state for path, state in after.items()):
        return
    for change in plan.changes:
        if state_of(guest, change.path) == change.before and not _shows(guest, change, after):
            raise PlanError("the plan shows another change than it makes", where=change.path, code="GF-PLAN-DIFF")


def _known(plan: Plan, pack: Pack) -> None:
    from guestfix import __version__

    wanted = (
        ("guestfix", __version__, "guestfix"),
        ("pack", pack.version, "the rule pack"),
        ("pack_digest", pack.digest, "the rule pack's files:"),
    )
    for name, ours, called in wanted:
        if plan.versions.get(name) != ours:
            what = f"the plan was made with {called} {plan.versions.get(name)}, and here is {ours}"
            raise PlanError(what, code="GF-PLAN-UNKNOWN")
    rules = {rule.id for rule in pack.rules}
    named = (*(rule for change in plan.changes for rule in change.rules), *(one.rule for one in plan.decisions))
    for rule in named:
        if rule not in rules:
            raise PlanError(f"the plan names a rule that there is not: {one_line(rule)}", code="GF-PLAN-UNKNOWN")
    if plan.target not in pack.targets:
        raise PlanError(f"the plan is for a target that there is not: {one_line(plan.target)}", code="GF-PLAN-UNKNOWN")


def _shows(guest: GuestFS, change: Change, after: Mapping[str, str | None]) -> bool:
    """Tell whether a change's diff is what its contents make."""
    if change.kind == "link":
        return change.diff == f"--- {one_line(change.before or 'nothing')}\n+++ link to {one_line(change.target)}\n"
    if change.kind == "delete":
        return change.diff == _moved_aside(guest, change)
    found = guest.stat(change.path)
    old_size = found.size if found is not None and change.before is not None else 0
    grown = sum(len(one.data) - one.length for one in change.splices)
    if any(one.offset + one.length > old_size for one in change.splices) or old_size + grown != change.size:
        return True  # apply says what is wrong with it before it writes
    if max(old_size, change.size) > BIG:
        return _shows_image(guest, change) or change.diff == _sizes(old_size, change.size)
    old = guest.read(change.path, BIG) if change.before is not None else b""
    new = b"".join(new_chunks(guest, change))
    if change.diff == unified(change.path, old, new, existed=change.before is not None):
        return True
    if old.startswith(_HIVE) and new.startswith(_HIVE):
        return _shows_keys(guest, change, new)
    if _is_copy(guest, change, after):
        return True
    if b"\0" not in new[:8192] and len(new) <= WHOLE and not change.path.lower().endswith(_DRIVER):
        return False  # a text is shown line by line
    return change.diff == _sizes(len(old), len(new)) or _is_driver(change) or _shows_image(guest, change)


def _sizes(old: int, new: int) -> str:
    return f"binary file: {old} bytes, {new} after\n"


def _moved_aside(guest: GuestFS, change: Change) -> str:
    """Return what is shown of a path that is moved aside."""
    if (change.before or "").startswith("link:"):
        return f"--- link to {one_line((change.before or '').removeprefix('link:'))}\n+++ nothing\n"
    found = guest.stat(change.path)
    if found is not None and found.size > WHOLE:
        return f"binary file of {found.size} bytes, moved aside\n"
    try:
        old = guest.read(change.path, WHOLE)
    except GuestError:
        old = b""
    return unified(change.path, old, b"", remains=False)


def _is_driver(change: Change) -> bool:
    """Tell whether a file of a driver package is shown by its size."""
    match = _FILE.fullmatch(change.diff)
    return match is not None and int(match[1]) == change.size


def _is_copy(guest: GuestFS, change: Change, after: Mapping[str, str | None]) -> bool:
    """Tell whether a file is shown as a copy of another, and is one."""
    match = _COPY.fullmatch(change.diff)
    if match is None or int(match[2]) != change.size:
        return False
    return change.after in (after.get(match[1]), state_of(guest, guest.realpath(match[1])))


def _shows_keys(guest: GuestFS, change: Change, new: bytes) -> bool:
    """Tell whether each line of what differs between two hives stands in the diff.

    It may have more: where several rules changed a value, each told its own step.
    """
    from guestfix.formats.windows.regf.diff import diff
    from guestfix.formats.windows.regf.guestfile import open_guest_hive
    from guestfix.formats.windows.regf.hive import Hive
    from guestfix.formats.windows.regf.store import BadHive

    try:
        lines = diff(open_guest_hive(guest, change.path), Hive.open(new))
    except BadHive:
        return False
    told = {_folded(line) for line in change.diff.split("\n")}
    shown = masked_lines(change.path, [one_line(line[1:]) for line in lines])
    return all(_folded(line[:1] + rest) in told for line, rest in zip(lines, shown, strict=True))


def _folded(line: str) -> str:
    """Return a line of a hive's diff; the names of keys are the same in any case of their letters."""
    return line.casefold() if line[1:2] == "[" else line


def _shows_image(guest: GuestFS, change: Change) -> bool:
    """Tell whether an initramfs image gets the files that are shown and no others, and keeps those that it has."""
    from guestfix.formats.initramfs.image import scan

    lines = (_ADDED.fullmatch(line) for line in change.diff.split("\n"))
    told = {match[1]: match[2] for match in lines if match}
    if not told or change.before is None:
        return False
    with guest.open(change.path) as stream:
        old = scan(stream, lambda name: True)
    with guest.open(change.path) as stream:
        new = scan(open_spliced(stream, change.splices), lambda name: True)
    if new.problem is not None or old.problem is not None or not old.entries.keys() <= new.entries.keys():
        return False
    changed = {
        name: str(entry.size)
        for name, entry in new.entries.items()
        if not entry.is_dir and (name not in old.entries or old.files.get(name) != new.files.get(name))
    }
    return changed.items() <= told.items()
