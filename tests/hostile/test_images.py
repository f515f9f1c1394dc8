"""An image names nothing but itself: each form of naming another file, in every backend, for report and apply.

What the images name is another tenant's disk, whose text would stand in the report and in what apply writes.
"""

from __future__ import annotations

import json
import os
import shutil
import struct
import tarfile
from collections.abc import Callable
from pathlib import Path

import pytest

from guestfix.backends import open_guest
from guestfix.backends.status import usable
from guestfix.base.errors import GuestfixError, UsageError
from tests.build.images import MIB, convert, debian, filesystem
from tests.build.images import run as call
from tests.hostile.imageplace import UUID, Place, Runner, member, unnamed


def bare_extent(place: Place) -> Path:
    """A sparse extent without capacity, in which QEMU looks for a descriptor with other extents."""
    text = place.flat(str(place.victim)).read_bytes()
    head = bytearray(place.disks["own.vmdk"].read_bytes()[:65536])
    struct.pack_into("<Q", head, 12, 0)
    at, size = (one * 512 for one in struct.unpack_from("<QQ", head, 28))
    head[at : at + size] = text.ljust(size, b"\0")
    return place.file("disk.vmdk", bytes(head))


def deep(place: Place) -> Path:
    place.overlay(str(place.victim), name="middle.qcow2")
    return place.overlay("middle.qcow2", "qcow2")


def deep_vmdk(place: Place) -> Path:
    place.flat(str(place.victim)).rename(place.own / "base.vmdk")
    return place.overlay("base.vmdk", "vmdk")


def folder_link(place: Place) -> Path:
    place.link("sub", place.outside)
    return place.flat("sub/victim.raw")


def second_extent(place: Place) -> Path:
    half = place.size // 1024
    place.file("first", place.disks["own"].read_bytes()[: half * 512])
    place.link("second", place.victim)
    return place.descriptor(f'RW {half} FLAT "first" 0', f'RW {half} FLAT "second" {half}', kind="twoGbMaxExtentFlat")


def raw_with(place: Place, source: Path, name: str = "disk.raw") -> Path:
    data = source.read_bytes()
    source.unlink()
    return place.file(name, data.ljust(place.size, b"\0"))


def linked_image(place: Place) -> Path:
    """The operator's own link leads elsewhere: QEMU would look beside the link."""
    (place.own / "sub").mkdir()
    shutil.move(place.overlay("base.raw"), place.own / "sub/real.qcow2")
    shutil.copy(place.disks["own"], place.own / "sub/base.raw")
    shutil.copy(place.victim, place.own / "base.raw")
    return place.own / place.link("disk.qcow2", place.own / "sub/real.qcow2")


def pipe(place: Place) -> Path:
    os.mkfifo(place.own / "pipe")
    return place.overlay("pipe")


def hidden(place: Place) -> Path:
    (place.own / ".keys").mkdir()
    shutil.copy(place.victim, place.own / ".keys/id")
    return place.flat(".keys/id")


def footer(place: Place) -> Path:
    data = bytearray(place.disks["own"].read_bytes())
    data[-512:-504] = b"conectix"
    return place.file("disk.raw", bytes(data))


def inner(place: Place, driver: str) -> str:
    file = {"driver": "file", "filename": str(place.victim)}
    if driver == "raw-offset":
        return "json:" + json.dumps({"driver": "raw", "offset": 0, "size": place.size, "file": file})
    if driver == "vmdk-inside":
        span = {"driver": "raw", "offset": 0, "size": place.size, "file": file}
        return "json:" + json.dumps({"driver": "vmdk", "file": span})
    return "json:" + json.dumps({"driver": driver, "file": file} if driver != "file" else file)


