"""The table of findings: nothing is found that it does not have, and every row is found by something."""

import ast
import re
from pathlib import Path

import pytest

from guestfix.backends.directory import DirectoryGuest
from guestfix.base.catalog.findings import FINDINGS, RENAMED, SEVERITIES, STAGES
from guestfix.base.errors import UsageError
from guestfix.base.facts import Evidence, Finding
from guestfix.base.patterns import regex
from guestfix.pack.cache import load_pack
from guestfix.plan.planner import Options, make_plan
from guestfix.walk.linux.untold import VITAL
from tests.build.tree import build, elf

ROOT = Path(__file__).resolve().parents[3]
CODE = regex(r"GF-[A-Z0-9]+(?:-[A-Z0-9]+)*\Z")
SOURCES = [path for path in sorted((ROOT / "guestfix").rglob("*.py")) if "catalog" not in path.parts]
HERE = (Evidence("/etc/fstab"),)


def trees():
    for path in SOURCES:
        yield path, ast.parse(path.read_text())


def written():
    """Yield every text of the source that is a code, with its place."""
    for path, tree in trees():
        for node in ast.walk(tree):
            if isinstance(node, ast.Constant) and isinstance(node.value, str) and CODE.match(node.value):
                yield node.value, f"{path.relative_to(ROOT)}:{node.lineno}"


def composed():
    """Yield a pattern for every text of the source that makes a code from parts."""
    for _, tree in trees():
        for node in ast.walk(tree):
            if isinstance(node, ast.JoinedStr) and ast.unparse(node)[2:].startswith("GF-"):
                parts = [one.value if isinstance(one, ast.Constant) else "[A-Z0-9]+" for one in node.values]
                yield regex("".join(parts) + r"\Z")


def told():
    """Yield every code that a rule of the bundled pack writes out for ``guest.tell``."""
    for rule in load_pack().rules:
        for step in rule.steps:
            if step.action == "guest.tell" and step.args["code"][0] == "const":
                yield step.args["code"][1]


def calls():
    """Yield every call that makes a finding: place, its code node, its severity node, the call."""
    for path, tree in trees():
        for node in ast.walk(tree):
            if not isinstance(node, ast.Call):
                continue
            name = node.func.attr if isinstance(node.func, ast.Attribute) else getattr(node.func, "id", "")
            made = name == "Finding" or ast.unparse(node.func).endswith("bench.find")
            if made and len(node.args) > 2 and path.name not in ("model.py", "workbench.py"):
                yield f"{path.relative_to(ROOT)}:{node.lineno}", node


def texts(node):
    """Return what a node of the source can be, where it is written out: a text, or one of two."""
    if isinstance(node, ast.IfExp):
        return texts(node.body) | texts(node.orelse)
    return {node.value} if isinstance(node, ast.Constant) and isinstance(node.value, str) else set()


def test_every_code_of_the_source_is_in_the_table():
    assert not [(code, place) for code, place in written() if code not in FINDINGS]


def test_every_row_is_found_by_something():
    whole, patterns = {code for code, _ in written()} | set(told()), list(composed())
    assert not [code for code in FINDINGS if code not in whole and not any(one.match(code) for one in patterns)]


def test_every_step_that_boot_needs_has_a_row_for_what_cannot_be_told():
    rows = {code for code in FINDINGS if code.startswith("GF-UNTOLD-")}
    assert rows == {f"GF-UNTOLD-{step.upper()}" for step in VITAL}
    assert all(FINDINGS[f"GF-UNTOLD-{step.upper()}"].stage == step for step in VITAL)


def test_every_severity_of_the_source_is_allowed():
    seen = 0
    for place, call in calls():
        codes = texts(call.args[0]) & set(FINDINGS)  # where the source chooses between two, it chooses both at once
        for severity in texts(call.args[1]) if codes else ():
            seen += 1
            assert any(severity in FINDINGS[code].severities for code in codes), f"{place}: {codes} as {severity}"
    assert seen > 100


def test_every_finding_is_made_with_evidence():
    for place, call in calls():
        given = len(call.args) > 3 or any(word.arg == "evidence" for word in call.keywords)
        assert given, f"{place}: {ast.unparse(call)}"


def test_every_note_that_becomes_a_finding_has_a_code():
    for path, tree in trees():
        for node in ast.walk(tree):
            if isinstance(node, ast.Call) and getattr(node.func, "id", "") == "Note" and texts(node.args[0]):
                coded = len(node.args) == 6 or any(word.arg == "code" for word in node.keywords)
                assert coded or texts(node.args[0]) == {"follow_up"}, f"{path}:{node.lineno}"


