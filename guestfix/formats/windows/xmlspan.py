"""XML as a tree of byte spans: where each element starts and ends, so that an editor can splice.

Nothing here prints XML. A document type declaration is refused, and with it every entity and external
reference that is not one of XML's own five (XML 1.0, 4.6).
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from xml.parsers import expat

from guestfix.base.bounds import XML_BYTES, XML_DEPTH, XML_ELEMENTS
from guestfix.base.errors import EditError
from guestfix.base.patterns import regex
from guestfix.base.record import field, frozen, mutable

MAX_SIZE = XML_BYTES
MAX_DEPTH = XML_DEPTH
MAX_ELEMENTS = XML_ELEMENTS
XINCLUDE = "http://www.w3.org/2001/XInclude"

_TAG = regex(rb"""<(?:[^>"']++|"[^"]*+"|'[^']*+')*+>""")
_ENCODING = regex(rb"""\A(?:\xff\xfe|\xfe\xff)?<\?xml\s[^>]*?\bencoding\s*=\s*["']([^"']*)""")
_SAME = {"utf-8": ("utf-8",), "utf-16": ("utf-16", "utf-16le", "utf-16be", "utf-16-le", "utf-16-be", "iso-10646-ucs-2")}
_SAVE = "save the file as UTF-8"
_BOMS = ((b"\xef\xbb\xbf", "utf-8"), (b"\xff\xfe", "utf-16-le"), (b"\xfe\xff", "utf-16-be"))
_BARE = ((b"<\0", "utf-16-le"), (b"\0<", "utf-16-be"))
_DECLARED = {"utf-8": "utf-8", "us-ascii": "ascii", "ascii": "ascii", "iso-8859-1": "latin-1", "windows-1252": "cp1252"}


@mutable
class Element:
    """One element. Offsets count bytes of :attr:`Document.body`.

    ``start`` is its ``<``, ``inner`` the byte after its start tag, ``close`` the ``<`` of its end tag,
    ``end`` the byte after all of it. For ``<name/>`` inner, close and end are the same. ``tag`` is the
    name as written, with its prefix; ``name`` and ``space`` are the local name and the namespace.
    """

    name: str
    space: str
    tag: bytes
    attributes: Mapping[str, str]
    line: int
    start: int
    inner: int
    close: int = 0
    end: int = 0
    text: str = ""
    children: list[Element] = field(default_factory=list)

    @property
    def empty_tag(self) -> bool:
        """True for an element written as ``<name/>``."""
        return self.inner == self.end

    def find(self, name: str) -> Element | None:
        """Return the first child of this local name in the same namespace."""
        return next((child for child in self.children if child.name == name and child.space == self.space), None)

    def walk(self) -> Iterator[Element]:
        """Yield this element and all below it, in document order."""
        todo = [self]
        while todo:
            one = todo.pop()
            yield one
            todo += reversed(one.children)


@frozen
class Document:
    """A parsed document. ``body`` is its text in UTF-8, without a byte order mark."""

    body: bytes
    root: Element
    bom: bytes
    codec: str

    def encode(self, body: bytes) -> bytes:
        """Return a changed body in the document's own encoding. Raises EditError where it can't hold it."""
        try:
            return self.bom + body.decode("utf-8").encode(self.codec)
        except UnicodeError as error:
            raise EditError(f"the file's encoding {self.codec} can't hold the change") from error


def _split_bom(src: bytes) -> tuple[bytes, str]:
    """Return the byte order mark and the codec. Raises EditError where the XML declaration names another one."""
    declared = _declared(src)
    for start, codec in (*_BOMS, *_BARE):
        if src.startswith(start):
            if declared and declared not in _SAME[codec[:6].rstrip("-")]:
                raise EditError(f"not XML: it is {codec} and says that it is {declared}", remedy=_SAVE)
            return (start if (start, codec) in _BOMS else b""), codec
    if declared and declared not in _DECLARED:
        raise EditError(f"XML in the encoding {declared} is not edited", remedy=_SAVE)
    return b"", _DECLARED.get(declared, "utf-8")


def _declared(src: bytes) -> str:
    """Return the encoding that the XML declaration names, in lower case, or "" (XML 1.0, 4.3.3)."""
    head = src[:400].replace(b"\0", b"").removeprefix(b"\xef\xbb\xbf").split(b"?>", 1)[0]
    found = _ENCODING.search(head)
    return found[1].decode("latin-1").lower() if found else ""


class _Builder:
    """The handlers of one parse. Any refusal is an EditError raised out of Parse()."""

    def __init__(self, body: bytes) -> None:
        self.body = body
        self.root: Element | None = None
        self.open: list[Element] = []
        self.count = 0
        self.parser = expat.ParserCreate("utf-8", "\n")
        self.parser.StartElementHandler = self.start
        self.parser.EndElementHandler = self.finish
        self.parser.CharacterDataHandler = self.data
        self.parser.StartDoctypeDeclHandler = self.doctype
        self.parser.buffer_text = True

    def doctype(self, *_: object) -> None:
        raise EditError(
            "a document type declaration, entities or external references are not edited",
            where=f"line {self.parser.CurrentLineNumber}",
            remedy="remove the DOCTYPE from the file",
        )

    def start(self, name: str, attributes: dict[str, str]) -> None:
        at, line = self.parser.CurrentByteIndex, self.parser.CurrentLineNumber
        if len(self.open) >= MAX_DEPTH:
            raise EditError(f"elements nested deeper than {MAX_DEPTH}", where=f"line {line}")
        self.count += 1
        if self.count > MAX_ELEMENTS:
            raise EditError(f"more than {MAX_ELEMENTS} elements", where=f"line {line}")
        space, _, local = name.rpartition("\n")
        if space == XINCLUDE:
            raise EditError("an external reference (XInclude) is not edited", where=f"line {line}")
        inner = _tag_end(self.body, at)
        tag = self.body[at + 1 : inner].split(None, 1)[0].rstrip(b"/>")
        element = Element(local, space, tag, attributes, line, at, inner)
        if self.open:
            self.open[-1].children.append(element)
        else:
            self.root = element
        self.open.append(element)

    def finish(self, _: str) -> None:
        element = self.open.pop()
        if self.body[element.inner - 2 : element.inner] == b"/>":
            element.close = element.end = element.inner
        else:
            element.close = self.parser.CurrentByteIndex
            element.end = self.body.index(b">", element.close) + 1

    def data(self, text: str) -> None:
        self.open[-1].text += text


def _tag_end(body: bytes, at: int) -> int:
    """Return the offset after the ``>`` that ends the start tag at ``at``, which is well formed."""
    found = _TAG.match(body, at)
    return found.end() if found else len(body)


def parse(src: bytes) -> Document:
    """Return the document's elements with their places.

    Raises EditError where it is not well-formed XML, has a DOCTYPE, is larger than MAX_SIZE, nested
    deeper than MAX_DEPTH, of more than MAX_ELEMENTS, or in an encoding other than UTF-8, UTF-16, ASCII,
    Latin-1 and Windows-1252.
    """
    if len(src) > MAX_SIZE:
        raise EditError(f"larger than {MAX_SIZE} bytes")
    bom, codec = _split_bom(src)
    try:
        body = src[len(bom) :].decode(codec).encode("utf-8")
    except UnicodeError as error:
        raise EditError(f"not valid {codec}") from error
    if b"\0" in body:  # which expat would take for UTF-16, whatever it is told
        raise EditError(f"not valid {codec} text: it has a NUL character", remedy=_SAVE)
    builder = _Builder(body)
    try:
        builder.parser.Parse(body, True)
    except expat.ExpatError as error:
        what = expat.errors.messages.get(error.code, "not well-formed")
        raise EditError(f"not well-formed XML: {what}", where=f"line {error.lineno}") from error
    if builder.root is None:
        raise EditError("XML without a root element")
    return Document(body, builder.root, bom, codec)
