"""What verify saw in every form of a report, alone and beside a plan; and what is no document of verify."""

from __future__ import annotations

import json
import xml.etree.ElementTree as ET

import pytest

from guestfix.base.errors import PlanError, UsageError
from guestfix.base.record import replace
from guestfix.base.text import to_json
from guestfix.plan.model import dump_plan
from guestfix.report.forms import FORMS, STARTS, render, render_document, render_starts
from guestfix.report.layout import View, plain
from guestfix.report.text import plan_lines
from guestfix.report.verify import misfit
from guestfix.verify.model import Reached, Start
from guestfix.verify.reader import is_starts, load_starts
from tests.build.documents import validate
from tests.build.reports import plan_of
from tests.build.starts import starts, written


def test_what_is_written_is_read_as_it_was():
    document = json.loads(to_json(written(starts())))
    validate("verify", document)
    data = to_json(document).encode()
    read = load_starts(data)
    assert json.loads(to_json(written(read))) == document and is_starts(data)
    assert read.starts[1].steps == starts().starts[1].steps


@pytest.mark.parametrize("place", [
    ("schema", 1), ("plan_digest", "x"), ("starts", {}), ("guest", {"uri": "a"}), ("starts", [{}]),
    ("starts", [None] * 21),
])  # fmt: skip
def test_what_is_no_document_of_verify_is_refused_with_its_place(place):
    document = written(starts()) | dict([place])
    with pytest.raises(PlanError, match="not what verify wrote"):
        load_starts(json.dumps(document).encode(), "file")


@pytest.mark.parametrize(("name", "value"), [
    ("ending", "fine"), ("seconds", -1), ("seconds", True), ("stop", "x"), ("steps", [{"id": 1}]),
    ("failed_units", [1]),
    ("hardware", {}), ("console", {"text": "x"}), ("dhcp", {"requests": -1, "lease": None}), ("marks", {}),
    ("addresses", "x"),
])  # fmt: skip
def test_every_member_of_a_start_is_checked(name, value):
    document = json.loads(to_json(written(starts())))
    document["starts"][1][name] = value
    with pytest.raises(PlanError, match=rf"starts\[1\].{name}"):
        load_starts(json.dumps(document).encode())


def test_what_is_no_json_is_refused():
    for data in (b"", b"[]", b'{"starts": NaN}', b'{"starts": [}', b"\xff" * 20, b"[" * 10_000):
        assert not is_starts(data)
        with pytest.raises(PlanError):
            load_starts(data)


@pytest.mark.parametrize("form", STARTS)
def test_every_form_says_what_was_seen_and_nothing_of_a_guest_is_taken_for_markup(form):
    text = render_starts(starts(), form)
    assert text == render_document(to_json(written(starts())).encode(), "", form)
    assert not any(one in text for one in "\x1b\u202e")
    outside = "".join(text.split("```")[::2])  # what stands in a block of Markdown is code
    assert form == "text" or "<script>|" not in outside
    for word in ("no root", "degraded", "10.0.2.15", "after 41 s", "/dev/sdb1"):
        assert word in text, (form, word)
    assert ("last line" in text) is (form != "text"), "the console stands there too; plain text has --console"


def test_junit_fails_where_the_repaired_guest_does_not_come_up_and_not_for_the_broken_one():
    root = ET.fromstring(render_starts(starts(), "junit"))
    assert root.get("failures") == "0" and len(root) == 2
    bad = starts()
    found = ET.fromstring(render_starts(replace(bad, starts=(replace(bad.starts[0], state="after"),)), "junit"))
    failed = [one.get("name") for one in found.iter("testcase") if one.find("failure") is not None]
    assert failed == ["root", "mounts", "network", "access", "ending"]


def test_a_report_shows_the_starts_of_its_plan_and_says_where_they_are_of_another():
    plan = plan_of("rhel7-vmware")
    same, other = starts(plan), replace(starts(plan), plan="1" * 64)
    assert misfit(same, plan) == "" and "another plan" in misfit(other, plan)
    assert "another guest" in misfit(starts(), plan)
    assert "on kvm" in misfit(replace(same, starts=(replace_target(same.starts[0]),)), plan)
    for form in ("html", "markdown", "junit"):
        shown = render(plan, form, same)
        assert "no root" in shown and "10.0.2.15" in shown and render(plan, form) != shown
        assert "another plan of this guest" not in shown and "another plan of this guest" in render(plan, form, other)
    text = plain(plan_lines(plan, View(), starts=other))
    assert "not this plan" in text and "the walk was wrong at network: it said stops" in text
    assert "not reached: root, mounts" in text and "last line" not in text
    assert "last line" in plain(plan_lines(plan, View(detail="verbose"), starts=same))


def replace_target(start: Start) -> Start:
    return replace(start, seen=replace(start.seen, hardware=replace(start.seen.hardware, target="kvm-scsi")))


@pytest.mark.parametrize("form", sorted(set(FORMS) - set(STARTS)))
def test_forms_of_findings_have_no_place_for_starts(form):
    with pytest.raises(UsageError, match="no place"):
        render_document(to_json(written(starts())).encode(), "", form)


def test_a_plan_is_no_document_of_starts():
    data = dump_plan(plan_of("debian-12"))
    assert not is_starts(data) and "<!doctype html>" in render_document(data, "", "html")


def test_a_step_that_was_seen_otherwise_is_told():
    found = starts().starts[1]
    assert [one.id for one in found.differs] == ["network"] and isinstance(found.differs[0], Reached)
