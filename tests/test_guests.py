"""The bundled guests: whole runs on each, and their binary files against the tables that they were made from."""

from __future__ import annotations

import gzip
import lzma
import shutil
from pathlib import Path

import pytest

import guestfix
from guestfix.cases.runner import snapshot
from tests.build import make_guests
from tests.build.facts import hold_to_the_table

NAMES = sorted(make_guests.KERNELS)
GUESTS = make_guests.GUESTS
SBIN = "/usr/sbin:/sbin:/usr/bin:/bin"


@pytest.fixture(autouse=True)
def facts_of_the_table(monkeypatch: pytest.MonkeyPatch) -> None:
    hold_to_the_table(monkeypatch)


def plan_of(folder: Path, target: str | None = None) -> guestfix.Plan:
    return guestfix.make_plan(guestfix.open_guest(str(folder)), guestfix.load_pack(), target)


def fstab_of(plan: guestfix.Plan) -> str:
    return next(change.diff for change in plan.changes if change.path == "/etc/fstab")


@pytest.mark.parametrize("name", NAMES)
def test_a_report_knows_the_system_and_nothing_blocks(name: str) -> None:
    plan = plan_of(GUESTS / name)
    assert plan.verdict == "supported"
    assert [finding for finding in plan.findings if finding.severity == "blocker"] == []
    assert [one.rule for one in plan.decisions if one.outcome == "failed"] == []
    assert guestfix.dump_plan(plan_of(GUESTS / name)) == guestfix.dump_plan(plan)


@pytest.mark.parametrize("target", ["kvm-virtio", "aws-nitro"])
@pytest.mark.parametrize("name", NAMES)
def test_apply_leaves_nothing_to_do_and_revert_leaves_no_trace(name: str, target: str, tmp_path: Path) -> None:
    folder = tmp_path / name
    shutil.copytree(GUESTS / name, folder, symlinks=True)
    before = snapshot(folder / "root")
    plan = plan_of(folder, target)
    assert snapshot(folder / "root") == before
    guestfix.apply_plan(guestfix.open_writable(str(folder)), plan)
    assert plan_of(folder, target).changes == ()
    guestfix.revert(guestfix.open_writable(str(folder)))
    after = snapshot(folder / "root")
    assert {path for path in {*before, *after} if before.get(path) != after.get(path)} == set()


@pytest.mark.parametrize(
    ("name", "added", "follow_ups"),
    [
        (
            "rhel7-vmware",
            [
                "UUID=2f6e1f0a-7b1c-4d7a-8c55-0a4f3c9d0002               /srv/data ",
                "/dev/sdc1               /srv/scratch            ext4    defaults,nofail,x-systemd.device-timeout=30s",
                "# guestfix: disabled, a folder that the old hypervisor shared: .host:/",
            ],
            ["nofail was added to /srv/scratch: attach its disk, then remove it"],
        ),
        ("ubuntu-22.04", ["UUID=8d1c8b7e-2b0f-4a83-a1f7-5c1d2e3f0003 /srv/my\\040files ext4 defaults,nodev 0 2"], []),
        ("sles-15", ["UUID=c4b2a190-1f2e-4d3c-9b8a-7f6e5d4c0002  /                       btrfs "], []),
        (
            "debian-12",
            [
                "UUID=e7d6c5b4-a392-4810-8f7e-6d5c4b3a0002       /  ",
                "UUID=e7d6c5b4-a392-4810-8f7e-6d5c4b3a0001 /boot-old",
            ],
            ["nofail was added to /var/lib/postgresql: attach its disk, then remove it"],
        ),
        (
            "amazon-linux-2",
            ["UUID=0f1e2d3c-4b5a-4697-8877-66554433aa02    /data "],
            ["nofail was added to /backup: attach its disk, then remove it"],
        ),
    ],
)
def test_fstab_is_mended(name: str, added: list[str], follow_ups: list[str]) -> None:
    plan = plan_of(GUESTS / name)
    lines = [line.removeprefix("+") for line in fstab_of(plan).splitlines() if line.startswith("+")]
    for text in added:
        assert any(line.startswith(text) for line in lines), text
    assert set(follow_ups) <= set(plan.follow_ups)


def unpacked(data: bytes) -> bytes:
    """Return what is inside a compressed file, also behind an early archive; other data as it is."""
    import zstandard

    openers = {
        b"\x1f\x8b\x08": gzip.decompress,
        b"\xfd7zXZ\0": lzma.decompress,
        b"\x28\xb5\x2f\xfd": lambda raw: zstandard.ZstdDecompressor().decompress(raw),
    }
    for magic, opener in openers.items():
        at = data.find(magic)
        if at == 0 or (at > 0 and data.startswith(b"070701")):
            return data[:at] + opener(data[at:])
    return data


@pytest.mark.skipif(
    shutil.which("depmod", path="/sbin:/usr/sbin:/bin:/usr/bin") is None, reason="kmod is not installed"
)
@pytest.mark.parametrize("name", NAMES)
def test_binary_files_are_what_the_tables_say(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", SBIN)
    for path, data in make_guests.guest_files(name).items():
        committed = (GUESTS / name / "root" / path).read_bytes()
        assert unpacked(committed) == unpacked(data), path


@pytest.mark.parametrize("name", NAMES)
def test_the_tree_is_sparse_and_names_no_real_place(name: str) -> None:
    files = [path for path in (GUESTS / name).rglob("*") if path.is_file() and not path.is_symlink()]
    assert sum(path.stat().st_size for path in files) < 400_000
    assert not any(b"PRIVATE KEY" in path.read_bytes() for path in files)
