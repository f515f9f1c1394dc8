"""The guests of the rule cases are what tests/build/initramfs_cases.py writes, and their laws hold."""

from __future__ import annotations

from pathlib import Path

import pytest

from guestfix.cases.runner import compare, find_cases, run_case
from guestfix.formats.initramfs import decompress
from guestfix.formats.initramfs import image as initramfs
from guestfix.pack.cache import load_pack
from tests.build.initramfs_cases import RULES, cases, write

LIMIT = 1 << 24
CASES = find_cases(RULES)


def _plain(path: Path) -> object:
    """Return a file's content, of images and modules what they hold: compressors differ between libraries."""
    data = path.read_bytes()
    kind = decompress.kind_of(data)
    if not kind and not data.startswith(b"070701"):
        return data
    if kind == "xz" and "initr" not in path.name:
        return decompress.unpacked(kind, data, LIMIT)
    with path.open("rb") as stream:
        image = initramfs.scan(stream, lambda name: True)
    return sorted(image.files), {name: _plain_bytes(data) for name, data in image.files.items()}


def _plain_bytes(data: bytes) -> bytes:
    kind = decompress.kind_of(data)
    return decompress.unpacked(kind, data, LIMIT) if kind else data


def _tree(root: Path) -> dict[str, object]:
    found: dict[str, object] = {}
    for path in sorted(root.rglob("*")):
        if path.is_symlink():
            found[str(path.relative_to(root))] = str(path.readlink())
        elif path.is_file() and path.name != "expect.txt":
            found[str(path.relative_to(root))] = _plain(path)
    return found


def test_the_repository_has_what_the_script_writes(tmp_path):
    write(tmp_path)
    for name in cases():
        rule, case = name.split("/")
        assert _tree(RULES / rule / "cases" / case) == _tree(tmp_path / rule / "cases" / case)


@pytest.mark.parametrize("case", CASES, ids=lambda case: f"{case.folder.parent.parent.name}/{case.folder.name}")
def test_case(case):
    outcome = run_case(case, load_pack(RULES.parents[1]))
    assert not outcome.failures and not compare(outcome)


def test_every_rule_has_a_case():
    rules = {path.parent.name for path in RULES.glob("*/rule.yaml")}
    assert {case.folder.parent.parent.name for case in CASES} == rules
