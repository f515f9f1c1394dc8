"""Module lists and indexes against depmod(8) and modprobe(8)."""

from __future__ import annotations

import contextlib
import struct
from pathlib import Path

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from guestfix.base.errors import Corrupt
from guestfix.formats.initramfs import kmodindex, moddep, modprobe
from guestfix.formats.initramfs.modindex import Added, builtin_index, merge
from guestfix.formats.initramfs.modinfo import depends, modinfo
from tests.build.corpus import corpus_params
from tests.build.initramfs import MODULES, RELEASE, elf_module, module_path
from tests.build.initramfs_tools import need, run
from tests.build.tree import build

INDEXES = ("modules.dep.bin", "modules.alias.bin", "modules.builtin.bin", "modules.symbols.bin")
TABLES = ("modules.dep", "modules.dep.bin", "modules.alias", "modules.alias.bin", "modules.softdep")


def depmod(root: Path, names, builtin: str = "kernel/fs/ext4/ext4.ko\n") -> Path:
    """Build a tree of these modules below root and run depmod on it; return the folder of modules.*."""
    need("depmod")
    folder = f"lib/modules/{RELEASE}"
    files = {f"{folder}/{module_path(name)}": elf_module(name) for name in names}
    build(root, files | {f"{folder}/modules.builtin": builtin, f"{folder}/modules.order": ""})
    run("depmod", "-b", str(root), RELEASE)
    return root / folder


@pytest.fixture(scope="module")
def full(tmp_path_factory) -> Path:
    return depmod(tmp_path_factory.mktemp("full"), MODULES)


def files_of(folder: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in folder.glob("modules.*")}


@pytest.mark.parametrize("name", INDEXES)
def test_an_index_that_depmod_wrote_is_read_and_written_back(full, name):
    data = (full / name).read_bytes()
    rows = kmodindex.read(data)
    written = kmodindex.write(rows)
    assert rows and kmodindex.read(written) == rows and len(written) == len(data)
    if int.from_bytes(data[8:12], "big") & 0x0FFFFFFF != 12:  # later depmods put parents first
        assert written == data


def test_text_and_index_say_the_same(full):
    files = files_of(full)
    by_key = {(moddep.alias_key(alias), name) for alias, name in moddep.parse_alias(files["modules.alias"])}
    assert set(moddep.alias_from_index(files["modules.alias.bin"])) == by_key
    only_bin = {name: data for name, data in files.items() if name.endswith(".bin")}
    one, other = moddep.load_index(only_bin), moddep.load_index(files)
    assert one.paths == other.paths and len(one.paths) > 5
    assert [one.needs_of(name) for name in one.paths] == [other.needs_of(name) for name in one.paths]
    assert moddep.load_index(only_bin).builtin == moddep.load_index(files).builtin == {"ext4"}
    assert kmodindex.read(builtin_index(files["modules.builtin"])) == kmodindex.read(files["modules.builtin.bin"])


@pytest.mark.parametrize("name", [*MODULES, "fs-xfs", "crypto-crc32c"])
def test_the_closure_is_what_modprobe_would_load(full, name):
    need("modprobe")
    root = full.parents[2]
    shown = run("modprobe", "-d", str(root), "-S", RELEASE, "--show-depends", name).decode().split()
    loaded = [moddep.module_name(word) for word in shown if word.endswith(".ko")]
    found = moddep.closure(moddep.load_index(files_of(full)), [name])
    assert set(found.order) == set(loaded) and not found.absent
    for module in found.order:
        for needed in MODULES[module][1]:
            assert found.order.index(needed) < found.order.index(module)


@given(
    st.lists(st.sampled_from(["a", "b-c", "fs-x", "pci:v1*", "x*", "", "#", "alias"]), max_size=12),
    st.sampled_from(["alias {} {}", "  alias {}\t{}  ", "alias {} {} more", "{} {}", "aliased {} {}\r", "alias {}{}"]),
)
@settings(max_examples=150, deadline=None)
def test_literal_aliases_are_found_without_reading_the_table(words, line):
    text = "\n".join(line.format(word, f"m{number}") for number, word in enumerate(words)).encode()
    files = {"modules.alias": text, "modules.builtin.modinfo": b"built.alias=fs-x\0built.license=GPL\0"}
    quick, whole = moddep.load_index(files), moddep.load_index(files)
    assert ("fs-x", "built") in whole.aliases
    for word in words:
        assert quick.resolve(word) == whole.resolve(word)


