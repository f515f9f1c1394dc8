"""Reports in other forms: SARIF and JUnit by their schemas, Markdown and CSV as their readers take them."""

import csv
import io
import json
import os
import re
import sys
import xml.etree.ElementTree as ET
from functools import cache
from pathlib import Path

import jsonschema
import pytest
from junitparser import JUnitXml

from guestfix.base.facts import Evidence, Finding
from guestfix.base.record import replace
from guestfix.cli import run
from guestfix.plan.model import Change
from guestfix.report.forms import FORMS, render
from tests.build.reports import GUESTS, ROOT
from tests.build.reports import plan_of as make

plan_of = cache(make)
CODE = re.compile(r"(?<!`)(`+)(?!`).+?(?<!`)\1(?!`)")
MODULES = Path(os.environ.get("VENV", str(Path(sys.prefix)))) / "browser/node_modules"
EVIL = (
    "</failure><x>&]]>",
    "`a` ``` | *b* _c_ [x](javascript:1) <img src=x> @all #1 http://x.example www.x.example",
    *("=HYPERLINK(1)", "+1", "-1", "@x", "\t=1", "a\nb\r\nc", '"q"', "/%2e%2e/ä ö?#x"),
    "\u202e\x00\x1b[2J\ud800\ufffe",
)


def evil_plan():
    """Return a plan whose findings, paths and diffs are hostile."""
    found = tuple(
        Finding(
            code, severity, one, (Evidence(f"/{one}", 3, one), Evidence(f"/b{one}"), Evidence("disks", 0, one)), one
        )
        for one in EVIL
        for code, severity in (("GF-FSTAB-ROOT-UNRESOLVED", "blocker"), ("GF-FSTAB-NFS-KEPT", "warning"))
    )
    changes = tuple(Change(f"/{n}{one}", "edit", (one,), None, None, diff=f"+{one}\n") for n, one in enumerate(EVIL))
    return replace(plan_of("debian-12"), findings=found, changes=changes, follow_ups=EVIL, target=EVIL[1])


def plans():
    return [pytest.param(name, id=name) for name in (*GUESTS, "evil")]


def plan_named(name):
    return evil_plan() if name == "evil" else plan_of(name)


@pytest.mark.parametrize("name", plans())
def test_sarif_keeps_to_its_schema(name):
    path = MODULES / "@microsoft/jest-sarif/lib/schemas/sarif-2.1.0-rtm.5.json"
    if not path.is_file():
        pytest.skip("SARIF's schema is not here: sh tests/browser/setup.sh")
    schema = json.loads(path.read_text())
    document = json.loads(render(plan_named(name), "sarif"))
    jsonschema.validators.validator_for(schema)(schema).validate(document)
    (only,) = document["runs"]
    rules = only["tool"]["driver"]["rules"]
    assert only["results"] and all(rules[one["ruleIndex"]]["id"] == one["ruleId"] for one in only["results"])


def test_sarif_tells_file_and_line():
    (only,) = json.loads(render(plan_of("rhel7-vmware"), "sarif"))["runs"]
    kept = next(one for one in only["results"] if one["ruleId"] == "GF-FSTAB-NFS-KEPT")
    place = kept["locations"][0]["physicalLocation"]
    assert place["artifactLocation"] == {"uri": "etc/fstab", "uriBaseId": "GUEST"}
    assert place["region"]["startLine"] == 14 and kept["level"] == "warning" and "suppressions" not in kept
    lacks = next(one for one in only["results"] if one["ruleId"] == "GF-INITRAMFS-LACKS")
    assert lacks["level"] == "note" and "initramfs/target-drivers" in lacks["suppressions"][0]["justification"]
    prints = [one["partialFingerprints"]["guestfix/v1"] for one in only["results"]]
    assert len(set(prints)) == len(prints)


