"""What a real kernel makes of an injected image: User Mode Linux unpacks it and its init tells what is there.

This runs init/initramfs.c and the kernel's own decompressors, about two seconds a compression.
"""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

import pytest

from guestfix.formats.initramfs.compress import compress
from tests.build.initramfs import RELEASE, archive, guest, inside, module_path, modules_in_front
from tests.build.initramfs_plans import MICROCODE, OLD, VIRTIO, Result, plan
from tests.build.initramfs_tools import COMMANDS, pack

BUSYBOX = Path("/bin/busybox")
INIT = f"""#!/bin/busybox sh
/bin/busybox echo BEGIN
/bin/busybox find / -xdev -type f -exec /bin/busybox md5sum {{}} +
/bin/busybox echo LOADS
/bin/busybox cat /conf/modules
/bin/busybox grep virtio_blk.ko: /lib/modules/{RELEASE}/modules.dep
/bin/busybox echo END
/bin/busybox poweroff -f
"""


def files() -> dict[str, object]:
    found = inside(OLD) | {"init": INIT, "bin/busybox": BUSYBOX.read_bytes()}
    return {name: found[name] for name in sorted(found)}


def boot(image: Path) -> str:
    """Start the image and return what its init printed, between BEGIN and END."""
    command = ["linux.uml", "mem=128M", "quiet", f"initrd={image}", "con=null", "con0=fd:0,fd:1", "root=/dev/ram0"]
    try:
        done = subprocess.run(command, stdin=subprocess.DEVNULL, capture_output=True, timeout=120, check=False)
    except (subprocess.TimeoutExpired, OSError) as error:
        pytest.skip(f"User Mode Linux does not run here: {error}")
    text = done.stdout.decode("utf-8", "replace").replace("\r", "")
    if "BEGIN" not in text and "Linux version" not in text and done.returncode:
        pytest.skip(f"User Mode Linux does not run here: {(text + done.stderr.decode(errors='replace'))[-300:]}")
    assert "BEGIN\n" in text and "END\n" in text, text[-1000:]
    return text.split("BEGIN\n")[1].split("END\n")[0]


@pytest.mark.parametrize(
    ("kind", "early"),
    [*((kind, b"") for kind in ("none", *COMMANDS)), ("gzip", MICROCODE), ("xz", MICROCODE)],
    ids=lambda value: value if isinstance(value, str) else "microcode" if value else "alone",
)
def test_the_kernel_unpacks_what_was_there_and_what_was_added(tmp_path, kind, early):
    if shutil.which("linux.uml") is None or not BUSYBOX.exists():
        pytest.skip("user-mode-linux or busybox-static is not installed")
    modes = {"init": 0o100755, "bin/busybox": 0o100755}
    old = early + pack(kind, archive(files(), modes))  # type: ignore[arg-type]
    _all_is_there(plan(guest(tmp_path / "guest", old)), tmp_path)


@pytest.mark.parametrize("kind", ["gzip", "xz", "lz4", "zstd"])
def test_the_kernel_unpacks_an_image_with_modules_in_front(tmp_path, kind):
    if shutil.which("linux.uml") is None or not BUSYBOX.exists():
        pytest.skip("user-mode-linux or busybox-static is not installed")
    old = modules_in_front(files(), kind, {"init": 0o100755, "bin/busybox": 0o100755}, MICROCODE)
    result = plan(guest(tmp_path / "guest", old))
    assert [one.compression for one in result.image.segments[:3]] == ["none", "none", kind]
    _all_is_there(result, tmp_path)


def _all_is_there(result: Result, tmp_path: Path) -> None:
    (tmp_path / "image").write_bytes(result.data)
    told = boot(tmp_path / "image")
    sums, loads = told.split("LOADS\n")
    names = {line.split("  /", 1)[1] for line in sums.splitlines()}
    wanted = {name for name, entry in result.image.entries.items() if entry.mode & 0o170000 == 0o100000}
    assert names == wanted
    assert {f"usr/lib/modules/{RELEASE}/{module_path(name)}" for name in (*OLD, *VIRTIO)} <= names
    assert loads.splitlines()[:2] == ["virtio_pci", "virtio_blk"] and "kernel/virtio/virtio.ko" in loads


def test_the_kernel_rejects_what_the_reader_calls_damaged(tmp_path):
    """An uncompressed archive at an odd offset is an error for both."""
    if shutil.which("linux.uml") is None or not BUSYBOX.exists():
        pytest.skip("user-mode-linux or busybox-static is not installed")
    modes = {"init": 0o100755, "bin/busybox": 0o100755}
    base = compress("gzip", archive(files(), modes))  # type: ignore[arg-type]
    extra = archive({"conf/added": "1\n"})
    for lead, there in ((-len(base) % 4, True), (-len(base) % 4 + 2, False)):
        (tmp_path / "image").write_bytes(base + bytes(lead) + extra)
        assert ("/conf/added" in boot(tmp_path / "image")) is there
