"""Cases beside rules: ``cases/<name>/{case.yaml, in/, expect.txt}``, each run with six laws.

A case's guest (``in/``) is planned and compared with the golden report. Then: *idempotent*, a second plan
after apply has no change; *reversible*, revert restores the tree; *confined*, a rule changes only what
its globs name; *deterministic*, two plans are the same bytes; *silent*, planning wrote nothing; *shown*, each
diff is what its contents make. One more is for cases of a system: *judged*, the guest's verdict is that of a row of
this system. And *ran*: no rule failed but those that ``fails`` names.
"""

from __future__ import annotations

import os
import stat
import tempfile
from collections.abc import Iterable, Iterator, Mapping
from difflib import unified_diff
from fnmatch import fnmatchcase
from pathlib import Path

from guestfix.apply.apply import apply_plan
from guestfix.apply.undo import revert
from guestfix.backends.directory import DirectoryGuest
from guestfix.backends.disks.sidecar import read_disks_node
from guestfix.base.digest import CHUNK, digest_bytes
from guestfix.base.errors import EditError, GuestfixError, PackError, PlanError, Problem, UsageError
from guestfix.base.globs import glob, path_matches
from guestfix.base.guest import Disks
from guestfix.base.nearest import did_you_mean
from guestfix.base.record import field, frozen, mutable, replace
from guestfix.pack.model import CONFIDENCES, Pack
from guestfix.pack.schema import Reader, texts_of
from guestfix.pack.trees import Bounds, Tree
from guestfix.pack.yamlpos import parse
from guestfix.plan.model import Plan, dump_plan
from guestfix.plan.planner import Options, make_plan
from guestfix.plan.shown import check_plan
from guestfix.report.case import render_case

BOUNDS = Bounds("a case", file=64 * 1024 * 1024, total=256 * 1024 * 1024, entries=20_000, depth=64)
SEARCH = Bounds("the folder of cases", file=0, total=0, entries=100_000, depth=32)
MOST_CASES = 5000

CASE_KEYS = ("title", "target", "disks", "policy", "rules", "confidence", "payload", "fails")


@frozen
class Case:
    """One case folder. ``options.only`` is empty where the whole pack runs (a case of a system).

    ``payload`` is a folder or file below the case's own, ``fails`` the rules that can't do their work in this guest.
    """

    folder: Path
    title: str
    target: str | None
    disks: Disks | None
    options: Options
    payload: str = ""
    fails: tuple[str, ...] = ()

    @property
    def expect(self) -> Path:
        """The golden report."""
        return self.folder / "expect.txt"


@frozen
class Outcome:
    """What became of a case: its report, and every law that it broke, by name."""

    case: Case
    text: str
    failures: tuple[str, ...] = ()


@mutable
class _Checks:
    failures: list[str] = field(default_factory=list)

    def law(self, name: str, holds: bool, why: str) -> None:
        if not holds:
            self.failures.append(f"{name}: {why}")


def find_cases(root: Path, pack: Pack | None = None) -> list[Case]:
    """Return every case below a folder, sorted. Raises PackError with all mistakes of all case.yaml files.

    Where the pack is given, a target, policy or rule that it does not have is a mistake too.
    Raises GuestfixError for links and special files, and beyond the bounds.
    """
    problems: list[Problem] = []
    folders = [root] if _is_case(root) else []
    with Tree(str(root), SEARCH) as tree:
        for item in tree.walk(lambda path: not _is_case(root / path)):
            if item.kind == "dir" and _is_case(root / item.path) and tree.has(f"{item.path}/case.yaml"):
                folders.append(root / item.path)
                if len(folders) > MOST_CASES:
                    raise tree.refusal("", f"more than {MOST_CASES} cases")
    folders.sort()
    cases = [_read_case(folder, problems, pack) for folder in folders]
    if problems:
        raise PackError(problems)
    return cases


def _is_case(folder: Path) -> bool:
    return folder.parent.name == "cases" or folder.absolute().parent.name == "cases"


