"""An entry of GRUB Legacy takes its files from another partition, and nothing else of the menu changes."""

from __future__ import annotations

import pytest

from guestfix.editors.boot.legacyroot import set_root

ENTRY = b"title A\n\troot (hd1,0)\n\tkernel /boot/k root=/dev/sda1\n\tinitrd /boot/i\n"
OTHER = b"title B\n root (hd1,0)\n kernel /boot/k2\n"
ROWS = {
    "root": (ENTRY + OTHER, 3, {}, ENTRY.replace(b"hd1,0", b"hd0,0") + OTHER),
    "paths as they lie there": (ENTRY, 3, {"k": "/k", "i": "/i"},
        b"title A\n\troot (hd0,0)\n\tkernel /k root=/dev/sda1\n\tinitrd /i\n"),
    "the second entry": (ENTRY + OTHER, 7, {}, ENTRY + OTHER.replace(b"hd1,0", b"hd0,0")),
    "no root": (b"title A\n\tkernel /k\n", 2, {}, b"title A\n\troot (hd0,0)\n\tkernel /k\n"),
    "the last of several": (b"title A\nroot (hd3,0)\nroot (hd1,0)\nkernel /k\n", 4, {},
        b"title A\nroot (hd3,0)\nroot (hd0,0)\nkernel /k\n"),
    "uuid": (b"title A\n  uuid\tabc\n  kernel /k\n", 3, {}, b"title A\n  root\t\t(hd0,0)\n  kernel /k\n"),
    "an option before the path": (b"title A\nroot (hd1,0)\nkernel --type=linux (hd1,0)/boot/k a\n", 3, {"k": "/k"},
        b"title A\nroot (hd0,0)\nkernel --type=linux /k a\n"),
    "behind Xen": (b"title A\nroot (hd1,0)\nkernel /xen.gz\nmodule /boot/vmlinuz-k a\nmodule /boot/i\n", 4,
        {"vmlinuz-k": "/vmlinuz-k", "i": "/i"},
        b"title A\nroot (hd0,0)\nkernel /xen.gz\nmodule /vmlinuz-k a\nmodule /i\n"),
    "update-grub's own": (b"# groot=(hd1,0)\ntitle A\nroot (hd1,0)\nkernel /k\n", 4, {},
        b"# groot=(hd0,0)\ntitle A\nroot (hd0,0)\nkernel /k\n"),
    "no kernel in that line": (ENTRY, 2, {}, ENTRY),
}  # fmt: skip


@pytest.mark.parametrize("name", ROWS)
def test_set_root(name):
    src, line, paths, wanted = ROWS[name]
    assert set_root(src, line, (0, 1), paths) == wanted
    assert set_root(wanted, line if wanted.count(b"\n") == src.count(b"\n") else line + 1, (0, 1), paths) == wanted


def test_a_whole_disk_has_no_partition():
    assert b"root (hd2)\n" in set_root(ENTRY, 3, (2, 0), {}).replace(b"\t", b"")
