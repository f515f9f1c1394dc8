from __future__ import annotations

import pytest

from tests.build.corpus import CORPUS, corpus_files, corpus_params


def test_an_absent_kind_gives_one_skipped_parameter() -> None:
    assert corpus_files("no-such-kind") == []
    (only,) = corpus_params("no-such-kind")
    assert only.marks[0].name == "skip"


@pytest.mark.skipif(not CORPUS.is_dir(), reason=f"no corpus at {CORPUS}")
def test_files_come_sorted_and_from_subfolders() -> None:
    files = corpus_files("fstab")
    assert files == sorted(files)
    assert len(files) > 20
