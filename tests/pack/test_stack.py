"""Packs on top of each other: what is added, replaced, extended and disabled, told, kept, and refused."""

import json

import pytest

from guestfix import make_plan, open_guest
from guestfix.base.errors import PackError, UsageError
from guestfix.base.facts import Facts
from guestfix.cases.runner import copy_guest
from guestfix.cli import run
from guestfix.compat import judge
from guestfix.pack.cache import load_pack
from guestfix.pack.model import PolicyDefault
from guestfix.pack.traits import facts_of
from guestfix.plan.planner import Options
from guestfix.report.text import render_plan
from tests.build.packs import REAL, RULE, make_pack


@pytest.fixture(autouse=True)
def kept(tmp_path, monkeypatch):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))


def pack(tmp_path, name="acme", extends="guestfix", more="", files=None):
    """Write a small pack on top of another one."""
    root = tmp_path / name
    root.mkdir()
    extends = f"extends: {extends}\n" if extends else ""
    (root / "pack.yaml").write_text(f"id: {name}\nversion: '1.0'\n{extends}{more}")
    for place, text in (files or {}).items():
        (root / place).parent.mkdir(parents=True, exist_ok=True)
        (root / place).write_text(text)
    return root


def rule(ident, **changes):
    text = RULE.format(id=ident)
    for old, new in changes.items():
        text = text.replace(f"\n{old}: ", f"\n{old}: {new} #", 1)
    return {f"fix/{ident}/rule.yaml": text}


def changes(loaded, at=-1):
    return [(one["what"], one["kind"], one["id"]) for one in loaded.parts[at].changes]


def problems(*roots):
    with pytest.raises(PackError) as raised:
        load_pack(*roots)
    return str(raised.value)


def guest(tmp_path, ident="debian", version="12"):
    root = tmp_path / "guest"
    (root / "etc").mkdir(parents=True)
    (root / "etc/os-release").write_text(f"ID={ident}\nVERSION_ID={version}\n")
    (root / "etc/fstab").write_text("/dev/sda1 / ext4 defaults 0 1\nnas:/x /x nfs defaults 0 0\n")
    return open_guest(str(root))


def test_a_pack_adds_to_the_one_that_came_along(tmp_path):
    alone, loaded = load_pack(), load_pack(pack(tmp_path, files=rule("acme/shares")))
    assert {one.id for one in loaded.rules} == {one.id for one in alone.rules} | {"acme/shares"}
    assert loaded.targets == alone.targets and loaded.policies == alone.policies
    assert loaded.version == f"{alone.version} + acme 1.0" and loaded.digest != alone.digest
    assert changes(loaded) == [("added", "rule", "acme/shares")]


def test_a_pack_that_extends_nothing_stands_alone(tmp_path):
    root = make_pack(tmp_path / "own")
    loaded = load_pack(root)
    assert [one.id for one in loaded.rules] == ["fstab/shares"] and len(loaded.parts) == 1
    top = pack(tmp_path, files=rule("acme/shares"))
    assert [one.id for one in load_pack(root, top).rules] == ["acme/shares", "fstab/shares"]


def test_a_later_pack_replaces_by_id(tmp_path):
    title = "Our own menu"
    loaded = load_pack(pack(tmp_path, files=rule("boot/menu-timeout", title=title)))
    (found,) = [one for one in loaded.rules if one.id == "boot/menu-timeout"]
    assert found.title == title and found.steps[0].op == "fstab.disable"
    assert changes(loaded) == [("replaced", "rule", "boot/menu-timeout")]


def test_the_order_of_packs_counts(tmp_path):
    one = pack(tmp_path, "one", files=rule("x/y", title="One"))
    two = pack(tmp_path, "two", files=rule("x/y", title="Two"))
    for roots, title in (((one, two), "Two"), ((two, one), "One"), (([one, two],), "Two")):
        (found,) = [one for one in load_pack(*roots).rules if one.id == "x/y"]
        assert found.title == title
    assert changes(load_pack(one, two)) == [("replaced", "rule", "x/y")]
    assert load_pack(one, two).digest != load_pack(two, one).digest


