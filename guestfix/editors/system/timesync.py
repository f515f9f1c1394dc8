"""Sources of time of a platform that is left: taken out of a file, with the target's in their place."""

from __future__ import annotations

from collections.abc import Sequence

from guestfix.base.edit import Content, Edit, Note, Splice, apply_splices, insert_lines
from guestfix.base.errors import EditError
from guestfix.base.patterns import regex
from guestfix.formats.shellvars import encode
from guestfix.formats.timesync import DIALECTS, Source, sources

PHC = "refclock PHC {} poll 3 dpoll -2 offset 0 stratum 2"
"""How Azure's guide has chrony take a clock that the host keeps ("Time sync for Linux VMs in Azure")."""

WAS = b"# guestfix: of the old platform: "

_WORD = regex(r"[A-Za-z0-9_./:-]{1,255}\Z")
_FORMS = {"chrony": "server {} iburst prefer", "ntp": "server {} iburst prefer", "openntpd": "server {}", "hosts": "{}"}


def replace(
    src: bytes | None,
    *,
    dialect: str,
    gone: Sequence[str],
    others: Sequence[str],
    servers: Sequence[str] = (),
    device: str = "",
) -> Content | Edit:
    """Make lines that name one of the sources ``gone`` comments; ``servers`` and ``device`` stand behind the first.

    Nothing is added where nothing was taken out, or where the file names it already. ``device`` is for chrony alone.
    Where nothing is added and the guest has no ``others``, that is told.

    Raises EditError for a dialect that there is not (DIALECTS), and for what can't be a source.
    """
    if dialect not in DIALECTS:
        raise EditError(f"{dialect[:80]!r} is none of {', '.join(DIALECTS)}")
    if odd := [one for one in (*servers, *([device] if device else [])) if not _WORD.match(one)]:
        raise EditError(f"{odd[0][:80]!r} can't be a source of time")
    known = sources(src or b"", dialect)
    old = [one for one in known if one.name in gone]
    if src is None or not old:
        return src
    new = [one for one in servers if one not in {two.name for two in known if two not in old}]
    if dialect == "timesyncd":
        return apply_splices(src, _settings(known, old, new))
    lines = [_FORMS[dialect].format(one) for one in new]
    if device and dialect == "chrony" and device not in {one.name for one in known if one not in old}:
        lines.append(PHC.format(device))
    content = _lines(src, old, lines)
    return content if lines or others or dialect == "hosts" else Edit(content, (_none_left(old[0]),))


def _none_left(old: Source) -> Note:
    what = "no source of time is left, so that the clock runs free unless the target's DHCP server names one"
    remedy = "name time servers that the new network reaches, or have its DHCP server do so"
    return Note("warning", what, old.line, old.text, remedy, "GF-TIME-SOURCE-NONE")


def _lines(src: bytes, old: Sequence[Source], lines: Sequence[str]) -> bytes:
    splices = [Splice(start, 0, WAS) for start in dict.fromkeys(one.start for one in old)]
    added = [insert_lines(src, old[0].end, *(encode(line) for line in lines))] if lines else []
    return apply_splices(src, [*splices[:1], *added, *splices[1:]])


def _settings(known: Sequence[Source], old: Sequence[Source], new: Sequence[str]) -> list[Splice]:
    splices = []
    for number, (start, end) in enumerate(dict.fromkeys((one.start, one.end) for one in old)):
        left = [one.name for one in known if one.start == start and one not in old]
        splices.append(Splice(start, end - start, encode(" ".join([*(new if number == 0 else ()), *left]))))
    return splices
