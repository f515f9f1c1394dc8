"""Driver packages for Windows guests."""

from __future__ import annotations

import struct

INF = r"""[Version]
ClassGuid={4d36e97b-e325-11ce-bfc1-08002be10318}
DriverVer=%s
CatalogFile=%s.cat
[DestinationDirs]
DefaultDestDir=12
[Manufacturer]
m=Models,NT%s
[Models.NT%s]
d=inst,PCI\VEN_1AF4&DEV_1001
[inst]
CopyFiles=@%s.sys
[inst.Services]
AddService=%s,2,svc
[svc]
ServiceType=1
StartType=0
ErrorControl=1
ServiceBinary=%%12%%\%s.sys
LoadOrderGroup=SCSI miniport
"""


def inf(name: str, decoration: str, version: str = "01/01/2024,1.0") -> bytes:
    return (INF % (version, name, decoration, decoration, name, name, name)).encode()


def linked(*names: str, wide: bool = True, number: int = 0x8664) -> bytes:
    """A driver that is linked with modules of these names: one section, at 0x1000 in memory and 0x400 in the file."""
    optional = 240 if wide else 224
    head = bytearray(b"MZ".ljust(0x80, b"\0") + b"PE\0\0" + struct.pack("<HHIIIHH", number, 1, 0, 0, 0, optional, 0))
    struct.pack_into("<I", head, 0x3C, 0x80)
    body = bytearray(struct.pack("<H", 0x20B if wide else 0x10B).ljust(optional, b"\0"))
    struct.pack_into("<II", body, (112 if wide else 96) + 8, 0x1000, 20 * (len(names) + 1))
    table, texts = b"", b""
    for name in names:
        table += struct.pack("<5I", 0, 0, 0, 0x1000 + 20 * (len(names) + 1) + len(texts), 0)
        texts += name.encode() + b"\0"
    content = table + bytes(20) + texts
    section = struct.pack("<8s6IHHI", b".idata", len(content), 0x1000, 0x1000, 0x400, 0, 0, 0, 0, 0)
    return bytes(head + body + section).ljust(0x400, b"\0") + content
