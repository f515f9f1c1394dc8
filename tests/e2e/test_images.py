"""One Debian 12 in every disk format, on every filesystem and stack, for BIOS and UEFI: planned alike by every backend.

Each layout meets each format, and each of both meets both firmwares. libguestfs, which takes long, takes part once for
each layout and firmware, and with each format: beneath its overlay QEMU reads the image, as it does for uml and qemu,
of which the latter takes part once for each layout.
GUESTFIX_IMAGE_TABLE names a file to which each cell's result is appended, for docs/images.md.
"""

from __future__ import annotations

import json
import os
import random
import shutil
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from guestfix.backends.status import usable
from guestfix.base.digest import state_of
from guestfix.base.guest import GuestFS
from tests.e2e import image_cells as cells
from tests.e2e.image_guest import Built, build_guest, skip_without_tools

pytestmark = pytest.mark.e2e

LAYOUTS = ("ext4", "xfs", "jfs", "btrfs", "lvm", "md")
FORMATS = ("raw", "qcow2", "vmdk", "vhdx", "ova")
CELLS = sorted(
    (layout, ("bios", "uefi")[(row + column) % 2], fmt)
    for row, layout in enumerate(LAYOUTS)
    for column, fmt in enumerate(FORMATS)
)
WRITERS = ("uml", "qemu", "libguestfs", "mount")


def _with_libguestfs(row: int, layout: str, firmware: str) -> tuple[str, str, str]:
    formats = [fmt for one, other, fmt in CELLS if (one, other) == (layout, firmware)]
    return layout, firmware, formats[row % len(formats)]


