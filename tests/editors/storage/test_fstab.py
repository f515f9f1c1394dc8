from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from guestfix.base.edit import Content, Edit, Note
from guestfix.editors.storage import fstab
from guestfix.editors.storage.missing import guard_missing
from guestfix.formats.storage.fstab import MAX_LINE, entries
from tests.build.corpus import corpus_params

TABLE = {
    "/dev/sda1": "UUID=1111-2222",
    "/dev/sda2": "UUID=root-uuid",
    "/dev/sda3": "UUID=swap-uuid",
    "/dev/disk/by-path/pci-0000:00:10.0-scsi-0:0:1:0-part1": "UUID=data-uuid",
}
TYPES = {"UUID=1111-2222": "vfat", "UUID=root-uuid": "ext4", "UUID=swap-uuid": "swap"}
SPECS = [*TABLE, *TABLE.values(), "LABEL=my root", "/dev/mapper/vg-home", "/dev/vg/home"]
SHARES: dict[str, Any] = {
    "types": ["cifs", "vboxsf", "9p", "fuse.sshfs"],
    "sources": ["//*", ".host:*"],
    "why": "a share",
}


def set_device(src: bytes | None) -> Content | Edit:
    return fstab.set_device(src, table=TABLE, types=TYPES)


def guard(src: bytes | None, *, tagged: bool = True, complete: bool = True, init: str = "systemd") -> Content | Edit:
    return guard_missing(src, table=TABLE, types=TYPES, specs=SPECS, tagged=tagged, complete=complete, init=init)


def disable(src: bytes | None) -> Content | Edit:
    return fstab.disable(src, **SHARES)


def network(src: bytes | None, policy: str = "nofail", init: str = "systemd") -> Content | Edit:
    return fstab.network(src, types=["nfs", "nfs4"], policy=policy, init=init)


OPS: list[Callable[[bytes | None], Content | Edit]] = [
    fstab.comment_unreadable,
    set_device,
    guard,
    lambda src: guard(src, tagged=False, init="sysv"),
    lambda src: guard(src, init="mountall"),
    disable,
    network,
    lambda src: network(src, "disable"),
    lambda src: network(src, "keep"),
]


def split(result: Content | Edit) -> tuple[Content, tuple[Note, ...]]:
    return (result.content, result.notes) if isinstance(result, Edit) else (result, ())


NOOP_SET = [
    b"",
    b"UUID=root-uuid / ext4 defaults 0 1\n",
    b"/dev/mapper/vg-root / ext4 defaults 0 1\n/dev/vg/home /home xfs defaults 0 0\n/dev/md0 /md ext4\n",
    b"/dev/disk/by-uuid/root-uuid / ext4\n",
    b"/dev/sdz9 /data ext4 defaults 0 2\n",
    b"# /dev/sda1 /boot ext4\n",
    b"/dev/sda1 /mnt none bind 0 0\n",
    b"/dev/sda1 /mnt tmpfs\n",
    b"LABEL=x /x ext4\nproc /proc proc defaults 0 0\n",
    b"sda1 /boot vfat defaults 0 0\n",
]


@pytest.mark.parametrize("src", NOOP_SET)
def test_set_device_leaves(src: bytes) -> None:
    assert set_device(src) is src


def test_no_file_is_no_file() -> None:
    assert [op(None) for op in OPS] == [None] * len(OPS)


