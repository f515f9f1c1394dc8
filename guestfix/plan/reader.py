"""Reading a plan from a file. The file may come from anybody: everything in it is checked before anything is used.

What needs the guest (that a path leads through no link, that the changes make what they say) is checked by apply
before it writes.
"""

from __future__ import annotations

import base64
import binascii
from typing import Literal

from guestfix.base.catalog.findings import STAGES
from guestfix.base.digest import STATE
from guestfix.base.edit import Splice
from guestfix.base.errors import PlanError
from guestfix.base.facts import Evidence, Fact, Finding, Unknown
from guestfix.base.guest import Meta
from guestfix.base.names import path_problem, paths_problem
from guestfix.base.patterns import regex
from guestfix.base.record import replace
from guestfix.base.strict import Malformed, Node, parse
from guestfix.base.text import utf8
from guestfix.plan.model import DIGEST, EXACT, SCHEMA, Change, Choice, Decision, Plan, digest_of
from guestfix.walk.model import WORST, Step, Walk, Walks

MAX_PLAN = 64 * 1024 * 1024
MAX_VALUES = 2_000_000
MAX_CHANGES = 10_000
MAX_SPLICES = 100_000
MAX_ITEMS = 100_000
"""Facts, decisions, findings, pieces of evidence and the like, of each."""
MAX_SIZE = (1 << 63) - 1
MAX_ID = (1 << 32) - 2  # the one above stands for "leave it"
MAX_SECONDS = 1_000_000
MAX_XATTR = 64 * 1024
TEXT = 16 * 1024 * 1024
NAME = 500

_DIGEST = regex(r"[0-9a-f]{64}")
_MODE = regex(r"0[0-7]{3}")
_XATTR = regex(r"(?s)security\.selinux|user\.[^\0]{1,200}")
_CODE = regex(r"GF-[A-Z0-9-]{1,100}")
_VERDICTS = ("supported", "deprecated", "unlisted", "unsupported", "unknown")
_OUTCOMES = ("applied", "unchanged", "no", "undecided", "skipped", "failed")
_SEVERITIES = ("blocker", "warning", "info")
_PLAN = (
    "schema", "guest", "target", "verdict", "compat", "policies", "facts", "decisions", "findings", "changes",
    "follow_ups", "versions", "walk", "choices", "plan_digest",
)  # fmt: skip
_CHANGE = ("path", "kind", "rules", "before", "after", "size", "meta", "diff")
_REMEDY = "make it with: guestfix report --format json GUEST > plan.json"


def load_plan(data: bytes, where: str = "", *, shown: bool = False) -> Plan:
    """Return the Plan that dump_plan() wrote. Raises PlanError for anything else.

    ``shown``: it is only to be shown, so what apply writes may be missing, as in apply's own document.
    """
    try:
        document = parse(data, MAX_PLAN, MAX_VALUES)
        schema = document.members(("schema",), None)["schema"].integer(-MAX_SIZE, MAX_SIZE)
        if schema != SCHEMA:
            raise PlanError(
                f"the plan has schema {schema}, this guestfix reads {SCHEMA}",
                where=where,
                remedy="make the plan again with this version",
            )
        data_of = document.members(_PLAN if shown else (*_PLAN, "contents"), None)
        written = data_of.get("contents")
        plan = _plan(data_of, written)
        if written is None:
            return replace(plan, told_digest=data_of[DIGEST].text(64, _DIGEST))
        if document.value[DIGEST] != digest_of(document.value):
            raise PlanError(
                "the plan was changed after it was made: it is not what its digest says",
                where=where,
                remedy="make the plan again, review it",
                code="GF-PLAN-DIGEST",
            )
        return plan
    except ValueError as error:
        raise PlanError(f"not a plan: {error}", where=where, remedy=_REMEDY) from error


def _plan(data: dict[str, Node], contents: Node | None) -> Plan:
    both = data["walk"].members(("before", "after"))
    guest = data["guest"].members(("uri", "identity"), None)
    guest["uri"].text(NAME * 100)
    guest["identity"].text(64, _DIGEST)
    compat = data["compat"].members((), None)
    for name in ("summary", "source", "date"):
        if name in compat and compat[name].value is not None:
            compat[name].text(TEXT)
    return Plan(
        guest=data["guest"].value,
        target=data["target"].text(NAME),
        verdict=data["verdict"].one_of(_VERDICTS),
        compat=data["compat"].value,
        facts=tuple(_fact(name, node) for name, node in data["facts"].members((), None).items()),
        decisions=tuple(_decision(node) for node in data["decisions"].items(MAX_ITEMS)),
        findings=tuple(_finding(node) for node in data["findings"].items(MAX_ITEMS)),
        changes=_changes(data["changes"], contents),
        follow_ups=tuple(node.text(TEXT) for node in data["follow_ups"].items(MAX_ITEMS)),
        versions=_versions(data["versions"]),
        policies=_texts(data["policies"]),
        walk=Walks(*(_walk(both[name]) for name in ("before", "after"))),
        choices=tuple(_choice(node) for node in data["choices"].items(MAX_ITEMS)),
    )