def read_case(folder: Path) -> Case:
    """Return the case in this folder. Raises PackError with its mistakes."""
    problems: list[Problem] = []
    case = _read_case(folder, problems)
    if problems:
        raise PackError(problems)
    return case


def _read_case(folder: Path, problems: list[Problem], pack: Pack | None = None) -> Case:
    file = folder / "case.yaml"
    with Tree(str(folder), BOUNDS) as tree:
        node, found = parse(tree.read("case.yaml"), str(file))
    problems += found
    if node is None:
        return Case(folder, "", None, None, Options())
    reader = Reader(node, problems, "a case")
    reader.allow(CASE_KEYS)
    if pack is not None:
        _check_names(reader, pack)
    disks = reader.child("disks")
    policy = reader.child("policy")
    policies = policy.plain() if policy is not None and policy.keys is not None else {}
    only = reader.texts("rules") or _own_rule(folder)
    payload = reader.text("payload", "")
    if payload and any(part in ("", ".", "..") for part in payload.split("/")):
        reader.complain(reader.keys["payload"].mark, "'payload' must be a path below the case's folder")
    options = Options(only, confidence=reader.text("confidence", "possible", one_of=CONFIDENCES), policies=policies)
    return Case(
        folder,
        reader.text("title"),
        reader.text("target", "") or None,
        _disks(Reader(disks, problems, "disks")) if disks is not None else None,
        options,
        payload,
        reader.texts("fails"),
    )


def _check_names(reader: Reader, pack: Pack) -> None:
    """Complain of a target, a policy with its value, and rules that the pack does not have."""
    target, policy, rules = (reader.keys.get(name) for name in ("target", "policy", "rules"))
    if target is not None and target.text not in pack.targets:
        remedy = did_you_mean(target.text or "", pack.targets)
        reader.complain(target.mark, f"there is no target {(target.text or '')[:80]!r}", remedy)
    for name, value in (policy.keys or {}).items() if policy is not None else ():
        known = pack.policies.get(name)
        if known is None:
            mark = policy.key_marks[name] if policy is not None else value.mark
            reader.complain(mark, f"there is no policy {name[:80]!r}", did_you_mean(name, pack.policies))
        elif known.values and value.text not in known.values:
            remedy = did_you_mean(value.text or "", known.values)
            reader.complain(value.mark, f"the policy {name} can't be {(value.text or '')[:80]!r}", remedy)
    ids = [rule.id for rule in pack.rules]
    for text, mark in texts_of(rules, "rules", reader) if rules is not None else ():
        if not any(fnmatchcase(one, text) for one in ids):
            reader.complain(mark, f"no rule is named {text[:80]!r}", did_you_mean(text, ids))


def _disks(reader: Reader) -> Disks:
    """Read a case's ``disks``: the list alone, or the whole mapping of a disks description."""
    if reader.node.items is not None:
        reader.problems.pop()
        keys = {"disks": reader.node}
        return read_disks_node(Reader(replace(reader.node, items=None, keys=keys), reader.problems, "disks"))
    return read_disks_node(reader)


def _own_rule(folder: Path) -> tuple[str, ...]:
    """Return the id of the rule that a case lies beside; none for a case of a system."""
    rule = folder.parent.parent
    return (f"{rule.parent.name}/{rule.name}",) if (rule / "rule.yaml").is_file() else ()


