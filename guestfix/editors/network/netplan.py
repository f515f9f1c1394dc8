"""netplan's YAML files, edited in place: lines are removed, one value replaced, one line added.

The text is never printed from a model. Both styles are known, block (one pair a line) and flow
(``{dhcp4: no}``); what can't be changed surely is an EditError. Source: netplan(5).
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from collections.abc import Set as AbstractSet

from guestfix.base.edit import Splice, apply_splices
from guestfix.base.errors import EditError
from guestfix.base.patterns import regex
from guestfix.editors.network.keyfile import OLD_KEYS, OWN_MAC, PORT
from guestfix.formats.network.keyfile import WIRED
from guestfix.formats.network.netplan import GROUPS, devices, needs, network_of, refuse_twins, yes
from guestfix.formats.network.netplanrules import faults
from guestfix.formats.network.nic import is_link_local, is_mac, norm_mac
from guestfix.formats.yamltree import Node, parse

ANY_NIC = "e*"
"""The pattern that every wired NIC's name matches: eth0, ens3, enp1s0, eno1, enx..."""

_STATIC = frozenset(
    ("addresses", "gateway4", "gateway6", "nameservers", "routes", "routing-policy", "macaddress", "mtu")
    + ("dhcp4-overrides", "activation-mode", "critical")
)
_STATIC6 = frozenset(("dhcp6-overrides", "accept-ra", "link-local"))
"""What means nothing, or harm, on another network; and beside IPv6 addresses that were set by hand."""

_MAX_EMPTY = 64
"""Devices without any key that are changed one by one."""

FRESH = f"""\
# Written by guestfix: any wired NIC.
network:
  version: 2
  ethernets:
    guestfix-wired:
      match: {{name: "{ANY_NIC}"}}
      dhcp4: true
""".encode()
"""A file that takes an address by DHCP on every wired NIC."""


class _Text:
    """A file's text with the splices collected so far; offsets count characters."""

    def __init__(self, src: bytes) -> None:
        self.root = parse(src)
        refuse_twins(self.root)
        if self.root is not None and self.root.aliases:
            raise EditError("the file repeats parts by aliases, which are not edited")
        self.text = src.decode("utf-8")
        self.newline = "\r\n" if "\r\n" in self.text else "\n"
        self.splices: list[tuple[int, int, str]] = []

    def line_start(self, at: int) -> int:
        return self.text.rfind("\n", 0, at) + 1

    def line_end(self, at: int) -> int:
        end = self.text.find("\n", at)
        return len(self.text) if end < 0 else end + 1

    def result(self, src: bytes) -> bytes:
        parts = [
            Splice(self._bytes(start), self._bytes(end) - self._bytes(start), new.encode())
            for start, end, new in sorted(self.splices)
        ]
        return apply_splices(src, parts)

    def _bytes(self, at: int) -> int:
        return len(self.text[:at].encode())

    # one mapping

    def drop(self, owner: Node, names: AbstractSet[str]) -> None:
        """Remove the pairs with these keys from a mapping."""
        if owner.flow:
            kept = [(key, value) for key, value in owner.pairs if key.value not in names]
            if len(kept) != len(owner.pairs):
                self._flow(owner, kept, "")
            return
        for key, value in owner.pairs:
            if key.value in names:
                self.splices.append((*self._pair(key, value), ""))

    def _pair(self, key: Node, value: Node) -> tuple[int, int]:
        """Return the whole lines of a block pair."""
        start, end = self.line_start(key.start), max(key.end, value.end)
        if self.text[start : key.start].strip():
            raise EditError("this YAML layout is not edited in place", where=f"line {key.line}")
        if value.block:
            return start, self.line_start(end) if self.text[:end].endswith("\n") else self.line_end(end)
        behind = self.text[end : self.line_end(end)].split("#")[0].strip().strip(":")
        if behind:
            raise EditError("this YAML layout is not edited in place", where=f"line {value.line}")
        return start, self.line_end(end)

    def _flow(self, owner: Node, kept: list[tuple[Node, Node]], more: str) -> None:
        texts = [self.text[key.start : max(key.end, value.end)] for key, value in kept] + ([more] if more else [])
        self.splices.append((owner.start, owner.end, "{" + ", ".join(texts) + "}"))

    def put(self, owner: Node, key: str, text: str, gone: AbstractSet[str]) -> None:
        """Make the mapping's pair ``key`` say text; ``gone`` are keys that are dropped in the same call."""
        found = owner.get(key)
        if owner.flow:
            kept = [(name, value) for name, value in owner.pairs if name.value not in gone | {key}]
            self._flow(owner, kept, f"{key}: {text}")
            return
        self.drop(owner, gone)
        if found is not None and found.kind == "scalar" and not found.block:
            lead = " " if found.start == found.end else ""
            self.splices.append((found.start, found.end, lead + text))
        elif found is not None and found.flow:
            self.splices.append((found.start, found.end, text))
        else:
            self._add(owner, key, text, found)

    def _add(self, owner: Node, key: str, text: str, old: Node | None) -> None:
        name = owner.key(key)
        if old is not None and name is not None:
            start, end = self._pair(name, old)
            self.splices.append((start, end, f"{self.text[start : name.start]}{key}: {text}{self.newline}"))
            return
        first = owner.pairs[0][0]
        start = self.line_start(first.start)
        indent = self.text[start : first.start]
        if indent.strip():
            raise EditError("this YAML layout is not edited in place", where=f"line {first.line}")
        self.splices.append((start, start, f"{indent}{key}: {text}{self.newline}"))


