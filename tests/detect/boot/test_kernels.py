"""Kernels are found wherever distributions put them, and named by their own header."""

from __future__ import annotations

import gzip
import struct
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from guestfix.backends.directory import DirectoryGuest
from guestfix.base.facts import Evidence, Facts, Unknown
from guestfix.detect.boot import kernels
from guestfix.detect.boot.lastboot import RECORD
from guestfix.detect.system.os import put_system
from guestfix.formats.boot.kernelimage import is_64bit, release_of
from guestfix.formats.initramfs.compress import compress
from guestfix.pack.model import Target
from tests.build.facts import menu_entry, told
from tests.build.systems import SYSTEMS
from tests.build.tree import build, bzimage

TARGET = Target("t", "t")


def facts_of(root: Path, files: dict[str, object], ident: str = "debian", **known: object) -> Facts:
    build(root, {"etc/os-release": "ID=x\n", **files})
    facts = Facts()
    facts.put("os.family", "linux")
    facts.put("os.id", ident)
    put_system(facts, SYSTEMS)
    for name, value in known.items():
        facts.put(name.replace("_", "."), value, Evidence("/boot/grub/grub.cfg", 7, "menuentry"))
    assert kernels.detect(DirectoryGuest(str(root)), facts, TARGET) == []
    return facts


def kernel(name: str, release: str | None = None) -> dict[str, object]:
    return {f"boot/{name}": bzimage(release) if release else b"not an x86 image"}


LAYOUTS = [
    # title, files, releases, default
    ("Debian", kernel("vmlinuz-6.1.0-18-amd64", "6.1.0-18-amd64"), ["6.1.0-18-amd64"], "6.1.0-18-amd64"),
    ("the header, not the name", kernel("vmlinuz-linux", "6.9.1-arch1-1"), ["6.9.1-arch1-1"], "6.9.1-arch1-1"),
    ("the name where there is no header", kernel("vmlinux-5.4.0"), ["5.4.0"], "5.4.0"),
    ("a nameless image without header is none", kernel("vmlinuz"), [], None),
    (
        "counted, not spelled",
        kernel("vmlinuz-5.10.0-9-amd64", "5.10.0-9-amd64") | kernel("vmlinuz-5.10.0-28-amd64", "5.10.0-28-amd64"),
        ["5.10.0-9-amd64", "5.10.0-28-amd64"],
        "5.10.0-28-amd64",
    ),
    (
        "rescue images are no choice",
        kernel("vmlinuz-0-rescue-0123456789abcdef", "5.14.0-70.el9.x86_64")
        | kernel("vmlinuz-5.14.0-9.el9.x86_64", "5.14.0-9.el9.x86_64"),
        ["5.14.0-9.el9.x86_64"],
        "5.14.0-9.el9.x86_64",
    ),
    (
        "debug kernels come last",
        kernel("vmlinuz-5.14.0-9.el9.x86_64+debug", "5.14.0-9.el9.x86_64+debug")
        | kernel("vmlinuz-5.14.0-9.el9.x86_64", "5.14.0-9.el9.x86_64"),
        ["5.14.0-9.el9.x86_64", "5.14.0-9.el9.x86_64+debug"],
        "5.14.0-9.el9.x86_64",
    ),
    (
        "backups are no kernels",
        kernel("vmlinuz-4.4.0", "4.4.0") | kernel("vmlinuz-4.5.0.old", "4.5.0") | kernel(".vmlinuz-4.6.0.hmac"),
        ["4.4.0"],
        "4.4.0",
    ),
    (
        "SUSE's link beside the image",
        kernel("vmlinuz-6.4.0-1-default", "6.4.0-1-default") | {"boot/vmlinuz": ("link", "vmlinuz-6.4.0-1-default")},
        ["6.4.0-1-default"],
        "6.4.0-1-default",
    ),
    (
        "usr/lib/modules has the image",
        {"usr/lib/modules/6.9.0/vmlinuz": bzimage("6.9.0"), "usr/lib/modules/6.9.0/modules.dep": ""},
        ["6.9.0"],
        "6.9.0",
    ),
    (
        "kernel-install's layout, by its BLS entry",
        {
            "boot/loader/entries/abc-6.9.7.conf": "title x\nlinux /abc/6.9.7/linux\ninitrd /abc/6.9.7/initrd\n",
            "boot/abc/6.9.7/linux": bzimage("6.9.7"),
            "boot/abc/6.9.7/initrd": "",
        },
        ["6.9.7"],
        "6.9.7",
    ),
    ("modules alone, /boot being elsewhere", {"lib/modules/4.19.0-5-x/modules.dep": ""}, ["4.19.0-5-x"], "4.19.0-5-x"),
    ("leftovers in modules", {"lib/modules/4.19.0-5-amd64/updates/x.ko": ""}, [], None),
]


