"""Hives as whole processes: a small edit against `python -c pass`, an export against `hivexregedit --export`."""

import lzma
import os
import shutil
import struct
import subprocess
import sys
import tempfile
from pathlib import Path

from measure import PASS, Table, in_turn

ROOT = Path(__file__).resolve().parents[2]
CORPUS = ROOT.parent / "shared" / "corpus" / "hives" / "SYSTEM_WIN_10_1709.xz"
EDIT = [sys.executable, str(Path(__file__).with_name("registry_edit.py"))]
GUESTFIX = [sys.executable, "-m", "guestfix"]


def real_hive() -> bytes:
    """Return a real 15 MB SYSTEM hive, marked clean, since its logs are missing."""
    data = bytearray(lzma.decompress(CORPUS.read_bytes()))
    data[4:8] = data[8:12]
    total = 0
    for (word,) in struct.iter_unpack("<I", data[:508]):
        total ^= word
    struct.pack_into("<I", data, 508, total)
    return bytes(data)


def made_hive() -> bytes:
    """Return a hive of 15 MB with the shape of a SYSTEM hive."""
    from guestfix.formats.windows.regf import REG_BINARY, REG_DWORD, REG_SZ, Hive, empty_hive

    hive = Hive.open(empty_hive("SYSTEM"))
    for number in range(25_000):
        path = f"ControlSet00{number % 2 + 1}\\Services\\s{number // 50}\\k{number}"
        hive.set_value(path, "Start", REG_DWORD, number)
        hive.set_value(path, "ImagePath", REG_SZ, f"system32\\drivers\\{number}.sys")
        hive.set_value(path, "Data", REG_BINARY, bytes(250))
    for name in ["atapi", "pciide", "disk", "partmgr", "volmgr", "msahci", "Tcpip", "NDIS", "CLFS", "fvevol"]:
        hive.set_value(f"ControlSet001\\Services\\{name}", "Start", REG_DWORD, 0)
    return hive.to_bytes()


def main() -> int:
    table = Table()
    os.environ["PYTHONPATH"] = str(ROOT)
    with tempfile.TemporaryDirectory() as scratch:
        os.environ |= {"PYTHONDONTWRITEBYTECODE": "", "PYTHONPYCACHEPREFIX": str(Path(scratch) / "cache")}
        hive = Path(scratch) / "SYSTEM"
        # made by a process of its own: this one's memory would count as that of the processes it starts
        subprocess.run([sys.executable, __file__, str(hive)], check=True)
        size = hive.stat().st_size / 2**20
        commands = {
            "pass": PASS,
            "edit": [*EDIT, str(hive), str(Path(scratch) / "out")],
            "export": [*GUESTFIX, "registry", "export", str(hive)],
        }
        hivexregedit = shutil.which("hivexregedit")
        if hivexregedit:
            commands["hivex"] = [hivexregedit, "--export", str(hive), "\\"]
        found = in_turn(commands)
    base = found["pass"].median
    table.note(f"hive: {size:.1f} MB; python -c pass: {base * 1000:.1f} ms; export: {found['export'].median:.2f} s")
    table.row("hive: open, read 20 values, set 5, write", found["edit"].median / base, 10)
    if hivexregedit:
        table.row("registry export / hivexregedit --export", found["export"].median / found["hivex"].median, 1)
    else:
        table.note("hivexregedit is not installed: export is not compared")
    table.row("peak memory of export / size of the hive", found["export"].peak_kib / 1024 / size, 3)
    return table.status()


if __name__ == "__main__":
    if len(sys.argv) > 1:
        Path(sys.argv[1]).write_bytes(real_hive() if CORPUS.is_file() else made_hive())
    else:
        sys.exit(main())
