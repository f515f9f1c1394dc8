"""Boot configuration of real machines: read without loss, the default found or the reason given.

boot.golden holds a file's folder and number in the corpus and what guestfix makes of it, read by a person
against each file: ``entries`` and the line of the default's kernel, or ``none`` with the reason's first words;
for the others what they hold. Only names and counts are kept, no content.
"""

from __future__ import annotations

import re
import shutil
from collections.abc import Sequence
from pathlib import Path

import pytest

from guestfix.backends.directory import open_directory
from guestfix.base.facts import Facts, Unknown
from guestfix.detect.boot import loaders as boot
from guestfix.editors.boot import args as bootargs
from guestfix.editors.boot import menu as bootmenu
from guestfix.editors.initramfs import resume as resumeconf
from guestfix.formats.boot import argplaces, bls, grubenv, grublegacy
from guestfix.formats.boot.cmdline import ArgLine, Rewrite
from guestfix.formats.shellvars import assignments
from guestfix.pack.model import Target
from tests.build.corpus import CORPUS, corpus_files, corpus_params
from tests.build.facts import told

GOLDEN = Path(__file__).with_name("boot.golden")
KINDS = ("grub1", "grub2", "grubdefault", "bls")


def key_of(path: Path) -> str:
    return f"{path.parent.name}/{path.name[:8]}"


def form_of(path: Path) -> str:
    name, src = path.name.lower(), path.read_bytes()
    if "device.map" in name or (len(src) < 300 and src.startswith(b"(hd")):
        return "device.map"
    if grubenv.is_block(src) or "grubenv" in name:
        return "grubenv"
    if path.parent.parent.name == "bls":
        return "bls"
    if path.parent.parent.name == "grub2":
        return "grubcfg"
    return "menu" if path.parent.parent.name == "grub1" else "default"


def menu_line(path: Path, root: Path, form: str) -> str:
    """Return what the boot detector makes of a menu, with what else is known of the same machine."""
    place = root / ("boot/grub2/grub.cfg" if form == "grubcfg" else "boot/grub/menu.lst")
    place.parent.mkdir(parents=True)
    shutil.copyfile(path, place)
    machine = path.parent.name
    for other in corpus_files("grub2"):
        if other.parent.name == machine and form_of(other) == "grubenv":
            shutil.copyfile(other, place.parent / "grubenv")
    for other in corpus_files("bls"):
        if other.parent.name == machine:
            folder = root / "boot/loader/entries"
            folder.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(other, folder / other.name.rpartition("%")[2])
    facts = Facts()
    facts.put("os.family", "linux")
    boot.detect(open_directory(str(root)), facts, Target("t", "t"))
    default = facts["boot.default"].value
    count = len(told(facts, "boot.entries"))
    if isinstance(default, Unknown):
        return f"{count} entries, none: {' '.join(default.reason.split()[:5])}"
    lost = ", lost" if facts.value("boot.default_reason") else ""
    number = [one["id"] for one in told(facts, "boot.entries")].index(default.id)
    return f"{count} entries, entry {number} at line {default.line}, {len(default.args)} arguments{lost}"


def described(path: Path, root: Path) -> str:
    form, src = form_of(path), path.read_bytes()
    if form in ("grubcfg", "menu"):
        return menu_line(path, root, form)
    if form == "device.map":
        return f"{len(grublegacy.device_map(src))} drives"
    if form == "grubenv":
        return f"{len(grubenv.variables(src))} variables"
    if form == "bls":
        return f"{len(bls.parse(src).fields)} fields, {sum(len(one.words) for one in bls.arg_lines(src))} arguments"
    lines = argplaces.lines_of(src, "default") + argplaces.lines_of(src, "bootloader")
    return f"{len(assignments(src))} assignments, {sum(len(one.words) for one in lines)} arguments"


def read_golden() -> dict[str, str]:
    return dict(line.split(" ", 1) for line in GOLDEN.read_text().splitlines() if line and not line.startswith("#"))


@pytest.mark.parametrize("path", corpus_params(*KINDS))
def test_what_is_found(path: Path, tmp_path: Path) -> None:
    found = described(path, tmp_path)
    assert read_golden().get(key_of(path)) == found, f"read this file and add it: {key_of(path)} {found}"


def every_form(src: bytes) -> Sequence[str]:
    return (*argplaces.READERS, "grubenv")


def mark(texts: Sequence[str], line: ArgLine) -> Rewrite:
    return Rewrite(dict.fromkeys(range(len(texts)), "MARK"), [])


@pytest.mark.parametrize("path", corpus_params(*KINDS))
def test_nothing_is_lost(path: Path) -> None:
    """No change gives the same object; a change touches the arguments and nothing else."""
    src = path.read_bytes()
    for form in every_form(src):
        assert argplaces.rewrite(src, form, lambda _t, _l: Rewrite()) is src
        if form == "grubenv":
            continue
        lines = argplaces.READERS[form](src)
        out, at = [], 0
        for line in lines:
            for word in line.words:
                out += [src[at : line.base + word.start], b"MARK"]
                at = line.base + word.end
        changed = b"".join([*out, src[at:]])
        if not any(line.style == "bare" for line in lines):
            assert argplaces.rewrite(src, form, mark) == changed


@pytest.mark.parametrize("path", corpus_params(*KINDS))
def test_editors_are_idempotent(path: Path) -> None:
    src = path.read_bytes()
    table = {"/dev/sda5": "UUID=x", "/dev/xvda": "UUID=y", "/dev/disk/by-id/*-part2": "UUID=z"}
    for form in every_form(src):
        for change in (bootargs.DeviceChange(table, {}), bootargs.console("ttyS0"), bootargs.ensure(["a=b"])):
            once = argplaces.rewrite(src, form, change)
            assert argplaces.rewrite(once, form, change) == once
    for once in (
        bootmenu.grub_timeout(src, seconds=5, longest=10),
        bootmenu.legacy_timeout(src, seconds=5, longest=10),
        bootmenu.device_map(src, prefix="vd"),
        resumeconf.set_resume(src, table=table, specs=[], complete=False),
    ):
        assert isinstance(once, bytes)
        again = bootmenu.device_map(once, prefix="vd") if b"/dev/vda" in once and b"(hd0)" in once else once
        assert again == once


def test_no_content_in_the_golden_list() -> None:
    assert all(
        re.match(r"[0-9a-f]{6}/[0-9a-f]{8} ", line) for line in GOLDEN.read_text().splitlines() if line[0] != "#"
    )


def test_every_file_is_in_the_list() -> None:
    if not CORPUS.is_dir():
        pytest.skip(f"no corpus at {CORPUS}")
    assert {key_of(path) for kind in KINDS for path in corpus_files(kind)} == set(read_golden())