@pytest.mark.parametrize("name", plans())
def test_junit_is_read_by_others(name):
    plan = plan_named(name)
    text = render(plan, "junit")
    root = ET.fromstring(text)
    cases = root.findall(".//testcase")
    assert root.tag == "testsuites" and len(cases) == len(plan.findings) + len(plan.walk.after.steps)
    read = JUnitXml.fromstring(text.encode())
    suites = list(read)
    assert sum(one.tests for one in suites) == len(cases) == int(root.get("tests"))
    assert sum(one.failures for one in suites) == len(plan.blockers) == len(root.findall(".//failure"))
    assert sum(one.skipped for one in suites) == len(root.findall(".//skipped"))


def test_a_step_that_stops_fails():
    plan = plan_of("debian-12")
    plan = replace(plan, walk=replace(plan.walk, after=plan.walk.before))
    root = ET.fromstring(render(plan, "junit"))
    boot = root.find("testsuite")
    stops = sum(one.outcome == "stops" for one in plan.walk.before.steps)
    assert stops and int(boot.get("failures")) == stops and int(root.get("failures")) == stops


@pytest.mark.parametrize("name", plans())
def test_csv_has_a_row_for_each_finding(name):
    plan = plan_named(name)
    rows = list(csv.DictReader(io.StringIO(render(plan, "csv"), newline="")))
    assert [one["code"] for one in rows] == [one.code for one in plan.findings]
    assert not [cell for row in rows for cell in row.values() if cell[:1] in ("=", "+", "-", "@", "\t", "\r")]


def test_markdown_formats_nothing_that_a_guest_says():
    text = render(evil_plan(), "markdown")
    fenced = outside = 0
    fence = ""
    for line in text.split("\n"):
        ticks = line[: len(line) - len(line.lstrip("`"))]
        if fence:
            fence, fenced = ("", fenced) if line == fence else (fence, fenced + 1)
        elif len(ticks) >= 3 and line.endswith("diff"):
            fence = ticks
        else:
            outside += 1
            bare = line.replace("\\<", "").replace("\\[", "").replace("\\@", "").replace("\\*", "")
            code = CODE.sub("", bare)
            assert "<img" not in code and "[x]" not in code.replace("[ ]", "") and "@all" not in code, line
            assert "http://" not in code and "www.x" not in code, line
    assert fence == "" and fenced and outside
    assert "\x1b" not in text and "\u202e" not in text


def test_markdown_tells_the_same_as_text():
    text = render(plan_of("sles-15"), "markdown")
    assert text.startswith(
        "# SUSE Linux Enterprise Server 15 SP5 (sles 15 SP5 x86\\_64) to aws-nitro\n\n**Would apply: "
    )
    for part in (
        "## Boot",
        "## Disks",
        "## Before you apply",
        "## Lost",
        "## The plan repairs",
        "## After",
        "## Changes",
    ):
        assert f"\n{part}" in text
    assert "| initramfs | stops | passes |" in text and "```diff\n--- a/" in text


@pytest.mark.parametrize("form", FORMS)
def test_a_report_and_a_saved_plan_give_the_same(form, tmp_path, capfd):
    guest = str(ROOT / "testdata/guests/amazon-linux-2")
    run(["report", guest, "--format", "json"])
    plan = tmp_path / "plan.json"
    plan.write_text(capfd.readouterr().out)
    assert run(["report", guest, "--format", form]) == 0
    first = capfd.readouterr().out
    assert run(["render", str(plan), "--format", form]) == 0
    assert capfd.readouterr().out == first


def test_what_apply_printed_can_be_shown(tmp_path, capfd):
    document = json.loads(_saved(capfd))
    del document["contents"]
    plan = tmp_path / "receipt.json"
    plan.write_text(json.dumps(document))
    assert run(["render", str(plan), "--brief"]) == 0
    assert capfd.readouterr().out.startswith("Amazon Linux 2")
    assert run(["apply", str(ROOT / "testdata/guests/amazon-linux-2"), "--plan", str(plan)]) == 2
    plan.write_text("{}")
    assert run(["render", str(plan)]) == 2


def _saved(capfd):
    run(["report", str(ROOT / "testdata/guests/amazon-linux-2"), "--format", "json"])
    return capfd.readouterr().out
