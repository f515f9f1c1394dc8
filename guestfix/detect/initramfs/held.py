"""What an initramfs has stored, and whether its names are right on the target too."""

from __future__ import annotations

from typing import Literal

from guestfix.base.edit import Table
from guestfix.base.patterns import regex
from guestfix.base.record import frozen, replace
from guestfix.formats import shellvars
from guestfix.formats.storage import devices
from guestfix.formats.storage.known import Known

Outcome = Literal["", "waits", "stops"]

LVM = regex(r"etc/lvm/lvm(?:local)?\.conf$")
_NAMED = regex(rb"/dev/[^\s\"';&|),]+")
_KERNELS = regex(r"/dev/(sd|hd|vd|xvd|nvme)(?:[a-z]{1,2}|[0-9]{1,3}n[0-9]{1,3}p?|[*?\[])[^/]*\Z")


@frozen
class Stored:
    """A file of an image that names what the target has not. ``after`` is what it has to hold, None for a ``link``.

    ``text`` is the first line that changes. ``fixed`` is false where nothing tells what the name means, or where its
    volume is ``gone`` and can't be done without. ``nic``: it names a NIC, not a disk. ``holds``: the target calls its
    disks alike, so that the names are right where they come in the same order.
    """

    name: str
    line: int
    text: str
    after: bytes | None
    outcome: Outcome
    seconds: int = 0
    fixed: bool = True
    gone: bool = False
    link: str = "/dev/null"
    nic: bool = False
    holds: bool = False


@frozen
class StoredDisks:
    """What is known of the guest's disks; ``names`` has their tables, ``prefix`` is how the target calls its disks.

    ``members`` are the partitions and disks that are parts of volume groups, by their old names.
    """

    known: bool
    partuuids: dict[str, str]
    types: dict[str, str]
    names: Known
    prefix: str
    members: tuple[str, ...] = ()

    @property
    def table(self) -> Table:
        """Each volume's ``UUID=`` by its names."""
        return self.names.table

    def gone(self, name: str) -> bool:
        """Tell whether a name means nothing on the target: no volume that is known answers to it."""
        old = self.names.is_old(name) and devices.resolve(name, self.table) is None
        return self.known and (old or self.names.is_gone(name))

    def same(self, name: str) -> bool:
        """Tell whether a name or pattern is of the kind that the target's kernel gives, and of a disk that there is."""
        found = _KERNELS.match(name)
        if found is None or not self.prefix or found[1] != self.prefix:
            return False
        plain = name.rstrip("$")
        return not self.known or any(devices.matches(one, plain) for one in (*self.table, *self.members))


def held(one: Stored, src: bytes, disks: StoredDisks) -> Stored:
    """Let names that are right on the target's bus stop and delay nothing."""
    if one.gone or not one.outcome or not (_lets_in if LVM.match(one.name) else _is_same)(one, src, disks):
        return one
    return replace(one, outcome="", seconds=0, holds=True)


def _is_same(one: Stored, src: bytes, disks: StoredDisks) -> bool:
    """Tell whether all that would change names disks as the target's kernel does too."""
    kept = set((one.after or b"").splitlines()) if one.after != src else set()
    lines = [line for line in src.splitlines() if line not in kept and not line.lstrip().startswith(b"#")]
    names = [shellvars.decode(name) for line in lines for name in _NAMED.findall(line)]
    old = [name for name in names if disks.names.is_old(name) or _KERNELS.match(name)]
    return bool(old) and all(map(disks.same, old))


def _lets_in(one: Stored, src: bytes, disks: StoredDisks) -> bool:
    """Tell whether LVM's filters take the volume group's disks by the names that they have on the target too."""
    from guestfix.editors.storage import assembly

    members = disks.members if disks.known else ()
    if not disks.prefix or (disks.known and not members):
        return False
    return all(map(disks.same, members)) and assembly.lets_in(src, members, disks.prefix)
