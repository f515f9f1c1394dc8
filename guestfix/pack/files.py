"""The files of a rule pack, and the digest that stands for them."""

from __future__ import annotations

import hashlib
import os

from guestfix.base.errors import GuestfixError
from guestfix.base.patterns import regex
from guestfix.pack.trees import Bounds, Tree

MAX_FILE = 1024 * 1024
BOUNDS = Bounds("a rule pack", file=MAX_FILE, total=2 * 1024 * 1024, entries=10_000, depth=6)
MAX_FILES = 600
"""YAML files of a pack; the one that comes with guestfix has about a hundred."""

_NAME = regex(r"[A-Za-z0-9._+-]{1,100}\Z")


def default_pack_path() -> str:
    """Return the folder of the rules that came with guestfix: inside the package, or beside it in a checkout."""
    package = os.path.dirname(os.path.dirname(os.path.realpath(__file__)))
    inside = os.path.join(package, "rules")
    return inside if os.path.isdir(inside) else os.path.join(os.path.dirname(package), "rules")


def pack_files(root: str) -> dict[str, bytes]:
    """Return every YAML file of a pack by its relative path, sorted; case folders and hidden names are no part of it.

    Raises GuestfixError where there is no pack, for links and special files, and beyond the bounds.
    """
    found: dict[str, bytes] = {}
    with Tree(root, BOUNDS) as tree:
        if not tree.has("pack.yaml"):
            raise GuestfixError("no rule pack: it has no pack.yaml", where=root, remedy="name a folder like rules/")
        for item in tree.walk(_is_part):
            if item.kind != "file" or not item.path.endswith(".yaml") or not _is_part(item.path):
                continue
            if not all(_NAME.match(part) for part in item.path.split("/")):
                what = f"a rule pack's files are named with letters, digits and ._+-, not {item.path[:200]!a}"
                raise tree.refusal("", what)
            found[item.path] = tree.read(item.path)
            if len(found) > MAX_FILES:
                raise tree.refusal("", f"a rule pack has at most {MAX_FILES} YAML files, and this one has more")
    return found


def _is_part(path: str) -> bool:
    name = path.rpartition("/")[2]
    return name != "cases" and not name.startswith(".")


def digest_of(files: dict[str, bytes]) -> str:
    """Return the SHA-256 over names and contents of a pack's files, as hex."""
    total = hashlib.sha256()
    for name, data in files.items():
        total.update(f"{name}\0{len(data)}\0".encode())
        total.update(data)
    return total.hexdigest()
