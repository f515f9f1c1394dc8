"""The steps of a rule: which of them run, and each done on the overlay."""

from __future__ import annotations

from collections.abc import Mapping

from guestfix.actions import find_action
from guestfix.actions.workbench import Workbench
from guestfix.base.edit import Content, Edit
from guestfix.base.overlay import Overlay
from guestfix.editors import ABOUT_NAMES, find_op, read_limit
from guestfix.pack.bind import bind
from guestfix.pack.model import Rule, Step


def run_step(rule: Rule, step: Step, bench: Workbench) -> None:
    """Do one step, within the globs that it names. Raises EditError, GuestError or MissingFact."""
    args = bind(step.args, bench.facts)
    before = bench.fs.snapshot() if step.follow_up else {}
    with bench.fs.acting(rule.id, step.globs):
        if step.action:
            find_action(step.action)(bench, **args)
        else:
            for path in paths_of(step, bench.fs):
                _edit(step.op, path, args, bench)
    if step.follow_up and bench.fs.touched_since(before):
        bench.follow_up(str(bind({"text": ("text", step.follow_up)}, bench.facts)["text"]))


def paths_of(step: Step, fs: Overlay) -> list[str]:
    """Return what the step's globs match; a plain path counts whether or not it exists. Each file once.

    A pattern is about files: a folder or a device (what a masked unit leads to) that it matches is none.
    """
    found: dict[str, str] = {}
    names = step.op in ABOUT_NAMES
    for pattern in step.globs:
        plain = not any(char in pattern for char in "*?[")
        for path in (pattern,) if plain else fs.glob(pattern):
            if plain or names or (stat := fs.stat(path)) is None or stat.kind == "file":
                found.setdefault(fs.entry(path) if names else fs.realpath(path), path)
    return list(found.values())


def _edit(name: str, path: str, args: Mapping[str, object], bench: Workbench) -> None:
    about_name = name in ABOUT_NAMES
    before = _read(name, path, bench.fs)
    result = find_op(name)(before if about_name or isinstance(before, bytes) else None, **args)
    edit = result if isinstance(result, Edit) else Edit(result)
    if edit.content is not before and edit.content != before:
        if about_name and edit.content is None:
            bench.fs.remove(path)
        else:
            bench.fs.put(path, edit.content, diff=edit.diff, mode=edit.mode)
    for note in edit.notes:
        bench.note(note, path)


def _read(name: str, path: str, fs: Overlay) -> Content:
    """Return what an operation is given: a link where it is about the name, a hive with what its logs hold."""
    if name in ABOUT_NAMES:
        return fs.link_or_bytes(path)
    content = fs.content(path, read_limit(name))
    if name.startswith("registry.") and isinstance(content, bytes):
        from guestfix.formats.windows.regf.guestfile import recovered

        return recovered(fs, path, content)
    return content