BEFORE_AFTER_SET = [
    (b"/dev/sda2 / ext4 defaults 0 1\n", b"UUID=root-uuid / ext4 defaults 0 1\n"),
    (b"/dev/sda2\t/\text3\tdefaults\t0 1\r\n", b"UUID=root-uuid\t/\text3\tdefaults\t0 1\r\n"),
    (b"  /dev/sda2   /   ext4", b"  UUID=root-uuid   /   ext4"),
    (b"/dev/vda2 / ext4 ro # was hda2\n", b"UUID=root-uuid / ext4 ro # was hda2\n"),
    (b"/dev/sda3 none swap sw 0 0\n", b"UUID=swap-uuid none swap sw 0 0\n"),
    (b"/dev/sda1 /boot/efi msdos umask=0077 0 1\n", b"UUID=1111-2222 /boot/efi msdos umask=0077 0 1\n"),
    (b"/dev/sda2 /a\\040b auto noauto\n", b"UUID=root-uuid /a\\040b auto noauto\n"),
    (b"/dev/sda2 /x\n", b"UUID=root-uuid /x\n"),
    (
        b"/dev/disk/by-path/pci-0000:00:10.0-scsi-0:0:1:0-part1 /data xfs defaults 1 2\n",
        b"UUID=data-uuid /data xfs defaults 1 2\n",
    ),
    (b"bad\n/dev/sda2 / ext4\n\0\n", b"bad\nUUID=root-uuid / ext4\n\0\n"),
]


@pytest.mark.parametrize(("before", "after"), BEFORE_AFTER_SET)
def test_set_device_changes(before: bytes, after: bytes) -> None:
    assert set_device(before) == after
    assert set_device(after) is after


def test_a_bare_uuid_gets_its_tag() -> None:
    uuid = "bf4ab502-9a6d-49ec-92be-59111a383230"
    got = fstab.set_device(f"{uuid} / ext4\n".encode(), table={"/dev/sda9": f"UUID={uuid}"}, types={})
    assert got == f"UUID={uuid} / ext4\n".encode()


def test_a_spec_with_odd_characters_stays_one_field() -> None:
    got = fstab.set_device(b"/dev/sda1 /x ext4\n", table={"/dev/sda1": "UUID=a b\nc"}, types={})
    assert got == b"UUID=a\\040b\\012c /x ext4\n"


def test_a_volume_of_another_type_is_not_taken() -> None:
    src = b"/dev/sda3 /data ext4 defaults 0 2\n"
    content, (note,) = split(set_device(src))
    assert content is src
    assert (note.code, note.line) == ("GF-FSTAB-TYPE-MISMATCH", 1)
    guarded, _ = split(guard(src))
    assert guarded == b"/dev/sda3 /data ext4 defaults,nofail,x-systemd.device-timeout=30s 0 0\n"


NOOP_GUARD = [
    b"",
    b"UUID=ROOT-UUID / ext4 defaults 0 1\n",
    b"/dev/sda2 / ext4 defaults 0 1\n/dev/sda3 none swap sw 0 0\n",
    b'LABEL="my root" / ext4\nLABEL=my\\040root /b ext4\n/dev/disk/by-label/my\\040root /c ext4\n',
    b"/dev/vg/home /home xfs defaults 0 2\n/dev/mapper/vg-home /h xfs\n",
    b"/dev/cdrom /mnt/cdrom auto noauto,ro 0 0\n/dev/fd0 /media/floppy0 auto rw,user,noauto 0 0\n",
    b"UUID=gone /x ext4 nofail 0 2\nUUID=gone /y ext4 x-systemd.automount 0 2\n/dev/sdz3 /z ext4 noauto 0 2\n",
    b"/dev/xvdb /media/ephemeral0 auto defaults,nofail,comment=cloudconfig 0 2\n",
    b"proc /proc proc defaults 0 0\nnone /dev/pts devpts gid=5\ntmpfs /tmp tmpfs\n/a /b none bind\n",
    b"/swapfile none swap sw\n",
    b"/dev/root / ext3\n/dev/loop0 /l ext4\n/dev/zram0 none swap\n",
    b"//host/share /s cifs\nhost:/x /n nfs\n",
]


@pytest.mark.parametrize("src", NOOP_GUARD)
def test_guard_leaves(src: bytes) -> None:
    assert guard(src) is src


