"""A site's choices: what they do, where they come from, and what is no choice."""

import datetime
import json
import os

import pytest

from guestfix.cli import run
from tests.build.tree import build, elf

FSTAB = "UUID=1 / ext4 defaults 0 1\n//nas/share /mnt/share cifs credentials=/root/c 0 0\n"
TOML = """\
# what we agreed on
target = "azure"
confidence = "likely"
skip = ["boot/*"]
events = "file:EVENTS"

[policies]
nfs = "nofail"

[[accept]]
code = "GF-TARGET-*"
reason = "the appliance is replaced in spring"
expires = 2999-01-31

[[accept]]
code = "GF-DISK-LUKS"
reason = "of long ago"
expires = 2001-01-31
"""


@pytest.fixture
def guest(tmp_path):
    files = {"etc/os-release": 'ID=debian\nVERSION_ID="12"\n', "etc/fstab": FSTAB, "bin/sh": elf(21)}
    return build(tmp_path / "guest", files)


@pytest.fixture
def config(tmp_path):
    (tmp_path / "site").mkdir()
    file = tmp_path / "site/guestfix.toml"
    file.write_text(TOML.replace("EVENTS", str(tmp_path / "events")))
    return file


def report(guest, capfd, *words):
    status = run(["report", str(guest), "--format", "json", *map(str, words)])
    said = capfd.readouterr()
    return status, json.loads(said.out), said.err


def test_a_site_chooses_and_the_report_says_where(guest, config, capfd, tmp_path):
    status, document, err = report(guest, capfd, "--config", config)
    assert status == 0 and document["target"] == "azure" and document["policies"]["nfs"] == "nofail"
    said = {(one["name"], one["value"]): one["origin"] for one in document["choices"]}
    assert said["target", "azure"] == f"{config}:2" and said["confidence", "likely"] == f"{config}:3"
    assert said["skip", "boot/*"] == f"{config}:4" and said["policy.nfs", "nofail"] == f"{config}:8"
    assert said["accept", "GF-TARGET-*"] == f"{config}:10: the appliance is replaced in spring, until 2999-01-31"
    assert ("accept", "GF-DISK-LUKS") not in said and "GF-DISK-LUKS is not accepted any more" in err
    assert (tmp_path / "events").read_text().endswith("}\n")


def test_the_command_line_counts_more(guest, config, capfd):
    words = ["--target", "gce", "--policy", "nfs=keep", "--confidence", "certain", "--skip", "fstab/*"]
    _, document, _ = report(guest, capfd, "--config", config, *words)
    assert document["target"] == "gce" and document["policies"]["nfs"] == "keep"
    mine = [one["name"] for one in document["choices"] if one["origin"] == "command line"]
    assert mine == ["target", "confidence", "skip", "policy.nfs"]


def test_one_in_the_working_folder_counts(guest, config, capfd, monkeypatch):
    monkeypatch.chdir(config.parent)
    assert report(guest, capfd)[1]["target"] == "azure"


def test_one_in_a_guest_does_not(guest, config, capfd, monkeypatch):
    os.rename(config, guest / "guestfix.toml")
    monkeypatch.chdir(guest)
    status, document, _ = report(guest, capfd)
    assert status == 2 and document["choices"] == []
    monkeypatch.chdir(guest / "etc")
    (guest / "etc/guestfix.toml").write_text("accept = []\n")
    assert report(guest, capfd)[1]["choices"] == []


def test_one_that_others_may_have_written_does_not(guest, config, capfd, monkeypatch):
    config.chmod(0o666)
    monkeypatch.chdir(config.parent)
    assert run(["report", str(guest)]) == 64 and "others may have written" in capfd.readouterr().err
    assert run(["report", str(guest), "--config", "guestfix.toml"]) == 0  # named, so it is meant


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ('tarket = "azure"', "did you mean target?"),
        ("target = 7", "must be a text"),
        ('only = "fstab/*"', "must be a list"),
        ('[[accept]]\ncode = "GF-X"', "a reason and the last day"),
        ('[[accept]]\ncode = "GF-X"\nreason = "x"\nexpires = "soon"', "last day"),
        ('[[accept]]\ncode = "GF-ARCH-32BITS"\nreason = "x"\nexpires = 2999-01-01', "did you mean GF-ARCH-32BIT?"),
        ('accept = ["GF-X"]', "one table for each code"),
        ('target = "azur"', "did you mean azure?"),
        ('confidence = "sure"', "no confidence 'sure'"),
        ('[policies]\nnsf = "keep"', "did you mean nfs?"),
        ('skip = ["fstab/nothing"]', "no rule is named"),
        ("x = [", "not a file of choices"),
        ("\x00", "not a file of choices"),
    ],
)
def test_what_is_no_choice(guest, tmp_path, text, says, capfd):
    (tmp_path / "c.toml").write_text(text)
    assert run(["report", str(guest), "--config", str(tmp_path / "c.toml")]) == 64
    assert says in capfd.readouterr().err


