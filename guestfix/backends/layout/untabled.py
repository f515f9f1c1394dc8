"""What a Linux guest mounts without a line in fstab: by its own mount units, by partition types, by labels.

Sources: systemd.mount(5); systemd-gpt-auto-generator(8) and the Discoverable Partitions Specification; Flatcar's "Disk
partitions" and Fedora CoreOS' "Storage" (volumes that are known by their labels).
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from guestfix.backends.layout.model import MAX_VOLUMES, Mount, Part, Root, View, ViewOf
from guestfix.backends.volumes.names import Names
from guestfix.backends.volumes.partitions import (
    BOOT_TYPES,
    ESP_TYPES,
    HOME_TYPE,
    NO_AUTO,
    SRV_TYPE,
    VAR_TYPE,
    XBOOTLDR_TYPE,
)
from guestfix.base.errors import GuestError

UNITS = ("/etc/systemd/system", "/usr/lib/systemd/system", "/lib/systemd/system")
_MOST_UNITS = 256
_BY_TYPE = {HOME_TYPE: ("/home",), SRV_TYPE: ("/srv",), VAR_TYPE: ("/var",), XBOOTLDR_TYPE: ("/boot",)}
_BY_LABEL = {"boot": ("/boot",), "oem": ("/oem", "/usr/share/oem")}


class Tree:
    """A root with what is mounted in it so far."""

    def __init__(self, root: Root, view: ViewOf) -> None:
        self.mounts = {"/": view(root.part, root.subvolume)}
        self.view = view

    def add(self, path: str, part: Part, subvolume: str = "") -> None:
        """Have a volume mounted at a path."""
        self.mounts[path] = self.view(part, subvolume)

    def _at(self, path: str) -> tuple[View | None, str]:
        best = max((one for one in self.mounts if one == "/" or f"{path}/".startswith(f"{one}/")), key=len)
        return self.mounts[best], path if best == "/" else path[len(best) :] or "/"

    def list(self, path: str) -> tuple[str, ...] | None:
        """Return the names in a folder, None where there is none or where it can't be read."""
        seen, inside = self._at(path)
        try:
            found = seen.stat(inside) if seen is not None else None
            return seen.list(inside) if seen is not None and found is not None and found.kind == "dir" else None
        except GuestError:
            return None

    def read(self, path: str) -> bytes:
        """Return a file's bytes, none where it can't be read."""
        seen, inside = self._at(path)
        try:
            return seen.read(inside) if seen is not None and seen.stat(inside) else b""
        except GuestError:
            return b""


def untabled(tree: Tree, parts: Sequence[Part], names: Names, taken: set[int]) -> Iterator[Mount]:
    """Yield where volumes are mounted in a guest whose fstab has no root.

    ``taken`` are volumes that are mounted already. A folder that holds something is left alone. The caller adds to the
    tree what it was given before it asks for the next.
    """
    by_key = {part.key: part for part in parts[:MAX_VOLUMES] if part.probe is not None and not part.problem}
    for path, spec in _units(tree):
        key = names.find(spec)
        if key in by_key and key not in taken and tree.list(path) == ():
            taken.add(key)
            yield Mount(path, by_key[key], by="unit")
    for part in by_key.values():
        places = _places(tree, part) if part.key not in taken else ()
        path = next((one for one in places if tree.list(one) == ()), "")
        if path:
            taken.add(part.key)
            yield Mount(path, part, by="type" if part.type in _BY_TYPE else "label")
    yield from loader_partition(tree, parts, taken, ("/boot/efi", "/efi", "/boot"))
    for part in by_key.values():  # a root that was never started has no folders yet
        if part.key not in taken and part.type in BOOT_TYPES and tree.list("/boot") is None:
            taken.add(part.key)
            yield Mount("/boot", part, added=True, by="type")


def loader_partition(
    tree: Tree, parts: Sequence[Part], taken: set[int], places: Sequence[str] = ("/boot/efi", "/efi")
) -> Iterator[Mount]:
    """Yield the EFI system partition at the empty folder that the guest has for it; nothing where several may be it."""
    esp = [part for part in parts if part.type in ESP_TYPES and part.probe and part.probe.type == "vfat"]
    esp = [part for part in esp if part.disk == esp[0].disk]
    path = next((one for one in places if tree.list(one) == ()), "")
    nested = "/boot" in tree.mounts and len(places) == 2
    if len(esp) == 1 and path and not nested and esp[0].key not in taken and not esp[0].problem:
        taken.add(esp[0].key)
        yield Mount(path, esp[0], by="type")


def _places(tree: Tree, part: Part) -> tuple[str, ...]:
    """Return where a volume goes by its type or label."""
    if part.type in _BY_TYPE:
        own = part.type != VAR_TYPE or part.partuuid == var_uuid(tree.read("/etc/machine-id"))
        return _BY_TYPE[part.type] if own and not part.attributes & NO_AUTO else ()
    label = (part.probe.label or part.partlabel or "") if part.probe else ""
    return _BY_LABEL.get(label.lower(), ()) if part.type not in ESP_TYPES else ()


def var_uuid(machine_id: bytes) -> str:
    """Return the UUID that this machine's /var has: one that belongs to another installation is not mounted."""
    import hmac  # few guests have such a partition
    import uuid

    try:
        key = bytes.fromhex(machine_id.decode("ascii", "replace").strip())
    except ValueError:
        return ""
    if len(key) != 16:
        return ""
    made = bytearray(hmac.digest(key, uuid.UUID(VAR_TYPE).bytes, "sha256")[:16])
    made[6], made[8] = made[6] & 0x0F | 0x40, made[8] & 0x3F | 0x80
    return str(uuid.UUID(bytes=bytes(made)))


def _units(tree: Tree) -> Iterator[tuple[str, str]]:
    """Yield the place and the device of each mount unit; one in /etc goes before one of its name in /usr."""
    from guestfix.formats import ini  # few guests have no root in fstab

    seen: set[str] = set()
    for folder in UNITS:
        found = [name for name in tree.list(folder) or () if name.endswith(".mount")]
        for name in found[:_MOST_UNITS]:
            if name in seen:
                continue
            seen.add(name)
            values = {
                one.key: one.value
                for group in ini.groups(tree.read(f"{folder}/{name}"), continued=True)
                for one in group.entries
                if group.name == "Mount"
            }
            where, what = values.get("Where", ""), values.get("What", "")
            if where.startswith("/") and where != "/" and ".." not in where.split("/"):
                yield "/" + where.strip("/"), what
