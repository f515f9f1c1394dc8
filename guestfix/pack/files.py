"""The files of a rule pack, and the digest that stands for them."""

from __future__ import annotations

import hashlib
import os

from guestfix.errors import GuestfixError


def default_pack_path() -> str:
    """Return the folder of the rules that came with guestfix: inside the package, or beside it in a checkout."""
    package = os.path.dirname(os.path.dirname(os.path.realpath(__file__)))
    inside = os.path.join(package, "rules")
    return inside if os.path.isdir(inside) else os.path.join(os.path.dirname(package), "rules")


def pack_files(root: str) -> dict[str, bytes]:
    """Return every YAML file of a pack by its relative path, sorted; case folders are no part of it."""
    found: dict[str, bytes] = {}
    try:
        for folder, folders, names in os.walk(root, onerror=_raise):
            folders[:] = sorted(name for name in folders if name != "cases")
            for name in sorted(names):
                if name.endswith(".yaml"):
                    path = os.path.join(folder, name)
                    with open(path, "rb") as stream:
                        found[os.path.relpath(path, root)] = stream.read()
    except OSError as error:
        raise GuestfixError(f"can't read the rule pack: {error.strerror}", where=str(error.filename or root)) from error
    if "pack.yaml" not in found:
        raise GuestfixError("no rule pack: it has no pack.yaml", where=root, remedy="name a folder like rules/")
    return found


def _raise(error: OSError) -> None:
    raise error


def digest_of(files: dict[str, bytes]) -> str:
    """Return the SHA-256 over names and contents of a pack's files, as hex."""
    total = hashlib.sha256()
    for name, data in files.items():
        total.update(f"{name}\0{len(data)}\0".encode())
        total.update(data)
    return total.hexdigest()
