"""The rule author's kit: skeletons that load, mistakes at their place, what cases show, and who signed a pack."""

from __future__ import annotations

import json
import re
import shlex
import shutil
import subprocess
from pathlib import Path

import pytest

from guestfix.authoring.signature import sums_of
from guestfix.cli import run
from guestfix.pack.files import pack_files


@pytest.fixture(autouse=True)
def wide(monkeypatch):
    """Let no sentence be wrapped."""
    monkeypatch.setenv("COLUMNS", "1000")


ROOT = Path(__file__).resolve().parents[2]
needs_keygen = pytest.mark.skipif(shutil.which("ssh-keygen") is None, reason="ssh-keygen is not installed")


@pytest.fixture(autouse=True)
def own_cache(tmp_path, monkeypatch):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    monkeypatch.delenv("CI", raising=False)


@pytest.fixture
def pack(tmp_path):
    place = tmp_path / "acme"
    for kind, name in (("fix", "acme/motd"), ("system", "AcmeLinux"), ("target", "acme-cloud")):
        assert run(["rules", "new", kind, name, "--pack", str(place)]) == 0
    return place


def test_what_is_new_loads_and_its_cases_pass(pack, capfd):
    assert run(["test", str(pack), "--bless"]) == 0
    assert run(["test", str(pack)]) == 0
    assert "3 cases passed, 0 failed" in capfd.readouterr().out
    assert "acme/motd: applied" in (pack / "fix/acme/motd/cases/acts/expect.txt").read_text()
    assert "No changes" in (pack / "fix/acme/motd/cases/rests/expect.txt").read_text()
    assert "(AcmeLinux 1.0)" in (pack / "os/AcmeLinux/cases/first/expect.txt").read_text()


def test_what_is_new_is_there_for_a_report(pack, capfd):
    guest = pack / "fix/acme/motd/cases/acts/in"
    report = ["report", str(guest), "--pack", str(pack), "--target", "acme-cloud", "--confidence", "likely"]
    assert run(report) == 0
    assert re.search(r"^ +edit /etc/example\.conf .*\[acme/motd\]", capfd.readouterr().out, re.M)


@pytest.mark.parametrize(
    ("kind", "name"),
    [("fix", "motd"), ("fix", "../x/y"), ("fix", "a/b/c"), ("system", "a/b"), ("system", ".."), ("target", "A B")],
)
def test_a_name_that_can_be_none_is_refused(tmp_path, kind, name):
    assert run(["rules", "new", kind, name, "--pack", str(tmp_path / "p")]) == 64
    assert not (tmp_path / "p").exists()


def test_nothing_is_overwritten(pack, capfd):
    before = (pack / "targets/acme-cloud.yaml").read_text()
    assert run(["rules", "new", "target", "acme-cloud", "--pack", str(pack)]) == 64
    assert "is there already" in capfd.readouterr().err
    assert (pack / "targets/acme-cloud.yaml").read_text() == before


def test_lint_shows_each_mistake_in_its_line(pack, capfd):
    rule = pack / "fix/acme/motd/rule.yaml"
    text = rule.read_text().replace("os.family", "os.famly").replace("severity: warning", "severity: wrong")
    rule.write_text(text.replace("shellvars.set  ", "shellvars.put  "))
    capfd.readouterr()
    assert run(["rules", "lint", str(pack)]) == 1
    out = capfd.readouterr().out
    for said in ("did you mean os.family?", "'severity' can't be 'wrong'", "shellvars.set", "3 mistakes"):
        assert said in out
    assert re.search(r"rule.yaml:8:\d+: mistake", out) and out.count("^") == 3


def test_lint_advises_cases_and_filling_in(pack, capfd):
    shutil.rmtree(pack / "fix/acme/motd/cases/rests")
    shutil.rmtree(pack / "os/AcmeLinux/cases")
    capfd.readouterr()
    assert run(["rules", "lint", str(pack), "--format", "json"]) == 0
    remarks = json.loads(capfd.readouterr().out)["remarks"]
    told = {(Path(one["where"]).name, one["what"]) for one in remarks}
    assert ("rule.yaml", "one case alone shows either what it does or what it leaves") in told
    assert ("os.yaml", "no case shows what this does") in told
    assert all(one["kind"] == "advice" and one["remedy"] for one in remarks)


def test_the_pack_that_ships_has_no_mistake(capfd):
    assert run(["rules", "lint", str(ROOT / "rules")]) == 0
    assert "0 mistakes" in capfd.readouterr().out


def test_coverage_tells_what_no_case_shows(pack, capfd):
    shutil.rmtree(pack / "fix/acme/motd/cases/acts")
    capfd.readouterr()
    assert run(["rules", "coverage", str(pack), "--format", "json"]) == 0
    found = json.loads(capfd.readouterr().out)
    assert found["cases"] == 2 and found["rules"] == ["acme/motd"] and found["ops"] == ["shellvars.set"]
    assert found["idle"] == [] and found["rows"] == []


def test_docs_are_the_pack_s_own(pack, capfd):
    capfd.readouterr()
    assert run(["rules", "docs", str(pack), "--kind", "rules"]) == 0
    assert "## acme/motd" in capfd.readouterr().out


