"""The few calls of the libguestfs API that guestfix uses, through the program guestfish where its binding is absent.

guestfish runs as a server (``--listen``) and each call is one client of it, so no text has to be quoted. The server
is nobody's child; the mark in the environment that it is started with is how its run's keeper finds it.
"""

from __future__ import annotations

import contextlib
import os
import re
import subprocess
import tempfile
from typing import Any

from guestfix.backends.status import find_program
from guestfix.backends.volumes.block import DiskError
from guestfix.base import stopping
from guestfix.base.patterns import regex

LOOK_SECONDS = 0.2
"""How often to look, during a call, whether somebody wishes to stop."""

_LISTS = ("ls", "readlinklist", "list_devices", "list_md_devices", "lvs", "list_partitions")
_STRUCTS = ("lstatns", "statvfs", "md_detail")
_STRUCT_LISTS = ("lstatnslist", "lgetxattrs", "btrfs_subvolume_list")
_NUMBERS = ("max_disks", "blockdev_getsize64", "btrfs_subvolume_get_default")
_BYTES = ("lgetxattr", "pread_device")
_STRUCT = regex(r"^\[\d+\] = \{\n(.*?)^\}$", re.M | re.S)
_FIELD = regex(r"^\s*(\w+): (.*)$", re.M)


class Fish:
    """Calls become methods, as in the Python binding: ``fish.mount_ro(device, path)``. RuntimeError where one fails."""

    def __init__(self) -> None:
        program = find_program("guestfish")
        if program is None:
            raise DiskError("neither the guestfs Python binding nor guestfish is here", remedy="guestfix backends")
        self._program = program
        self._gone = False
        self._errors = tempfile.TemporaryFile("w+b")  # noqa: SIM115 - lives as long as the server
        done = subprocess.run(
            [program, "--listen"], stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=self._errors, check=False
        )
        match = re.search(rb"GUESTFISH_PID=(\d+)", done.stdout)
        if match is None:
            raise DiskError("guestfish does not start")
        self.pid = int(match[1])

    def __getattr__(self, name: str) -> object:
        if name.startswith("_"):
            raise AttributeError(name)
        return lambda *args, **options: self._call({"launch": "run"}.get(name, name), args, options)

    def lstatnslist(self, folder: str, names: list[str]) -> list[dict[str, object]]:
        """See the API; names that guestfish's lists can't hold are asked for one by one."""
        plain = [name for name in names if "'" not in name]
        found = dict(zip(plain, self._call("lstatnslist", (folder, plain), {}), strict=True))
        rest = {name: self._call("lstatns", (f"{folder}/{name}",), {}) for name in names if "'" in name}
        return [{**found, **rest}[name] for name in names]

    def readlinklist(self, folder: str, names: list[str]) -> list[str]:
        """See the API; names that guestfish's lists can't hold are asked for one by one."""
        plain = [name for name in names if "'" not in name]
        found = dict(zip(plain, self._call("readlinklist", (folder, plain), {}), strict=True))
        rest = {name: self._call("readlink", (f"{folder}/{name}",), {}) for name in names if "'" in name}
        return [{**found, **rest}[name] for name in names]

    def _call(self, name: str, args: tuple[object, ...], options: dict[str, object]) -> Any:
        words = [word for arg in args for word in (arg if name == "debug" and isinstance(arg, list) else [_word(arg)])]
        words += [f"{key}:{_word(value)}" for key, value in options.items()]
        start = os.fstat(self._errors.fileno()).st_size
        command = [self._program, f"--remote={self.pid}", "--", "-" + name.replace("_", "-"), *words]
        done = self._answer(command)
        self._errors.seek(start)
        said = (self._errors.read() + done.stderr).decode("utf-8", "replace")
        errors = [line for line in said.splitlines() if line.startswith(("libguestfs: error", "guestfish: "))]
        if errors or done.returncode:
            raise RuntimeError(errors[0].removeprefix("libguestfs: error: ") if errors else said.strip()[:300])
        return _value(name, done.stdout)

    def _answer(self, command: list[str]) -> subprocess.CompletedProcess[bytes]:
        """Wait for one call's answer. Raises Stopped where that is wished; the server is of no use then."""
        with subprocess.Popen(
            command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE, start_new_session=True
        ) as process:
            try:
                while True:
                    stopping.check()
                    with contextlib.suppress(subprocess.TimeoutExpired):
                        out, errors = process.communicate(timeout=LOOK_SECONDS)
                        return subprocess.CompletedProcess(command, process.returncode, out, errors)
            except BaseException:
                self._gone = True
                process.kill()
                raise

    def close(self) -> None:
        """End the server and the appliance. What is still busy is left to the end of the run, which kills it."""
        if self._gone:
            return
        with contextlib.suppress(RuntimeError, OSError):
            self._call("exit", (), {})


def _word(value: object) -> str:
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, list):
        return " ".join(f"'{one}'" for one in value)
    return str(value)


def _value(name: str, raw: bytes) -> object:
    if name in _BYTES:
        return raw
    text = raw.decode("utf-8", "surrogateescape")
    if name in _LISTS:
        return text.splitlines()
    if name in _NUMBERS:
        return int(text)
    if name in _STRUCTS:
        return _fields(text)
    if name in _STRUCT_LISTS:
        return [_fields(match[1]) for match in _STRUCT.finditer(text)]
    return text.rstrip("\n")


def _fields(text: str) -> dict[str, object]:
    return {m[1]: int(m[2]) if m[2].lstrip("-").isdecimal() else m[2] for m in _FIELD.finditer(text)}
