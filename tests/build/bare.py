"""A bare Debian in which commands run: nothing of this host is in it but how it reaches its package mirrors."""

from __future__ import annotations

import os
import shutil
import subprocess
from pathlib import Path

from tests.build import debian

HOST = ("etc/apt/apt.conf.d", "etc/apt/auth.conf.d", "etc/pip.conf", "etc/xdg/pip", "usr/local/share/ca-certificates")
"""How this host reaches its package mirrors; copied into the tree, never part of the project."""


class Bare:
    """A Debian tree, of Debian 12 where nothing else is said, with these packages beside the least."""

    def __init__(self, root: Path, include: str, suite: str = "bookworm") -> None:
        self.root = root
        debian.unpack(debian.debootstrap(suite, include), root)
        for name in HOST:
            source, target = Path("/", name), root / name
            if source.is_dir():
                shutil.copytree(source, target, dirs_exist_ok=True)
            elif source.exists():
                shutil.copy2(source, target)
        for place in (root / "etc/apt/apt.conf.d").glob("docker-*"):
            place.unlink()
        for name in ("etc/resolv.conf", "etc/hosts"):
            shutil.copy2(Path("/", name), root / name)
        self.archives = debian.cache_folder() / "archives"
        self.archives.mkdir(exist_ok=True)

    def run(self, command: str, user: str = "root", folder: str = "/src") -> subprocess.CompletedProcess[str]:
        """Run a shell command in a folder of the tree; downloaded packages are kept between trees."""
        inside = (
            f"mount -t proc proc {self.root}/proc && mount --bind {self.archives} {self.root}/var/cache/apt/archives"
        )
        home = "/root" if user == "root" else f"/home/{user}"
        inside += f" && exec chroot --userspec={user} {self.root} env HOME={home} sh -c 'cd {folder} && {command}'"
        kept = {
            name: value
            for name, value in os.environ.items()
            if name.lower() in ("http_proxy", "https_proxy", "no_proxy")
        }
        return subprocess.run(
            ["unshare", "--mount", "--pid", "--fork", "--kill-child", "sh", "-c", inside],
            env={**kept, "PATH": "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"},
            stdin=subprocess.DEVNULL, capture_output=True, text=True, errors="replace", timeout=3000, check=False,
        )  # fmt: skip