@pytest.mark.parametrize("code", FINDINGS)
def test_rows_are_whole(code):
    kind = FINDINGS[code]
    assert CODE.match(code) and kind.stage in STAGES
    assert kind.severities and list(kind.severities) == sorted(kind.severities, key=SEVERITIES.index, reverse=True)
    assert kind.meaning.endswith(".") and len(kind.meaning) > 20
    assert kind.remedy and not kind.remedy.endswith(".")


def test_names_of_old_lead_to_rows_and_are_none():
    assert set(RENAMED.values()) <= set(FINDINGS) and not set(RENAMED) & set(FINDINGS)


@pytest.mark.parametrize("path", sorted(ROOT.glob("docs/*.md")), ids=lambda path: path.name)
def test_documents_name_no_code_that_is_none(path):
    words = {word.strip("`|,.:;()*") for word in path.read_text().split()}
    assert not [word for word in words if CODE.match(word) and word not in FINDINGS]


@pytest.mark.parametrize(
    ("code", "severity"), [("GF-NONE", "info"), ("GF-DISK-LUKS", "blocker"), ("GF-DISK-LUKS", "x")]
)
def test_what_the_table_does_not_have_cannot_be_made(code, severity):
    with pytest.raises(ValueError, match=code):
        Finding(code, severity, "said", HERE)


def test_a_finding_without_a_remedy_has_that_of_its_row():
    assert Finding("GF-DISK-LUKS", "warning", "said", HERE).remedy == FINDINGS["GF-DISK-LUKS"].remedy
    assert Finding("GF-DISK-LUKS", "warning", "said", HERE, "do so").remedy == "do so"


def test_a_finding_by_a_name_of_old_has_the_name_of_today():
    assert Finding("GF-WINDOWS-FIRMWARE", "blocker", "said", HERE).code == "GF-BOOT-FIRMWARE"


# --accept


def plan_of(tmp_path, *accept):
    files = {
        "etc/os-release": "ID=debian\nVERSION_ID=5\n",
        "bin/sh": elf(),
        "etc/fstab": "UUID=1 / ext4 defaults 0 1\n",
    }
    guest = DirectoryGuest(str(build(tmp_path / "g", files)))
    return make_plan(guest, load_pack(), "aws-nitro", Options(accept=accept, policies={"compat": "strict"}))


@pytest.mark.parametrize("accept", ["GF-OS-UNSUPPORTED", "GF-OS-*"])
def test_an_accepted_blocker_is_a_warning(tmp_path, accept):
    assert [one.code for one in plan_of(tmp_path).blockers] == ["GF-OS-UNSUPPORTED"]
    assert not plan_of(tmp_path, accept).blockers


def test_a_name_of_old_is_accepted_and_told(tmp_path, monkeypatch):
    monkeypatch.setitem(RENAMED, "GF-OS-REFUSED", "GF-OS-UNSUPPORTED")
    plan = plan_of(tmp_path, "GF-OS-REFUSED")
    assert not plan.blockers
    (note,) = [one for one in plan.findings if one.code == "GF-ACCEPT-RENAMED"]
    assert "GF-OS-REFUSED is called GF-OS-UNSUPPORTED now" in note.summary


@pytest.mark.parametrize(
    ("accept", "remedy"),
    [
        ("GF-OS-UNSUPORTED", "did you mean GF-OS-UNSUPPORTED?"),
        ("GF-XYZ-*", "see all of them with: guestfix list findings"),
    ],
)
def test_a_code_of_no_finding_is_a_mistake(tmp_path, accept, remedy):
    with pytest.raises(UsageError) as caught:
        plan_of(tmp_path, accept)
    assert caught.value.remedy == remedy


NAMES = ("Windows ", "GRUB", "SSH", "LILO", "UEFI", "BIOS", "NetworkManager", "Remote Desktop", "BitLocker")


def test_summaries_and_remedies_are_of_one_style():
    """A clause that follows the code: it begins small unless with a name, and has no full stop at its end."""
    golden = sorted((ROOT / "rules").rglob("expect.txt"))
    said = [line for path in golden for line in path.read_text().splitlines()]
    line_of = re.compile(r"  GF-[A-Z0-9-]+: (.*?)(?: \[[a-z0-9-]+/[a-z0-9-]+\])?$")
    summaries = [found[1] for line in said if (found := line_of.match(line))]
    remedies = [line.removeprefix("      remedy: ") for line in said if line.startswith("      remedy: ")]
    assert len(summaries) > 300 and len(remedies) > 300
    names = (*NAMES, *(system.title for system in load_pack().systems))
    for text in {*summaries, *remedies}:
        assert not text.endswith("."), text
        first = text.split()[0]
        assert first[0].islower() or not first.isalpha() or text.startswith(names) or not first[1:].islower(), text