def _choice(node: Node) -> Choice:
    data = node.members(("name", "value", "origin"))
    return Choice(data["name"].text(NAME), data["value"].text(TEXT), data["origin"].text(NAME * 10))


def _versions(node: Node) -> dict[str, object]:
    """Return the versions, and the packs where there are several, each with what it changed in those beneath."""
    known = node.members(("guestfix", "pack", "pack_digest", "compat"), ("packs",))
    found: dict[str, object] = {name: one.text(NAME) for name, one in known.items() if name != "packs"}
    for pack in known["packs"].items(MAX_ITEMS) if "packs" in known else ():
        data = pack.members(("id", "version", "digest", "changes"))
        for change in data.pop("changes").items(MAX_ITEMS):
            _texts(change, ("what", "kind", "id"))
        for one in data.values():
            one.text(NAME)
    return found | ({"packs": known["packs"].value} if "packs" in known else {})


def _texts(node: Node, needed: tuple[str, ...] = ()) -> dict[str, str]:
    return {name: one.text(NAME) for name, one in node.members(needed, None).items()}


def _evidence(node: Node) -> tuple[Evidence, ...]:
    found = []
    for item in node.items(MAX_ITEMS):
        data = item.members(("path", "line", "text"))
        found.append(Evidence(data["path"].text(TEXT), data["line"].integer(0, MAX_SIZE), data["text"].text(TEXT)))
    return tuple(found)


def _fact(name: str, node: Node) -> Fact:
    data = node.members(("value", "evidence"), ("unknown",))
    value = Unknown(data["unknown"].text(TEXT)) if "unknown" in data else data["value"].value
    return Fact(name, value, _evidence(data["evidence"]))


def _decision(node: Node) -> Decision:
    needed = ("rule", "outcome", "because", "confidence", "title", "why")
    data = node.members(needed, ("selected", "unknown"))
    data["outcome"].one_of(_OUTCOMES)
    rule, outcome, because, confidence, title, why = (data[name].text(TEXT) for name in needed)
    selected = data["selected"].value if "selected" in data else True
    if type(selected) is not bool:
        raise data["selected"].wrong("true or false")
    unknown = tuple(one.text(NAME) for one in data["unknown"].items(MAX_ITEMS)) if "unknown" in data else ()
    return Decision(rule, outcome, because, confidence, title, why, selected, unknown)


def _finding(node: Node) -> Finding:
    others = ("settled_by", "step", "outcome", "seconds")
    data = node.members(("code", "severity", "summary", "evidence", "remedy", "rule"), others)
    rule, settled_by = (
        data[name].text(NAME) if name in data and data[name].value else "" for name in ("rule", "settled_by")
    )
    return Finding(
        data["code"].text(NAME, _CODE),
        data["severity"].one_of(_SEVERITIES),
        data["summary"].text(TEXT),
        _evidence(data["evidence"]),
        data["remedy"].text(TEXT),
        rule,
        settled_by,
        outcome=_end(data["outcome"]) if data.get("outcome") and data["outcome"].value is not None else "",
        seconds=data["seconds"].integer(0, MAX_SECONDS) if "seconds" in data else 0,
    )


def _end(node: Node) -> Literal["waits", "stops", "unknown"]:
    ends: tuple[Literal["waits", "stops", "unknown"], ...] = ("waits", "stops", "unknown")
    found = node.one_of(ends)
    return next(end for end in ends if end == found)


def _walk(node: Node) -> Walk:
    data = node.members(("outcome", "stops_at", "steps"))
    return Walk(tuple(_walk_step(item) for item in data["steps"].items(MAX_ITEMS)))


def _walk_step(node: Node) -> Step:
    data = node.members(("id", "title", "outcome", "because", "evidence", "seconds", "rule"))
    outcome = data["outcome"].one_of(WORST)
    return Step(
        data["id"].one_of(STAGES),
        data["title"].text(NAME),
        next(end for end in WORST if end == outcome),
        data["because"].text(TEXT),
        _evidence(data["evidence"]),
        data["seconds"].integer(0, MAX_SECONDS),
        data["rule"].text(NAME) if data["rule"].value is not None else "",
    )