def run_case(case: Case, pack: Pack) -> Outcome:
    """Run a case and its six laws on a copy of its guest.

    The copy is all that is opened besides the case's own files: no link of a stranger's case leads elsewhere.
    """
    checks = _Checks()
    with tempfile.TemporaryDirectory(prefix="guestfix-case-") as scratch:
        root = Path(scratch) / "guest"
        try:
            case = _copy(case, root, f"{scratch}/payload")
            before = snapshot(root)
            plan = _plan(case, pack, root)
            checks.law("silent", snapshot(root) == before, "planning changed the guest")
            again = _plan(case, pack, root)
            failed = tuple(one.rule for one in plan.decisions if one.outcome == "failed")
            checks.law("ran", failed == case.fails, f"failed: {', '.join(failed) or 'none'}; case.yaml: {case.fails}")
            checks.law("judged", *_judged(case, plan, pack))
            checks.law("deterministic", dump_plan(again) == dump_plan(plan), "two plans differ")
            checks.law("shown", *_shown(case, pack, root, plan))
            for path in _outside(plan, pack, DirectoryGuest(str(root))):
                checks.law("confined", False, f"{path} is outside the globs of its rules")
            _apply_and_revert(case, pack, root, plan, before, checks)
        except GuestfixError as error:
            return Outcome(case, f"{error}\n", (*checks.failures, f"failed: {error}"))
    settles = {rule.id: rule.settles for rule in pack.rules}
    text = render_case(plan, system=not case.options.only, settles=settles)
    return Outcome(case, text, tuple(checks.failures))


def _shown(case: Case, pack: Pack, root: Path, plan: Plan) -> tuple[bool, str]:
    """Tell whether what the plan shows is what it does."""
    try:
        check_plan(DirectoryGuest(str(root), case.disks), plan, pack)
    except PlanError as error:
        return False, error.said
    return True, ""


def plan_case(case: Case, pack: Pack) -> Plan:
    """Return the plan of a case's guest, made on a copy of it. Raises GuestfixError where it can't be made."""
    with tempfile.TemporaryDirectory(prefix="guestfix-case-") as scratch:
        root = Path(scratch) / "guest"
        return _plan(_copy(case, root, f"{scratch}/payload"), pack, root)


def _copy(case: Case, root: Path, payload: str) -> Case:
    """Copy a case's guest and payload; return the case with that payload."""
    copy_guest(case.folder / "in", root)
    if not case.payload:
        return case
    with Tree(str(case.folder), BOUNDS) as tree:
        tree.copy(case.payload, payload)
    return replace(case, options=replace(case.options, extra={"payload.dir": payload}))


def _plan(case: Case, pack: Pack, root: Path) -> Plan:
    return make_plan(DirectoryGuest(str(root), case.disks), pack, case.target, case.options)


def _judged(case: Case, plan: Plan, pack: Pack) -> tuple[bool, str]:
    """Tell whether a case of a system is judged by a row of that system; others always are what they should be."""
    folder = case.folder.parent.parent
    system = next((one for one in pack.systems if one.id == folder.name and folder.parent.name == "os"), None)
    row = plan.compat["row"]
    told = system is None or not system.rows or any(row == one for one in system.rows)
    return told, f"no row of {folder.name} judged this guest: {plan.compat['summary']}"


def _outside(plan: Plan, pack: Pack, guest: DirectoryGuest) -> list[str]:
    globs = {rule.id: [pattern for step in rule.steps for pattern in step.globs] for rule in pack.rules}
    return [
        change.path
        for change in plan.changes
        if not all(_within(guest, change.path, globs[rule]) for rule in change.rules)
    ]


def _within(guest: DirectoryGuest, path: str, globs: Iterable[str]) -> bool:
    for pattern in globs:
        if path_matches(path, pattern, guest.case_insensitive):
            return True
        if any(guest.realpath(found) == path for found in glob(guest, pattern)):
            return True
        folder, _, name = pattern.rpartition("/")
        if path_matches(path, f"{guest.realpath(folder or '/').rstrip('/')}/{name}"):
            return True
    return False


def _apply_and_revert(
    case: Case, pack: Pack, root: Path, plan: Plan, before: Mapping[str, object], checks: _Checks
) -> None:
    """Apply even a blocked plan's changes: the laws must hold for them too."""
    forced = replace(plan, findings=())
    apply_plan(DirectoryGuest(str(root), case.disks), forced)
    left = _plan(case, pack, root).changes
    checks.law("idempotent", not left, f"a second plan still changes {', '.join(one.path for one in left)}")
    revert(DirectoryGuest(str(root), case.disks))
    after = snapshot(root)
    differing = sorted(name for name in {*before, *after} if before.get(name) != after.get(name))
    checks.law("reversible", not differing, f"revert left differences in {', '.join(differing)}")


