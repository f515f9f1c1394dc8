"""The case runner itself: it finds each law broken, blesses, refuses under CI, and harvests."""

import json
import shutil

import pytest

from guestfix.base.errors import PackError
from guestfix.cases import runner as cases
from guestfix.cases.runner import compare, find_cases, read_case, run_case, snapshot
from guestfix.cli import run
from guestfix.pack.cache import load_pack
from tests.build.packs import make_pack
from tests.build.tree import build, elf

FSTAB = "UUID=1 / ext4 defaults 0 1\n//nas/share /mnt/share cifs guest 0 0\n"


@pytest.fixture(autouse=True)
def own_cache(tmp_path, monkeypatch):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    monkeypatch.delenv("CI", raising=False)


@pytest.fixture
def pack(tmp_path):
    pack = make_pack(tmp_path / "pack")
    case = pack / "fix/fstab/shares/cases/one"
    build(
        case,
        {"case.yaml": "title: a share\n", "in/etc/os-release": "ID=debian\nVERSION_ID=12\n", "in/etc/fstab": FSTAB},
    )
    return pack


def outcome_of(pack):
    (case,) = find_cases(pack)
    return run_case(case, load_pack(pack))


def test_a_good_rule_keeps_all_laws(pack):
    outcome = outcome_of(pack)
    assert outcome.failures == ()
    assert "edit /etc/fstab [fstab/shares]" in outcome.text
    assert "GF-OS" not in outcome.text, "a rule's case shows that rule alone"
    assert compare(outcome) != "", "there is no golden report yet"


def test_bless_writes_the_golden_report_and_a_difference_fails(pack, capsys):
    assert run(["test", str(pack)]) == 1
    assert run(["test", str(pack), "--bless"]) == 0
    assert run(["test", str(pack)]) == 0
    assert capsys.readouterr().out.endswith("1 cases passed, 0 failed\n")
    golden = pack / "fix/fstab/shares/cases/one/expect.txt"
    golden.write_text(golden.read_text().replace("cifs", "nfs4"))
    assert run(["test", str(pack / "fix/fstab"), "--format", "json"]) == 1
    rows = json.loads(capsys.readouterr().out)
    assert (rows["passed"], rows["failed"]) == (0, 1)
    assert "nfs4" in rows["cases"][0]["diff"]


def test_bless_is_refused_under_ci(pack, monkeypatch, capsys):
    monkeypatch.setenv("CI", "true")
    assert run(["test", str(pack), "--bless"]) == 64
    assert not (pack / "fix/fstab/shares/cases/one/expect.txt").exists()
    assert "refused under CI" in capsys.readouterr().err


def test_no_case_and_no_pack(pack, tmp_path, capsys):
    shutil.rmtree(pack / "fix/fstab/shares/cases")
    assert run(["test", str(pack)]) == 2
    (tmp_path / "nothing").mkdir()
    assert run(["test", str(tmp_path / "nothing")]) == 2
    assert "no rule pack" in capsys.readouterr().err


def broken(monkeypatch, op):
    monkeypatch.setattr("guestfix.plan.steps.find_op", lambda name: op)


def test_idempotence_is_checked(pack, monkeypatch):
    broken(monkeypatch, lambda src, **_: (src or b"") + b"# again\n")
    assert any(one.startswith("idempotent: ") for one in outcome_of(pack).failures)


def test_determinism_is_checked(pack, monkeypatch):
    numbers = iter(range(100))
    broken(monkeypatch, lambda src, **_: b"# %d\n" % next(numbers))
    assert any(one.startswith("deterministic: ") for one in outcome_of(pack).failures)


def test_silence_is_checked(pack, monkeypatch):
    real = cases._plan

    def noisy(case, pack, root):
        (root / "etc/left-behind").write_text("oops")
        return real(case, pack, root)

    monkeypatch.setattr(cases, "_plan", noisy)
    assert any(one.startswith("silent: ") for one in outcome_of(pack).failures)


def test_confinement_is_kept_by_the_overlay_and_checked_again(pack, monkeypatch):
    broken(monkeypatch, lambda src, **_: b"hello\n")
    monkeypatch.setattr("guestfix.plan.steps.paths_of", lambda step, fs: ["/etc/motd"])
    outcome = outcome_of(pack)
    assert "outside the globs it names" in outcome.text
    monkeypatch.setattr("guestfix.base.overlay.path_matches", lambda path, glob, *_: glob == "/etc/fstab")
    assert "confined: /etc/motd is outside the globs of its rules" in outcome_of(pack).failures


def test_reversal_is_checked(pack, monkeypatch):
    monkeypatch.setattr("guestfix.cases.runner.revert", lambda guest: None)
    assert any(one.startswith("reversible: ") for one in outcome_of(pack).failures)


