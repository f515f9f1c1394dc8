"""cloud.cfg and its drop-ins: which data sources cloud-init looks for."""

from __future__ import annotations

from collections.abc import Sequence

from guestfix.base.edit import Content
from guestfix.base.errors import EditError
from guestfix.base.patterns import regex
from guestfix.formats import yamltree

KEY = "datasource_list"
_NAME = regex(r"[A-Za-z0-9]{1,40}\Z")


def data_sources(src: bytes | None, *, names: Sequence[str], only: bool = False) -> Content:
    """Make a list of data sources that has none of these name them alone, and ``None`` as the last resort.

    With ``only``, so does one that has others besides. A list of nothing but ``None`` stays, a file without a list, and
    what is no YAML, which cloud-init passes over. It is written on one line, as ds-identify reads it. Raises EditError
    for what is no data source.
    """
    if odd := [one for one in names if not _NAME.match(one)]:
        raise EditError(f"{odd[0][:80]!r} is no data source of cloud-init")
    if src is None or not names or KEY.encode() not in src:
        return src
    try:
        root = yamltree.parse(src)
    except EditError:
        return src
    key, node = (root.key(KEY), root.get(KEY)) if root is not None and root.kind == "map" else (None, None)
    if key is None or node is None or node.kind != "seq":
        return src
    stated = {one.value.lower() for one in node.items}
    own = {one.lower() for one in names}
    suits = bool(stated & own) and (not only or stated <= own | {"none"})
    if stated == {"none"} or suits:
        return src
    text = src.decode("utf-8")
    return f"{text[: key.end]}: [ {', '.join([*names, 'None'])} ]{text[node.end :]}".encode()
