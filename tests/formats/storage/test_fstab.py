from __future__ import annotations

import json
import shutil
import subprocess
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from guestfix.formats.storage import devices
from guestfix.formats.storage.fstab import FstabEntry, entries, escape, number_of, readable, show, unescape
from tests.build.corpus import corpus_params


def one(line: bytes) -> FstabEntry:
    (found,) = entries(line)
    return found


@pytest.mark.parametrize(
    ("line", "fields"),
    [
        (b"/dev/sda1 / ext4 defaults 0 1\n", ("/dev/sda1", "/", "ext4", "defaults", "0", "1")),
        (b"\t/dev/sda1\t/\text4\tdefaults\t1\t1\r\n", ("/dev/sda1", "/", "ext4", "defaults", "1", "1")),
        (b"/dev/sda1 / ext4 defaults", ("/dev/sda1", "/", "ext4", "defaults", "0", "0")),
        (b"/dev/sda1 / ext4", ("/dev/sda1", "/", "ext4", "", "0", "0")),
        (b"/dev/sda1 /data", ("/dev/sda1", "/data", "auto", "", "0", "0")),
        (b"LABEL=my\\040disk /a\\040b\\011c xfs ro 0 0", ("LABEL=my disk", "/a b\tc", "xfs", "ro", "0", "0")),
        (b"/dev/sda1 /c ext4 defaults # a remark", ("/dev/sda1", "/c", "ext4", "defaults", "0", "0")),
        (b"/dev/sda1 /c ext4 # a remark", ("/dev/sda1", "/c", "ext4", "", "0", "0")),
        (b"/dev/sda1 /c ext4 ro 0 2 # a remark", ("/dev/sda1", "/c", "ext4", "ro", "0", "2")),
        ("UUID=1 /gr\u00fc\u00df xfs".encode(), ("UUID=1", "/gr\u00fc\u00df", "xfs", "", "0", "0")),
    ],
)
def test_fields(line: bytes, fields: tuple[str, ...]) -> None:
    entry = one(line)
    assert (entry.spec, entry.mount, entry.type, entry.options, entry.dump, entry.fsck) == fields
    assert entry.problem == ""


@pytest.mark.parametrize(
    ("line", "problem"),
    [
        (b"U2FsdGVkX18TrSLuiOpjiNAf9hSPuwbIewQ/o/XL3pn1cDGdMoDKnNFN/oIAMFz2", "no mount point"),
        (b"this is no entry", "its mount point is no absolute path"),
        (b"sda7 /data", "no filesystem type"),
        (b"/dev/sda2 swap", "its mount point is no absolute path"),
        (b"/dev/sd\0a1 / ext4 defaults 0 1", "control characters in it"),
        (b"/dev/sda1 /a\x1b[2J ext4", "control characters in it"),
        (b"/dev/sda1 /a ext4\rdefaults\r\n", "control characters in it"),
    ],
)
def test_lines_that_can_be_no_entry(line: bytes, problem: str) -> None:
    assert one(line).problem == problem


@pytest.mark.parametrize("src", [b"", b"\n", b"# a\n  # b\n\t\n \r\n", b"#", b"   "])
def test_blank_lines_and_comments_are_no_entries(src: bytes) -> None:
    assert entries(src) == []


def test_line_numbers_and_spans_count_every_line() -> None:
    src = b"# one\r\n\r\n/dev/sda1 / ext4\r\nproc /proc proc"
    first, second = entries(src)
    assert (first.number, second.number) == (3, 4)
    assert src[first.fields[2].start : first.fields[2].end] == b"ext4"
    assert src[second.fields[0].start : second.fields[0].end] == b"proc"
    assert src[first.end :].startswith(b"\r\n")


@pytest.mark.parametrize(
    ("text", "number"), [("0", 0), ("2", 2), ("", 0), ("x", 0), ("1x", 1), ("9" * 5000, 999999999)]
)
def test_numbers(text: str, number: int) -> None:
    assert number_of(text) == number


@given(st.text(max_size=40))
@settings(max_examples=200, deadline=None)
def test_escape_is_one_field_and_comes_back(text: str) -> None:
    text = text.encode("utf-8", "surrogateescape").decode("utf-8", "surrogateescape") if text.isprintable() else text
    try:
        raw = escape(text)
    except UnicodeEncodeError:
        return
    assert not set(raw) & set(b" \t\n\r\0")
    assert unescape(raw) == text


@given(st.binary(max_size=300))
@settings(max_examples=200, deadline=None)
def test_any_bytes_are_read_and_spans_hold(src: bytes) -> None:
    for entry in entries(src):
        assert src[entry.start : entry.end] == entry.raw
        for span in entry.fields:
            assert entry.start <= span.start < span.end <= entry.end
        assert entry.text.isprintable() or "\t" in entry.text


def test_show_is_bounded() -> None:
    assert show(b"a" * 10_000) == "a" * 157 + "..."
    assert show(b"\xff\x1b") == "\\xff\\x1b"