@pytest.mark.parametrize(
    "text",
    [
        "",
        "title: [x]\n",
        "titel: x\n",
        "title: x\ndisks: x\n",
        "title: x\nconfidence: sure\n",
        "title: x\ndisks: [{size: 1}]\n",
    ],
)
def test_mistakes_in_a_case_are_told(pack, text):
    (pack / "fix/fstab/shares/cases/one/case.yaml").write_text(text)
    try:
        found = find_cases(pack)
    except PackError as error:
        assert "case.yaml:" in str(error)
    else:
        assert run_case(found[0], load_pack(pack)).failures


def test_a_case_of_a_system_shows_the_verdict(pack):
    build(
        pack / "os/debian/cases/twelve", {"case.yaml": "title: x\n", "in/etc/os-release": "ID=debian\nVERSION_ID=12\n"}
    )
    (case,) = find_cases(pack / "os/debian")
    assert run_case(case, load_pack(pack)).text.startswith("system   debian (debian 12)\nverdict  ")


@pytest.mark.parametrize(
    ("release", "judged"),
    [
        ("ID=debian\nVERSION_ID=13\n", True),
        ("ID=debian\n", False),
        ("ID=debian\nVERSION_ID=5\n", False),
        ("ID=ubuntu\nVERSION_ID=22.04\n", False),
    ],
)
def test_a_case_of_a_system_is_judged_by_a_row_of_it(pack, release, judged):
    build(pack / "os/debian/cases/one", {"case.yaml": "title: x\n", "in/etc/os-release": release})
    (case,) = find_cases(pack / "os/debian")
    failures = run_case(case, load_pack(pack)).failures
    assert [one for one in failures if one.startswith("judged: no row of debian")] == list(failures)
    assert (failures == ()) is judged


def test_harvest_takes_what_a_run_reads_and_nothing_else(tmp_path, pack, capsys):
    files = {
        "etc/os-release": ("link", "../usr/lib/os-release"),
        "usr/lib/os-release": "ID=debian\nVERSION_ID=12\n",
        "etc/fstab": ("link", "/persist/fstab"),
        "persist/fstab": FSTAB,
        "etc/shadow": "root:secret\n",
        "home/me/diary": "secret\n",
        "bin/sh": elf(),
    }
    guest = build(tmp_path / "guest", files)
    before = snapshot(guest)
    folder = pack / "fix/fstab/shares/cases/harvested"
    (tmp_path / "d.yaml").write_text("disks:\n- {device: /dev/sda, partitions: [{device: /dev/sda1, uuid: u}]}\n")
    args = ["case", "--from", str(guest), "--disks", str(tmp_path / "d.yaml"), "--pack", str(pack), str(folder)]
    assert run(args) == 0
    assert snapshot(guest) == before
    assert (folder / "in/persist/fstab").read_text() == FSTAB
    assert (folder / "in/etc/fstab").is_symlink() and (folder / "in/etc/os-release").is_symlink()
    assert not (folder / "in/home/me/diary").exists()
    assert not (folder / "in/etc/shadow").exists() or (folder / "in/etc/shadow").read_bytes() == b""
    case = read_case(folder)
    assert case.disks is not None and case.disks.all_volumes()[0].uuid == "u"
    outcome = run_case(case, load_pack(pack))
    assert outcome.failures == () and compare(outcome) == ""
    assert "secrets" in capsys.readouterr().out
    assert run(args) == 2, "a folder that exists is never written over"


MISTAKES = [
    ("target: aws-nito", "aws-nito", "there is no target 'aws-nito'", "did you mean aws-nitro?"),
    ("policy: {nsf: keep}", "nsf: keep}", "there is no policy 'nsf'", "did you mean nfs?"),
    ("policy: {nfs: kep}", "kep}", "the policy nfs can't be 'kep'", "did you mean keep?"),
    ("rules: [fstab/share]", "fstab/share]", "no rule is named 'fstab/share'", "did you mean fstab/shares?"),
    ("confidence: sure", "sure", "'confidence' can't be 'sure'", "one of: certain, confident, likely, possible"),
]


@pytest.mark.parametrize(("line", "place", "what", "remedy"), MISTAKES)
def test_what_a_case_names_and_the_pack_does_not_have(pack, line, place, what, remedy):
    file = pack / "fix/fstab/shares/cases/one/case.yaml"
    file.write_text(f"title: a share\n{line}\n")
    with pytest.raises(PackError) as caught:
        find_cases(pack, load_pack(pack))
    (problem,) = caught.value.problems
    name, number, column = problem.where.rsplit(":", 2)
    assert (name, number, line[int(column) - 1 :]) == (str(file), "2", place)
    assert (problem.what.splitlines()[0], problem.remedy) == (what, remedy)
    assert run(["test", str(pack)]) == 2