def _device(work: _Text, name: str) -> tuple[Node, Node] | None:
    found = [(key, value) for _, known, key, value in devices(work.root) if known == name]
    return found[-1] if found else None


def _again(src: bytes, name: str, key: str, text: str, gone: AbstractSet[str] | None = None) -> bytes:
    """Set one key of a device definition; the same bytes where it says so already."""
    work = _Text(src)
    found = _device(work, name)
    if found is None:
        return src
    head, body = found
    if body.kind == "scalar" and not body.value:
        indent = regex(r"\s*").match(work.text[work.line_start(head.start) :])
        step = (indent[0] if indent else "") + "  "
        at = work.line_end(head.end)
        lead = "" if work.text[:at].endswith("\n") else work.newline
        work.splices.append((at, at, f"{lead}{step}{key}: {text}{work.newline}"))
    elif body.kind != "map":
        raise EditError("the device definition is no mapping", where=f"line {head.line}")
    else:
        present = {one.value for one, _ in body.pairs} & (gone or set())
        said = body.get(key)
        if said is not None and said.data() == _plain(text) and not present:
            return src
        work.put(body, key, text, present)
    return work.result(src)


def _plain(text: str) -> object:
    """Return what the small YAML that this module writes means, as Node.data() would."""
    match = regex(r'\{(\w+): "(.*)"\}\Z').match(text)
    return {match[1]: match[2]} if match else text


def dhcp(src: bytes | None, *, name: str, any_nic: bool = False) -> bytes | None:
    """Make the device with this id use DHCP; addresses, routes, DNS, MTU and MAC overrides go.

    ``any_nic`` makes it match every wired NIC instead of one name or MAC.
    """
    if src is None:
        return None
    whole, src = src, _only_local_routes(src, name)
    work = _Text(src)
    found = _device(work, name)
    if found is None:
        return whole
    body = found[1]
    on = body.get("dhcp4") if body.kind == "map" else None
    gone = _old(body) | ({"set-name"} if any_nic else set())
    out = src
    if on is None or not yes(on.value):
        out = _again(out, name, "dhcp4", "true", gone)
    else:
        work.drop(body, gone & {key.value for key, _ in body.pairs})
        out = work.result(src)
    out = _not_passed(out, name, any_nic)
    return _again(out, name, "match", f'{{name: "{ANY_NIC}"}}') if any_nic else out


