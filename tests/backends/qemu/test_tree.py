"""Files of a host put together for an initramfs, from trees laid out as distributions do."""

from __future__ import annotations

import io
import os
import struct
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from guestfix.backends.qemu.tree import Tree
from guestfix.base.errors import GuestError
from guestfix.formats import elf
from guestfix.formats.initramfs import cpio
from guestfix.formats.initramfs.streams import Source
from tests.build.images import have

X86, ARM = 62, 183


def program(
    needed: Sequence[str] = (), *, interpreter: str = "", runpath: str = "", machine: int = X86, wide: bool = True
) -> bytes:
    """Return an ELF file with just the headers that a loader reads: one segment, whose addresses begin at 0x1000."""
    strings = bytearray(b"\0")

    def text(value: str) -> int:
        strings.extend(value.encode() + b"\0")
        return len(strings) - 1 - len(value.encode())

    tags = [(1, text(name)) for name in needed] + ([(29, text(runpath))] if runpath else [])
    place = text(interpreter) if interpreter else 0
    word, size = ("Q", 56) if wide else ("I", 32)
    count = 2 + bool(interpreter)
    head = 64 if wide else 52
    at_strings = head + size * count
    at_tags = at_strings + len(strings)
    tags += [(5, 0x1000 + at_strings), (0, 0)]
    dynamic = b"".join(struct.pack(f"<2{word}", *one) for one in tags)
    whole = at_tags + len(dynamic)

    def header(kind: int, offset: int, length: int) -> bytes:
        if wide:
            return struct.pack("<IIQQQQQQ", kind, 4, offset, 0x1000 + offset, 0, length, length, 1)
        return struct.pack("<8I", kind, offset, 0x1000 + offset, 0, length, length, 4, 1)

    rows = [header(1, 0, whole), header(2, at_tags, len(dynamic))]
    rows += [header(3, at_strings + place, len(interpreter) + 1)] if interpreter else []
    start = b"\x7fELF" + bytes((2 if wide else 1, 1, 1)) + bytes(9)
    if wide:
        start += struct.pack("<HHIQQQIHHHHHH", 3, machine, 1, 0, head, 0, 0, head, size, count, 0, 0, 0)
    else:
        start += struct.pack("<HHIIIIIHHHHHH", 3, machine, 1, 0, head, 0, 0, head, size, count, 0, 0, 0)
    return start + b"".join(rows) + bytes(strings) + dynamic


def lay(root: Path, files: dict[str, bytes | str]) -> Path:
    """Make a tree: bytes are files, text is what a link says."""
    for path, what in files.items():
        place = root / path[1:]
        place.parent.mkdir(parents=True, exist_ok=True)
        if isinstance(what, str):
            place.symlink_to(what)
        else:
            place.write_bytes(what)
            place.chmod(0o755)
    return root


LOADER = "/lib64/ld-linux-x86-64.so.2"
MERGED = {"/bin": "usr/bin", "/sbin": "usr/sbin", "/lib": "usr/lib", "/lib64": "usr/lib64"}
FEDORA = {
    **MERGED,
    "/usr/lib64/ld-linux-x86-64.so.2": program(),
    "/usr/lib64/libc.so.6": program(interpreter=LOADER),
    "/usr/lib64/libz.so.1.3.1": program(["libc.so.6"]),
    "/usr/lib64/libz.so.1": "libz.so.1.3.1",
    "/usr/lib/libz.so.1": program(machine=3, wide=False),  # of another machine
    "/usr/bin/python3.13": program(["libz.so.1", "libc.so.6"], interpreter=LOADER),
    "/usr/bin/python3": "python3.13",
}
ARCH = {
    "/bin": "usr/bin", "/sbin": "usr/bin", "/lib": "usr/lib", "/lib64": "usr/lib", "/usr/sbin": "bin",
    "/usr/lib64": "lib",
    "/usr/lib/ld-linux-x86-64.so.2": program(),
    "/usr/lib/libc.so.6": program(interpreter=LOADER),
    "/usr/lib/libz.so.1": program(["libc.so.6"]),
    "/usr/bin/python3.13": program(["libz.so.1", "libc.so.6"], interpreter=LOADER),
    "/usr/bin/python3": "python3.13",
}  # fmt: skip
SUSE = {
    "/lib64/ld-linux-x86-64.so.2": program(), "/lib64/libc.so.6": program(interpreter=LOADER),
    "/usr/lib64/libz.so.1": program(["libc.so.6"]),
    "/usr/bin/python3.6": program(["libz.so.1", "libc.so.6"], interpreter=LOADER), "/usr/bin/python3": "python3.6",
}  # fmt: skip
OWN = {
    **FEDORA,
    "/opt/python/bin/python3": program(["libpython3.so", "libz.so.1"], interpreter=LOADER, runpath="$ORIGIN/../lib"),
    "/opt/python/lib/libpython3.so": program(["libm.so.6", "libc.so.6"]),
    "/etc/ld.so.conf": b"# a comment\ninclude ld.so.conf.d/*.conf\n",
    "/etc/ld.so.conf.d/more.conf": b"/opt/more/lib\n",
    "/opt/more/lib/libm.so.6": program(["libc.so.6"]),
}
ALPINE = {
    "/lib/ld-musl-x86_64.so.1": program(), "/etc/ld-musl-x86_64.path": b"/lib:/usr/lib\n/opt/lib",
    "/opt/lib/libz.so.1": program(["libc.musl-x86_64.so.1"]), "/lib/libc.musl-x86_64.so.1": "ld-musl-x86_64.so.1",
    "/usr/bin/python3": program(["libz.so.1"], interpreter="/lib/ld-musl-x86_64.so.1"),
}  # fmt: skip
LAYOUTS = {
    "fedora": (FEDORA, "/usr/bin/python3", {"/usr/lib64/libz.so.1.3.1", "/usr/lib64/libc.so.6", LOADER}),
    "arch": (ARCH, "/usr/bin/python3", {"/usr/lib/libz.so.1", "/usr/lib/libc.so.6", LOADER}),
    "suse": (SUSE, "/usr/bin/python3", {"/usr/lib64/libz.so.1", "/lib64/libc.so.6", LOADER}),
    "own": (OWN, "/opt/python/bin/python3", {"/opt/python/lib/libpython3.so", "/opt/more/lib/libm.so.6", LOADER}),
    "alpine": (ALPINE, "/usr/bin/python3", {"/opt/lib/libz.so.1", "/lib/ld-musl-x86_64.so.1"}),
}


