"""Debian's /etc/network/interfaces and the files that it sources."""

from __future__ import annotations

import re
from fnmatch import fnmatchcase

from guestfix.actions.network.common import Setup, begin
from guestfix.actions.network.lost import tell_lost
from guestfix.actions.workbench import Workbench
from guestfix.base.catalog.records.network import Nic
from guestfix.base.facts import Evidence
from guestfix.base.patterns import regex
from guestfix.detect.network.read import INTERFACES, debian
from guestfix.editors.network import interfaces as edit
from guestfix.formats.network import interfaces
from guestfix.formats.network.interfaces import Line
from guestfix.formats.network.nic import called


def apply(bench: Workbench, *, policy: str) -> None:
    """Apply the network policy to ifupdown's files."""
    setup = begin(bench, "ifupdown", policy)
    files = {path: setup.read(path) for path in debian(bench.fs).files}
    if policy in ("dhcp", "dhcp-first"):
        _dhcp(setup, files)
    if policy in ("preserve", "dhcp-first"):
        _keep(setup, files)
    if policy == "dhcp-first":
        others = [nic.name for nic in setup.own if setup.optional(nic)]
        for path in files:
            now = setup.read(path)
            setup.write(path, now, edit.optional(now, names=others))
    tell_lost(setup)


def _dhcp(setup: Setup, files: dict[str, bytes | None]) -> None:
    gone = [nic.name for nic in setup.own if setup.is_removed(nic)]
    if setup.primary is None and not setup.needs_profile and not gone:
        return
    logical = setup.primary.name if setup.primary is not None else "eth0" if setup.needs_profile else ""
    how, mapped = _raised(files)
    name = mapped.get(logical, logical) if logical not in how else logical
    drop = list(dict.fromkeys(one for one in gone if one != logical))
    drop += [logical] if name != logical else []
    drop += [one for one in how if one.startswith(f"{name}:") and one not in {nic.name for nic in setup.own}]
    bases = _bases(files, name, {*drop, *how})
    hooks = _hooks(files, set(drop))
    _tell_commands(setup, files, name)
    defined = False
    for path, before in files.items():
        after = edit.dhcp(before, name=name, drop=drop, up=name in how, leave_bonds=setup.leaves_bonds, bases=bases)
        defined = defined or _defines(after, name)
        setup.write(path, before, after)
    if name and not defined:
        now = setup.read(INTERFACES)
        setup.write(INTERFACES, now, edit.add(now, name=name))
        if setup.needs_profile:
            setup.added(INTERFACES)
    _move_hooks(setup, hooks, name, set(drop))


def _hooks(files: dict[str, bytes | None], drop: set[str]) -> list[tuple[Nic, Line]]:
    """Return the commands of interfaces that go which do more than set up the old network, with their interface."""
    return [
        (Nic(stanza.name, path, line.line), line)
        for path, src in files.items()
        for stanza in interfaces.parse(src or b"").stanzas
        if stanza.keyword == "iface" and stanza.name in drop
        for line in stanza.options
        if edit.is_hook(line)
    ]


def _move_hooks(setup: Setup, hooks: list[tuple[Nic, Line]], name: str, drop: set[str]) -> None:
    """Have what is not about an interface that goes run for the one that stays; name the rest."""
    moved: list[tuple[Nic, Line]] = []
    lost: list[tuple[Nic, Line]] = []
    for nic, line in hooks:
        (moved if name and not _is_about(setup, line.value, drop) else lost).append((nic, line))
    kept = [(line.keyword, line.value) for _, line in moved]
    for path in debian(setup.bench.fs).files if kept else ():
        before = setup.read(path)
        after = edit.with_hooks(before, name=name, hooks=kept)
        setup.write(path, before, after)
        if after != before:
            for nic, line in moved:
                _moved(setup, nic, line, name)
            break
    else:
        lost += moved
    for nic, line in lost:
        command = f"{line.keyword} {line.value}"
        setup.hook_lost(nic, command, Evidence(nic.path, line.line, command[:200]))