def _old(body: Node) -> set[str]:
    """Return the keys of a device that are the old network's; routes on the link itself are not."""
    known = body.data() if body.kind == "map" else {}
    texts = [one for one in known.get("addresses") or () if isinstance(one, str)]
    six = "gateway6" in known or any(":" in one for one in texts)
    rows = body.get("routes") if body.kind == "map" else None
    local = rows is not None and rows.kind == "seq" and bool(rows.items) and all(_on_link(row) for row in rows.items)
    return set(_STATIC | (_STATIC6 if six else set())) - ({"routes"} if local else set())


def _on_link(row: Node) -> bool:
    known = row.data() if row.kind == "map" else {}
    to, other = str(known.get("to", "")), {"via", "from", "table"} & set(known)
    return is_link_local(to) and not other


def _only_local_routes(src: bytes, name: str) -> bytes:
    """Take routes to the old network out of a device's list, where others in it are on the link itself."""
    work = _Text(src)
    found = _device(work, name)
    rows = found[1].get("routes") if found is not None and found[1].kind == "map" else None
    if rows is None or rows.kind != "seq" or rows.flow or not any(_on_link(row) for row in rows.items):
        return src
    starts = [work.line_start(row.start) for row in rows.items]
    alone = all(
        regex(r"\s*-\s+").fullmatch(work.text[at : row.start]) for at, row in zip(starts, rows.items, strict=True)
    )
    if not alone or len(set(starts)) < len(starts):
        return src
    ends = [*starts[1:], work.line_end(rows.items[-1].end)]
    for row, start, end in zip(rows.items, starts, ends, strict=True):
        if not _on_link(row):
            work.splices.append((start, end, ""))
    return work.result(src)


def _not_passed(src: bytes, name: str, any_nic: bool) -> bytes:
    """Take out what a device hands to NetworkManager against DHCP, for that wins over netplan's own keys."""
    work = _Text(src)
    found = _device(work, name)
    own = found[1].get("networkmanager") if found is not None and found[1].kind == "map" else None
    rows = own.get("passthrough") if own is not None and own.kind == "map" else None
    if found is None or own is None or rows is None or rows.kind != "map":
        return src
    gone = {key.value for key, value in rows.pairs if _is_passed_static(key.value, value.value, any_nic)}
    if gone and gone == {key.value for key, _ in rows.pairs}:  # netplan refuses a mapping without keys
        last = len(own.pairs) == 1
        work.drop(found[1] if last else own, {"networkmanager" if last else "passthrough"})
    else:
        work.drop(rows, gone)
    return work.result(src)


def _is_passed_static(name: str, value: str, any_nic: bool) -> bool:
    group, _, key = name.partition(".")
    if group in ("ipv4", "ipv6"):
        other = key == "method" and value != "auto" and (group == "ipv4" or value == "manual")
        return other or OLD_KEYS.match(key) is not None
    if group == "connection":
        off = key == "autoconnect" and value.lower() in ("false", "no", "0", "off")
        return off or key in PORT or (any_nic and key == "interface-name")
    if group in WIRED:
        cloned = key in ("cloned-mac-address", "assigned-mac-address") and value not in OWN_MAC
        return cloned or key == "mtu" or (any_nic and key == "mac-address")
    return any_nic and group == "match"


def known_only(src: bytes | None) -> bytes | None:
    """Take out the keys that netplan does not know: it makes nothing of any file while there is one."""
    if src is None:
        return None
    work = _Text(src)
    owners: dict[int, tuple[Node, set[str]]] = {}
    for fault in faults(work.root):
        if fault.unknown:
            owners.setdefault(id(fault.owner), (fault.owner, set()))[1].add(fault.key.value)
    for owner, names in owners.values():
        if names == {key.value for key, _ in owner.pairs}:
            raise EditError("nothing is left of a mapping without the keys that netplan does not know")
        work.drop(owner, names)
    return work.result(src)


