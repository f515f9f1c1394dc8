"""The plan that was reviewed is the plan that is applied: digests, signatures, and nothing chosen beside it."""

import json
import subprocess

import pytest

from guestfix.cli import run
from tests.build.plans import tree
from tests.build.tree import build, elf

FSTAB = "UUID=1 / ext4 defaults 0 1\n//nas/share /mnt/share cifs credentials=/root/c 0 0\n"


@pytest.fixture
def guest(tmp_path):
    files = {"etc/os-release": 'ID=debian\nVERSION_ID="12"\n', "etc/fstab": FSTAB, "bin/sh": elf(), "var/lib/x": ""}
    return build(tmp_path / "guest", files)


@pytest.fixture
def plan(guest, tmp_path, capfd):
    assert run(["report", str(guest), "--target", "aws-nitro", "--skip", "boot/*", "--format", "json"]) == 0
    (tmp_path / "plan.json").write_text(capfd.readouterr().out)
    return tmp_path / "plan.json"


@pytest.fixture
def keys(tmp_path):
    for name in ("me", "other"):
        subprocess.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", str(tmp_path / name)], check=True)
    (tmp_path / "allowed").write_text(f"me {(tmp_path / 'me.pub').read_text()}")
    return tmp_path


@pytest.mark.parametrize(
    ("words", "status"),
    [
        ("--target aws-nitro", 0),
        ("--policy nfs=keep", 0),
        ("--skip boot/*", 0),
        ("--target azure", 64),
        ("--only fstab/*", 64),
        ("--skip fstab/*", 64),
        ("--accept GF-*", 64),
        ("--policy nfs=nofail", 64),
        ("--confidence possible", 64),
    ],
)
def test_what_contradicts_the_plan_is_refused(guest, plan, words, status, capfd):
    before = tree(guest)
    assert run(["apply", str(guest), "--plan", str(plan), *words.split()]) == status
    assert (tree(guest) == before) is (status != 0)
    assert status == 0 or words.split()[0] in capfd.readouterr().err


def test_the_digest_stands_everywhere_and_can_be_demanded(guest, plan, capfd):
    digest = json.loads(plan.read_text())["plan_digest"]
    before = tree(guest)
    assert run(["apply", str(guest), "--plan", str(plan), "--expect-digest", "0" * 64]) == 2
    assert digest in capfd.readouterr().err
    assert run(["apply", str(guest), "--plan", str(plan), "--expect-digest", "12ab"]) == 64
    assert tree(guest) == before
    words = ["--expect-digest", f"SHA256:{digest.upper()}", "--target", "aws-nitro", "--skip", "boot/*"]
    capfd.readouterr()
    assert run(["apply", str(guest), *words, "--format", "json"]) == 0  # also of a plan that is made now
    assert json.loads(capfd.readouterr().out)["plan_digest"] == digest
    journal = json.loads((guest / "var/lib/guestfix/0001/journal.json").read_text())
    assert journal["plan_digest"] == digest


def test_a_signature_can_be_demanded(guest, plan, keys, capfd):
    command = ["apply", str(guest), "--plan", str(plan), "--require-plan-signature", str(keys / "allowed")]
    before = tree(guest)
    assert run(command) == 2 and "guestfix plan sign" in capfd.readouterr().err
    assert run(["plan", "sign", str(plan), "--key", str(keys / "other")]) == 0
    assert run(command) == 2 and "nobody who is allowed" in capfd.readouterr().err
    assert run(["plan", "sign", str(plan), "--key", str(keys / "me")]) == 0
    plan.write_text(plan.read_text() + "\n")
    assert run(command) == 2 and "not good" in capfd.readouterr().err
    assert tree(guest) == before
    plan.write_text(plan.read_text()[:-1])
    assert run(["plan", "verify", str(plan), "--allowed-signers", str(keys / "allowed")]) == 0
    assert f"signed by me: {json.loads(plan.read_text())['plan_digest']}" in capfd.readouterr().out
    assert run(command) == 0


def test_a_signature_of_a_pack_is_none_of_a_plan(plan, keys, capfd):
    words = ["-n", "guestfix-pack", "-f", str(keys / "me"), str(plan)]
    subprocess.run(["ssh-keygen", "-Y", "sign", *words], check=True, capture_output=True)
    assert run(["plan", "verify", str(plan), "--allowed-signers", str(keys / "allowed")]) == 2


@pytest.mark.parametrize(
    "words",
    [
        "apply GUEST --require-plan-signature x",
        "plan sign PLAN --key none",
        "plan verify PLAN --allowed-signers none",
        "plan sign PLAN",
    ],
)
def test_words_that_do_not_go_together(guest, plan, words, capfd):
    (plan.parent / "plan.json.sig").write_text("x")
    called = [{"GUEST": str(guest), "PLAN": str(plan)}.get(one, one) for one in words.split()]
    assert run(called) == 64


def test_a_saved_plan_is_shown_as_its_report(guest, plan, capfd):
    assert run(["plan", "show", str(plan)]) == 0
    said = capfd.readouterr().out
    assert "-//nas/share" in said and "target" in said
