"""What depmod(8) writes about a kernel's modules, and the closure of what a module needs.

Sources: depmod(8), modules.dep(5), modprobe.d(5), the kernel's Documentation/kbuild/modules.rst.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from contextlib import suppress
from typing import TypeVar

from guestfix.base.errors import Corrupt
from guestfix.base.patterns import regex
from guestfix.base.record import field, frozen, mutable
from guestfix.formats.initramfs import kmodindex

T = TypeVar("T")
_SUFFIXES = (".ko", ".ko.xz", ".ko.zst", ".ko.gz")
_WILD = regex(r"[:*]")
_ALIAS_FILES = ("modules.alias", "modules.alias.bin", "modules.builtin.modinfo")
MAX_CLOSURE = 2000


def module_name(path: str) -> str:
    """Return the name that the kernel knows a module by: base name without suffixes, ``-`` as ``_``."""
    name = path.rsplit("/", 1)[-1]
    return name.removesuffix(_suffix(name)).replace("-", "_")


def _suffix(path: str) -> str:
    at = path.rfind(".ko")
    return path[at:] if at >= 0 and path[at:] in _SUFFIXES else ""


def compression(path: str) -> str:
    """Return the suffix that says how a module is compressed: .gz, .xz, .zst, or "" where it is not."""
    return _suffix(path).removeprefix(".ko")


def is_module(path: str) -> bool:
    """Tell whether a path is that of a module: .ko, .ko.gz, .ko.xz or .ko.zst."""
    return path.endswith(_SUFFIXES)


def alias_key(pattern: str) -> str:
    """Return an alias with ``-`` as ``_`` outside of brackets, as kmod looks it up."""
    if "[" not in pattern:
        return pattern.replace("-", "_")
    out, inside = [], False
    for char in pattern:
        inside = char == "[" or (inside and char != "]")
        out.append("_" if char == "-" and not inside else char)
    return "".join(out)


def _lines(data: bytes) -> list[str]:
    return data.decode("utf-8", "surrogateescape").splitlines()


def _dep_lines(data: bytes) -> dict[str, str]:
    found: dict[str, str] = {}
    for line in _lines(data):
        path, colon, needs = line.partition(":")
        if colon and is_module(path := path.strip()):
            found[path] = needs
    return found


def parse_dep(data: bytes) -> dict[str, list[str]]:
    """Return modules.dep as path -> paths needed, in file order. A line without a colon is passed over."""
    return {path: needs.split() for path, needs in _dep_lines(data).items()}


def parse_alias(data: bytes) -> list[tuple[str, str]]:
    """Return modules.alias as (pattern, module) in file order."""
    words = [line.split() for line in _lines(data)]
    return [(parts[1], parts[2].replace("-", "_")) for parts in words if len(parts) == 3 and parts[0] == "alias"]


def parse_softdep(data: bytes) -> dict[str, tuple[list[str], list[str]]]:
    """Return softdep lines as module -> (names before, names after).

    Lines of one module add up; modprobe(8) itself follows only the first of them.
    """
    found: dict[str, tuple[list[str], list[str]]] = {}
    for line in _lines(data):
        parts = line.split("#", 1)[0].split()
        if len(parts) < 2 or parts[0] != "softdep":
            continue
        lists = found.setdefault(parts[1].replace("-", "_"), ([], []))
        into: list[str] | None = None
        for part in parts[2:]:
            if part in ("pre:", "post:"):
                into = lists[part == "post:"]
            elif into is not None:
                into.append(part.replace("-", "_"))
    return found


def parse_builtin(data: bytes) -> set[str]:
    """Return the names in modules.builtin (or modules.order)."""
    return {module_name(line.strip()) for line in _lines(data) if line.strip()}


def parse_modinfo(data: bytes) -> dict[str, list[tuple[str, str]]]:
    """Return modules.builtin.modinfo as module -> (key, value): NUL-separated ``module.key=value``."""
    found: dict[str, list[tuple[str, str]]] = {}
    for item in data.decode("utf-8", "surrogateescape").split("\0"):
        name, dot, rest = item.partition(".")
        key, equals, value = rest.partition("=")
        if dot and equals:
            found.setdefault(name.replace("-", "_"), []).append((key, value))
    return found


def _dep_from_index(data: bytes) -> dict[str, str]:
    rows = sorted(kmodindex.read(data), key=lambda row: row[1])
    return _dep_lines("\n".join(row[2] for row in rows).encode("utf-8", "surrogateescape"))


def alias_from_index(data: bytes) -> list[tuple[str, str]]:
    """Return modules.alias.bin as (pattern, module). Raises Corrupt."""
    return [(key, value) for key, _, value in sorted(kmodindex.read(data), key=lambda row: row[1])]


@mutable
class Modules:
    """The modules of one kernel. Names are normalised; ``builtin`` are in the kernel itself.

    ``needs`` has what was found out otherwise than from modules.dep, whose lines are read when they are asked for.
    """

    paths: dict[str, str] = field(default_factory=dict)
    needs: dict[str, list[str]] = field(default_factory=dict)
    softdeps: dict[str, tuple[list[str], list[str]]] = field(default_factory=dict)
    builtin: set[str] = field(default_factory=set)
    files: Mapping[str, bytes] = field(default_factory=dict)
    _dep: dict[str, str] = field(default_factory=dict)
    _aliases: list[tuple[str, str]] | None = None
    _builtin_aliases: list[tuple[str, str]] | None = None
    _answers: dict[str, list[str]] = field(default_factory=dict)

    def needs_of(self, name: str) -> list[str]:
        """Return the modules that one depends on."""
        if name not in self.needs:
            self.needs[name] = [module_name(path) for path in self._dep.get(name, "").split()]
        return self.needs[name]

    @property
    def aliases(self) -> list[tuple[str, str]]:
        """All (pattern, module), built-in modules' own last. Read when asked for: a kernel has 25,000."""
        if self._aliases is None:
            self._aliases = list(_either(self.files, "modules.alias", parse_alias, alias_from_index))
            self._aliases += self._of_builtin()
        return self._aliases

    def _of_builtin(self) -> list[tuple[str, str]]:
        if self._builtin_aliases is None:
            table = parse_modinfo(self.files.get("modules.builtin.modinfo", b""))
            pairs = ((name, key, value) for name, pairs in table.items() for key, value in pairs)
            self._builtin_aliases = [(value, name) for name, key, value in pairs if key == "alias"]
        return self._builtin_aliases

    def resolve(self, name: str) -> list[str]:
        """Return the modules that modprobe(8) would load for a name or a literal alias, as present or built in."""
        name = name.replace("-", "_")
        if name in self.paths or name in self.builtin:
            return [name]
        if name not in self._answers:
            pairs = self.aliases if self._aliases is not None else self._lines_with(name)
            literal = [module for alias, module in pairs if alias_key(alias) == name and not _WILD.search(alias)]
            self._answers[name] = list(dict.fromkeys(literal))
        return self._answers[name]

    def _lines_with(self, name: str) -> list[tuple[str, str]]:
        """Return the aliases that may be this name, those of built-in modules last, without reading the whole table."""
        text, part = self.files.get("modules.alias", b""), max(name.split("_"), key=len)
        if not text or len(part) < 3:
            return self.aliases
        found: list[tuple[str, str]] = []
        at, wanted = 0, part.encode("utf-8", "surrogateescape")
        while (at := text.find(wanted, at)) >= 0:
            end = text.find(b"\n", at)
            end = len(text) if end < 0 else end
            found += parse_alias(text[text.rfind(b"\n", 0, at) + 1 : end])
            at = end
        return found + self._of_builtin()


