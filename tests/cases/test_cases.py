"""Every case of the pack that ships, with its six laws."""

import pytest

from guestfix.cases.runner import compare, find_cases, run_case
from guestfix.pack.cache import load_pack
from tests.build.facts import hold_to_the_table
from tests.build.packs import REAL

CASES = find_cases(REAL)


@pytest.fixture(autouse=True)
def facts_of_the_table(monkeypatch):
    hold_to_the_table(monkeypatch)


@pytest.mark.parametrize("case", CASES, ids=lambda case: str(case.folder.relative_to(REAL)))
def test_case(case):
    outcome = run_case(case, load_pack())
    assert outcome.failures == ()
    assert compare(outcome) == ""


def test_every_rule_has_a_case_that_acts_and_one_that_does_not():
    lacking = []
    for rule in load_pack().rules:
        reports = [case.expect.read_text() for case in CASES if rule.id in case.options.only]
        acts = any(f"  {rule.id}: applied" in text or f"[{rule.id}]" in text for text in reports)
        rests = any("No changes" in text for text in reports)
        if not (acts and rests):
            lacking.append(rule.id)
    assert lacking == []
