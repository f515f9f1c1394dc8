"""The entry that boots, by a real GRUB (grub-emu), against the one that guestfix finds."""

from __future__ import annotations

import fcntl
import os
import pty
import re
import select
import shutil
import struct
import subprocess
import termios
import time
from pathlib import Path

import pytest

from guestfix.backends.directory import open_directory
from guestfix.detect.boot import menu as boot_menu
from guestfix.detect.boot.places import Config
from guestfix.formats.boot import grubenv, grubsearch
from guestfix.formats.boot.entry import all_entries
from tests.build import menus as samples
from tests.build.corpus import corpus_files

pytestmark = pytest.mark.skipif(not shutil.which("grub-emu"), reason="grub-emu is not installed")

HOOK = "".join(
    f'function {name} {{ echo "LOADED $1 $2 $3 END"; halt; }}\n' for name in ("linux", "linux16", "linuxefi")
)
"""grub-emu can't load kernels, so these names are free for functions that say what would be loaded."""

AT_ONCE = "\nset timeout_style=menu\nset timeout=0\n"
SEVERAL = samples.debian("%s", versions=("6.1.0-18-amd64", "6.1.0-9-amd64"))
ADVANCED = f"gnulinux-advanced-{samples.UUID}"
OTHERS = """
set a="one two"
for word in $a; do set last=$word; done
if [ "$last" = two -a ! -f /nowhere/at/all ] ; then
  menuentry "first $last" --class x --id=f { linux /boot/vmlinuz-first a b ; }
fi
if [ -z "$nothing" -o 1 -gt 2 ]; then
  submenu 'sub>menu' --id s {
    menuentry 'in' { set k=vmlinuz ; linux /boot/${k}-in "x y" 'z'; }
    if [ x$last = xone ]; then menuentry never { linux /boot/never; } ; fi
    menuentry 'other' --id o { linux /boot/vmlinuz-other $a; }
  }
else
  menuentry no { linux /boot/no; }
fi
function add { menuentry "$1" --id $2 { linux /boot/vmlinuz-added 1 2; } ; }
add "by function" af
"""


def real_default(folder: Path, config: str) -> str:
    """Return what GRUB loads when nobody touches a key: the kernel and two arguments."""
    text = re.sub(r"terminal_output gfxterm|loadfont \$font", "true", config)
    (folder / "grub.cfg").write_text(HOOK + text + AT_ONCE)
    leader, follower = pty.openpty()
    fcntl.ioctl(follower, termios.TIOCSWINSZ, struct.pack("HHHH", 24, 400, 0, 0))
    command = ["grub-emu", "-d", str(folder)]
    process = subprocess.Popen(command, stdin=follower, stdout=follower, stderr=follower, env={"TERM": "linux"})
    os.close(follower)
    text, end = "", time.monotonic() + 25
    poll = select.poll()  # select(2) takes no descriptor from 1024
    poll.register(leader, select.POLLIN)
    while time.monotonic() < end and " END" not in text:
        if poll.poll(200):
            try:
                text += os.read(leader, 65536).decode("utf-8", "replace")
            except OSError:
                break
    process.kill()
    process.wait()
    os.close(leader)
    match = re.search(r"LOADED (.*?) END", re.sub(r"\x1b\[[0-9;]*[A-Za-z]|[\r\n]", "", text))
    assert match, text[-500:]
    return match[1]


def our_default(folder: Path, config: str) -> str:
    path = folder / "grub.cfg"
    guest = open_directory(str(folder))
    menu = boot_menu.grub2_menu(guest, Config("/grub.cfg", "grub2", path.read_bytes().replace(HOOK.encode(), b"")), "")
    assert menu.default is not None
    kernel = menu.default.kernel
    return " ".join([kernel, *menu.default.args, "", ""][:3]) if kernel else ""


def compare(tmp_path: Path, config: str, env: dict[str, str] | None = None) -> None:
    if env is not None:
        (tmp_path / "grubenv").write_bytes(grubenv.create(env))
    real = real_default(tmp_path, config)
    assert our_default(tmp_path, config).split() == real.split()


@pytest.mark.parametrize(
    "choice",
    [
        "0",
        "1",
        "1>2",
        "1>3",
        "7",
        "nothing of that name",
        "Debian GNU/Linux",
        f"{ADVANCED}>gnulinux-6.1.0-9-amd64-advanced-{samples.UUID}",
        f"{ADVANCED}>nothing",
        "Advanced options for Debian GNU/Linux>Debian GNU/Linux, with Linux 6.1.0-9-amd64",
        "1>Debian GNU/Linux, with Linux 6.1.0-9-amd64 (recovery mode)",
    ],
)
def test_default_of_a_debian_menu(choice: str, tmp_path: Path) -> None:
    compare(tmp_path, SEVERAL.replace("%s", choice))


@pytest.mark.parametrize(
    "env",
    [
        {},
        {"saved_entry": f"{ADVANCED}>gnulinux-6.1.0-9-amd64-advanced-{samples.UUID}"},
        {"saved_entry": "0", "next_entry": "1>2"},
        {"saved_entry": "0", "prev_saved_entry": "1>2"},
        {"saved_entry": "gone"},
    ],
)
def test_default_by_the_environment_block(env: dict[str, str], tmp_path: Path) -> None:
    compare(tmp_path, samples.debian("${saved_entry}", versions=("6.1.0-18-amd64", "6.1.0-9-amd64")), env)


@pytest.mark.parametrize(
    "choice", ["0", "f", "first two", "s", "s>o", "sub>>menu>other", "1>1", "af", "by function", "2"]
)
def test_default_of_a_menu_by_hand(choice: str, tmp_path: Path) -> None:
    compare(tmp_path, f'set default="{choice}"\n{OTHERS}')


def test_default_of_real_files(tmp_path: Path) -> None:
    files = [path for path in corpus_files("grub2") if b"\nmenuentry" in path.read_bytes()]
    if not files:
        pytest.skip("no corpus beside the repository")
    for at, path in enumerate(files):
        folder = tmp_path / str(at)
        folder.mkdir()
        text = path.read_text().replace("sleep --interruptible 8", "sleep --interruptible 1")
        compare(folder, text)


def test_the_list_has_every_entry(tmp_path: Path) -> None:
    """GRUB's own list, one entry after the other by its number."""
    config = samples.debian(versions=("6.1.0-18-amd64", "6.1.0-9-amd64"))
    (tmp_path / "grub.cfg").write_text(config)
    guest = open_directory(str(tmp_path))
    menu = boot_menu.grub2_menu(guest, Config("/grub.cfg", "grub2", config.encode()), "")
    ours = [f"{one.kernel} {one.args[0]} {one.args[1]}" for one in all_entries(menu.entries)]
    numbers = ["0", "1>0", "1>1", "1>2", "1>3"]
    theirs = [real_default(tmp_path, SEVERAL.replace("%s", number)) for number in numbers]
    assert theirs == ours


@pytest.mark.parametrize(
    "line",
    ["--no-floppy --set foo --file /etc/passwd", "-s foo --file /etc/passwd", "--file --set /etc/passwd",
     "--file /etc/passwd --set", "-nfs foo /etc/passwd", "--file --set=foo /etc/passwd"],
)  # fmt: skip
def test_a_search_sets_the_same_variable(tmp_path, line):
    config = f'set root=\nsearch {line}\nmenuentry x {{ linux "foo=$foo" "root=$root" ; }}\n'
    found = grubsearch.parse("search", line.split())
    assert found is not None and found.value == "/etc/passwd"
    assert f"{found.variable}=host" in real_default(tmp_path, config).split()
