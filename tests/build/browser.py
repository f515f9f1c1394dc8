"""Pages in headless Chromium: what axe-core says of them, and what they do."""

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from tests.build.reports import ROOT

MODULES = Path(os.environ.get("VENV", str(Path(sys.prefix)))) / "browser/node_modules"
CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")


def look(*names):
    """Open these HTML files and return what tests/browser/look.js tells of each; skip where it can't."""
    if not CHROMIUM or not shutil.which("node"):
        pytest.skip("no Chromium or no node here (Debian: chromium, npm)")
    if not (MODULES / "axe-core").is_dir():
        pytest.skip("no axe-core here: sh tests/browser/setup.sh")
    script = ROOT / "tests/browser/look.js"
    done = subprocess.run(
        ["node", str(script), CHROMIUM, str(MODULES), *map(str, names)], capture_output=True, text=True, timeout=400
    )
    assert done.returncode == 0, done.stderr
    return [json.loads(line) for line in done.stdout.splitlines()]
