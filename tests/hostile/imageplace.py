"""A folder of an attacker's images beside one that is not theirs, and how to make images that name other files."""

from __future__ import annotations

import hashlib
import io
import re
import shutil
import struct
import tarfile
from collections.abc import Callable
from pathlib import Path

from tests.build.images import run as call

SECRET = "SECRET-7f3a99c1"
UUID = "11111111-2222-3333-4444-555555555555"
Said = tuple[int, str]
Runner = Callable[..., Said]


class Place:
    """A folder with the attacker's images, and beside it one with what is not theirs."""

    def __init__(self, folder: Path, disks: dict[str, Path]) -> None:
        self.own, self.outside, self.disks = folder / "own", folder / "outside", disks
        self.own.mkdir()
        self.outside.mkdir()
        for name in ("victim", "victim.qcow2", "victim.vmdk"):
            shutil.copy(disks[name], self.outside)
        self.victim = self.outside / "victim.raw"
        self.size = self.victim.stat().st_size

    def state(self) -> dict[str, str]:
        return {path.name: hashlib.sha256(path.read_bytes()).hexdigest() for path in sorted(self.outside.iterdir())}

    def link(self, name: str, to: Path) -> str:
        (self.own / name).symlink_to(to)
        return name

    def file(self, name: str, data: bytes) -> Path:
        (self.own / name).write_bytes(data)
        return self.own / name

    def descriptor(self, *extents: str, kind: str = "monolithicFlat", more: str = "", name: str = "disk.vmdk") -> Path:
        lines = "\n".join(extents)
        text = f'# Disk DescriptorFile\nversion=1\nCID=12345678\nparentCID=ffffffff\n{more}createType="{kind}"\n\n'
        return self.file(name, f"{text}# Extent description\n{lines}\n".encode())

    def flat(self, name: str) -> Path:
        return self.descriptor(f'RW {self.size // 512} FLAT "{name}" 0')

    def overlay(self, backing: str, fmt: str = "raw", name: str = "disk.qcow2") -> Path:
        """Make an overlay whose header names something else; qemu-img would look at what it is told."""
        call("qemu-img", "create", "-q", "-u", "-f", "qcow2", "-F", fmt, "-b", "/" * len(backing),
             self.own / name, self.size)  # fmt: skip
        data = (self.own / name).read_bytes()
        return self.file(name, data.replace(b"/" * len(backing), backing.encode(), 1))

    def data_file(self, name: str) -> Path:
        long = "/" * len(name)
        data = self.file("data", b"")
        call("qemu-img", "create", "-q", "-f", "qcow2", "-o", f"data_file={data},data_file_raw=on",
             self.own / "disk.qcow2", self.size)  # fmt: skip
        raw = (self.own / "disk.qcow2").read_bytes()
        old = str(data).encode()
        at = raw.index(old) - 8
        field = struct.pack(">II", 0x44415441, len(name)) + name.encode().ljust(-(-len(name) // 8) * 8, b"\0")
        rest = raw[at + 8 + -(-len(old) // 8) * 8 : 4096]
        head = (raw[:at] + field + rest)[:65536].ljust(65536, b"\0")
        data.unlink()
        assert long
        return self.file("disk.qcow2", head + raw[65536:])

    def snapshot(self, hint: str) -> Path:
        """Make a sparse VMDK whose descriptor inside names a parent."""
        call("qemu-img", "create", "-q", "-f", "vmdk", "-F", "vmdk", "-b", self.outside / "victim.vmdk",
             self.own / "disk.vmdk")  # fmt: skip
        raw = (self.own / "disk.vmdk").read_bytes()
        old = f'parentFileNameHint="{self.outside / "victim.vmdk"}"'.encode()
        assert old in raw
        new = f'parentFileNameHint="{hint}"'.encode()
        return self.file("disk.vmdk", raw.replace(old, (new + b"\n" * len(old))[: max(len(old), len(new))], 1))

    def ovf(self, href: str) -> Path:
        return self.file("guest.ovf", ENVELOPE.format(href).encode())

    def ova(self, *members: tuple[tarfile.TarInfo, bytes], form: int = tarfile.USTAR_FORMAT) -> Path:
        with tarfile.open(self.own / "guest.ova", "w", format=form) as archive:
            text = ENVELOPE.format("disk.raw").encode()
            head = tarfile.TarInfo("guest.ovf")
            head.size = len(text)
            archive.addfile(head, io.BytesIO(text))
            for member, data in members:
                member.size = len(data)
                archive.addfile(member, io.BytesIO(data))
        return self.own / "guest.ova"


ENVELOPE = (
    '<Envelope><References><File id="f1" href="{}"/></References>'
    '<DiskSection><Disk diskId="d1" fileRef="f1"/></DiskSection></Envelope>'
)


def member(name: str, kind: bytes = tarfile.REGTYPE, to: str = "") -> tarfile.TarInfo:
    found = tarfile.TarInfo(name)
    found.type, found.linkname = kind, to
    return found


def unnamed(said: str, backend: str) -> str:
    """Return a report without the name of what read the guest, and without the digest, which is of that name too."""
    text, digests = re.subn(r"(?m)^( *plan +)[0-9a-f]{64}$", r"\1DIGEST", said.replace(f"{backend}:", ""))
    assert digests == 1, said
    return text
