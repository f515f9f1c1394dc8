"""What apply may write to: the files that were named, held and locked from the start; and what QEMU is given."""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from guestfix.backends import open_guest, open_writable
from guestfix.backends.disks.commit import can_commit, commit
from guestfix.backends.disks.hostfiles import HostFiles
from guestfix.backends.disks.ova import open_images
from guestfix.backends.disks.overlaydisk import Overlays, convert, keep
from guestfix.backends.status import usable
from guestfix.backends.volumes.block import DiskError
from guestfix.base.errors import Blocked
from guestfix.cli import run
from tests.build.images import MIB
from tests.build.images import convert as made_as
from tests.build.images import run as call
from tests.hostile.imageplace import SECRET, Place, Runner, member, unnamed

needs_uml = pytest.mark.skipif(not usable("uml"), reason="User-mode Linux is not installed")


def overlays(*paths: object, allow: tuple[str, ...] = ()) -> Overlays:
    """Make overlays and write a mark into each."""
    made = Overlays(open_images([str(path) for path in paths], HostFiles(allow)), export="")
    for one in made.disks:
        call("qemu-io", "-f", "qcow2", "-c", "write -P 7 1M 64k", one.file)
    return made


def digest(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()


def nodes(value: Any) -> Iterator[dict[str, Any]]:
    """Yield every node of a graph."""
    if isinstance(value, dict):
        yield value
        for inner in value.values():
            yield from nodes(inner)


# what QEMU is given


def chains(place: Place) -> dict[str, Path]:
    own = Path(shutil.copy(place.disks["own"], place.own / "base.raw"))
    split, flat = made_as(own, "vmdk:twoGbMaxExtentSparse"), made_as(own, "vmdk:monolithicFlat")
    data = place.own / "data"
    call("qemu-img", "convert", "-O", "qcow2", "-o", f"data_file={data}", own, place.own / "with-data.qcow2")
    found = {"split": split, "flat": flat, "data": place.own / "with-data.qcow2", "raw": own}
    found["overlay"] = place.overlay("base.raw", name="top.qcow2")
    found["on-split"] = place.overlay(split.name, "vmdk", name="on-split.qcow2")
    call("qemu-img", "create", "-q", "-f", "vmdk", "-F", "vmdk", "-b", split, place.own / "snapshot.vmdk")
    found["snapshot"] = place.own / "snapshot.vmdk"
    found["ova"] = place.ova((member("disk.raw"), own.read_bytes()))
    for fmt in ("vpc", "vhdx", "vdi"):
        found[fmt] = made_as(own, fmt, *(["-o", "force_size=on"] if fmt == "vpc" else []))
    return found


def test_qemu_gets_descriptors_and_formats(place: Place) -> None:
    for name, path in chains(place).items():
        (image,) = open_images([str(path)])
        held = image.host.descriptors()
        for node in nodes(image.node):
            if "filename" in node:
                assert node["driver"] == "file" and int(node["filename"].removeprefix("/dev/fd/")) in held, name
            else:
                assert node["driver"] in ("raw", "qcow2", "vmdk", "vpc", "vhdx", "vdi") and "file" in node, name
                assert node["driver"] not in ("qcow2", "vmdk") or "backing" in node, name
        assert str(place.own) not in json.dumps(image.node), name


@needs_uml
@pytest.mark.parametrize("backend", ("uml", "libguestfs"))
def test_every_reader_reads_the_same_disk(backend: str, place: Place, guestfix: Runner) -> None:
    """Through each graph the writing backends find what the backend image finds."""
    if not usable(backend):
        pytest.skip(f"{backend} is not usable here")
    found = chains(place)
    for name in ("split", "snapshot", "data", "on-split") if backend == "uml" else ("split",):
        status, said = guestfix("report", f"{backend}:{found[name]}")
        assert status == 0, said
        again = guestfix("report", f"image:{found[name]}")[1]
        assert unnamed(said, backend) == unnamed(again, "image")


@needs_uml
@pytest.mark.parametrize("export", ["raw", "nbd"])
def test_the_storage_daemon_has_nothing_else_open(export: str, place: Place) -> None:
    """What it has open of the host is what stands in the report, whatever lies in the folder."""
    found = chains(place)
    for name in ("split", "on-split", "snapshot", "data", "ova"):
        made = Overlays(open_images([str(found[name])]), export=export)
        assert made._daemon is not None
        fds = Path(f"/proc/{made._daemon.pid}/fd")
        real = {os.readlink(fds / number) for number in os.listdir(fds)}
        listed = {one["path"] for one in made.host.listed()}
        assert {path for path in real if path.startswith(str(place.own.parent))} == listed, name
        made.close()


# in place


def test_only_named_files_are_changed_in_place(place: Place) -> None:
    found = chains(place)
    place.ovf("base.raw")
    for name, says in (
        ("split", "in extent files, which you did not name"),
        ("flat", "in extent files, which you did not name"),
        ("data", "in another file, which you did not name"),
        ("ova", "inside an OVA"),
    ):
        state = {path: digest(path) for path in place.own.iterdir()}
        made = overlays(found[name])
        with pytest.raises(DiskError, match=says):
            commit(made.disks)
        made.close()
        assert {path: digest(path) for path in place.own.iterdir()} == state
    made = overlays(place.own / "guest.ovf")
    with pytest.raises(DiskError, match="the OVF names this disk; you did not"):
        commit(made.disks)
    made.close()


@pytest.mark.parametrize("name", ["raw", "overlay", "on-split", "snapshot", "vpc", "vhdx", "vdi"])
def test_what_lies_below_stays_as_it_is(name: str, place: Place) -> None:
    image = chains(place)[name]
    before = {path: digest(path) for path in place.own.iterdir() if path != image}
    made = overlays(image)
    can_commit(made.disks)
    assert commit(made.disks) == [str(image)]
    made.close()
    assert {path: digest(path) for path in place.own.iterdir() if path != image} == before
    (found,) = open_images([str(image)])
    found.block.seek(MIB)
    assert found.block.read(65536) == b"\7" * 65536


def test_an_image_is_locked_from_the_start(place: Place) -> None:
    """No QEMU may write to what is read, nor read what will be written; both may read what is only read."""
    base = Path(shutil.copy(place.disks["own"], place.own / "base.raw"))
    top = place.overlay("base.raw", name="top.qcow2")
    made = overlays(top)

    def opens(path: Path, fmt: str, *words: str) -> bool:
        command = ["qemu-io", *words, "-f", fmt, "-c", "read 0 512", str(path)]
        return subprocess.run(command, capture_output=True, stdin=subprocess.DEVNULL).returncode == 0

    assert opens(top, "qcow2", "-r") and opens(base, "raw", "-r")
    assert not opens(top, "qcow2") and not opens(base, "raw")
    can_commit(made.disks)
    assert not opens(top, "qcow2", "-r") and opens(base, "raw", "-r") and not opens(base, "raw")
    with pytest.raises(Blocked, match="another guestfix is changing this image"):
        overlays(top)
    made.close()
    assert opens(top, "qcow2") and opens(base, "raw")


def test_an_image_that_another_one_reads_is_not_changed(place: Place) -> None:
    image = Path(shutil.copy(place.disks["own"], place.own / "base.raw"))
    reader = overlays(place.overlay("base.raw", name="top.qcow2"))
    made = overlays(image)
    with pytest.raises(DiskError, match="a running QEMU or guestfix has it open"):
        can_commit(made.disks)
    reader.close()
    made.close()


def test_an_image_that_is_replaced_meanwhile(place: Place) -> None:
    """Neither the file that has its name now nor the one that had it is written to."""
    for how in ("other", "link", "gone", "changed"):
        image = Path(shutil.copy(place.disks["own"], place.own / "disk.raw"))
        made = overlays(image)
        can_commit(made.disks)
        if how == "changed":
            with image.open("r+b") as stream:
                stream.write(b"x")
            os.utime(image, ns=(1, 1))
        else:
            image.rename(place.own / "old.raw")
        if how == "other":
            shutil.copy(place.victim, image)
        elif how == "link":
            image.symlink_to(place.victim)
        out = str(place.own / "new")
        for ending, words in ((commit, ()), (keep, (out,)), (convert, (out, "raw"))):
            with pytest.raises(DiskError, match="replaced or changed while guestfix worked"):
                ending(made.disks, *words)
        made.close()
        left = place.own / "old.raw"
        if left.exists():
            assert digest(left) == digest(place.disks["own"])
        for path in place.own.iterdir():
            assert path.name in ("disk.raw", "old.raw")
            path.unlink()


def test_an_image_that_is_replaced_while_it_is_opened(place: Place) -> None:
    """What was opened is read, whatever has its name afterwards."""
    image = Path(shutil.copy(place.disks["own"], place.own / "disk.raw"))
    guest = open_guest(str(image))
    shutil.copy(place.victim, place.own / "next")
    (place.own / "next").rename(image)
    assert guest.read("/etc/hostname") == b"own\n"


@needs_uml
def test_a_machine_reads_what_was_opened(place: Place, monkeypatch: pytest.MonkeyPatch) -> None:
    """An image whose name is given to another file after the check, but before QEMU opens it."""
    image = Path(shutil.copy(place.disks["own"], place.own / "disk.raw"))
    real = Overlays._export

    def swapped(self: Overlays, kind: str) -> None:
        image.unlink()
        image.symlink_to(place.victim)
        real(self, kind)

    monkeypatch.setattr(Overlays, "_export", swapped)
    guest = open_writable(f"uml:{image}")
    try:
        assert guest.read("/etc/hostname") == b"own\n"
    finally:
        guest.close()  # type: ignore[attr-defined]


def test_links_in_the_way_of_the_outcome(place: Place) -> None:
    """What half-made files were called before is no way to other files, and neither is the outcome's own name."""
    image = Path(shutil.copy(place.disks["own"], place.own / "disk.raw"))
    for name in ("out.raw.part", "out.qcow2.part"):
        (place.own / name).symlink_to(place.victim)
    made = overlays(image)
    convert(made.disks, str(place.own / "out.raw"), "raw")
    keep(made.disks, str(place.own / "out.qcow2"))
    made.close()
    assert (place.own / "out.raw").is_file() and (place.own / "out.qcow2.part").is_symlink()
    made = overlays(image)
    (place.own / "new.raw").symlink_to(place.outside / "made.raw")
    with pytest.raises(DiskError, match="this file exists already"):
        convert(made.disks, str(place.own / "new.raw"), "raw")
    made.close()


@needs_uml
def test_an_outcome_elsewhere_is_undone_by_what_is_told(
    place: Place, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    image = Path(shutil.copy(place.disks["own"], place.own / "disk.raw"))
    out = tmp_path / "elsewhere/new.qcow2"
    out.parent.mkdir()
    assert run(["apply", f"uml:{image}", "--overlay", "--output", str(out)]) == 0
    said = capfd.readouterr().out
    told = f"guestfix revert {out} --in-place --allow-backing {place.own}"
    assert f"or: {told}\n" in said and SECRET not in said
    assert f"opened {image} (named by you)" in " ".join(said.split())
    assert run(["revert", str(out), "--in-place"]) == 2
    assert run([*told.split()[1:], "--format", "json"]) == 0
    files = json.loads(capfd.readouterr().out)["guest"]["files"]
    assert [one["path"] for one in files] == [str(out), str(image)]


@needs_uml
def test_a_raw_disk_into_which_its_guest_wrote_a_header(
    place: Place, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    """The operator's word carries the disk through report, apply, in place or not, and revert; it stays what it is."""
    data = bytearray(place.disks["own"].read_bytes())
    header = place.overlay(str(place.victim)).read_bytes()[:400]
    data[: len(header)] = header  # the boot code's place, before the partition table
    image = place.file("disk.raw", bytes(data))
    told = ["--image-type", "raw"]
    assert run(["report", str(image)]) == 2
    assert "by its name this is a raw disk, but it looks like a qcow2 image" in capfd.readouterr().err
    assert run(["report", str(image), *told]) == 0
    for words, saved in (((), place.own / "disk.guestfix.qcow2"), (("--in-place",), image)):
        assert run(["apply", f"uml:{image}", *told, *words]) == 0
        said = capfd.readouterr().out
        command = f"guestfix revert {saved} --in-place --image-type {image}=raw"
        assert f"{command}\n" in said and SECRET not in said
        if saved != image:
            assert run(["report", str(saved)]) == 2
            assert "this should be a raw image" in capfd.readouterr().err
        assert run(command.split()[1:]) == 0
        assert SECRET not in capfd.readouterr().out
        assert image.read_bytes()[:400] == header
        if saved != image:
            saved.unlink()