def resolved(tree: Tree, path: str) -> str:
    """Return where a path leads inside the archive, by its own links alone."""
    todo, at = path.split("/")[1:], ""
    while todo:
        at = f"{at.rstrip('/')}/{todo.pop(0)}"
        mode, data = tree.entries[at]
        if mode & cpio.TYPE == cpio.LINK:
            text = data.decode()
            todo = [one for one in text.split("/") if one] + todo
            at = "" if text.startswith("/") else os.path.dirname(at)
            while todo and todo[0] == "..":
                at = os.path.dirname(at)
                todo.pop(0)
    return at


@pytest.mark.parametrize("name", LAYOUTS)
def test_a_program_brings_its_loader_and_libraries_at_their_own_paths(name: str, tmp_path: Path) -> None:
    files, path, wanted = LAYOUTS[name]
    root = lay(tmp_path, files)
    tree = Tree(str(root))
    assert tree.program(path) and tree.missing == []
    for one in (*wanted, path):
        real = resolved(tree, one)
        assert tree.entries[real][1] == (root / real[1:]).read_bytes() != b"", one
        assert tree.entries[real][0] & 0o111
    assert tree.write() == tree.write()


def test_a_library_that_is_nowhere_is_told_and_one_of_another_machine_is_none(tmp_path: Path) -> None:
    files = {**ARCH, "/usr/bin/x": program(["libz.so.1", "libgone.so.2"], machine=ARM, interpreter=LOADER)}
    tree = Tree(str(lay(tmp_path, files)))
    assert tree.program("/usr/bin/x") and tree.missing == ["libz.so.1", "libgone.so.2"]


def test_what_is_no_program_is_told(tmp_path: Path) -> None:
    root = lay(tmp_path, {"/usr/bin/script": b"#!/bin/sh\n", "/a": "b", "/b": "a", "/up": "../../../etc/hostname"})
    tree = Tree(str(root))
    assert not tree.program("/usr/bin/script")
    for path in ("/nowhere", "/a"):
        with pytest.raises(GuestError) as caught:
            tree.copy(path)
        assert caught.value.where == path and "can't be read" in caught.value.what
    with pytest.raises(GuestError):  # a link never leads out of the tree
        tree.copy("/up")


@given(st.binary(max_size=400))
def test_no_bytes_are_too_strange_for_an_elf_file(data: bytes) -> None:
    elf.read(data)
    elf.read(b"\x7fELF" + data)


@given(st.data())
def test_a_damaged_program_is_read_or_not(data: st.DataObject) -> None:
    whole = bytearray(program(["libc.so.6", "libz.so.1"], interpreter=LOADER, runpath="/a:/b"))
    for _ in range(data.draw(st.integers(1, 8))):
        whole[data.draw(st.integers(0, len(whole) - 1))] = data.draw(st.integers(0, 255))
    found = elf.read(bytes(whole[: data.draw(st.integers(0, len(whole)))]))
    assert found is None or len(found.needed) <= 4096


@pytest.mark.parametrize("wide", [True, False])
def test_what_a_program_asks_for(wide: bool) -> None:
    found = elf.read(program(["liba.so", "libb.so"], interpreter="/lib/ld.so", runpath="$ORIGIN/x:/y", wide=wide))
    assert found == elf.Program((2 if wide else 1, 1, X86), "/lib/ld.so", ("liba.so", "libb.so"), ("$ORIGIN/x", "/y"))


@pytest.mark.skipif(not have("ldd"), reason="ldd is not installed")
def test_the_hosts_python_brings_what_ldd_says() -> None:
    python = os.path.realpath(sys.executable)
    said = subprocess.run(["ldd", python], capture_output=True, text=True, check=False).stdout
    names = {line.split()[0] for line in said.splitlines() if "=>" in line and "not found" not in line}
    tree = Tree()
    assert tree.program(python)
    assert {os.path.basename(path) for path in tree.entries} >= names


def test_the_archive_is_one_that_the_reader_takes() -> None:
    tree = Tree()
    tree.put("/a/b/file", b"text", 0o755)
    tree.device("/dev/null", 1, 3)
    flow = Source(io.BytesIO(tree.write()))
    rows = {one.name: (one.mode, data) for one, data in cpio.members(flow, lambda one: True)}
    assert rows["a/b/file"] == (0o100755, b"text") and rows["a/b"][0] == 0o40755
    assert rows["dev/null"] == (0o20666, b"")


@pytest.mark.skipif(not have("cpio"), reason="cpio is not installed")
def test_cpio_reads_a_device(tmp_path: Path) -> None:
    tree = Tree()
    tree.device("/dev/urandom", 1, 9)
    done = subprocess.run(["cpio", "-itv", "--quiet"], input=tree.write(), capture_output=True, check=True)
    assert b"crw-rw-rw-" in done.stdout and b"1,   9" in done.stdout