def _moved(setup: Setup, nic: Nic, line: Line, name: str) -> None:
    command = f"{line.keyword} {line.value}"
    summary = (
        f"{called(nic)} is taken out; a command that was run for it is run for {name} from now on: {command[:200]}"
    )
    place = Evidence(nic.path, line.line, command[:200])
    setup.bench.find("GF-NETWORK-HOOK-MOVED", "info", summary, place)


_REDIRECTED = regex(r"(?:<|-restore\s|\bnft\s+-f|\b(?:sh|bash)\s|\A)\s*(/[\w./+-]+)")


def _is_about(setup: Setup, command: str, names: set[str]) -> bool:
    """Tell whether a command, or a file that it reads, says an interface that goes, or the one it is run for."""
    said = regex(r"\$\{?(?:IFACE|LOGICAL|IF_|METHOD|ADDRFAM|PHASE|MODE)|(?<![\w.-])--?all\b")
    if said.search(command) or _names(command, names):
        return True
    texts = [setup.read(path) for path in _REDIRECTED.findall(command)[:4]]
    return any(text is None or _names(text.decode("utf-8", "replace"), names) for text in texts)


def _names(text: str, names: set[str]) -> bool:
    return any(re.search(rf"(?<![\w.-]){re.escape(name)}(?![\w-])", text) for name in names if name)


def _tell_commands(setup: Setup, files: dict[str, bytes | None], name: str) -> None:
    """Name the commands by which the interface that stays was set up for the old network, where nothing else does."""
    for path, src in files.items():
        for stanza in interfaces.parse(src or b"").stanzas:
            for line in stanza.options if stanza.keyword == "iface" and stanza.name == name else ():
                if edit.is_lost_command(line):
                    command = f"{line.keyword} {line.value}"
                    summary = f"{name} will take its address by DHCP and loses a command: {command[:200]}"
                    place = Evidence(path, line.line, command[:200])
                    setup.bench.find("GF-NETWORK-HOOK-LOST", "warning", summary, place)


def _bases(files: dict[str, bytes | None], name: str, others: set[str]) -> set[str]:
    """Return the stanzas that ``name`` inherits from, at any depth, and nothing else does."""
    parsed = [interfaces.parse(src or b"") for src in files.values()]
    heirs: dict[str, set[str]] = {}
    for one in (stanza for file in parsed for stanza in file.stanzas if stanza.keyword == "iface"):
        heirs.setdefault(one.terms[2], set()).add(one.name)
    found = {name}
    for _ in range(16):
        found |= {base for base, names in heirs.items() if base and names <= found and base not in others}
    return found - {name}


def _defines(src: bytes | None, name: str) -> bool:
    return any(one.name == name and one.method for one in interfaces.nics(src or b""))


def _raised(files: dict[str, bytes | None]) -> tuple[dict[str, str], dict[str, str]]:
    """Return how interfaces are raised, and the physical name of each logical one that is reached by a mapping."""
    how: dict[str, str] = {}
    mapped: dict[str, str] = {}
    patterns: list[str] = []
    logical: list[str] = []
    for src in files.values():
        found = interfaces.parse(src or b"")
        how |= interfaces.raised(found)
        for stanza in found.stanzas:
            if stanza.keyword == "mapping":
                patterns += stanza.words
            elif stanza.keyword == "iface":
                logical.append(stanza.name)
            for word in stanza.words if stanza.keyword in ("auto", "allow-hotplug") else ():
                if "=" in word and not word.startswith("/"):
                    mapped[word.partition("=")[2]] = word.partition("=")[0]
    reached = [name for name in how if name != "lo" and any(fnmatchcase(name, pattern) for pattern in patterns)]
    if reached:
        mapped |= {name: reached[0] for name in logical if name not in how and name not in mapped}
    return how, mapped


def _keep(setup: Setup, files: dict[str, bytes | None]) -> None:
    """Take old hardware addresses off: ``hwaddress`` would give the new NIC the old one."""
    for path in files:
        before = now = setup.read(path)
        for nic in setup.own:
            if nic.mac:
                now = edit.rebind(now, name=nic.name, mac=setup.new_mac(nic))
        setup.write(path, before, now)
