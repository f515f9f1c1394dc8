"""Whoever installs guestfix with pip needs no compiler, with glibc or musl, on x86_64 or aarch64: all has wheels.

This asks a package registry, so it runs where GUESTFIX_WHEELS is set.
"""

from __future__ import annotations

import os
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

PROJECT = tomllib.loads((Path(__file__).resolve().parents[1] / "pyproject.toml").read_text())["project"]
NEEDED = [*PROJECT["dependencies"], *PROJECT["optional-dependencies"]["luks"]]
LIBC = {"musl": ("musllinux_1_1", "musllinux_1_2"), "glibc": ("manylinux2014", "manylinux_2_17", "manylinux_2_28")}

pytestmark = pytest.mark.skipif(not os.environ.get("GUESTFIX_WHEELS"), reason="asks a registry: set GUESTFIX_WHEELS")


@pytest.mark.parametrize("version", ["3.11", "3.12", "3.13", "3.14"])
@pytest.mark.parametrize("machine", ["x86_64", "aarch64"])
@pytest.mark.parametrize("libc", LIBC)
def test_every_dependency_has_a_wheel(libc: str, machine: str, version: str, tmp_path: Path) -> None:
    plain = [one.partition(";")[0] for one in NEEDED]  # a marker is judged by the machine that runs pip
    words = [word for one in LIBC[libc] for word in ("--platform", f"{one}_{machine}")]
    done = subprocess.run(
        [sys.executable, "-m", "pip", "download", "-q", "--disable-pip-version-check", "--only-binary", ":all:", *words,
         "--python-version", version, "--implementation", "cp", "-d", str(tmp_path), *plain],
        capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr[-1000:]
    assert [one.name for one in tmp_path.iterdir() if one.suffix != ".whl"] == []
