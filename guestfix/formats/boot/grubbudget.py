"""How much work following one boot menu may cost: commands, text, files."""

from __future__ import annotations

from guestfix.base.bounds import MENU_READ, MENU_TEXT
from guestfix.base.record import mutable

MAX_STEPS = 200_000
"""Commands run for one menu, its entries' own included."""

MAX_LOOKS = 20_000
"""Times that one menu may ask for a file."""


class Boot(Exception):
    """Raised inside to leave a script: configfile has replaced it, or the steps are used up."""


@mutable
class Budget:
    """What is left of the work that one menu may cost; its submenus and entries draw on it too."""

    steps: int = MAX_STEPS
    text: int = MENU_TEXT
    read: int = MENU_READ
    looks: int = MAX_LOOKS

    def take(self, what: str, amount: int) -> None:
        """Spend some of it. Raises Boot where nothing is left."""
        left = getattr(self, what) - amount
        setattr(self, what, left)
        if left < 0:
            raise Boot(_SPENT[what])


_SPENT = {
    "steps": "too many commands",
    "text": "variables grow without end",
    "read": "too much is read by source and configfile",
    "looks": "too many files are looked for",
}