OUT = "an image may only name files below its own folder"
LOCAL = "which is no local file"
ASKED = "by its name this is a raw disk, but it looks like"
FORMS: dict[str, tuple[Callable[[Place], Path], str]] = {
    "vmdk-extent-absolute": (lambda p: p.flat(str(p.victim)), OUT),
    "vmdk-extent-dots": (lambda p: p.flat("../outside/victim.raw"), OUT),
    "vmdk-extent-dots-inside": (lambda p: p.flat("x/../../outside/victim.raw"), OUT),
    "vmdk-extent-link": (lambda p: p.flat(p.link("extent", p.victim)), OUT),
    "vmdk-extent-relative-link": (lambda p: p.flat(p.link("extent", Path("../outside/victim.raw"))), OUT),
    "vmdk-extent-folder-link": (folder_link, OUT),
    "vmdk-second-extent-link": (second_extent, OUT),
    "vmdk-extent-sparse": (
        lambda p: p.descriptor(f'RW {p.size // 512} SPARSE "{p.outside}/victim.vmdk"', kind="twoGbMaxExtentSparse"),
        OUT,
    ),
    "vmdk-extent-proc": (lambda p: p.flat(f"/proc/self/root{p.victim}"), OUT),
    "vmdk-extent-device": (lambda p: p.flat("/dev/zero"), OUT),
    "vmdk-extent-json": (lambda p: p.flat("json:{'driver':'null-co'}"), LOCAL),
    "vmdk-extent-protocol": (lambda p: p.flat("nbd:unix:/run/x"), LOCAL),
    "vmdk-extent-hidden": (hidden, OUT),
    "vmdk-without-capacity": (bare_extent, "impossible size"),
    "vmdk-parent-absolute": (lambda p: p.snapshot(str(p.outside / "victim.vmdk")), OUT),
    "vmdk-parent-dots": (lambda p: p.snapshot("../outside/victim.vmdk"), OUT),
    "vmdk-parent-link": (lambda p: p.snapshot(p.link("parent.vmdk", p.outside / "victim.vmdk")), OUT),
    "qcow2-backing-absolute": (lambda p: p.overlay(str(p.victim)), OUT),
    "qcow2-backing-dots": (lambda p: p.overlay("../outside/victim.raw"), OUT),
    "qcow2-backing-link": (lambda p: p.overlay(p.link("base", p.victim)), OUT),
    "qcow2-backing-file-absolute": (lambda p: p.overlay(f"file:{p.victim}"), OUT),
    "qcow2-backing-file-relative": (lambda p: p.overlay("file:../outside/victim.raw"), LOCAL),
    "qcow2-backing-json-file": (lambda p: p.overlay(inner(p, "file")), LOCAL),
    "qcow2-backing-json-raw": (lambda p: p.overlay(inner(p, "raw")), LOCAL),
    "qcow2-backing-json-offset": (lambda p: p.overlay(inner(p, "raw-offset")), OUT),
    "qcow2-backing-json-inside": (lambda p: p.overlay(inner(p, "vmdk-inside"), "vmdk"), OUT),
    "qcow2-backing-nbd": (lambda p: p.overlay("nbd://host/x"), LOCAL),
    "qcow2-backing-device": (lambda p: p.overlay("/dev/vda"), OUT),
    "qcow2-backing-pipe": (pipe, "neither a file nor a block device"),
    "qcow2-backing-deep": (deep, OUT),
    "qcow2-backing-vmdk": (deep_vmdk, OUT),
    "qcow2-data-absolute": (lambda p: p.data_file(str(p.victim)), OUT),
    "qcow2-data-dots": (lambda p: p.data_file("../outside/victim.raw"), "QEMU looks for in the folder where it is"),
    "qcow2-data-relative": (lambda p: p.data_file("data.raw"), "QEMU looks for in the folder where it is started"),
    "qcow2-data-link": (lambda p: p.data_file(str(p.own / p.link("data.raw", p.victim))), OUT),
    "raw-begins-as-qcow2": (lambda p: raw_with(p, p.overlay(str(p.victim))), f"{ASKED} a qcow2 image"),
    "raw-begins-as-descriptor": (lambda p: raw_with(p, p.flat(str(p.victim))), f"{ASKED} a vmdk image"),
    "raw-begins-as-vmdk": (lambda p: raw_with(p, p.snapshot(str(p.outside / "victim.vmdk"))), f"{ASKED} a vmdk image"),
    "img-begins-as-qcow2": (lambda p: raw_with(p, p.overlay(str(p.victim)), "disk.img"), f"{ASKED} a qcow2 image"),
    "no-suffix-begins-as-qcow2": (lambda p: raw_with(p, p.overlay(str(p.victim)), "disk"), f"{ASKED} a qcow2 image"),
    "raw-ends-as-vhd": (footer, f"{ASKED} a vhd image"),
    "qcow2-without-magic": (
        lambda p: p.file("disk.qcow2", p.disks["own"].read_bytes()), "by its name this is a qcow2 image, but it"
    ),
    "vmdk-that-is-qcow2": (
        lambda p: p.overlay(str(p.victim)).rename(p.own / "disk.vmdk"), "by its name this is a vmdk image, but it looks"
    ),
    "operators-link": (linked_image, "QEMU would look for in"),
    "ovf-absolute": (lambda p: p.ovf(str(p.victim)), "names a file that is not beside it"),
    "ovf-dots": (lambda p: p.ovf("../outside/victim.raw"), "names a file that is not beside it"),
    "ovf-link": (lambda p: p.ovf(p.link("disk.raw", p.victim)), OUT),
    "ova-link": (lambda p: p.ova((member("disk.raw", tarfile.SYMTYPE, str(p.victim)), b"")), "is a link or"),
    "ova-hard-link": (lambda p: p.ova((member("disk.raw", tarfile.LNKTYPE, str(p.victim)), b"")), "is a link or"),
    "ova-twice": (
        lambda p: p.ova((member("disk.raw"), b"x" * 512), (member("./disk.raw"), b"y" * 512)), "holds disk.raw twice"
    ),
    "ova-begins-as-qcow2": (
        lambda p: p.ova((member("disk.raw"), p.overlay(str(p.victim)).read_bytes())), f"{ASKED} a qcow2 image"
    ),
}  # fmt: skip
"""Name to what makes the image, and what is said of it."""


