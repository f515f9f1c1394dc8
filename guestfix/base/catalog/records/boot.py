"""Records of boot loaders, kernels and initramfs images."""

from __future__ import annotations

from guestfix.base.record import frozen


@frozen
class MenuEntry:
    """An entry of a boot menu that loads a kernel. ``path`` and ``line`` are where it is loaded.

    ``id`` has the submenus that it lies in before it, as GRUB's ``default`` says it. Texts can be printed.
    """

    id: str
    title: str
    kernel: str
    initrd: tuple[str, ...]
    args: tuple[str, ...]
    loader: str
    path: str
    line: int


@frozen
class BootConfig:
    """A loader's configuration file. ``used``: the firmware's path leads to this one."""

    path: str
    loader: str
    firmware: str
    used: bool


@frozen
class EfiFolder:
    """A folder below EFI on the EFI system partition, with the names of its files."""

    path: str
    files: tuple[str, ...]


@frozen
class ArgumentFile:
    """A file that holds kernel arguments, and in which form."""

    path: str
    form: str


@frozen
class Kernel:
    """One installed kernel, by its release (uname -r); a path is None where that part of it is missing."""

    release: str
    image: str | None
    modules: str | None
    initrd: str | None


@frozen
class NeededModule:
    """A module that the boot needs. ``state``: builtin, present, missing (the guest has it), absent or unknown."""

    module: str
    reason: str
    state: str


@frozen
class BlockedModule:
    """A directive or argument that keeps a module from being loaded. ``inside`` the image, or in the guest."""

    module: str
    path: str
    line: int
    text: str
    inside: bool


@frozen
class InitramfsImage:
    """What is told of one kernel's initramfs: what it holds, and what the boot on the target needs of it.

    ``broken``: the kernel finds nothing to start from, for it is absent, empty or damaged.
    """

    kernel: str
    path: str
    role: str
    generator: str
    hostonly: bool | None
    compression: list[str]
    size: int
    modules: list[str]
    builtin: list[str]
    firmware: int
    support: dict[str, bool]
    needs: list[NeededModule]
    missing: list[str]
    absent: list[str]
    reasons: dict[str, str]
    blacklisted: list[BlockedModule]
    problem: str
    broken: bool
    sealed: str