def copy_guest(source: Path, root: Path) -> None:
    """Copy a case's guest tree; a case without ``in/`` gets an empty guest. Registry texts become hives.

    Links stay links of the guest. Raises GuestfixError for devices, pipes and sockets, and beyond the bounds.
    """
    with Tree(str(source.parent), BOUNDS) as tree:
        if tree.has(source.name):
            tree.copy(source.name, str(root))
            _build_hives(root, source)
        else:
            root.mkdir()


def _build_hives(root: Path, source: Path) -> None:
    """Turn ``config/SYSTEM.reg`` and ``Boot/BCD.reg`` into the hives that they describe, SYSTEM and BCD.

    Raises UsageError where a text can't be used, with its path below ``source`` and the line.
    """
    with Tree(str(root), BOUNDS) as tree:
        files = [root / item.path for item in tree.walk(lambda _: True, links=True) if item.kind == "file"]
    for path in files:
        if path.suffix != ".reg" or path.parent.name.lower() not in ("config", "boot"):
            continue
        from guestfix.formats.windows.regf import Hive, empty_hive
        from guestfix.formats.windows.regf.regtext import apply

        hive = Hive.open(empty_hive(path.stem))
        try:
            apply(hive, path.read_bytes())
        except (EditError, UsageError) as error:
            where = f"{source / path.relative_to(root)}:{error.where.removeprefix('line ')}".rstrip(":")
            raise UsageError(error.what, where=where, remedy=error.remedy) from error
        path.with_suffix("").unlink(missing_ok=True)  # a link there would be written through
        path.with_suffix("").write_bytes(hive.to_bytes())
        path.unlink()


def snapshot(root: Path) -> dict[str, object]:
    """Return kind, mode, owner, modification time and content of everything below root, by relative path."""
    return {os.path.relpath(path, root): _state(path) for path in _walk(root)}


def _walk(root: Path) -> Iterator[str]:
    for folder, folders, names in os.walk(root):
        yield folder
        links = [name for name in folders if os.path.islink(os.path.join(folder, name))]
        for name in [*names, *links]:
            yield os.path.join(folder, name)


def _state(path: str) -> object:
    found = os.lstat(path)
    content = None
    if stat.S_ISLNK(found.st_mode):
        content = os.readlink(path)
    elif stat.S_ISREG(found.st_mode):
        with open(path, "rb") as stream:
            content = digest_bytes(iter(lambda: stream.read(CHUNK), b""))
    return (found.st_mode, found.st_uid, found.st_gid, found.st_mtime_ns, content)


def golden_of(case: Case) -> str:
    """Return the golden report, "" where there is none yet. Raises GuestfixError where it is no plain file."""
    with Tree(str(case.folder), BOUNDS) as tree:
        data = tree.read(case.expect.name) if tree.has(case.expect.name) else b""
    return data.decode("utf-8", "replace")


def bless(outcome: Outcome) -> None:
    """Write this run's report as the golden one, into a new file that takes the old one's place."""
    new = outcome.case.expect.with_name(".expect.new")
    new.unlink(missing_ok=True)
    with open(new, "x", encoding="utf-8") as stream:
        stream.write(outcome.text)
    new.replace(outcome.case.expect)


def compare(outcome: Outcome) -> str:
    """Return how the report differs from the golden one, as a diff; empty where it doesn't."""
    golden = golden_of(outcome.case)
    if golden == outcome.text:
        return ""
    diff = unified_diff(golden.splitlines(), outcome.text.splitlines(), "expect.txt", "this run", lineterm="")
    return "\n".join(diff) + "\n"
