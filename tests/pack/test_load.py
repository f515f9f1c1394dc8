"""Loading a pack: everything wrong with it is said at once, each at its line and column."""

import json
import shutil

import pytest

from guestfix.base.errors import GuestfixError, PackError
from guestfix.pack import cache
from guestfix.pack.cache import load_pack
from tests.build.packs import REAL, RULE, make_pack


@pytest.fixture(autouse=True)
def own_cache(tmp_path, monkeypatch):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))


def problems_of(pack):
    with pytest.raises(PackError) as caught:
        load_pack(pack)
    return caught.value.problems


def test_the_pack_that_ships_loads():
    pack = load_pack()
    assert pack.default_target in pack.targets
    assert set(pack.targets) == {
        "alibaba", "aws-nitro", "aws-xen", "azure", "azure-nvme", "cloudstack", "digitalocean", "esxi", "gce",
        "gce-nvme", "hetzner", "hyperv-gen1", "hyperv-gen2", "ibm-vpc", "incus", "kubevirt", "kvm-sata", "kvm-scsi",
        "kvm-virtio", "nutanix-ahv", "oci", "openstack", "proxmox", "proxmox-sata", "proxmox-virtio", "vmware",
        "vultr", "xcp-ng",
    }  # fmt: skip
    for target in pack.targets.values():
        assert target.drivers["storage"] and target.drivers["network"] and target.firmware and target.disk_bus
    for rule in pack.rules:
        assert rule.title and rule.why and rule.sources and rule.steps


def test_five_planted_mistakes_are_all_reported_at_their_places(tmp_path):
    good = RULE.format(id="fstab/shares")
    pack = make_pack(
        tmp_path / "pack",
        {
            "fstab/a": good.replace("fstab/shares", "fstab/a").replace("confidence: certain", "confidence: sure"),
            "fstab/b": good.replace("fstab/shares", "fstab/b").replace("os.family == linux", "os.family = linux"),
            "fstab/c": good.replace("fstab/shares", "fstab/c").replace("op: fstab.disable", "op: fstab.disabel"),
            "fstab/d": good.replace("fstab/shares", "fstab/d") + "title: again\n",
            "fstab/e": good.replace("fstab/shares", "fstab/e")
            .replace("types:", "kinds:")
            .replace("since: 2026-11-25\n", ""),
        },
    )
    found = {problem.where.removeprefix(f"{pack}/fix/fstab/"): str(problem.what) for problem in problems_of(pack)}
    assert "can't be 'sure'" in found["a/rule.yaml:6:13"]
    assert "can't be read as a condition" in found["b/rule.yaml:8:15"]
    assert "there is no op 'fstab.disabel'" in found["c/rule.yaml:11:9"]
    assert "a second time" in found["d/rule.yaml:13:1"]
    assert any("lacks the key 'since'" in what for what in found.values())
    assert any("no argument 'kinds'" in what for what in found.values())
    assert any("the argument 'types' is missing" in what for what in found.values())


def test_a_problem_shows_the_line_with_a_caret(tmp_path):
    pack = make_pack(tmp_path / "pack", {"fstab/shares": RULE.format(id="fstab/shares").replace("certain", "sure")})
    (problem,) = problems_of(pack)
    lines = str(problem).split("\n")
    assert lines[1] == "    confidence: sure"
    assert lines[2].index("^") == lines[1].index("sure")


YAML_MISTAKES = {
    "tab": "id:\tx\n\ty: 1\n",
    "unclosed": "id: [a\n",
    "two documents": RULE.format(id="fstab/shares") + "---\nid: b\n",
    "anchor": RULE.format(id="fstab/shares").replace("title: ", "title: &a "),
    "alias": RULE.format(id="fstab/shares").replace("title: Disable shares", "title: *a"),
    "tag": RULE.format(id="fstab/shares").replace("title: ", "title: !!python/object:os.system "),
    "empty": "",
    "a list": "- a\n",
    "text": "hello\n",
    "deep": "a: " + "[" * 100 + "]" * 100,
    "not utf-8": "\udcff",
    "bool-looking key": "yes: [1]\n",
}


@pytest.mark.parametrize("kind", YAML_MISTAKES)
def test_yaml_that_is_not_for_us_is_a_problem_not_a_crash(tmp_path, kind):
    pack = make_pack(tmp_path / "pack")
    text = YAML_MISTAKES[kind].encode("utf-8", "surrogateescape")
    (pack / "fix/fstab/shares/rule.yaml").write_bytes(text)
    for problem in problems_of(pack):
        assert ":" in problem.where


def test_values_are_text(tmp_path):
    rule = (
        RULE.format(id="fstab/shares")
        .replace("os.family == linux", "os.version == 7.10")
        .replace("Disable shares", "no")
    )
    pack = load_pack(make_pack(tmp_path / "pack", {"fstab/shares": rule}))
    assert pack.rules[0].title == "no"
    assert pack.rules[0].when == (["compare", "os.version", "==", "7.10"],)