def written(place: Place, before: set[Path]) -> list[Path]:
    return [path for path in place.own.rglob("*") if path not in before]


BACKENDS = ("image", "uml", "libguestfs")
WAYS = [("report", backend, ()) for backend in BACKENDS]
WAYS += [("inspect", backend, ("--format", "json")) for backend in BACKENDS]
WAYS += [("apply", backend, more) for backend in BACKENDS[1:] for more in ((), ("--in-place",), ("--format", "json"))]


@pytest.mark.parametrize("form", FORMS)
def test_an_image_that_names_another_file(form: str, place: Place, guestfix: Runner) -> None:
    make, says = FORMS[form]
    image = make(place)
    before = set(place.own.rglob("*"))
    for command, backend, more in WAYS:
        status, said = guestfix(command, f"{backend}:{image}", *more)
        assert (status, says in said) == (2, True), (command, backend, said)
        assert "remedy" in said
    assert written(place, before) == []


COW = struct.Struct(">IIIQIII")


@pytest.mark.skipif(not usable("uml"), reason="User-mode Linux is not installed")
def test_a_raw_disk_that_begins_as_a_copy_on_write_file_of_uml(place: Place, tmp_path: Path, guestfix: Runner) -> None:
    """Its kernel would open the file that the header names, from any raw disk that is given to it without a word."""
    root = debian(tmp_path / "root", "# own\nLABEL=root / ext4 defaults 0 1\n", extra=False)
    whole = filesystem("ext4", place.own / "disk.raw", 24 * MIB, root, "-L", "root", uuid=UUID)
    found = place.victim.stat()
    head = COW.pack(0x4F4F4F4D, 3, int(found.st_mtime), found.st_size, 512, 4096, 0) + bytes(place.victim) + b"\0"
    with whole.open("r+b") as stream:
        stream.write(head)
    for backend in BACKENDS:
        status, said = guestfix("report", f"{backend}:{whole}")
        assert status == 2 and "a copy-on-write file of User-mode Linux" in said and "--image-type raw" in said
    status, said = guestfix("report", f"uml:{whole}", "--image-type", "raw")
    assert status == 0 and "Debian GNU/Linux 12" in said
    again = guestfix("report", f"image:{whole}", "--image-type", "raw")[1]
    assert unnamed(said, "uml") == unnamed(again, "image")  # its size too: the kernel takes that of the named file
    small = tmp_path / "small"
    small.write_bytes(bytes(MIB))
    with whole.open("r+b") as stream:
        stream.write(head[: COW.size] + bytes(small) + b"\0")
    status, said = guestfix("report", f"uml:{whole}", "--image-type", "raw")
    assert status == 2 and str(MIB) not in said and "1 MiB" not in said, said