@pytest.mark.parametrize("src", [b"UUID=gone /data ext4\n", b"/dev/mapper/gone /data ext4\n", b"LABEL=gone / ext4\n"])
def test_what_needs_the_disks_is_not_judged_without_them(src: bytes) -> None:
    assert guard(src, tagged=False, complete=False) is src


@pytest.mark.parametrize("name", [b"/dev/mapper/vg-gone", b"/dev/vg/gone", b"/dev/md3"])
def test_a_layered_volume_is_judged_only_where_all_are_described(name: bytes) -> None:
    src = name + b" /data ext4 defaults 0 2\n"
    assert guard(src, complete=False) is src
    assert split(guard(src))[0] == name + b" /data ext4 defaults,nofail,x-systemd.device-timeout=30s 0 0\n"


LATE = b"nofail,x-systemd.device-timeout=30s"
BEFORE_AFTER_GUARD = [
    (b"/dev/sdb1 /data ext4 defaults 1 2\n", b"/dev/sdb1 /data ext4 defaults," + LATE + b" 1 0\n"),
    (b"UUID=gone\t/data\txfs\tdefaults\t0\t2\r\n", b"UUID=gone\t/data\txfs\tdefaults," + LATE + b"\t0\t0\r\n"),
    (b"/dev/sdb1 /data ext4", b"/dev/sdb1 /data ext4 " + LATE),
    (b"/dev/sdb1\t/data\text4 # why\n", b"/dev/sdb1\t/data\text4\t" + LATE + b" # why\n"),
    (b"/dev/sdb1 /data\n", b"/dev/sdb1 /data auto " + LATE + b"\n"),
    (b"/dev/sdb2 none swap sw 0 0\n", b"/dev/sdb2 none swap sw," + LATE + b" 0 0\n"),
    (b"/dev/sr0 /cd iso9660 ro 0 0\n", b"/dev/sr0 /cd iso9660 ro," + LATE + b" 0 0\n"),
    (
        b"LABEL=gone /d ext4 x-systemd.device-timeout=5 0 0\n",
        b"LABEL=gone /d ext4 x-systemd.device-timeout=5,nofail 0 0\n",
    ),
    (
        b"bf4ab502-9a6d-49ec-92be-59111a383230 /d ext4 defaults 0 2\n",
        b"bf4ab502-9a6d-49ec-92be-59111a383230 /d ext4 defaults," + LATE + b" 0 0\n",
    ),
    (b"/dev/sdb1 /usr/local ext4 ro 0 2", b"/dev/sdb1 /usr/local ext4 ro," + LATE + b" 0 0"),
]


@pytest.mark.parametrize(("before", "after"), BEFORE_AFTER_GUARD)
def test_guard_changes(before: bytes, after: bytes) -> None:
    content, notes = split(guard(before))
    assert content == after
    assert [note.level for note in notes] == ["warning", "follow_up"]
    assert split(guard(after))[0] is after


@pytest.mark.parametrize("options", ["nofail", "defaults,nofail", "x-systemd.automount"])
@pytest.mark.parametrize("name", ["/dev/sdz1", "/dev/disk/by-id/google-data"])
def test_what_the_boot_does_without_unseen_is_told(name: str, options: str) -> None:
    src = f"{name} /x ext4 {options} 0 2\n".encode()
    content, (note,) = split(guard(src))
    assert content is src
    assert (note.level, note.code, note.line) == ("info", "GF-FSTAB-VOLUME-MISSING", 1)


def test_the_follow_up_says_what_to_do() -> None:
    _, notes = split(guard(b"/dev/sdb1 /data ext4 defaults 1 2\n"))
    assert notes[1].summary == "nofail was added to /data: attach its disk, then remove it"
    _, notes = split(guard(b"/dev/sdb2 none swap sw 0 0\n"))
    assert notes[1].summary == "nofail was added to the swap area /dev/sdb2: attach its disk, then remove it"


