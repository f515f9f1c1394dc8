"""The importers of docs/importer.md, as they stand there, with a whole guest and with one that must be refused."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from guestfix.backends.image import open_image
from guestfix.backends.status import usable
from tests.build.images import GUEST, MIB, PartSpec, debian, debian_disk, disk, filesystem, have

pytestmark = [
    pytest.mark.skipif(not usable("uml"), reason="User-mode Linux is not installed"),
    pytest.mark.skipif(not have("mke2fs", "sfdisk", "qemu-img"), reason="e2fsprogs, fdisk or qemu-utils is missing"),
]
ROOT = Path(__file__).resolve().parents[2]
TEXT = (ROOT / "docs/importer.md").read_text()


@pytest.fixture(scope="module")
def source(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Make the disk of the bundled Debian 12."""
    return debian_disk(tmp_path_factory.mktemp("source"), "vmdk")


def importer(language: str, work: Path, source: Path, target: str = "kvm-virtio") -> subprocess.CompletedProcess[str]:
    """Run one as a user would, with the program guestfix on the path."""
    (found,) = re.findall(rf"```{language}\n(.*?)```", TEXT, re.DOTALL)
    (work / "bin").mkdir(parents=True, exist_ok=True)
    program = work / "bin/guestfix"
    program.write_text(f'#!/bin/sh\nexec {sys.executable} -m guestfix "$@"\n')
    program.chmod(0o755)
    script = work / f"importer.{language}"
    script.write_text(found)
    env = {**os.environ, "PYTHONPATH": str(ROOT), "PATH": f"{work / 'bin'}{os.pathsep}{os.environ['PATH']}"}
    runner = "sh" if language == "sh" else sys.executable
    words = [runner, script, source, work, target]
    return subprocess.run(list(map(str, words)), capture_output=True, text=True, env=env, check=False)


@pytest.mark.parametrize("language", ["python", "sh"])
def test_it_hands_over_what_boots(language: str, source: Path, tmp_path: Path) -> None:
    before, work = source.read_bytes(), tmp_path / "work"
    done = importer(language, work, source)
    assert done.returncode == 0, done.stdout[-2000:] + done.stderr[-2000:]
    assert source.read_bytes() == before
    repaired = open_image([str(work / "repaired.qcow2")])
    assert "/dev/sda2" not in repaired.read("/boot/grub/grub.cfg").decode()
    digest = json.loads((work / "plan.json").read_text())["plan_digest"]
    if language == "sh":
        assert json.loads((work / "receipt.json").read_text())["plan_digest"] == digest
        assert "applied, and as it was applied" in done.stderr and f"plan   {digest}" in done.stderr
    else:
        assert json.loads(done.stdout) == {"digest": digest, "files": [str(work / "repaired.qcow2")]}
        kept = work / "originals/0001/originals/etc/fstab"
        assert kept.read_bytes() == (GUEST / "etc/fstab").read_bytes()
        assert "INFO:guestfix:write: Writing the changes" in done.stderr
    again = importer(language, work, source)  # as a pipeline does that did not hear how it ended
    assert again.returncode == 0, again.stderr[-2000:]
    done = importer(
        language, tmp_path / "other", work / "repaired.qcow2"
    )  # nothing is to change, and it is handed over
    assert done.returncode == 0 and (tmp_path / "other/repaired.qcow2").exists(), done.stderr[-2000:]
    if language == "python":
        assert json.loads(done.stdout)["files"] == [str(tmp_path / "other/repaired.qcow2")]


@pytest.mark.parametrize("language", ["python", "sh"])
def test_it_tells_what_it_was_called_wrongly_with(language: str, source: Path, tmp_path: Path) -> None:
    done = importer(language, tmp_path / "work", source, "kvm-virto")
    assert done.returncode == (64 if language == "sh" else 1) and "did you mean kvm-virtio?" in done.stderr
    assert not (tmp_path / "work/repaired.qcow2").exists()


@pytest.mark.parametrize("language", ["python", "sh"])
def test_it_refuses_what_would_not_boot(language: str, tmp_path: Path) -> None:
    """Its root is on a disk that did not come along: the plan with its findings is there, and no image."""
    root = debian(tmp_path / "root", "/dev/sdb9 / ext4 defaults 0 1\n", extra=False)
    content = filesystem("ext4", tmp_path / "fs", 32 * MIB, root)
    done = importer(language, tmp_path / "work", disk(tmp_path / "disk.raw", [PartSpec(content)]))
    assert done.returncode == (2 if language == "sh" else 1), done.stdout + done.stderr
    assert ("blocked: see the findings" if language == "sh" else "not approved") in done.stderr
    findings = json.loads((tmp_path / "work/plan.json").read_text())["findings"]
    assert any(one["severity"] == "blocker" for one in findings)
    assert not (tmp_path / "work/repaired.qcow2").exists()
