"""Steps of a rule: their own conditions, what they tell for afterwards, links and files, kernel arguments."""

import pytest

from guestfix import make_plan, open_guest
from guestfix.base.errors import PackError
from guestfix.pack.cache import load_pack
from guestfix.plan.planner import Options
from tests.build.packs import RULE, make_pack
from tests.build.tree import build

OS = {"etc/os-release": "ID=debian\nVERSION_ID=12\n"}


@pytest.fixture(autouse=True)
def kept(tmp_path, monkeypatch):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))


def planned(tmp_path, steps, files=None, **options):
    """Plan one rule with these steps; return its decision and the plan."""
    text = RULE.format(id="x/y").partition("do:")[0] + f"do:\n{steps}"
    pack = load_pack(make_pack(tmp_path / "pack", {"x/y": text}))
    plan = make_plan(
        open_guest(str(build(tmp_path / "guest", {**OS, **(files or {})}))), pack, None, Options(**options)
    )
    return plan.decisions[0], plan


STEP = """  - in: /etc/a
    op: text.ensure_line
    args: {line: one, create: true}
  - in: /etc/a
    when: CONDITION
    op: text.ensure_line
    args: {line: two}
    follow_up: look at {os.id}
"""


@pytest.mark.parametrize(
    ("condition", "lines", "outcome"),
    [("os.id == debian", "one\ntwo\n", "applied"), ("[os.id == debian, os.version == 12]", "one\ntwo\n", "applied"),
     ("os.id == rhel", "one\n", "applied"), ("exists /etc/nothing", "one\n", "applied"),
     ("kernel.default == x", None, "undecided"), ("[os.id == rhel, kernel.default == x]", "one\n", "applied")],
)  # fmt: skip
def test_a_step_has_conditions_of_its_own(tmp_path, condition, lines, outcome):
    decision, plan = planned(tmp_path, STEP.replace("CONDITION", condition))
    assert decision.outcome == outcome
    assert [change.splices[0].data.decode() for change in plan.changes] == ([lines] if lines else [])
    assert plan.follow_ups == (("look at debian",) if lines == "one\ntwo\n" else ())
    if outcome == "undecided":
        assert "kernel.default == x" in decision.because


def test_what_changes_nothing_tells_nothing_for_afterwards(tmp_path):
    _, plan = planned(tmp_path, STEP.replace("CONDITION", "os.id == debian"), {"etc/a": "two\none\n"})
    assert not plan.changes and not plan.follow_ups


def test_mistakes_in_a_steps_conditions_are_told(tmp_path):
    with pytest.raises(PackError, match=r"rule\.yaml:14:19"):
        planned(tmp_path, STEP.replace("CONDITION", "os.id ==="))


def test_links_are_taken_away_each_by_its_own_name(tmp_path):
    files = {"etc/x": "x", "etc/d/a": ("link", "../x"), "etc/d/b": ("link", "../x"), "etc/d/c": ("link", "nowhere")}
    _, plan = planned(tmp_path, "  - in: /etc/d/*\n    op: file.delete\n", files)
    assert [(change.path, change.kind) for change in plan.changes] == [(f"/etc/d/{one}", "delete") for one in "abc"]
    assert "--- link to ../x\n+++ nothing" in plan.changes[0].diff


def test_an_editor_changes_the_file_that_links_lead_to_once(tmp_path):
    files = {"etc/x": "x\n", "etc/d/a": ("link", "../x"), "etc/d/b": ("link", "../x")}
    _, plan = planned(tmp_path, "  - in: /etc/d/*\n    op: text.ensure_line\n    args: {line: y}\n", files)
    assert [change.path for change in plan.changes] == ["/etc/x"]


def test_a_folder_is_neither_deleted_nor_made_a_link(tmp_path):
    for op, args in (("file.delete", ""), ("file.link", "\n    args: {to: x}")):
        decision, plan = planned(tmp_path / op, f"  - in: /etc/d\n    op: {op}{args}\n", {"etc/d": None})
        assert decision.outcome == "failed" and not plan.changes