@mutable
class Closure:
    """What loading some modules takes. ``order`` has no built-in ones; a module comes after what it needs.

    ``asker`` names for each module who asked for it first (nothing: the caller), ``softly`` are those whose
    asker did so by a soft dependency, ``soft`` all that only soft dependencies lead to. ``absent`` are
    names that this kernel doesn't have.
    """

    order: list[str] = field(default_factory=list)
    absent: list[str] = field(default_factory=list)
    asker: dict[str, str] = field(default_factory=dict)
    softly: set[str] = field(default_factory=set)
    soft: set[str] = field(default_factory=set)

    def because(self, name: str) -> str:
        """Return who asked for a module, as text; empty where the caller did."""
        asker = self.asker.get(name)
        return f"{asker} {'asks for it (softdep)' if name in self.softly else 'depends on it'}" if asker else ""


def load_index(files: Mapping[str, bytes]) -> Modules:
    """Return what the modules.* files of one folder say; text is taken where there is text, else the .bin.

    A damaged .bin file counts as absent.
    """
    found = Modules()
    found.files = {name: files[name] for name in _ALIAS_FILES if name in files}
    for path, needs in _either(files, "modules.dep", _dep_lines, _dep_from_index).items():
        name = module_name(path)
        found.paths[name], found._dep[name] = path, needs
    found.softdeps = parse_softdep(files.get("modules.softdep", b""))
    found.builtin = builtin_names(files)
    return found


