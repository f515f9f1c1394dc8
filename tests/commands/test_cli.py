"""The command line as a user meets it: every exit code, one JSON document, messages that say what to do."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from guestfix import __version__
from guestfix.cli import COMMANDS, run
from guestfix.pack.cache import load_pack
from tests.build.packs import RULE, make_pack
from tests.build.plans import tree
from tests.build.tree import build, elf


@pytest.fixture(autouse=True)
def wide(monkeypatch):
    """Let no sentence be wrapped."""
    monkeypatch.setenv("COLUMNS", "1000")


ROOT = Path(__file__).resolve().parents[2]
FSTAB = "UUID=1 / ext4 defaults 0 1\n//nas/share /mnt/share cifs credentials=/root/c 0 0\n"


@pytest.fixture(autouse=True)
def own_cache(tmp_path, monkeypatch):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))


@pytest.fixture
def guest(tmp_path):
    files = {"etc/os-release": 'ID=debian\nVERSION_ID="12"\n', "etc/fstab": FSTAB, "bin/sh": elf(), "var/lib/x": ""}
    return build(tmp_path / "guest", files)


@pytest.fixture
def pack(tmp_path):
    return make_pack(tmp_path / "pack")


@pytest.fixture
def guestfix(pack, capfdbinary):
    def call(*args, pack=pack):
        extra = ["--pack", str(pack)] if args and args[0] in ("report", "apply", "inspect") else []
        status = run([*map(str, args), *extra])
        out, err = capfdbinary.readouterr()
        return status, out.decode(), err.decode()

    return call


def test_report_apply_report_revert(guestfix, guest):
    before = tree(guest)
    status, out, err = guestfix("report", guest)
    assert (status, err) == (0, "")
    assert "-//nas/share /mnt/share cifs credentials=/root/c 0 0" in out
    assert "[fstab/shares]" in out and "why: They are not there." not in out
    assert "why: They are not there." in guestfix("report", guest, "--verbose")[1]
    assert tree(guest) == before
    status, out, _ = guestfix("apply", guest)
    assert status == 0
    assert "/etc/.fstab.guestfix.orig" in out and "Nothing was written" not in out
    status, out, _ = guestfix("report", guest)
    assert status == 0 and "No changes" in out
    status, out, _ = guestfix("apply", guest)
    assert status == 0 and "nothing was to be done" in out
    status, out, _ = guestfix("revert", guest)
    assert status == 0 and "/etc/fstab" in out
    assert tree(guest) == before


def test_a_plan_reviewed_today_is_applied_tomorrow(guestfix, guest, tmp_path):
    status, out, _ = guestfix("report", guest, "--format", "json")
    assert status == 0
    document = json.loads(out)
    assert set(document) >= {
        "guest", "target", "verdict", "facts", "decisions", "findings", "changes", "follow_ups", "versions",
    }  # fmt: skip
    assert set(document["changes"][0]) >= {"path", "rules", "kind", "before", "after", "diff"}
    (tmp_path / "plan.json").write_text(out)
    status, out, _ = guestfix("apply", "--plan", tmp_path / "plan.json", guest, "--format", "json")
    done = json.loads(out)
    assert status == 0
    assert done["applied"] == ["/etc/fstab"]
    assert done["backups"] == {"/etc/fstab": "/etc/.fstab.guestfix.orig"}
    assert done["journal"] == "/var/lib/guestfix/0001/journal.json"
    assert done["changes"] == document["changes"]


def test_the_same_guest_gives_the_same_bytes(guestfix, guest):
    assert guestfix("report", guest, "--format", "json") == guestfix("report", guest, "--format", "json")


def test_json_of_every_command_is_one_document(guestfix, guest):
    for args in (["inspect", guest], ["report", guest], ["apply", guest], ["revert", guest]):
        status, out, err = guestfix(*args, "--format", "json")
        assert status == 0 and err == ""
        assert isinstance(json.loads(out), dict)


def test_inspect_shows_facts_with_evidence(guestfix, guest):
    status, out, _ = guestfix("inspect", guest, "--format", "json")
    facts = json.loads(out)["facts"]
    assert status == 0
    assert facts["os.id"]["value"] == "debian"
    assert facts["os.id"]["evidence"][0] == {"path": "/etc/os-release", "line": 1, "text": "ID=debian"}
    _, out, _ = guestfix("inspect", guest)
    assert "  os.id: debian\n      at /etc/os-release:1: ID=debian" in out


def test_the_uri_form(guestfix, guest):
    assert guestfix("report", f"dir:{guest}")[0] == 0
    status, _, err = guestfix("report", f"carrier-pigeon:{guest}")
    assert status == 64 and "no backend 'carrier-pigeon'" in err


USAGE = [
    ["report"],
    ["frobnicate"],
    ["report", "GUEST", "--target", "mainframe"],
    ["report", "GUEST", "--only", "no/such"],
    ["report", "GUEST", "--skip", "no/such"],
    ["report", "GUEST", "--policy", "nfs"],
    ["report", "GUEST", "--policy", "nfs=perhaps"],
    ["report", "GUEST", "--policy", "nothing=1"],
    ["report", "GUEST", "--confidence", "sure"],
    ["report", "GUEST", "--format", "xml"],
    ["report", "GUEST", "--nonsense"],
    [],
]


@pytest.mark.parametrize("args", USAGE, ids=[" ".join(args) or "nothing" for args in USAGE])
def test_usage_errors_are_64(guestfix, guest, args):
    status, out, err = guestfix(*[guest if one == "GUEST" else one for one in args])
    assert status == 64
    assert err.startswith("guestfix: ") or out.startswith("usage:")


def test_an_error_under_json_is_a_document_too(guestfix, tmp_path):
    status, out, err = guestfix("report", tmp_path / "none", "--format", "json")
    assert status == 2
    assert json.loads(out)["error"]["kind"] == "NotAGuest"
    assert "none" in err


def test_what_is_no_guest(guestfix, tmp_path):
    (tmp_path / "empty").mkdir()
    (tmp_path / "file").write_text("x")
    for name, said in (("empty", "empty"), ("file", "no operating system"), ("missing", "No such file")):
        status, out, err = guestfix("report", tmp_path / name)
        assert status == 2 and said in err and out == ""
    build(tmp_path / "photos", {"holiday/beach.jpg": "x"})
    status, out, err = guestfix("report", tmp_path / "photos")
    assert status == 2
    assert "no operating system" in (out + err).lower()


@pytest.mark.skipif(os.geteuid() != 0, reason="dropping privileges to meet an unreadable file needs root")
def test_a_file_without_read_permission_blocks(guestfix, guest, tmp_path):
    os.chmod(guest / "etc/fstab", 0)
    for path in (tmp_path, *list(tmp_path.parents)[:-2]):
        path.chmod(0o755)
    load_pack(tmp_path / "pack")  # the modules that only root can read are in by now
    guestfix("report", guest)
    before = tree(guest)
    os.seteuid(65534)
    try:
        reported = guestfix("report", guest)
        applied = guestfix("apply", guest)
    finally:
        os.seteuid(0)
    for status, out, err in (reported, applied):
        assert status == 2
        assert "/etc/fstab" in out + err and "Permission denied" in out + err
    assert tree(guest) == before


def test_a_broken_pack_is_told_whole(guestfix, guest, tmp_path):
    text = RULE.format(id="fstab/shares").replace("certain", "sure").replace("op: fstab.disable", "op: no.op")
    status, _, err = guestfix("report", guest, pack=make_pack(tmp_path / "bad", {"fstab/shares": text}))
    assert status == 2
    assert err.count("rule.yaml:") == 2 and "2 problems found" in err


def test_only_skip_and_confidence_choose_rules(guestfix, guest):
    assert guestfix("report", guest, "--skip", "fstab/*", "--detailed-exitcode")[0] == 0
    assert guestfix("report", guest, "--only", "fstab/sh*", "--detailed-exitcode")[0] == 1


def test_blocked_is_2_and_nothing_is_written(guestfix, guest):
    os.remove(guest / "bin/sh")
    (guest / "bin/sh").write_bytes(elf(243))
    before = tree(guest)
    status, out, _ = guestfix("report", guest)
    assert status == 2 and "GF-TARGET-ARCH" in out
    status, out, err = guestfix("apply", guest)
    assert status == 2 and "GF-TARGET-ARCH" in err
    status, out, _ = guestfix("apply", guest, "--format", "json")
    assert status == 2 and json.loads(out)["applied"] == [] and json.loads(out)["error"]["kind"] == "Blocked"
    assert tree(guest) == before
    assert guestfix("apply", guest, "--accept", "GF-TARGET-ARCH")[0] == 0


def test_a_plan_for_another_or_a_changed_guest_is_2(guestfix, guest, tmp_path):
    _, out, _ = guestfix("report", guest, "--format", "json")
    plan = tmp_path / "plan.json"
    plan.write_text(out)
    other = build(tmp_path / "other", {"etc/os-release": "ID=rhel\nVERSION_ID=9.4\n", "etc/fstab": FSTAB})
    status, _, err = guestfix("apply", "--plan", plan, other)
    assert status == 2 and "another guest" in err
    (guest / "etc/fstab").write_text(FSTAB + "# more\n")
    status, _, err = guestfix("apply", "--plan", plan, guest)
    assert status == 2 and "/etc/fstab" in err and "changed" in err
    plan.write_text("{}")
    assert guestfix("apply", "--plan", plan, guest)[0] == 2
    assert guestfix("apply", "--plan", tmp_path / "none.json", guest)[0] == 2
    assert not (guest / "var/lib/guestfix").exists()


@pytest.mark.skipif(os.geteuid() != 0, reason="mounting a small or read-only filesystem needs root")
@pytest.mark.parametrize(
    ("options", "status"), [("size=64k,nr_inodes=1000", 2), ("nr_inodes=9", 2)], ids=["no bytes", "no inodes"]
)
def test_a_full_disk_is_seen_before_anything_is_written(guestfix, guest, tmp_path, options, status):
    with mounted(tmp_path / "mnt", guest, options) as root:
        before = tree(root)
        found, _, err = guestfix("apply", root)
        assert found == status and "not enough" in err
        assert tree(root) == before


@pytest.mark.skipif(os.geteuid() != 0, reason="mounting a small or read-only filesystem needs root")
def test_a_read_only_mount_fails_and_restores(guestfix, guest, tmp_path):
    with mounted(tmp_path / "mnt", guest, "size=100m") as root:
        before = tree(root)
        subprocess.run(["mount", "-o", "remount,ro", str(root)], check=True)
        status, _, err = guestfix("apply", root)
        assert status == 3 and "Read-only file system" in err
        assert tree(root) == before


class mounted:
    """A tmpfs with the guest copied into it."""

    def __init__(self, place, guest, options):
        self.place, self.guest, self.options = place, guest, options

    def __enter__(self):
        self.place.mkdir()
        done = subprocess.run(
            ["mount", "-t", "tmpfs", "-o", self.options, "tmpfs", str(self.place)], capture_output=True
        )
        if done.returncode:
            pytest.skip("this container may not mount a tmpfs")
        subprocess.run(["cp", "-a", f"{self.guest}/.", str(self.place)], check=True)
        return self.place

    def __exit__(self, *_):
        subprocess.run(["umount", str(self.place)], check=True)


def test_restored_and_broken_have_codes_of_their_own(guestfix, guest, monkeypatch):
    from guestfix.backends.directory import DirectoryGuest

    def fail(self, *args):
        raise OSError(28, "No space left on device", "disk")

    monkeypatch.setattr(DirectoryGuest, "keep", fail)
    before = tree(guest)
    status, _, err = guestfix("apply", guest)
    assert status == 3 and "everything is as it was" in err and tree(guest) == before
    monkeypatch.setattr(DirectoryGuest, "drop", fail)
    status, _, err = guestfix("apply", guest)
    assert status == 4 and "guestfix revert" in err
    monkeypatch.undo()
    assert guestfix("revert", guest)[0] == 0
    assert tree(guest) == before


def test_a_defect_is_70_not_1(guestfix, guest, monkeypatch):
    def boom(*_):
        raise ZeroDivisionError

    monkeypatch.setattr("guestfix.plan.learn.detect_by", boom)
    status, _, err = guestfix("report", guest)
    assert status == 70 and "defect" in err


def test_a_copy_of_the_journal_on_the_host(guestfix, guest, tmp_path):
    copy = tmp_path / "copy"
    assert guestfix("apply", guest, "--journal-copy", copy)[0] == 0
    assert (copy / "0001/originals/etc/fstab").read_text() == FSTAB
    assert json.loads((copy / "0001/journal.json").read_text())["entries"][0]["path"] == "/etc/fstab"
    (tmp_path / "file").write_text("")
    assert guestfix("revert", guest)[0] == 0
    status, _, err = guestfix("apply", guest, "--journal-copy", tmp_path / "file/x")
    assert status == 2 and "copy on the host" in err
    assert (guest / "etc/fstab").read_text() == FSTAB


def test_terminal_escapes_of_a_guest_are_made_visible(guestfix, guest):
    (guest / "etc/fstab").write_text("//nas/\x1b]0;evil\x07 /mnt cifs defaults 0 0\n")
    _, out, _ = guestfix("report", guest)
    assert "\x1b" not in out and "\\x1b" in out


@pytest.mark.parametrize("command", COMMANDS)
def test_every_command_has_help_with_exit_codes(command, capsys):
    with pytest.raises(SystemExit) as caught:
        run([command, "--help"])
    assert caught.value.code == 0
    out = capsys.readouterr().out
    assert f"usage: guestfix {command}" in out and "exit status:" in out


def test_the_program_itself(guest):
    def python(*args):
        return subprocess.run([sys.executable, "-m", "guestfix", *args], capture_output=True, text=True, cwd=ROOT)

    assert python("--version").stdout == f"guestfix {__version__}\n"
    done = python("--help")
    assert done.returncode == 0 and all(name in done.stdout for name in COMMANDS)
    assert python("report", str(guest), "--only", "nothing/*").returncode == 64


def test_rules_left_out_are_counted(guestfix, guest):
    _, out, _ = guestfix("report", guest, "--skip", "fstab/*")
    assert "  left out 1 rule by --only or --skip\n" in out and "not selected" not in out