def test_a_new_file_gets_its_mode(tmp_path):
    _, plan = planned(tmp_path, '  - in: /etc/a\n    op: file.create\n    args: {text: x, mode: "0600"}\n')
    assert plan.changes[0].meta.mode == 0o600


PROTECTED = [
    "/etc/passwd", "/etc/shadow", "/etc/shadow-", "/etc/sudoers.d/x", "/root/.ssh/authorized_keys",
    "/home/a/.ssh/authorized_keys", "/etc/ssh/ssh_host_rsa_key", "/var/lib/dpkg/status", "/var/lib/rpm/Packages",
]  # fmt: skip


@pytest.mark.parametrize("place", PROTECTED)
@pytest.mark.parametrize("there", [True, False])
@pytest.mark.parametrize("step", ["op: file.delete", "op: file.create\n    args: {text: x, replace: true}",
                                  "op: file.link\n    args: {to: /etc/x}",
                                  "op: text.ensure_line\n    args: {line: x, create: true}"])  # fmt: skip
def test_accounts_host_keys_and_packages_are_never_changed(tmp_path, place, there, step):
    files = {place[1:]: "a\n"} if there else {}
    decision, plan = planned(tmp_path, f"  - in: {place}\n    {step}\n", files)
    assert not plan.changes and (decision.outcome == "failed" or (not there and "delete" in step))


def test_links_lead_to_no_account_either(tmp_path):
    files = {"etc/shadow": "root:x\n", "etc/a": ("link", "shadow"), "srv": ("link", "/root"), "root/.ssh/x": ""}
    for place in ("/etc/a", "/srv/.ssh/x"):
        decision, plan = planned(
            tmp_path / place[1:2], f"  - in: {place}\n    op: text.ensure_line\n    args: {{line: y}}\n", files
        )
        assert decision.outcome == "failed" and "never changes user accounts" in decision.because and not plan.changes


def test_facts_stand_in_the_texts_of_a_list(tmp_path):
    step = '  - in: /etc/m\n    op: modprobe.blacklist\n    args: {create: true, modules: ["a-{os.id}", b]}\n'
    _, plan = planned(tmp_path, step)
    assert plan.changes[0].splices[0].data == b"blacklist a-debian\nblacklist b\n"


ARGUMENTS = """  - in: "@kernel-arguments"
    action: kernel.add_arguments
    args: {words: WORDS}
  - in: "@kernel-arguments"
    action: kernel.remove_arguments
    args: {words: ["console=*", quiet]}
"""
MENU = "menuentry 'a' {\n\tlinux /vmlinuz root=UUID=1 ro quiet console=ttyS9 x=1\n}\n"
DEFAULTS = 'GRUB_CMDLINE_LINUX="quiet x=1 console=tty0"\n'


def test_kernel_arguments_change_alike_in_every_place(tmp_path):
    files = {
        "boot/grub/grub.cfg": MENU,
        "etc/default/grub": DEFAULTS,
        "boot/vmlinuz": "",
        "etc/kernel/cmdline": "ro quiet\n",
    }
    _, plan = planned(tmp_path, ARGUMENTS.replace("WORDS", "[x=2, y]"), files)
    after = {change.path: change.diff for change in plan.changes}
    assert "+\tlinux /vmlinuz root=UUID=1 ro x=2 y" in after["/boot/grub/grub.cfg"]
    assert '+GRUB_CMDLINE_LINUX="x=2 y"' in after["/etc/default/grub"]
    assert "+ro x=2 y" in after["/etc/kernel/cmdline"]


@pytest.mark.parametrize("word", ['"a b"', '"a\\nb"', '"\\"a"', "a'b", "$a", '"a`b"', '""', '"a;b\\\\"'])
def test_words_that_are_no_argument_are_refused(tmp_path, word):
    decision, plan = planned(tmp_path, ARGUMENTS.replace("WORDS", f"[{word}]"), {"boot/grub/grub.cfg": MENU})
    assert decision.outcome == "failed" and "can't be one argument" in decision.because and not plan.changes
