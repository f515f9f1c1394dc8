"""Secrets in texts that are shown: passwords in mount options, in addresses of servers, in profiles."""

from __future__ import annotations

import re

from guestfix.base.patterns import regex

HIDDEN = "***"

_OPTION = regex(
    r"(?<![\w.-])((?:(?:wifi|eap|private-key|key|auth|user|login|db)[-_.])?"
    r"(?!pass=\")(?:pass(?:word|wd|phrase)?2?|passphrase_passwd|pwd|secret|psk|wep-key[0-3]))(\s*=\s*)(\"[^\"\n]*\"|'[^'\n]*'|[^,\s\"']+)",
    re.IGNORECASE,
)
_ADDRESS = regex(r"(?<=[/#])([^\s/:@#,]+):([^\s/@,]+)@")


def masked(text: str) -> str:
    """Return the text with each password replaced by ``***``; the same object where there is none."""
    if "=" in text:
        text = _OPTION.sub(lambda found: f"{found[1]}{found[2]}{HIDDEN}", text)
    if "@" in text:
        text = _ADDRESS.sub(lambda found: f"{found[1]}:{HIDDEN}@", text)
    return text
