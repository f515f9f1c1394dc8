"""Overlays: names of the outcome, nothing half made."""

from __future__ import annotations

import os
import tarfile
from pathlib import Path

import pytest

from guestfix.backends.disks import overlaydisk
from guestfix.backends.disks.commit import commit
from guestfix.backends.disks.ova import open_images
from guestfix.backends.disks.overlaydisk import Overlays, convert, keep, output_names
from guestfix.backends.volumes.block import DiskError
from tests.build.images import MIB, OVF, have, run

pytestmark = pytest.mark.skipif(not have("qemu-img", "qemu-io"), reason="qemu-utils is not installed")


def images(folder: Path, *formats: str) -> list[str]:
    found = []
    for index, fmt in enumerate(formats):
        place = folder / f"disk{index}.{fmt}"
        run("qemu-img", "create", "-q", "-f", fmt, place, 4 * MIB)
        found.append(str(place))
    return found


def overlays(paths: list[str]) -> Overlays:
    made = Overlays(open_images(paths), export="")
    for index, disk in enumerate(made.disks):
        run("qemu-io", "-f", "qcow2", "-c", f"write -P {index + 1} 1M 64k", disk.file)
    return made


def holds(path: str, byte: int) -> bool:
    block = open_images([path])[0].block
    block.seek(MIB)
    return block.read(65536) == bytes([byte]) * 65536


def test_conversion_makes_all_or_none(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    paths = images(tmp_path, "qcow2", "raw")
    made = overlays(paths)
    out = str(tmp_path / "out.vhdx")
    real, calls = overlaydisk.qemu_img, []

    def second_fails(*args: str, **held: object) -> None:
        calls.append(args)
        real(*args, **held)
        if len(calls) == 2:
            raise DiskError("qemu-img convert: No space left on device")

    monkeypatch.setattr(overlaydisk, "qemu_img", second_fails)
    with pytest.raises(DiskError, match="No space left"):
        convert(made.disks, out, "vhdx")
    assert [name for name in os.listdir(tmp_path) if "out" in name] == []
    monkeypatch.setattr(overlaydisk, "qemu_img", real)
    assert convert(made.disks, out, "vhdx") == [out, str(tmp_path / "out-2.vhdx")]
    assert holds(out, 1) and holds(str(tmp_path / "out-2.vhdx"), 2)
    assert not holds(paths[0], 1)
    made.close()


def test_names_of_the_outcome(tmp_path: Path) -> None:
    paths = images(tmp_path, "vmdk", "raw")
    made = overlays(paths)
    base = str(tmp_path)
    assert output_names(made.disks, "", "qcow2") == [f"{base}/disk0.guestfix.qcow2", f"{base}/disk1.guestfix.qcow2"]
    assert output_names(made.disks, f"{base}/x", "raw") == [f"{base}/x", f"{base}/x-2"]
    (tmp_path / "disk1.guestfix.qcow2").touch()
    with pytest.raises(DiskError, match="exists already"):
        output_names(made.disks, "", "qcow2")
    with pytest.raises(DiskError, match="folder does not exist"):
        output_names(made.disks, "/nowhere/x.qcow2", "qcow2")
    made.close()


def test_kept_overlays_are_backed_by_their_images(tmp_path: Path) -> None:
    paths = images(tmp_path, "vmdk")
    made = overlays(paths)
    (kept,) = keep(made.disks, "")
    made.close()
    assert holds(kept, 1) and not holds(paths[0], 1)


@pytest.mark.parametrize("fmt", ["raw", "vmdk"])
def test_an_overlay_over_a_disk_inside_an_ova(fmt: str, tmp_path: Path) -> None:
    inner = tmp_path / "inner.raw"
    inner.write_bytes(b"first".ljust(4 * MIB, b"\7"))
    if fmt == "vmdk":
        run("qemu-img", "convert", "-O", "vmdk", "-o", "subformat=streamOptimized", inner, tmp_path / "inner.vmdk")
    text = OVF.replace("data.vmdk", f"inner.{fmt}").replace("boot.vmdk", f"inner.{fmt}")
    (tmp_path / "guest.ovf").write_text(text)
    ova = tmp_path / "guest.ova"
    with tarfile.open(ova, "w", format=tarfile.USTAR_FORMAT) as archive:
        archive.add(tmp_path / "guest.ovf", "guest.ovf")
        archive.add(tmp_path / f"inner.{fmt}", f"inner.{fmt}")
    made = overlays([str(ova)])
    with pytest.raises(DiskError, match="inside an OVA"):
        commit(made.disks)
    (kept,) = keep(made.disks, str(tmp_path / "out.qcow2"))
    made.close()
    assert holds(kept, 1)
    block = open_images([kept])[0].block
    block.seek(0)
    assert block.read(6) == b"first\7"
    again = overlays([kept])
    assert holds(again.disks[0].file, 1)
    again.close()
    ova.write_bytes(ova.read_bytes()[:4096])
    with pytest.raises(DiskError, match=r"cut off|beyond"):
        open_images([kept])


@pytest.mark.parametrize("name", ["json:", "json:{", 'json:{"driver":"nbd","host":"x"}', "json:[1]", "json:{}"])
def test_other_json_is_not_followed(name: str, tmp_path: Path) -> None:
    run("qemu-img", "create", "-q", "-f", "qcow2", tmp_path / "top.qcow2", MIB)
    run("qemu-img", "rebase", "-u", "-F", "raw", "-b", "x" * len(name), tmp_path / "top.qcow2")
    raw = (tmp_path / "top.qcow2").read_bytes()
    (tmp_path / "top.qcow2").write_bytes(raw.replace(b"x" * len(name), name.encode(), 1))
    with pytest.raises(DiskError, match="no local file"):
        open_images([str(tmp_path / "top.qcow2")])


@pytest.mark.skipif(os.geteuid() == 0, reason="root may write everywhere")
def test_in_place_needs_permission(tmp_path: Path) -> None:
    paths = images(tmp_path, "qcow2")
    os.chmod(paths[0], 0o444)
    made = overlays(paths)
    with pytest.raises(DiskError, match="no permission to change"):
        commit(made.disks)
    made.close()
