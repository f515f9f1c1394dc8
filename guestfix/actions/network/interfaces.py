"""Debian's /etc/network/interfaces and the files that it sources."""

from __future__ import annotations

from fnmatch import fnmatchcase

from guestfix.actions.network.common import Setup, begin
from guestfix.actions.workbench import Workbench
from guestfix.base.catalog.records.network import Nic
from guestfix.base.facts import Evidence
from guestfix.detect.network.read import INTERFACES, debian
from guestfix.editors.network import interfaces as edit
from guestfix.formats.network import interfaces


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
    _tell_hooks(setup, files, set(drop))
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


def _tell_hooks(setup: Setup, files: dict[str, bytes | None], drop: set[str]) -> None:
    """Name the commands of interfaces that go which do more than set up the old network."""
    for path, src in files.items():
        for stanza in interfaces.parse(src or b"").stanzas:
            for line in stanza.options if stanza.keyword == "iface" and stanza.name in drop else ():
                if edit.is_hook(line):
                    command = f"{line.keyword} {line.value}"
                    nic = Nic(stanza.name, path, line.line)
                    setup.hook_lost(nic, command, Evidence(path, line.line, command[:200]))


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
