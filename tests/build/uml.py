"""Make guest disks that need a kernel to be made: LVM, RAID, XFS, JFS, NTFS filled from a tree.

Runs a small program inside User-mode Linux, as an ordinary user, with the host's own tools.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path

from guestfix.backends.status import find_program
from tests.build.images import run

PROGRAM = """
import json, os, subprocess, sys, traceback
told = json.load(open(sys.argv[1]))
sys.path.insert(0, told["package"])
from guestfix.backends.machine.calls import Modules, end, mount, unmount
try:
    mount("proc", "/proc", "proc"); mount("sys", "/sys", "sysfs"); mount("run", "/run", "tmpfs")
    mount("tmp", "/tmp", "tmpfs")
    mount("none", "/run/in", "hostfs", 0, told["folder"])
    if told["given"]:
        mount("none", "/run/given", "hostfs", 0, told["given"])
    os.environ.update(PATH="/usr/sbin:/usr/bin:/sbin:/bin", LVM_SYSTEM_DIR="/run/lvm", LVM_SUPPRESS_FD_WARNINGS="1",
                      DM_DISABLE_UDEV="1", HOME="/tmp")
    os.makedirs("/run/lvm"); os.makedirs("/run/mnt")
    Modules("/usr/lib/uml/modules/" + os.uname().release).load(*told["modules"])
    for command in told["commands"]:
        done = subprocess.run(command, shell=True, capture_output=True, text=True)
        print("+", command, "->", done.returncode, done.stdout, done.stderr, flush=True)
        if done.returncode:
            raise SystemExit(1)
    open("/run/in/done", "x").close()
except BaseException:
    traceback.print_exc()
    sys.stderr.flush()
os.sync()
end(restart=False)
"""

LVM = "--config 'activation{udev_sync=0 udev_rules=0 verify_udev_operations=0} backup{backup=0 archive=0}'"
COPY = "tar -xpf /run/in/tree.tar --numeric-owner --acls --xattrs --xattrs-include='*' -C /run/mnt"
DM = ("dm-mod", "dm-mirror", "dm-thin-pool", "dm-raid", "raid1")
MD = ("md-mod", "raid0", "raid1", "raid456")


def build(
    disks: Sequence[Path],
    commands: Sequence[str],
    tree: Path | None = None,
    modules: Sequence[str] = (),
    *,
    given: Path | None = None,
    memory: int = 256,
) -> str:
    """Run shell commands with the disks as /dev/ubda, /dev/ubdb ...; return what they printed.

    ``given`` is a folder that they see as /run/given; ``memory`` is in megabytes.
    """
    with tempfile.TemporaryDirectory(prefix="gfbuild-") as folder:
        program, told = Path(folder, "program.py"), Path(folder, "told.json")
        program.write_text(PROGRAM)
        data = {
            "package": str(Path(__file__).resolve().parents[2]),
            "folder": folder,
            "given": str(given or ""),
            "commands": list(commands),
            "modules": ["vfat", "nls_cp437", "nls_ascii", "nls_utf8", "fuse", *modules],
        }
        told.write_text(json.dumps(data))
        if tree:  # hostfs hands over no extended attributes; tar does
            kept = ("--posix", "--numeric-owner", "--acls", "--xattrs")
            run("tar", "-cpf", f"{folder}/tree.tar", *kept, "-C", tree, ".")
        command = [
            find_program("linux.uml") or "", f"mem={memory}M", "quiet", "selinux=0", "rootfstype=hostfs",
            "root=/dev/root", "rootflags=/", "ro", "con=null", "con0=null,fd:1", f"uml_dir={folder}", *(
                f"ubd{chr(97 + index)}={disk}" for index, disk in enumerate(disks)
            ), f"init={os.path.realpath(sys.executable)}", "--", "-I", "-S", str(program), str(told),
        ]  # fmt: skip
        done = subprocess.run(
            command, capture_output=True, text=True, errors="replace", stdin=subprocess.DEVNULL, timeout=300,
            env={"HOME": folder, "PATH": os.defpath, "TMPDIR": folder}, check=False,
        )  # fmt: skip
        assert Path(folder, "done").exists(), done.stdout[-3000:] + done.stderr[-2000:]
        return done.stdout


def blank(place: Path, mib: int) -> Path:
    with place.open("wb") as stream:
        stream.truncate(mib << 20)
    return place