def test_rules_run_after_those_they_name(tmp_path):
    def rule(name, after=""):
        return RULE.format(id=name) + (f"after: [{after}]\n" if after else "")

    rules = {"a/first": rule("a/first", "'z/*'"), "z/last": rule("z/last"), "m/mid": rule("m/mid", "a/first")}
    pack = load_pack(make_pack(tmp_path / "pack", rules))
    assert [one.id for one in pack.rules] == ["z/last", "a/first", "m/mid"]
    circle = {"a/one": rule("a/one", "a/two"), "a/two": rule("a/two", "a/one")}
    (problem,) = problems_of(make_pack(tmp_path / "circle", circle))
    assert "wait for each other: a/one, a/two" in problem.what
    (problem,) = problems_of(make_pack(tmp_path / "nobody", {"a/one": rule("a/one", "b/none")}))
    assert "no rule is named 'b/none'" in problem.what


@pytest.mark.parametrize(
    ("file", "old", "new", "said"),
    [
        ("targets/gce.yaml", "id: gce", "id: gcp", "must be 'gce'"),
        ("targets/gce.yaml", "clock: utc", "clock: gmt", "can't be 'gmt'"),
        ("targets/gce.yaml", "  network:", "  net:", "no key 'net'"),
        ("targets/gce.yaml", "date: 2026-11-30", "date: today", "must be a date"),
        ("pack.yaml", "default_target: kvm-virtio", "default_target: xyz", "no target 'xyz'"),
        ("pack.yaml", "default: keep", "default: perhaps", "can't be 'perhaps'"),
        ("pack.yaml", "policies:", "politics:", "no key 'politics'"),
        ("fix/fstab/shares/rule.yaml", "id: fstab/shares", "id: fstab/share", "must be 'fstab/shares'"),
        ("fix/fstab/shares/rule.yaml", "in: /etc/fstab", "in: etc/fstab", "absolute guest path"),
        ("fix/fstab/shares/rule.yaml", "why: They are not there.", "why: ' '", "'why' must be text"),
        ("fix/fstab/shares/rule.yaml", "op: fstab.disable", "opp: fstab.disable", "either an op or an action"),
        ("fix/fstab/shares/rule.yaml", "types: [cifs, vboxsf]", "types: {a: b}", "must"),
        ("fix/fstab/shares/rule.yaml", "do:", "does:", "lacks the key 'do'"),
    ],
)
def test_each_kind_of_mistake(tmp_path, file, old, new, said):
    pack = make_pack(tmp_path / "pack")
    text = (pack / file).read_text()
    assert old in text
    (pack / file).write_text(text.replace(old, new, 1))
    assert any(said in problem.what for problem in problems_of(pack)), [p.what for p in problems_of(pack)]


def test_a_rule_at_the_wrong_depth_is_a_problem(tmp_path):
    pack = make_pack(tmp_path / "pack")
    shutil.move(pack / "fix/fstab/shares/rule.yaml", pack / "fix/fstab/rule.yaml")
    assert "rules/fix/<topic>/<id>/rule.yaml" in problems_of(pack)[0].what


def test_no_pack_at_all(tmp_path):
    for folder in (tmp_path, tmp_path / "missing"):
        with pytest.raises(GuestfixError, match="rule pack"):
            load_pack(folder)


def test_the_cache_gives_the_same_pack_without_the_parsers(tmp_path, monkeypatch):
    pack = make_pack(tmp_path / "pack")
    first = load_pack(pack)
    (kept,) = (tmp_path / "cache/guestfix").iterdir()
    assert kept.name.startswith("pack-")

    def no_parser(*_):
        raise AssertionError("compiled again")

    monkeypatch.setattr("guestfix.pack.load.compile_packs", no_parser)
    assert load_pack(pack) == first


def test_the_cache_follows_the_pack_and_survives_damage(tmp_path):
    pack = make_pack(tmp_path / "pack")
    first = load_pack(pack)
    (kept,) = (tmp_path / "cache/guestfix").iterdir()
    for damage in ("", "{", "[]", json.dumps({"id": 1})):
        kept.write_text(damage)
        assert load_pack(pack) == first
    (pack / "pack.yaml").write_text((pack / "pack.yaml").read_text() + "# more\n")
    assert load_pack(pack).digest != first.digest


def test_a_cache_that_cannot_be_written_is_no_failure(tmp_path, monkeypatch):
    (tmp_path / "file").write_text("")
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "file"))
    assert load_pack(make_pack(tmp_path / "pack")).rules


def test_cases_are_no_part_of_the_digest(tmp_path):
    pack = make_pack(tmp_path / "pack")
    first = load_pack(pack).digest
    place = pack / "fix/fstab/shares/cases/one"
    place.mkdir(parents=True)
    (place / "case.yaml").write_text("title: x\n")
    assert load_pack(pack).digest == first


def test_the_real_pack_decodes_from_its_json():
    from guestfix.base.record import asdict

    pack = load_pack(REAL)
    assert cache.decode(json.loads(json.dumps(asdict(pack)))) == pack
