"""The editors of generator configuration: two tables and their laws over hostile bytes."""

from __future__ import annotations

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from guestfix.base.edit import Edit
from guestfix.base.errors import EditError
from guestfix.editors import OPS, find_op
from guestfix.editors.initramfs import conf
from guestfix.formats import shellvars
from tests.build.corpus import corpus_params

ALL = [name for name, place in OPS.items() if place.startswith("initramfs.conf:")]
NEW = ["virtio_pci", "virtio-blk"]

NOOP = [
    ("dracut.add_drivers", b'add_drivers+=" virtio_blk virtio-pci "\n'),
    ("dracut.add_drivers", b'force_drivers+=" virtio_blk "\nadd_drivers+="virtio_pci"\n'),
    ("dracut.keep_drivers", b'omit_drivers+=" floppy "\nadd_drivers="virtio_pci"\n'),
    ("dracut.keep_drivers", b'omit_drivers="$OLD virtio_pci"\n'),
    ("dracut.keep_drivers", None),
    ("initramfs_tools.add_modules", b"virtio-pci\nvirtio_blk num=1 # disks\n"),
    ("sysconfig_kernel.add_modules", b'INITRD_MODULES="virtio_blk virtio_pci"\n'),
    ("sysconfig_kernel.add_modules", None),
    ("mkinitcpio.add_modules", b"MODULES=(virtio_pci virtio_blk)\n"),
    ("mkinitcpio.add_modules", b'MODULES="virtio_blk virtio_pci"\n'),
    ("mkinitcpio.add_modules", None),
    ("mkinitcpio.append_modules", b"MODULES+=(virtio_pci virtio_blk)\n"),
    ("mkinitcpio.append_modules", b"MODULES=(virtio-pci)\nMODULES+=(virtio_blk)"),
    ("modprobe.add_adapters", b"alias scsi_hostadapter virtio_blk\nalias scsi_hostadapter1 virtio-pci\n"),
    ("modprobe.add_adapters", None),
    ("modprobe.allow", b"blacklist pcspkr\n#blacklist virtio_pci\noptions virtio_pci x=1\n"),
    ("modprobe.allow", b"install virtio_pci /sbin/modprobe -i virtio_pci; /bin/true\n"),
    ("modprobe.allow", None),
]

CHANGED = [
    ("dracut.add_drivers", None, conf._HEAD + b'add_drivers+=" virtio_pci virtio_blk "\n'),
    ("dracut.add_drivers", b"x=1", b'x=1\nadd_drivers+=" virtio_pci virtio_blk "\n'),
    (
        "dracut.add_drivers",
        b'add_drivers+=" virtio_blk "\r\n',
        b'add_drivers+=" virtio_blk "\r\nadd_drivers+=" virtio_pci "\r\n',
    ),
    ("dracut.keep_drivers", b'omit_drivers+=" virtio-pci floppy " # old\n', b'omit_drivers+=" floppy " # old\n'),
    ("dracut.keep_drivers", b"omit_drivers='virtio_blk'\nx=y\n", b"omit_drivers=''\nx=y\n"),
    ("initramfs_tools.add_modules", None, b"virtio_pci\nvirtio_blk\n"),
    ("initramfs_tools.add_modules", b"# virtio_blk\nloop max=8", b"# virtio_blk\nloop max=8\nvirtio_pci\nvirtio_blk\n"),
    (
        "sysconfig_kernel.add_modules",
        b'# INITRD_MODULES=""\nINITRD_MODULES="ahci" # boot\nB=""\n',
        b'# INITRD_MODULES=""\nINITRD_MODULES="ahci virtio_pci virtio_blk" # boot\nB=""\n',
    ),
    ("sysconfig_kernel.add_modules", b"A=1\n", b'A=1\nINITRD_MODULES="virtio_pci virtio_blk"\n'),
    ("mkinitcpio.add_modules", b"MODULES=()\nHOOKS=(base)\n", b"MODULES=(virtio_pci virtio_blk)\nHOOKS=(base)\n"),
    ("mkinitcpio.add_modules", b"MODULES=(ext4\n  xfs)\n", b"MODULES=(ext4\n  xfs virtio_pci virtio_blk)\n"),
    ("mkinitcpio.add_modules", b'MODULES="ext4"\n', b'MODULES="ext4 virtio_pci virtio_blk"\n'),
    ("mkinitcpio.add_modules", b"HOOKS=(base)", b"HOOKS=(base)\nMODULES=(virtio_pci virtio_blk)\n"),
    ("mkinitcpio.append_modules", b"MODULES+=(virtio_pci)\n", b"MODULES+=(virtio_pci)\nMODULES+=(virtio_blk)\n"),
    ("mkinitcpio.append_modules", b"HOOKS=(virtio_blk)\n", b"HOOKS=(virtio_blk)\nMODULES+=(virtio_pci virtio_blk)\n"),
    (
        "modprobe.add_adapters",
        b"alias scsi_hostadapter3 ata_piix\nalias eth0 e1000\n",
        b"alias scsi_hostadapter3 ata_piix\nalias eth0 e1000\n"
        b"alias scsi_hostadapter4 virtio_pci\nalias scsi_hostadapter5 virtio_blk\n",
    ),
    ("modprobe.add_adapters", b"", b"alias scsi_hostadapter virtio_pci\nalias scsi_hostadapter1 virtio_blk\n"),
    (
        "modprobe.allow",
        b"a\nblacklist virtio-blk\ninstall virtio_pci /bin/false\n",
        b"a\n# guestfix: disabled, the boot needs it: blacklist virtio-blk\n"
        b"# guestfix: disabled, the boot needs it: install virtio_pci /bin/false\n",
    ),
]