def without(src: bytes | None, *, names: Collection[str]) -> bytes | None:
    """Take these devices out, and a group (``vlans:``) with its last one; None where nothing would be left.

    EditError where a device that stays needs one of them, for netplan would refuse all files then.
    """
    if src is None:
        return None
    work, gone = _Text(src), set(names)
    for _, name, key, value in devices(work.root):
        if name not in gone and needs(value) & gone:
            raise EditError(f"{name} needs a device that is taken out", where=f"line {key.line}")
    groups = _groups(work, gone)
    for members, hit in groups.values():
        if len(hit) < len(members.pairs):
            work.drop(members, hit)
    out = work.result(src)
    work = _Text(out)
    empty = {name for name, (members, hit) in groups.items() if len(hit) == len(members.pairs)}
    network = network_of(work.root)
    if network is not None and empty:
        if {key.value for key, _ in network.pairs} <= empty | {"version", "renderer"}:
            return None
        work.drop(network, empty)
    return work.result(out)


def _groups(work: _Text, gone: AbstractSet[str]) -> dict[str, tuple[Node, set[str]]]:
    network = network_of(work.root)
    found = {}
    for key, members in network.pairs if network is not None else []:
        hit = {name.value for name, _ in members.pairs if name.value in gone} if members.kind == "map" else set()
        if key.value in GROUPS and hit:
            found[key.value] = (members, hit)
    return found


def optional(src: bytes | None, *, names: list[str]) -> bytes | None:
    """Make the boot not wait for these devices (``optional: true``)."""
    if src is None:
        return None
    wanted, work, empty = set(names), _Text(src), []
    last = {name: body for _, name, _, body in devices(work.root) if name in wanted}
    for name, body in last.items():
        said = body.get("optional") if body.kind == "map" else None
        if said is not None and yes(said.value):
            continue
        if body.kind == "map" and body.pairs:
            work.put(body, "optional", "true", set())
        else:
            empty.append(name)
    out = work.result(src)
    for name in empty[:_MAX_EMPTY]:
        out = _again(out, name, "optional", "true")
    return out


def fresh_addresses(
    src: bytes | None, *, names: Collection[str], macs: Mapping[str, str] | None = None
) -> bytes | None:
    """Take off what gives these devices an address of the old hardware, in netplan's keys and NetworkManager's.

    NetworkManager's match by one becomes the address that ``macs`` has for the device, or goes where it has none.
    """
    if src is None:
        return None
    work = _Text(src)
    for _, name, _, body in devices(work.root):
        if name not in names or body.kind != "map":
            continue
        own = body.get("macaddress")
        manager = body.get("networkmanager")
        rows = manager.get("passthrough") if manager is not None and manager.kind == "map" else None
        given = own is not None and is_mac(own.value)
        work.drop(body, {"macaddress"} if given and len(body.pairs) > 1 else set())
        if manager is not None and rows is not None and rows.kind == "map":
            _fresh_rows(work, manager, rows, norm_mac((macs or {}).get(name, "")))
    return work.result(src)


def _fresh_rows(work: _Text, manager: Node, rows: Node, mac: str) -> None:
    gone = set()
    for key, value in rows.pairs:
        group, _, word = key.value.partition(".")
        if group in WIRED and word in ("cloned-mac-address", "assigned-mac-address") and value.value not in OWN_MAC:
            gone.add(key.value)
        elif group in WIRED and word == "mac-address" and mac:
            work.splices.append((value.start, value.end, f'"{mac.upper()}"'))
        elif group in WIRED and word == "mac-address":
            gone.add(key.value)
    if gone and gone == {key.value for key, _ in rows.pairs}:  # netplan refuses a mapping without keys
        work.drop(manager, {"passthrough"})
    else:
        work.drop(rows, gone)


def rebind(src: bytes | None, *, name: str, mac: str = "", real: str = "") -> bytes | None:
    """Make the device's match by MAC name the new NIC; without a MAC, match by the name ``real``.

    The device keeps its id, so bonds, bridges and VLANs on it stay as they are.
    """
    if src is None:
        return None
    work = _Text(src)
    found = _device(work, name)
    match = found[1].get("match") if found is not None and found[1].kind == "map" else None
    old = match.get("macaddress") if match is not None and match.kind == "map" else None
    if found is None or match is None or old is None or norm_mac(old.value) == (norm_mac(mac) or "-"):
        return src
    if mac:
        work.splices.append((old.start, old.end, f'"{norm_mac(mac)}"'))
        return work.result(src)
    return _again(src, name, "match", f'{{name: "{real or name}"}}', {"set-name"})
