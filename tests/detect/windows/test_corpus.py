"""Facts from real hives, compared with what hivex reads of them."""

from __future__ import annotations

import lzma
import re
import shutil
import subprocess
from pathlib import Path

import pytest

from tests.build.corpus import CORPUS
from tests.build.facts import told
from tests.build.windows import CONFIG, codes, learn, make

HIVES = CORPUS / "hives"
pytestmark = pytest.mark.skipif(not HIVES.is_dir(), reason=f"no corpus of hives at {HIVES}")


def unpacked(name: str) -> bytes:
    return lzma.decompress((HIVES / f"{name}.xz").read_bytes())


def guest(tmp_path: Path, name: str) -> Path:
    return make(tmp_path, files={f"{CONFIG}/SYSTEM": unpacked(name)})


def exported(root: Path, key: str) -> str:
    if shutil.which("hivexregedit") is None:
        pytest.skip("hivexregedit is not installed")
    command = ["hivexregedit", "--unsafe-printable-strings", "--export", f"{root}/{CONFIG}/SYSTEM", key]
    return subprocess.run(command, capture_output=True, check=True).stdout.decode("utf-8", "replace")


@pytest.mark.parametrize("name", ["SYSTEM", "SYSTEM_WIN_10_1709"])
def test_boot_drivers_are_those_that_hivex_sees(tmp_path: Path, name: str) -> None:
    root = guest(tmp_path, name)
    facts, _ = learn(root)
    control = facts.value("windows.control_set")
    expected, key = set(), ""
    for line in exported(root, rf"\{control}\Services").splitlines():
        if line.startswith("["):
            key = re.split(r"\\services\\", line[1:-1], flags=re.IGNORECASE)[-1]
        elif line == '"Start"=dword:00000000' and "\\" not in key:
            expected.add(key)
    found = {one["service"] for one in told(facts, "windows.boot_drivers")}
    assert found == expected
    assert len(found) > 20


def test_windows_7(tmp_path: Path) -> None:
    root = guest(tmp_path, "SYSTEM")
    facts, findings = learn(root)
    assert facts.value("windows.control_sets") == ["ControlSet001", "ControlSet002"]
    assert "GF-WINDOWS-HIVE-DIRTY" not in codes(findings)
    assert facts.value("windows.writable_hives") == ["SYSTEM", "SOFTWARE"]
    assert facts.value("os.language") == "en-US"
    assert facts.value("windows.drive_letters")["C:"].startswith("mbr ")
    nics = exported(root, r"\ControlSet001\Services\Tcpip\Parameters\Interfaces")
    assert len(told(facts, "windows.nics")) == len(re.findall(r"Interfaces\\[^\\\]]+\]", nics))


def test_a_dirty_hive_without_logs_is_read_but_not_writable(tmp_path: Path) -> None:
    facts, findings = learn(guest(tmp_path, "SYSTEM_WIN_10_1709"))
    assert "GF-WINDOWS-HIVE-DIRTY" in codes(findings)
    assert facts.value("windows.writable_hives") == ["SOFTWARE"]
    assert facts.value("windows.control_sets")
    assert {one["service"] for one in told(facts, "windows.storage_drivers")} >= {"storahci", "stornvme"}


def test_a_corrupted_hive_is_a_finding(tmp_path: Path) -> None:
    root = make(tmp_path, files={f"{CONFIG}/SYSTEM": unpacked("corrupted_system_hive")})
    _, findings = learn(root)
    assert codes(findings) & {"GF-WINDOWS-HIVE-DAMAGED", "GF-WINDOWS-HIVE-DIRTY"}


def test_boot_configuration(tmp_path: Path) -> None:
    root = make(tmp_path, files={"Boot/BCD": unpacked("BCD")})
    facts, _ = learn(root)
    assert facts.value("boot.firmware") == "uefi"
    assert facts.value("windows.ems") in (True, False)