# what the operator says


def test_a_folder_that_is_allowed(place: Place, tmp_path: Path, guestfix: Runner, disks: dict[str, Path]) -> None:
    shared = tmp_path / "shared"
    shared.mkdir()
    base = shutil.copy(disks["own.qcow2"], shared)
    image = place.overlay(base, "qcow2")
    assert guestfix("report", image)[0] == 2
    status, said = guestfix("report", image, "--allow-backing", shared)
    assert status == 0
    assert f"opened {image} (named by you) opened {base} (backing file of {image})" in " ".join(said.split())
    status, said = guestfix("report", image, "--allow-backing", tmp_path / "shared/..", "--format", "json")
    files = [{"path": str(image), "because": "named by you"}, {"path": base, "because": f"backing file of {image}"}]
    assert status == 0 and json.loads(said)["guest"]["files"] == files
    assert guestfix("report", image, "--allow-backing", tmp_path / "none")[0] == 64
    shutil.move(base, shared / "x")
    (shared / "own.qcow2").symlink_to(place.outside / "victim.qcow2")  # the folder's owner may not lead outside either
    assert guestfix("report", image, "--allow-backing", shared)[0] == 2


def test_the_type_that_is_told(place: Place, guestfix: Runner, disks: dict[str, Path]) -> None:
    image = Path(shutil.copy(disks["own.qcow2"], place.own / "disk.img"))
    status, said = guestfix("report", image)
    assert status == 2 and "its first bytes are '51 46 49 fb'" in said
    assert "say which it is: --image-type raw or --image-type qcow2" in said
    for words in (["qcow2"], ["disk.img=qcow2"], [f"{image}=qcow2", "--image-type", "vmdk"]):
        assert guestfix("report", image, "--image-type", *words)[0] == 0
    status, said = guestfix("report", image, "--image-type", "raw")
    assert status == 2 and "neither a partition table nor a filesystem" in said
    assert guestfix("report", image, "--image-type", "other.img=qcow2")[0] == 2
    assert guestfix("report", image, "--image-type", "qed")[0] == 64
    assert guestfix("report", disks["own.qcow2"], "--image-type", "vmdk")[0] == 2
    base = Path(shutil.copy(disks["own"], place.own / "base.raw"))
    top = place.overlay("base.raw")
    data = top.read_bytes()
    at = data.index(struct.pack(">I", 0xE2792ACA))
    top.write_bytes(data[:at] + struct.pack(">I", 0x12345678) + data[at + 4 :])
    status, said = guestfix("report", top)
    assert status == 2 and "without its format, which is never guessed" in said and "base.raw=TYPE" in said
    assert guestfix("report", top, "--image-type", "base.raw=raw")[0] == 0
    assert guestfix("report", top, "--image-type", "qcow2")[0] == 2  # says nothing of what it names
    assert base.read_bytes() == disks["own"].read_bytes()


def test_what_a_program_may_tell(place: Place, tmp_path: Path, disks: dict[str, Path]) -> None:
    shared = tmp_path / "shared"
    shared.mkdir()
    image = place.overlay(shutil.copy(disks["own.qcow2"], shared), "qcow2").rename(place.own / "disk")
    with pytest.raises(GuestfixError, match="by its name this is a raw disk"):
        open_guest(str(image))
    with pytest.raises(GuestfixError, match="may only name files below its own folder"):
        open_guest(str(image), image_types=["qcow2"])
    assert open_guest(str(image), image_types=["qcow2"], allow_backing=[str(shared)]).read("/etc/hostname") == b"own\n"
    with pytest.raises(UsageError, match="--allow-backing, --image-type, --key go with it"):
        open_guest(str(tmp_path), image_types=["raw"])


