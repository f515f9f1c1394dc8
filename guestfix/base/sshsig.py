"""Signatures that ssh-keygen makes and checks (ssh-keygen(1), -Y sign and -Y verify), for packs and plans alike.

A signature is for one purpose, its namespace: one of an e-mail, made with the same key, does not count here.
"""

from __future__ import annotations

import os
import subprocess
import tempfile

from guestfix.base.errors import GuestfixError, UsageError

TIMEOUT = 60
"""Seconds that ssh-keygen gets; a key with a passphrase or on a token asks its owner."""
MAX_SIGNATURE = 64 * 1024


def sign(data: bytes, place: str, key: str, namespace: str, what: str) -> None:
    """Write the signature of data to ``place``, whole or not at all.

    ``key`` is a private key, or a public one whose private one an agent has; ``what`` is what an error calls the data.
    Raises UsageError where there is no such key, and GuestfixError where ssh-keygen can't sign.
    """
    if not os.path.exists(key):
        raise UsageError(f"there is no key {key}", remedy="ssh-keygen -t ed25519 -f KEY makes one")
    folder = os.path.dirname(os.path.abspath(place))
    with tempfile.TemporaryDirectory(prefix=".guestfix-signature-", dir=folder) as scratch:
        file = os.path.join(scratch, "signed")
        with open(file, "xb") as stream:
            stream.write(data)
        _keygen("sign", ["-n", namespace, "-f", key, file], place, f"ssh-keygen can't sign the {what}")
        os.replace(f"{file}.sig", place)


def signer_of(
    data: bytes, signature: bytes, allowed: str, namespace: str, what: str, where: str, code: str = ""
) -> str:
    """Return who signed data, as the file of allowed signers names them.

    Raises GuestfixError, with this code, where it was nobody who is allowed, or the signature is of other data.
    """
    if not os.path.isfile(allowed):
        raise UsageError(f"there is no file of allowed signers {allowed}", remedy="a line each: NAME KEY")
    with tempfile.TemporaryDirectory(prefix="guestfix-signature-") as scratch:
        place = os.path.join(scratch, "signature")  # a copy: what is checked is what was read
        with open(place, "xb") as stream:
            stream.write(signature)
        nobody = f"nobody who is allowed has signed the {what}"
        found = _keygen("find-principals", ["-f", allowed, "-s", place], where, nobody, code)
        signer = found.split("\n")[0].strip()
        words = ["-n", namespace, "-f", allowed, "-I", signer, "-s", place]
        _keygen("verify", words, where, f"the {what}'s signature is not good", code, data)
    return signer


def _keygen(verb: str, words: list[str], where: str, what: str, code: str = "", data: bytes | None = None) -> str:
    command = ["ssh-keygen", "-Y", verb, *words]
    try:
        done = subprocess.run(command, input=data, capture_output=True, timeout=TIMEOUT, check=False)
    except FileNotFoundError as error:
        raise UsageError("ssh-keygen is not installed", remedy="install openssh-client") from error
    except subprocess.TimeoutExpired as error:
        raise GuestfixError(f"ssh-keygen gave no answer in {TIMEOUT} s", where=where, code=code) from error
    if done.returncode:
        said = (done.stderr or done.stdout).decode("utf-8", "replace").strip().splitlines()
        raise GuestfixError(f"{what}: {said[-1][:300] if said else 'no reason given'}", where=where, code=code)
    return done.stdout.decode("utf-8", "replace")
