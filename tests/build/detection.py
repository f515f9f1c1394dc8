"""What all detectors together find."""

from collections.abc import Sequence

from guestfix.base.facts import Facts, Finding
from guestfix.base.guest import GuestFS
from guestfix.detect import detect_by
from guestfix.pack.model import System, Target


def detect_all(guest: GuestFS, facts: Facts, target: Target, systems: Sequence[System]) -> list[Finding]:
    """Run every detector; facts then holds all that is known."""
    return [one for found in detect_by(guest, facts, target, systems).values() for one in found]