def test_the_closure_knows_who_asked():
    modules = moddep.load_index(
        {
            "modules.dep": b"k/a.ko: k/b.ko.xz\nk/b.ko.xz:\nk/c-d.ko.zst: k/e.ko\nk/e.ko:\n",
            "modules.softdep": b"softdep a pre: c-d missing post: builtin\nsoftdep nobody\n",
            "modules.builtin": b"kernel/builtin.ko\n",
        }
    )
    found = moddep.closure(modules, ["a", "nothing", "builtin"])
    assert found.order == ["c_d", "e", "b", "a"] or set(found.order) == {"a", "b", "c_d", "e"}
    assert found.soft == {"c_d", "e"} and found.absent == ["nothing"]
    assert found.because("b") == "a depends on it" and found.because("c_d") == "a asks for it (softdep)"
    assert found.because("e") == "c_d depends on it" and found.because("a") == ""
    again = moddep.closure(modules, ["a", "c_d"])
    assert again.soft == set()


def test_modinfo_reads_what_the_module_says():
    for name, (_, needs, aliases) in MODULES.items():
        pairs = modinfo(elf_module(name))
        assert depends(pairs) == list(needs)
        assert tuple(value for key, value in pairs if key == "alias") == aliases
    assert modinfo(b"\x7fELF") == [] and modinfo(b"") == [] and modinfo(b"\x7fELF\x02\x09" + bytes(80)) == []


def merged_tree(root: Path, old, added) -> tuple[dict[str, bytes], dict[str, bytes]]:
    folder = depmod(root, old)
    before = files_of(folder)
    files = files_of(depmod(root.parent / "guest", MODULES))
    guest, symbols = moddep.load_index(files), moddep.parse_alias(files["modules.symbols"])
    extra = [
        Added(
            name,
            guest.paths[name],
            tuple(guest.paths[need] for need in guest.needs_of(name)),
            tuple(alias for alias, module in guest.aliases if module == name),
            tuple("pre: crc32c" for _ in [0] if name == "libcrc32c"),
            symbols=tuple(alias for alias, module in symbols if module == name),
        )
        for name in added
    ]
    return before, merge(before, extra)


def test_a_merge_is_what_depmod_makes_of_the_whole(tmp_path):
    old = ("scsi_mod", "sd_mod", "ata_piix")
    added = ("virtio", "virtio_ring", "virtio_blk", "virtio_scsi", "libcrc32c", "xfs")
    before, new = merged_tree(tmp_path / "old", old, added)
    whole = files_of(depmod(tmp_path / "whole", (*old, *added)))
    result = {**before, **new}
    for name in ("modules.dep.bin", "modules.alias.bin", "modules.symbols.bin"):
        assert _pairs(result[name]) == _pairs(whole[name])
    for name in ("modules.dep", "modules.alias", "modules.softdep", "modules.symbols"):
        assert _lines(result[name]) == _lines(whole[name])
        assert result[name].startswith(before[name])


def _pairs(data: bytes) -> set[tuple[str, str]]:
    return {(key, value) for key, _, value in kmodindex.read(data)}


def _lines(data: bytes) -> set[bytes]:
    return {line for line in data.splitlines() if line.strip()}


def test_modprobe_loads_from_a_merged_tree(tmp_path):
    need("modprobe")
    old, added = ("scsi_mod", "sd_mod"), ("virtio", "virtio_ring", "virtio_scsi")
    _, new = merged_tree(tmp_path / "old", old, added)
    folder = tmp_path / "old" / "lib" / "modules" / RELEASE
    for name, data in new.items():
        (folder / name).write_bytes(data)
    build(tmp_path / "old", {f"lib/modules/{RELEASE}/{module_path(name)}": elf_module(name) for name in added})
    for name in ("virtio_scsi", "virtio:d00000008v00001AF4"):
        shown = run("modprobe", "-d", str(tmp_path / "old"), "-S", RELEASE, "--show-depends", name).decode()
        assert [moddep.module_name(word) for word in shown.split() if word.endswith(".ko")][-1] == "virtio_scsi"


