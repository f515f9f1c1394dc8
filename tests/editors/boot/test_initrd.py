"""An initrd for entries of every loader that load none."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

import pytest

from guestfix.editors.boot.initrd import add

ADDED = [
    (
        "grubcfg",
        2,
        "menuentry a {\n  linux /boot/k ro\n}\n",
        "menuentry a {\n  linux /boot/k ro\n  initrd /boot/i\n}\n",
    ),
    ("grubcfg", 2, "menuentry a {\n\tlinuxefi /k\n}\n", "menuentry a {\n\tlinuxefi /k\n\tinitrdefi /i\n}\n"),
    ("grubcfg", 2, "menuentry a {\r\n linux16 /k\r\n}\r\n", "menuentry a {\r\n linux16 /k\r\n initrd16 /i\r\n}\r\n"),
    ("grubcfg", 1, "menuentry a { linux (hd0,1)/k ro; }\n", "menuentry a { linux (hd0,1)/k ro; initrd (hd0,1)/i; }\n"),
    ("grubcfg", 2, "menuentry a {\n linux /$x/k\n}\n", None),
    ("grubcfg", 3, "menuentry a {\n linux /k\n}\n", None),
    ("bls", 2, "title a\nlinux /id/6.1/linux\n", "title a\nlinux /id/6.1/linux\ninitrd /id/6.1/i\n"),
    ("bls", 1, "linux /k", "linux /k\ninitrd /i\n"),
    ("bls", 1, "title a\nversion 1\nlinux /k\n", "title a\nversion 1\nlinux /k\ninitrd /i\n"),
    ("bls", 1, "title a\n", None),
    ("bls", 1, "linux /k\ninitrd /j\n", None),
    ("grubcfg", 2, "menuentry a {\n  linux /k ro\n  initrd /j\n}\n", None),
    ("menu", 2, "title a\n  kernel (hd0,0)/k ro\n", "title a\n  kernel (hd0,0)/k ro\n  initrd (hd0,0)/i\n"),
    ("syslinux", 1, "LABEL a\n LINUX ../k\n APPEND x\n", "LABEL a\n LINUX ../k\n INITRD ../i\n APPEND x\n"),
    ("syslinux", 2, "LABEL a\nLABEL b\nKERNEL k\n", "LABEL a\nLABEL b\nKERNEL k\nINITRD i\n"),
    ("syslinux", 1, "LABEL a\nLABEL b\nKERNEL k\n", None),
]


@pytest.mark.parametrize(("form", "line", "before", "after"), ADDED)
def test_the_initrd_follows_the_kernel(tmp_path: Path, form: str, line: int, before: str, after: str | None) -> None:
    out = add(before.encode(), form, line, "i")
    assert out == (before if after is None else after).encode()
    if form == "grubcfg" and shutil.which("grub-script-check"):
        (tmp_path / "grub.cfg").write_bytes(out.replace(b"\r", b""))
        subprocess.run(["grub-script-check", str(tmp_path / "grub.cfg")], check=True)


@pytest.mark.parametrize(
    ("form", "line", "src"),
    [
        ("grubcfg", 1, b"menuentry a { linux /k ro; }\n"),
        ("syslinux", 1, b"LABEL a\n\n# why\n\nKERNEL /k\n"),
        ("menu", 2, b"title a\nkernel /k \\\n  ro\n"),
    ],
)
def test_a_second_time_adds_nothing_wherever_the_initrd_stands(form: str, line: int, src: bytes) -> None:
    after = add(src, form, line, "i")
    assert after != src and after.count(b"/i") == 1
    assert add(after, form, line, "i") is after
