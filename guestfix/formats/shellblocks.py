"""What a shell file's commands are in: blocks, functions and subshells; and which variables they may set.

Source: POSIX shell command language, "Compound Commands", and bash(1).
"""

from __future__ import annotations

from guestfix.base.patterns import regex

_MENTIONED = regex(rb"[(){}]|\b(?:if|fi|case|esac|for|while|until|select|done|function)\b")
_TOKEN = regex(rb"[;&|()`\n]|(?:\\[\s\S]|[^\s;&|()`\\])++")
_JOINED = regex(rb"(?<!\\)((?:\\\\)*+)\\\n")
_FUNCTION = regex(rb"\bfunction[ \t]++\S++")
_OPENS = {b"if", b"case", b"for", b"while", b"until", b"select", b"{"}
_CLOSES = {b"fi", b"esac", b"done", b"}"}
_LEADS = {b"if", b"while", b"until", b"{", b"then", b"else", b"elif", b"do", b"!", b"time"}
"""Words after which another command's first word stands."""

_NAME = regex(rb"(?<![\w$])(?<!\$\{)(\w++)(\+?=)?")
_SETTERS = {b"unset", b"read", b"mapfile", b"readarray", b"getopts", b"printf", b"for", b"eval", b"let"}
"""Commands that set or unset a variable by its bare name, or run a text."""


def mentioned(src: bytes, start: int, end: int) -> bool:
    """Tell whether a stretch of a file has anything that may open or close a block."""
    return _MENTIONED.search(src, start, end) is not None


def track(blocks: list[tuple[bytes, int]], code: bytes, line: int, first: bool) -> None:
    """Note in ``blocks`` (what opened each, and on which line) what code without quotes opens and closes.

    ``first``: it begins with a command's first word.
    """
    for token in _TOKEN.findall(_FUNCTION.sub(b"()", _JOINED.sub(rb"\1", code))):
        if token == b"(" or (first and token in _OPENS):
            blocks.append((token, line))
        elif blocks and ((token == b")") if blocks[-1][0] == b"(" else (first and token in _CLOSES)):
            blocks.pop()
        first = (first and token in _LEADS) or token in b"()`;&|\n"


def sets(code: bytes, name: bytes) -> bool:
    """Tell whether commands may set or unset a name; one that only mentions it does not."""
    for part in regex(rb"[;&|\n]").split(code):
        words = _NAME.findall(part)
        setting = any(word in _SETTERS for word, _ in words)
        if any(word == name and (setting or equals) for word, equals in words):
            return True
    return False
