"""Puts the guests of rules and tests into the sdist as one archive.

They hold absolute links and links to folders, as roots of systems do. hatchling would follow them out of the project,
and pip refuses an sdist that has them (PEP 721), so they travel in an archive of their own, guests.tar.
"""

from __future__ import annotations

import os
import tarfile
import tempfile
from pathlib import Path
from typing import Any

from hatchling.builders.hooks.plugin.interface import BuildHookInterface

NAME = "guests.tar"
DATE = 1577836800
"""Seconds that every member is dated with where SOURCE_DATE_EPOCH does not say: 1 January 2020."""


class GuestsHook(BuildHookInterface):  # type: ignore[type-arg]
    """hatchling's hook for the target sdist (pyproject.toml)."""

    def initialize(self, version: str, build_data: dict[str, Any]) -> None:
        """Add the archive to what is built; one that is there already, as in an sdist that was unpacked, stays."""
        root = Path(self.root)
        archive = root / NAME
        if not archive.is_file():
            self.folder = tempfile.TemporaryDirectory()
            archive = pack(root, Path(self.folder.name) / NAME)
        build_data["force_include"][str(archive)] = NAME


def pack(root: Path, archive: Path) -> Path:
    """Write the archive: the same bytes for the same files, whoever has them and whenever."""
    folders = [root / "testdata", *sorted((root / "rules").rglob("cases"))]
    with tarfile.open(archive, "w", format=tarfile.PAX_FORMAT) as out:
        for folder in folders:
            for path in sorted(_below(folder)):
                member = out.gettarinfo(str(path), str(path.relative_to(root)))
                member.uid = member.gid = 0
                member.uname = member.gname = ""
                member.mtime = int(os.environ.get("SOURCE_DATE_EPOCH", DATE))
                if member.isreg():
                    with path.open("rb") as data:
                        out.addfile(member, data)
                else:
                    out.addfile(member)
    return archive


def _below(folder: Path) -> list[Path]:
    """Return the folder and all that is in it; no link is followed."""
    found = [folder]
    for here, folders, files in os.walk(folder):
        found += [Path(here, name) for name in (*folders, *files) if name != "__pycache__"]
    return found
