"""Windows guests made of the corpus's hives."""

from __future__ import annotations

from pathlib import Path

from guestfix.formats.windows.regf.store import checksum
from tests.build.windows import pe
from tests.build.windows_payload import inf

RULES = Path(__file__).resolve().parents[2] / "rules"
SEVEN = r"""[Microsoft\Windows NT\CurrentVersion]
"CurrentVersion"="6.1"
"CurrentBuild"="7601"
"EditionID"="Professional"
"""


def payload(root: Path, system: str = "w7") -> str:
    base = root / "payload" / "viostor" / system / "amd64"
    base.mkdir(parents=True)
    (base / "viostor.inf").write_bytes(inf("viostor", "amd64"))
    (base / "viostor.sys").write_bytes(pe())
    (base / "viostor.cat").write_bytes(b"catalogue")
    return str(root / "payload")


TEN = r"""[Microsoft\Windows NT\CurrentVersion]
"CurrentBuild"="18363"
"CurrentMajorVersionNumber"=dword:0000000a
"CurrentMinorVersionNumber"=dword:00000000
"EditionID"="Professional"
"""


def made_clean(data: bytes) -> bytes:
    """The hive with equal sequence numbers, as if its last write had been finished (for a test only)."""
    fixed = bytearray(data)
    fixed[8:12] = fixed[4:8]
    fixed[508:512] = checksum(fixed).to_bytes(4, "little")
    return bytes(fixed)