def _changes(node: Node, contents: Node | None) -> tuple[Change, ...]:
    """Read the changes, each with what is written for it; None: that is not asked for."""
    items = node.items(MAX_CHANGES)
    written = contents.items(MAX_CHANGES) if contents else [None] * len(items)
    if len(written) != len(items):
        raise Malformed(f"contents: {len(written)} for {len(items)} changes")
    changes = tuple(_change(one, other) for one, other in zip(items, written, strict=True))
    if problem := paths_problem(change.path for change in changes):
        raise Malformed(f"changes: {problem}")
    return changes


def _change(node: Node, written: Node | None) -> Change:
    shown = node.members(_CHANGE, ("utf16",))
    splices = () if written is None else _written(written, shown["path"])
    data = _exact(shown)
    path = data["path"].text(5000)
    if problem := path_problem(path):
        raise Malformed(f"{data['path'].at}: {path!a} is {problem}")
    change = Change(
        path,
        data["kind"].one_of(("edit", "create", "delete", "link")),
        tuple(one.text(NAME) for one in data["rules"].items(1000)),
        _state(data["before"]),
        _state(data["after"]),
        splices,
        None if data["meta"].value is None else _meta(data["meta"]),
        data["diff"].text(TEXT),
        data["size"].integer(0, MAX_SIZE),
    )
    if problem := _contradiction(change, written is not None):
        raise Malformed(f"{node.at}: a change of the kind {change.kind} {problem}")
    return change


def _written(node: Node, path: Node) -> tuple[Splice, ...]:
    data = node.members(("path", "splices"))
    if data["path"].value != path.value:
        raise data["path"].wrong(f"that of {path.at}")
    return tuple(_splice(one) for one in data["splices"].items(MAX_SPLICES))


def _exact(data: dict[str, Node]) -> dict[str, Node]:
    """Put what no UTF-8 can say in the place of what is shown of it (``utf16``), which must be the same otherwise."""
    found = dict(data)
    for name, node in data["utf16"].members((), EXACT).items() if "utf16" in data else ():
        exact = _base64(node, NAME * 100).decode("utf-16-le", "surrogatepass")
        if exact == data[name].value or utf8(exact) != data[name].value:
            raise node.wrong(f"what {data[name].at} shows")
        found[name] = Node(exact, data[name].at)
    return found


def _state(node: Node) -> str | None:
    return None if node.value is None else node.text(5000, STATE)


def _contradiction(change: Change, whole: bool) -> str:
    """Return how a change's members don't go together; empty where they do."""
    before, after = (state and state.partition(":")[0] for state in (change.before, change.after))
    allowed = {
        "edit": (("sha256",), ("sha256",)),
        "create": ((None,), ("sha256",)),
        "delete": (("sha256", "link"), (None,)),
        "link": ((None, "sha256", "link"), ("link",)),
    }[change.kind]
    if before not in allowed[0] or after not in allowed[1]:
        return "has other states before and after"
    if (change.meta is not None) != (change.kind in ("create", "link")):
        return "has metadata if and only if it makes something new"
    if change.kind in ("delete", "link") and (change.splices or change.size):
        return "has no content of its own"
    at = 0
    for splice in change.splices:
        if splice.offset < at:
            return "has splices that overlap or are out of order"
        at = splice.offset + splice.length
    if whole and change.kind == "create" and (at or change.size != sum(len(one.data) for one in change.splices)):
        return "has another size than its content, or replaces what is not there"
    return ""


def _splice(node: Node) -> Splice:
    data = node.members(("offset", "length", "base64"))
    content = _base64(data["base64"], MAX_PLAN)
    return Splice(data["offset"].integer(0, MAX_SIZE), data["length"].integer(0, MAX_SIZE), content)


def _base64(node: Node, most: int) -> bytes:
    try:
        found = base64.b64decode(node.text(MAX_PLAN), validate=True)
    except binascii.Error as error:
        raise node.wrong("base64") from error
    if len(found) > most:
        raise node.wrong(f"at most {most} bytes")
    return found


def _meta(node: Node) -> Meta:
    data = node.members(("mode", "uid", "gid", "xattrs"))
    xattrs = []
    for name, value in sorted(data["xattrs"].members((), None).items()):
        if not _XATTR.fullmatch(name):
            raise Malformed(f"{data['xattrs'].at}: {name[:60]!a} is no attribute that a plan may set")
        xattrs.append((name, _base64(value, MAX_XATTR)))
    return Meta(int(data["mode"].text(4, _MODE), 8), _id(data["uid"]), _id(data["gid"]), xattrs=tuple(xattrs))


def _id(node: Node) -> int | None:
    return None if node.value is None else node.integer(0, MAX_ID)