def test_a_merge_replaces_a_stale_line_and_is_stable():
    old = {"modules.dep": b"kernel/x.ko.xz: kernel/y.ko\nkernel/z.ko:", "modules.alias": b"alias a x\n"}
    old["modules.dep.bin"] = kmodindex.write([("x", 0, "kernel/x.ko.xz: kernel/y.ko"), ("z", 1, "kernel/z.ko:")])
    added = [Added("x", "kernel/x.ko", ("kernel/z.ko",), ("a", "b"))]
    new = merge(old, added)
    assert new["modules.dep"] == b"kernel/z.ko:\nkernel/x.ko: kernel/z.ko\n"
    assert [(k, v) for k, _, v in kmodindex.read(new["modules.dep.bin"])] == [
        ("x", "kernel/x.ko: kernel/z.ko"),
        ("z", "kernel/z.ko:"),
    ]
    assert new["modules.alias"] == b"alias a x\nalias b x\n" and "modules.alias.bin" not in new
    assert merge({**old, **new}, added).get("modules.dep", new["modules.dep"]) == new["modules.dep"]


def test_an_image_without_indexes_gets_both_forms():
    new = merge({}, [Added("x", "kernel/x.ko")])
    assert set(new) == {"modules.dep", "modules.dep.bin", "modules.alias.bin"}
    assert kmodindex.read(new["modules.dep.bin"]) == [("x", 0, "kernel/x.ko:")]


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"\xb0\x07\xf4\x57",
        b"\xb0\x07\xf4\x57\0\2\0\1\xe0\0\0\x0c",
        b"\xb0\x07\xf4\x57\0\2\0\1\x20\0\0\x0caa\x20\0\0\x0c",
        b"\xb0\x07\xf4\x57\0\1\0\1\0\0\0\0",
    ],
)
def test_damaged_indexes_are_corrupt(data):
    with pytest.raises(Corrupt):
        kmodindex.read(data)


names = st.text("abcxyz_*:[]-.0", min_size=1, max_size=12)


def index_of_shared_nodes(depth: int, prefix: bytes, value: bytes) -> bytes:
    """Return an index whose every node has the next one as all of its 127 children: 127**depth paths."""
    out = bytearray(struct.pack(">III", 0xB007F457, 0x00020001, 0))
    child = len(out) | 0xC0000000
    out += prefix + b"\0" + struct.pack(">II", 1, 0) + value + b"\0"
    for _ in range(depth):
        at = len(out)
        out += bytes([1, 127]) + struct.pack(">I", child) * 127
        child = at | 0x20000000
    struct.pack_into(">I", out, 8, child)
    return bytes(out)


@pytest.mark.parametrize(("prefix", "value"), [(b"p" * 3000, b""), (b"p", b"v" * 100_000), (b"p", b"v")])
def test_an_index_whose_nodes_are_shared_ends(prefix, value):
    assert len(kmodindex.read(index_of_shared_nodes(1, b"p", b"v"))) == 127
    with pytest.raises(Corrupt):
        kmodindex.read(index_of_shared_nodes(6, prefix, value))


@given(st.lists(st.tuples(names, st.integers(0, 9), names), max_size=40))
@settings(max_examples=150, deadline=None)
def test_any_rows_come_back(rows):
    back = kmodindex.read(kmodindex.write(rows))
    assert sorted(back) == sorted(rows)
    assert [key for key, _, _ in back] == sorted(key for key, _, _ in rows)


@given(
    st.binary(max_size=200),
    st.lists(st.tuples(names, st.integers(0, 9), names), min_size=1, max_size=8),
    st.integers(0, 500),
)
@settings(max_examples=200, deadline=None)
def test_hostile_indexes_end(junk, rows, at):
    data = kmodindex.write(rows)
    at %= len(data)
    with contextlib.suppress(Corrupt):
        kmodindex.read(data[:at] + junk + data[at + len(junk) :])


