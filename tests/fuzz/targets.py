"""What `make fuzz` runs: every editor operation of the table, and every parser that is found in guestfix.formats.

A parser is a public function there whose one required argument is ``bytes``; a new one is taken by itself.
"""

from __future__ import annotations

import functools
import importlib
import inspect
import pkgutil
from collections import Counter
from collections.abc import Callable, Iterator
from typing import NamedTuple

from hypothesis import strategies as st

import guestfix.formats
from guestfix.base.errors import EditError, GuestfixError
from tests.hostile import editing
from tests.hostile.editing import CALLS, Call, check_last_newline, content

HELPERS = {
    "boot.cmdline:words_at": "takes one line that its callers have found",
    "windows.regf.store:checksum": "takes a hive's first 512 bytes, which its callers have checked",
}
"""Functions that are no parsers of a whole file, and why."""

TOKENS = (
    *(
        b"\n",
        b"\r\n",
        b"\\\n",
        b"\\",
        b"'",
        b'"',
        b"`",
        b"$x",
        b"${x}",
        b"$(",
        b"(",
        b")",
        b"{",
        b"}",
        b"[",
        b"]",
        b"#",
    ),
    *(
        b";",
        b"=",
        b"+=",
        b":",
        b",",
        b" ",
        b"\t",
        b"\0",
        b"\xff",
        b"\xed\xa0\x80",
        b"\xc2\xa0",
        b"\x1c",
        b"<<EOF\n",
        b"- ",
        b"? ",
        b"&a ",
        b"*a",
    ),
    *(
        b"<!--",
        b"]]>",
        b"<a>",
        b"&amp;",
        b"/dev/sda1",
        b"auto ",
        b"iface eth0 inet static\n",
        b"title \n",
        b"kernel /=",
    ),
)

MOST_ADDED = 16
"""Lines that an operation may add beyond those that it changes: an answer file gets 15, its one line becomes two."""

EMPTY = b"\xef\xbb\xbf\xff\xfe \t\r\n\0"
"""Bytes that a file has nothing but where an operation may write a whole new one."""


class Target(NamedTuple):
    """``check`` raises where a law is broken for these bytes."""

    name: str
    check: Callable[[bytes], None]
    samples: tuple[bytes, ...]


def inputs(samples: tuple[bytes, ...]) -> st.SearchStrategy[bytes]:
    """Return files that are like the samples: their lines and tokens in any order, and cuts of them with holes."""
    lines = [line for sample in samples for line in sample.splitlines(keepends=True)][:400]
    piece = st.one_of(st.sampled_from(lines or [b"\n"]), st.sampled_from(TOKENS), st.binary(max_size=6))
    mixed = st.lists(piece, max_size=30).map(b"".join)
    return st.one_of(mixed, _cut(samples), st.binary(max_size=300))


@st.composite
def _cut(draw: st.DrawFn, samples: tuple[bytes, ...]) -> bytes:
    """Take a sample, and put something else in the place of a few stretches of it."""
    data = draw(st.sampled_from(samples or (b"",)))
    for _ in range(draw(st.integers(1, 4))):
        at = draw(st.integers(0, len(data)))
        end = min(len(data), at + draw(st.integers(0, 40)))
        data = data[:at] + draw(st.one_of(st.sampled_from(TOKENS), st.binary(max_size=4))) + data[end:]
    return data


def check_editor(call: Call, src: bytes) -> None:
    """Hold an operation to its laws: our exceptions only, identity, idempotence, locality, the last newline."""
    try:
        after = content(call.op(src))
    except EditError:
        return
    assert after is src or after != src, "the same content is another object"
    if isinstance(after, bytes) and after is not src:
        try:
            again = content(call.op(after))
        except EditError:
            again = after
        assert again is after, "not idempotent"
        if call.text and src.strip(EMPTY):
            old, new = Counter(src.splitlines()), Counter(after.splitlines())
            assert (new - old).total() <= (old - new).total() + MOST_ADDED, "more lines changed than asked for"
    if call.text:
        check_last_newline(call, src)


def check_parser(parse: Callable[[bytes], object], src: bytes) -> None:
    """Hold a parser to its law: an answer, or one of guestfix's own errors."""
    try:
        found = parse(src)
        if isinstance(found, Iterator):
            for _ in zip(range(100_000), found, strict=False):
                pass
    except GuestfixError:
        pass


def parsers() -> Iterator[tuple[str, Callable[[bytes], object]]]:
    """Yield every public function of guestfix.formats whose one required argument is bytes, by its name."""
    for found in pkgutil.walk_packages(guestfix.formats.__path__, "guestfix.formats."):
        module = importlib.import_module(found.name)
        for name, function in vars(module).items():
            function = inspect.unwrap(function) if callable(function) else function
            if name.startswith("_") or not inspect.isfunction(function) or function.__module__ != found.name:
                continue
            needed = [one for one in inspect.signature(function).parameters.values() if one.default is one.empty]
            short = f"{found.name.removeprefix('guestfix.formats.')}:{name}"
            if len(needed) == 1 and needed[0].annotation in ("bytes", "Buffer") and short not in HELPERS:
                yield short, function


def samples_for(name: str) -> tuple[bytes, ...]:
    """Return every sample file of the editors whose format has the parser's name, else all of them."""
    stem = name.partition(":")[0].rpartition(".")[2]
    own = [sample for call in CALLS if stem in call.name for sample in call.samples]
    texts = [value for key, value in vars(editing).items() if key.isupper() and isinstance(value, bytes)]
    return tuple(own) or tuple(texts)


def targets() -> list[Target]:
    """Return all of them, editors first."""
    found = [Target(f"editor {one.name}", functools.partial(check_editor, one), one.samples) for one in CALLS]
    return found + [
        Target(f"parser {name}", functools.partial(check_parser, parse), samples_for(name)) for name, parse in parsers()
    ]
