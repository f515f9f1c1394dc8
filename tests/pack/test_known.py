"""What a rule names and what there is not: a mistake at its place, with the nearest name."""

import shutil

import pytest

from guestfix.base.catalog.facts import FACTS, KINDS, FactKind
from guestfix.base.errors import PackError
from guestfix.detect import DETECTORS
from guestfix.pack.files import pack_files
from guestfix.pack.known import kind_of_type, known_facts
from guestfix.pack.load import compile_packs
from guestfix.pack.model import FAMILIES, Policy
from guestfix.pack.when import Use, read_condition
from tests.build.packs import RULE, make_pack


def small_pack(tmp_path, rule):
    """Return a pack of this one rule, without systems, which take long to read, and without the built-in pack."""
    pack = make_pack(tmp_path / "pack", {"fstab/shares": rule})
    shutil.rmtree(pack / "os")
    (pack / "compat.yaml").unlink()
    return compile_packs([str(pack)], [pack_files(str(pack))], built_in=False)


def mistake(tmp_path, rule):
    """Return place, sentence and remedy of the one mistake of a pack with this rule."""
    with pytest.raises(PackError) as caught:
        small_pack(tmp_path, rule)
    (problem,) = caught.value.problems
    file, line, column = problem.where.rsplit(":", 2)
    text = rule.splitlines()[int(line) - 1]
    assert file.endswith("fix/fstab/shares/rule.yaml")
    return text[int(column) - 1 :], problem.what.splitlines()[0], problem.remedy


def when(condition):
    return RULE.format(id="fstab/shares").replace("os.family == linux", condition)


def args(text, op="fstab.disable", files="/etc/fstab"):
    head = RULE.format(id="fstab/shares").partition("do:")[0]
    return f"{head}do:\n  - in: {files}\n    op: {op}\n    args: {{{text}}}\n"


CONDITIONS = [
    # condition, what stands at the place, the sentence, the remedy
    ("os.famly == linux", "os.famly == linux", "there is no fact 'os.famly'", "did you mean os.family?"),
    ("exists /etc/x or not os.famly", "os.famly", "there is no fact 'os.famly'", "did you mean os.family?"),
    ("known kernel.defalt", "kernel.defalt", "there is no fact 'kernel.defalt'", "did you mean kernel.default?"),
    ("policy.nsf == keep", "policy.nsf == keep", "there is no policy 'policy.nsf'", "did you mean policy.nfs?"),
    ("zzz.qqq", "zzz.qqq", "there is no fact 'zzz.qqq'", "see: guestfix list facts"),
    ("os.family == linus", "linus", "os.family can't be 'linus'", "did you mean linux?"),
    ("os.family in [linux, beos]", "beos]", "os.family can't be 'beos'", f"one of: {', '.join(sorted(FAMILIES))}"),
    ("os.family not in [linx]", "linx]", "os.family can't be 'linx'", "did you mean linux?"),
    ("policy.nfs != kep", "kep", "policy.nfs can't be 'kep'", "did you mean keep?"),
    ("target.id == aws-nito", "aws-nito", "target.id can't be 'aws-nito'", "did you mean aws-nitro?"),
    ("fstab.readable == yes", "yes", "fstab.readable can't be 'yes'", "one of: false, true"),
    ("network.active has netpln", "netpln", "network.active can't be 'netpln'", "did you mean netplan?"),
    ("os.service_pack == SP1", "SP1", "os.service_pack can't be 'SP1': it is a whole number", "write a whole number"),
    ("network.active == ifcfg", "network.active == ifcfg",
     "network.active is a list of texts, which is no single value", "write network.active has VALUE"),
    ("boot.default == x", "boot.default == x",
     "boot.default is a record, which is no single value", "ask whether it is there: boot.default"),
    ("os.family has linux", "os.family has linux",
     "os.family is a text, which has no items", "write os.family == VALUE"),
]  # fmt: skip