def test_a_file_that_is_not_there(guest, tmp_path, capfd):
    assert run(["report", str(guest), "--config", str(tmp_path / "none.toml")]) == 2


@pytest.mark.parametrize(
    ("words", "says"),
    [
        ("--target azure --target gce", "--target is given twice"),
        ("--confidence likely --confidence likely", "--confidence is given twice"),
        ("--policy nfs=keep --policy nfs=nofail", "--policy nfs is given twice"),
        ("--accept GF-ARCH-32BITS", "did you mean GF-ARCH-32BIT?"),
        ("--payload DIR/virtio", "did you mean virtio-win?"),
        ("--network-map MAP", "--policy network=preserve"),
        ("--target azur", "did you mean azure?"),
        ("--policy nfs=nofial", "did you mean nofail?"),
        ("--only fstab/unreadable-line", "did you mean fstab/unreadable-lines?"),
    ],
)
def test_words_that_can_not_be_meant(guest, tmp_path, words, says, capfd):
    (tmp_path / "virtio-win").mkdir()
    (tmp_path / "map").write_text("eth0: 52:54:00:12:34:56\n")
    called = [one.replace("DIR", str(tmp_path)).replace("MAP", str(tmp_path / "map")) for one in words.split()]
    assert run(["report", str(guest), *called]) == 64
    assert says in capfd.readouterr().err


def test_the_last_day_counts(guest, tmp_path, capfd):
    for days, status in ((0, 0), (-1, 2)):
        day = datetime.date.today() + datetime.timedelta(days)
        (tmp_path / "c.toml").write_text(f'[[accept]]\ncode = "GF-TARGET-*"\nreason = "x"\nexpires = {day}\n')
        assert run(["report", str(guest), "--config", str(tmp_path / "c.toml")]) == status


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("52:54:00:12:34: eth0", "map:1:1: '52:54:00:12:34' is a MAC that is cut short or too long"),
        ("eth0: 52:54:00:12:34", "map:1:7: '52:54:00:12:34' is a MAC that is cut short or too long"),
        ("eth0: 52-54-00-12-34-56-78", "'52-54-00-12-34-56-78' is a MAC that is cut short or too long"),
        ("eth0: 52:54:00:12:34:5", "six pairs of hex digits, such as 52:54:00:12:34:56"),
        ("eth0: 52:54:00:12:34:5g", "is neither a MAC nor a NIC's name"),
    ],
)
def test_a_mac_that_is_cut(guest, tmp_path, text, says, capfd):
    (tmp_path / "map").write_text(text + "\n")
    words = ["--network-map", str(tmp_path / "map"), "--policy", "network=preserve"]
    assert run(["report", str(guest), *words]) == 64
    assert says in capfd.readouterr().err


@pytest.mark.parametrize(
    ("device", "keys", "says"),
    [
        ("/dev/sda1", 'uuid: "x; y"', "disks.yaml:4:35: 'x; y' is no uuid"),
        ("/dev/sda1", "uuid: 5cb2a1d6-6bde ", None),
        ("/dev/sda1", 'uuid: "5cb2a1d6-6bde; rm"', "did you mean 5cb2a1d6-6bde?"),
        ("/dev/sda1", "partuuid: a/b", "'a/b' is no partuuid"),
        ("/dev/sda1", 'uuid: ""', None),
        ("/dev/sdb1", "fstype: ext4", "/dev/sdb1 is no partition of /dev/sda|did you mean /dev/sda1?"),
        ("/dev/nvme0n1p2", "fstype: ext4", "/dev/nvme0n1p2 is no partition of /dev/sda|did you mean /dev/sda2?"),
        ("/dev/sdaa1", "fstype: ext4", "/dev/sdaa1 is no partition of /dev/sda|did you mean /dev/sda1?"),
        ("/dev/mapper/vg-root", "fstype: ext4", None),
    ],
)
def test_disks_that_cannot_be_as_they_are_described(guest, tmp_path, device, keys, says, capfd):
    file = tmp_path / "disks.yaml"
    file.write_text(f"disks:\n  - device: /dev/sda\n    partitions:\n      - {{device: {device}, {keys}}}\n")
    assert run(["report", str(guest), "--disks", str(file), "--accept", "*"]) == (64 if says else 0)
    said = " ".join(capfd.readouterr().err.split())
    assert all(part in said for part in (says or "").split("|")), said