@pytest.mark.parametrize(("title", "files", "releases", "default"), LAYOUTS, ids=[row[0] for row in LAYOUTS])
def test_layouts(
    tmp_path: Path, title: str, files: dict[str, object], releases: list[str], default: str | None
) -> None:
    facts = facts_of(tmp_path, files)
    assert facts.value("kernel.releases") == releases, title
    assert facts.value("kernel.default") == default
    assert default is None or facts.evidence("kernel.default")


def test_parts_of_a_kernel(tmp_path: Path) -> None:
    release = "5.14.0-70.el9.x86_64"
    files = kernel(f"vmlinuz-{release}", release) | {
        f"boot/initramfs-{release}.img": "",
        f"lib/modules/{release}/modules.dep": "",
    }
    facts = facts_of(tmp_path, files, "rhel")
    assert told(facts, "kernels") == [
        {
            "release": release,
            "image": f"/boot/vmlinuz-{release}",
            "modules": f"/lib/modules/{release}",
            "initrd": f"/boot/initramfs-{release}.img",
        }
    ]


def test_rescue_images_are_told_apart(tmp_path: Path) -> None:
    facts = facts_of(tmp_path, kernel("vmlinuz-0-rescue-1", "5.14.0-1.el9.x86_64"))
    assert facts.value("kernel.rescue") == ["/boot/vmlinuz-0-rescue-1"]
    assert isinstance(facts["kernel.default"].value, Unknown)


TWO = kernel("vmlinuz-6.1.0-9-amd64", "6.1.0-9-amd64") | kernel("vmlinuz-6.1.0-18-amd64", "6.1.0-18-amd64")


def test_the_boot_loader_decides(tmp_path: Path) -> None:
    facts = facts_of(tmp_path, TWO, boot_default=menu_entry(kernel="/boot/vmlinuz-6.1.0-9-amd64", path="/x"))
    assert facts.value("kernel.default") == "6.1.0-9-amd64"
    assert facts.evidence("kernel.default")[0].path == "/boot/grub/grub.cfg"


def test_the_boot_loader_may_name_a_link(tmp_path: Path) -> None:
    files = TWO | {"vmlinuz": ("link", "boot/vmlinuz-6.1.0-9-amd64")}
    facts = facts_of(tmp_path, files, boot_default=menu_entry(kernel="/vmlinuz"))
    assert facts.value("kernel.default") == "6.1.0-9-amd64"


def test_the_boot_loader_may_name_what_is_not_there(tmp_path: Path) -> None:
    facts = facts_of(tmp_path, TWO, boot_default=menu_entry(kernel="/boot/vmlinuz-6.0.0-1-amd64"))
    assert facts.value("kernel.default") == "6.0.0-1-amd64"
    assert "not in the guest" in facts.evidence("kernel.default")[-1].text


def test_a_rescue_entry_is_no_default_kernel(tmp_path: Path) -> None:
    facts = facts_of(tmp_path, TWO, boot_default=menu_entry(kernel="/boot/vmlinuz-0-rescue-1"))
    assert facts.value("kernel.default") == "6.1.0-18-amd64"
    assert "starts no ordinary kernel" in facts.evidence("kernel.default")[0].text


def test_a_guess_says_that_it_is_one(tmp_path: Path) -> None:
    assert "is not known" in facts_of(tmp_path, TWO).evidence("kernel.default")[0].text


CUSTOM = [
    ("rhel", "4.18.0-513.el8.x86_64", False),
    ("rhel", "6.5.1-1.el8.elrepo.x86_64", True),
    ("ol", "5.15.0-1.el8uek.x86_64", False),
    ("fedora", "6.8.5-301.fc40.x86_64", False),
    ("debian", "6.1.0-18-cloud-amd64", False),
    ("debian", "6.12.43+deb13-amd64", False),
    ("debian", "6.8.12-1-pve", True),
    ("debian", "6.1.55", True),
    ("ubuntu", "5.15.0-91-generic", False),
    ("ubuntu", "6.8.0-1009-aws", False),
    ("ubuntu", "6.1.0-060100-generic", True),
    ("sles", "5.14.21-150500.55-default", False),
    ("sles", "5.14.21-mine", True),
    ("amzn", "6.1.55-75.123.amzn2023.x86_64", False),
    ("amzn", "6.1.55", True),
]


@pytest.mark.parametrize(("ident", "release", "custom"), CUSTOM)
def test_custom_kernels(tmp_path: Path, ident: str, release: str, custom: bool) -> None:
    facts = facts_of(tmp_path, kernel(f"vmlinuz-{release}", release), ident)
    assert facts.value("kernel.custom") == ([release] if custom else [])


def test_nobody_knows_how_an_unknown_system_names_kernels(tmp_path: Path) -> None:
    facts = facts_of(tmp_path, kernel("vmlinuz-4.4.0", "4.4.0"), "unheard-of")
    assert isinstance(facts["kernel.custom"].value, Unknown)


