"""``guestfix --machine-readable``: what this version can do, a word each, as virt-v2v lists its own."""

from __future__ import annotations

from guestfix import __version__
from guestfix.backends import BACKENDS
from guestfix.commands.outcome import FORMATS


def features() -> list[str]:
    """Return the features, each without blanks; a program looks for those it needs and ignores the rest."""
    version = ".".join(__version__.split(".")[:2])
    return [
        "guestfix",
        f"guestfix-{version}",
        "events",
        *(f"events:{kind}" for kind in ("fd", "file", "stderr", "stdout")),
        *(f"backend:{name}" for name in BACKENDS),
        *(f"output:{name}" for name in FORMATS),
        "convert:linux",
        "convert:windows",
        "in-place",
    ]