def test_rules_are_disabled_by_id_and_glob(tmp_path):
    loaded = load_pack(pack(tmp_path, more="disable: [boot/console, grub/*]\n"))
    ids = {one.id for one in loaded.rules}
    assert "boot/console" not in ids and not any(one.startswith("grub/") for one in ids)
    assert "boot/menu-timeout" in ids
    assert changes(loaded) == [
        ("disabled", "rule", f"{one}") for one in ("boot/console", "grub/default", "grub/timeout")
    ]


def test_rules_that_waited_for_a_disabled_one_still_load(tmp_path):
    loaded = load_pack(pack(tmp_path, more="disable: [boot/stable-device-arguments]\n"))
    assert "boot/console" in {one.id for one in loaded.rules}


def test_a_pack_may_disable_and_a_later_one_bring_it_back(tmp_path):
    one = pack(tmp_path, "one", more="disable: boot/console\n")
    two = pack(tmp_path, "two", extends="one", files=rule("boot/console", title="Back"))
    assert [rule.title for rule in load_pack(one, two).rules if rule.id == "boot/console"] == ["Back"]


def test_a_target_starts_from_another_one(tmp_path):
    text = "extends: kvm-virtio\nid: cloud\ntitle: Our cloud\nkernel_args: [nohz=off]\n"
    loaded = load_pack(pack(tmp_path, more="default_target: cloud\n", files={"targets/cloud.yaml": text}))
    cloud, base = loaded.targets["cloud"], loaded.targets["kvm-virtio"]
    assert (cloud.title, cloud.kernel_args, cloud.drivers) == ("Our cloud", ("nohz=off",), base.drivers)
    assert loaded.default_target == "cloud" and changes(loaded) == [("added", "target", "cloud")]


def test_a_target_of_the_same_id_is_extended_or_replaced(tmp_path):
    one = pack(tmp_path, "one", files={"targets/azure.yaml": "extends: azure\nid: azure\nlimits: {volumes: 64}\n"})
    loaded = load_pack(one)
    assert loaded.targets["azure"].limits == {**load_pack().targets["azure"].limits, "volumes": 64}
    assert loaded.targets["gce"].limits["volumes"] == 21
    assert changes(loaded) == [("extended", "target", "azure")]


def test_rows_are_added_to_a_system_and_looked_at_first(tmp_path):
    text = """id: rhel
extends: rhel
releases: ["11.0 - 11.2"]
rows:
  - {version: "8.10", verdict: supported, source: our own tests, date: 2026-11-29}
  - {version: "11.0 - 11.2", verdict: supported, source: our own tests, date: 2026-11-29}
"""
    loaded = load_pack(pack(tmp_path, files={"os/rhel/os.yaml": text}))
    assert changes(loaded) == [("extended", "system", "rhel")]
    for version, status in (("8.10", "supported"), ("11.1", "supported"), ("8.9", "supported"), ("12.0", "unlisted")):
        facts = Facts()
        for name, value in (("os.family", "linux"), ("os.id", "rhel"), ("os.version", version), ("os.arch", "x86_64")):
            facts.put(name, value)
        verdict = judge(loaded.systems, facts)
        assert verdict.status == status, version
        assert (verdict.source == "our own tests") is (version in ("8.10", "11.1"))
    before = judge(load_pack().systems, facts)
    assert before.status == "unlisted"


def test_facts_of_a_system_are_added_one_by_one(tmp_path):
    source = "sources: [{tells: init, source: our own tests, date: 2026-11-29}]\n"
    files = {
        "os/debian/os.yaml": "id: debian\nextends: debian\nnames: {lsb: [acme]}\nfacts: {init: sysv}\n" + source,
        "os/fork/os.yaml": "id: fork\ntitle: Fork\nextends: debian\nfacts: {init: openrc}\n" + source,
    }
    loaded = load_pack(pack(tmp_path, files=files))
    debian, fork = (next(one for one in loaded.systems if one.id == ident) for ident in ("debian", "fork"))
    assert facts_of(loaded.systems, "debian", (), "12")["init"] == "sysv"
    assert facts_of(loaded.systems, "fork", (), "12")["init"] == "openrc"
    assert debian.facts["kernels"] == fork.facts["kernels"]
    assert debian.names.lsb == ("acme",) and "debian" in debian.names.words
    assert fork.names.words == (), "a guest that says Debian is still Debian"


