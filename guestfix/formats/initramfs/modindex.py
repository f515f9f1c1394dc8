"""Merge modules into the modules.* files of an initramfs, text and kmod's .bin alike.

What is there stays as it is; lines and rows for the added modules follow (modules.dep(5), depmod(8)).
"""

from __future__ import annotations

from collections.abc import Container, Iterable, Mapping

from guestfix.base.edit import append_lines
from guestfix.base.errors import Corrupt
from guestfix.base.record import field, frozen, mutable
from guestfix.formats.initramfs import kmodindex
from guestfix.formats.initramfs.moddep import alias_key, module_name, parse_alias, parse_dep


@frozen
class Added:
    """A module that is put into an image. ``path`` and ``needs`` (all it depends on) count from the modules' folder.

    ``symbols`` are the aliases in modules.symbols, which the kernel's symbol_request() asks for.
    """

    name: str
    path: str
    needs: tuple[str, ...] = ()
    aliases: tuple[str, ...] = ()
    softdeps: tuple[str, ...] = ()
    devname: str = ""
    symbols: tuple[str, ...] = ()


@mutable
class _Tables:
    old: Mapping[str, bytes]
    new: dict[str, bytes] = field(default_factory=dict)

    def text(self, name: str, lines: Iterable[str]) -> None:
        """Add those lines to a text file that it doesn't have yet."""
        old = self.new.get(name, self.old.get(name, b""))
        known = set(old.decode("utf-8", "surrogateescape").splitlines())
        fresh = [line for line in lines if line not in known]
        if fresh:
            self.new[name] = append_lines(old, *(line.encode("utf-8", "surrogateescape") for line in fresh))

    def drop(self, name: str, stale: set[str]) -> None:
        """Take the lines of these modules out of modules.dep: of two lines only the first would count."""
        old = self.old.get(name, b"")
        kept = [line for line in old.splitlines(keepends=True) if module_name(_path(line)) not in stale]
        if len(kept) < len(old.splitlines()):
            self.new[name] = b"".join(kept)

    def index(
        self, name: str, from_text: list[kmodindex.Row], rows: list[kmodindex.Row], stale: Container[str] = ()
    ) -> None:
        """Add rows to an index, without those of stale keys; absent or damaged, it is made from the text."""
        try:
            old = kmodindex.read(self.old[name]) if self.old.get(name) else from_text
        except Corrupt:
            old = from_text
        old = [row for row in old if row[0] not in stale]
        known = {(key, value) for key, _, value in old}
        base = max((priority for _, priority, _ in old), default=-1) + 1
        fresh = [(key, base + number, value) for key, number, value in rows if (key, value) not in known]
        if fresh or name not in self.old:
            self.new[name] = kmodindex.write([*old, *fresh])


def _path(line: bytes) -> str:
    return line.split(b":", 1)[0].strip().decode("utf-8", "surrogateescape")


def _dep_line(path: str, needs: Iterable[str]) -> str:
    return " ".join([f"{path}:", *needs])


def _dep_rows(table: Mapping[str, Iterable[str]]) -> list[kmodindex.Row]:
    return [(module_name(path), n, _dep_line(path, needs)) for n, (path, needs) in enumerate(table.items())]


def _alias_rows(pairs: Iterable[tuple[str, str]]) -> list[kmodindex.Row]:
    return [(alias_key(pattern), number, module) for number, (pattern, module) in enumerate(pairs)]


def merge(old: Mapping[str, bytes], added: list[Added]) -> dict[str, bytes]:
    """Return the modules.* files that change or are new, by base name.

    An image that has only the .bin or only the text of a table keeps it so; one that has neither gets both,
    except modules.symbols, which nothing that mounts a root asks for.
    """
    tables = _Tables(old)
    dep_text, dep_bin = _forms(old, "modules.dep")
    stale = {one.name for one in added}
    if dep_text:
        tables.drop("modules.dep", stale)
        tables.text("modules.dep", [_dep_line(one.path, one.needs) for one in added])
    if dep_bin:
        before = _dep_rows(parse_dep(old.get("modules.dep", b"")))
        tables.index("modules.dep.bin", before, _dep_rows({one.path: one.needs for one in added}), stale)
    _merge_aliases(tables, "modules.alias", [(alias, one.name) for one in added for alias in one.aliases])
    if "modules.symbols" in old or "modules.symbols.bin" in old:
        _merge_aliases(tables, "modules.symbols", [(alias, one.name) for one in added for alias in one.symbols])
    tables.text("modules.softdep", [f"softdep {one.name} {line}" for one in added for line in one.softdeps])
    tables.text("modules.devname", [one.devname for one in added if one.devname])
    return tables.new


def _merge_aliases(tables: _Tables, name: str, pairs: list[tuple[str, str]]) -> None:
    text, index = _forms(tables.old, name)
    if text:
        tables.text(name, [f"alias {pattern} {module}" for pattern, module in pairs])
    if index:
        before = _alias_rows(parse_alias(tables.old.get(name, b"")))
        tables.index(f"{name}.bin", before, _alias_rows(pairs))


def _forms(old: Mapping[str, bytes], name: str) -> tuple[bool, bool]:
    text, index = name in old, f"{name}.bin" in old
    return (True, True) if not text and not index else (text, index)


def builtin_index(text: bytes) -> bytes:
    """Return modules.builtin.bin for a modules.builtin."""
    names = [module_name(line.strip()) for line in text.decode("utf-8", "surrogateescape").splitlines() if line.strip()]
    return kmodindex.write([(name, 0, "") for name in dict.fromkeys(names)])
