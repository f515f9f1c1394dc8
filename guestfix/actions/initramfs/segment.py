"""Build what is added to an initramfs: modules, their indexes, what loads them early."""

from __future__ import annotations

import re
import stat
from collections.abc import Iterable
from typing import IO

from guestfix.base.edit import Splice, append_lines
from guestfix.base.errors import GuestError
from guestfix.base.guest import GuestFS
from guestfix.base.patterns import regex
from guestfix.base.record import field, mutable
from guestfix.base.spliced import open_spliced
from guestfix.detect.files import read_small
from guestfix.detect.initramfs.check import Verdict
from guestfix.detect.initramfs.held import Stored
from guestfix.detect.initramfs.modules import LIMIT, KernelModules, module_bytes
from guestfix.formats import shellvars
from guestfix.formats.initramfs import cpio, modprobe
from guestfix.formats.initramfs.compress import compress
from guestfix.formats.initramfs.extend import extend
from guestfix.formats.initramfs.image import Image, scan
from guestfix.formats.initramfs.moddep import compression, parse_alias
from guestfix.formats.initramfs.modindex import Added, builtin_index, merge

_LINK = stat.S_IFLNK | 0o777
_FILE, _DIR = stat.S_IFREG | 0o644, stat.S_IFDIR | 0o755
_SYSTEMD_LOADER = ("usr/lib/systemd/systemd-modules-load", "lib/systemd/systemd-modules-load")
_START_MODULES = regex(rb'^[ \t]*modules="\$RESOLVED_INITRD_MODULES"[ \t]*\n', re.MULTILINE)


@mutable
class Segment:
    """The files to add, by name in the image. ``early`` says how they get loaded, empty if by alias alone."""

    image: Image
    files: dict[str, tuple[int, bytes]] = field(default_factory=dict)
    early: list[str] = field(default_factory=list)
    unread: list[tuple[str, str]] = field(default_factory=list)

    def put(self, name: str, data: bytes) -> None:
        """Add a file, under the name that the image's symbolic links lead to; an existing one keeps its mode."""
        place = self.image.resolve(name)
        known = self.image.entries.get(place)
        self.files[place] = (known.mode if known is not None and not known.target else _FILE, data)

    def text(self, name: str) -> bytes:
        """Return what the image holds under a name after what was put so far; empty where nothing is."""
        place = self.image.resolve(name)
        return self.files[place][1] if place in self.files else self.image.files.get(place, b"")

    def members(self) -> list[tuple[str, int, bytes]]:
        """Return the members to add: folders that the last archive lacks, then files, in the order of their names.

        A folder of an archive before it comes again, with its mode: some unpackers give each archive its own place.
        """
        folders: dict[str, int] = {}
        for name in self.files:
            while "/" in name:
                name = name.rpartition("/")[0]
                known = self.image.entries.get(name)
                if known is None:
                    folders[name] = _DIR
                elif known.is_dir and known.segment < len(self.image.segments) - 1:
                    folders[name] = known.mode
        members = [(name, mode, b"") for name, mode in sorted(folders.items())]
        for name, (mode, data) in sorted(self.files.items()):
            known = self.image.entries.get(name)
            if known is not None and known.shared:
                # A link in the file's place makes the kernel unlink it, so that no other name changes with it.
                members.append((name, _LINK, b"guestfix"))
            members.append((name, mode, data))
        return members


def build(guest: GuestFS, found: Verdict, stored: Iterable[Stored] = ()) -> Segment:
    """Return the segment that gives an image what its verdict says is missing or blocked in it, and what is stored."""
    assert found.image is not None and found.contents is not None and found.kernel is not None
    segment = Segment(found.image)
    if found.missing:
        added = _add_modules(guest, found, segment)
        _add_indexes(found, segment, added)
        _load_early(found, segment)
    for name in dict.fromkeys(block.path for block in found.blocked if block.inside):
        segment.put(name, modprobe.allow(segment.text(name), found.needed))
    for one in stored:
        if one.fixed and one.after is not None:
            segment.put(one.name, one.after)
        elif one.fixed:
            segment.files[one.name] = (_LINK, one.link.encode())
    return segment


