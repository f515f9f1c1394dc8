"""What shim starts once firmware has started it by the fallback path.

Sources: shim's README.fallback; shim.c (the loader beside it, by the name built into it; ``fb<arch>.efi`` before that,
where shim itself is below EFI/BOOT); fallback.c (the first boot option of BOOT<ARCH>.CSV or BOOT.CSV in other folders).
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from guestfix.base.catalog.records.boot import EfiFolder
from guestfix.base.guest import GuestFS
from guestfix.base.patterns import regex
from guestfix.base.record import frozen
from guestfix.detect.files import read_head, read_small

MOST = 4 * 1024 * 1024
"""Bytes of a loader that are looked at; shim has one."""

_NEXT = regex(rb"(g\0r\0u\0b\0(?:[a-z0-9]\0){0,8}\.\0e\0f\0i\0)")
_CSV_LIMIT = 65536


@frozen
class Arch:
    """The loaders' file names of one architecture, best first. ``system`` is what os.arch says of it."""

    system: str
    fallback: str
    shims: tuple[str, ...]
    grubs: tuple[str, ...]
    helpers: tuple[str, ...]
    other: str
    program: str
    csv: tuple[str, ...]


def _arch(system: str, short: str, *older: tuple[str, ...]) -> Arch:
    """Return the names by the suffix that they have in common, and older ones of shim, GRUB and MokManager."""
    shims, grubs, helpers = older or ((), (), ())
    return Arch(
        system,
        f"BOOT{short.upper()}.EFI",
        (f"shim{short}.efi", *shims),
        (f"grub{short}.efi", *grubs),
        (f"mm{short}.efi", *helpers),
        f"systemd-boot{short}.efi",
        f"fb{short}.efi",
        (f"BOOT{short.upper()}.CSV", "BOOT.CSV"),
    )


ARCHES = (
    _arch("x86_64", "x64", ("shim.efi",), ("grub.efi",), ("mokmanager.efi",)),
    _arch("i686", "ia32"),
    _arch("aarch64", "aa64"),
)


def file_in(folder: EfiFolder | None, *names: str) -> str:
    """Return the path of the first of these files that a folder has, regardless of case, or empty."""
    by_name = {name.lower(): name for name in folder.files} if folder else {}
    return next((f"{folder.path}/{by_name[name.lower()]}" for name in names if folder and name.lower() in by_name), "")


def name_of(folder: EfiFolder) -> str:
    """Return a folder's own name in lower case."""
    return folder.path.rpartition("/")[2].lower()


def lacks(guest: GuestFS, folders: Iterable[EfiFolder], arch: Arch) -> str:
    """Return the name of what the fallback loader would start and what is not there; empty where nothing is amiss.

    Only shim starts another program from the folder that it lies in. Where its fallback program is there, that one
    follows the CSV files of other folders.
    """
    folders = list(folders)
    boot = next((one for one in folders if name_of(one) == "boot"), None)
    place = file_in(boot, arch.fallback)
    others = [one for one in folders if one is not boot]
    if not place or file_in(boot, *arch.grubs):
        return ""
    wanted = _started(guest, place, others, arch)
    if not wanted or file_in(boot, wanted):
        return ""
    if not file_in(boot, arch.program, "fallback.efi"):
        return wanted
    options = list(_options(guest, others, arch))
    return "" if options and options[0][1] else options[0][0] if options else arch.csv[0]


def _started(guest: GuestFS, place: str, others: Iterable[EfiFolder], arch: Arch) -> str:
    """Return what the program at a path starts: by its own text, or by that of a distribution's shim that it equals."""
    loader = read_head(guest, place, MOST)
    shims = [path for one in others for name in arch.shims if (path := file_in(one, name))]
    same = bool(loader) and any(read_head(guest, path, MOST) == loader for path in shims)
    return started_by(loader) or (arch.grubs[0] if same else "")


def started_by(loader: bytes) -> str:
    """Return the name of the loader that is built into shim; empty for any other program."""
    if not loader.startswith(b"MZ"):
        return ""
    found = _NEXT.search(loader)
    return found[1].decode("utf-16-le") if found else ""


def _options(guest: GuestFS, folders: Iterable[EfiFolder], arch: Arch) -> Iterator[tuple[str, bool]]:
    """Yield (file, whether it is there) of the boot options in the CSV files, in the order of the folders."""
    for folder in folders:
        path = file_in(folder, *arch.csv)
        text = (read_small(guest, path, _CSV_LIMIT) or b"") if path else b""
        encoding = "utf-16-be" if text[:2] == b"\xfe\xff" else "utf-16-le"
        for line in text.decode(encoding, "replace").lstrip("\ufeff").splitlines():
            name = line.partition(",")[0].strip()
            if name:
                yield f"{folder.path}/{name}", bool(file_in(folder, name))