def test_links_that_lead_in_a_circle_or_nowhere(place: Place, guestfix: Runner) -> None:
    place.link("circle", place.own / "circle")
    place.link("nowhere", place.own / "none")
    for name, says in (("circle", "Too many levels of symbolic links"), ("nowhere", "needs is missing")):
        status, said = guestfix("report", place.overlay(name))
        assert (status, says in said) == (2, True), said


def test_names_of_the_operator_may_be_links(place: Place, guestfix: Runner, disks: dict[str, Path]) -> None:
    link = place.own / "disk.qcow2"
    link.symlink_to(disks["own.qcow2"])
    hard = place.own / "hard.raw"
    os.link(shutil.copy(disks["own"], place.own / "own.raw"), hard)
    for image in (link, hard, place.overlay("hard.raw", name="top.qcow2")):
        assert guestfix("report", image)[0] == 0, image


# two readers, one disk

EXTENT = 'RW {} FLAT "own.raw" 0'
READINGS = {
    "blank-line": ("\n" + EXTENT, "after a blank line, which QEMU counts twice"),
    "spaces-line": ("  \n" + EXTENT, "after a blank line, which QEMU counts twice"),
    "indented": ("  " + EXTENT + "\nRW 1 FLAT own.raw 0", "is no extent that every reader takes for one"),
    "readonly": ('RDONLY {} FLAT "own.raw" 0', "is no extent that every reader takes for one"),
    "lower-case": ('rw {} FLAT "own.raw" 0', "is neither a field nor an extent"),
    "without-offset": ('RW {} FLAT "own.raw"', "the wrong numbers"),
    "sparse-with-offset": ('RW {} SPARSE "own.raw" 0', "the wrong numbers"),
    "hexadecimal": ('RW 0x{} FLAT "own.raw" 0', "is no extent that every reader takes for one"),
    "zero-sectors": (EXTENT + '\nRW 0 FLAT "own.raw" 0', "the wrong numbers"),
    "more-behind": (EXTENT + " # x", "is no extent that every reader takes for one"),
    "carriage-return": (EXTENT.replace(" FLAT", "\rFLAT"), "control characters"),
    "after-the-end": (EXTENT + '\n\0\nRW 100 FLAT "own.raw" 0', "continues after its end"),
    "parent-twice": ("parentCID=12345678\n" + EXTENT, "has parentCID twice"),
    "type-in-comment": ('# createType="vmfs"\n' + EXTENT, "has createType twice"),
    "field-twice": ('ddb.x = "1"\nddb.x = "2"\n' + EXTENT, "has ddb.x twice"),
    "cid-spaces": ('ddb.y = "1"\n' + EXTENT, ""),
    "hint-alone": ('parentFileNameHint="x.vmdk"\n' + EXTENT, "names a parent, x.vmdk, but not which content"),
}


