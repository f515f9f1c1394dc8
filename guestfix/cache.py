"""What was compiled from text and may be kept between runs: JSON in the user's cache folder.

XDG base directory specification. It holds data only, named by a digest of what it was made from, so a stale
or broken file is at worst ignored and written anew; a folder that can't be written is no reason to fail.
"""

from __future__ import annotations

import json
import os
from typing import Any

KEPT = 100


def _file(name: str) -> str:
    base = os.environ.get("XDG_CACHE_HOME") or os.path.join(os.path.expanduser("~"), ".cache")
    return os.path.join(base, "guestfix", f"{name}.json")


def read(name: str) -> Any:
    """Return what was kept under this name, or None."""
    try:
        with open(_file(name), "rb") as stream:
            return json.loads(stream.read())
    except (OSError, ValueError):
        return None


def write(name: str, data: Any) -> None:
    """Keep data under this name."""
    import tempfile

    file = _file(name)
    try:
        os.makedirs(os.path.dirname(file), exist_ok=True)
        with tempfile.NamedTemporaryFile("w", dir=os.path.dirname(file), delete=False, encoding="utf-8") as stream:
            json.dump(data, stream)
        os.replace(stream.name, file)
        _forget_oldest(os.path.dirname(file))
    except OSError:
        return


def _forget_oldest(folder: str) -> None:
    """Keep at most KEPT files: a host that imports thousands of guests should not collect them here."""
    files = [entry for entry in os.scandir(folder) if entry.name.endswith(".json")]
    for entry in sorted(files, key=lambda entry: entry.stat().st_mtime)[:-KEPT]:
        os.unlink(entry.path)
