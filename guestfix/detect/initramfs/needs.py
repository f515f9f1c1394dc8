"""What has to be loaded before the target can mount the guest's root filesystem, each with its reason."""

from __future__ import annotations

from guestfix.base.catalog.facts.storage import FSTAB_ENTRIES
from guestfix.base.facts import Facts
from guestfix.base.guest import GuestFS
from guestfix.base.patterns import regex
from guestfix.base.record import frozen
from guestfix.detect.files import lines_of, read_small
from guestfix.pack.model import Target

_REMOTE = regex(r"(?:root=(?:nfs|nbd|iscsi|/dev/nfs)|netroot=|nfsroot=|ip=(?!off|none)|rd\.iscsi|boot=nfs)")
_NOT_A_FILESYSTEM = {"", "auto", "none", "swap", "rootfs"}


@frozen
class Need:
    """A module (or literal alias). ``target`` where the platform asks for it, else the guest's own layout does."""

    module: str
    reason: str
    target: bool


def needs_of(guest: GuestFS, facts: Facts, target: Target, args: tuple[str, ...]) -> list[Need]:
    """Return the modules that the boot needs, the target's first, without repetition."""
    needs = [Need(name, f"{target.id} attaches disks through it", True) for name in _drivers(target, "storage")]
    needs += [Need(name, why, True) for name, why in _companions({need.module for need in needs})]
    if any(_REMOTE.match(arg) for arg in args):
        for name in _drivers(target, "network"):
            needs.append(Need(name, f"{target.id} attaches networks through it and root is remote", True))
    needs += _layout(guest, facts, args)
    return list({need.module: need for need in reversed(needs)}.values())[::-1]


def _drivers(target: Target, phase: str) -> list[str]:
    return [name.replace("-", "_") for name in target.drivers.get(phase, ())]


def _companions(modules: set[str]) -> list[tuple[str, str]]:
    """Return what a driver can't do without though no dependency says so."""
    found = []
    if any(name.startswith("virtio_") for name in modules) and not modules & {"virtio_mmio", "virtio_ccw"}:
        found.append(("virtio_pci", "virtio devices are found through it"))
    if modules & {"virtio_scsi", "vmw_pvscsi", "mptspi", "mptsas", "hv_storvsc", "ahci", "ata_piix", "megaraid_sas"}:
        found.append(("sd_mod", "SCSI disks get their device nodes from it"))
    if "hv_storvsc" in modules:
        found.append(("hv_vmbus", "Hyper-V devices are found through it"))
    return [(name, why) for name, why in found if name not in modules]


def _mounts(guest: GuestFS, facts: Facts) -> list[tuple[str, str, str]]:
    """Return (spec, mount point, type) of the entries that an initramfs mounts: / and /usr."""
    found = [(one.spec, one.mount, one.type) for one in facts.value(FSTAB_ENTRIES) or ()]
    if not found and FSTAB_ENTRIES.name not in facts:
        rows = [line.split() for _, line in lines_of(read_small(guest, "/etc/fstab") or b"")]
        found = [(row[0], row[1], row[2]) for row in rows if len(row) > 2 and not row[0].startswith("#")]
    return [one for one in found if one[1] in ("/", "/usr")]


def _layout(guest: GuestFS, facts: Facts, args: tuple[str, ...]) -> list[Need]:
    needs = []
    specs = [(arg[5:], "the root= argument names it") for arg in args if arg.startswith("root=")]
    for spec, mount, types in _mounts(guest, facts):
        specs.append((spec, f"{mount} is on it"))
        for fstype in types.split(","):
            if fstype.lower() not in _NOT_A_FILESYSTEM and regex(r"[a-z0-9_]{2,16}").fullmatch(fstype):
                needs.append(Need(fstype, f"{mount} is {fstype}", False))
    encrypted = _crypt_names(guest)
    for spec, why in specs:
        name = spec.removeprefix("/dev/mapper/") if spec.startswith("/dev/mapper/") else ""
        if name in encrypted and name:
            needs.append(Need("dm_crypt", f"{spec}: {why}", False))
        elif name or _is_logical(spec):
            needs.append(Need("dm_mod", f"{spec}: {why}", False))
        elif regex(r"/dev/md[/0-9]").match(spec):
            needs.append(Need("md_mod", f"{spec}: {why}", False))
    if any(arg.startswith("rd.lvm.") for arg in args):
        needs.append(Need("dm_mod", "the rd.lvm arguments name logical volumes", False))
    if any(arg.startswith("rd.md.uuid") for arg in args):
        needs.append(Need("md_mod", "the rd.md arguments name an array", False))
    if any(arg.startswith(("rd.luks.uuid", "cryptdevice=")) for arg in args):
        needs.append(Need("dm_crypt", "the kernel arguments name an encrypted volume", False))
    return needs


def _is_logical(spec: str) -> bool:
    """Tell whether a device path is that of a logical volume: /dev/VG/LV."""
    match = regex(r"/dev/([^/]+)/([^/]+)").fullmatch(spec)
    return match is not None and match[1] not in ("disk", "block", "md", "mapper", "cciss", "ida", "i2o", "rd", "char")


def _crypt_names(guest: GuestFS) -> set[str]:
    rows = [line.split() for _, line in lines_of(read_small(guest, "/etc/crypttab") or b"")]
    return {row[0] for row in rows if len(row) > 1 and not row[0].startswith("#")}
