"""The whole path on a real Debian 12 root from debootstrap: report, apply, nothing left to do, revert."""

import json
import os
import shutil
import subprocess

import pytest

from guestfix.cli import run
from tests.build.debian import debootstrap, unpack
from tests.build.plans import tree

DISKS = """
disks:
  - device: /dev/sda
    size: 10737418240
    table: mbr
    partitions:
      - {device: /dev/sda1, fstype: ext4, uuid: 11111111-2222-3333-4444-555555555555}
      - {device: /dev/sda5, fstype: swap, uuid: 66666666-7777-8888-9999-000000000000}
"""
FSTAB = """# /etc/fstab: static file system information.
/dev/sda1\t/               ext4    errors=remount-ro 0       1
/dev/sda5 none            swap    sw              0       0
/dev/sdb1 /srv/data       ext4    defaults        0       2
//nas/pub /srv/pub        cifs    guest           0       0
/dev/sr0  /media/cdrom0   udf,iso9660 user,noauto 0       0
this line is not one
"""


@pytest.fixture(scope="module")
def debian(tmp_path_factory):
    place = tmp_path_factory.mktemp("debian")
    root = unpack(debootstrap(), place / "root")
    (root / "etc/fstab").write_text(FSTAB)
    (root / "etc/default/grub").write_text('GRUB_DEFAULT=saved\nGRUB_TIMEOUT=-1\nGRUB_CMDLINE_LINUX=""\n')
    (place / "disks.yaml").write_text(DISKS)
    yield root
    shutil.rmtree(place)


@pytest.fixture
def guestfix(debian, capfdbinary):
    def call(command, *args):
        disks = [] if command == "revert" else ["--disks", str(debian.parent / "disks.yaml")]
        status = run([command, str(debian), *disks, *args])
        return status, capfdbinary.readouterr().out.decode()

    return call


def test_the_system_is_known(guestfix):
    _, out = guestfix("inspect", "--format", "json")
    facts = json.loads(out)["facts"]
    assert facts["os.id"]["value"] == "debian"
    assert facts["os.version"]["value"].startswith("12.")
    assert facts["os.arch"]["value"] == "x86_64"
    assert facts["kernel.default"]["value"].startswith("6.1.0-")


def test_report_apply_and_revert(debian, guestfix):
    before = tree(debian)
    status, out = guestfix("report", "--format", "json")
    report = json.loads(out)
    assert tree(debian) == before
    fstab = next(one for one in report["changes"] if one["path"] == "/etc/fstab")
    assert status in (0, 2), report["findings"]
    changed = [line for line in fstab["diff"].splitlines() if line[:1] in "+-" and line[:3] not in ("+++", "---")]
    assert "+UUID=11111111-2222-3333-4444-555555555555\t/               ext4    errors=remount-ro 0       1" in changed
    assert "+UUID=66666666-7777-8888-9999-000000000000 none            swap    sw              0       0" in changed
    assert any(line.startswith("+/dev/sdb1 /srv/data") and "nofail" in line for line in changed)
    assert any(line.startswith("+#") and "//nas/pub" in line for line in changed)
    assert any(line.startswith("+#") and "this line is not one" in line for line in changed)
    assert not any("/media/cdrom0" in line for line in changed)
    blockers = sorted({one["code"] for one in report["findings"] if one["severity"] == "blocker"})
    accept = [text for code in blockers for text in ("--accept", code)]
    status, out = guestfix("apply", "--format", "json", *accept)
    assert status == 0, out
    assert set(json.loads(out)["applied"]) >= {"/etc/fstab", "/etc/default/grub"}
    status, out = guestfix("report", "--format", "json", *accept)
    assert (status, json.loads(out)["changes"]) == (0, [])
    _real_tools_accept(debian)
    status, _ = guestfix("revert")
    assert status == 0
    assert tree(debian) == before


def _real_tools_accept(root):
    """Ask util-linux and systemd what they make of the new fstab."""
    table = ["findmnt", "--tab-file", str(root / "etc/fstab"), "--json", "--output", "SOURCE,TARGET,FSTYPE,OPTIONS"]
    found = json.loads(subprocess.run(table, capture_output=True, check=True).stdout)["filesystems"]
    assert [(one["source"], one["target"]) for one in found] == [
        ("UUID=11111111-2222-3333-4444-555555555555", "/"),
        ("UUID=66666666-7777-8888-9999-000000000000", "none"),
        ("/dev/sdb1", "/srv/data"),
        ("/dev/sr0", "/media/cdrom0"),
    ]
    generator = "/usr/lib/systemd/system-generators/systemd-fstab-generator"
    if os.path.exists(generator):
        units = root.parent / "units"
        units.mkdir()
        env = {**os.environ, "SYSTEMD_FSTAB": str(root / "etc/fstab")}
        subprocess.run([generator, str(units), str(units), str(units)], check=True, env=env)
        wants = units / "local-fs.target.wants"
        requires = units / "local-fs.target.requires"
        assert (wants / "srv-data.mount").is_symlink(), "nofail makes it wanted, not required"
        assert not (requires / "srv-data.mount").exists()
        shutil.rmtree(units)
