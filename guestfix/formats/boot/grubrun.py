"""What a grub.cfg amounts to: its menu and variables after GRUB would have run it. Nothing is executed.

A small interpreter over :mod:`guestfix.formats.boot.grubcfg`: variables, tests, if and for, functions, source
and configfile. The guest's files are seen through :class:`Host`. A command that only a machine could
answer (keystatus, cmostest) counts as GRUB would see it at an unattended boot. Work is bounded.
Source: GRUB manual "Writing full configuration files directly"; grub-core/normal/menu.c (default entry).
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Protocol

from guestfix.base.bounds import MENU_ENTRIES
from guestfix.formats.boot import grubcfg, grubsearch
from guestfix.formats.boot.grubbudget import Boot, Budget
from guestfix.formats.boot.grubcfg import Node, Script
from guestfix.formats.boot.grubitems import FEATURES, BlsHere, Context, Item, MenuEntry, Result
from guestfix.formats.boot.grubtest import evaluate
from guestfix.formats.shellvars import decode

MAX_BLS_HERE = 4
"""Times that one menu may list the BLS entries."""

MAX_ENTRIES = MENU_ENTRIES
MAX_DEPTH = 100
MAX_VALUE = 65_536
"""Characters in a variable; what is longer is cut."""

MAX_WORDS = 10_000

_FALSE = frozenset(("false", "keystatus", "cmostest", "hiddenentry", "background_image", "probe", "smbios", "cpuid"))
_OPTIONS_WITH_VALUE = frozenset(("--class", "--users", "--hotkey", "--source", "--id"))

LOADERS = frozenset(("linux", "linux16", "linuxefi", "initrd", "initrd16", "initrdefi", "module", "module2"))


class Host(Protocol):
    """The guest's files as GRUB sees them: paths may begin with ``(device)``, or lie on /boot's filesystem."""

    def exists(self, path: str) -> bool:
        """Tell whether a file or folder is there."""

    def read(self, path: str) -> tuple[str, bytes] | None:
        """Return the guest path and bytes of a configuration file, or None."""

    def environment(self, path: str) -> Mapping[str, str]:
        """Return the variables of an environment block."""

    def volume(self, search: grubsearch.Search) -> str | None:
        """Return the name of the device that a search finds; empty where that can't be told, None for none."""

    def slot(self) -> str:
        """Return the PARTUUID of the /usr whose turn it is by the priorities of GPT entries; empty for none."""


