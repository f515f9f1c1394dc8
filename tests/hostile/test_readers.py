"""Two readers, one disk: what guestfix takes for an image QEMU takes for the same one, or guestfix refuses it.

QEMU is given the image by its name here, as whoever starts the guest would do.
"""

from __future__ import annotations

import random
import subprocess
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from guestfix.backends.disks.formats import open_chain
from guestfix.backends.disks.hostfiles import HostFiles
from guestfix.base.errors import GuestfixError
from tests.build.images import have

pytestmark = pytest.mark.skipif(not have("qemu-img"), reason="qemu-utils is not installed")

MOST = 64 << 20


def ours(image: Path, told: str) -> bytes | None:
    """Return the disk's bytes as guestfix reads them, None where it refuses the image."""
    try:
        block = open_chain(str(image), HostFiles(types=[told])).block
        block.seek(0)
        data = block.read(MOST)
    except GuestfixError:
        return None
    return data + bytes(-len(data) % 512)


def theirs(image: Path, fmt: str) -> bytes | None:
    """Return the disk's bytes as QEMU reads them, None where it refuses the image."""
    out = image.with_name("out.raw")
    done = subprocess.run(["qemu-img", "convert", "-S", "4k", "-f", fmt, "-O", "raw", image, out], capture_output=True)
    return out.read_bytes() if done.returncode == 0 else None


# descriptors

BASE = [
    "# Disk DescriptorFile", "version=1", "CID=deadbeef", "parentCID=ffffffff", 'createType="monolithicFlat"',
    "# Extent description", 'RW 8 FLAT "a" 0', 'RW 8 FLAT "b" 4', "# The Disk Data Base", 'ddb.adapterType = "ide"',
]  # fmt: skip
LINES = [
    "", "  ", "#", '# RW 8 FLAT "a" 0', 'RW 8 FLAT "a" 16', ' RW 8 FLAT "a" 2', '\tRW 4 FLAT "b" 0', 'RW 8 FLAT "b" 3 ',
    'RW  8\tFLAT "a" 0', 'RW 8 VMFS "b"', 'RW 8 VMFS "b" 0', "RW 8 ZERO", 'RDONLY 8 FLAT "a" 0', 'RW 08 FLAT "a" 0',
    'NOACCESS 8 FLAT "a" 0', 'RW +8 FLAT "b" 0', 'RW 8 FLAT "a" 0x4', 'RW 8 flat "a" 0', "RW 8 FLAT a 0", "version=1",
    'encoding="UTF-8"', "CID=deadbeef", "parentCID=ffffffff", "parentCID=fffffffe", 'createType = "vmfs"', "\0",
    'parentFileNameHint=""', 'ddb.x = "1"', 'RW 8 FLAT "a" 0\r', 'RW\n8 FLAT "a" 0', 'RW 8\v FLAT "a" 0', "RW8 FLAT",
    'RW 99999999999999999999 FLAT "a" 0', 'RW -8 FLAT "a" 0', 'RW 8 FLAT "a" -1', 'RW 8 FLAT "a" "b" 0',
    'RW 8 FLAT "a"0', 'RW 8 FLAT"a" 0', 'x RW 8 FLAT "a" 0', 'RWX 8 FLAT "a" 0', 'RW 8 FLAT "./a" 0',
    'RW 8 FLAT "a" 0 0', 'RW 8 FLATX "a" 0', 'RW 8 FLAT " a" 0', 'RW 8 FLAT "a" 4.5', "RW 8 FLAT 'a' 0",
]  # fmt: skip
changes = st.tuples(st.sampled_from(["insert", "replace", "remove"]), st.integers(0, 10), st.sampled_from(LINES))


@pytest.fixture(scope="module")
def extents(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("extents")
    for name in ("a", "b"):
        (folder / name).write_bytes(random.Random(name).randbytes(512 * 40))
    return folder


@settings(max_examples=80, deadline=None)
@given(st.lists(changes, max_size=3), st.sampled_from(["\n", "\r\n"]), st.sampled_from(["", "\n", "\n\n"]))
def test_descriptors(extents: Path, edits: list[tuple[str, int, str]], newline: str, end: str) -> None:
    lines = list(BASE)
    for how, at, line in edits:
        stop = at + (how != "insert")
        lines[at:stop] = [] if how == "remove" else [line]
    image = extents / "disk.vmdk"
    image.write_bytes((newline.join(lines) + end).encode())
    found = ours(image, "vmdk")
    assert found is None or found == theirs(image, "vmdk")


# headers

KINDS: dict[str, tuple[str, list[str], list[tuple[int, int]]]] = {
    "qcow2": ("qcow2", [], [(0, 112), (0, 600)]),
    "vmdk": ("vmdk", [], [(0, 512), (512, 1536)]),
    "stream": ("vmdk", ["-o", "subformat=streamOptimized"], [(0, 512), (512, 1536)]),
    "vhd": ("vpc", ["-o", "force_size=on"], [(0, 512), (512, 1536), (-512, 0)]),
    "fixed": ("vpc", ["-o", "subformat=fixed,force_size=on"], [(0, 512), (-512, 0)]),
    "vhdx": ("vhdx", [], [(65536, 65616), (131072, 131152), (196608, 196808), (262144, 262344), (2 << 20, 2162688)]),
    "vdi": ("vdi", [], [(0, 456), (340, 392), (512, 600)]),
}
TOLD = {"vpc": "vhd"}


@pytest.fixture(scope="module")
def good(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("good")
    source = folder / "source.raw"
    source.write_bytes(random.Random(5).randbytes(300_000).ljust(4 << 20, b"\0"))
    for name, (fmt, words, _) in KINDS.items():
        subprocess.run(["qemu-img", "convert", "-O", fmt, *words, source, folder / name], check=True)
    return folder


@pytest.mark.parametrize("name", KINDS)
@settings(max_examples=15, deadline=None)
@given(data=st.data())
def test_headers(name: str, good: Path, data: st.DataObject) -> None:
    """QEMU may refuse more: it checks counts and snapshots that reading a disk doesn't need."""
    fmt, _, spans = KINDS[name]
    raw = bytearray((good / name).read_bytes())
    for _ in range(data.draw(st.integers(0, 2))):
        low, high = data.draw(st.sampled_from(spans))
        at = data.draw(st.integers(low, high - 1))
        raw[at] = data.draw(st.sampled_from([0, 1, 2, 3, 4, 255, raw[at] ^ 1, raw[at] ^ 128]))
    image = good / f"{name}.changed"
    image.write_bytes(raw)
    found = ours(image, TOLD.get(fmt, fmt))
    assert found is None or theirs(image, fmt) in (None, found)
