"""The wheel on bare trees of newer Debians, with newer Pythons: the same report, the same outcome of every case."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.build.bare import Bare

pytestmark = pytest.mark.e2e

ROOT = Path(__file__).resolve().parents[2]
GUEST = "testdata/guests/ubuntu-22.04"


@pytest.fixture(scope="module")
def wheel(tmp_path_factory) -> Path:
    folder = tmp_path_factory.mktemp("wheel")
    command = [sys.executable, "-m", "pip", "wheel", "-q", "--no-deps", "-w", folder, ROOT]
    subprocess.run(command, check=True, capture_output=True)
    (found,) = folder.glob("guestfix-*.whl")
    return found


def installed(root: Path, suite: str, include: str, wheel: Path) -> Bare:
    """Return a tree with guestfix in /venv, from the wheel, and a bundled guest in /src."""
    if os.geteuid() != 0:
        pytest.skip("a chroot needs root")
    tree = Bare(root, include, suite)
    (root / "src").mkdir()
    shutil.copy2(wheel, root / "src")
    subprocess.run(["cp", "-a", ROOT / GUEST, root / "src/guest"], check=True)
    done = tree.run(f"update-ca-certificates && python3 -m venv /venv && /venv/bin/pip install -q /src/{wheel.name}")
    assert done.returncode == 0, done.stderr[-2000:]
    return tree


@pytest.fixture
def place(tmp_path: Path) -> Iterator[Path]:
    yield tmp_path / "tree"
    shutil.rmtree(tmp_path / "tree", ignore_errors=True)


@pytest.mark.parametrize("suite", ["trixie", "sid"])
def test_a_report_and_the_packs_own_cases_on_a_newer_python(suite: str, wheel: Path, place: Path) -> None:
    tree = installed(place, suite, "python3,python3-venv,ca-certificates", wheel)
    version = tree.run("python3 -VV").stdout.strip()
    print(suite, version)
    assert version.startswith("Python 3.1") and not version.startswith("Python 3.11")
    report = tree.run("/venv/bin/guestfix report guest --target kvm-virtio")
    here = subprocess.run(
        [sys.executable, "-m", "guestfix", "report", "guest", "--target", "kvm-virtio"],
        cwd=place / "src", env={**os.environ, "PYTHONPATH": str(ROOT)}, capture_output=True, text=True, check=True,
    )  # fmt: skip
    assert report.returncode == 0 and report.stdout == here.stdout and report.stderr == ""
    applied = tree.run("/venv/bin/guestfix apply guest --target kvm-virtio && /venv/bin/guestfix revert guest")
    assert applied.returncode == 0, applied.stderr
    shutil.copytree(ROOT / "rules", place / "src/rules", symlinks=True)
    cases = tree.run("/venv/bin/guestfix test rules")
    assert cases.returncode == 0 and " 0 failed" in cases.stdout, cases.stdout[-2000:] + cases.stderr[-2000:]


def test_a_host_laid_out_as_fedoras(wheel: Path, place: Path) -> None:
    """Dnf is Debian's package of it; apt and dpkg are taken away, os-release is Fedora's."""
    tree = installed(place, "bookworm", "python3,python3-venv,ca-certificates,dnf", wheel)
    for name in ("apt", "apt-get", "apt-cache", "dpkg"):
        (place / "usr/bin" / name).unlink()
    (place / "etc/os-release").unlink()
    (place / "etc/os-release").write_text('ID=fedora\nVERSION_ID=40\nPRETTY_NAME="Fedora Linux 40"\n')
    backends = tree.run("/venv/bin/guestfix backends")
    assert backends.returncode == 0, backends.stderr
    assert "dnf install" in backends.stdout and "apt" not in backends.stdout, backends.stdout
    report = tree.run("/venv/bin/guestfix report guest --target aws-nitro --format json")
    assert report.returncode == 0 and '"walk"' in report.stdout, report.stderr
