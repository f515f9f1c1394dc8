"""A real Debian root made by debootstrap, cached outside the repository and copied for each test."""

from __future__ import annotations

import os
import shutil
import subprocess
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


def debootstrap(suite: str = "bookworm", include: str = INCLUDE) -> Path:
    """Return a tar file of a Debian root; skips where it can't be made."""
    tar = cache_folder() / f"debian-{suite}-{abs(hash_of(include)):08x}.tar"
    if tar.exists():
        return tar
    if os.geteuid() != 0:
        pytest.skip("debootstrap needs root")
    if shutil.which("debootstrap") is None:
        pytest.skip("debootstrap is not installed")
    work = tar.with_suffix(".work")
    shutil.rmtree(work, ignore_errors=True)
    command = ["debootstrap", "--variant=minbase", f"--include={include}", suite, str(work), mirror()]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode:
        pytest.skip(f"debootstrap failed here: {done.stdout[-300:]}")
    subprocess.run(["tar", "-C", str(work), "--xattrs", "-cf", f"{tar}.new", "."], check=True)
    os.replace(f"{tar}.new", tar)
    shutil.rmtree(work, ignore_errors=True)
    return tar


def hash_of(text: str) -> int:
    """Return a number for a text that is the same in every run."""
    import zlib

    return zlib.crc32(text.encode())


def unpack(tar: Path, root: Path) -> Path:
    """Unpack a root that debootstrap() made."""
    root.mkdir(parents=True)
    subprocess.run(["tar", "-C", str(root), "--xattrs", "-xpf", str(tar)], check=True)
    return root
