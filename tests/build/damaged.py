"""Reading what can be read of a damaged filesystem."""

from __future__ import annotations

import contextlib
import time

from guestfix.backends.filesystems.node import EntryNode, Tree
from guestfix.base.errors import GuestfixError
from tests.build.images import MIB


def read_all(tree: Tree, limit: int, budget: float = 20.0) -> int:
    """Read what can be read below the root; return how many nodes gave all they should."""
    whole, begun, todo = 0, time.monotonic(), [tree.root()]
    while todo and limit:
        node, limit = todo.pop(), limit - 1
        with contextlib.suppress(GuestfixError):
            kind = node.stat().kind
            node.xattrs()
            if kind == "file":
                node.open().read(4 * MIB)
            elif kind == "symlink":
                node.link()
            todo += [child for name in node.names() if isinstance(child := node.child(name), EntryNode)]
            whole += 1
    assert time.monotonic() - begun < budget, "a damaged image keeps the reader busy"
    return whole
