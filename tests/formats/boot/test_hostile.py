"""Whatever a guest's boot files hold, the detector and the rules raise nothing but guestfix's own errors."""

from __future__ import annotations

import json
import tempfile
import time
from pathlib import Path

from hypothesis import given, settings
from hypothesis import strategies as st

import guestfix
from guestfix.backends.directory import open_directory
from guestfix.base.facts import Facts, Unknown, plain
from guestfix.detect.boot import loaders as boot
from guestfix.formats.boot import grubenv
from guestfix.pack.model import Target
from guestfix.plan.planner import Options
from tests.build.facts import told
from tests.build.menus import HOSTILE
from tests.build.tree import build

PATHS = [
    "boot/grub/grub.cfg",
    "boot/grub2/grub.cfg",
    "boot/grub/menu.lst",
    "boot/efi/EFI/x/grub.cfg",
    "boot/grub2/grubenv",
    "boot/loader/entries/a-1-2.conf",
    "boot/loader/loader.conf",
    "boot/extlinux/extlinux.conf",
    "etc/default/grub",
    "etc/kernel/cmdline",
    "boot/grub/device.map",
    "boot/efi/EFI/Linux/u.efi",
    "etc/initramfs-tools/conf.d/resume",
    "etc/machine-id",
]
BAD = ("grubx64.efi", "\n", "x" * 300)


def detect(root: Path) -> Facts:
    facts = Facts()
    facts.put("os.family", "linux")
    found = boot.detect(open_directory(str(root)), facts, Target("t", "t"))
    shown = {name: None if isinstance(fact.value, Unknown) else plain(fact.value) for name, fact in facts.items()}
    json.dumps(shown).encode()
    json.dumps([one.summary for one in found]).encode()
    return facts


@settings(max_examples=100, deadline=None)
@given(
    st.dictionaries(
        st.sampled_from(PATHS), HOSTILE | st.just(grubenv.create({"saved_entry": "a>b", "kernelopts": "r"})), max_size=6
    )
)
def test_detector_and_rules(files: dict[str, bytes]) -> None:
    with tempfile.TemporaryDirectory() as scratch:
        root = build(Path(scratch), {"etc/os-release": "ID=debian\nVERSION_ID=12\n", **files})
        detect(root)
        options = Options(("boot/*",), confidence="possible")
        plan = guestfix.make_plan(guestfix.open_guest(str(root)), guestfix.load_pack(), "aws-nitro", options)
        assert [(one.rule, one.because) for one in plan.decisions if one.outcome == "failed"] == []
        guestfix.dump_plan(plan)


def timed(root: Path, files: dict[str, object]) -> float:
    build(root, {"etc/os-release": "ID=debian\n", **files})
    start = time.process_time()
    detect(root)
    return time.process_time() - start


def test_scripts_that_never_end(tmp_path: Path) -> None:
    scripts = [
        "while true; do true; done\n",
        "function f {\n f\n}\nf\n",
        "configfile /boot/grub/grub.cfg\n",
        "source /boot/grub/grub.cfg\nsource /boot/grub/grub.cfg\n",
        "set a=xxxxxxxxxxxxxxxx\n" + 'set a="$a$a$a$a$a$a$a$a"\n' * 50 + "menuentry $a { linux /$a $a ; }\n",
        "for a in 1 2 3 4 5 6 7 8 9 ; do\n" * 8 + "true\n" + "done\n" * 8,
        "submenu a {\n" * 100 + "menuentry b { linux /b ; }\n" + "}\n" * 100,
        "menuentry a { linux /k ; }\n" * 30_000,
        "if true; then\n" * 5000 + "fi\n" * 5000,
        "set default=" + "a>" * 50_000 + "\nsubmenu a { submenu a { menuentry a { linux /x ; } ; } ; }\n",
        "function f { menuentry a { linux /k ; } ; f ; }\nf\n",
    ]
    for at, text in enumerate(scripts):
        assert timed(tmp_path / str(at), {"boot/grub/grub.cfg": text}) < 20, text[:60]


def test_odd_kinds_of_files(tmp_path: Path) -> None:
    build(
        tmp_path,
        {
            "boot/grub/grub.cfg": ("link", "grub.cfg"),
            "boot/grub2/grub.cfg": None,
            "boot/loader/entries/a.conf": ("link", "/nowhere"),
            "boot/loader/entries/b.conf": None,
            "boot/efi/EFI": ("link", "../../.."),
            "etc/default/grub": ("link", "/etc"),
            "boot/grub2/grubenv": b"\0" * 5000,
        },
    )
    assert told(detect(tmp_path), "boot.entries") == []
