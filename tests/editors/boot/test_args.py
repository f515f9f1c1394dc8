from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from guestfix.base.errors import EditError
from guestfix.editors.boot import args as bootargs
from guestfix.formats.boot import argplaces, cmdline, grubenv
from guestfix.formats.boot.cmdline import Change
from guestfix.formats.storage.known import known

TABLE = {"/dev/sda2": "UUID=aa", "/dev/sda5": "UUID=bb"}
PARTS = {"/dev/sda2": "PARTUUID=0a-02"}
SPECS = ["/dev/sda2", "/dev/sda5", "UUID=aa", "UUID=bb"]


def devices(**more: object) -> bootargs.DeviceChange:
    return bootargs.DeviceChange(TABLE, PARTS, **more)  # type: ignore[arg-type]


def after(change: Change, text: str, form: str = "cmdline") -> str:
    return argplaces.rewrite(text.encode(), form, change).decode()


NOOP: list[tuple[Change, str]] = [
    (devices(), "root=UUID=aa ro quiet\n"),
    (devices(), "root=/dev/mapper/vg-root resume=/dev/vg/swap rd.lvm.lv=vg/root\n"),
    (devices(), "root=/dev/sdz9 ro\n"),
    (devices(), "root=LABEL=/ nfsroot=/dev/sda2\n"),
    (devices(), "cryptdevice=/dev/sda2:root root=/dev/mapper/root\n"),
    (devices(), "# root=/dev/sda2\n"),
    (bootargs.console("ttyS0,115200n8"), "console=ttyS0,9600 console=tty0\n"),
    (bootargs.console("ttyS0,115200n8"), 'root=x "console=ttyS0"\n'),
    (bootargs.unblock(["virtio_blk"]), "modprobe.blacklist=floppy,nouveau quiet\n"),
    (bootargs.ensure(["a=1", "b"]), "b a=1\n"),
    (bootargs.ensure(["ip=dhcp", "rd.lvm.lv=vg/a"]), "rd.lvm.lv=vg/a rd.lvm.lv=vg/b ip=dhcp\n"),
    (bootargs.remove(["console=*"]), "earlycon=x consoles=1\n"),
    (bootargs.remove(["net.ifnames=0"]), "net.ifnames=1\n"),
    (bootargs.ensure_for_kernel(["nvme_core.io_timeout=4294967295"], "4.9"), "nvme_core.io_timeout=4294967295\n"),
]

CHANGED: list[tuple[Change, str, str]] = [
    (devices(), "root=/dev/sda2 ro\n", "root=UUID=aa ro\n"),
    (devices(), "  root=/dev/sda2\tro resume=/dev/sda5", "  root=UUID=aa\tro resume=UUID=bb"),
    (devices(), 'root="/dev/sda2" ro\n', "root=UUID=aa ro\n"),
    (devices(initrd=False), "root=/dev/sda2 ro\n", "root=PARTUUID=0a-02 ro\n"),
    (devices(udev_links=True), "root=/dev/sda2\n", "root=/dev/disk/by-uuid/aa\n"),
    (devices(), "boot=/dev/sda2 fips=1\n", "boot=UUID=aa fips=1\n"),
    (devices(gone=lambda value: value == "/dev/sdb1"), "a resume=/dev/sdb1 b\n", "a b\n"),
    (devices(gone=lambda value: value == "/dev/sdb1"), "resume=/dev/sdb1 resume_offset=34816 b\n", "b\n"),
    (bootargs.console("ttyS0"), "quiet\n", "quiet console=tty0 console=ttyS0\n"),
    (bootargs.console("ttyS0"), "console=hvc0\n", "console=hvc0 console=ttyS0\n"),
    (bootargs.unblock(["virtio_blk"]), "rd.driver.blacklist=virtio-blk,a x\n", "rd.driver.blacklist=a x\n"),
    (bootargs.unblock(["virtio_blk"]), "x virtio_blk.blacklist=yes module_blacklist=virtio_blk\n", "x\n"),
    (bootargs.ensure(["net-ifnames=0"]), "net_ifnames=1 x\n", "net-ifnames=0 x\n"),
    (bootargs.ensure(["r=3"]), "r=1 r=2\n", "r=1 r=3\n"),
    (bootargs.ensure(["console=ttyS1,9600", "x"]), "console=ttyS0\n", "console=ttyS0 console=ttyS1,9600 x\n"),
    (bootargs.ensure(["console=tty0", "console=ttyS0"]), "a\n", "a console=tty0 console=ttyS0\n"),
    (bootargs.ensure(["console=ttyS0", "console=ttyS1"]), "a\n", "a console=tty0 console=ttyS0 console=ttyS1\n"),
    (bootargs.ensure(["console=tty0"]), "a\n", "a console=tty0\n"),
    (bootargs.ensure(["ip=dhcp", "rd.lvm.lv=vg/a"]), "ip=b rd.lvm.lv=c\n", "ip=b rd.lvm.lv=c ip=dhcp rd.lvm.lv=vg/a\n"),
    (bootargs.remove(["console=*", "a=1"]), "console=x a=2 console=y,1 console a=1\n", "a=2\n"),
    (bootargs.remove(["a", "b"]), "a b c a\n", "c\n"),
]


