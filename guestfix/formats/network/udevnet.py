"""udev rules that name NICs (70-persistent-net.rules), and the rule that gives an old name to a new NIC.

Source: udev(7) and systemd's PREDICTABLE_INTERFACE_NAMES. The matches ``DRIVERS=="?*"`` and
``ATTR{type}=="1"`` are those of udev's own write_net_rules: a wired device with a driver, so no bridge,
bond, VLAN or container link.
"""

from __future__ import annotations

from collections.abc import Sequence

from guestfix.base.patterns import regex
from guestfix.base.record import frozen
from guestfix.formats.network.nic import IFNAME, is_mac, kernel_name, norm_mac
from guestfix.formats.shellvars import decode

_PLAIN = regex(r'(?P<key>[A-Z_]+(?:\{[^{}"]+\})?)(?P<operator>==|!=|[-+:]?=)"(?P<value>[^"\\]*)"(?:,\s*|\Z)')

MAX_RULES = 2_000

_NAMING = ("NAME", "rename_netiface")
"""Words without which a rule names no NIC."""

_HELPER = regex(r"/rename_netiface\s+%k\s+([\w.:-]{1,15})\Z")
"""The program that SUSE's rules of before version 11 call to rename a NIC."""

_HARDWARE = frozenset(
    ("ATTR{address}", "ATTRS{address}", "SYSFS{address}", "KERNELS", "ID", "DEVPATH", "ATTR{dev_port}", "ATTR{dev_id}")
)
_ADDRESS = ("ATTR{address}", "ATTRS{address}", "SYSFS{address}")


@frozen
class NameRule:
    """A rule that names a NIC by its hardware address or its place. ``line`` is 1-based."""

    name: str
    mac: str
    line: int
    start: int
    end: int
    text: str


def name_rules(src: bytes) -> list[NameRule]:
    """Return every rule that names a net device by its hardware, in file order; none of guestfix's own.

    After MAX_RULES rules that name anything the rest is not looked at: a host has as many NICs at most.
    """
    if src.startswith(_HEAD[:20].encode()):
        return []
    found, at, line, looked = [], 0, 0, 0
    while at < len(src) and looked < MAX_RULES:
        start = at
        while True:
            begin, stop = at, src.find(b"\n", at)
            at, line = (len(src) if stop < 0 else stop + 1), line + 1
            if stop < 0 or not src[max(begin, stop - 2) : stop].rstrip(b"\r").endswith(b"\\"):
                break
        text = decode(src[start:at]).replace("\\\r\n", "").replace("\\\n", "").strip()
        if not text or text[0] == "#" or not any(word in text for word in _NAMING):
            continue
        looked += 1
        rule = _name_rule(text, line, start, at)
        if rule is not None:
            found.append(rule)
    return found


def plain_keys(text: str) -> list[tuple[str, str, str]]:
    """Return (key, operator, value) of a rule as udev's own generator writes it; nothing where it is not of that form.

    The grammar in udevrules says the same of it, and takes 60 ms to load.
    """
    found, at = [], 0
    while (match := _PLAIN.match(text, at)) is not None:
        found.append((match["key"], match["operator"], match["value"]))
        at = match.end()
    return found if at == len(text) else []


def _keys(text: str) -> list[tuple[str, str, str]]:
    """Return (key, operator, value) of any rule, up to the first thing that is none."""
    from guestfix.formats.udevrules import keys_of

    read = keys_of(text) or ()
    return [(one.name + (f"{{{one.attribute}}}" if one.attribute else ""), one.operator, one.value) for one in read]


def _name_rule(text: str, line: int, start: int, end: int) -> NameRule | None:
    parts = plain_keys(text) or _keys(text)
    name = next((value for key, op, value in parts if key == "NAME" and op in ("=", ":=")), "")
    helped = (_HELPER.search(value) for key, _, value in parts if key.partition("{")[0] in ("IMPORT", "PROGRAM", "RUN"))
    name = name or next((match[1] for match in helped if match), "")
    mac = next((value for key, op, value in parts if key in _ADDRESS and op == "=="), "")
    is_net = any(key in ("SUBSYSTEM", "SUBSYSTEMS") and value == "net" for key, _, value in parts)
    tied = any(key in _HARDWARE or key.startswith("ENV{ID_PATH") for key, op, _ in parts if op == "==")
    if not name or not (is_net or mac) or not tied:
        return None
    return NameRule(name, norm_mac(mac), line, start, end, text)


_MATCH = 'SUBSYSTEM=="net", ACTION=="add", DRIVERS=="?*", ATTR{type}=="1"'
_HEAD = """\
# Written by guestfix. The guest's network configuration names its NICs, and the NICs of the new platform
# would get other names. Delete this file once the configuration no longer needs the old names.
"""
_PRIMARY = "# DHCP: "


def pin_rules(names: Sequence[str], places: Sequence[str], primary: str = "") -> bytes:
    """Return a rules file that gives each name to the NIC at the same place in ``places``.

    A place is a hardware address, the name that the NIC would get otherwise, or "": then the n-th NIC in
    the kernel's own order (eth0, eth1, ...) takes the n-th name. Names and places that are none are left
    out. ``primary`` is the NIC that was given DHCP, noted in a comment for :func:`pinned_primary`.
    """
    pairs = [(name, place) for name, place in zip(names, places, strict=True) if IFNAME.match(name)]
    lines = [line for index, (name, place) in enumerate(pairs) for line in _pin(name, place, index)]
    lines += _already_renamed([(index, name) for index, (name, place) in enumerate(pairs) if not place], pairs)
    note = f"{_PRIMARY}{primary}\n" if IFNAME.match(primary) else ""
    return (_HEAD + note + "".join(f"{line}\n" for line in lines)).encode() if lines else b""


def _already_renamed(loose: list[tuple[int, str]], pairs: list[tuple[str, str]]) -> list[str]:
    """Return the rules for NICs that an initramfs has renamed (ens3): by their interface index, lo being 1."""
    kept = "|".join(name for name, _ in pairs)
    renamed = f'{_MATCH}, KERNEL=="en*", KERNEL!="{kept}"'
    first = [f'{renamed}, NAME="{name}"' for _, name in loose[:1]]
    return first + [f'{renamed}, ATTR{{ifindex}}=="{index + 2}", NAME="{name}"' for index, name in loose[1:]]


def pinned_primary(src: bytes) -> str:
    """Return the NIC that guestfix gave DHCP to when it made this rules file, or ""."""
    start = src.find(_PRIMARY.encode())
    word = decode(src[start + len(_PRIMARY) : start + len(_PRIMARY) + 16]).partition("\n")[0] if start >= 0 else ""
    return word if IFNAME.match(word) else ""


def _pin(name: str, place: str, index: int) -> list[str]:
    if not place:
        return [f'{_MATCH}, KERNEL=="eth{index}", NAME="{name}"']
    if is_mac(place):
        return [f'{_MATCH}, ATTR{{address}}=="{norm_mac(place)}", NAME="{name}"']
    if not IFNAME.match(place):
        return []
    direct = f'{_MATCH}, KERNEL=="{place}", NAME="{name}"'
    if kernel_name(place):
        return [direct]
    learned = ("ID_NET_NAME_ONBOARD", "ID_NET_NAME_SLOT", "ID_NET_NAME_PATH")
    return [
        direct,
        f'{_MATCH}, IMPORT{{builtin}}="net_id"',
        *(f'{_MATCH}, ENV{{{key}}}=="{place}", NAME="{name}"' for key in learned),
    ]