@pytest.mark.parametrize(("condition", "place", "what", "remedy"), CONDITIONS)
def test_a_condition_that_can_never_be_meant(tmp_path, condition, place, what, remedy):
    assert mistake(tmp_path, when(condition)) == (place, what, remedy)


@pytest.mark.parametrize(
    "condition",
    [
        "os.version >= 7.10", "os.id == nobody-knows-it", "kernel.default", "policy.nfs in [keep]",
        'policy.windows_locale == "de-DE"', "compat.kernels has 5.10", "boot.firmware == uefi or boot.esp",
        "os.service_pack < 3", "fstab.readable == true", "target.id == azure", "system.init == openrc",
    ],
)  # fmt: skip
def test_a_condition_that_can(tmp_path, condition):
    assert small_pack(tmp_path, when(condition)).rules


ARGUMENTS = [
    ('types: [nfs], sources: [], why: "{os.nam}"', "os.nam}", "there is no fact 'os.nam'", "did you mean os.name?"),
    ('types: [nfs], sources: [], why: "was {os.nam} once"', "os.nam} once", "there is no fact 'os.nam'",
     "did you mean os.name?"),
    ('types: "{network.actve}", sources: [], why: x', "network.actve}", "there is no fact 'network.actve'",
     "did you mean network.active?"),
    ('types: "{os.name}", sources: [], why: x', "os.name}",
     "the fact os.name is a text, and the argument takes a list of texts", "see: guestfix list ops"),
    ('types: [nfs], sources: [], why: "{network.active}"', "network.active}",
     "the fact network.active is a list of texts, and the argument takes a text", "see: guestfix list ops"),
    ('types: ["a {os.nam}"], sources: [], why: x', 'os.nam}"], ', "there is no fact 'os.nam'", "did you mean os.name?"),
    ('types: ["a {network.active}"], sources: [], why: x', 'network.active}"], ',
     "the fact network.active is a list of texts, and the argument takes a text", "see: guestfix list ops"),
    ("types: [nfs], source: [], sources: [], why: x", "[], ", "there is no argument 'source'", "did you mean sources?"),
]  # fmt: skip


@pytest.mark.parametrize(("text", "place", "what", "remedy"), ARGUMENTS)
def test_an_argument_that_can_never_be_meant(tmp_path, text, place, what, remedy):
    at, said, todo = mistake(tmp_path, args(text))
    assert at.startswith(place.rstrip()) and (said, todo) == (what, remedy)


@pytest.mark.parametrize(
    ("op", "what", "remedy"),
    [
        ("fstab.disabel", "there is no op 'fstab.disabel'", "did you mean fstab.disable?"),
        ("initramfs.inject", "there is no op 'initramfs.inject'", "it is an action: write action: initramfs.inject"),
        ("qqq", "there is no op 'qqq'", "see: guestfix list ops"),
    ],
)
def test_an_op_that_there_is_not(tmp_path, op, what, remedy):
    assert mistake(tmp_path, args("types: []", op)) == (op, what, remedy)


@pytest.mark.parametrize("path", ["/etc/../root/x", "/..", "/etc/.."])
def test_a_path_that_climbs(tmp_path, path):
    assert ".." in mistake(tmp_path, args("types: [], sources: [], why: x", files=path))[1]


def test_a_rule_that_waits_for_itself(tmp_path):
    rule = RULE.format(id="fstab/shares").replace("when:", "after: [fstab/shares]\nwhen:")
    assert mistake(tmp_path, rule)[1:] == ("the rule fstab/shares waits for itself", "take its own id out of 'after'")


