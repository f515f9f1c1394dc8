"""The contract that every backend keeps, as checks that its author can run.

A package that offers a backend through the entry-point group ``guestfix.backends`` tests it so::

    reference = tmp_path / "reference"
    contract.reference_tree(reference)          # then bring this tree into the backend's own storage
    assert contract.reading_violations(open_mine(), DirectoryGuest(str(reference))) == []
    assert contract.writing_violations(open_mine_for_writing()) == []

Both return sentences; an empty list means that the contract is kept.
"""

from __future__ import annotations

import hashlib
import os
import random
from collections.abc import Callable, Iterator
from pathlib import Path

from guestfix.base.errors import GuestError, NotFound, SymlinkLoop, TooLarge, Unreadable
from guestfix.base.guest import GuestFS, GuestWriter, Meta

SECOND = 1_000_000_000
PLACE = "/srv/contract"
"""The folder of the reference tree in which the writing checks work."""


def reference_tree(root: Path) -> None:
    """Write the tree that the reading checks look at: a root with links, odd names, large and sparse files."""
    texts = {
        "etc/os-release": 'PRETTY_NAME="Debian GNU/Linux 12 (bookworm)"\nID=debian\nVERSION_ID="12"\n',
        "etc/hostname": "contract\n",
        "etc/fstab": "",
        "srv/caf\u00e9 \u65e5\u672c": "unicode\n",
        "srv/tiny": "x",
        "srv/empty": "",
    }
    for name, text in texts.items():
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_text(text, encoding="utf-8")
    for name in ("usr/bin", "var/lib", "boot", "tmp", "srv/many", PLACE.lstrip("/")):
        (root / name).mkdir(parents=True, exist_ok=True)
    links = {"bin": "usr/bin", "srv/loop": "loop", "srv/dangling": "nowhere", "srv/up": "../../../../etc/hostname"}
    links |= {"srv/absolute": "/etc/hostname", "srv/long": "/" + "y" * 200, "srv/folder": "/srv/many"}
    for name, target in links.items():
        (root / name).symlink_to(target)
    for index in range(300):
        (root / f"srv/many/file-with-a-fairly-long-name-{index:04d}").write_text(f"{index}\n", encoding="utf-8")
    noise = random.Random(1)
    (root / "srv/big").write_bytes(noise.randbytes(2_000_003))
    with (root / "srv/sparse").open("wb") as stream:
        for at in (0, 3_000_000, 8_000_000):
            stream.seek(at)
            stream.write(noise.randbytes(5000))
    (root / "srv/hard").hardlink_to(root / "srv/tiny")
    os.chmod(root / "srv/empty", 0o4751)
    os.utime(root / "srv/empty", ns=(1_000_000_000 * SECOND, 2_100_000_000 * SECOND))


class _Log:
    def __init__(self) -> None:
        self.said: list[str] = []

    def equal(self, found: object, wanted: object, what: str) -> None:
        if found != wanted:
            self.said.append(f"{what}: {found!r:.200}, should be {wanted!r:.200}")

    def raises(self, kind: type[Exception], call: Callable[[], object], what: str) -> None:
        names = kind.__name__
        try:
            call()
        except kind:
            return
        except Exception as error:  # noqa: BLE001 - whatever else comes is the violation that is told
            self.said.append(f"{what}: raised {type(error).__name__} ({error!s:.120}), should raise {names}")
            return
        self.said.append(f"{what}: raised nothing, should raise {names}")


# reading


def walk(guest: GuestFS, folder: str = "/") -> Iterator[str]:
    """Yield every path below a folder; links are not followed, and ``lost+found`` is passed over."""
    for name in guest.list(folder):
        if name == "lost+found":
            continue
        path = f"{folder.rstrip('/')}/{name}"
        yield path
        found = guest.stat(path, follow=False)
        if found is not None and found.kind == "dir":
            yield from walk(guest, path)


def reading_violations(
    guest: GuestFS, reference: GuestFS, *, times: int = SECOND, owners: bool = True, xattrs: bool = True
) -> list[str]:
    """Compare a guest with the tree that it was made from, and try what must fail.

    ``times`` is the exactness of modification times in nanoseconds (0: not compared). ``owners`` and
    ``xattrs`` switch off what the storage can't keep.
    """
    log = _Log()
    ours, theirs = list(walk(guest)), list(walk(reference))
    log.equal([p for p in ours if p not in set(theirs)], [], "names that are not in the tree")
    log.equal([p for p in theirs if p not in set(ours)], [], "names that are missing")
    for path in theirs:
        if path in set(ours):
            _same(log, guest, reference, path, (times, owners, xattrs))
    _lookups(log, guest)
    _failures(log, guest)
    return log.said


