"""Release files of real machines: what each is, alone in a tree, against a list that a person has read.

The list holds a file's name as the corpus has it, then ID and version. ``-`` is a file that names no
system: greetings made of escapes, an encrypted one, one that says ``redhat-4``.
"""

from __future__ import annotations

from pathlib import Path

import pytest

from guestfix.backends.directory import DirectoryGuest
from guestfix.base.facts import Facts
from guestfix.detect.system import os as os_detector
from tests.build.corpus import corpus_files, corpus_params
from tests.build.systems import SYSTEMS
from tests.build.tree import build

GOLDEN = Path(__file__).with_name("osid.golden")
KINDS = ("release", "version", "release-cpe")


def read_golden() -> dict[str, str]:
    return dict(line.split(" ", 1) for line in GOLDEN.read_text().splitlines() if line and not line.startswith("#"))


def detected(root: Path, source: Path) -> str:
    name = source.name.partition("__")[2].rpartition("%")[2]
    build(root, {f"etc/{name}": source.read_bytes()})
    facts = Facts()
    os_detector.detect(DirectoryGuest(str(root)), facts, SYSTEMS)
    parts = (facts.value("os.id"), facts.value("os.version"), facts.value("os.variant"))
    return " ".join(part for part in parts if part) or "-"


@pytest.mark.parametrize("source", corpus_params("osid"))
def test_real_release_file(tmp_path: Path, source: Path) -> None:
    golden = read_golden()
    key = f"{source.parent.name}/{source.name}"
    found = detected(tmp_path, source)
    if key not in golden:
        pytest.skip(f"survived, but no person has read it yet: {key} {found}")
    assert found == golden[key]


def test_nine_of_ten_are_known(tmp_path: Path) -> None:
    sources = [path for path in corpus_files("osid") if not path.name.endswith("issue")]
    if not sources:
        pytest.skip("no corpus of release files")
    known = sum(detected(tmp_path / str(index), path) != "-" for index, path in enumerate(sources))
    assert known * 100 >= 90 * len(sources), f"{known} of {len(sources)}"