def _add_modules(guest: GuestFS, found: Verdict, segment: Segment) -> list[Added]:
    assert found.contents is not None and found.kernel is not None
    contents, kernel = found.contents, found.kernel
    suffixes = {compression(path) for path in contents.modules.values()}
    flat = (
        contents.generator == "mkinitrd-rh"
        and bool(contents.modules)
        and not any(path.startswith(contents.folder) for path in contents.modules.values())
    )
    places: dict[str, str] = {}
    for name in found.missing:
        path = _relative(kernel.modules.paths[name], found.boot.kernel)
        keep = compression(path) in suffixes or compression(path) == ""
        places[name] = path if keep else path.removesuffix(compression(path))
        try:
            data = module_bytes(guest, kernel.place(name), unpack=not keep)
        except GuestError as error:
            segment.unread.append((kernel.place(name), error.what))
            continue
        segment.put(f"lib/{places[name].rsplit('/', 1)[-1]}" if flat else f"{contents.folder}/{places[name]}", data)
    if flat:
        return []
    present = {name: _relative(path, found.boot.kernel) for name, path in contents.modules.items()}
    symbols = _symbols(guest, kernel, places)
    return [_added(kernel, name, places[name], {**present, **places}, symbols.get(name, [])) for name in places]


def _symbols(guest: GuestFS, kernel: KernelModules, names: Iterable[str]) -> dict[str, list[str]]:
    """Return the aliases that the guest's modules.symbols has for these modules."""
    wanted: dict[str, list[str]] = {name: [] for name in names}
    data = read_small(guest, f"{kernel.folder}/modules.symbols", LIMIT) if kernel.indexed else None
    for alias, module in parse_alias(data or b""):
        if module in wanted:
            wanted[module].append(alias)
    return wanted


def _relative(path: str, release: str) -> str:
    """Return a module's path below its kernel's folder; old depmods wrote absolute ones."""
    marker = f"lib/modules/{release}/"
    return path.split(marker, 1)[1] if marker in path else path.lstrip("/")


def _added(kernel: KernelModules, name: str, path: str, places: dict[str, str], symbols: list[str]) -> Added:
    modules = kernel.modules
    needs = [places[need] for need in modules.needs_of(name) if need in places]
    aliases = [pattern for pattern, module in modules.aliases if module == name]
    before, after = modules.softdeps.get(name, ([], []))
    words = (["pre:", *before] if before else []) + (["post:", *after] if after else [])
    lines = kernel.files.get("modules.devname", b"").decode("utf-8", "surrogateescape").splitlines()
    devname = next((line for line in lines if line.split(" ", 1)[0].replace("-", "_") == name), "")
    lines_of_softdep = (" ".join(words),) if words else ()
    return Added(name, path, tuple(needs), tuple(aliases), lines_of_softdep, devname, tuple(symbols))


def _add_indexes(found: Verdict, segment: Segment, added: list[Added]) -> None:
    assert found.image is not None and found.contents is not None and found.kernel is not None
    if not added:
        return
    prefix = found.image.resolve(found.contents.folder) + "/"
    old = {name.removeprefix(prefix): data for name, data in found.image.files.items() if name.startswith(prefix)}
    changed = merge(old, added)
    builtin = found.kernel.files.get("modules.builtin")
    if builtin and not any(name.startswith("modules.builtin") for name in old):
        changed |= {"modules.builtin": builtin, "modules.builtin.bin": builtin_index(builtin)}
    for name, data in changed.items():
        segment.put(f"{found.contents.folder}/{name}", data)


def _load_early(found: Verdict, segment: Segment) -> None:
    """Name the target's drivers where this kind of image loads modules before it looks for the root."""
    assert found.contents is not None and found.image is not None
    maker, names = found.contents.generator, found.wanted
    if not names:
        return
    if maker == "initramfs-tools":
        _early(segment, "conf/modules", _with_lines(segment.text("conf/modules"), names))
    elif maker == "mkinitcpio":
        _early(segment, "config", _with_words(segment.text("config"), "MODULES", names))
    elif maker == "mkinitrd-rh":
        _insmod(found, segment)
    elif maker == "mkinitrd-suse":
        _modules_of_start(segment, names)
    if found.image.has(*_SYSTEMD_LOADER):
        _early(segment, "etc/modules-load.d/guestfix.conf", _with_lines(b"", names))
    elif maker == "dracut" and found.image.has("etc/cmdline.d"):
        _early(segment, "etc/cmdline.d/99-guestfix.conf", f" rd.driver.pre={','.join(names)} \n".encode())
    elif maker == "dracut" and found.image.has("lib/dracut-lib.sh", "usr/lib/dracut-lib.sh"):
        _early(segment, "etc/cmdline", _with_arguments(segment.text("etc/cmdline"), names))


