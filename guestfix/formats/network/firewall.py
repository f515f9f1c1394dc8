"""Whether a firewall lets a new TCP connection in: the answers, and lists of ports.

``open``; ``limited`` (from some addresses, interfaces or under conditions that can't be judged here);
``closed``.
"""

from __future__ import annotations

OPEN, LIMITED, CLOSED = "open", "limited", "closed"

_NAMES = {22: "ssh"}


def port_in(text: str, port: int) -> bool:
    """Tell whether a port list holds port: ``22``, ``ssh``, ``20:30``, ``20-30``, ``22,80``."""
    return any(_in_range(part.strip(), port) for part in text.split(","))


def _in_range(part: str, port: int) -> bool:
    if part == _NAMES.get(port):
        return True
    low, colon, high = part.replace("-", ":").partition(":")
    if not colon:
        return _number(low) == port
    first, last = _number(low or "0"), _number(high or "65535")
    return first is not None and last is not None and first <= port <= last


def _number(text: str) -> int | None:
    return int(text) if text.isascii() and text.isdigit() and len(text) < 6 else None