@pytest.mark.skipif(shutil.which("findmnt") is None, reason="findmnt (util-linux) is not installed")
@pytest.mark.parametrize("path", corpus_params("fstab"))
def test_corpus_is_read_as_libmount_reads_it(path: Path, tmp_path: Path) -> None:
    src = path.read_bytes()
    (tmp_path / "fstab").write_bytes(src)
    columns = "SOURCE,TARGET,FSTYPE,FREQ,PASSNO"
    run = subprocess.run(
        ["findmnt", "--tab-file", str(tmp_path / "fstab"), "-J", "--list", "-o", columns],
        capture_output=True,
        check=False,
    )
    theirs = json.loads(run.stdout)["filesystems"] if run.stdout.strip() else []
    ours = [(e.spec, e.mount, e.type, number_of(e.dump), number_of(e.fsck)) for e in readable(src) if len(e.fields) > 2]
    assert ours == [(e["source"], e["target"], e["fstype"], e["freq"], e["passno"]) for e in theirs]


@pytest.mark.parametrize(
    ("name", "unstable", "layered"),
    [
        ("/dev/sda1", True, False),
        ("/dev/hdb", True, False),
        ("/dev/vdaa12", True, False),
        ("/dev/xvda1", True, False),
        ("/dev/nvme0n1p3", True, False),
        ("/dev/mmcblk0p1", True, False),
        ("/dev/cciss/c0d0p1", True, False),
        ("//dev/./sda1", True, False),
        ("/dev/disk/by-path/pci-0000:00:10.0-scsi-0:0:0:0-part1", True, False),
        ("/dev/disk/by-id/ata-VBOX_HARDDISK_VB1-part2", True, False),
        ("/dev/disk/by-id/dm-uuid-LVM-abc", False, True),
        ("/dev/disk/by-uuid/ab-12", False, False),
        ("/dev/disk/by-label/root", False, False),
        ("/dev/mapper/vg-root", False, True),
        ("/dev/vg/root", False, True),
        ("/dev/md0", False, True),
        ("/dev/md/root", False, True),
        ("/dev/sr0", True, False),
        ("/dev/cdrom", True, False),
        ("/dev/fd0", True, False),
        ("/dev/loop0", False, False),
        ("/dev/zram0", False, False),
        ("/dev/shm", False, False),
        ("/dev/root", False, False),
        ("UUID=12", False, False),
        ("proc", False, False),
        ("/swapfile", False, False),
    ],
)
def test_which_names_last(name: str, unstable: bool, layered: bool) -> None:
    assert devices.is_unstable(name) is unstable
    assert devices.is_layered(name) is layered


@pytest.mark.parametrize(
    ("spec", "tag"),
    [
        ("UUID=AB-12", "UUID=ab-12"),
        ('UUID="AB-12"', "UUID=ab-12"),
        ("LABEL='My Disk'", "LABEL=My Disk"),
        ("/dev/disk/by-uuid/AB-12", "UUID=ab-12"),
        ("/dev/disk/by-label/My\\x20Disk", "LABEL=My Disk"),
        ("/dev/sda1", ""),
        ("uuid=ab", ""),
    ],
)
def test_tags(spec: str, tag: str) -> None:
    assert devices.tag(spec) == tag


ID = "/dev/disk/by-id/"


@pytest.mark.parametrize(
    ("name", "table", "neighbours", "spec"),
    [
        ("/dev/sda1", {"/dev/sda1": "UUID=a"}, (), "UUID=a"),
        ("//dev/sda1", {"/dev/sda1": "UUID=a"}, (), "UUID=a"),
        ("/dev/sda2", {"/dev/sda1": "UUID=a"}, (), None),
        ("/dev/hdb1", {"/dev/sda1": "UUID=a", "/dev/sdb1": "UUID=b"}, (), "UUID=b"),
        ("/dev/nvme1n1p1", {"/dev/sda1": "UUID=a", "/dev/sdb1": "UUID=b"}, (), "UUID=b"),
        ("/dev/sdaa3", {"/dev/nvme26n1p3": "UUID=z"}, (), "UUID=z"),
        ("/dev/hda1", {"/dev/sda1": "UUID=a", "/dev/vda1": "UUID=b"}, (), None),
        (ID + "ata-X-part1", {ID + "*-part1": "UUID=a"}, (ID + "ata-X-part2",), "UUID=a"),
        (ID + "ata-X-part1", {ID + "*-part1": "UUID=a"}, (ID + "ata-Y-part2",), None),
        ("bf4ab502-9a6d-49ec-92be-59111a383230", {}, (), None),
        (
            "bf4ab502-9a6d-49ec-92be-59111a383230",
            {"/dev/sda1": "UUID=bf4ab502-9a6d-49ec-92be-59111a383230"},
            (),
            "UUID=bf4ab502-9a6d-49ec-92be-59111a383230",
        ),
    ],
)
def test_resolve(name: str, table: dict[str, str], neighbours: tuple[str, ...], spec: str | None) -> None:
    assert devices.resolve(name, table, neighbours) == spec
