"""Independent readers of hives. Each test that needs one skips, and says so, where it isn't installed."""

from __future__ import annotations

import functools
import json
import lzma
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from guestfix.formats.windows.regf import Hive
from guestfix.formats.windows.regf.walk import walk
from tests.build.corpus import CORPUS

Listing = list[tuple[str, list[tuple[str, int, str]]]]
"""Every key: its path, and its values as name, type and data in hex; in the hive's order."""

SERVED = Path(__file__).with_name("hivex_dump.py")


def corpus_hive(name: str) -> bytes:
    path = CORPUS / "hives" / f"{name}.xz"
    if not path.is_file():
        pytest.skip(f"no corpus hive at {path}")
    return lzma.decompress(path.read_bytes())


def listing(hive: Hive) -> Listing:
    return [
        (place, [(value.name, value.type, value.data.hex()) for value in key.values()])
        for place, key in walk(hive.root)
    ]


class Hivex:
    """hivex in a process of its own, since its Python module belongs to the system's interpreter."""

    def __init__(self, python: str) -> None:
        self._process = subprocess.Popen(
            [python, str(SERVED)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
        )

    def read(self, data: bytes) -> Listing:
        assert self._process.stdin and self._process.stdout
        with tempfile.NamedTemporaryFile(suffix=".hive") as file:
            file.write(data)
            file.flush()
            self._process.stdin.write(file.name + "\n")
            self._process.stdin.flush()
            found: Any = json.loads(self._process.stdout.readline())
        if isinstance(found, str):
            raise RuntimeError(found)
        return [(place, [(name, kind, raw) for name, kind, raw in values]) for place, values in found]


def _has_hivex(python: str) -> bool:
    return subprocess.run([python, "-c", "import hivex"], capture_output=True, check=False).returncode == 0


@functools.cache
def hivex() -> Hivex:
    for python in (sys.executable, "/usr/bin/python3", shutil.which("python3") or ""):
        if python and Path(python).exists() and _has_hivex(python):
            return Hivex(python)
    pytest.skip("no Python with the hivex module is installed")


def tool(name: str) -> str:
    found = shutil.which(name) or shutil.which(name, path="/usr/sbin:/sbin")
    if found is None:
        pytest.skip(f"{name} is not installed")
    return found


def python_registry(path: Path) -> Iterator[tuple[str, list[tuple[str, int, str]]]]:
    """Read a hive with the package python-registry."""
    registry = pytest.importorskip("Registry.Registry", reason="python-registry is not installed")
    pending = [("", registry.Registry(str(path)).root())]
    while pending:
        place, key = pending.pop()
        values = [
            ("" if value.name() == "(default)" else value.name(), value.value_type(), value.raw_data().hex())
            for value in key.values()
        ]
        yield place, values
        children = [(f"{place}\\{child.name()}" if place else child.name(), child) for child in key.subkeys()]
        pending += reversed(children)