@example(bytes(34) + b"\xff" * 8 + bytes(12) + b"\1\0\0\0")
@given(st.binary(max_size=300))
@settings(max_examples=150, deadline=None)
def test_hostile_lists_never_raise(data):
    files = dict.fromkeys(
        ("modules.dep", "modules.alias", "modules.softdep", "modules.builtin", "modules.builtin.modinfo"), data
    )
    found = moddep.closure(moddep.load_index(files), ["a", "b"])
    assert set(found.absent) <= {"a", "b"}
    assert modinfo(b"\x7fELF\x02\x01" + data) is not None
    assert modprobe.allow(data, ["a"]) == data or b"a" in data


CONF = b"""# blacklist nvme
blacklist nvme
  install virtio-blk /bin/false
install xfs /sbin/modprobe --ignore-install xfs && echo loaded
install virtio_pci \\
   /usr/bin/true
options nvme_core io_timeout=30
blacklist
alias nvme off
install ahci exit 1
"""


def test_directives_that_block():
    found = modprobe.blocking(CONF, ["nvme", "virtio_blk", "virtio_pci", "xfs", "nvme_core", "ahci"])
    assert [(one.text, one.line) for one in found] == [
        ("blacklist nvme", 2),
        ("install virtio_blk /bin/false", 3),
        ("install virtio_pci /usr/bin/true", 5),
        ("install ahci exit 1", 10),
    ]


def test_allow_makes_comments_and_keeps_the_rest(tmp_path):
    after = modprobe.allow(CONF, ["nvme", "virtio_pci"], b"#x ")
    assert after == CONF.replace(b"\nblacklist nvme\n", b"\n#x blacklist nvme\n").replace(
        b"install virtio_pci \\\n   /usr", b"#x install virtio_pci \\\n#x    /usr"
    )
    assert modprobe.allow(after, ["nvme", "virtio_pci"]) is after
    need("modprobe")
    build(tmp_path, {"etc/modprobe.d/a.conf": after, f"lib/modules/{RELEASE}/modules.dep": ""})
    shown = run("modprobe", "-C", str(tmp_path / "etc/modprobe.d"), "-d", str(tmp_path), "-S", RELEASE, "-c").decode()
    assert "install virtio_blk /bin/false" in shown
    assert "blacklist nvme" not in shown.splitlines() and "install virtio_pci" not in shown


@pytest.mark.parametrize("path", corpus_params("modprobe"))
def test_corpus_directives_are_those_that_modprobe_reads(path, tmp_path):
    data = path.read_bytes()
    found = modprobe.directives(data)
    assert modprobe.allow(data, []) is data
    if "modprobe.d" not in path.name:
        return
    need("modprobe")
    (tmp_path / "d").mkdir()
    always = _configured(tmp_path)
    (tmp_path / "d" / "x.conf").write_bytes(data)
    shown = _configured(tmp_path)
    for verb in ("blacklist", "options", "softdep"):
        ours = {(verb, one.module) for one in found if one.verb == verb}
        assert ours == {pair for pair in shown - always if pair[0] == verb}


def _configured(root: Path) -> set[tuple[str, str]]:
    """Return verb and module of what modprobe says it read; the running kernel's arguments are among it."""
    shown = run("modprobe", "-C", str(root / "d"), "-d", str(root), "-S", "0", "-c").decode(errors="replace")
    lines = shown.split("# End of configuration files")[0].splitlines()
    return {(words[0], words[1].replace("-", "_")) for line in lines if len(words := line.split()) > 1}


def test_the_command_line_blocks_too():
    args = ["root=/dev/sda1", "modprobe.blacklist=nvme,virtio-blk", "rd.driver.blacklist=nvme", "module_blacklist="]
    assert modprobe.command_line_blocks(args) == {
        "nvme": "modprobe.blacklist=nvme,virtio-blk",
        "virtio_blk": "modprobe.blacklist=nvme,virtio-blk",
    }