@pytest.mark.parametrize(("change", "text"), NOOP)
def test_what_stays(change: Change, text: str) -> None:
    src = text.encode()
    assert argplaces.rewrite(src, "cmdline", change) is src


@pytest.mark.parametrize(("change", "before", "wanted"), CHANGED)
def test_what_changes(change: Change, before: str, wanted: str) -> None:
    assert after(change, before) == wanted
    assert after(change, wanted) == wanted


@pytest.mark.parametrize(
    ("form", "before", "wanted"),
    [
        ("default", "GRUB_CMDLINE_LINUX=\n", 'GRUB_CMDLINE_LINUX="a=1"\n'.replace('"a=1"', "a=1")),
        ("default", "GRUB_CMDLINE_LINUX=x # c\n", 'GRUB_CMDLINE_LINUX="x a=1" # c\n'),
        ("default", 'export GRUB_CMDLINE_LINUX="x \\"y z\\" "\n', 'export GRUB_CMDLINE_LINUX="x \\"y z\\" a=1 "\n'),
        (
            "default",
            "GRUB_CMDLINE_LINUX='x'\nGRUB_CMDLINE_LINUX_DEFAULT=q\n",
            "GRUB_CMDLINE_LINUX='x a=1'\nGRUB_CMDLINE_LINUX_DEFAULT=q\n",
        ),
        ("default", "GRUB_CMDLINE_LINUX_DEFAULT=q\n", 'GRUB_CMDLINE_LINUX_DEFAULT="q a=1"\n'),
        ("default", "GRUB_CMDLINE_LINUX='x'\"y\"\n", "GRUB_CMDLINE_LINUX='x'\"y\"\n"),
        ("default", "GRUB_CMDLINE_LINUX=$(cat /x)\n", "GRUB_CMDLINE_LINUX=$(cat /x)\n"),
        ("default", 'GRUB_CMDLINE_LINUX="$X y"\n', 'GRUB_CMDLINE_LINUX="$X y a=1"\n'),
        ("bootloader", 'DEFAULT_APPEND="x"\nDEFAULT_VGA="0x317"\n', 'DEFAULT_APPEND="x a=1"\nDEFAULT_VGA="0x317"\n'),
        ("bls", "options x $tuned_params\noptions y\n", "options x $tuned_params a=1\noptions y a=1\n"),
        ("bls", "options $kernelopts\n", "options $kernelopts\n"),
        ("bls", "options\n", "options a=1\n"),
        ("menu", "title t\n kernel --type=linux /k x\n", "title t\n kernel --type=linux /k x a=1\n"),
        ("menu", "# kopt=root=/dev/x ro\n# defoptions=q\n", "# kopt=root=/dev/x ro a=1\n# defoptions=q\n"),
        ("syslinux", "label l\r\n append x\r\n", "label l\r\n append x a=1\r\n"),
        ("dracut", 'kernel_cmdline="x"\n', 'kernel_cmdline="x"\n'),
        ("cmdline", 'x a="b\n', "x a=1\n"),
        ("cmdline", 'x b="c\n', 'x b="c\n'),
        ("update-extlinux", "root=/dev/x\ndefault_kernel_opts=q\n", 'root=/dev/x\ndefault_kernel_opts="q a=1"\n'),
        ("update-extlinux", "root=/dev/x\n", "root=/dev/x\n"),
    ],
)
def test_where_words_are_added(form: str, before: str, wanted: str) -> None:
    assert after(bootargs.ensure(["a=1"]), before, form) == wanted


