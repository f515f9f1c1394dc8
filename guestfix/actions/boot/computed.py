"""Device arguments that a menu computes from variables in a way that no single assignment tells, written out.

What rewrites assignments (:mod:`guestfix.actions.boot.variables`) covers ``set x=/dev/sda2`` of the menu itself; here
is the rest: parts of names, words in words, variables of sourced files, of environment blocks and loops, a function's
words. An entry is evaluated again with all changes so far, and what still names an old device is written into its line.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

from guestfix.actions.boot.entries import text_of
from guestfix.actions.boot.menu import grub_word
from guestfix.actions.workbench import Workbench
from guestfix.base.bounds import MENU
from guestfix.base.catalog.facts.boot import BOOT_CONFIGS, BOOT_DEFAULT, BOOT_ESP
from guestfix.base.catalog.records.boot import MenuEntry
from guestfix.base.edit import Splice, apply_splices
from guestfix.base.facts import Evidence
from guestfix.editors.boot.args import DEVICE_ARGUMENTS, DeviceChange
from guestfix.formats.boot import argplaces, grubargs, grubcfg
from guestfix.formats.boot.cmdline import ArgLine, Rewrite, name_of, value_of
from guestfix.formats.boot.grubcfg import Node
from guestfix.formats.shellvars import encode

Words = dict[str, str | None]
"""What becomes of an entry's arguments, as they are evaluated; None for one that goes."""


def write_out(bench: Workbench, change: DeviceChange) -> None:
    """Write what an entry's device arguments come to into its line, where they are computed and name old devices."""
    entry = bench.facts.value(BOOT_DEFAULT)
    if entry is None or entry.loader not in ("grub2", "bls") or not _is_computed(bench, entry, change):
        return
    for (path, line), words in _left(bench, change).items():
        content = bench.fs.content(path, MENU)
        if words and isinstance(content, bytes):
            after = _in_menu(content, line, words) if line else _in_entry(content, words)
            if after != content:
                bench.fs.put(path, after)
                said = ", ".join(words)
                bench.find(
                    "GF-BOOT-VARIABLE",
                    "info",
                    f"the menu computes {said}, which is now written out",
                    Evidence(path, line),
                )


def _is_computed(bench: Workbench, entry: MenuEntry, change: DeviceChange) -> bool:
    """Tell whether the default names an old device, and its line has a variable."""
    named = [value_of(entry.args[at]) for at in _last(entry.args).values()]
    if not any(change.is_old(value) for value in named if value):
        return False
    found = text_of(bench, entry)
    if found is None:
        return False
    content, line = found
    rows = content.split(b"\n")
    return b"$" in (content if entry.loader == "bls" else rows[line - 1] if 0 < line <= len(rows) else b"")


def _last(args: Sequence[str]) -> dict[str, int]:
    """Return where each device argument stands that counts: the last of its name."""
    return {name_of(arg): at for at, arg in enumerate(args) if name_of(arg) in DEVICE_ARGUMENTS}


def _left(bench: Workbench, change: DeviceChange) -> dict[tuple[str, int], Words]:
    """Return by place what is still to be changed of each entry as it is evaluated now; nothing where two differ."""
    from guestfix.detect.boot.menu import grub2_menu
    from guestfix.detect.boot.places import Config
    from guestfix.formats.boot.entry import all_entries

    used = next((one for one in bench.facts.value(BOOT_CONFIGS, []) if one.used and one.loader == "grub2"), None)
    content = bench.fs.content(used.path, MENU) if used else None
    if used is None or not isinstance(content, bytes):
        return {}
    menu = grub2_menu(
        bench.fs, Config(used.path, "grub2", content, used.firmware), bench.facts.value(BOOT_ESP, "") or ""
    )
    found: dict[tuple[str, int], Words] = {}
    for entry in all_entries(menu.entries):
        place = entry.path, 0 if entry.loader == "bls" else entry.line
        line = ArgLine((), 0, 0, 0, initrd=bool(entry.initrd), kernel=entry.kernel)
        replaced = change.trial()(list(entry.args), line).replace
        last = _last(entry.args)
        words = {entry.args[at]: new for at, new in replaced.items() if last.get(name_of(entry.args[at])) == at}
        if entry.kernel:
            found[place] = words if found.get(place, words) == words else {}
    return found


def _in_menu(src: bytes, line: int, words: Mapping[str, str | None]) -> bytes:
    script = grubcfg.parse(src)
    for node in script.walk():
        if node.name in grubargs.LINUX and script.line_of(node.start) == line:
            return apply_splices(src, sorted(_changes(src, node, words), key=lambda one: one.offset))
    return src


def _changes(src: bytes, node: Node, words: Mapping[str, str | None]) -> Iterator[Splice]:
    """Yield the changes of one command: in the word that computes an argument, else behind all words."""
    spans = grubcfg.raw_words(src, node)[1:]
    for old, new in words.items():
        own = [span for span in spans if _computes(src[slice(*span)], name_of(old))]
        for start, end in own:
            yield Splice(start, end - start, grub_word(new)) if new else Splice(start - 1, end - start + 1, b"")
        if not own and new and any(b"$" in src[slice(*span)] for span in spans):
            yield Splice(spans[-1][1], 0, b" " + grub_word(new))


def _computes(raw: bytes, name: str) -> bool:
    return b"$" in raw and raw.lstrip(b"\"'").startswith(encode(name) + b"=")


def _in_entry(src: bytes, words: Mapping[str, str | None]) -> bytes:
    """Change the options of a file of its own (BLS)."""
    done: set[str] = set()

    def change(texts: Sequence[str], line: ArgLine) -> Rewrite:
        found = Rewrite()
        for old, new in words.items():
            own = [at for at, text in enumerate(texts) if "$" in text and name_of(text) == name_of(old)]
            found.replace |= dict.fromkeys(own, new)
            if not own and new and old not in done and any("$" in text for text in texts):
                found.add.append(new)
            done.add(old)
        return found

    return argplaces.rewrite(src, "bls", change)
