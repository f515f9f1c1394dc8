"""What a search command looks for, and which variable gets the device."""

from __future__ import annotations

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