@pytest.mark.parametrize(
    ("init", "options"),
    [("systemd", LATE), ("mountall", b"nofail,nobootwait"), ("sysv", b"nofail"), ("unknown", b"nofail")],
)
def test_each_init_system_gets_the_options_it_knows(init: str, options: bytes) -> None:
    content, _ = split(guard(b"UUID=gone /data ext4 defaults 0 2\n", init=init))
    assert content == b"UUID=gone /data ext4 defaults," + options + b" 0 0\n"
    assert guard(content, init=init) is content


def test_mountall_needs_more_than_nofail() -> None:
    content, _ = split(guard(b"UUID=gone /data ext4 nofail 0 2\n", init="mountall"))
    assert content == b"UUID=gone /data ext4 nofail,nobootwait 0 0\n"


def test_sysvinit_checks_noauto_entries_too() -> None:
    content, notes = split(guard(b"/dev/sdb1 /data ext4 noauto 0 2\n", init="sysv"))
    assert (content, notes) == (b"/dev/sdb1 /data ext4 noauto 0 0\n", ())


@pytest.mark.parametrize("place", ["/", "/usr", "/boot", "/boot/efi", "/efi", "/var", "/usr/", "//boot//efi"])
@pytest.mark.parametrize("spec", ["/dev/sdb1", "UUID=gone", "/dev/disk/by-id/scsi-1-part1"])
def test_vital_mount_points_are_never_optional(place: str, spec: str) -> None:
    src = f"{spec} {place} ext4 defaults 0 1\n".encode()
    content, (note,) = split(guard(src))
    assert content is src
    assert note.level == "blocker"
    assert note.code == ("GF-FSTAB-ROOT-UNRESOLVED" if place == "/" else "GF-FSTAB-VITAL-UNRESOLVED")
    assert note.remedy.startswith("import the disk")


def test_the_remedy_without_disks_is_to_describe_them() -> None:
    got = guard_missing(
        b"/dev/sda9 / ext4 defaults 0 1\n", table={}, types={}, specs=[], tagged=False, complete=False, init="systemd"
    )
    _, (note,) = split(got)
    assert (note.level, note.line, "--disks" in note.remedy) == ("blocker", 1, True)


NOOP_DISABLE = [
    b"",
    b"/dev/sda1 / ext4\n",
    b"# //host/share /s cifs\n",
    b"//dev/sda1 / ext4\n",
    b"//srv/x /x none bind\n",
    b"host:/x /n nfs\n",
]


@pytest.mark.parametrize("src", NOOP_DISABLE)
def test_disable_leaves(src: bytes) -> None:
    assert disable(src) is src


BEFORE_AFTER_DISABLE = [
    (b"//host/share /s cifs noauto 0 0\n", b"# guestfix: disabled, a share: //host/share /s cifs noauto 0 0\n"),
    (
        b"//host/share /s cifs credentials=/x,_netdev 0 0\r\n",
        b"# guestfix: disabled, a share: //host/share /s cifs credentials=/x,_netdev 0 0\r\n",
    ),
    (b"\tshare /s vboxsf", b"# guestfix: disabled, a share: \tshare /s vboxsf"),
    (b".host:/ /mnt/hgfs fuse.anything", b"# guestfix: disabled, a share: .host:/ /mnt/hgfs fuse.anything"),
    (b"me@h:/ /s fuse.sshfs nofail\n", b"# guestfix: disabled, a share: me@h:/ /s fuse.sshfs nofail\n"),
]


@pytest.mark.parametrize(("before", "after"), BEFORE_AFTER_DISABLE)
def test_disable_changes(before: bytes, after: bytes) -> None:
    content, (note,) = split(disable(before))
    assert content == after
    assert note.level == "follow_up"
    assert disable(after) is after


def test_a_root_on_a_share_blocks() -> None:
    src = b"rootfs / 9p trans=virtio 0 0\n"
    content, (note,) = split(disable(src))
    assert content is src
    assert (note.level, note.code) == ("blocker", "GF-FSTAB-VITAL-FOREIGN")