def apply(name: str, src: bytes | None, modules=NEW):
    result = find_op(name)(src, modules=list(modules))
    return result.content if isinstance(result, Edit) else result


@pytest.mark.parametrize(("name", "src"), NOOP)
def test_nothing_to_change_gives_the_same_object(name, src):
    assert apply(name, src) is src


@pytest.mark.parametrize(("name", "before", "after"), CHANGED)
def test_changes(name, before, after):
    assert apply(name, before) == after
    assert apply(name, after) is after


def test_both_tables_know_every_editor():
    assert {name for name, *_ in NOOP} == {name for name, *_ in CHANGED} == set(ALL)


@pytest.mark.parametrize("name", ["sysconfig_kernel.add_modules", "mkinitcpio.add_modules"])
def test_what_the_shell_computes_is_left_with_a_note(name):
    variable = "INITRD_MODULES" if name.startswith("sys") else "MODULES"
    src = f'{variable}="$(cat /etc/list)"\n'.encode()
    result = find_op(name)(src, modules=NEW)
    assert isinstance(result, Edit) and result.content is src
    assert result.notes[0].code == "GF-INITRAMFS-NOT-PERSISTENT" and result.notes[0].line == 1


def test_allow_says_what_it_disabled():
    result = find_op("modprobe.allow")(b"\nblacklist nvme\n", modules=["nvme"])
    assert isinstance(result, Edit)
    assert result.notes[0].level == "follow_up" and "blacklist nvme" in result.notes[0].summary
    assert result.notes[0].line == 2


def test_names_that_no_module_has_are_not_written():
    assert apply("initramfs_tools.add_modules", b"x\n", ["a b", "$(reboot)", "", "ok"]) == b"x\nok\n"


FRAGMENTS = (
    b'add_drivers+="', b"omit_drivers=", b"INITRD_MODULES=", b"MODULES=(", b")", b'"', b"'", b"blacklist ", b"install ",
    b"virtio_pci", b"virtio-blk ", b"alias scsi_hostadapter", b"1 ", b"/bin/false", b"\n", b"\r\n", b"\\\n", b"#", b"$",
    b" ", b"\0", b"\xff", b"x",
)  # fmt: skip
hostile = st.lists(st.one_of(st.sampled_from(FRAGMENTS), st.binary(max_size=5)), max_size=30).map(b"".join)


@given(st.sampled_from(ALL), hostile)
@example("mkinitcpio.add_modules", b"xMODULES=(")
@example("mkinitcpio.append_modules", b"MODULES=(")
@example("dracut.add_drivers", b"if")
@settings(max_examples=400, deadline=None)
def test_laws_over_hostile_bytes(name, src):
    assert apply(name, src, []) is src
    try:
        after = apply(name, src)
    except EditError as error:
        assert "is never closed" in error.what.replace("\n", " ") and error.where and error.remedy
        assert any(
            word in src for word in (b'"', b"'", b"(", b"{", b"if", b"for", b"while", b"until", b"case", b"select")
        )
        return
    if after == src:
        assert after is src
    again = apply(name, after)
    assert again is after
    if name.endswith(("add_drivers", "add_modules", "add_adapters")) and after is not src and b"MODULES" not in src:
        assert after.startswith(src)


@pytest.mark.parametrize("path", corpus_params("initramfs-conf", "modprobe"))
def test_corpus_files_keep_every_other_line(path):
    src = path.read_bytes()
    for name in ALL:
        after = apply(name, src)
        assert apply(name, after) == after
        kept = [line for line in src.splitlines() if line in after.splitlines()]
        assert len(src.splitlines()) - len(kept) <= (20 if name == "modprobe.allow" else 1)
        assert apply(name, src, []) is src


@pytest.mark.parametrize("path", corpus_params("modprobe"))
def test_corpus_sysconfig_gets_the_modules(path):
    src = path.read_bytes()
    if path.name.endswith("sysconfig%kernel"):
        words = (shellvars.get(apply("sysconfig_kernel.add_modules", src), "INITRD_MODULES") or "").split()
        assert words[-2:] == ["virtio_pci", "virtio_blk"]
