"""What a run leaves and says: a whole image on request, a receipt in the guest, and the state after a failure."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from guestfix import __version__
from guestfix.backends.directory import DirectoryGuest
from guestfix.backends.status import usable
from guestfix.cli import run
from tests.build.images import MIB, PartSpec, convert, debian, disk, filesystem, have
from tests.build.plans import tree
from tests.build.tree import build, elf

FSTAB = "UUID=1 / ext4 defaults 0 1\n//nas/share /mnt/share cifs credentials=/root/c 0 0\n"
GUESTFIX = f"{sys.executable} -m guestfix"


@pytest.fixture
def guest(tmp_path):
    files = {"etc/os-release": 'ID=debian\nVERSION_ID="12"\n', "etc/fstab": FSTAB, "bin/sh": elf(), "var/lib/x": ""}
    return build(tmp_path / "guest", files)


def shell(line):
    return subprocess.run(["sh", "-c", line], capture_output=True, text=True, check=False)


@pytest.mark.skipif(not os.path.exists("/dev/full"), reason="no /dev/full here")
@pytest.mark.parametrize("where", [">/dev/full", ">&-", ">&- 2>&-", "| true"])
def test_what_was_done_counts_not_whether_it_could_be_printed(guest, where):
    before = tree(guest)
    line = f"{GUESTFIX} apply {guest} --format json {where}"
    done = shell(f'bash -c "{line}; exit \\${{PIPESTATUS[0]}}"')
    assert done.returncode == 0, done.stderr
    assert "Traceback" not in done.stderr
    if "2>" not in where and "|" not in where:
        assert "/var/lib/guestfix/0001/applied" in done.stderr
    receipt = json.loads((guest / "var/lib/guestfix/0001/applied").read_text())
    assert receipt["applied"][-1] == "/etc/fstab" and receipt["provenance"]["guestfix"] == __version__
    assert shell(f"{GUESTFIX} revert {guest} >/dev/full").returncode == 0
    assert tree(guest) == before


@pytest.mark.skipif(not os.path.exists("/dev/full"), reason="no /dev/full here")
@pytest.mark.parametrize(
    "words", ["report GUEST", "report GUEST --format json", "inspect GUEST", "--help", "list rules"]
)
@pytest.mark.parametrize("where", [">/dev/full", ">&-"])
def test_a_report_that_can_not_be_printed_is_told(guest, words, where):
    done = shell(f"{GUESTFIX} {words.replace('GUEST', str(guest))} {where}")
    assert done.returncode == 2 and "standard output can't be written" in done.stderr
    assert "Traceback" not in done.stderr and "Exception ignored" not in done.stderr


def test_the_stamp_is_in_the_receipt_and_in_the_guest(guest, capfd):
    assert run(["apply", str(guest), "--target", "aws-nitro", "--format", "json"]) == 0
    document = json.loads(capfd.readouterr().out)
    stamp = document["provenance"]
    assert (
        stamp["plan_digest"] == document["plan_digest"] and stamp["pack_digest"] == document["versions"]["pack_digest"]
    )
    assert stamp["target"] == "aws-nitro" and stamp["time"].endswith("+00:00")
    kept = json.loads((guest / "var/lib/guestfix/0001/applied").read_text())
    assert kept["provenance"] == stamp and kept["backups"] == document["backups"]
    assert run(["revert", str(guest)]) == 0 and not (guest / "var/lib/guestfix").exists()
    capfd.readouterr()
    assert run(["revert", str(guest), "--format", "json"]) == 2
    assert json.loads(capfd.readouterr().out)["error"]["code"] == "GF-APPLY-NO-JOURNAL"


@pytest.mark.parametrize("command", ["apply", "revert"])
def test_a_failure_half_way_tells_the_state_of_each_path(guest, capfd, monkeypatch, command):
    if command == "revert":
        assert run(["apply", str(guest)]) == 0
        capfd.readouterr()
    renames = []

    def rename(self, old, new, _rename=DirectoryGuest.rename):
        renames.append(new)
        if len(renames) > (command == "apply"):  # of apply the journal's own succeeds
            raise OSError(5, "Input/output error", new)
        _rename(self, old, new)

    monkeypatch.setattr(DirectoryGuest, "rename", rename)
    assert run([command, str(guest), "--format", "json"]) == 4
    document = json.loads(capfd.readouterr().out)
    assert document["error"]["code"] == "GF-APPLY-HALF-DONE"
    left = {one["path"]: one for one in document["left"]}
    assert left["/etc/fstab"]["state"] == ("original" if command == "apply" else "planned")
    assert left["/etc/fstab"]["original"] == (None if command == "apply" else "/etc/.fstab.guestfix.orig")
    monkeypatch.undo()
    assert run(["revert", str(guest)]) == 0


@pytest.mark.skipif(os.geteuid() != 0, reason="a bind mount needs root")
def test_the_running_root_is_refused_by_whatever_path(tmp_path, capfd):
    place = tmp_path / "mnt"
    place.mkdir()
    if subprocess.run(["mount", "--bind", "/", str(place)], check=False, capture_output=True).returncode:
        pytest.skip("no bind mounts here")
    try:
        (tmp_path / "link").symlink_to("/")
        for path in ("/", "//", str(place), str(tmp_path / "link"), f"{place}/../mnt"):
            for command in ("apply", "revert"):
                assert run([command, path, "--format", "json"]) == 2
                assert json.loads(capfd.readouterr().out)["error"]["code"] == "GF-RUN-LIVE"
    finally:
        subprocess.run(["umount", str(place)], check=True)


def test_a_guest_elsewhere_is_an_ordinary_folder(guest, capfd):
    assert run(["apply", str(guest), "--live"]) == 0  # says nothing of another folder


# disk images


@pytest.fixture
def image(tmp_path: Path) -> Path:
    root = debian(tmp_path / "root", "/dev/sda1 / ext4 defaults 0 1\n", extra=False)
    return convert(disk(tmp_path / "d.raw", [PartSpec(filesystem("ext4", tmp_path / "fs", 16 * MIB, root))]), "qcow2")


needs_uml = pytest.mark.skipif(
    not have("mke2fs", "sfdisk", "qemu-img") or not usable("uml"), reason="User-mode Linux or e2fsprogs are missing"
)


def backing(path):
    told = subprocess.run(["qemu-img", "info", "--output", "json", str(path)], capture_output=True, check=True).stdout
    return json.loads(told).get("backing-filename"), json.loads(told)["format"]


@needs_uml
def test_output_makes_a_whole_image_and_overlay_a_small_one(image, tmp_path, capfd):
    new, raw, small, same = (tmp_path / name for name in ("new.qcow2", "new.raw", "small.qcow2", "same.img"))
    for words, place, found in (([], new, (None, "qcow2")), ([], raw, (None, "raw")), (["--overlay"], small, None)):
        assert run(["apply", str(image), "--output", str(place), *words, "--format", "json"]) == 0
        document = json.loads(capfd.readouterr().out)
        assert document["image"]["files"] == [str(place)]
        assert document["image"]["how"] == ("overlay" if words else "converted")
        assert document["image"].get("backing") == ([str(image)] if words else None)
        assert found is None or backing(place) == found
    assert backing(small)[0] == str(image)
    assert raw.stat().st_blocks * 512 < raw.stat().st_size  # sparse, as the source is
    # nothing is to be done to what was repaired, and the file is made all the same
    assert run(["apply", str(new), "--output", str(same), "--format", "json"]) == 0
    document = json.loads(capfd.readouterr().out)
    assert document["applied"] == [] and document["image"]["files"] == [str(same)] and backing(same) == (None, "raw")


@needs_uml
@pytest.mark.parametrize("words", ["--overlay --in-place", "--overlay --image-format raw"])
def test_ways_to_save_that_do_not_go_together(image, words):
    assert run(["apply", str(image), *words.split()]) == 64
