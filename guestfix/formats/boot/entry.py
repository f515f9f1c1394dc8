"""What every boot loader's menu comes down to: entries, and which of them boots when nobody chooses."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from guestfix.base.patterns import regex
from guestfix.base.record import field, mutable

_NUMBER = regex(r"\d{1,9}\Z")
_RELEASE = regex(r"\d+\.\d+")


def release_in(image: str) -> str:
    """Return the release that a kernel image's path gives: behind its name's first ``-``, or its folder's name.

    ``/boot/vmlinuz-6.1.0-18-amd64`` has it in the name, ``/MACHINE-ID/6.1.0-18-amd64/linux`` (kernel-install) in the
    folder's. Else the whole name comes back.
    """
    folder, _, name = image.rpartition("/")
    written = name.partition("-")[2]
    above = folder.rpartition("/")[2]
    if written:
        return written
    return above if _RELEASE.match(above) else name


@mutable
class BootEntry:
    """One entry. ``id`` is its own; ``full_id`` has the submenus it lies in before it, as GRUB's default says it.

    ``path`` and ``line`` are where its kernel is loaded (or, without one, where it begins). ``restricted``: it starts
    for a name and a password alone where the loader has one set. ``written`` is how a file of its own names the kernel.
    """

    id: str
    title: str
    loader: str
    path: str
    line: int
    kernel: str = ""
    initrd: tuple[str, ...] = ()
    args: tuple[str, ...] = ()
    above: str = ""
    children: list[BootEntry] = field(default_factory=list)
    is_submenu: bool = False
    restricted: bool = False
    written: str = ""

    @property
    def full_id(self) -> str:
        """The id by which GRUB's ``default`` finds the entry: ``submenu>entry``."""
        return self.above + self.id.replace(">", ">>")


def split_choice(text: str) -> tuple[str, str]:
    """Split GRUB's default at the first ``>``; ``>>`` stands for the character itself."""
    at = 0
    while True:
        at = text.find(">", at)
        if at < 0:
            return text.replace(">>", ">"), ""
        if text[at : at + 2] != ">>":
            return text[:at].replace(">>", ">"), text[at + 1 :]
        at += 2


def choose(entries: Sequence[BootEntry], choice: str) -> BootEntry | None:
    """Return the entry that GRUB's ``default`` names: a number, an id or a title, ``>`` into submenus.

    A submenu without a further choice means its first entry. None: no entry has that number or name.
    """
    name, rest = split_choice(choice)
    found: BootEntry | None = None
    if _NUMBER.match(name):
        found = entries[int(name)] if int(name) < len(entries) else None
    if found is None:
        found = next((one for one in entries if name and name in (one.id, one.title)), None)
    if found is None or not found.is_submenu:
        return found
    return choose(found.children, rest or "0")


def all_entries(entries: Sequence[BootEntry], depth: int = 0) -> Iterator[BootEntry]:
    """Yield every entry that loads something, submenus opened, in the menu's order."""
    for one in entries:
        if one.is_submenu:
            if depth < 32:
                yield from all_entries(one.children, depth + 1)
        else:
            yield one
