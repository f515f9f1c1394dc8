"""Small rule packs written by tests."""

from __future__ import annotations

import shutil
from pathlib import Path

REAL = Path(__file__).resolve().parents[2] / "rules"

RULE = """id: {id}
title: Disable shares
why: They are not there.
sources: [fstab(5)]
since: 2026-11-25
confidence: certain
when:
  - os.family == linux
do:
  - in: /etc/fstab
    op: fstab.disable
    args: {{types: [cifs, vboxsf], sources: ["//*"], why: not reachable there}}
"""


def make_pack(root: Path, rules: dict[str, str] | None = None) -> Path:
    """Write a pack with the real targets and systems, and these rules (by ``topic/id``)."""
    shutil.copytree(REAL / "targets", root / "targets")
    shutil.copytree(REAL / "os", root / "os", ignore=shutil.ignore_patterns("cases"))
    shutil.copytree(REAL / "tables", root / "tables")
    shutil.copy(REAL / "compat.yaml", root)
    shutil.copy(REAL / "pack.yaml", root)
    for name, text in (rules if rules is not None else {"fstab/shares": RULE.format(id="fstab/shares")}).items():
        place = root / "fix" / name
        place.mkdir(parents=True)
        (place / "rule.yaml").write_text(text)
    return root
