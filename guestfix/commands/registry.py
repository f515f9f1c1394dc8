"""``guestfix registry``: look into a Windows registry hive, in a file or inside a guest. Writes nothing."""

from __future__ import annotations

import argparse
import mmap
import os
import sys
from collections.abc import Iterable, Iterator

from guestfix.base.errors import NotFound, Unreadable, UsageError
from guestfix.base.patterns import regex
from guestfix.commands.images import add_images, images_from
from guestfix.commands.parser import add_verb
from guestfix.formats.windows.regf.controlsets import expand
from guestfix.formats.windows.regf.hive import Hive, is_clean
from guestfix.formats.windows.regf.keys import Key, split_path
from guestfix.formats.windows.regf.names import printable
from guestfix.formats.windows.regf.roots import hive_root, inner_path
from guestfix.formats.windows.regf.store import BASE, BadHive, Buffer

LOGS = (".log1", ".log2", ".log")
FOLDERS = (
    "",
    *("/Windows/System32/config", "/WINNT/system32/config"),
    *(
        "/EFI/Microsoft/Boot",
        "/efi/EFI/Microsoft/Boot",
        "/boot/efi/EFI/Microsoft/Boot",
        "/Boot",
        "/system-reserved/Boot",
    ),
    *("/Users/*", "/Documents and Settings/*", "/Users/*/AppData/Local/Microsoft/Windows"),
    "/Documents and Settings/*/Local Settings/Application Data/Microsoft/Windows",
)
"""Where a guest's hive that is given by its name alone is looked for."""
BATCH = 1 << 16
SHOWN = 8
"""Names that are told of those that were left out."""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the actions and their arguments."""
    actions = parser.add_subparsers(dest="action", required=True, metavar="ls|get|export")
    listing = add_verb(actions, "ls", "print the names of a key's subkeys, one a line")
    getting = add_verb(actions, "get", "print a value's data, or all values of a key")
    exporting = add_verb(actions, "export", "print a key and all below it as text that regedit imports")
    for one in (listing, getting, exporting):
        _add_hive(one)
    listing.add_argument("key", metavar="KEY", nargs="?", default="", help=_KEY_HELP)
    getting.add_argument("key", metavar="KEY", help=_KEY_HELP)
    getting.add_argument("value", metavar="VALUE", nargs="?", help="name of the value; @ is the default value")
    exporting.add_argument("key", metavar="KEY", nargs="?", default="", help=_KEY_HELP)
    exporting.add_argument(
        "--prefix", metavar="NAME", help=r"what the hive's root is called (HKEY_LOCAL_MACHINE\SYSTEM)"
    )
    exporting.add_argument(
        "--encoding",
        choices=("utf-8", "utf-16"),
        default="utf-8",
        help="utf-8: plain ASCII but for names that are not; utf-16: regedit's own form, for any name",
    )


_DRIVE = regex(r"\A[A-Za-z]:")
_NO_HIVE = "give SYSTEM, SOFTWARE, SAM, SECURITY, DEFAULT, BCD, NTUSER.DAT, or the path of a hive in the guest"
_DAMAGED = "let Windows repair the hive, or take the one of a backup or a restore point"
_KEY_HELP = (
    r"path of a key, with backslashes, from the hive's root or in full (HKLM\SYSTEM\...), in any letter case;"
    " CurrentControlSet is the one that Select names"
)


def _add_hive(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "hive",
        metavar="HIVE",
        help="hive file; with --guest a path inside the guest, or just SYSTEM, SOFTWARE, BCD, NTUSER.DAT ...",
    )
    parser.add_argument("--guest", metavar="GUEST", help="directory or URI of the guest that holds the hive")
    add_images(parser)
    parser.add_argument(
        "--log",
        metavar="FILE",
        action="append",
        help="transaction log of a hive file that was not written to its end (default: .LOG1, .LOG2 beside it)",
    )


def run(args: argparse.Namespace) -> int:
    """Do the action and return the exit status."""
    try:
        hive = _open_in_guest(args) if args.guest else _open_file(args.hive, args.log)
        if hive.refusal:
            sys.stderr.write(f"guestfix: {args.hive}: {hive.refusal}; what follows may be incomplete\n")
        key, names = _find(hive, args.key, args.hive)
        if args.action == "export":
            _export(hive, key, names, args)
        else:
            {"ls": _list, "get": _get}[args.action](key, args)
    except BadHive as error:
        raise BadHive(error.what, where=args.hive, remedy=error.remedy or _DAMAGED) from error
    return 0


def _open_in_guest(args: argparse.Namespace) -> Hive:
    from guestfix.backends import open_guest
    from guestfix.formats.windows.regf.guestfile import open_guest_hive

    uri, path = args.guest, args.hive
    guest = open_guest(uri, **images_from(args))
    place = _DRIVE.sub("", path.replace("\\", "/")).strip("/")
    if "/" in place:
        return open_guest_hive(guest, f"/{place}")
    patterns = (f"{folder}/{place.replace('[', '[[]')}" for folder in FOLDERS)
    from guestfix.base.globs import glob

    found = next((paths for pattern in patterns if (paths := glob(guest, pattern))), ())
    if len(found) > 1:
        raise UsageError(f"there are several hives named {path}", where=uri, remedy=f"name one: {', '.join(found)}")
    if not found:
        raise NotFound(f"no hive {path} in this guest", where=uri, remedy=_NO_HIVE)
    return open_guest_hive(guest, found[0])


def _map(path: str) -> Buffer:
    try:
        with open(path, "rb") as stream:
            if os.fstat(stream.fileno()).st_size < BASE:
                return stream.read()
            return mmap.mmap(stream.fileno(), 0, access=mmap.ACCESS_READ)
    except IsADirectoryError as error:
        remedy = f"for a hive inside a guest: --guest {path} and the hive's name, such as SYSTEM"
        raise Unreadable("is a directory, not a hive", where=path, remedy=remedy) from error
    except (OSError, ValueError) as error:
        raise Unreadable(f"can't be read: {getattr(error, 'strerror', error)}", where=path) from error


def _open_file(path: str, logs: list[str] | None) -> Hive:
    """Open a hive of this machine. Without ``logs`` those beside it are used, where it needs them."""
    data = _map(path)
    needed = [] if is_clean(data) else _logs_beside(path) if logs is None else logs
    return Hive.open(data, [_map(log) for log in needed])


def _logs_beside(path: str) -> list[str]:
    folder, name = os.path.split(path)
    with os.scandir(folder or ".") as entries:  # a link or a pipe that has a log's name is none
        names = {one.name.lower(): one.name for one in entries if one.is_file(follow_symlinks=False)}
    found = (names.get(name.lower() + suffix) for suffix in LOGS)
    return [os.path.join(folder, one) for one in found if one]


_Found = tuple[Key, list[str], str | None]
"""The last key of a path that exists, the names on the way to it, and the name that it has no subkey of."""


def _find(hive: Hive, path: str, where: str) -> tuple[Key, list[str]]:
    """Return the key at path, and the names on the way to it as the hive spells them.

    Slashes serve as backslashes where there is no key with slashes in its name. A path may start with the
    hive's full name. Raises NotFound, which names the first key that is not there.
    """
    inner = inner_path(path, hive_root(hive.header.file_name, where))
    tried = [_follow(hive, place) for one in (inner, inner.replace("/", "\\")) for place in expand(hive, one)[:1]]
    for key, names, missing in tried:
        if missing is None:
            return key, names
    raise _no_key(path, tried, where)


def _follow(hive: Hive, path: str) -> _Found:
    key, names = hive.root, list[str]()
    for name in split_path(path):
        below = key.subkey(name)
        if below is None:
            return key, names, name
        key = below
        names.append(key.name)
    return key, names, None


def _no_key(path: str, tried: list[_Found], where: str) -> NotFound:
    """Return the error for a key that is not there."""
    from difflib import get_close_matches

    if not tried:
        return NotFound(f"no key {path}: Select names no control set that exists", where=where)
    key, names, missing = max(tried, key=lambda found: len(found[1]))
    subkeys = {one.name.lower(): one.name for one in key.subkeys()}
    near = get_close_matches(str(missing).lower(), subkeys, n=1)
    hint = f"is {subkeys[near[0]]} meant? " if near else ""
    parent = "\\".join(names) or "the root"
    return NotFound(
        f"no key {path}: {parent} has no subkey {missing}",
        where=where,
        remedy=f"{hint}guestfix registry ls prints the subkeys of a key",
    )


def _out(pieces: Iterable[str], encoding: str = "utf-8") -> None:
    """Write pieces of text to standard output in big steps."""
    batch: list[str] = []
    size = 0
    for piece in pieces:
        batch.append(piece)
        size += len(piece)
        if size > BATCH:
            sys.stdout.buffer.write("".join(batch).encode(encoding, "surrogatepass"))
            batch, size = [], 0
    sys.stdout.buffer.write("".join(batch).encode(encoding, "surrogatepass"))
    sys.stdout.buffer.flush()


def _list(key: Key, args: argparse.Namespace) -> None:
    _out(f"{printable(one.name)}\n" for one in key.subkeys())


def _get(key: Key, args: argparse.Namespace) -> None:
    from guestfix.formats.windows.regf.diff import show

    if args.value is None:
        _out(f"{show(value.name, value.type, value.data)}\n" for value in key.values())
        return
    value = key.value("" if args.value == "@" else args.value)
    if value is None:
        remedy = "without VALUE, guestfix registry get prints all values of a key"
        raise NotFound(f"no value {args.value!r} in key {args.key}", where=args.hive, remedy=remedy)
    text = value.text
    # a terminal must not be told what to do by a guest's data; a file or another program gets it as it is
    _out([f"{_shown(text) if sys.stdout.isatty() else text}\n"])


def _shown(text: str) -> str:
    return "\n".join(map(printable, text.splitlines()))


def _export(hive: Hive, key: Key, names: list[str], args: argparse.Namespace) -> None:
    from guestfix.formats.windows.regf.regexport import export

    path = "\\".join([args.prefix or hive_root(hive.header.file_name, args.hive), *names])
    wide = args.encoding == "utf-16"
    left_out: list[str] = []
    text = export(key, path, ascii_data=not wide, left_out=left_out)
    odd: list[str] = []
    if wide:
        _out(_marked(text), "utf-16-le")
    else:
        _out(_noting(text, odd))
    if left_out:
        shown = "; ".join(printable(one) for one in left_out[:SHOWN]) + (" ..." if len(left_out) > SHOWN else "")
        reason = "a line break or NUL in a name has no form in a .reg file"
        sys.stderr.write(f"guestfix: left out, since {reason}: {len(left_out)}: {shown}\n")
    if odd:
        sys.stderr.write("guestfix: some names are not ASCII; for regedit, export with --encoding utf-16\n")


def _marked(text: Iterable[str]) -> Iterator[str]:
    yield "\ufeff"
    yield from text


def _noting(text: Iterable[str], odd: list[str]) -> Iterator[str]:
    """Yield the text, and note the first piece that is not ASCII."""
    for piece in text:
        if not odd and not piece.isascii():
            odd.append(piece)
        yield piece