NFS = b"nas:/x\t/n\tnfs4\tdefaults\t0 2\n"


def test_network_policies() -> None:
    content, (note,) = split(network(NFS, "keep"))
    assert content is NFS
    assert (note.level, note.code) == ("warning", "GF-FSTAB-NFS-KEPT")
    content, (note,) = split(network(NFS, "nofail"))
    assert content == b"nas:/x\t/n\tnfs4\tdefaults,nofail,x-systemd.mount-timeout=30s\t0 0\n"
    assert note.level == "follow_up"
    assert network(content, "nofail") is content
    content, (note,) = split(network(NFS, "disable"))
    assert content == b"# guestfix: disabled, network filesystem (policy nfs): " + NFS
    assert note.level == "follow_up"


@pytest.mark.parametrize("src", [b"nas:/x /n nfs noauto 0 0\n", b"nas:/x /n nfs nofail 0 0\n", b"/dev/sda1 / ext4\n"])
def test_network_leaves(src: bytes) -> None:
    assert network(src, "keep") is src
    assert network(src, "nofail") is src


def test_an_nfs_root_is_kept_whatever_the_policy() -> None:
    src = b"nas:/x / nfs defaults 0 0\n"
    for policy in ("keep", "nofail", "disable"):
        content, (note,) = split(network(src, policy))
        assert content is src
        assert note.code == "GF-FSTAB-NFS-KEPT"


def test_unreadable_lines_become_comments_where_others_can_be_read() -> None:
    content, notes = split(fstab.comment_unreadable(b"/dev/sda1 / ext4\r\nnonsense\r\nsda2 data ext4 ro 0 0\n"))
    assert content == (
        b"/dev/sda1 / ext4\r\n"
        b"# guestfix: not an entry, no mount point: nonsense\r\n"
        b"# guestfix: not an entry, its mount point is no absolute path: sda2 data ext4 ro 0 0\n"
    )
    assert [(note.line, note.code) for note in notes] == [
        (2, "GF-FSTAB-LINE-UNREADABLE"),
        (3, "GF-FSTAB-LINE-UNREADABLE"),
    ]
    assert fstab.comment_unreadable(content) is content


def test_a_nul_does_not_stay_in_a_comment() -> None:
    """getmntent(3) takes a line with a NUL for one that is too long, and loses the line after it."""
    content, _ = split(fstab.comment_unreadable(b"/dev/sd\0a1 /x ext4\n/dev/sda2 / ext4\n"))
    assert content == b"# guestfix: not an entry, control characters in it: /dev/sd\\000a1 /x ext4\n/dev/sda2 / ext4\n"


def test_a_table_without_any_entry_is_left_to_the_detector() -> None:
    src = b"U2FsdGVkX18TrSLuiOpj\nrghudrAMr8JDq7ul\n"
    assert fstab.comment_unreadable(src) is src


def test_a_device_that_is_listed_without_its_uuid_is_not_called_lost() -> None:
    src = b"/dev/sdb1 / ext4 defaults 0 1\n/dev/sdb2 /data ext4 defaults 0 2\nUUID=gone /x ext4\n"
    got = guard_missing(
        src, table={}, types={}, specs=["/dev/sdb1", "/dev/sdb2"], tagged=False, complete=False, init="sysv"
    )
    content, (vital, missing, follow_up) = split(got)
    assert content == src.replace(b"/data ext4 defaults 0 2", b"/data ext4 defaults,nofail 0 0")
    assert vital.remedy == "give the UUID of /dev/sdb1 in the description of the disks"
    assert missing.summary == "/data would hold up the boot: the UUID of /dev/sdb2 is not known"
    assert follow_up.summary == "nofail was added to /data: name it by UUID=, then remove it"


