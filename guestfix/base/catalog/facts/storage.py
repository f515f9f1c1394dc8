"""Facts about disks and /etc/fstab."""

from __future__ import annotations

from guestfix.base.catalog.facts.kind import flag, number, records, table, text, texts
from guestfix.base.catalog.records.storage import Laid, Mount
from guestfix.base.guest import Placed

# fmt: off
DISKS_BOOT_BYTES = number("disks.boot_bytes", "the size of the disk that firmware starts, the first one, in bytes",
    "storage.disks")
DISKS_COMPLETE = flag("disks.complete", "the description names all volumes that the guest has", "storage.disks")
DISKS_COUNT = number("disks.count", "how many disks the guest has", "storage.disks")
DISKS_DOUBTFUL = texts("disks.doubtful", "patterns of names that a volume may have unsaid", "storage.disks")
DISKS_FSTYPE_BY_SPEC = table("disks.fstype_by_spec", "each volume's filesystem, by UUID= and PARTUUID=",
    "storage.disks")
DISKS_KNOWN = flag("disks.known", "somebody described the guest's disks, or they were read", "storage.disks")
DISKS_LABELS_BY_DEVICE = table("disks.labels_by_device",
    "on a BSD: each partition's node by a label that it alone has, such as /dev/gpt/rootfs", "system.unix")
DISKS_LAYOUT = records("disks.layout", Laid, "each disk with its partitions, then the volumes above them",
    "storage.disks")
DISKS_MOUNTS = records("disks.mounts", Placed, "what is mounted though fstab has no line for it", "storage.disks")
DISKS_OLD_NAMES = texts("disks.old_names", "patterns of names that files make of the old disks", "storage.disks")
DISKS_PARTUUID_BY_DEVICE = table("disks.partuuid_by_device", "each partition's PARTUUID, by device name",
    "storage.disks")
DISKS_SPECS = texts("disks.specs", "every name that a volume has in this guest, globs among them", "storage.disks")
DISKS_TAGGED = flag("disks.tagged", "the description has UUIDs, so one that is not in it is missing", "storage.disks")
DISKS_UNCLAIMED = texts("disks.unclaimed", "the same, of volumes that fstab mounts by no other name", "storage.disks")
DISKS_UUID_BY_DEVICE = table("disks.uuid_by_device", "each volume's UUID= by every device name it has",
    "storage.disks")
FSTAB_ENTRIES = records("fstab.entries", Mount, "the entries of /etc/fstab", "storage.fstab")
FSTAB_INIT = text("fstab.init", "who mounts what fstab lists at boot", "storage.fstab",
    "systemd mountall sysv openrc runit unknown")
FSTAB_READABLE = flag("fstab.readable", "/etc/fstab is there and can be read", "storage.fstab")
