"""systemd's own fstab generator as the judge: what it reads, and what its boot would wait for."""

from __future__ import annotations

import os
import re
import subprocess
from dataclasses import dataclass
from pathlib import Path

import pytest

from guestfix.base.edit import Edit
from guestfix.editors.storage import fstab, missing
from guestfix.formats.storage.fstab import VITAL, readable
from tests.build.corpus import corpus_params

GENERATOR = "/usr/lib/systemd/system-generators/systemd-fstab-generator"
FOUND = re.compile(r"Found entry what=(.*) where=(.*) type=(.*?) .*noauto=(yes|no) nofail=(yes|no)")
NETWORK = ["nfs", "nfs4", "cifs", "smbfs", "smb3", "vboxsf", "9p", "fuse.sshfs"]

pytestmark = pytest.mark.skipif(not os.access(GENERATOR, os.X_OK), reason=f"systemd is not installed: no {GENERATOR}")


@dataclass(frozen=True)
class Seen:
    """What the generator made of a table: (where, type, noauto, nofail) of each entry, and the units it requires."""

    entries: list[tuple[str, str, bool, bool]]
    required: set[str]


def generate(src: bytes, folder: Path) -> Seen:
    table, out = folder / "fstab", folder / "out"
    out.mkdir(parents=True, exist_ok=True)
    table.write_bytes(src)
    logging = {"SYSTEMD_LOG_LEVEL": "debug", "SYSTEMD_LOG_TARGET": "console", "SYSTEMD_PROC_CMDLINE": "quiet"}
    environment = {**os.environ, **logging, "SYSTEMD_FSTAB": str(table), "SYSTEMD_IN_INITRD": "0"}
    run = subprocess.run([GENERATOR, out, out, out], env=environment, capture_output=True, check=False)
    found = FOUND.findall(run.stderr.decode("utf-8", "surrogateescape"))
    required = {path.name for path in out.glob("*.requires/*")}
    return Seen([(where, kind, auto == "yes", fail == "yes") for _, where, kind, auto, fail in found], required)


def fixed(src: bytes) -> bytes:
    """Return the table after all rules, for a guest none of whose disks came along."""
    for op in (
        fstab.comment_unreadable,
        lambda text: fstab.disable(text, types=NETWORK[2:], sources=["//*"], why="a share"),
        lambda text: fstab.network(text, types=NETWORK[:2], policy="nofail", init="systemd"),
        lambda text: missing.guard_missing(
            text, table={}, types={}, specs=[], tagged=True, complete=True, init="systemd"
        ),
    ):
        got = op(src)
        content = got.content if isinstance(got, Edit) else got
        assert isinstance(content, bytes)
        src = content
    return src


TABLES = [
    b"/dev/sda1 / ext4\n/dev/sdb1 /data ext4 defaults 0 2\nUUID=ab /srv xfs\n",
    b"/dev/sda1 / ext4 # remark\n/dev/sdb1 /a\\040b ext4 defaults,noatime # remark\n/dev/sdc1\t/c\n",
    b"LABEL=x / ext4 ro 0 1\nnas:/x /n nfs4 defaults 0 0\n//h/s /s cifs ro 0 0\nshare /v vboxsf\n",
    b"LABEL=x / ext4 ro 0 1\nbad line\n/dev/sd\0x /x ext4\n/dev/sdb1 /after ext4 defaults 0 2\n",
]


@pytest.mark.parametrize("src", TABLES[:3])
def test_entries_are_read_as_systemd_reads_them(src: bytes, tmp_path: Path) -> None:
    ours = [(e.place, e.type, e.has("noauto"), e.has("nofail")) for e in readable(src)]
    theirs = [(where, kind or "auto", auto, fail) for where, kind, auto, fail in generate(src, tmp_path).entries]
    assert ours == theirs


@pytest.mark.parametrize("path", corpus_params("fstab"))
def test_corpus_is_read_as_systemd_reads_it(path: Path, tmp_path: Path) -> None:
    src = path.read_bytes()
    ours = [(e.mount, e.type, e.has("noauto"), e.has("nofail")) for e in readable(src)]
    theirs = [
        (where, kind or "auto", auto, fail) for where, kind, auto, fail in generate(src, tmp_path).entries if where
    ]
    special = {"/proc", "/sys", "/dev", "/dev/pts", "/dev/shm"}
    assert [e for e in ours if e[0] not in special] == [e for e in theirs if e[0] not in special]


@pytest.mark.parametrize("src", TABLES)
def test_boot_waits_for_nothing_that_is_gone(src: bytes, tmp_path: Path) -> None:
    assert generate(fixed(src), tmp_path / "after").required == {"-.mount"}


def test_a_line_with_a_nul_no_longer_hides_the_next(tmp_path: Path) -> None:
    src = TABLES[3]
    assert "/after" not in [entry[0] for entry in generate(src, tmp_path / "before").entries]
    assert "/after" in [entry[0] for entry in generate(fixed(src), tmp_path / "after").entries]


@pytest.mark.parametrize("path", corpus_params("fstab"))
def test_a_corpus_guest_without_its_disks_waits_for_vital_mounts_only(path: Path, tmp_path: Path) -> None:
    src = path.read_bytes()
    stay = {*VITAL, *(entry.place for entry in readable(src) if entry.bound), "/proc", "/sys", "/dev/pts", "/dev/shm"}
    units = {"-.mount" if place == "/" else place[1:].replace("/", "-") + ".mount" for place in stay}
    assert generate(fixed(src), tmp_path).required <= units
