"""A guestfix of long ago, measured beside today's in one run: a wheel that is built from the repository's history.

A bound in seconds depends on the machine, a ratio between two engines in one run doesn't.
"""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
BEFORE_ONE_INFLATION = "a36b8e14~1"
"""2026-11-29: the last engine that inflated an image up to three times, planned in the writing machine, and was
measured when these bounds were set (docs/decisions/065)."""


def earlier(folder: Path, commit: str = BEFORE_ONE_INFLATION) -> list[str] | str:
    """Return the command that runs the guestfix of a commit, from a wheel that is built below ``folder``.

    A sentence instead where the history is not there, as in a source archive, or the wheel can't be built.
    """
    tree, wheel, into = (folder / name for name in ("tree", "wheel", "site"))
    tree.mkdir(parents=True)
    archive = subprocess.run(["git", "-C", ROOT, "archive", commit], capture_output=True, check=False)
    if archive.returncode:
        return f"no commit {commit} here, so nothing earlier to compare with"
    subprocess.run(["tar", "-xC", tree], input=archive.stdout, check=True)
    steps = [
        [sys.executable, "-m", "hatchling", "build", "-t", "wheel", "-d", str(wheel)],
        [sys.executable, "-m", "pip", "install", "-q", "--no-deps", "--no-index", "--target", str(into)],
    ]
    for step in steps:
        files = [str(path) for path in wheel.glob("*.whl")] if "pip" in step else []
        done = subprocess.run([*step, *files], cwd=tree, capture_output=True, text=True, check=False)
        if done.returncode:
            return f"the wheel of {commit} can't be built: {done.stderr.strip()[-300:]}"
    return ["env", f"PYTHONPATH={into}", sys.executable, "-P", "-m", "guestfix"]