def test_a_line_never_grows_past_what_is_read_at_boot() -> None:
    src = b"/dev/sdb1 /data ext4 " + b"a" * (MAX_LINE - 40) + b" 0 2\n"
    content, (note,) = split(guard(src))
    assert content is src
    assert note.code == "GF-FSTAB-LINE-TOO-LONG"
    wide = fstab.set_device(src, table={"/dev/sdb1": "UUID=" + "b" * 36}, types={})
    assert isinstance(wide, Edit)
    assert wide.content is src


# laws over hostile bytes and over the corpus

WORDS = st.sampled_from(
    [b"/dev/sda1", b"/dev/sdb1", b"UUID=gone", b"UUID=root-uuid", b"//h/s", b"nas:/x", b"/", b"/usr", b"/data", b"none",
     b"swap", b"ext4", b"cifs", b"nfs", b"vboxsf", b"defaults", b"noauto", b"nofail", b"0", b"2", b"#", b"#x", b"\\040",
     b"\xff\xfe", b"\0", b"\x1b", b"\r"]
)  # fmt: skip
GAPS = st.sampled_from([b" ", b"\t", b"  \t", b"\n", b"\r\n", b"\n\n", b""])
TABLES = st.lists(st.tuples(WORDS, GAPS), max_size=40).map(lambda pairs: b"".join(a + b for a, b in pairs))
SOURCES = st.one_of(st.binary(max_size=200), TABLES)


def check_laws(op: Callable[[bytes | None], Content | Edit], src: bytes) -> None:
    content, notes = split(op(src))
    assert isinstance(content, bytes)
    if content == src:
        assert content is src
    again, _ = split(op(content))
    assert again is content
    before, after = src.split(b"\n"), content.split(b"\n")
    assert len(before) == len(after)
    named = {entry.number for entry in entries(src)}
    for number, (old, new) in enumerate(zip(before, after, strict=True), 1):
        if old != new:
            assert number in named
            assert old.endswith(b"\r") == new.endswith(b"\r")
    assert all(note.level == "follow_up" or (note.code and note.line in named) for note in notes)


@pytest.mark.parametrize("op", OPS)
@given(src=SOURCES)
@settings(max_examples=150, deadline=None)
def test_laws(op: Callable[[bytes | None], Content | Edit], src: bytes) -> None:
    check_laws(op, src)


@pytest.mark.parametrize("path", corpus_params("fstab", "crypttab", "grubdefault", "mdadm"))
def test_laws_over_the_corpus(path: Path) -> None:
    src = path.read_bytes()
    for op in OPS:
        check_laws(op, src)
        check_laws(op, src.replace(b"\n", b"\r\n"))
        check_laws(op, src[: len(src) // 2])


@pytest.mark.parametrize("path", corpus_params("fstab"))
def test_a_corpus_table_without_anything_to_do_comes_back_itself(path: Path) -> None:
    src = path.read_bytes()
    assert split(fstab.set_device(src, table={}, types={}))[0] is src
    assert split(network(src, "keep"))[0] is src
    assert (split(disable(src))[0] is src) == (b"cifs" not in src)


def test_a_huge_table_costs_no_more_than_its_length() -> None:
    src = b"".join(b"/dev/disk/by-id/scsi-%d-part1 /m/%d ext4 defaults 0 2\n" % (n, n) for n in range(8000))
    src += b"".join(b"/dev/sd%c%d /n/%d ext4 defaults 0 2\n" % (97 + n % 26, n % 90, n) for n in range(8000))
    table = {f"/dev/vd{chr(97 + n % 26)}{n // 26}": f"UUID={n}" for n in range(2000)}
    started = time.process_time()
    fstab.set_device(src, table=table, types={})
    content, _ = split(guard_missing(src, table=table, types={}, specs=[], tagged=True, complete=True, init="systemd"))
    assert isinstance(content, bytes)
    assert content.count(b"nofail") > 8000
    assert time.process_time() - started < 60