class Machine:
    """Runs one loader's scripts."""

    def __init__(self, host: Host, env: Mapping[str, str], budget: Budget | None = None) -> None:
        self.host = host
        self.budget = budget or Budget()
        self.env = {**dict.fromkeys(FEATURES, "y"), "?": "0", **env}
        self.functions: dict[str, tuple[Node, Script]] = {}
        self.exported: set[str] = set()
        self.items: list[Item] = []
        self.reasons: list[str] = []
        self.visited: list[str] = []
        self.path = ""
        self.script = grubcfg.parse(b"")
        self.depth = self.count = self.listed = 0
        self.linux: list[tuple[Node, list[str]]] = []
        self.initrds: list[str] = []
        self.lost: list[grubsearch.Search] = []

    def run_file(self, path: str, src: bytes) -> None:
        """Run a configuration file from top to end."""
        before = self.path, self.script
        self.path, self.script = path, grubcfg.parse(src)
        self.visited.append(path)
        try:
            self.run(self.script.nodes)
        finally:
            self.path, self.script = before

    def run(self, nodes: list[Node]) -> bool:
        """Run commands; return what the last one returned."""
        found = True
        self.depth += 1
        if self.depth > MAX_DEPTH:
            raise Boot("files, functions or blocks within each other without end")
        for node in nodes:
            self.budget.take("steps", 1)
            found = self.command(node)
            self.env["?"] = "0" if found else "1"
        self.depth -= 1
        return found

    def command(self, node: Node) -> bool:
        """Run one command."""
        name = node.name
        if name in (b"menuentry", b"submenu"):
            return self.menu_entry(node)
        if name == b"if":
            return self.branch(node)
        if name in (b"for", b"while", b"until"):
            return self.loop(node)
        if name == b"function":
            words = self.words(node)
            if words:
                self.functions[words[0]] = node, self.script
            return True
        words = self.words(node)
        text = self.expand_one(name)
        if "=" in text and text[:1].isidentifier():
            return self.assign([text])
        if text in LOADERS:
            return self.load(node, text, words)
        return self.builtin(text, words)

    def branch(self, node: Node) -> bool:
        """Run the first branch whose condition holds."""
        for condition, body in node.branches or ():
            if condition is None or self.run(condition):
                return self.run(body)
        return True

    def loop(self, node: Node) -> bool:
        """Run a for loop; the conditions of while and until are not followed beyond one round."""
        if node.name == b"for":
            words = self.words(node)
            for word in words[2:] if words[1:2] == ["in"] else []:
                self.set(words[0], word)
                self.run(node.block or [])
            return True
        condition = node.branches[0][0] if node.branches else None
        if condition is not None and self.run(condition) == (node.name == b"while"):
            self.reasons.append("a loop whose end can't be told was run once")
            return self.run(node.block or [])
        return True

    def menu_entry(self, node: Node) -> bool:
        """Add an entry to the menu; a submenu's own entries are found when it is opened."""
        if self.count >= MAX_ENTRIES:
            raise Boot("too many menu entries")
        self.count += 1
        title, identity = self.title_and_id(node)
        line = self.line_of(node)
        is_submenu = node.name == b"submenu"
        words = self.words(node)
        restricted = "--unrestricted" not in words or any(word.partition("=")[0] == "--users" for word in words)
        menu = Context(self.budget, self.env, self.functions, self.exported)
        self.items.append(MenuEntry(title, identity, node, self.script, self.path, line, menu, is_submenu, restricted))
        return True

    def title_and_id(self, node: Node) -> tuple[str, str]:
        """Return an entry's title and id; without --id, GRUB takes the title for both."""
        words, title, identity, at = self.words(node), None, "", 0
        while at < len(words):
            word = words[at]
            if word in _OPTIONS_WITH_VALUE:
                at += 1
                if word == "--id" and at < len(words):
                    identity = words[at]
            elif word.startswith("--id="):
                identity = word[5:]
            elif not word.startswith("--") and title is None:
                title = word
            at += 1
        return title or "", identity or title or ""

    def line_of(self, node: Node) -> int:
        """Return the 1-based line of a command of the present file."""
        return self.script.line_of(node.start)

    def words(self, node: Node) -> list[str]:
        """Return a command's words with everything expanded."""
        found: list[str] = []
        for start, end in grubcfg.raw_words(self.script.src, node):
            raw = self.script.src[start:end]
            text = grubcfg.literal(raw)
            if text is not None:
                found.append(text)
            else:
                found += self.expand(raw)
        return found

    def expand_one(self, raw: bytes) -> str:
        """Return one word expanded, without splitting."""
        text = grubcfg.literal(raw)
        return text if text is not None else " ".join(self.expand(raw))

    def expand(self, raw: bytes) -> list[str]:
        """Expand a word; a variable outside quotes may become several words, or none."""
        fields: list[str] = []
        current: str | None = None
        for kind, part in grubcfg.parts_of(raw):
            if len(current or "") > MAX_VALUE or len(fields) > MAX_WORDS:
                break
            if kind in ("text", "quoted"):
                current = (current or "") + decode(part)
                continue
            value = self.env.get(decode(part), "")
            self.budget.take("text", len(value))
            if kind == "quoted-variable":
                current = (current or "") + value
                continue
            pieces = value.split()
            if pieces:
                fields += [(current or "") + pieces[0], *pieces[1:]] if len(pieces) > 1 else []
                current = fields.pop() if len(pieces) > 1 else (current or "") + pieces[0]
        return [*fields, current[:MAX_VALUE]] if current is not None else fields

    def set(self, name: str, value: str) -> None:
        """Set a variable; ``root`` loses parentheses around a device (kern/main.c)."""
        inside = name == "root" and value.startswith("(") and value.endswith(")")
        self.env[name] = value[1:-1] if inside else value[:MAX_VALUE]

    def assign(self, words: list[str]) -> bool:
        """Do ``set name=value``."""
        for word in words[:1]:
            name, equals, value = word.partition("=")
            if equals:
                self.set(name, value)
        return True

    # commands

    def builtin(self, name: str, words: list[str]) -> bool:
        """Run a command that is no part of the grammar. One that isn't known succeeds."""
        if name in self.functions:
            return self.call(name, words)
        if name == "[" or name == "test":
            return evaluate(words[:-1] if name == "[" and words[-1:] == ["]"] else words, self.exists)
        if name == "set":
            return self.assign(words)
        if name == "export":
            self.exported.update(words)
            return True
        if name == "unset":
            for word in words:
                self.env.pop(word, None)
            return True
        if name in ("load_env", "source", ".", "configfile", "normal", "extract_entries_configfile"):
            return self.read_other(name, words)
        if name.startswith("search"):
            return self.search(name, words)
        if name == "gptprio.next":
            return self.next_slot(words)
        if name == "blscfg":
            self.listed += 1
            if self.listed <= MAX_BLS_HERE:
                self.items.append(BlsHere(dict(self.env), self.path, 0))
            return True
        if name == "regexp":
            return False
        return name not in _FALSE

    def exists(self, path: str) -> bool:
        """Tell whether a file or folder is there."""
        self.budget.take("looks", 1)
        return self.host.exists(path)

    def call(self, name: str, words: list[str]) -> bool:
        """Call a function; its positional parameters hide the caller's."""
        node, script = self.functions[name]
        before = self.script, {key: self.env.get(key, "") for key in "123456789"}
        self.script = script
        self.env |= {str(at): word for at, word in enumerate(words[:9], 1)}
        try:
            return self.run(node.block or [])
        finally:
            self.script = before[0]
            self.env |= before[1]

    def read_other(self, name: str, words: list[str]) -> bool:
        """Do load_env, source and configfile."""
        self.budget.take("looks", 1)
        files = [word for at, word in enumerate(words) if not word.startswith("-") and words[at - 1 : at] != ["-f"]]
        if name == "load_env":
            chosen = words[words.index("-f") + 1] if "-f" in words[:-1] else ""
            found = self.host.environment(chosen or f"{self.env.get('prefix', '')}/grubenv")
            self.budget.take("read", 4096 + sum(len(key) + len(value) for key, value in found.items()))
            wanted = [one for one in files if one != chosen]
            for key, value in found.items():
                if not wanted or key in wanted:
                    self.set(key, value)
            return True
        other = self.host.read(files[0] if files else f"{self.env.get('prefix', '')}/grub.cfg")
        if other is None:
            return False
        self.budget.take("read", len(other[1]))
        if name in ("source", "."):
            self.run_file(*other)
            return True
        self.items, self.functions = [], {}
        self.env["config_file"] = other[0]
        self.env["config_directory"] = other[0].rpartition("/")[0]
        self.run_file(*other)
        raise Boot("")

    def search(self, name: str, words: list[str]) -> bool:
        """Do search: the variable gets what the host calls the device, or one that stands for any device."""
        wanted = grubsearch.parse(name, words)
        found = self.host.volume(wanted) if wanted else ""
        if wanted and found is None:
            self.lost.append(wanted)
        elif wanted and wanted.variable:
            before = self.env.get("root", "hd0") or "hd0"
            self.set(wanted.variable, found or ("hd0" if before.startswith("@") else before))
        return found is not None

    def next_slot(self, words: list[str]) -> bool:
        """Do gptprio.next of container hosts: ``-u`` names the variable for a PARTUUID, ``-d`` the one for a device."""
        found, options = self.host.slot(), dict(zip(words[::2], words[1::2], strict=False))
        for option, value in (("-u", found), ("-d", self.env.get("root", "hd0") if found else "")):
            if found and option in options:
                self.set(options[option], value)
        return bool(found)

    def load(self, node: Node, name: str, words: list[str]) -> bool:
        """Remember what an entry loads."""
        if name.startswith("initrd") or (name.startswith("module") and self.linux):
            self.initrds += [word for word in words if not word.startswith("--")]
        elif words and (name.startswith("linux") or "vmlinu" in words[0]):
            self.linux.append((node, words))
        return True


def run(host: Host, path: str, src: bytes, env: Mapping[str, str]) -> Result:
    """Run a grub.cfg and return its menu. Never fails; what could not be followed is in ``reasons``."""
    machine = Machine(host, env)
    machine.env.setdefault("config_file", path)
    machine.env.setdefault("config_directory", path.rpartition("/")[0])
    try:
        machine.run_file(path, src)
    except Boot as reason:
        if str(reason):
            machine.reasons.append(str(reason))
    last, seen = machine.visited[-1] if machine.visited else path, machine.visited
    return Result(machine.env.get("config_file", last), machine.items, machine.env, machine.reasons, seen, machine.lost)


def open_entry(host: Host, entry: MenuEntry, result: Result) -> Machine:
    """Run one entry's commands: the machine then has its ``linux`` and ``initrds``, or a submenu's items."""
    env = entry.menu.for_submenu() if entry.is_submenu else entry.menu.env
    machine = Machine(host, env, entry.menu.budget)
    machine.functions, machine.exported = dict(entry.menu.functions), set(entry.menu.exported)
    machine.path, machine.script = entry.path, entry.script
    try:
        machine.run(entry.node.block or [])
    except Boot as reason:
        if str(reason):
            result.reasons.append(str(reason))
    return machine
