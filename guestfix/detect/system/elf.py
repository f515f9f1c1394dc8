"""The architecture of a guest, read from the headers of its programs (elf(5)), never from file names."""

from __future__ import annotations

import struct

from guestfix.base.facts import Evidence
from guestfix.base.guest import GuestFS
from guestfix.detect.files import lines_of, read_head, read_small

PROGRAMS = (
    "/bin/sh",
    "/usr/bin/env",
    "/sbin/init",
    "/usr/lib/systemd/systemd",
    "/lib/systemd/systemd",
    "/bin/bash",
    "/bin/busybox",
    "/bin/ls",
    "/usr/bin/ls",
    "/lib64/ld-linux-x86-64.so.2",
    "/lib/ld-linux.so.2",
    "/lib/ld-linux-aarch64.so.1",
)
"""Programs that every Linux system has at least one of; the first that is an ELF file decides."""

PACKAGES = ("/var/lib/dpkg/arch", "/etc/rpm/platform", "/etc/apk/arch")
"""Where dpkg, rpm and apk keep what they install for, in the first line (dpkg(1), rpm(8), apk(8))."""

_PACKAGED = {
    "amd64": "x86_64", "x86_64": "x86_64", "i386": "i686", "i586": "i686", "i686": "i686", "x86": "i686",
    "arm64": "aarch64", "aarch64": "aarch64", "armhf": "armv7l", "armv7": "armv7l", "ppc64el": "ppc64le",
    "ppc64le": "ppc64le", "s390x": "s390x", "riscv64": "riscv64",
}  # fmt: skip

# e_machine, is 64-bit, is little-endian -> the name that uname(2) reports
_MACHINES = {
    (3, False, True): "i686",
    (62, True, True): "x86_64",
    (62, False, True): "x86_64",
    (40, False, True): "armv7l",
    (183, True, True): "aarch64",
    (20, False, False): "ppc",
    (21, True, False): "ppc64",
    (21, True, True): "ppc64le",
    (22, True, False): "s390x",
    (22, False, False): "s390",
    (243, True, True): "riscv64",
    (258, True, True): "loongarch64",
    (8, False, False): "mips",
    (8, False, True): "mipsel",
    (8, True, True): "mips64el",
    (2, False, False): "sparc",
    (43, True, False): "sparc64",
    (50, True, True): "ia64",
}


def machine_of(header: bytes) -> str | None:
    """Return the architecture that an ELF header names, or None where it is no ELF header."""
    if len(header) < 20 or header[:4] != b"\x7fELF" or header[4] not in (1, 2) or header[5] not in (1, 2):
        return None
    little = header[5] == 1
    (machine,) = struct.unpack_from("<H" if little else ">H", header, 18)
    return _MACHINES.get((machine, header[4] == 2, little), f"elf-machine-{machine}")


def find_arch(guest: GuestFS) -> tuple[str, Evidence] | None:
    """Return the architecture of the guest's programs, else of its packages, and where it was seen, or None."""
    for path in PROGRAMS:
        name = machine_of(read_head(guest, path, 20))
        if name:
            return name, Evidence(path, 0, f"ELF header: {name}")
    for path in PACKAGES:
        said = next(lines_of(read_small(guest, path) or b""), (0, ""))[1]
        name = _PACKAGED.get(said.partition("-")[0])
        if name:
            return name, Evidence(path, 1, said)
    return None
