"""The programs of the field that tests compare with; each skips with a reason where it isn't installed."""

from __future__ import annotations

import os
import shutil
import subprocess
from pathlib import Path

import pytest

COMMANDS = {
    "gzip": ["gzip", "-n", "-6"],
    "bzip2": ["bzip2"],
    "xz": ["xz", "--check=crc32", "-0"],
    "lzma": ["xz", "--format=lzma", "-0"],
    "lzo": ["lzop", "-9"],
    "lz4": ["lz4", "-l", "-c"],
    "zstd": ["zstd", "-q", "-1", "-c"],
}
"""How mkinitramfs(8) and dracut(8) call each compressor."""

SYSTEM_PATH = "/usr/sbin:/usr/bin:/sbin:/bin"


def need(*programs: str) -> None:
    """Skip the test unless all of these are installed."""
    for name in programs:
        if shutil.which(name, path=f"{os.environ.get('PATH', '')}:{SYSTEM_PATH}") is None:
            pytest.skip(f"{name} is not installed")


def run(*command: str, data: bytes = b"", cwd: Path | None = None, check: bool = True) -> bytes:
    """Run a program and return what it printed; its errors are part of the failure."""
    env = {**os.environ, "PATH": f"{os.environ.get('PATH', '')}:{SYSTEM_PATH}", "LC_ALL": "C"}
    done = subprocess.run(command, input=data, capture_output=True, cwd=cwd, env=env, check=False)
    assert not check or done.returncode == 0, (command, done.returncode, done.stderr[-500:])
    return done.stdout


def pack(kind: str, data: bytes) -> bytes:
    """Compress with the program that generators call."""
    if kind == "none":
        return data
    need(COMMANDS[kind][0])
    return run(*COMMANDS[kind], data=data)


def unpack(kind: str, data: bytes) -> bytes:
    """Decompress with the field's own program."""
    if kind == "none":
        return data
    command = {"lzma": "xz", "lzo": "lzop"}.get(kind, kind)
    need(command)
    return run(command, "-dc", *(["--format=lzma"] if kind == "lzma" else []), data=data)


def tool_archive(tree: Path) -> bytes:
    """Return the newc archive that cpio(1) makes of a tree."""
    need("cpio", "find")
    names = run("find", ".", cwd=tree)
    ordered = b"\n".join(sorted(names.splitlines())) + b"\n"
    return run("cpio", "--quiet", "-o", "-H", "newc", data=ordered, cwd=tree)


def extract(archives: bytes, into: Path) -> None:
    """Unpack concatenated archives one after the other with cpio(1), as the kernel does."""
    need("cpio")
    into.mkdir(parents=True, exist_ok=True)
    whole = into.parent / f"{into.name}.cpio"
    whole.write_bytes(archives)
    with whole.open("rb", buffering=0) as stream:
        while archives[os.lseek(stream.fileno(), 0, os.SEEK_CUR) :].strip(b"\0"):
            done = subprocess.run(
                ["cpio", "-idmu", "--quiet", "--no-absolute-filenames"],
                stdin=stream,
                cwd=into,
                check=False,
                capture_output=True,
            )
            assert done.returncode == 0, done.stderr[-500:]