@pytest.mark.parametrize(
    ("before", "wanted"),
    [
        ("root=/dev/sda2\nmodules=ext4\n", "root=UUID=aa\nmodules=ext4\n"),
        ("root=UUID=x\n", "root=UUID=x\n"),
        ('root="/dev/sda2"\n', 'root="/dev/sda2"\n'),
        ("root=$(findroot)\n", "root=$(findroot)\n"),
        ("#root=/dev/sda2\n", "#root=/dev/sda2\n"),
        ("root=\n", "root=\n"),
    ],
)
def test_the_root_of_update_extlinux(before: str, wanted: str) -> None:
    assert after(devices(), before, "update-extlinux") == wanted
    assert after(bootargs.console("ttyS0"), before, "update-extlinux") == before


def test_environment_block_keeps_its_size() -> None:
    block = grubenv.create({"kernelopts": "root=/dev/sda2 ro", "saved_entry": "x"})
    changed = argplaces.rewrite(block, "grubenv", devices())
    assert len(changed) == len(block)
    assert grubenv.read(changed) == {"kernelopts": "root=UUID=aa ro", "saved_entry": "x"}
    full = grubenv.create({"kernelopts": "x" * 880})
    with pytest.raises(EditError):
        argplaces.rewrite(full, "grubenv", bootargs.ensure(["y" * 80]))


def test_what_could_not_be_resolved_is_kept() -> None:
    change = devices()
    after(change, "root=/dev/sdq1 resume=/dev/sda5 cryptdevice=/dev/sda2:x root=0801\n")
    assert list(change.unresolved) == ["root=/dev/sdq1", "root=0801"]
    assert list(change.reported) == ["cryptdevice=/dev/sda2:x"]


@pytest.mark.parametrize(
    ("value", "complete", "gone"),
    [
        ("UUID=cc", True, True),
        ("UUID=cc", False, False),
        ("UUID=AA", True, False),
        ("/dev/sdb1", True, True),
        ("/dev/vda2", True, False),
        ("/dev/mapper/vg-swap", True, True),
        ("/dev/mapper/vg-swap", False, False),
        ("none", True, False),
    ],
)
def test_swap_that_stayed_behind(value: str, complete: bool, gone: bool) -> None:
    assert known(TABLE, SPECS, True, complete).is_gone(value) is gone


@pytest.mark.parametrize(
    ("release", "wanted"),
    [
        ("vmlinuz-6.1.0-18-amd64", ["nvme_core.io_timeout=4294967295", "x"]),
        ("4.14.336-253.554.amzn2.x86_64", ["nvme_core.io_timeout=4294967295", "x"]),
        ("4.14.0", ["nvme_core.io_timeout=255", "x"]),
        ("3.10.0-1160.el7", ["nvme_core.io_timeout=255", "nvme.io_timeout=255", "x"]),
        ("", ["nvme_core.io_timeout=255", "nvme.io_timeout=255", "x"]),
    ],
)
def test_nvme_timeout_fits_the_kernel(release: str, wanted: list[str]) -> None:
    assert bootargs.for_kernel(["nvme_core.io_timeout=4294967295", "x"], release, ["4.14.*.amzn*"]) == wanted


