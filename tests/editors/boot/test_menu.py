from __future__ import annotations

from collections.abc import Callable

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from guestfix.base.edit import Edit
from guestfix.editors.boot import menu as bootmenu
from guestfix.editors.initramfs import resume as resumeconf

TABLE = {"/dev/sda5": "UUID=bb"}


def grub(src: bytes | None) -> object:
    return bootmenu.grub_timeout(src, seconds=5, longest=10)


def legacy(src: bytes | None) -> object:
    return bootmenu.legacy_timeout(src, seconds=5, longest=10)


def loader(src: bytes | None) -> object:
    return bootmenu.loader_timeout(src, seconds=5, longest=10)


def drives(src: bytes | None) -> object:
    return bootmenu.device_map(src, prefix="nvme")


def disk(src: bytes | None) -> object:
    return bootmenu.legacy_boot_disk(src, prefix="vd")


def efi(src: bytes | None) -> object:
    return bootmenu.loader_commands(src, linux="linuxefi", initrd="initrdefi")


def resume(src: bytes | None) -> object:
    found = resumeconf.set_resume(src, table=TABLE, specs=["UUID=bb", "/dev/sda5"], complete=True)
    return found.content if isinstance(found, Edit) else found


OPS: list[Callable[[bytes | None], object]] = [
    grub,
    legacy,
    loader,
    drives,
    disk,
    efi,
    resume,
    bootmenu.env_show_menu,
    bootmenu.grub_terminal,
    bootmenu.legacy_terminal,
    bootmenu.default_terminal,
    bootmenu.default_uuid,
]

NOOP: list[tuple[Callable[[bytes | None], object], bytes]] = [
    (grub, b"set timeout=5\nset timeout_style=menu\nmenuentry a {\n}\n"),
    (grub, b'set timeout=$x\nset timeout="${y}"\n'),
    (grub, b'if [ "${recordfail}" = 1 ]; then\n  set timeout=30\nfi\n'),
    (grub, b"menuentry a {\n\tset timeout=0\n}\nset timeout=3\n"),
    (grub, b"search --set=dev x\nset prefix=($dev)/grub2\nconfigfile $prefix/grub.cfg\n"),
    (legacy, b"timeout 5\ntitle a\n"),
    (legacy, b"# no menu here\n"),
    (loader, b"timeout 3\n"),
    (drives, b"(hd0) /dev/nvme0n1\n(fd0) /dev/fd0\n(hd1)\t/dev/mapper/mpatha\n"),
    (disk, b"#boot=/dev/vda\nboot=/dev/mapper/x\n# boot=/dev/sda\n"),
    (efi, b"menuentry a {\n linuxefi /k\n initrdefi /i\n}\nset linux=16\n"),
    (resume, b"RESUME=UUID=bb\nRESUME=none\n"),
    (bootmenu.env_show_menu, b"not a block menu_auto_hide=1\n"),
    (bootmenu.grub_terminal, b"terminal_input console serial\nterminal_output gfxterm\n# terminal_input serial\n"),
    (bootmenu.default_terminal, b'GRUB_TERMINAL=console\nGRUB_TERMINAL_OUTPUT="gfxterm"\nGRUB_TERMINAL=$x\n'),
    (bootmenu.default_uuid, b"#GRUB_DISABLE_LINUX_UUID=true\nGRUB_DISABLE_UUID=false\n"),
]

CHANGED: list[tuple[Callable[[bytes | None], object], bytes, bytes]] = [
    (grub, b"set timeout=-1\n", b"set timeout=5\n"),
    (grub, b"set timeout='60' # x\n", b"set timeout='5' # x\n"),
    (
        grub,
        b"if true; then\n set timeout_style=hidden\nelse\n set timeout=0\nfi\n",
        b"if true; then\n set timeout_style=menu\nelse\n set timeout=5\nfi\n",
    ),
    (legacy, b"timeout = 0\r\nhiddenmenu\r\ntitle a\r\n", b"timeout = 5\r\n#hiddenmenu\r\ntitle a\r\n"),
    (legacy, b"title a\nkernel /k\n", b"timeout=5\ntitle a\nkernel /k\n"),
    (loader, b"default x", b"default x\ntimeout 5\n"),
    (loader, b"timeout 3\ntimeout menu-force\n", b"timeout 3\ntimeout 5\n"),
    (drives, b"(hd0)\t/dev/sda\n(hd1) /dev/disk/by-id/x\n", b"(hd0)\t/dev/nvme0n1\n(hd1) /dev/nvme1n1\n"),
    (disk, b"#boot=/dev/sda\n", b"#boot=/dev/vda\n"),
    (disk, b"boot=/dev/nvme0n1p1\n", b"boot=/dev/vda1\n"),
    (efi, b"menuentry a {\n\tlinux16 /k x\n\tinitrd16 /i\n}\n", b"menuentry a {\n\tlinuxefi /k x\n\tinitrdefi /i\n}\n"),
    (resume, b"resume device = /dev/sda5\n", b"resume device = /dev/disk/by-uuid/bb\n"),
    (resume, b"RESUME='/dev/sda5'\n", b"RESUME='UUID=bb'\n"),
    (resume, b"RESUME=/dev/sdc1\n", b"RESUME=none\n"),
    (bootmenu.grub_terminal, b"terminal_input serial  \n", b"terminal_input serial console  \n"),
    (bootmenu.legacy_terminal, b"terminal --timeout=8 serial\n", b"terminal --timeout=8 serial console\n"),
    (bootmenu.default_terminal, b"GRUB_TERMINAL='serial'\n", b'GRUB_TERMINAL="serial console"\n'),
    (bootmenu.default_uuid, b"GRUB_DISABLE_UUID=true\n", b"#GRUB_DISABLE_UUID=true\n"),
]


@pytest.mark.parametrize(("op", "src"), NOOP)
def test_what_stays(op: Callable[[bytes | None], object], src: bytes) -> None:
    assert op(src) is src


@pytest.mark.parametrize(("op", "before", "after"), CHANGED)
def test_what_changes(op: Callable[[bytes | None], object], before: bytes, after: bytes) -> None:
    assert op(before) == after
    assert op(after) is after


@pytest.mark.parametrize("op", OPS)
def test_no_file(op: Callable[[bytes | None], object]) -> None:
    assert op(None) is None


def test_disk_names() -> None:
    assert bootmenu.disk_name("xvd", 2) == "/dev/xvdc"
    assert bootmenu.disk_name("", 0) == ""


PIECES = [
    b"set timeout=0\n",
    b"set timeout_style=hidden\n",
    b"if x; then\n",
    b"fi\n",
    b"menuentry a {\n",
    b"}\n",
    b"timeout=0\n",
    b"hiddenmenu\n",
    b"title a\n",
    b"(hd0) /dev/sda\n",
    b"#boot=/dev/sda1\n",
    b"boot=/dev/sdb\n",
    b"terminal_input serial\n",
    b"GRUB_TERMINAL=serial\n",
    b"GRUB_DISABLE_UUID=true\n",
    b"RESUME=/dev/sda5\n",
    b"resume device: /dev/sda5\n",
    b"linux16 /k\n",
    b"'",
    b'"',
    b"\\",
    b"\r\n",
    b"\xff",
    b"timeout menu-hidden\n",
]


@settings(max_examples=200, deadline=None)
@given(st.lists(st.sampled_from(PIECES), max_size=12).map(b"".join) | st.binary(max_size=80))
def test_laws(src: bytes) -> None:
    for op in OPS:
        once = op(src)
        assert isinstance(once, bytes)
        assert op(once) == once
        if once == src:
            assert once is src
