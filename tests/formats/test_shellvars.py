"""Assignments that are added to a shell file, as a real shell reads them."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest

from guestfix.formats.shellvars import set_value


@pytest.mark.parametrize(
    "src", [b"", b"A=1\n", b"A=1", b"A=\\\n", b"A=1\\\n", b"A=\\", b"A=x\\\\\n", b"# all \\\n", b"A=1 \\\n\n"]
)
def test_what_is_added_is_read(src: bytes, tmp_path: Path) -> None:
    after = set_value(src, "B", "two words")
    assert after.startswith(src)
    assert set_value(after, "B", "two words") is after
    (tmp_path / "file").write_bytes(after)
    script = '. ./file; printf "%s" "$B"'
    shell = subprocess.run(["sh", "-c", script], cwd=tmp_path, capture_output=True, check=True)
    assert shell.stdout == b"two words"