WITH_LIBGUESTFS = {_with_libguestfs(row, name, fw) for row, name in enumerate(LAYOUTS) for fw in ("bios", "uefi")}
WITH_QEMU = {(layout, firmware, fmt) for row, (layout, firmware, fmt) in enumerate(CELLS) if row % 5 == row // 5 % 5}
"""The cells in which the QEMU machine takes part, which is slow where it is emulated: one of each layout."""
REVERTED_WITH_IT = ("qcow2", "vhdx")
"""Formats with which libguestfs also reverts: once for each layout."""


@dataclass
class Source:
    """A guest with what is true of it whatever reads it."""

    guest: Built
    folder: Path
    contents: dict[str, tuple[Any, ...]]
    plan: dict[str, Any]


class Sources:
    """Builds guests, and keeps the last one: they are large."""

    def __init__(self, base: Path) -> None:
        self.base, self.key = base, ("", "")
        self.source: Source | None = None

    def get(self, layout: str, firmware: str) -> Source:
        if self.key != (layout, firmware):
            self.drop()
            folder = self.base / f"{layout}-{firmware}"
            folder.mkdir()
            guest = build_guest(layout, firmware, folder)
            with cells.opened(reader(layout), guest.paths) as seen:
                disks = seen.disks()
                contents = cells.contents(seen, whole=reader(layout) == "image")
            plan = cells.described(guest.tree, disks)
            self.key, self.source = (layout, firmware), Source(guest, folder, contents, plan)
        assert self.source is not None
        return self.source

    def drop(self) -> None:
        if self.source is not None:
            shutil.rmtree(self.source.folder)
        self.key, self.source = ("", ""), None


def reader(layout: str) -> str:
    return "uml" if layout == "jfs" else "image"


@pytest.fixture(scope="module")
def sources(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Sources]:
    skip_without_tools()
    found = Sources(tmp_path_factory.mktemp("guests"))
    yield found
    found.drop()


@pytest.mark.parametrize(("layout", "firmware", "fmt"), CELLS)
def test_planned_alike_applied_and_reverted(
    sources: Sources, layout: str, firmware: str, fmt: str, tmp_path: Path
) -> None:
    source = sources.get(layout, firmware)
    paths = cells.as_format(source.guest.paths, fmt, tmp_path / "image")
    before = [cells.digest(path) for path in paths]
    assert {one["path"] for one in source.plan["changes"]} >= {"/etc/fstab", "/boot/grub/grub.cfg"}
    took = {}
    with cells.opened(reader(layout), paths) as guest:
        assert cells.plain(guest.disks()) == source.guest.disks
    for backend in ("image", *WRITERS):
        if (backend == "image" and layout == "jfs") or not usable(backend):
            continue
        if backend == "mount" and not _mounted_here(layout, firmware):
            continue
        if (layout, firmware, fmt) not in {"libguestfs": WITH_LIBGUESTFS, "qemu": WITH_QEMU}.get(backend, CELLS):
            continue
        start = time.monotonic()
        if backend == "image":
            assert cells.differences(cells.report(*paths), source.plan) == []
        else:
            _applied_and_reverted(backend, source, layout, fmt, paths, tmp_path / backend)
        took[backend] = time.monotonic() - start
    assert [cells.digest(path) for path in paths] == before
    _tell(layout, firmware, fmt, took)
    shutil.rmtree(tmp_path)


def _mounted_here(layout: str, firmware: str) -> bool:
    """Tell whether the kernel of this host has what a guest is made of, for the backend mount."""
    places = {"lvm": "/sys/class/misc/device-mapper", "md": "/proc/mdstat"}
    known = Path("/proc/filesystems").read_text().split()
    stack = os.path.exists(places[layout]) if layout in places else layout in known
    return stack and (firmware == "bios" or "vfat" in known)


def _applied_and_reverted(writer: str, source: Source, layout: str, fmt: str, paths: list[Path], folder: Path) -> None:
    folder.mkdir()
    first, *more = cells.uris(writer, paths)
    words = (first, *more, "--target", cells.TARGET, "--output", folder / "out.qcow2", "--format", "json")
    text = cells.guestfix("apply", *words)
    done = json.loads(text)
    assert cells.differences(cells.plan_of(text), source.plan) == []
    assert done["applied"] == [one["path"] for one in source.plan["changes"]]
    checks = done["image"]["checks"]
    assert [one for one in checks if one["clean"] is not True] == [] and checks
    files = [Path(one) for one in done["image"]["files"]]
    allowed = sorted({path.parent for path in paths})
    with cells.opened(reader(layout), files, allowed) as guest:
        _as_planned(guest, source, done["backups"])
    undoer = writer if fmt in REVERTED_WITH_IT or writer == "qemu" else "uml"
    words = [word for one in allowed for word in ("--allow-backing", one)]
    cells.guestfix("revert", *cells.uris(undoer, files), "--in-place", *words)
    with cells.opened(reader(layout), files, allowed) as guest:
        after = cells.contents(guest, whole=reader(layout) == "image")
    changed = [path for path in {*after, *source.contents} if after.get(path) != source.contents.get(path)]
    assert [(path, source.contents.get(path), after.get(path)) for path in sorted(changed)] == []


def _as_planned(guest: GuestFS, source: Source, backups: dict[str, str]) -> None:
    for change in source.plan["changes"]:
        path = change["path"]
        assert state_of(guest, path) == change["after"], path
        if change["before"] is None:
            continue
        assert state_of(guest, backups[path]) == change["before"], path
        mode, uid, gid, mtime, xattrs = cells.kept(guest, path)
        kind, old_mode, old_uid, old_gid, old_mtime, *_, old_xattrs = source.contents[path]
        assert (kind, old_mode, old_uid, old_gid, old_xattrs) == ("file", oct(mode), uid, gid, xattrs), path
        assert mtime // 10**9 == old_mtime, path
    names = [name for name, _ in guest.meta("/etc/fstab").xattrs if name != "trusted.SGI_ACL_FILE"]
    wanted = ["security.capability", "security.selinux", "system.posix_acl_access", "user.note"]
    kept = [name for name, _ in guest.meta("/usr/bin/true").xattrs if name != "trusted.SGI_ACL_FILE"]
    assert names == wanted == kept  # XFS keeps an ACL under that name, and its kernel shows both


@pytest.mark.parametrize("writer", WRITERS)
@pytest.mark.parametrize(("layout", "firmware"), [("btrfs", "uefi"), ("md", "bios")])
def test_killed_at_random_moments(sources: Sources, layout: str, firmware: str, writer: str, tmp_path: Path) -> None:
    if not usable(writer) or (writer == "mount" and not _mounted_here(layout, firmware)):
        pytest.skip(f"{writer} is not usable here, or its kernel lacks {layout} or FAT")
    source = sources.get(layout, firmware)
    paths = cells.as_format(source.guest.paths, "qcow2", tmp_path / "image")
    cells.killed_at_random(writer, paths, random.Random(f"{layout} {writer}"), 8 if writer == "uml" else 4)
    shutil.rmtree(tmp_path)


def _tell(layout: str, firmware: str, fmt: str, took: dict[str, float]) -> None:
    """Append the cell's result to the table, where one is asked for."""
    table = os.environ.get("GUESTFIX_IMAGE_TABLE")
    if table:
        row = [layout, firmware, fmt]
        row += [f"{took[one]:.1f} s" if one in took else "-" for one in ("image", *WRITERS)]
        with open(table, "a", encoding="utf-8") as stream:
            stream.write(f"| {' | '.join(row)} |\n")
