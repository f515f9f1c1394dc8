"""Who vouches for a pack: signatures that ssh-keygen makes and checks (ssh-keygen(1), -Y sign and -Y verify).

``pack.sums`` has the SHA-256 of each YAML file of the pack, in the form of sha256sum(1), and ``pack.sums.sig`` is its
signature. A pack is signed where the signature is good, the signer is one of the allowed ones, and the sums are those
of the files, no more and no fewer. Cases are no part of a pack, and so not of its sums.
"""

from __future__ import annotations

import hashlib
import os
import subprocess
import tempfile
from collections.abc import Mapping

from guestfix.base.errors import GuestfixError, UsageError
from guestfix.pack.files import BOUNDS, digest_of, pack_files
from guestfix.pack.trees import Tree

SUMS, SIGNATURE = "pack.sums", "pack.sums.sig"
NAMESPACE = "guestfix-pack"
"""A signature is for one purpose: one of an e-mail, made with the same key, does not count here."""
TIMEOUT = 60
"""Seconds that ssh-keygen gets; a key with a passphrase or on a token asks its owner."""


def sums_of(files: Mapping[str, bytes]) -> bytes:
    """Return the sums of a pack's files, sorted by name."""
    lines = [f"{hashlib.sha256(data).hexdigest()}  {name}\n" for name, data in sorted(files.items())]
    return "".join(lines).encode()


def sign(root: str, key: str) -> str:
    """Write the sums of a pack and their signature; return the signature's path.

    ``key`` is a private key, or a public one whose private one an agent has. Raises GuestfixError where ssh-keygen
    can't sign.
    """
    place = os.path.join(root, SUMS)
    new = f"{place}.new"
    _remove(new, f"{new}.sig")
    with open(new, "xb") as stream:
        stream.write(sums_of(pack_files(root)))
    try:
        _keygen("sign", "-f", key, new, where=root)
        os.replace(f"{new}.sig", os.path.join(root, SIGNATURE))
        os.replace(new, place)
    finally:
        _remove(new, f"{new}.sig")
    return os.path.join(root, SIGNATURE)


def _remove(*paths: str) -> None:
    for path in paths:
        if os.path.lexists(path):
            os.unlink(path)


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
    with tempfile.TemporaryDirectory(prefix="guestfix-signature-") as scratch:
        place = os.path.join(scratch, SIGNATURE)  # a copy: what is checked is what was read
        with open(place, "xb") as stream:
            stream.write(signature)
        signer = _keygen("find-principals", "-f", allowed, "-s", place, where=root).split("\n")[0].strip()
        _keygen("verify", "-f", allowed, "-I", signer, "-s", place, where=root, data=sums)
    return signer, digest_of(files)


def _difference(signed: bytes, found: bytes) -> str:
    old, new = _by_name(signed), _by_name(found)
    names = sorted(name for name in {*old, *new} if old.get(name) != new.get(name))
    return f"the pack was changed after it was signed: {', '.join(names[:5])}{' ...' if len(names) > 5 else ''}"


def _by_name(sums: bytes) -> dict[str, str]:
    parts = (line.partition("  ") for line in sums.decode("utf-8", "replace").splitlines())
    return {name: digest for digest, _, name in parts if name}


def _keygen(verb: str, *words: str, where: str, data: bytes | None = None) -> str:
    command = ["ssh-keygen", "-Y", verb, *words]
    if verb != "find-principals":
        command[3:3] = ["-n", NAMESPACE]
    try:
        done = subprocess.run(command, input=data, capture_output=True, timeout=TIMEOUT, check=False)
    except FileNotFoundError as error:
        raise UsageError("ssh-keygen is not installed", remedy="install openssh-client") from error
    except subprocess.TimeoutExpired as error:
        raise GuestfixError(f"ssh-keygen gave no answer in {TIMEOUT} s", where=where) from error
    if done.returncode:
        said = (done.stderr or done.stdout).decode("utf-8", "replace").strip().splitlines()
        what = {
            "sign": "ssh-keygen can't sign the pack",
            "find-principals": "nobody who is allowed has signed the pack",
            "verify": "the pack's signature is not good",
        }[verb]
        raise GuestfixError(f"{what}: {said[-1][:300] if said else 'no reason given'}", where=where)
    return done.stdout.decode("utf-8", "replace")
