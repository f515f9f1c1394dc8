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


def printed(page):
    """Return the text of a page's printed sheets, one after the other; skip where it can't be printed."""
    if not CHROMIUM or not shutil.which("pdftotext"):
        pytest.skip("no Chromium or no pdftotext here (Debian: chromium, poppler-utils)")
    sheet = page.with_suffix(".pdf")
    command = [
        CHROMIUM,
        "--headless",
        "--no-sandbox",
        "--disable-gpu",
        "--no-pdf-header-footer",
        f"--print-to-pdf={sheet}",
    ]
    subprocess.run([*command, page.as_uri()], capture_output=True, timeout=300, check=True)
    done = subprocess.run(["pdftotext", "-layout", sheet, "-"], capture_output=True, text=True, check=True)
    return done.stdout.split("\f")[:-1]
