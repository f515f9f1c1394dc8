"""Shorewall's files: what they do with a new TCP connection from the interface that a network comes in by.

Sources: shorewall-interfaces(5) (ZONE INTERFACE [BROADCAST] OPTIONS; ``+`` for any letters; ``physical=``),
shorewall-rules(5) (ACTION SOURCE DEST PROTO DPORT; SSH(ACCEPT)), shorewall-policy(5), shorewall-params(5),
shorewall.conf(5). What comes in by an interface that is not listed is refused.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from guestfix.base.patterns import regex
from guestfix.formats.network.firewall import CLOSED, LIMITED, OPEN, port_in
from guestfix.formats.network.packetfilter import MAYBE, NO, YES, Answer, Interface

MAX_LINES = 5_000
NAMES = ("interfaces", "params", "policy", "rules")
_VARIABLE = regex(r"\$\{?(\w{1,64})\}?")
_ASSIGNED = regex(r"(\w{1,64})=[\"']?([^\"'#\n]{0,200}?)[\"']?\s*(?:#.*)?\Z")
_PHYSICAL = regex(r"(?:^|,)physical=([\w.:+%-]{1,32})")
_MACRO = regex(r"SSH(?:[(/](\w+)\)?)?\Z")
_VERDICTS = {"ACCEPT": OPEN, "DROP": CLOSED, "REJECT": CLOSED, "NONE": CLOSED, "CONTINUE": ""}


def judge(files: Mapping[str, bytes], port: int, interface: Interface) -> tuple[str, Answer]:
    """Return the file that decides and its answer. ``files`` are interfaces, policy, rules, params, by these names."""
    names = _params(files.get("params", b""))
    zones = list(_zones(files.get("interfaces", b""), names, interface))
    taken = [one for one in zones if one[1] == YES] or [one for one in zones if one[1] == MAYBE]
    if not taken:
        return "interfaces", Answer(CLOSED, 0, "no line for the interface that the target's network comes in by")
    zone, match, line, text = taken[0]
    found = _by_rules(files.get("rules", b""), names, zone, port)
    name = "rules"
    if found is None:
        name, found = "policy", _by_policy(files.get("policy", b""), names, zone)
    if match == MAYBE and found.state != CLOSED:
        return "interfaces", Answer(LIMITED, line, text)
    return name, found


def _rows(src: bytes, names: Mapping[str, str]) -> Iterator[tuple[int, str, list[str]]]:
    """Yield the lines with their words, variables put in; what is a comment or a directive is left out."""
    for number, raw in enumerate(src.decode("utf-8", "replace").split("\n")[:MAX_LINES], 1):
        text = raw.partition("#")[0].strip()
        if text and not text.startswith("?"):
            plain = _VARIABLE.sub(lambda one: names.get(one[1], one[0]), text)
            yield number, raw.strip()[:200], plain.split()


def _params(src: bytes) -> dict[str, str]:
    lines = src.decode("utf-8", "replace").split("\n")[:MAX_LINES]
    return {found[1]: found[2] for line in lines if (found := _ASSIGNED.match(line.strip()))}


def _zones(src: bytes, names: Mapping[str, str], interface: Interface) -> Iterator[tuple[str, int, int, str]]:
    for number, text, words in _rows(src, names):
        if len(words) < 2 or words[0] in ("FORMAT", "SECTION"):
            continue
        physical = _PHYSICAL.search(words[-1]) if len(words) > 2 else None
        match = interface(physical[1] if physical else words[1].partition(":")[0])
        if match != NO:
            yield words[0], match, number, text


def _by_rules(src: bytes, names: Mapping[str, str], zone: str, port: int) -> Answer | None:
    for number, text, words in _rows(src, names):
        if words[0] in ("SECTION", "FORMAT", "?SECTION") or len(words) < 3 or not _to_itself(words[2]):
            continue
        action, from_zone, some = _action(words[0]), words[1].partition(":")[0], ":" in words[1]
        if action is None or from_zone not in (zone, "all", "any", "all+"):
            continue
        named = _MACRO.match(words[0].partition(":")[0]) is not None
        here = (named and port == 22) or (not named and _asks_for(words[3:], port))
        if here and not (some and action == CLOSED):
            limited = some or "!" in words[1] or len(words) > 5
            return Answer(LIMITED if limited and action == OPEN else action, number, text)
    return None


def _action(word: str) -> str | None:
    """Return what a rule does: open, closed, or None where it decides nothing."""
    plain = word.partition(":")[0].rstrip("!+")
    macro = _MACRO.match(plain)
    return _VERDICTS.get(macro[1] or "ACCEPT" if macro else plain) or None


def _asks_for(words: list[str], port: int) -> bool:
    proto = words[0].lower() if words else "-"
    ports = words[1] if len(words) > 1 else "-"
    return proto in ("tcp", "6", "-", "all", "any") and (ports == "-" or port_in(ports, port))


def _to_itself(word: str) -> bool:
    return regex(r"(?:\$FW|fw|firewall|all|any)\b").match(word) is not None


def _by_policy(src: bytes, names: Mapping[str, str], zone: str) -> Answer:
    for number, text, words in _rows(src, names):
        if len(words) > 2 and words[0] in (zone, "all", "any") and _to_itself(words[1]):
            state = _VERDICTS.get(words[2].partition(":")[0].partition("(")[0])
            if state:
                return Answer(state, number, text)
    return Answer(CLOSED, 0, f"no policy from {zone} to the firewall")
