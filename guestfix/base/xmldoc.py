"""XML of a stranger: bounded before it is parsed, and without the document types by which XML grows or reads files."""

from __future__ import annotations

import xml.etree.ElementTree as ET  # what has a document type never comes to it

from guestfix.base.bounds import XML_BYTES, XML_ELEMENTS


def parse_xml(data: bytes, what: str) -> ET.Element:
    """Return the root of a document. ValueError tells of ``what`` that it is none, or beyond the bounds."""
    if len(data) > XML_BYTES or b"<!DOCTYPE" in data or b"<!ENTITY" in data:
        raise ValueError(f"{what} is too large or has a document type, which none needs")
    if data.count(b"<") > XML_ELEMENTS:
        raise ValueError(f"{what} has more than {XML_ELEMENTS} elements, which none needs")
    try:
        return ET.fromstring(data)
    except (ET.ParseError, ValueError, LookupError) as error:
        raise ValueError(f"{what} is no XML: {error}") from error