def test_a_case_whose_rule_fails_says_so(pack, capfd):
    rule = pack / "fix/acme/motd/rule.yaml"
    rule.write_text(
        rule.read_text().replace("{name: CHANGE_ME, ", "{name: CHANGE_ME, ").replace("example.conf", "example.conf")
    )
    (pack / "fix/acme/motd/cases/acts/in/etc/example.conf").write_text('A="open\n')
    assert run(["test", str(pack), "--bless"]) == 1
    assert "ran: failed: acme/motd" in capfd.readouterr().out
    case = pack / "fix/acme/motd/cases/acts/case.yaml"
    case.write_text(case.read_text() + "fails: [acme/motd]\n")
    assert run(["test", str(pack)]) == 0


# who signed it


@pytest.fixture
def keys(tmp_path):
    for name in ("ours", "theirs"):
        command = ["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-C", "", "-f", str(tmp_path / name)]
        subprocess.run(command, check=True, stdin=subprocess.DEVNULL)
    (tmp_path / "allowed").write_text(f"me@acme {(tmp_path / 'ours.pub').read_text()}")
    return tmp_path


@needs_keygen
def test_a_signed_pack_is_verified(pack, keys, capfd):
    assert run(["rules", "sign", str(pack), "--key", str(keys / "ours")]) == 0
    assert (pack / "pack.sums").read_bytes() == sums_of(pack_files(str(pack)))
    assert run(["rules", "verify", str(pack), "--allowed-signers", str(keys / "allowed")]) == 0
    assert "signed by me@acme: " in capfd.readouterr().out
    report = ["report", str(pack / "os/AcmeLinux/cases/first/in"), "--pack", str(pack)]
    assert run([*report, "--require-signature", str(keys / "allowed")]) in (0, 1)


def changed(pack):
    (pack / "targets/acme-cloud.yaml").write_text((pack / "targets/acme-cloud.yaml").read_text() + "\n")


def added(pack):
    (pack / "targets/other.yaml").write_text(
        (pack / "targets/acme-cloud.yaml").read_text().replace("acme-cloud", "other")
    )


def removed(pack):
    (pack / "targets/acme-cloud.yaml").unlink()


def resummed(pack):
    changed(pack)
    (pack / "pack.sums").write_bytes(sums_of(pack_files(str(pack))))


def unsigned(pack):
    (pack / "pack.sums.sig").unlink()


def linked(pack):
    (pack / "pack.sums.sig").rename(pack.parent / "sig")
    (pack / "pack.sums.sig").symlink_to(pack.parent / "sig")


@needs_keygen
@pytest.mark.parametrize("spoil", [changed, added, removed, resummed, unsigned, linked])
def test_a_pack_that_was_changed_is_refused(pack, keys, capfd, spoil):
    assert run(["rules", "sign", str(pack), "--key", str(keys / "ours")]) == 0
    spoil(pack)
    assert run(["rules", "verify", str(pack), "--allowed-signers", str(keys / "allowed")]) == 2
    report = ["report", str(pack / "os/AcmeLinux/cases/first/in"), "--pack", str(pack)]
    assert run([*report, "--require-signature", str(keys / "allowed")]) == 2
    assert "pack" in capfd.readouterr().err


@needs_keygen
def test_another_s_signature_and_another_purpose_are_refused(pack, keys, capfd):
    assert run(["rules", "sign", str(pack), "--key", str(keys / "theirs")]) == 0
    assert run(["rules", "verify", str(pack), "--allowed-signers", str(keys / "allowed")]) == 2
    assert "nobody who is allowed has signed the pack" in capfd.readouterr().err
    (pack / "pack.sums.sig").unlink()
    command = ["ssh-keygen", "-Y", "sign", "-n", "email", "-f", str(keys / "ours"), str(pack / "pack.sums")]
    subprocess.run(command, check=True, capture_output=True)
    assert run(["rules", "verify", str(pack), "--allowed-signers", str(keys / "allowed")]) == 2
    assert "signature is not good" in capfd.readouterr().err


@needs_keygen
def test_a_key_that_is_not_there_is_said(pack, keys, capfd):
    assert run(["rules", "sign", str(pack), "--key", str(keys / "nothing")]) == 64
    assert "ssh-keygen -t ed25519" in capfd.readouterr().err
    assert not (pack / "pack.sums").exists()


# the quarter of an hour of rules/README.md


def tutorial():
    """Return the steps of the tutorial: commands (``$ ...``) and files that are written (``# FILE`` and its text)."""
    text = (ROOT / "rules/README.md").read_text()
    start = text.index("## A new system in a quarter of an hour")
    part = text[start : text.index("\n## ", start + 1)]
    steps, block = [], []
    for line in [*part.splitlines(), ""]:
        if line.startswith("    "):
            block.append(line[4:])
        elif block and line.strip():
            steps.append(block)
            block = []
        elif block:
            block.append("")
    return [*steps, block] if block else steps


def test_the_tutorial_works_as_it_is_written(tmp_path, monkeypatch, capfd):
    monkeypatch.chdir(tmp_path)
    ran = 0
    for block in tutorial():
        if block[0].startswith("# "):
            place = Path(block[0].removeprefix("# ").split()[0])
            assert place.is_file(), f"the tutorial fills in {place}, which nothing made"
            place.write_text("\n".join(block[1:]).strip() + "\n")
            continue
        for line in block:
            if line.startswith("$ "):
                words = shlex.split(line.removeprefix("$ "), comments=True)
                assert words[0] == "guestfix"
                assert run(words[1:]) == 0, (line, capfd.readouterr())
                ran += 1
    assert ran >= 5
    assert "1 cases passed, 0 failed" in capfd.readouterr().out
