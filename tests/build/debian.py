"""A real Debian root made by debootstrap, cached outside the repository and copied for each test."""

from __future__ import annotations

import os
import shutil
import subprocess
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import pytest

INCLUDE = ",".join(
    ("linux-image-amd64", "initramfs-tools", "openssh-server", "ifupdown", "isc-dhcp-client", "systemd-sysv", "udev")
)


def cache_folder() -> Path:
    """Return the folder for what tests build once: outside the repository, kept between runs."""
    base = os.environ.get("GUESTFIX_TEST_CACHE") or os.path.join(
        os.environ.get("XDG_CACHE_HOME") or os.path.expanduser("~/.cache"), "guestfix-tests"
    )
    folder = Path(base)
    folder.mkdir(parents=True, exist_ok=True)
    return folder


def mirror() -> str:
    """Return the Debian mirror that this machine's own apt uses."""
    wanted = ["apt-get", "indextargets", "--format", "$(ORIGIN) $(LABEL) $(REPO_URI)"]
    done = subprocess.run(wanted, capture_output=True, text=True, check=False)
    for line in done.stdout.splitlines():
        origin, label, uri = [*line.split(" ", 2), "", ""][:3]
        if (origin, label) == ("Debian", "Debian") and uri:
            return uri
    pytest.skip("apt names no Debian mirror here, so debootstrap has nothing to take a guest from")


ARM_PACKAGES = INCLUDE.replace("amd64", "arm64").split(",")
ARM_INCLUDE = ",".join(["grub-efi-arm64-bin", *ARM_PACKAGES[2:]])
BINFMT = Path("/proc/sys/fs/binfmt_misc")
_ARM_PROGRAMS = (
    r":guestfix-arm64:M::\x7fELF\x02\x01\x01\x00\x00\x00\x00\x00\x00\x00\x00\x00\x02\x00\xb7\x00"
    r":\xff\xff\xff\xff\xff\xff\xff\x00\xff\xff\xff\xff\xff\xff\xff\xff\xfe\xff\xff\xff:/usr/bin/qemu-aarch64-static:F"
)
"""What the kernel is told of programs for arm64 (Documentation/admin-guide/binfmt-misc.rst)."""


@contextmanager
def arm_programs() -> Iterator[None]:
    """Have this machine run programs for arm64 by QEMU while this lasts; skips where it can't."""
    if not Path("/usr/bin/qemu-aarch64-static").exists():
        pytest.skip("qemu-user-static is not installed")
    if not (BINFMT / "register").exists():
        subprocess.run(["mount", "-t", "binfmt_misc", "binfmt_misc", str(BINFMT)], check=False, capture_output=True)
    if not (BINFMT / "register").exists():
        pytest.skip("this kernel has no binfmt_misc, which a guest for arm64 is made by")
    if any("aarch64" in one.name or "arm64" in one.name for one in BINFMT.iterdir()):
        yield
        return
    (BINFMT / "register").write_text(_ARM_PROGRAMS)
    try:
        yield
    finally:
        (BINFMT / "guestfix-arm64").write_text("-1")


def arm_root() -> Path:
    """Return a tar file of a Debian root for arm64, whose initramfs has the driver of NVMe and no other disk's.

    The kernel comes last: emulated, an initramfs with all drivers takes half an hour.
    """
    tar = cache_folder() / f"debian-bookworm-arm64-{abs(hash_of(ARM_INCLUDE)):08x}-nvme.tar"
    if tar.exists():
        return tar
    with arm_programs():
        root = unpack(debootstrap(include=ARM_INCLUDE, arch="arm64"), tar.with_suffix(".work"))
        settings = root / "etc/initramfs-tools"
        (settings / "conf.d").mkdir(parents=True)
        (settings / "conf.d/guestfix").write_text("MODULES=list\n")
        (settings / "modules").write_text("nvme\n")
        words = ["apt-get", "install", "-y", "--no-install-recommends", "-o", "Dpkg::Options::=--force-confold"]
        done = subprocess.run(
            ["chroot", str(root), "env", "DEBIAN_FRONTEND=noninteractive", *words, *ARM_PACKAGES[:2]],
            capture_output=True, text=True, check=False,
        )  # fmt: skip
    if done.returncode:
        pytest.skip(f"a kernel for arm64 can't be installed here: {done.stderr[-300:]}")
    subprocess.run(["tar", "-C", str(root), "--xattrs", "-cf", f"{tar}.new", "."], check=True)
    os.replace(f"{tar}.new", tar)
    shutil.rmtree(root, ignore_errors=True)
    return tar


