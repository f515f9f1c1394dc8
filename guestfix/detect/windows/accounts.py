"""Local accounts that can't be used from afar, since they have no password."""

from __future__ import annotations

from collections.abc import Iterator

from guestfix.base.catalog.facts.windows import WINDOWS_ACCOUNTS_WITHOUT_PASSWORD, WINDOWS_DOMAIN_CONTROLLER
from guestfix.base.facts import Evidence, Finding, Unknown
from guestfix.base.guest import GuestFS
from guestfix.detect.windows.hives import open_registry
from guestfix.detect.windows.state import State
from guestfix.formats.windows.sam import USERS, accounts

LIMIT = r"Control\Lsa"


def find_accounts(guest: GuestFS, state: State) -> Iterator[Finding]:
    """Put ``windows.accounts_without_password`` (the enabled ones); yield that they log on at the console alone."""
    path = f"{state.root}/System32/config/SAM"
    sam = open_registry(guest, path, "SAM")[0] if guest.stat(path) is not None else None
    if sam is None:
        state.facts.put(WINDOWS_ACCOUNTS_WITHOUT_PASSWORD, Unknown("the hive SAM can't be read"), Evidence(path))
        return
    found = [one for one in accounts(sam) if not one.disabled and not one.has_password]
    proofs = tuple(Evidence(path, 0, rf"SAM\{USERS}\{one.relative_id:08X}: {one.name}, no password") for one in found)
    state.facts.put(WINDOWS_ACCOUNTS_WITHOUT_PASSWORD, [one.name for one in found], *proofs[:8])
    if found and not state.facts.value(WINDOWS_DOMAIN_CONTROLLER):
        names = ", ".join(one.name for one in found[:8])
        text = f"accounts without a password: {names}; Windows lets them in at the console alone, not from afar"
        remedy = "give them a password on the old platform: net user NAME *"
        if state.system.number(state.key(LIMIT), "LimitBlankPasswordUse") == 0:
            text = f"accounts without a password: {names}; this Windows lets them in from afar too"
        yield Finding("GF-WINDOWS-NO-PASSWORD", "warning", text, proofs[:8], remedy)
