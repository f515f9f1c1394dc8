"""Findings as SARIF 2.1.0 (OASIS), which code scanning shows at file and line; the files are those of the guest."""

from __future__ import annotations

import hashlib
from urllib.parse import quote

from guestfix.base.catalog.findings import kind_of
from guestfix.base.facts import Evidence, Finding
from guestfix.base.text import one_line, to_json, utf8
from guestfix.plan.model import Plan
from guestfix.report import outline

SCHEMA = "https://docs.oasis-open.org/sarif/sarif/v2.1.0/errata01/os/schemas/sarif-schema-2.1.0.json"
LEVELS = {"blocker": "error", "warning": "warning", "info": "note"}


def render_sarif(plan: Plan) -> str:
    """Return the findings of a plan as one SARIF document."""
    codes = sorted({one.code for one in plan.findings})
    tool = {
        "name": "guestfix",
        "version": str(plan.versions["guestfix"]),
        "rules": [_rule(code) for code in codes],
    }
    run = {
        "tool": {"driver": tool},
        "columnKind": "unicodeCodePoints",
        "originalUriBaseIds": {"GUEST": {"description": {"text": "the root of the guest's filesystem"}}},
        "results": [_result(one, codes.index(one.code)) for one in plan.findings],
        "properties": {
            "target": plan.target,
            "outcome": outline.outcome(plan),
            "guest": str(plan.guest["uri"]),
            "planDigest": plan.digest,
        },
    }
    return to_json({"$schema": SCHEMA, "version": "2.1.0", "runs": [run]}) + "\n"


def _rule(code: str) -> dict[str, object]:
    kind = kind_of(code)
    worst = kind.severities[0] if kind.severities else "info"
    return {
        "id": code,
        "shortDescription": {"text": kind.meaning},
        "help": {"text": kind.remedy},
        "defaultConfiguration": {"level": LEVELS[worst]},
        "properties": {"tags": [kind.stage]},
    }


def _result(finding: Finding, index: int) -> dict[str, object]:
    text = one_line(utf8(finding.summary))
    whole = f"{text}. What to do: {one_line(utf8(finding.remedy))}" if finding.remedy else text
    result: dict[str, object] = {
        "ruleId": finding.code,
        "ruleIndex": index,
        "level": LEVELS[finding.left],
        "message": {"text": whole},
        "partialFingerprints": {"guestfix/v1": _fingerprint(finding)},
        "properties": {"step": finding.step, "part": outline.part_of(finding)},
    }
    places = [_location(item) for item in finding.evidence if item.path.startswith("/")]
    others = [one_line(utf8(str(item))) for item in finding.evidence if not item.path.startswith("/")]
    result["locations"] = places[:1]
    if places[1:]:
        result["relatedLocations"] = places[1:1000]
    if others:
        result["properties"] = {"step": finding.step, "part": outline.part_of(finding), "seen": others}
    if finding.settled_by:
        result["suppressions"] = [{"kind": "external", "justification": f"repaired by the rule {finding.settled_by}"}]
    return result


def _location(item: Evidence) -> dict[str, object]:
    uri = quote(_bytes(item.path.lstrip("/")), safe="/")
    place: dict[str, object] = {"artifactLocation": {"uri": uri or ".", "uriBaseId": "GUEST"}}
    if item.line:
        snippet = {"snippet": {"text": one_line(utf8(item.text))}} if item.text else {}
        place["region"] = {"startLine": item.line, **snippet}
    return {"physicalLocation": place}


def _bytes(path: str) -> bytes:
    """Return the bytes of a guest's path; of one that can be no path of Linux, what is shown of it."""
    try:
        return path.encode("utf-8", "surrogateescape")
    except UnicodeEncodeError:
        return utf8(path).encode()


def _fingerprint(finding: Finding) -> str:
    """Return what tells a finding from another one, in the next report too: its code, file and sentence."""
    path = finding.evidence[0].path if finding.evidence else ""
    text = f"{finding.code}\0{path}\0{finding.summary}"
    return hashlib.sha256(text.encode("utf-8", "surrogatepass")).hexdigest()[:32]
