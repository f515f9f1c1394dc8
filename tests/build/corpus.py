"""The shared corpus of real files, ``../shared/corpus`` beside the repository; tests skip where it is absent."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

CORPUS = Path(__file__).resolve().parents[3] / "shared" / "corpus"


def corpus_files(kind: str) -> list[Path]:
    """Return every file of a kind (``fstab``, ``ifcfg-rh``, ...), sorted; empty where there is no corpus."""
    return sorted(path for path in (CORPUS / kind).rglob("*") if path.is_file())


def corpus_params(*kinds: str) -> list[Any]:
    """Return pytest parameters, one a file with a short id; a single skipped one where there are none."""
    found = [path for kind in kinds for path in corpus_files(kind)]
    if not found:
        return [pytest.param(None, marks=pytest.mark.skip(reason=f"no corpus of {', '.join(kinds)} at {CORPUS}"))]
    return [pytest.param(path, id=str(path.relative_to(CORPUS))) for path in found]
