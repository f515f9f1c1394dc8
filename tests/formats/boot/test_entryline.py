"""An entry is found again after lines were put in above it, whatever its loader."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from guestfix.formats.boot.entryline import lines_of, moved

MENUS = {
    "grub2": b"set a=1\nmenuentry 'A' {\n\tlinux /a x\n}\nmenuentry 'B' {\n\tlinux /b y\n}\n"
    b"submenu s {\n menuentry 'C' { linux16 /c z; }\n}\n",
    "grub-legacy": b"default=0\ntitle A\nroot (hd0,0)\nkernel /a x\ntitle B\nroot (hd0,0)\nkernel /b y\n"
    b"title C\nkernel /c z\n",
    "extlinux": b"DEFAULT a\nLABEL a\n KERNEL a\nLABEL b\n KERNEL b\nLABEL c\n KERNEL c\n",
}
COMMENTS = st.lists(st.sampled_from([b"# note\n", b"\n", b"#\n"]), max_size=4)


@pytest.mark.parametrize("loader", MENUS)
@given(more=st.lists(COMMENTS, min_size=20, max_size=20))
def test_lines_that_are_put_in_move_every_entry(loader, more):
    before = MENUS[loader]
    rows = before.splitlines(keepends=True)
    after = b"".join(b"".join(extra) + row for row, extra in zip(rows, more, strict=False))
    for number, text in lines_of(before, loader):
        found = moved(before, after, loader, number)
        assert (found, text) in lines_of(after, loader)
        assert after.splitlines()[found - 1] == before.splitlines()[number - 1]


@pytest.mark.parametrize("loader", MENUS)
def test_what_is_no_entry_has_no_line(loader):
    assert moved(MENUS[loader], MENUS[loader] + b"#\n", loader, 1) == 0
    assert moved(b"", MENUS[loader], loader, 3) == 0


def test_an_entry_that_went_is_told_by_its_kernel():
    before = MENUS["grub-legacy"]
    after = before.replace(b"title A\nroot (hd0,0)\nkernel /a x\n", b"")
    assert moved(before, after, "grub-legacy", 7) == 4
    assert moved(before, after, "grub-legacy", 4) == 0