def debootstrap(suite: str = "bookworm", include: str = INCLUDE, arch: str = "") -> Path:
    """Return a tar file of a Debian root, for another processor where one is named; skips where it can't be made."""
    tar = cache_folder() / f"debian-{suite}{arch and '-' + arch}-{abs(hash_of(include)):08x}.tar"
    if tar.exists():
        return tar
    if os.geteuid() != 0:
        pytest.skip("debootstrap needs root")
    if shutil.which("debootstrap") is None:
        pytest.skip("debootstrap is not installed")
    work = tar.with_suffix(".work")
    shutil.rmtree(work, ignore_errors=True)
    foreign = [f"--arch={arch}"] if arch else []
    command = ["debootstrap", "--variant=minbase", *foreign, f"--include={include}", suite, str(work), mirror()]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode:
        pytest.skip(f"debootstrap failed here: {done.stdout[-300:]}")
    subprocess.run(["tar", "-C", str(work), "--xattrs", "-cf", f"{tar}.new", "."], check=True)
    os.replace(f"{tar}.new", tar)
    shutil.rmtree(work, ignore_errors=True)
    return tar


def with_packages(packages: Sequence[str]) -> Path:
    """Return a tar file of a Debian root that has these packages besides, which the guest's own apt installs."""
    tar = cache_folder() / f"debian-with-{abs(hash_of(' '.join(packages))):08x}.tar"
    if tar.exists():
        return tar
    root = tar.with_suffix(".work")
    shutil.rmtree(root, ignore_errors=True)
    unpack(debootstrap(), root)
    shutil.copy("/etc/resolv.conf", root / "etc/resolv.conf")
    quiet = {**os.environ, "DEBIAN_FRONTEND": "noninteractive", "LC_ALL": "C"}
    for words in (("update",), ("install", "-y", "--no-install-recommends", *packages), ("clean",)):
        command = ["chroot", str(root), "apt-get", "-q", *words]
        with nothing_starts(root):
            done = subprocess.run(command, capture_output=True, text=True, check=False, env=quiet)
        if done.returncode:
            pytest.skip(f"apt-get failed here: {(done.stderr or done.stdout)[-300:]}")
    (root / "etc/resolv.conf").unlink()
    subprocess.run(["tar", "-C", str(root), "--xattrs", "-cf", f"{tar}.new", "."], check=True)
    os.replace(f"{tar}.new", tar)
    shutil.rmtree(root, ignore_errors=True)
    return tar


@contextmanager
def nothing_starts(root: Path) -> Iterator[None]:
    """Keep packages from starting and stopping services in a folder (invoke-rc.d(8), policy-rc.d)."""
    policy = root / "usr/sbin/policy-rc.d"
    policy.write_text("#!/bin/sh\nexit 101\n")
    policy.chmod(0o755)
    try:
        yield
    finally:
        policy.unlink()


def hash_of(text: str) -> int:
    """Return a number for a text that is the same in every run."""
    import zlib

    return zlib.crc32(text.encode())


def unpack(tar: Path, root: Path) -> Path:
    """Unpack a root that debootstrap() made."""
    root.mkdir(parents=True)
    subprocess.run(["tar", "-C", str(root), "--xattrs", "-xpf", str(tar)], check=True)
    return root