WORDS = st.lists(
    st.sampled_from(
        [
            "root=/dev/sda2",
            "resume=/dev/sda5",
            "quiet",
            'a="b c"',
            "console=tty0",
            "console=ttyS0",
            "modprobe.blacklist=virtio_blk,x",
        ]
        + ["$v", "x=1", "rd.driver.blacklist=virtio_blk", '"', "\\", "'", "é", "net.ifnames=0"]
    ),
    max_size=8,
)
CHANGES = [
    devices(),
    bootargs.console("ttyS0,115200n8"),
    bootargs.unblock(["virtio_blk"]),
    bootargs.ensure(["x=2", "y"]),
    bootargs.remove(["net.ifnames=0"]),
    bootargs.ensure_for_kernel(["nvme_core.io_timeout=4294967295"], "6.1"),
]
FRAMES = [
    "{}\n",
    "options {}\n",
    "linux /boot/vmlinuz-4.4.0 {}\n",
    'GRUB_CMDLINE_LINUX="{}"\n',
    "title t\nkernel /k {}\n",
    "append {}\n",
]


@settings(max_examples=200, deadline=None)
@given(WORDS, st.sampled_from(FRAMES), st.sampled_from(sorted(argplaces.READERS)), st.sampled_from([" ", "  ", "\t"]))
def test_laws_in_every_form(words: list[str], frame: str, form: str, blank: str) -> None:
    src = frame.format(blank.join(words)).encode()
    for change in CHANGES:
        once = argplaces.rewrite(src, form, change)
        assert argplaces.rewrite(once, form, change) == once
        if once == src:
            assert once is src
        else:
            assert once.startswith(frame.partition("{}")[0].encode().rstrip(b'"')[:4])


@settings(max_examples=100, deadline=None)
@given(st.binary(max_size=120), st.sampled_from([*argplaces.READERS, "grubenv"]))
def test_any_bytes(src: bytes, form: str) -> None:
    for change in CHANGES:
        argplaces.rewrite(src, form, change)
    assert argplaces.rewrite(src, form, lambda _t, _l: cmdline.Rewrite()) is src


def test_a_quote_that_a_change_closes_lets_words_follow() -> None:
    """The last word of a command line may leave a quote open; replaced, it doesn't, and what is added can stand."""
    once = after(bootargs.ensure(["a=1", "y"]), 'x a="b\n')
    assert once == "x a=1 y\n"
    assert after(bootargs.ensure(["a=1", "y"]), once) == once


@pytest.mark.parametrize(
    ("value", "device"),
    [("802", "/dev/sda2"), ("0x0811", "/dev/sdb1"), ("8:0", "/dev/sda"), ("8:17", "/dev/sdb1"), ("301", "/dev/hda1"),
     ("0341", "/dev/hdb1"), ("1602", "/dev/hdc2"), ("fd00", ""), ("254:1", ""), ("/dev/sda1", ""), ("", "")],
)  # fmt: skip
def test_a_device_number_means_a_disk(value: str, device: str) -> None:
    assert bootargs.by_number(value) == device


def test_a_root_by_number_becomes_what_its_partition_is_known_by() -> None:
    table, parts = {"/dev/sda2": "UUID=u"}, {"/dev/sda2": "PARTUUID=p"}
    for initrd, wanted in ((True, "root=UUID=u"), (False, "root=PARTUUID=p")):
        change = bootargs.DeviceChange(table, parts)
        assert change(["root=802"], cmdline.ArgLine((), 0, 0, 0, initrd=initrd)).replace == {0: wanted}
    change = bootargs.DeviceChange({}, {})
    assert not change(["root=fd00"], cmdline.ArgLine((), 0, 0, 0)).replace and change.unresolved == {"root=fd00": None}
