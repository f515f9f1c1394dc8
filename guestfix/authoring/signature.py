"""Who vouches for a pack: signatures that ssh-keygen makes and checks (ssh-keygen(1), -Y sign and -Y verify).

``pack.sums`` has the SHA-256 of each YAML file of the pack, in the form of sha256sum(1), and ``pack.sums.sig`` is its
signature. A pack is signed where the signature is good, the signer is one of the allowed ones, and the sums are those
of the files, no more and no fewer. Cases are no part of a pack, and so not of its sums.
"""

from __future__ import annotations

import hashlib
import os
from collections.abc import Mapping

from guestfix.base import sshsig
from guestfix.base.errors import GuestfixError
from guestfix.pack.files import BOUNDS, digest_of, pack_files
from guestfix.pack.trees import Tree

SUMS, SIGNATURE = "pack.sums", "pack.sums.sig"
NAMESPACE = "guestfix-pack"


def sums_of(files: Mapping[str, bytes]) -> bytes:
    """Return the sums of a pack's files, sorted by name."""
    lines = [f"{hashlib.sha256(data).hexdigest()}  {name}\n" for name, data in sorted(files.items())]
    return "".join(lines).encode()


def sign(root: str, key: str) -> str:
    """Write the sums of a pack and their signature; return the signature's path.

    ``key`` is a private key, or a public one whose private one an agent has. Raises UsageError where there is
    no such key, GuestfixError where ssh-keygen can't sign.
    """
    place, signature = os.path.join(root, SUMS), os.path.join(root, SIGNATURE)
    sums = sums_of(pack_files(root))
    sshsig.sign(sums, signature, key, NAMESPACE, "pack")
    with open(f"{place}.new", "wb") as stream:
        stream.write(sums)
    os.replace(f"{place}.new", place)
    return signature


def verify(root: str, allowed: str) -> tuple[str, str]:
    """Return who signed a pack, as the file of allowed signers names them, and the digest of the files signed.

    Raises GuestfixError where the pack is not signed, by nobody who is allowed, or has other files than were signed.
    """
    files = pack_files(root)
    with Tree(root, BOUNDS) as tree:
        if not tree.has(SUMS) or not tree.has(SIGNATURE):
            raise tree.refusal("", "the pack is not signed", f"guestfix rules sign {root} --key KEY")
        sums, signature = tree.read(SUMS), tree.read(SIGNATURE)
    if sums != sums_of(files):
        raise GuestfixError(_difference(sums, sums_of(files)), where=root, remedy="sign it again, once it was reviewed")
    return sshsig.signer_of(sums, signature, allowed, NAMESPACE, "pack", root), digest_of(files)


def _difference(signed: bytes, found: bytes) -> str:
    old, new = _by_name(signed), _by_name(found)
    names = sorted(name for name in {*old, *new} if old.get(name) != new.get(name))
    return f"the pack was changed after it was signed: {', '.join(names[:5])}{' ...' if len(names) > 5 else ''}"


def _by_name(sums: bytes) -> dict[str, str]:
    parts = (line.partition("  ") for line in sums.decode("utf-8", "replace").splitlines())
    return {name: digest for digest, _, name in parts if name}
