"""F54: programs that Windows keeps packed (CompactOS) are there, although their content can't be read."""

from __future__ import annotations

import errno
import os
from pathlib import Path

import pytest

from guestfix.backends.damage import unreadable
from guestfix.backends.directory import DirectoryGuest
from guestfix.base.errors import Packed, Unreadable
from guestfix.formats.windows.files import has_program, is_packed, program_head
from guestfix.pack.cache import load_pack
from guestfix.plan.planner import Options, make_plan
from tests.build.facts import told
from tests.build.windows import codes, learn, make, pe
from tests.build.windows_corpus import RULES, TEN, payload
from tests.build.windows_payload import linked
from tests.build.windows_texts import service

LINK = "unsupported reparse tag 0x80000017"
DRIVERS = "Windows/System32/drivers"


def as_ntfs3g_shows(root: Path, *names: str) -> Path:
    for name in names:
        place = root / name
        place.parent.mkdir(parents=True, exist_ok=True)
        place.unlink(missing_ok=True)
        place.symlink_to(LINK)
    return root


def test_what_ntfs3g_shows_is_there_and_packed(tmp_path: Path) -> None:
    guest = DirectoryGuest(str(as_ntfs3g_shows(make(tmp_path), f"{DRIVERS}/stornvme.sys")))
    path = f"/{DRIVERS}/stornvme.sys"
    assert is_packed(guest, path) and has_program(guest, path)
    assert program_head(guest, path) == (b"", True)
    assert not has_program(guest, f"/{DRIVERS}/none.sys") and program_head(guest, "/none") == (b"", False)


def test_a_dangling_link_is_no_program(tmp_path: Path) -> None:
    root = make(tmp_path)
    (root / "Windows/away.sys").symlink_to("/nowhere")
    assert not has_program(DirectoryGuest(str(root)), "/Windows/away.sys")


@pytest.mark.parametrize(
    ("head", "expected"), [(bytes(600), True), (b"", False), (pe(), False), (bytes(100) + b"x", False)]
)
def test_what_reads_as_zeros(tmp_path: Path, head: bytes, expected: bool) -> None:
    root = make(tmp_path, files={"Windows/System32/ntoskrnl.exe": head})
    assert program_head(DirectoryGuest(str(root)), "/Windows/System32/ntoskrnl.exe")[1] is expected


@pytest.mark.parametrize(
    ("error", "expected"),
    [
        (unreadable(OSError(errno.EOPNOTSUPP, os.strerror(errno.EOPNOTSUPP)), "/x"), True),
        (OSError(errno.EOPNOTSUPP, os.strerror(errno.EOPNOTSUPP)), True),
        (Packed("whatever it says"), True),
        (unreadable(OSError(errno.EACCES, os.strerror(errno.EACCES)), "/x"), False),
        (Unreadable("a file whose name is reparse point"), False),
    ],
)
def test_what_the_host_refuses_to_read(tmp_path: Path, error: Exception, expected: bool) -> None:
    class Refusing(DirectoryGuest):
        def open(self, path: str):
            raise error

    assert program_head(Refusing(str(make(tmp_path))), "/Windows/System32/ntoskrnl.exe") == (b"", expected)


def test_facts_and_one_finding(tmp_path: Path) -> None:
    text = '[Setup]\n"Compact"=dword:1\n' + service("stornvme", 0)
    root = as_ntfs3g_shows(make(tmp_path, text, TEN), f"{DRIVERS}/stornvme.sys", "Windows/System32/ntoskrnl.exe")
    facts, findings = learn(root)
    assert facts.value("windows.compact_os") is True
    assert facts.value("windows.packed_files") == [f"/{DRIVERS}/stornvme.sys", "/Windows/System32/ntoskrnl.exe"]
    assert [one["present"] for one in told(facts, "windows.boot_drivers")] == [True]
    assert [one.severity for one in findings if one.code == "GF-WINDOWS-COMPACT"] == ["warning"]
    assert "GF-WINDOWS-BOOT-DRIVER-MISSING" not in codes(findings)
    _, findings = learn(make(tmp_path / "b", text, TEN, {f"{DRIVERS}/stornvme.sys": pe()}))
    assert [one.severity for one in findings if one.code == "GF-WINDOWS-COMPACT"] == ["info"]


def test_a_packed_driver_is_started_and_never_rewritten(tmp_path: Path) -> None:
    root = make(tmp_path / "g", service("viostor", 3) + "[DriverDatabase]\n", TEN)
    as_ntfs3g_shows(root, f"{DRIVERS}/viostor.sys")
    pack, host = load_pack(RULES), DirectoryGuest(str(root))
    plan = make_plan(host, pack, "kvm-virtio", Options(("windows/storage-drivers",)))
    assert "GF-WINDOWS-STORAGE-DRIVER" not in codes(list(plan.findings))
    assert [one.path for one in plan.changes] == ["/Windows/System32/config/SYSTEM"]
    extra = {"payload.dir": payload(tmp_path, "w10")}
    plan = make_plan(host, pack, "kvm-virtio", Options(("windows/*",), extra=extra))
    assert [one.path for one in plan.changes if "System32/drivers" in one.path] == []


@pytest.mark.parametrize("packed", [(), ("Windows/System32/ntoskrnl.exe", "Windows/System32/storport.sys")])
def test_a_library_that_is_lacking_is_told_beside_packed_files_too(tmp_path: Path, packed: tuple[str, ...]) -> None:
    text = (
        '[ControlSet001\\Control\\Session Manager\\Environment]\n"PROCESSOR_ARCHITECTURE"="AMD64"\n[DriverDatabase]\n'
    )
    root = as_ntfs3g_shows(make(tmp_path / "g", text, TEN), *packed)
    extra = {"payload.dir": payload(tmp_path, "w10")}
    driver = linked("ntoskrnl.exe", "storport.sys", "vendor.sys", wide=True)
    (tmp_path / "payload/viostor/w10/amd64/viostor.sys").write_bytes(driver)
    plan = make_plan(DirectoryGuest(str(root)), load_pack(RULES), "kvm-virtio", Options(("windows/*",), extra=extra))
    told = {one.code: one.summary for one in plan.findings}["GF-WINDOWS-DRIVER-LIBRARY"]
    assert ("vendor.sys" in told) and ("storport.sys" in told) is not bool(packed)


def test_names_are_found_whatever_their_case(tmp_path: Path) -> None:
    root = make(
        tmp_path, files={"Windows/System32/drivers/ÄÖ.sys": b"1", "Windows/Straße": b"2", "Windows/STRASSE": b"3"}
    )
    guest = DirectoryGuest(str(root))
    assert guest.read("/WINDOWS/system32/DRIVERS/äö.SYS") == b"1"
    assert guest.read("/windows/STRAßE") == b"2"
    assert guest.read("/windows/strasse") == b"3"
    assert guest.stat("/windows/ſtrasse") is None
    assert guest.realpath("/windows/system32/drivers/äö.sys") == "/Windows/System32/drivers/ÄÖ.sys"
    assert guest.stat("/windows/none") is None
