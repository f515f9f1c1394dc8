"""The kernel's command line: words as kernel and init read them, and changes to them as splices.

Every loader keeps arguments its own way. Each format module finds them as :class:`ArgLine` objects with
byte spans; what is changed in them is one pure function over the words, whatever the format.
Source: the kernel's admin-guide/kernel-parameters, lib/cmdline.c (next_arg).
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from typing import Literal, NamedTuple

from guestfix.base.edit import Splice, apply_splices
from guestfix.base.patterns import regex
from guestfix.base.record import field, mutable
from guestfix.formats.shellvars import decode, encode, quote

Style = Literal["plain", "grub", "double", "single", "bare"]
"""How a word must be written: as it is, as a GRUB shell word, inside double or single quotes.

``bare`` is the value of a shell assignment without quotes, which gets them when it changes.
"""

_WORD = regex(rb'(?:[^ \t\r\n"]++|"[^"\n]*+(?:"|(?=\n)|\Z))++')
_GRUB_SAFE = regex(r"[A-Za-z0-9_@%+:,./=^~?*!\[\]#-]+\Z")


class Word(NamedTuple):
    """One argument. ``start`` to ``end`` are the offsets of its bytes, counted from its line's ``base``."""

    text: str
    start: int
    end: int


class ArgLine(NamedTuple):
    """The kernel arguments at one place of a file.

    Words and ``insert_at``, which is where a further word would go, count from the offset ``base``;
    ``at`` is the offset of the command or setting. ``initrd`` says whether an initrd comes with it
    (None: not said there), ``kernel`` names the kernel file the arguments are for (empty: any).
    Where ``takes_more`` is false, words are changed and removed but never added: another place holds
    what all entries share.
    """

    words: tuple[Word, ...]
    base: int
    insert_at: int
    at: int
    style: Style = "plain"
    initrd: bool | None = None
    kernel: str = ""
    takes_more: bool = True

    def texts(self) -> list[str]:
        """Return the arguments as the kernel would see them."""
        return [word.text for word in self.words]


@mutable
class Rewrite:
    """What should become of a list of arguments: new text or None (remove) by index, and words to add."""

    replace: dict[int, str | None] = field(default_factory=dict)
    add: list[str] = field(default_factory=list)

    def __bool__(self) -> bool:
        return bool(self.replace or self.add)


Change = Callable[[Sequence[str], ArgLine], Rewrite]
"""Decides what becomes of the arguments at one place. It may look at the place's ``initrd`` and ``kernel``."""


def split(text: str) -> list[str]:
    """Return the words of a command line; double quotes keep blanks together and stay in the words."""
    return [decode(match[0]) for match in _WORD.finditer(encode(text))]


def words_at(raw: bytes) -> tuple[Word, ...]:
    """Return the words of a command line that is written as the kernel reads it."""
    return tuple(Word(decode(match[0]), match.start(), match.end()) for match in _WORD.finditer(raw))


def name_of(word: str) -> str:
    """Return the argument's name, without quotes: ``root`` of ``root=/dev/sda1``."""
    return word.strip('"').partition("=")[0]


def value_of(word: str) -> str:
    """Return what follows the first ``=``, without quotes; empty where there is none."""
    return word.strip('"').partition("=")[2].strip('"')


def same_name(one: str, other: str) -> bool:
    """Compare argument names as the kernel does: ``-`` and ``_`` are the same (parameq)."""
    return one.replace("-", "_") == other.replace("-", "_")


def _written(text: str, style: Style) -> bytes:
    raw = encode(text)
    if style == "double":
        return regex(rb'([\\"$`])').sub(rb"\\\1", raw)
    if style == "grub" and not _GRUB_SAFE.match(text):
        return b"'" + raw.replace(b"'", b"'\\''") + b"'"
    return raw


