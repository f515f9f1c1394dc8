"""Machines as hypervisors describe them: libvirt's domain XML, Proxmox' configuration. OVF is an image's own kind."""

from __future__ import annotations

import os

from guestfix.base.errors import GuestfixError
from guestfix.base.patterns import regex
from guestfix.base.xmldoc import parse_xml
from guestfix.fleet.job import Guest

TYPE_CHECKING = False
if TYPE_CHECKING:
    import xml.etree.ElementTree as ET


def domain(data: bytes, place: str) -> Guest:
    """Return the guest of ``virsh dumpxml``: its hard disks in the order of their targets (vda, vdb, ...).

    Raises GuestfixError where this is no domain, or a disk is one that only libvirt can reach.
    """
    try:
        root = parse_xml(data, "the description")
    except ValueError as error:
        raise GuestfixError(str(error), where=place, remedy="virsh dumpxml NAME") from error
    if root.tag != "domain":
        raise GuestfixError(f"this is no libvirt domain but <{root.tag}>", where=place, remedy="virsh dumpxml NAME")
    disks: list[tuple[str, str]] = []
    for disk in root.iterfind("devices/disk"):
        if disk.get("device", "disk") not in ("disk", "lun"):
            continue
        source, target = disk.find("source"), disk.find("target")
        name = target.get("dev", "") if target is not None else ""
        disks.append((name, _source(disk.get("type", ""), source, name, place)))
    if not disks:
        raise GuestfixError("the domain has no hard disk", where=place)
    named = root.findtext("name", "").strip() or os.path.splitext(os.path.basename(place))[0]
    ordered = sorted(disks, key=lambda one: (len(one[0]), one[0]))
    return Guest(named, tuple(path for _, path in ordered), where=place)


def _source(kind: str, source: ET.Element | None, name: str, place: str) -> str:
    if source is not None and kind == "file" and source.get("file"):
        return source.get("file", "")
    if source is not None and kind == "block" and source.get("dev"):
        return source.get("dev", "")
    if source is not None and kind == "network" and source.get("protocol") in ("nbd", "http", "https"):
        host = source.find("host")
        if host is not None and host.get("transport") == "unix" and source.get("protocol") == "nbd":
            return f"nbd+unix:///{source.get('name', '')}?socket={host.get('socket', '')}"
        if host is not None and host.get("name"):
            port = f":{host.get('port')}" if host.get("port") else ""
            path = source.get("name", "").lstrip("/")
            return f"{source.get('protocol')}://{host.get('name')}{port}/{path}"
    what = f"the disk {name or 'without a name'} is of the kind {kind or 'unknown'}, which is not read from here"
    raise GuestfixError(
        what, where=place, remedy="export it as a file or an NBD address, and write an inventory of YAML"
    )


_DISK = regex(r"((?:ide|sata|scsi|virtio)\d{1,2}):\s*([^,\s]+)(.*)$")


def proxmox(data: bytes, place: str) -> Guest:
    """Return the guest of a Proxmox VE configuration (``/etc/pve/qemu-server/ID.conf``): the boot disk comes first.

    Disks by path are taken as they are; volumes of a storage are told by ``pvesm path`` only. Raises GuestfixError.
    """
    disks: dict[str, str] = {}
    words: dict[str, str] = {}
    for line in data.decode("utf-8", "replace").splitlines():
        if line.startswith("["):
            break  # snapshots follow
        key, _, value = line.partition(":")
        words.setdefault(key.strip(), value.strip())
        match = _DISK.match(line)
        if match and "media=cdrom" not in match[3] and match[2] != "none":
            disks[match[1]] = match[2]
    for name, volume in disks.items():
        if not volume.startswith("/"):
            what = f"{name} is the volume {volume} of a storage, whose path only that machine knows"
            raise GuestfixError(what, where=place, remedy=f"ask it there: pvesm path {volume}; write the path instead")
    if not disks:
        raise GuestfixError("this names no hard disk: is it a configuration of Proxmox VE?", where=place)
    order = words.get("boot", "").partition("order=")[2].split(";") + [words.get("bootdisk", "")]
    ranked = sorted(disks, key=lambda name: (order.index(name) if name in order else len(order), name))
    return Guest(
        words.get("name") or os.path.splitext(os.path.basename(place))[0],
        tuple(disks[name] for name in ranked),
        where=place,
    )
