from __future__ import annotations

from pathlib import Path

from guestfix.base.catalog.findings.windows import WINDOWS

ROOT = Path(__file__).resolve().parents[3]


def documented(text: str) -> set[str]:
    """Every code of the table; ``GF-WINDOWS-HIVE-DIRTY, -DAMAGED`` stands for two codes of one stem."""
    found: set[str] = set()
    for line in text.splitlines():
        cell = line.split("|")[1] if line.startswith("| GF-") else ""
        last = ""
        for word in (part.strip() for part in cell.split(",")):
            if word.startswith("GF-"):
                last = word
                found.add(word)
            elif word.startswith("-"):
                found |= {f"GF-WINDOWS{word}", f"{last.rpartition('-')[0]}{word}"}
    return found


def test_every_code_is_documented() -> None:
    assert set(WINDOWS) - documented((ROOT / "docs/windows.md").read_text()) == set()


def test_every_rule_is_documented() -> None:
    text = (ROOT / "docs/windows.md").read_text()
    for folder in (ROOT / "rules/fix/windows").iterdir():
        name = folder.name
        short = f"-{name.rpartition('-')[2]}"
        assert name in text or (name.rpartition("-")[0] in text and short in text), name