def test_a_system_is_added_and_replaced(tmp_path):
    text = """id: {id}
title: Ours
family: linux
arch: [x86_64]
releases: ["1"]
rows:
  - {{version: "1", verdict: supported, source: s, date: 2026-11-29}}
"""
    files = {f"os/{one}/os.yaml": text.format(id=one) for one in ("acmeos", "rhel")}
    loaded = load_pack(pack(tmp_path, files=files))
    assert changes(loaded) == [("added", "system", "acmeos"), ("replaced", "system", "rhel")]
    titles = {one.id: one.title for one in loaded.systems}
    assert titles["acmeos"] == titles["rhel"] == "Ours" and titles["sles"] != "Ours"


def test_policies_are_added_and_extended(tmp_path):
    more = """policies:
  - {id: nfs, default: nofail}
  - {id: agent, title: Whether our agent stays, default: keep, values: [keep, remove]}
"""
    loaded = load_pack(pack(tmp_path, more=more))
    assert loaded.policies["nfs"].default == "nofail" and loaded.policies["nfs"].values == ("keep", "nofail", "disable")
    assert loaded.policies["agent"].default == "keep" and "network" in loaded.policies
    assert changes(loaded) == [("extended", "policy", "nfs"), ("added", "policy", "agent")]


DEFAULTS = """policies:
  - id: nfs
    default_for:
      - {target: azure, value: nofail}
      - {system: windows-server, value: nofail}
      - {system: debian, target: gce, value: disable}
"""


@pytest.mark.parametrize(
    ("target", "system", "given", "value"),
    [("azure", "debian", {}, "nofail"), ("gce", "debian", {}, "disable"), ("gce", "rhel", {}, "keep"),
     ("kvm-scsi", "debian", {}, "keep"), ("azure", "debian", {"nfs": "keep"}, "keep"), ("azure", "none", {}, "nofail")],
)  # fmt: skip
def test_policies_have_values_for_targets_and_systems(tmp_path, target, system, given, value):
    loaded = load_pack(pack(tmp_path, more=DEFAULTS))
    assert PolicyDefault("nofail", "azure") in loaded.policies["nfs"].default_for
    plan = make_plan(guest(tmp_path, system), loaded, target, Options(policies=given))
    assert plan.policies["nfs"] == value
    changed = "".join(change.diff for change in plan.changes if change.path == "/etc/fstab")
    assert ("nofail" in changed) is (value == "nofail")


def test_a_windows_system_has_its_values_too(tmp_path):
    more = "policies:\n  - {id: network, default_for: [{system: windows-server, value: preserve}]}\n"
    copy_guest(REAL / "os/windows-server/cases/2019/in", tmp_path / "guest")
    plan = make_plan(open_guest(str(tmp_path / "guest")), load_pack(pack(tmp_path, more=more)))
    assert plan.policies["network"] == "preserve"


@pytest.mark.parametrize(
    ("text", "message"),
    [("{target: azur, value: keep}", "there is no target 'azur'\n    .*did you mean azure"),
     ("{system: debain, value: keep}", "did you mean debian"), ("{target: azure, value: x}", "'value' can't be 'x'"),
     ("{value: keep}", "a default for what"), ("{target: azure}", "lacks the key 'value'")],
)  # fmt: skip
def test_mistakes_in_defaults_are_told(tmp_path, text, message):
    import re

    found = problems(pack(tmp_path, more=f"policies:\n  - {{id: nfs, default_for: [{text}]}}\n"))
    assert re.search(message, found, re.DOTALL) and "pack.yaml:5:" in found


def test_sets_of_paths_are_named_added_to_and_replaced(tmp_path):
    more = 'paths:\n  grub-legacy: ["@grub-legacy", /boot/old/menu.lst]\n  ours: [/etc/a, "@grub-legacy"]\n'
    files = {"fix/x/y/rule.yaml": RULE.format(id="x/y").replace("in: /etc/fstab", 'in: ["@ours", /etc/fstab]')}
    loaded = load_pack(pack(tmp_path, more=more, files=files))
    legacy = ("/boot/grub/menu.lst", "/boot/grub/grub.conf", "/boot/efi/*/*/grub.conf", "/boot/old/menu.lst")
    steps = {one.id: one.steps for one in loaded.rules}
    assert steps["x/y"][0].globs == ("/etc/a", *legacy, "/etc/fstab")
    assert steps["boot/menu-timeout"][1].globs == legacy
    assert ("replaced", "paths", "grub-legacy") in changes(loaded) and ("added", "paths", "ours") in changes(loaded)


