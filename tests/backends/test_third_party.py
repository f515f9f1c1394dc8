"""A backend of another package: found by the entry-point group, held to the exported contract, used by commands."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
from pathlib import Path

import pytest

from guestfix.backends import contract, open_guest
from guestfix.backends.directory import DirectoryGuest
from guestfix.cli import run

BUILD = Path(__file__).parents[1] / "build"


@pytest.fixture
def installed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Put a package with three backends where Python finds packages, as pip would."""
    site = tmp_path / "site"
    shutil.copytree(BUILD, site, ignore=lambda _, names: [name for name in names if name != "tinytar.py"])
    info = site / "tiny_backend-1.2.dist-info"
    info.mkdir()
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: tiny-backend\nVersion: 1.2\n")
    (info / "entry_points.txt").write_text(
        "[guestfix.backends]\ntinytar = tinytar:open_place\ntinyrw = tinyrw:open_place\nbroken = nowhere:open_place\n"
    )
    (site / "tinyrw.py").write_text(
        "from guestfix.backends.directory import DirectoryGuest\n\n"
        "def open_place(place, request):\n    return DirectoryGuest(place)\n"
    )
    monkeypatch.syspath_prepend(str(site))
    return site


def archive(tree: Path, place: Path) -> Path:
    subprocess.run(["tar", "-C", tree, "--format=pax", "-cf", place, "."], check=True)
    return place


def test_the_contract_over_another_packages_backend(installed: Path, tmp_path: Path) -> None:
    tree = tmp_path / "tree"
    contract.reference_tree(tree)
    guest = open_guest(f"tinytar:{archive(tree, tmp_path / 'guest.tar')}")
    assert type(guest).__module__ == "tinytar"
    assert contract.reading_violations(guest, DirectoryGuest(str(tree)), xattrs=False) == []
    if os.geteuid() == 0:  # the checks set owners
        writable = open_guest(f"tinyrw:{tree}", writable=True)
        assert contract.writing_violations(writable, xattrs=False) == []  # type: ignore[arg-type]
    (tree / "etc/hostname").write_text("another\n")
    found = contract.reading_violations(guest, DirectoryGuest(str(tree)), times=0, xattrs=False)
    assert any("content of /etc/hostname" in one for one in found)


def test_commands_use_it(installed: Path, tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    place = archive(BUILD.parents[1] / "testdata/guests/debian-12", tmp_path / "guest.tar")
    assert run(["report", f"tinytar:{place}", "--format", "json"]) in (0, 2)
    plan = json.loads(capfd.readouterr().out)
    assert plan["guest"]["uri"] == f"tinytar:{place}"
    assert run(["backends", "--format", "json"]) == 0
    rows = {row["name"]: row for row in json.loads(capfd.readouterr().out)["backends"]}
    assert rows["tinytar"]["title"] == "from the package tiny-backend"
    assert run(["apply", f"tinytar:{place}"]) == 64
    assert "a tar archive can only be read" in capfd.readouterr().err
    assert run(["report", f"tinytar:{BUILD / 'tinytar.py'}"]) == 2
    assert f"{BUILD / 'tinytar.py'}: no tar archive" in capfd.readouterr().err


def test_one_that_can_not_be_loaded(installed: Path, capfd: pytest.CaptureFixture[str]) -> None:
    assert run(["report", "broken:x"]) == 64
    said = capfd.readouterr().err
    assert "the backend broken of the package tiny-backend can't be loaded: No module named 'nowhere'" in said
