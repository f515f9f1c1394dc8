"""The initramfs of a throw-away machine: the host's Python and programs, guestfix's agent, the kernel's modules."""

from __future__ import annotations

import json
import marshal
import os
import subprocess
import sys

from guestfix.backends.machine import agent
from guestfix.backends.packages import install
from guestfix.backends.qemu import shipped
from guestfix.backends.qemu.kernel import Kernel, module_files
from guestfix.backends.qemu.tree import Tree
from guestfix.backends.status import CHECKERS, find_program
from guestfix.backends.volumes.block import DiskError
from guestfix.base.errors import GuestError

MODULES, SETTINGS, AGENT = "/guestfix/modules", "/guestfix/settings", "/guestfix/agent.pyc"
SHIP_SECONDS = 60.0
PACKAGE = os.path.abspath(f"{agent.__file__}/../../../..")
PYTHON = os.path.realpath(sys.executable)


def build(kernel: Kernel, settings: dict[str, object]) -> bytes:
    """Return the archive (newc). The agent is at AGENT, what it is told at SETTINGS.

    GuestError where a file of the host can't be read, or Python's own libraries are not found.
    """
    shipping = subprocess.Popen(
        [PYTHON, "-I", "-S", os.path.abspath(shipped.__file__), PACKAGE],
        stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE,
    )  # fmt: skip
    try:
        tree = Tree()
        tree.program(PYTHON)
        for name, data in module_files(kernel).items():
            tree.put(f"{MODULES}/{name}", data)
        missing, folders = list(tree.missing), []
        for name in CHECKERS:
            place = find_program(name)
            if place is not None and tree.program(place):
                folders.append(os.path.dirname(place))
        made, said = shipping.communicate(timeout=SHIP_SECONDS)
    except BaseException:
        shipping.kill()
        shipping.communicate()
        raise
    if shipping.returncode:
        text = said.decode("utf-8", "replace").strip().rpartition("\n")[2]
        raise DiskError(f"the machine's agent can't be put together: {text}", remedy="install guestfix again")
    if missing:
        what = f"libraries of {PYTHON} are not found on the host: {', '.join(missing)}"
        raise DiskError(what, remedy="run guestfix with the distribution's own Python")
    _python(tree, made)
    told = {**settings, "package": PACKAGE, "modules": MODULES, "path": ":".join(dict.fromkeys([*folders, "/bin"]))}
    tree.put(SETTINGS, json.dumps(told).encode())
    return tree.write()


def _python(tree: Tree, made: bytes) -> None:
    """Add the modules that the agent loads, compiled and without their sources, and Python's extensions."""
    magic, modules = marshal.loads(made)
    for path, code in modules:
        if code is None:
            tree.program(path)
            continue
        data = magic + bytes(12) + code
        tree.put(f"{path.rpartition('.')[0]}.pyc", data)
        if path == os.path.abspath(agent.__file__):
            tree.put(AGENT, data)
    for name in ("/etc/ld.so.cache", *_musl()):
        if os.path.exists(name):
            tree.copy(name)


def _musl() -> list[str]:
    folder = "/etc"
    return [f"{folder}/{one}" for one in os.listdir(folder) if one.startswith("ld-musl-")]


def can_be_built() -> str:
    """Return why no initramfs can be put together here; nothing where it can, as far as a quick look tells."""
    try:
        found = Tree().program(PYTHON)
    except GuestError as error:
        return f"{PYTHON} {error.what}"
    return "" if found else f"{PYTHON} is no ELF program; {install('python3')}"
