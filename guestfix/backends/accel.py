"""Whether KVM runs a guest here, found out by running one."""

from __future__ import annotations

import os
import subprocess
import time

from guestfix.backends.runfolder import RunFolder, die_with_parent
from guestfix.base import cache

PROBE_SECONDS = 1.0
AGAIN_SECONDS = 3600.0
"""When to look again whether KVM works where it did not: the host may have been busy."""

DONE = {"x86_64": 33, "aarch64": 0}
"""How QEMU ends: by isa-debug-exit, to which the ROM writes 16 (16 * 2 + 1); by PSCI's SYSTEM_OFF."""

_ROM = 0x10000
_CODE = bytes.fromhex(
    "fa31c08ed88ec0bf0010b90018fcf3ab"  # cli; page tables at 0x1000 to 0x3fff are zero
    "66c706001003200000"  # PML4[0] = 0x2003
    "66c706002003300000"  # PDPT[0] = 0x3003
    "66c706003083000000"  # PD[0] = 0x83: the first 2 MiB, as they are
    "66b8001000000f22d8"  # cr3 = 0x1000
    "0f20e06683c8200f22e0"  # cr4 |= PAE
    "66b9800000c00f32660d000100000f30"  # EFER |= LME
    "b800f08ed8660f011690000f20c0660d010000800f22c0"  # lgdt [0x90]; cr0 |= PG | PE
    "66ea6d000f000800"  # jump to 64-bit code, at 0xf006d
    "b9400d0300ff042500800000e2f7"  # 200,000 times: count up in memory
    "b010e6f4f4"  # out 0xf4, 16; hlt
)
_TABLE = bytes.fromhex("000000000000000000000000009a20000f0080000f00")
"""A null and a 64-bit code segment at 0xf0080, and what lgdt takes at 0xf0090."""


_ARM = bytes.fromhex(
    "0100a8d26200a0d2"  # x1 = 0x40000000, where memory begins; x2 = 0x30000
    "230040f963040091230000f9420400f181ffff54"  # x2 times: count up in memory
    "0080b05200018072020000d4"  # PSCI SYSTEM_OFF: hvc with w0 = 0x84000008
    "00000014"  # stay here
)


def rom(arch: str = "x86_64") -> bytes:
    """Return a 64 KiB boot ROM that counts in memory in 64-bit mode, on x86 with paging, and ends QEMU.

    Some nested machines run 16-bit code in KVM, and spin for ever as soon as a kernel switches modes.
    """
    if arch == "aarch64":
        return _ARM.ljust(_ROM, b"\0")
    image = bytearray(_ROM)
    image[: len(_CODE)] = _CODE
    image[0x80 : 0x80 + len(_TABLE)] = _TABLE
    image[0xFFF0:0xFFF5] = bytes.fromhex("ea000000f0")  # the reset vector: jmp f000:0000
    return bytes(image)


def command(program: str, accelerator: str, place: str, arch: str = "x86_64") -> list[str]:
    """Return QEMU's command line that runs the ROM at ``place``."""
    machine, memory = {"x86_64": ("q35", "2"), "aarch64": ("virt", "16")}[arch]
    words = [program, "-nodefaults", "-no-user-config", "-display", "none", "-machine", machine, "-accel", accelerator]
    words += ["-cpu", "host" if accelerator == "kvm" else "max", "-m", memory, "-bios", place]
    return words if arch == "aarch64" else [*words, "-device", "isa-debug-exit,iobase=0xf4,iosize=1"]


def works(program: str) -> tuple[bool, str]:
    """Return what kvm() says of this host's own processor, for a try may take a second.

    What it said is kept until the host starts again or has another QEMU; that it does not work, for an hour.
    """
    if barred := _barred():
        return False, barred
    try:
        with open("/proc/sys/kernel/random/boot_id", encoding="ascii") as stream:
            name = f"kvm-{stream.read().strip()}"
        seen = os.stat(program)
        name += f"-{seen.st_ino:x}-{seen.st_mtime_ns:x}"
    except OSError:
        return _tried(program)
    known = cache.read(name)
    kept = isinstance(known, list) and [type(one) for one in known] == [bool, str, float]
    if kept and (known[0] or 0 <= time.time() - known[2] < AGAIN_SECONDS):
        return known[0], known[1]
    found = _tried(program)
    cache.write(name, [*found, time.time()])
    return found


def _barred() -> str:
    """Return why /dev/kvm can't be opened, empty where it can."""
    if not os.path.exists("/dev/kvm"):
        return "there is no /dev/kvm"
    return "" if os.access("/dev/kvm", os.R_OK | os.W_OK) else "no permission for /dev/kvm"


def _tried(program: str) -> tuple[bool, str]:
    run = RunFolder()
    try:
        return kvm(program, run, os.uname().machine)
    finally:
        run.close()


def kvm(program: str, run: RunFolder, arch: str = "x86_64") -> tuple[bool, str]:
    """Tell whether KVM runs a guest here, and why not: /dev/kvm is no proof, for it may hang in a nested machine."""
    if os.uname().machine != arch:
        return False, f"this machine's processor is no {arch}"
    if arch not in DONE:
        return False, f"whether KVM works is not tried on {arch}"
    if barred := _barred():
        return False, barred
    place = os.memfd_create("guestfix")
    try:
        os.write(place, rom(arch))
        process = subprocess.Popen(
            command(program, "kvm", f"/dev/fd/{place}", arch), stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL, pass_fds=[place], env=run.environment(), start_new_session=True,
            preexec_fn=die_with_parent(),
        )  # fmt: skip
        try:
            status = process.wait(PROBE_SECONDS)
        except subprocess.TimeoutExpired:
            process.kill()
            return False, f"KVM did not run a few 64-bit instructions in {PROBE_SECONDS:.0f} s"
    finally:
        os.close(place)
    return (True, "KVM runs a guest") if status == DONE[arch] else (False, f"QEMU can't use KVM here (status {status})")
