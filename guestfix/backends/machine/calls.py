"""Inside the machine: the calls of its kernel for mounts, modules and the end."""

from __future__ import annotations

import ctypes
import os

FINIT_MODULE = {"x86_64": 313, "i686": 350, "ppc64le": 353, "s390x": 344}
"""The number of finit_module(2), where it is not that of the kernel's generic table, which arm64 and riscv64 have."""

_libc = ctypes.CDLL(None, use_errno=True)


def mount(source: str, target: str, kind: str, flags: int = 0, options: str = "") -> None:
    """Mount, creating the folder; OSError where the kernel refuses."""
    os.makedirs(target, exist_ok=True)
    if _libc.mount(source.encode(), target.encode(), kind.encode(), ctypes.c_ulong(flags), options.encode() or None):
        code = ctypes.get_errno()
        raise OSError(code, os.strerror(code), target)


def unmount(target: str) -> None:
    """Unmount; OSError where the kernel refuses."""
    if _libc.umount2(target.encode(), 0):
        code = ctypes.get_errno()
        raise OSError(code, os.strerror(code), target)


def kernel_has(filesystem: str) -> bool:
    """Tell whether the kernel can mount this now."""
    with open("/proc/filesystems", encoding="ascii") as stream:
        return filesystem in stream.read().split()


def sleeps(root: str) -> bool:
    """Tell whether a Windows whose system volume is mounted here left the memory of a session (hiberfil.sys)."""
    for name in os.listdir(root):
        if name.lower() == "hiberfil.sys":
            descriptor = os.open(f"{root}/{name}", os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK)
            try:
                return os.read(descriptor, 4).lower() == b"hibr"
            finally:
                os.close(descriptor)
    return False


def end(*, restart: bool) -> None:
    """Power off, or restart, which ends a machine that may not do that (reboot(2))."""
    _libc.reboot(0x1234567 if restart else 0x4321FEDC)


class Modules:
    """Loads the kernel's modules from a folder with its modules.dep, with what they depend on."""

    def __init__(self, base: str) -> None:
        self.base = base
        self.paths: dict[str, str] = {}
        self.needs: dict[str, list[str]] = {}
        self.loaded: set[str] = set()
        if os.path.exists(f"{self.base}/modules.dep"):
            with open(f"{self.base}/modules.dep", encoding="utf-8") as stream:
                for row in stream:
                    path, _, needs = row.partition(":")
                    name = self._name(path)
                    self.paths[name], self.needs[name] = path, [self._name(one) for one in needs.split()]

    @staticmethod
    def _name(path: str) -> str:
        return os.path.basename(path).partition(".")[0].replace("-", "_")

    def load(self, *names: str) -> None:
        """Load modules; one that isn't there or is built in is passed over."""
        for name in names:
            name = name.replace("-", "_")
            if name in self.loaded or name not in self.paths:
                continue
            self.loaded.add(name)
            self.load(*self.needs[name])
            descriptor = os.open(f"{self.base}/{self.paths[name]}", os.O_RDONLY)
            _libc.syscall(FINIT_MODULE.get(os.uname().machine, 273), descriptor, b"", 0)
            os.close(descriptor)