@pytest.mark.parametrize("name", READINGS)
def test_a_descriptor_that_readers_differ_on(name: str, place: Place, guestfix: Runner, disks: dict[str, Path]) -> None:
    rows, says = READINGS[name]
    shutil.copy(disks["own"], place.own)
    image = place.descriptor(rows.replace("{}", str(place.size // 512)))
    for backend in BACKENDS if says else BACKENDS[:1]:
        status, said = guestfix("report", f"{backend}:{image}")
        assert (status, says in said) == (2 if says else 0, True), said


def test_line_ends_are_no_difference(place: Place, guestfix: Runner, disks: dict[str, Path]) -> None:
    shutil.copy(disks["own"], place.own)
    image = place.descriptor(EXTENT.format(place.size // 512))
    image.write_bytes(image.read_bytes().replace(b"\n", b"\r\n"))
    reports = {unnamed(guestfix("report", f"{backend}:{image}")[1], backend) for backend in ("image", "uml")}
    assert len(reports) == 1 or not usable("uml")


def test_qcow2_headers_that_readers_differ_on(place: Place, guestfix: Runner, disks: dict[str, Path]) -> None:
    whole = disks["own.qcow2"].read_bytes()
    twice = whole[:112] + struct.pack(">II8s", 0xE2792ACA, 3, b"raw") * 2 + bytes(64) + whole[112 + 96 :]
    for data, says in (
        (twice, "an extension twice"),
        (whole[:112] + struct.pack(">II", 0xE2792ACA, 1 << 20) + whole[120:], "one that is too long"),
        (whole[:100] + struct.pack(">I", 96) + whole[104:], "the qcow2 header's length"),
        (whole[:24] + struct.pack(">Q", place.size + 5) + whole[32:], "the disk's size in it, can't be"),
    ):
        status, said = guestfix("report", place.file("disk.qcow2", data))
        assert (status, says in said) == (2, True), said


def vhd_footer(raw: bytes, **fields: tuple[int, bytes]) -> bytes:
    """Return a VHD's footer with some bytes changed, and its checksum right again."""
    data = bytearray(raw)
    for at, value in fields.values():
        data[at : at + len(value)] = value
    data[64:68] = bytes(4)
    struct.pack_into(">I", data, 64, ~sum(data) & 0xFFFFFFFF)
    return bytes(data)


def test_vhd_footers_that_readers_differ_on(place: Place, guestfix: Runner, disks: dict[str, Path]) -> None:
    fixed = convert(Path(shutil.copy(disks["own"], place.own)), "vpc:fixed", "-o", "force_size=on").read_bytes()
    assert guestfix("report", place.file("disk.vhd", fixed))[0] == 0
    last = fixed[-512:]
    for first, end, says in (
        (vhd_footer(last, kind=(60, b"\0\0\0\3")), last, "first and last footer differ"),
        (fixed[:512], vhd_footer(last, kind=(60, b"\0\0\0\3")), "first and last footer differ"),
        (fixed[:512], vhd_footer(last, program=(28, b"vpc "), geometry=(56, b"\0\1\1\1")), "readers don't agree"),
        (fixed[:512], last[:200] + b"x" + last[201:], "its checksum is wrong"),
    ):
        status, said = guestfix("report", place.file("disk.vhd", first + fixed[512:-512] + end))
        assert (status, says in said) == (2, True), said


# names that are only names


def test_names_of_snapshots_and_bitmaps(place: Place, guestfix: Runner, disks: dict[str, Path]) -> None:
    image = Path(shutil.copy(disks["own.qcow2"], place.own / "disk.qcow2"))
    for name in (str(place.victim), "../outside/victim.raw", 'json:{"driver":"file"}'):
        call("qemu-img", "snapshot", "-c", name, image)
        call("qemu-img", "bitmap", "--add", image, name)
    for backend in ("image", "uml") if usable("uml") else ("image",):
        status, said = guestfix("report", f"{backend}:{image}", "--format", "json")
        assert status == 0 and [one["path"] for one in json.loads(said)["guest"]["files"]] == [str(image)]


def test_two_disks_on_one_base(place: Place, guestfix: Runner, disks: dict[str, Path]) -> None:
    shutil.copy(disks["own"], place.own / "base.raw")
    tops = [place.overlay("base.raw", name=f"{name}.qcow2") for name in ("one", "two")]
    status, said = guestfix("report", *tops, "--root", "/dev/sda1", "--format", "json")
    assert status in (0, 2) and "given twice" not in said
    files = [Path(one["path"]).name for one in json.loads(said)["guest"]["files"]]
    assert files == ["one.qcow2", "base.raw", "two.qcow2"]


def test_a_member_of_an_ova_without_a_size(place: Place, guestfix: Runner) -> None:
    for size in ("-512", "0"):
        found = member("disk.raw")
        found.pax_headers = {"size": size}
        image = place.ova((found, b""), form=tarfile.PAX_FORMAT)
        status, said = guestfix("report", image)
        assert status == 2 and "remedy" in said, said


def test_more_extents_than_files_may_be_open(place: Place, guestfix: Runner) -> None:
    import resource

    rows = []
    for index in range(200):
        place.file(f"e{index}", bytes(512))
        rows.append(f'RW 1 FLAT "e{index}" 0')
    image = place.descriptor(*rows, kind="twoGbMaxExtentFlat")
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (150, hard))
    try:
        status, said = guestfix("report", image)
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
    assert status == 2 and "Too many open files" in said and "ulimit -n" in said