def _same(log: _Log, guest: GuestFS, reference: GuestFS, path: str, how: tuple[int, bool, bool]) -> None:
    mine, other = guest.stat(path, follow=False), reference.stat(path, follow=False)
    if mine is None or other is None:
        log.equal(mine, other, f"stat({path})")
        return
    times, owners, xattrs = how
    log.equal(mine.kind, other.kind, f"kind of {path}")
    if owners:
        log.equal((oct(mine.mode), mine.uid, mine.gid), (oct(other.mode), other.uid, other.gid), f"owner of {path}")
    if times:
        log.equal(mine.mtime_ns // times, other.mtime_ns // times, f"mtime of {path}")
    if mine.kind == "symlink" == other.kind:
        log.equal(guest.readlink(path), reference.readlink(path), f"readlink({path})")
    if mine.kind == "file" == other.kind:
        log.equal((mine.size, mine.nlink), (other.size, other.nlink), f"size and links of {path}")
        log.equal(_digest(guest, path), _digest(reference, path), f"content of {path}")
        if xattrs:
            log.equal(_xattrs(guest, path), _xattrs(reference, path), f"extended attributes of {path}")


def _digest(guest: GuestFS, path: str) -> str:
    with guest.open(path) as stream:
        return hashlib.sha256(stream.read()).hexdigest()


def _xattrs(guest: GuestFS, path: str) -> tuple[tuple[str, bytes], ...]:
    return tuple(item for item in guest.meta(path).xattrs if item[0] != "security.selinux")


def _lookups(log: _Log, guest: GuestFS) -> None:
    log.equal(guest.realpath("/bin/../../srv/./up"), "/etc/hostname", "realpath through links and dots")
    log.equal(guest.realpath("/srv/folder/new"), "/srv/many/new", "realpath of what does not exist")
    log.equal(guest.read("/srv/absolute"), b"contract\n", "reading through an absolute link")
    log.equal(guest.read("/../../etc/hostname"), b"contract\n", "reading above the root")
    log.equal(guest.stat("/srv/dangling"), None, "stat of a dangling link")
    log.equal(guest.stat("/etc/hostname/x"), None, "stat below a file")
    log.equal(guest.list("/nowhere"), (), "list of nothing")
    log.equal(guest.list("/etc/hostname"), (), "list of a file")
    log.equal(guest.list("/srv/many"), tuple(sorted(guest.list("/srv/many"))), "list is sorted")
    log.equal(len(guest.list("/srv/folder")), 300, "list through a link")
    with guest.open("/srv/big") as stream:
        stream.seek(2_000_000)
        log.equal(len(stream.read()), 3, "what is left after a seek")
    space = guest.space("/srv")
    if space is not None and not 0 <= space.free_bytes <= space.total_bytes:
        log.said.append(f"space: {space.free_bytes} of {space.total_bytes} bytes free")


def _failures(log: _Log, guest: GuestFS) -> None:
    log.raises(NotFound, lambda: guest.read("/nowhere"), "read of nothing")
    log.raises(NotFound, lambda: guest.meta("/nowhere"), "meta of nothing")
    log.raises(NotFound, lambda: guest.readlink("/etc/hostname"), "readlink of a file")
    log.raises(TooLarge, lambda: guest.read("/srv/big", 1000), "read beyond the limit")
    log.raises(SymlinkLoop, lambda: guest.read("/srv/loop"), "read of a link to itself")
    log.raises(Unreadable, lambda: guest.open("/srv"), "open of a folder")
    log.raises(NotFound, lambda: guest.read("/etc/\0"), "a NUL byte in a path")


# writing


def writing_violations(guest: GuestWriter, place: str = PLACE, *, xattrs: bool = True) -> list[str]:
    """Write, rename and remove in an empty folder of the guest, which is empty again afterwards."""
    log = _Log()
    for step in (_files, _links_and_folders, _renames, _refusals):
        try:
            step(log, guest, place, xattrs)
        except (OSError, GuestError) as error:
            log.said.append(f"{step.__name__.strip('_')}: {type(error).__name__}: {error}")
    log.equal(guest.list(place), (), "what is left over at the end")
    return log.said


def _files(log: _Log, guest: GuestWriter, place: str, xattrs: bool) -> None:
    pairs = (("security.selinux", b"system_u:object_r:etc_t:s0\0"), ("user.note", b"1")) if xattrs else ()
    meta = Meta(0o640, 12, 34, 1_600_000_000_123_456_700, 1_500_000_000_987_654_300, pairs)
    big = random.Random(2).randbytes(3_000_001)
    guest.put(f"{place}/big", iter([big[:1_000_000], big[1_000_000:]]), meta)
    log.equal(guest.read(f"{place}/big"), big, "content of a new file")
    found = guest.stat(f"{place}/big")
    kept = found and (found.mode, found.uid, found.gid, found.mtime_ns, found.atime_ns)
    log.equal(kept, (0o640, 12, 34, meta.mtime_ns, meta.atime_ns), "metadata of a new file")
    if xattrs:
        log.equal(guest.meta(f"{place}/big").xattrs, pairs, "extended attributes of a new file")
    guest.set_times(f"{place}/big", 1_000_000_100, 2_000_000_200)
    found = guest.stat(f"{place}/big")
    log.equal(found and (found.atime_ns, found.mtime_ns), (1_000_000_100, 2_000_000_200), "times that were set")
    guest.put(f"{place}/empty", [], Meta(0o4711))
    log.equal(guest.read(f"{place}/empty"), b"", "an empty file")
    found = guest.stat(f"{place}/empty")
    log.equal(found and oct(found.mode), "0o4711", "mode of an empty file")
    for name in ("big", "empty"):
        guest.drop(f"{place}/{name}")
    log.equal(guest.stat(f"{place}/big"), None, "stat after drop")


def _links_and_folders(log: _Log, guest: GuestWriter, place: str, xattrs: bool) -> None:
    guest.mkdir(f"{place}/folder", Meta(0o750, 5, 6))
    found = guest.stat(f"{place}/folder")
    log.equal(found and (found.kind, found.mode, found.uid, found.gid), ("dir", 0o750, 5, 6), "a new folder")
    guest.put_symlink(f"{place}/folder/link", "/etc/hostname", Meta(0o777, 7, 8))
    log.equal(guest.readlink(f"{place}/folder/link"), "/etc/hostname", "a new link")
    log.equal(guest.read(f"{place}/folder/link"), guest.read("/etc/hostname"), "reading through a new link")
    log.raises(OSError, lambda: guest.drop(f"{place}/folder"), "drop of a folder that is not empty")
    guest.drop(f"{place}/folder/link")
    guest.drop(f"{place}/folder")
    log.equal(guest.stat(f"{place}/folder", follow=False), None, "stat of a folder after drop")


def _renames(log: _Log, guest: GuestWriter, place: str, xattrs: bool) -> None:
    guest.put(f"{place}/one", [b"one"], Meta())
    guest.put(f"{place}/two", [b"two"], Meta(0o600))
    guest.keep(f"{place}/one", f"{place}/.one.kept")
    guest.rename(f"{place}/two", f"{place}/one")
    log.equal(guest.read(f"{place}/one"), b"two", "a file that another was renamed over")
    log.equal(guest.read(f"{place}/.one.kept"), b"one", "the second name of what was replaced")
    log.equal(guest.list(place), (".one.kept", "one"), "names after rename and keep")
    guest.put_symlink(f"{place}/link", "nowhere", Meta())
    guest.keep(f"{place}/link", f"{place}/link.kept")
    log.equal(guest.readlink(f"{place}/link.kept"), "nowhere", "a kept link")
    guest.rename(f"{place}/one", f"{place}/link")
    log.equal(guest.read(f"{place}/link"), b"two", "a link that a file was renamed over")
    for name in (".one.kept", "link", "link.kept"):
        guest.drop(f"{place}/{name}")


def _refusals(log: _Log, guest: GuestWriter, place: str, xattrs: bool) -> None:
    guest.put(f"{place}/there", [b"1"], Meta())
    log.raises(OSError, lambda: guest.put(f"{place}/there", [b"2"], Meta()), "put over a file")
    log.raises(OSError, lambda: guest.mkdir(f"{place}/there", Meta()), "mkdir over a file")
    log.raises(OSError, lambda: guest.put(f"{place}/none/x", [b"2"], Meta()), "put below a folder that is not there")
    log.raises(OSError, lambda: guest.drop(f"{place}/none"), "drop of nothing")
    log.raises(OSError, lambda: guest.rename(f"{place}/none", f"{place}/x"), "rename of nothing")
    log.equal(guest.read(f"{place}/there"), b"1", "a file that put was refused on")
    guest.drop(f"{place}/there")