def test_rules_that_wait_for_each_other_are_named_without_those_behind_them(tmp_path):
    after = {"a/one": "a/two", "a/two": "a/three", "a/three": "a/one", "a/four": "a/one", "b/five": "a/four"}
    rules = {name: RULE.format(id=name).replace("when:", f"after: [{other}]\nwhen:") for name, other in after.items()}
    pack = make_pack(tmp_path / "pack", rules)
    with pytest.raises(PackError) as caught:
        compile_packs([str(pack)], [pack_files(str(pack))], built_in=False)
    (problem,) = caught.value.problems
    assert problem.what.splitlines()[0] == "these rules wait for each other: a/one, a/three, a/two"


@pytest.mark.parametrize(
    ("code", "what", "remedy"),
    [
        ("GF-KERNEL-XN", "there is no finding 'GF-KERNEL-XN'", "did you mean GF-KERNEL-XEN?"),
        ("GF-WINDOWS-FIRMWARE", "the finding GF-WINDOWS-FIRMWARE has another name now", "write GF-BOOT-FIRMWARE"),
    ],
)
def test_a_finding_that_there_is_not(tmp_path, code, what, remedy):
    rule = RULE.format(id="fstab/shares").replace("do:", f"settles: [{code}]\ndo:")
    assert mistake(tmp_path, rule)[1:] == (what, remedy)


def test_every_mistake_is_told_at_once(tmp_path):
    rule = when("os.famly == linux and os.family == linus")
    with pytest.raises(PackError) as caught:
        small_pack(tmp_path, rule)
    assert len(caught.value.problems) == 2


def test_uses_have_their_columns():
    _, uses = read_condition('not (a.b == "c d" or e.f in [g, h]) and i.j')
    assert uses == (
        Use("a.b", 6, "compare", "==", (("c d", 13),)),
        Use("e.f", 22, "in", "", (("g", 30), ("h", 33))),
        Use("i.j", 41, "truth"),
    )


# the table


@pytest.mark.parametrize("name", FACTS)
def test_rows_are_whole(name):
    kind = FACTS[name]
    assert kind.kind in KINDS and kind.says and not kind.says.endswith(".")
    assert set(kind.by.split()) <= {*DETECTORS, "target", "options", "systems", "compat"}
    assert not kind.fields or kind.kind in ("record", "records")


@pytest.mark.parametrize(
    ("kind", "good", "bad"),
    [
        (FactKind("a.b", "text", "", ""), ["", "x"], [None, 1, True, []]),
        (FactKind("a.b", "text", "", "", "a b"), ["", "a"], ["c"]),
        (FactKind("a.b", "number", "", "", may_lack=True), [0, -3, None], [True, "1"]),
        (FactKind("a.b", "flag", "", ""), [True, False], [None, 0, "true"]),
        (FactKind("a.b", "list", "", "", "a b"), [[], ["a", "b"]], [["c"], "a", [1], {}]),
        (FactKind("a.b", "numbers", "", ""), [[], [1]], [[True], ["1"]]),
        (FactKind("a.b", "table", "", ""), [{}, {"a": "b"}], [{"a": 1}, [], "x"]),
        (FactKind("a.b", "record", "", "", fields="a b"), [{}, {"a": 1}], [{"c": 1}, [], None]),
        (FactKind("a.b", "records", "", "", fields="a"), [[], [{"a": []}]], [[{"c": 1}], [1], {}]),
    ],
)
def test_a_kind_knows_its_values(kind, good, bad):
    assert [one for one in good if not kind.fits(one)] == [] and [one for one in bad if kind.fits(one)] == []


def test_policies_are_facts():
    known = known_facts([Policy("speed", "How fast", "slow", ("slow", "as fast as can be"))], ["b", "a"])
    assert known["policy.speed"].values == ("slow", "as fast as can be")
    assert known["target.id"].values == ("a", "b") and list(known) == sorted(known)


@pytest.mark.parametrize(
    ("hint", "kind"),
    [(str, "text"), (str | None, "text"), (list[str], "list"), (bool, "flag"), (int, "number"), (int | str, "")],
)
def test_a_type_says_what_an_argument_takes(hint, kind):
    assert kind_of_type(hint) == kind