def builtin_names(files: Mapping[str, bytes]) -> set[str]:
    """Return the modules that the kernel has built in, as the modules.builtin* files of one folder say."""
    found = parse_builtin(files.get("modules.builtin", b""))
    found |= parse_modinfo(files.get("modules.builtin.modinfo", b"")).keys()
    if not found and "modules.builtin.bin" in files:
        with suppress(Corrupt):
            found = {key for key, _, _ in kmodindex.read(files["modules.builtin.bin"])}
    return found


def _either(files: Mapping[str, bytes], name: str, text: Callable[[bytes], T], index: Callable[[bytes], T]) -> T:
    if not files.get(name) and f"{name}.bin" in files:
        with suppress(Corrupt):
            return index(files[f"{name}.bin"])
    return text(files.get(name, b""))


def closure(modules: Modules, wanted: Iterable[str]) -> Closure:
    """Return all that has to be there so that the wanted names can be loaded, soft dependencies included."""
    found = Closure()
    seen: set[str] = set()
    todo = [_Ask(name, "", False, False) for name in reversed(list(wanted))]
    while todo and len(seen) <= MAX_CLOSURE:
        ask = todo.pop()
        if ask.leave:
            found.order.append(ask.name)
            continue
        resolved = modules.resolve(ask.name)
        if not resolved and not ask.soft and ask.name not in found.absent:
            found.absent.append(ask.name)
            found.asker.setdefault(ask.name, ask.asker)
        for module in reversed(resolved):
            if module in modules.builtin:
                continue
            if module in seen:
                if not ask.soft:
                    _harden(modules, module, found)
                continue
            seen.add(module)
            _note(found, module, ask)
            todo += [_Ask(module, ask.asker, ask.soft, ask.softly, leave=True), *_asked(modules, module, ask.soft)]
    return found


@frozen
class _Ask:
    """A name to look at. ``soft`` where a soft dependency is on the way to it, ``softly`` where it is the last step."""

    name: str
    asker: str
    soft: bool
    softly: bool
    leave: bool = False


def _note(found: Closure, module: str, ask: _Ask) -> None:
    found.asker[module] = ask.asker
    if ask.soft:
        found.soft.add(module)
    if ask.softly:
        found.softly.add(module)


def _asked(modules: Modules, module: str, soft: bool) -> list[_Ask]:
    before, after = modules.softdeps.get(module, ([], []))
    hard = [_Ask(need, module, soft, False) for need in modules.needs_of(module)]
    return [_Ask(name, module, True, True) for name in [*after, *before]] + hard


def _harden(modules: Modules, module: str, found: Closure) -> None:
    """A module that so far only soft dependencies asked for is needed after all, and so is what it needs."""
    todo = [module]
    while todo:
        name = todo.pop()
        if name in found.soft:
            found.soft.discard(name)
            todo += modules.needs_of(name)