def record(kind: int, host: str) -> bytes:
    return struct.pack("<hxxi32s4s32s256s52x", kind, 0, b"~", b"~~", b"reboot", host.encode())


def test_the_kernel_that_ran_last(tmp_path: Path) -> None:
    assert len(record(2, "x")) == RECORD
    data = record(2, "5.10.0-1-amd64") + record(2, "6.1.0-9-amd64") + record(7, "10.0.0.9") + b"torn"
    facts = facts_of(tmp_path, TWO | {"var/log/wtmp": data})
    assert facts.value("kernel.last_booted") == "6.1.0-9-amd64"


@pytest.mark.parametrize("data", [b"", b"short", record(7, "x"), record(2, ""), record(2, "\x1b[2J")])
def test_no_usable_boot_record(tmp_path: Path, data: bytes) -> None:
    assert isinstance(facts_of(tmp_path, {"var/log/wtmp": data})["kernel.last_booted"].value, Unknown)


@pytest.mark.parametrize("wide", [True, False])
def test_architecture_from_the_kernel_where_no_program_shows_it(tmp_path: Path, wide: bool) -> None:
    facts = facts_of(tmp_path, {"boot/vmlinuz-5.4.0": bzimage("5.4.0", wide=wide)})
    assert facts.value("os.arch") == ("x86_64" if wide else "i686")


@settings(max_examples=200, deadline=None)
@given(st.binary(max_size=64), st.integers(0, 0xFFFF), st.integers(0, 0xFFFF))
def test_any_header_is_survived(noise: bytes, pointer: int, protocol: int) -> None:
    head = bytearray(bzimage("5.4.0"))
    struct.pack_into("<HH", head, 0x206, protocol, 0)
    struct.pack_into("<H", head, 0x20E, pointer)
    for data in (noise, bytes(head), bytes(head[: len(noise) * 16])):
        found = release_of(data)
        assert found is None or (found.isprintable() and found[0].isdigit())
        assert is_64bit(data) in (True, False, None)


def test_a_thousand_kernels_are_bounded(tmp_path: Path) -> None:
    files: dict[str, object] = {f"boot/vmlinuz-5.4.{number}": b"" for number in range(400)}
    assert len(told(facts_of(tmp_path, files), "kernels")) == kernels.MOST


def arm64(release: str, *, at: int = 1_500_000) -> bytes:
    """Return an arm64 Image with its banner far from the start."""
    head = bytearray(at)
    head[0:2], head[56:60] = b"MZ", b"ARM\x64"
    return bytes(head) + f"Linux version {release} (builder@host) (gcc) #1 SMP\n\0".encode() + bytes(5000)


def zboot(packed: bytes, kind: bytes) -> bytes:
    """Return the EFI stub that holds a packed Image."""
    head = bytearray(4096)
    head[0:2], head[4:8], head[24 : 24 + len(kind)], head[56:60] = b"MZ", b"zimg", kind, b"ARM\x64"
    struct.pack_into("<II", head, 8, 4096, len(packed))
    return bytes(head) + packed + bytes(512)


IMAGE = arm64("6.6.14-0-lts")
INSIDE = {
    "Image": ("boot/Image", IMAGE),
    "a packed Image": ("boot/vmlinuz-lts", gzip.compress(IMAGE)),
    "zboot, gzip": ("boot/vmlinuz-linux", zboot(gzip.compress(IMAGE), b"gzip")),
    "zboot, zstd": ("boot/vmlinuz-virt", zboot(compress("zstd", IMAGE), b"zstd22")),
    "zboot, xz": ("boot/vmlinuz-virt", zboot(compress("xz", IMAGE), b"xzkern")),
    "vmlinux": ("boot/vmlinux", b"\x7fELF" + IMAGE[4:]),
}


@pytest.mark.parametrize("name", INSIDE)
def test_a_kernel_of_no_version_in_name_or_header_says_it_itself(tmp_path: Path, name: str) -> None:
    path, data = INSIDE[name]
    facts = facts_of(tmp_path, {path: data}, "alpine")
    (one,) = told(facts, "kernels")
    assert (one["release"], one["image"]) == ("6.6.14-0-lts", f"/{path}")


@pytest.mark.parametrize(
    "data",
    [b"", b"MZ", zboot(b"", b"gzip"), zboot(gzip.compress(IMAGE)[:800], b"gzip"), gzip.compress(b"no kernel" * 500),
     IMAGE.replace(b"Linux version", b"linux version"), b"\x7fELF", zboot(b"\x28\xb5\x2f\xfd" + bytes(90), b"zstd")],
)  # fmt: skip
def test_a_kernel_that_does_not_say_its_release_is_left_out(tmp_path: Path, data: bytes) -> None:
    assert told(facts_of(tmp_path, {"boot/vmlinuz-lts": data}, "alpine"), "kernels") == []