@pytest.mark.parametrize(
    ("paths", "place", "message"),
    [("", "@kernel-argument", "did you mean kernel-arguments?"), ("a: [/x]", "@", "there is no set of paths '@'"),
     ('a: ["@b"]\n  b: ["@a"]', "@a", "holds itself"), ('a: ["@a"]', "@a", "holds itself"),
     ("a: [/../x]", "@a", "may not leave"), ("a: [x]", "@a", "must be an absolute"), ('a: ["@z"]', "@a", "no set"),
     (f"a: [{', '.join(f'/x{n}' for n in range(300))}]", "@a", "more than 256 paths")],
)  # fmt: skip
def test_mistakes_in_sets_are_told(tmp_path, paths, place, message):
    more = f"paths:\n  {paths}\n" if paths else ""
    files = {"fix/x/y/rule.yaml": RULE.format(id="x/y").replace("in: /etc/fstab", f'in: "{place}"')}
    assert message in problems(pack(tmp_path, more=more, files=files))


def test_sets_can_not_multiply(tmp_path):
    sets = "".join(f'  s{n + 1}: ["@s{n}", "@s{n}", /y{n}]\n' for n in range(200))
    more = f"paths:\n  s0: [{', '.join(f'/x{n}' for n in range(100))}]\n{sets}"
    assert "more than 256 paths" in problems(pack(tmp_path, more=more))
    deep = "".join(f'  s{n}: ["@s{n + 1}"]\n' for n in range(100))
    assert "without end" in problems(pack(tmp_path, "deep", more=f"paths:\n{deep}  s100: [/x]\n"))


def test_tables_get_rows(tmp_path):
    files = {
        "tables/antivirus.yaml": "Acme Shield: [AcmeSvc]\nESET: [ekrn, ekrn2]\n",
        "tables/import-limits.yaml": "volumes: 99\n",
        "tables/windows-products.yaml": "Acme Tools: {platform: acme, services: [AcmeTools]}\n",
    }
    loaded = load_pack(pack(tmp_path, files=files))
    assert loaded.tables["antivirus"]["Acme Shield"] == ["acmesvc"]
    assert loaded.tables["antivirus"]["ESET"] == ["ekrn", "ekrn2"] and "Sophos" in loaded.tables["antivirus"]
    assert loaded.targets["azure"].limits["volumes"] == 99 and loaded.targets["azure"].limits["disk_bytes"] == 16 << 40
    assert {"VMware Tools", "Acme Tools"} <= loaded.tables["windows-products"].keys()
    assert ("replaced", "row of antivirus", "ESET") in changes(loaded)
    assert ("added", "row of antivirus", "Acme Shield") in changes(loaded)


MISTAKES = {
    "no such pack": ({"extends": "gestfix"}, "no pack 'gestfix' beneath", "did you mean guestfix?"),
    "disable": ({"more": "disable: [boot/consle]\n"}, "no rule of the packs beneath", "did you mean boot/console?"),
    "base target": ({"files": {"targets/x.yaml": "id: x\nextends: azuer\n"}}, "no target 'azuer'", "azure?"),
    "base system": ({"files": {"os/x/os.yaml": "id: x\nextends: rhell\n"}}, "no system 'rhell'", "mean rhel?"),
    "base rule": ({"files": {"fix/a/b/rule.yaml": "id: a/b\nextends: c/d\n"}}, "no rule 'c/d'", "in the packs"),
    "table": ({"files": {"tables/antvirus.yaml": "a: b\n"}}, "no table 'antvirus'", "did you mean antivirus?"),
    "default target": ({"more": "default_target: azzure\n"}, "no target 'azzure'", "did you mean azure?"),
    "after": ({"files": rule("x/y", since="2026-11-25\nafter: [boot/consol]")}, "no rule is named", "boot/console?"),
    "id": ({"name": "guestfix"}, "has the id 'guestfix' already", ""),
    "a key": ({"more": "disabled: []\n"}, "has no key 'disabled'", "known keys"),
}  # fmt: skip