def _removals(line: ArgLine, gone: set[int]) -> list[Splice]:
    """Take each word with the blanks that kept it from the kept word before it, or from the next word."""
    found, kept_before = [], False
    for index, word in enumerate(line.words):
        if index not in gone:
            kept_before = True
        elif kept_before:
            start = line.words[index - 1].end
            found.append(Splice(line.base + start, word.end - start, b""))
        else:
            end = line.words[index + 1].start if index + 1 < len(line.words) else word.end
            found.append(Splice(line.base + word.start, end - word.start, b""))
    return found


def _addition(src: bytes, line: ArgLine, add: Sequence[str]) -> Splice:
    text = b" ".join(_written(word, line.style) for word in add)
    at = line.base + line.insert_at
    joined = b" \t" if line.style == "grub" or line.kernel else b" \t\n=\"'"  # behind a kernel's name nothing joins
    if line.words or (at and src[at - 1] not in joined):
        text = b" " + text
    return Splice(at, 0, text)


def _whole(src: bytes, line: ArgLine, rewrite: Rewrite) -> list[Splice]:
    """Rewrite a value that had no quotes, so it is one word or none."""
    words = [rewrite.replace.get(at, word.text) for at, word in enumerate(line.words)]
    text = " ".join([word for word in words if word is not None] + rewrite.add)
    return [Splice(line.base, line.insert_at, quote(text))]


def splices(src: bytes, line: ArgLine, rewrite: Rewrite) -> list[Splice]:
    """Return the splices that do a rewrite of one place's arguments."""
    if line.style == "bare":
        return _whole(src, line, rewrite)
    found = _removals(line, {index for index, text in rewrite.replace.items() if text is None})
    for index, text in rewrite.replace.items():
        word = line.words[index]
        if text is not None and text != word.text:
            found.append(Splice(line.base + word.start, word.end - word.start, _written(text, line.style)))
    if rewrite.add:
        found.append(_addition(src, line, rewrite.add))
    return found


def per_kernel(change: Change) -> bool:
    """Tell whether a change looks at the kernel that the arguments are for."""
    return bool(getattr(change, "per_kernel", False))


def rewrite_all(src: bytes, lines: Iterable[ArgLine], change: Change) -> bytes:
    """Do one change at every place; src itself comes back where nothing changes."""
    return rewrite_lines(src, lines, change)[0]


Moved = tuple[ArgLine, int, bytes]
"""A place as it was, how many bytes further down it is now, and its new text."""


def rewrite_lines(src: bytes, lines: Iterable[ArgLine], change: Change) -> tuple[bytes, list[Moved]]:
    """Do one change at every place; return the new bytes, and where each place is now.

    Places that share their words (the same object), initrd and kernel are asked about once. Without a
    change src itself comes back, and the list is empty.
    """
    asks = per_kernel(change)
    known: dict[tuple[int, bool | None, bool, str], bytes | None] = {}
    out: list[bytes] = []
    moved: list[Moved] = []
    at = grown = 0
    changed = False
    for line in lines:
        key = (id(line.words), line.initrd, line.takes_more, line.kernel if asks else "")
        if key not in known:
            known[key] = _region(src, line, change)
        after, end = known[key], line.base + line.insert_at
        if after is not None:
            changed = True
            out += (src[at : line.base], after)
            at = end
        new = src[line.base : end] if after is None else after
        moved.append((line, grown, new))
        grown += len(new) - line.insert_at
    return (b"".join([*out, src[at:]]), moved) if changed else (src, [])


def _region(src: bytes, line: ArgLine, change: Change) -> bytes | None:
    """Return what a place's arguments become, from its base to its insert_at, or None where they stay."""
    texts = line.texts()
    wanted = change(texts, line)
    replace = {at: text for at, text in wanted.replace.items() if text != texts[at]}
    last = replace.get(len(texts) - 1, texts[-1]) if texts else None
    open_quote = last is not None and last.count('"') % 2 == 1
    rewrite = Rewrite(replace, wanted.add if line.takes_more and not open_quote else [])
    if not rewrite:
        return None
    start = max(line.base - 1, 0)
    near = src[start : line.base + line.insert_at]
    return apply_splices(near, splices(near, line._replace(base=line.base - start), rewrite))[line.base - start :]