def _early(segment: Segment, name: str, data: bytes) -> None:
    segment.put(name, data)
    segment.early.append(name)


def _with_arguments(old: bytes, names: Iterable[str]) -> bytes:
    """Return /etc/cmdline for dracut before 014, which has no cmdline.d and takes one module an argument."""
    line = " ".join(f"{argument}={name}" for argument in ("rd.driver.pre", "rdloaddriver") for name in names)
    return append_lines(old, line.encode())


def _with_lines(old: bytes, names: Iterable[str]) -> bytes:
    known = {line.strip().replace(b"-", b"_") for line in old.splitlines()}
    fresh = [name.encode() for name in names if name.encode() not in known]
    return append_lines(old, *fresh) if fresh else old


def _with_words(old: bytes, variable: str, names: Iterable[str]) -> bytes:
    words = (shellvars.get(old, variable) or "").split()
    return shellvars.set_value(old, variable, " ".join([*words, *(name for name in names if name not in words)]))


def _insmod(found: Verdict, segment: Segment) -> None:
    """Load the modules by hand in a nash script, after the ones that it loads already."""
    script = segment.text("init") or segment.text("linuxrc")
    name = "init" if segment.text("init") else "linuxrc"
    assert found.kernel is not None
    lines = script.splitlines(keepends=True)
    at = max((number for number, line in enumerate(lines, 1) if line.lstrip().startswith(b"insmod ")), default=0)
    if not at:
        return
    names = [found.kernel.modules.paths[one].rsplit("/", 1)[-1] for one in found.missing]
    files = [one.removesuffix(compression(one)) for one in names]
    fresh = [f'echo "Loading {one}"\ninsmod /lib/{one}\n'.encode() for one in files]
    _early(segment, name, b"".join([*lines[:at], *fresh, *lines[at:]]))


def _modules_of_start(segment: Segment, names: Iterable[str]) -> None:
    """Add to what SUSE's mkinitrd loads in its first step: run_all.sh sets ``modules`` from INITRD_MODULES there."""
    script = segment.text("run_all.sh")
    match = _START_MODULES.search(script)
    if match is not None:
        line = f'modules="$modules {" ".join(names)}"\n'.encode()
        _early(segment, "run_all.sh", script[: match.end()] + line + script[match.end() :])


def pack(segment: Segment, stream: IO[bytes]) -> tuple[list[Splice], str]:
    """Return how an image changes, and how the report calls that. ``stream`` is the image.

    Where the last segment's compression lets it, its archive continues, so that every program that lists or unpacks an
    image sees what was added; that is read back before it is believed. Else an archive of the same compression follows
    directly, before any padding. An archive that isn't compressed has to begin at a multiple of four bytes, so zero
    bytes lead to it; after lzma, on whose end decoders don't agree, such an archive follows.
    """
    image, members = segment.image, segment.members()
    archive = cpio.write(members, cpio.LATEST)
    last = image.segments[-1]
    longer = extend(stream, image, archive)
    splices = list(longer.splices)
    if splices and (longer.proven or _reads_back(stream, image, members, splices)):
        return splices, f"the last archive ({_called(last.compression)}) continues from byte {splices[-1].offset}"
    if last.compression not in ("none", "lzma"):
        packed = compress(last.compression, archive)
        return [Splice(last.end, 0, packed)], f"an archive ({last.compression}) follows at byte {last.end}"
    lead = bytes(-image.size % 4 + 4)
    at = image.size + len(lead)
    return [Splice(image.size, 0, lead + archive)], f"an archive (not compressed) follows at byte {at}"


def _reads_back(stream: IO[bytes], image: Image, members: list[tuple[str, int, bytes]], splices: list[Splice]) -> bool:
    """Tell whether the changed last segment holds what it held, and the members."""
    seen = scan(open_spliced(stream, splices), lambda name: False, image.segments[-1].offset)
    number = len(image.segments) - 1
    before = {name: (one.mode, one.size) for name, one in image.entries.items() if one.segment == number}
    after = {name: (mode, len(content)) for name, mode, content in members}
    return seen.problem is None and before | after == {n: (one.mode, one.size) for n, one in seen.entries.items()}


def _called(kind: str) -> str:
    return "not compressed" if kind == "none" else kind