@pytest.mark.parametrize("name", MISTAKES)
def test_mistakes_are_told_at_their_place_with_the_nearest_name(tmp_path, name):
    arguments, message, remedy = MISTAKES[name]
    found = problems(pack(tmp_path, **arguments))
    assert message in found and remedy in found and str(tmp_path) in found


def test_a_pack_that_stands_alone_comes_first(tmp_path):
    one, two = pack(tmp_path, "one"), pack(tmp_path, "two", extends="")
    assert "stands alone" in problems(one, two) and "extends: one" in problems(one, two)


def test_too_many_packs_are_refused(tmp_path):
    with pytest.raises(UsageError, match="more than 16"):
        load_pack([tmp_path] * 17)


def test_the_cache_holds_a_stack(tmp_path, monkeypatch):
    one, two = pack(tmp_path, "one", files=rule("x/y")), pack(tmp_path, "two", more=DEFAULTS)
    first = load_pack(one, two)
    monkeypatch.setattr("guestfix.pack.load.compile_packs", None)
    assert load_pack(one, two) == first
    with pytest.raises(TypeError):
        load_pack(two, one)
    monkeypatch.undo()
    (one / "fix/x/y/rule.yaml").write_text(RULE.format(id="x/y").replace("They are not", "It is not"))
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    assert load_pack(one, two).digest != first.digest


def test_every_override_is_told_in_the_report_and_in_json(tmp_path, capsys, monkeypatch):
    files = rule("boot/menu-timeout") | rule("x/y")
    one = pack(tmp_path, more="disable: boot/console\npolicies: [{id: nfs, default: nofail}]\n", files=files)
    two = pack(tmp_path, "two", extends="acme")
    place = guest(tmp_path).uri
    told = [
        "  pack     acme 1.0: adds rule x/y; extends policy nfs; replaces rule boot/menu-timeout; "
        "disables rule boot/console",
        "  pack     two 1.0: changes nothing",
    ]
    monkeypatch.setenv("COLUMNS", "1000")
    run(["report", "--pack", str(one), "--pack", str(two), place])
    assert [line for line in capsys.readouterr().out.splitlines() if line.startswith("  pack ")] == told
    run(["report", "--pack", str(one), "--pack", str(two), "--format", "json", place])
    packs = json.loads(capsys.readouterr().out)["versions"]["packs"]
    assert [part["id"] for part in packs] == ["guestfix", "acme", "two"] and packs[0]["changes"] == []
    assert {"what": "disabled", "kind": "rule", "id": "boot/console"} in packs[1]["changes"]
    run(["report", "--format", "json", place])
    assert "packs" not in json.loads(capsys.readouterr().out)["versions"]
    assert "\n  pack " not in render_plan(make_plan(open_guest(place), load_pack()))


def test_other_commands_take_packs(tmp_path, capsys):
    text = "id: rhel\nextends: rhel\nrows:\n  - {version: '8.10', verdict: supported, source: s, date: 2026-11-29}\n"
    top = pack(tmp_path, files={"os/rhel/os.yaml": text, "targets/x.yaml": "extends: gce\nid: x\n"})
    assert run(["compat", "show", "--pack", str(top), "rhel", "8.10"]) == 0
    assert capsys.readouterr().out.startswith("supported")
    assert run(["inspect", "--pack", str(top), "--target", "x", guest(tmp_path).uri]) == 0


def test_the_cases_of_a_pack_on_top_run_with_what_is_beneath(tmp_path, capsys, monkeypatch):
    monkeypatch.delenv("CI", raising=False)  # where --bless is refused
    top = pack(tmp_path, files=rule("x/y"))
    case = top / "fix/x/y/cases/one"
    (case / "in/etc").mkdir(parents=True)
    (case / "case.yaml").write_text("title: t\ntarget: azure\nrules: [x/y, fstab/network-filesystems]\n")
    (case / "in/etc/os-release").write_text("ID=debian\nVERSION_ID=12\n")
    assert run(["test", str(top), "--bless"]) == 0
    assert "x/y: unchanged" in (case / "expect.txt").read_text()
    assert run(["test", str(top)]) == 0
