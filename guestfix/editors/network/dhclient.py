"""dhclient.conf(5): what refuses or overrides a lease's route and name servers."""

from __future__ import annotations

from guestfix.base.edit import Splice, apply_splices
from guestfix.base.patterns import regex

_OLD = rb"routers|static-routes|rfc3442-classless-static-routes|domain-name-servers|subnet-mask"
_SUPERSEDE = regex(rb"(?<![\w-])supersede[ \t\r\n]+(" + _OLD + rb")[ \t\r\n]+([^;{}]{1,2000});")
_REQUEST = regex(rb"(?<![\w-])(also[ \t\r\n]+)?request[ \t\r\n]+([^;{}]{1,4000});")
_COMMENT = regex(rb'"[^"\n]*"|#[^\n]*')
_WANTED = (b"routers", b"domain-name-servers")


def take_lease(src: bytes | None) -> bytes | None:
    """Take out values that override a lease's routes and servers, and ask for these where a list leaves them out.

    Name servers on the guest itself (127.0.0.1) stay, for a resolver there is no part of the old network.
    """
    if src is None:
        return None
    plain = _COMMENT.sub(lambda found: found[0] if found[0][:1] == b'"' else b" " * len(found[0]), src)
    splices, local = [], False
    for found in _SUPERSEDE.finditer(plain):
        if found[1] == b"domain-name-servers" and regex(rb"[\s,]*((127\.[\d.]+|::1)[\s,]*)+").fullmatch(found[2]):
            local = True
            continue
        splices.append(_gone(src, found.start(), found.end()))
    for found in _REQUEST.finditer(plain):
        asked = found[2].replace(b",", b" ").split()
        more = [one for one in _WANTED if one not in asked and not (local and one == b"domain-name-servers")]
        if more and not found[1]:
            splices.append(Splice(found.end() - 1, 0, b"".join(b", " + one for one in more)))
    return apply_splices(src, splices)


def _gone(src: bytes, start: int, end: int) -> Splice:
    """Remove a statement, with its lines where nothing else stands on them."""
    first = src.rfind(b"\n", 0, start) + 1
    stop = src.find(b"\n", end)
    last = len(src) if stop < 0 else stop + 1
    alone = not src[first:start].strip() and not src[end:last].strip()
    return Splice(first, last - first, b"") if alone else Splice(start, end - start, b"")
