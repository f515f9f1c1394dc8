"""Public keys of SSH, one a line: sshd(8), section "AUTHORIZED_KEYS FILE FORMAT"; their blobs are RFC 4253's, 6.6."""

from __future__ import annotations

import base64
import binascii

from guestfix.base.patterns import regex

KINDS = (
    "ssh-ed25519", "ssh-rsa", "ecdsa-sha2-nistp256", "ecdsa-sha2-nistp384", "ecdsa-sha2-nistp521",
    "sk-ssh-ed25519@openssh.com", "sk-ecdsa-sha2-nistp256@openssh.com",
)  # fmt: skip
SUFFIX = ".pub"
"""How the name of a file with public keys ends."""
LONGEST = 16 * 1024
_KEY = regex(r"(?P<kind>[a-z0-9@.-]{1,64})[ \t]+(?P<blob>[A-Za-z0-9+/]{20,12000}={0,2})(?:[ \t]+[^\x00-\x1f\x7f]*)?\Z")


def fault_of(line: str) -> str:
    """Return why a line is no public key, as the end of a sentence about it; "" where it is one.

    Options before a key are none of what is taken here: they may run commands.
    """
    if "PRIVATE KEY" in line:
        return "is of a private key, which belongs to its owner alone: give the file that ends with .pub"
    found = _KEY.match(line.strip())
    if found is None or found["kind"] not in KINDS:
        return "is no public key, like ssh-ed25519 AAAA... NAME"
    kind = found["kind"].encode()
    try:
        data = base64.b64decode(found["blob"], validate=True)
    except binascii.Error:
        return "is a public key that is cut short"
    if data[: 4 + len(kind)] != len(kind).to_bytes(4, "big") + kind or len(data) < 4 + len(kind) + 32:
        return f"does not hold a key of the kind {found['kind']}"
    return ""


def blob_of(line: str) -> str:
    """Return a key without what stands before and after it, by which two lines are of one key; "" for none."""
    words = line.split()
    at = next((index for index, word in enumerate(words) if word in KINDS), None)
    return words[at + 1] if at is not None and at + 1 < len(words) and not line.lstrip().startswith("#") else ""
