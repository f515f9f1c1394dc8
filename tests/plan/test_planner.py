"""Deciding rules: three values, confidence, and what a failing rule leaves behind."""

import pytest

from guestfix.backends.directory import DirectoryGuest
from guestfix.base.errors import EditError
from guestfix.pack.cache import load_pack
from guestfix.plan.planner import Options, make_plan
from tests.build.packs import RULE, make_pack
from tests.build.tree import build, elf

FSTAB = "UUID=1 / ext4 defaults 0 1\n//nas/share /mnt/share cifs guest 0 0\n"


@pytest.fixture(autouse=True)
def own_cache(tmp_path, monkeypatch):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))


def guest(tmp_path, release="ID=debian\nVERSION_ID=12\n"):
    return DirectoryGuest(str(build(tmp_path / "g", {"etc/os-release": release, "etc/fstab": FSTAB, "bin/sh": elf()})))


def decided(tmp_path, rule, release="ID=debian\nVERSION_ID=12\n", **options):
    pack = load_pack(make_pack(tmp_path / "pack", {"fstab/shares": rule}))
    plan = make_plan(guest(tmp_path, release), pack, None, Options(**options))
    return plan, plan.decisions[0]


def when(*conditions):
    text = "".join(f"  - {one}\n" for one in conditions)
    return RULE.format(id="fstab/shares").replace("  - os.family == linux\n", text)


def test_unknown_is_not_false(tmp_path):
    plan, decision = decided(tmp_path, when("payload.dir == x", "os.family == linux"))
    assert (decision.outcome, plan.changes) == ("undecided", ())
    assert "unknown: payload.dir" in decision.because
    (finding,) = [one for one in plan.findings if one.code == "GF-RULE-UNDECIDED"]
    assert (finding.rule, finding.severity) == ("fstab/shares", "info")
    assert finding.summary == "rule fstab/shares can't be decided because payload.dir is unknown"


def test_many_undecided_rules_are_one_finding(tmp_path):
    rules = {
        f"fstab/r{number}": when("payload.dir == x").replace("fstab/shares", f"fstab/r{number}") for number in range(7)
    }
    plan = make_plan(guest(tmp_path), load_pack(make_pack(tmp_path / "pack", rules)))
    (finding,) = [one for one in plan.findings if one.code == "GF-RULE-UNDECIDED"]
    assert finding.summary.startswith(
        "7 rules (fstab/r0, fstab/r1, fstab/r2, fstab/r3, fstab/r4, ...) can't be decided"
    )


def test_what_is_false_in_any_case_stays_decided(tmp_path):
    plan, decision = decided(tmp_path, when("payload.dir == x", "os.family == windows"))
    assert (decision.outcome, decision.because) == ("no", "not: os.family == windows")
    assert not [one for one in plan.findings if one.code == "GF-RULE-UNDECIDED"]


@pytest.mark.parametrize(
    ("confidence", "least", "outcome"),
    [
        ("certain", "certain", "applied"), ("confident", "certain", "skipped"), ("confident", "confident", "applied"),
        ("likely", "confident", "skipped"), ("likely", "likely", "applied"), ("possible", "likely", "skipped"),
        ("possible", "possible", "applied"),
    ],
)  # fmt: skip
def test_only_what_is_sure_enough_is_applied_and_the_rest_is_offered(tmp_path, confidence, least, outcome):
    rule = RULE.format(id="fstab/shares").replace("certain", confidence)
    plan, decision = decided(tmp_path, rule, confidence=least)
    assert decision.outcome == outcome
    offered = [one for one in plan.findings if one.code == "GF-RULE-OFFERED"]
    assert bool(offered) is (outcome == "skipped")
    assert bool(plan.changes) is (outcome == "applied")


def test_a_rule_is_as_sure_on_an_unknown_system(tmp_path):
    rule = RULE.format(id="fstab/shares").replace("certain", "confident")
    plan, decision = decided(tmp_path, rule, release="ID=homegrown\nVERSION_ID=1\n")
    assert plan.verdict == "unknown"
    assert (decision.outcome, decision.confidence) == ("applied", "confident")


def test_a_rule_that_is_not_sure_enough_is_offered(tmp_path):
    rule = RULE.format(id="fstab/shares").replace("certain", "likely")
    plan, decision = decided(tmp_path, rule)
    assert (decision.outcome, decision.confidence) == ("skipped", "likely")
    assert any(one.code == "GF-RULE-OFFERED" for one in plan.findings)


def test_a_rule_that_fails_leaves_no_half_of_it(tmp_path, monkeypatch):
    rule = (
        RULE.format(id="fstab/shares")
        + "  - in: /etc/os-release\n    op: fstab.disable\n    args: {types: [], sources: [], why: x}\n"
    )
    calls = []

    def op(src, **_):
        calls.append(src)
        if len(calls) == 2:
            raise EditError("can't keep it", where="/etc/os-release:3", remedy="look at it")
        return b"changed\n"

    monkeypatch.setattr("guestfix.plan.steps.find_op", lambda name: op)
    plan, decision = decided(tmp_path, rule)
    assert (decision.outcome, plan.changes) == ("failed", ())
    (finding,) = [one for one in plan.findings if one.code == "GF-RULE-FAILED"]
    assert (finding.severity, str(finding.evidence[0]), finding.remedy) == (
        "warning",
        "/etc/os-release:3",
        "look at it",
    )


def test_a_missing_fact_in_an_argument_is_a_failed_rule(tmp_path):
    rule = RULE.format(id="fstab/shares").replace("why: not reachable there", 'why: "{payload.dir}"')
    _, decision = decided(tmp_path, rule)
    assert decision.outcome == "failed" and "payload.dir is missing" in decision.because


def test_a_rule_that_would_change_nothing_is_not_offered(tmp_path):
    rule = RULE.format(id="fstab/shares").replace("certain", "likely").replace("/etc/fstab", "/etc/other")
    plan, decision = decided(tmp_path, rule)
    assert (decision.outcome, decision.because) == ("unchanged", "nothing to change")
    assert not plan.changes
    assert not [one for one in plan.findings if one.code == "GF-RULE-OFFERED"]
