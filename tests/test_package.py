"""What pip installs: the package with its rules, without cases and test guests."""

import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]


def test_the_wheel_holds_the_rules_and_no_cases(tmp_path):
    pytest.importorskip("hatchling", reason="hatchling builds the wheel")
    command = [sys.executable, "-m", "hatchling", "build", "-t", "wheel", "-d", str(tmp_path)]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    (wheel,) = tmp_path.glob("*.whl")
    names = set(zipfile.ZipFile(wheel).namelist())
    rules = {
        f"guestfix/{path.relative_to(ROOT)}" for path in (ROOT / "rules").rglob("*.yaml") if "cases" not in path.parts
    }
    assert len(rules) > 30 and rules <= names
    assert {"guestfix/pack/when.lark", "guestfix/py.typed", "guestfix/cli.py"} <= names
    data = {name.partition(".data/data/")[2] for name in names if ".data/data/" in name}
    assert data == {f"share/man/man1/{path.name}" for path in (ROOT / "docs/man").iterdir()} | {
        "share/bash-completion/completions/guestfix",
        "share/zsh/site-functions/_guestfix",
        "share/fish/vendor_completions.d/guestfix.fish",
    }
    unwanted = ("tests/", "testdata/")
    assert not [
        name
        for name in names
        if (name.startswith("guestfix/rules/") and "/cases/" in name) or name.startswith(unwanted)
    ]
