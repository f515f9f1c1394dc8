"""What a search command looks for, and which variable gets the device: as a real GRUB (grub-emu) has it."""

from __future__ import annotations

import shutil

import pytest

from guestfix.formats.boot.grubsearch import Search, parse

FORMS = {
    "--fs-uuid --set=root ABCD-1234": Search("fs-uuid", "ABCD-1234", "root"),
    "--no-floppy --fs-uuid --set root ABCD-1234": Search("fs-uuid", "ABCD-1234", "root"),
    "--no-floppy --set boot --label BOOT": Search("label", "BOOT", "boot"),
    "--set oem --part-label OEM --hint hd0,gpt1": Search("part-label", "OEM", "oem"),
    "--label BOOT --set": Search("label", "BOOT", "root"),
    "--file --set /etc/passwd": Search("file", "/etc/passwd", "root"),
    "-nfs foo /etc/passwd": Search("file", "/etc/passwd", "foo"),
    "--hint-bios=hd0,msdos1 --hint 'hd0' -u ABCD": Search("fs-uuid", "ABCD", ""),
    "-l BOOT": Search("label", "BOOT", ""),
    "-u --set=ABCD --hint-efi=hd0": Search("fs-uuid", "ABCD", "root"),
    "": None,
}


@pytest.mark.parametrize("line", FORMS)
def test_forms_of_search(line):
    assert parse("search", line.replace("'", "").split()) == FORMS[line]


@pytest.mark.parametrize(
    "line",
    ["--no-floppy --set foo --file /etc/passwd", "-s foo --file /etc/passwd", "--file --set /etc/passwd",
     "--file /etc/passwd --set", "-nfs foo /etc/passwd", "--file --set=foo /etc/passwd"],
)  # fmt: skip
@pytest.mark.skipif(not shutil.which("grub-emu"), reason="grub-emu is not installed")
def test_a_real_grub_sets_the_same_variable(tmp_path, line):
    from tests.formats.boot.test_grub_emu import real_default

    config = f'set root=\nsearch {line}\nmenuentry x {{ linux "foo=$foo" "root=$root" ; }}\n'
    found = parse("search", line.split())
    assert found is not None and found.value == "/etc/passwd"
    assert f"{found.variable}=host" in real_default(tmp_path, config).split()
