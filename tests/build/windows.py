"""Windows guests for tests, built from registry text."""

from __future__ import annotations

import struct
from collections.abc import Mapping
from pathlib import Path

from guestfix.backends.directory import DirectoryGuest
from guestfix.base.catalog.findings import RENAMED
from guestfix.base.catalog.findings.windows import WINDOWS
from guestfix.base.facts import Facts, Finding
from guestfix.base.guest import Disks
from guestfix.base.record import replace
from guestfix.formats.windows.regf import Hive, empty_hive
from guestfix.formats.windows.regf.regtext import HEADER, apply
from guestfix.pack.cache import load_pack
from guestfix.pack.model import Target
from tests.build.detection import detect_all

CONFIG = "Windows/System32/config"
KVM = Target("kvm-virtio", "KVM", windows_drivers={"storage": ("viostor",), "network": ()})

SELECT = """
[Select]
"Current"=dword:00000001
"Default"=dword:00000001
"Failed"=dword:00000000
"LastKnownGood"=dword:00000002
[ControlSet001]
[ControlSet002]
"""


def hive(text: str, name: str = "") -> bytes:
    """A hive that holds what the registry text says."""
    made = Hive.open(empty_hive(name))
    apply(made, f"{HEADER}\n\n{text}\n")
    return made.to_bytes()


def pe(machine: int = 0x8664) -> bytes:
    return b"MZ".ljust(0x3C, b"\0") + struct.pack("<I", 0x40) + b"PE\0\0" + struct.pack("<H", machine)


def make(root: Path, system: str = "", software: str = "", files: Mapping[str, bytes] | None = None) -> Path:
    """Make a guest's tree; system and software are registry texts (SELECT is put before the first)."""
    content = {
        f"{CONFIG}/SYSTEM": hive(SELECT + system, "SYSTEM"),
        f"{CONFIG}/SOFTWARE": hive(software, "SOFTWARE"),
        "Windows/System32/ntoskrnl.exe": pe(),
        **(files or {}),
    }
    for name, data in content.items():
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_bytes(data)
    return root


def learn(root: Path, target: Target = KVM, disks: Disks | None = None) -> tuple[Facts, list[Finding]]:
    facts, pack = Facts(), load_pack()
    target = replace(target, tables=pack.tables)
    return facts, detect_all(DirectoryGuest(str(root), disks), facts, target, pack.systems)


def codes(findings: list[Finding]) -> set[str]:
    """Return the codes that only Windows has, or once had in a name of its own."""
    own = {*WINDOWS, *(new for old, new in RENAMED.items() if old.startswith("GF-WINDOWS"))}
    return {finding.code for finding in findings if finding.code in own}
