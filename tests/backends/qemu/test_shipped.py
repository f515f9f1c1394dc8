"""What a machine's agent may import stands in the list of what is shipped."""

from __future__ import annotations

import ast
import importlib.util
import marshal
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from guestfix.backends.machine.guest import UNTOLD, kinds_of
from guestfix.backends.qemu import shipped
from guestfix.backends.qemu.initramfs import PACKAGE, PYTHON, USED, needed_for
from guestfix.backends.status import CHECKERS
from guestfix.backends.volumes.block import FileBlock
from guestfix.backends.volumes.partitions import read_table
from tests.build.images import MIB, PartSpec, disk, filesystem, have

NEVER = {
    "guestfix/__init__.py": "the public names: nobody asks for them there",
    "guestfix/backends/__init__.py": "opens guests by their URIs, on the host",
    "guestfix/backends/status.py": "looks at what the host has; only find_program is asked for",
    "guestfix/backends/directory.py": "the disks of a folder, which a machine knows itself",
    "guestfix/backends/disks/names.py": "addresses of disks that are elsewhere",
    "guestfix/formats/windows/regf/hive.py": "hives are read on the host; a machine asks how NTFS compares names",
    "guestfix/backends/machine/line.py": "terminals and folders are User-mode Linux'",
}
"""Modules whose imports inside functions are never reached in a machine, and why."""


@pytest.fixture(scope="module")
def modules() -> dict[str, bytes | None]:
    done = subprocess.run([PYTHON, "-I", "-S", shipped.__file__, PACKAGE], capture_output=True, check=True)
    magic, found = marshal.loads(done.stdout)
    assert magic == importlib.util.MAGIC_NUMBER
    return dict(found)


def wanted(path: Path) -> set[str]:
    """Return the modules that a source imports anywhere but for type checkers."""
    found: set[str] = set()
    skipped = set()
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.If) and "TYPE_CHECKING" in ast.unparse(node.test):
            skipped |= {id(one) for part in node.body for one in ast.walk(part)}
        if id(node) in skipped:
            continue
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module:
            found.add(node.module)
            within = Path(PACKAGE, *node.module.split("."))
            found |= {f"{node.module}.{one.name}" for one in node.names if (within / f"{one.name}.py").exists()}
    return found


def test_all_that_is_imported_later_is_there(modules: dict[str, bytes | None]) -> None:
    names = {os.path.relpath(path, PACKAGE) for path in modules if path.startswith(f"{PACKAGE}/guestfix/")}
    have = {Path(name).with_suffix("").as_posix().replace("/", ".").removesuffix(".__init__") for name in names}
    standard = {part for path in modules for part in (Path(path).name.partition(".")[0], Path(path).parent.name)}
    standard |= set(sys.builtin_module_names)
    absent = [
        f"{name} imports {one}"
        for name in sorted(names - NEVER.keys())
        for one in sorted(wanted(Path(PACKAGE, name)))
        if (one not in have if one.startswith("guestfix") else one.partition(".")[0] not in standard)
    ]
    assert absent == []
    assert NEVER.keys() <= names


def test_code_is_compiled_and_of_this_interpreter(modules: dict[str, bytes | None]) -> None:
    assert f"{PACKAGE}/guestfix/backends/machine/agent.py" in modules
    for path, code in modules.items():
        assert code is None or marshal.loads(code).co_code, path
        assert code is not None or path.endswith(".so")


def test_every_codec_that_is_named_is_there(modules: dict[str, bytes | None]) -> None:
    there = {Path(path).stem for path in modules if "/encodings/" in path}
    for path in modules:
        if path.startswith(f"{PACKAGE}/guestfix/"):
            text = Path(path).read_text()
            for name in re.findall(r"""(?:de|en)code\(["']([a-z0-9_-]+)["']|encoding=["']([a-z0-9_-]+)["']""", text):
                codec = "".join(name).replace("-", "_")
                assert codec in {*there, "unicode_escape"}, f"{path}: {codec}"


def test_what_is_on_the_disks_says_what_is_shipped() -> None:
    assert needed_for(frozenset({"ext4", "swap", "vfat"})) == (
        ("ext4", "ext3", "ext2", "vfat"), ("e2fsck", "fsck.vfat"), False
    )  # fmt: skip
    for unseen in ("LVM2_member", "crypto_LUKS", "linux_raid_member", "something new", UNTOLD):
        assert needed_for(frozenset({"ext4", unseen}))[1:] == (CHECKERS, True)
    assert {one for _, programs in USED.values() for one in programs} <= set(CHECKERS)


@pytest.mark.skipif(not have("mke2fs", "sfdisk"), reason="e2fsprogs or fdisk is not installed")
def test_a_volume_that_can_not_be_read_hides_no_other(tmp_path: Path) -> None:
    """The second of three partitions is damaged: what is on the others is still known, and all is shipped."""
    parts = [PartSpec(filesystem("ext4", tmp_path / f"fs{index}", 16 * MIB)) for index in range(3)]
    place = disk(tmp_path / "disk.raw", parts)
    starts = [entry.start for entry in read_table(FileBlock(str(place))).partitions]

    class Damaged(FileBlock):
        def read(self, count: int | None = -1) -> bytes:
            if starts[1] <= self.tell() < starts[2]:
                raise OSError(5, "Input/output error")
            return super().read(count)

    assert list(kinds_of(Damaged(str(place)))) == ["ext4", UNTOLD, "ext4"]
