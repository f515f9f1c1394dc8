"""udev rules (udev(7)): each rule's match keys and assign keys, with the line that it begins on.

rule = (key ","?)*                 key = NAME ("{" attribute "}")? operator value
operator = "==" | "!="             these match; the others assign: "=" | "+=" | "-=" | ":="
value = ("e" | "i")? '"' text '"'  e: escapes as in C; i: compared without regard to case
a line that ends with a backslash continues with the next; a line that begins with "#" is a comment
"""

from __future__ import annotations

from collections.abc import Iterator

import pyparsing as pp

from guestfix.base.errors import TooLarge
from guestfix.base.patterns import regex
from guestfix.base.record import frozen
from guestfix.formats.grammar import MAX_STATEMENTS, ODD_TEXT, Odd, sentence_of, text_of

MATCHING = ("==", "!=")


@frozen
class Key:
    """One key of a rule. ``prefix`` is ``e`` or ``i`` where the value has one; an e-value's escapes are undone."""

    name: str
    attribute: str
    operator: str
    value: str
    prefix: str = ""

    @property
    def matches(self) -> bool:
        """Tell whether the key is a condition; the others assign."""
        return self.operator in MATCHING


@frozen
class Rule:
    """A rule: its keys in order and its 1-based line."""

    keys: tuple[Key, ...]
    line: int

    def matching(self) -> tuple[Key, ...]:
        """Return the conditions."""
        return tuple(one for one in self.keys if one.matches)

    def assigning(self) -> tuple[Key, ...]:
        """Return what the rule does."""
        return tuple(one for one in self.keys if not one.matches)


@frozen
class Rules:
    """A file's rules in order, and the lines that are none, which udev ignores whole."""

    rules: tuple[Rule, ...] = ()
    odd: tuple[Odd, ...] = ()


_ESCAPES = {"a": "\a", "b": "\b", "f": "\f", "n": "\n", "r": "\r", "s": " ", "t": "\t", "v": "\v"}
_ESCAPE = regex(r"\\(x[0-9A-Fa-f]{2}|[0-7]{3}|.)")


def _undone(text: str) -> str:
    def one(match: object) -> str:
        word = match[1]  # type: ignore[index]
        if word[0] == "x" and len(word) == 3:
            return chr(int(word[1:], 16))
        return chr(int(word, 8) & 255) if len(word) == 3 else _ESCAPES.get(word, word)

    return _ESCAPE.sub(one, text)


def _value(found: pp.ParseResults) -> list[tuple[str, str]]:
    prefix = found[0] if found[0] in ("e", "i") else ""
    text = found[-1][1:-1]
    return [(_undone(text) if prefix == "e" else text.replace('\\"', '"'), prefix)]


_NAME = pp.Regex(r"[A-Z_]+")
_ATTRIBUTE = pp.Regex(r'\{[^}"]*\}').set_parse_action(lambda found: found[0][1:-1])
_OPERATOR = pp.one_of("== != += -= := =")
_TEXT = pp.Regex(r'"(?:[^"\\]|\\.)*"')
_VALUE = (pp.Opt(pp.Regex('[ei](?=")')) + _TEXT).set_parse_action(_value)
_KEY = pp.Group(_NAME + pp.Opt(_ATTRIBUTE) + _OPERATOR + _VALUE)
_KEYS = pp.ZeroOrMore(_KEY + pp.Opt(pp.Suppress(",")))
_BEGIN = _KEYS + pp.Suppress(pp.Regex(r"(?s:.*)"))


def keys_of(text: str, *, whole: bool = False) -> tuple[Key, ...] | None:
    """Return a rule's keys up to the first thing that is none; None for that where the rule must be whole."""
    found = sentence_of(text, 1, _KEYS if whole else _BEGIN)
    return None if isinstance(found, Odd) else tuple(_key(one) for one in found)


def _key(found: pp.ParseResults) -> Key:
    value, prefix = found[-1]
    return Key(found[0], found[1] if len(found) > 3 else "", found[-2], value, prefix)


def read(src: bytes) -> Rules:
    """Return the file's rules. Raises TooLarge for a file that no rules file is as large as."""
    rules: list[Rule] = []
    odd: list[Odd] = []
    for number, text in _joined(text_of(src, "a file of udev rules")):
        keys = keys_of(text, whole=True)
        if keys:
            rules.append(Rule(keys, number))
        else:
            odd.append(Odd(number, text.strip()[:ODD_TEXT]))
    return Rules(tuple(rules), tuple(odd))


def _joined(text: str) -> Iterator[tuple[int, str]]:
    """Yield each line with those that it continues with; comments and empty lines are no rules."""
    lines = text.split("\n")
    if len(lines) > MAX_STATEMENTS:
        raise TooLarge(f"a file of udev rules has more than {MAX_STATEMENTS} lines")
    begun, parts = 0, list[str]()
    for number, line in enumerate(lines, 1):
        if line.lstrip().startswith("#"):  # inside a rule that continues, too
            continue
        begun = begun if parts else number
        parts.append(line.removesuffix("\\"))
        if not line.endswith("\\"):
            if rule := "".join(parts).strip():
                yield begun, rule
            parts = []
    if rule := "".join(parts).strip():
        yield begun, rule
