"""Facts about disks and /etc/fstab."""

from __future__ import annotations

from guestfix.catalog.facts.kind import FactKind

# fmt: off
STORAGE: dict[str, FactKind] = {
    "disks.complete": FactKind("flag", "the description names all volumes that the guest has", "storage.disks"),
    "disks.fstype_by_spec": FactKind("table", "each volume's filesystem, by UUID= and PARTUUID=", "storage.disks"),
    "disks.known": FactKind("flag", "somebody described the guest's disks, or they were read", "storage.disks"),
    "disks.partuuid_by_device": FactKind("table", "each partition's PARTUUID, by device name", "storage.disks"),
    "disks.specs": FactKind("list", "every name that a volume has in this guest, globs among them", "storage.disks"),
    "disks.tagged": FactKind("flag", "the description has UUIDs, so one that is not in it is missing", "storage.disks"),
    "disks.uuid_by_device": FactKind("table", "each volume's UUID= by every device name it has", "storage.disks"),
    "fstab.entries": FactKind("records", "the entries of /etc/fstab", "storage.fstab",
        fields="spec mount type options dump pass line"),
    "fstab.init": FactKind("text", "who mounts what fstab lists at boot", "storage.fstab",
        "systemd mountall sysv openrc runit unknown"),
    "fstab.readable": FactKind("flag", "/etc/fstab is there and can be read", "storage.fstab"),
}
