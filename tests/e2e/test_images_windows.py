"""Windows on NTFS with its hives, in every disk format, from BIOS and UEFI: planned alike, applied, reverted."""

from __future__ import annotations

import json
import lzma
import os
import random
import shutil
from pathlib import Path
from typing import Any

import pytest

from guestfix.backends.image import open_image
from guestfix.backends.status import usable
from guestfix.base.digest import state_of
from guestfix.formats.windows.regf import Hive
from tests.build.corpus import CORPUS
from tests.build.images import PartSpec, disk, filesystem, have
from tests.build.windows import CONFIG, pe
from tests.build.windows_images import TOOLS, ntfs, tree_of, windows
from tests.build.windows_payload import inf
from tests.build.windows_texts import bcd
from tests.e2e import image_cells as cells

pytestmark = [
    pytest.mark.e2e,
    pytest.mark.skipif(not usable("uml"), reason="User-mode Linux is not installed"),
    pytest.mark.skipif(not have(*TOOLS), reason=f"needs {', '.join(TOOLS)}"),
]

CELLS = [("uefi", "qcow2"), ("bios", "vmdk"), ("uefi", "vhdx"), ("bios", "ova"), ("bios", "raw")]
WITH_LIBGUESTFS = ("qcow2", "vmdk")
"""Formats with which libguestfs and the QEMU machine, which take long, apply and revert too: once for each firmware."""
BASIC = "EBD0A0A2-B9E5-4433-87C0-68B6B72699C7"
ESP = "C12A7328-F81F-11D2-BA4B-00A0C93EC93B"
REAL = CORPUS / "hives/SYSTEM.xz"


def tree(place: Path, firmware: str, system: bytes | None = None) -> Path:
    """Make the tree of a Windows: C: with what its start partition holds at the place where that is shown."""
    root = windows(place)
    if system is not None:
        (root / CONFIG / "SYSTEM").write_bytes(system)
    if firmware == "uefi":
        store = bcd("\\\\Windows\\\\system32\\\\winload.efi", ems=True)
        tree_of(root / "efi/EFI/Microsoft/Boot", {"BCD": store, "bootmgfw.efi": pe()})
    else:
        tree_of(root / "system-reserved", {"bootmgr": b"x", "Boot/BCD": bcd(ems=True)})
    return root


def image(root: Path, firmware: str, folder: Path) -> Path:
    """Put the tree on a disk: its start partition, and C:."""
    name = "efi" if firmware == "uefi" else "system-reserved"
    start, c = folder / "start", folder / "c-only"
    shutil.copytree(root, c)
    (c / name).rename(start)
    if firmware == "uefi":
        parts = [PartSpec(filesystem("vfat", folder / "p1", 34 << 20, start), ESP)]
    else:
        parts = [PartSpec(ntfs(folder / "p1", start), "7", bootable=True)]
    parts.append(PartSpec(ntfs(folder / "p2", c, 64), BASIC if firmware == "uefi" else "7"))
    return disk(folder / "windows.raw", parts, "gpt" if firmware == "uefi" else "mbr")


def payload(folder: Path) -> Path:
    for system in ("w8.1", "w10"):
        base = f"viostor/{system}/amd64/viostor"
        files = {f"{base}.inf": inf("viostor", "amd64"), f"{base}.sys": pe(), f"{base}.cat": b"catalogue"}
        tree_of(folder / "payload", files)
    return folder / "payload"


def open_up(root: Path) -> None:
    """Give the tree the owner and modes that ntfs-3g and vfat show."""
    for folder, _, names in os.walk(root):
        mode = 0o755 if Path(folder).is_relative_to(root / "efi") else 0o777
        for one in (folder, *(f"{folder}/{name}" for name in names)):
            os.chmod(one, mode)


def planned_applied_reverted(root: Path, firmware: str, fmt: str, folder: Path) -> dict[str, Any]:
    """Plan through every backend, apply and revert through both that write; return the plan."""
    open_up(root)
    (source,) = cells.as_format([image(root, firmware, folder)], fmt, folder / "image")
    before = cells.digest(source)
    words = ("--payload", payload(folder))
    to = ("--target", cells.TARGET)
    with cells.opened("image", [source]) as guest:
        disks = guest.disks()
        original = cells.contents(guest)
    plan = cells.described(root, disks, folder / "payload")
    seen = cells.report(source, *words)
    room = [one for one in seen["findings"] if one["code"] == "GF-SPACE-ROOT"]
    assert len(room) == 1  # a small disk; how much room there is a folder doesn't say
    assert cells.differences({**seen, "findings": [one for one in seen["findings"] if one not in room]}, plan) == []
    plan = seen
    for writer in ("uml", "qemu", "libguestfs"):
        if not usable(writer) or (writer != "uml" and fmt not in WITH_LIBGUESTFS):
            continue
        out = folder / f"{writer}.qcow2"
        text = cells.guestfix("apply", f"{writer}:{source}", *words, *to, "--output", out, "--format", "json")
        done = json.loads(text)
        assert cells.differences(cells.plan_of(text), plan) == []
        assert done["applied"] == [one["path"] for one in plan["changes"]] != []
        kinds = {one["filesystem"]: one["clean"] for one in done["image"]["checks"]}
        assert kinds["ntfs"] is True and set(kinds) == ({"ntfs", "vfat"} if firmware == "uefi" else {"ntfs"})
        with cells.opened("image", [out]) as guest:
            for change in plan["changes"]:
                assert state_of(guest, change["path"]) == change["after"], change["path"]
        cells.guestfix("revert", f"{writer}:{out}", "--in-place")
        with cells.opened("image", [out]) as guest:
            after = cells.contents(guest)
        changed = sorted(path for path in {*after, *original} if after.get(path) != original.get(path))
        assert [(path, original.get(path), after.get(path)) for path in changed] == []
    assert cells.digest(source) == before
    return plan


@pytest.mark.parametrize(("firmware", "fmt"), CELLS)
def test_planned_alike_applied_and_reverted(firmware: str, fmt: str, tmp_path: Path) -> None:
    plan = planned_applied_reverted(tree(tmp_path, firmware), firmware, fmt, tmp_path)
    changed = {one["path"] for one in plan["changes"]}
    store = {"uefi": "/efi/EFI/Microsoft/Boot/BCD", "bios": "/system-reserved/Boot/BCD"}[firmware]
    assert changed >= {f"/{CONFIG}/SYSTEM", store}
    shutil.rmtree(tmp_path)


@pytest.mark.skipif(not REAL.exists(), reason="the corpus is not here")
def test_a_real_hive(tmp_path: Path) -> None:
    system = lzma.decompress(REAL.read_bytes())
    plan = planned_applied_reverted(tree(tmp_path, "uefi", system), "uefi", "qcow2", tmp_path)
    assert f"/{CONFIG}/SYSTEM" in {one["path"] for one in plan["changes"]}
    assert Hive.open(system) is not None
    shutil.rmtree(tmp_path)


@pytest.mark.parametrize("writer", ["uml", "qemu", "libguestfs"])
def test_killed_at_random_moments(writer: str, tmp_path: Path) -> None:
    if not usable(writer):
        pytest.skip(f"{writer} is not installed")
    source = image(tree(tmp_path, "uefi"), "uefi", tmp_path)
    cells.killed_at_random(writer, [source], random.Random(writer), 6 if writer == "uml" else 3)
    open_image([str(source)])
