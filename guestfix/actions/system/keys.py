"""A public key of the operator for one account of a Linux guest, so that somebody can log in on the target.

Sources: sshd(8) (AUTHORIZED_KEYS FILE FORMAT, StrictModes in sshd_config(5)), ssh-copy-id(1).
"""

from __future__ import annotations

from guestfix.actions.payload import open_payload
from guestfix.actions.workbench import Workbench
from guestfix.base.catalog.facts.system import PAYLOAD_DIR
from guestfix.base.edit import append_lines
from guestfix.base.errors import UsageError
from guestfix.base.facts import Evidence
from guestfix.detect.files import exists, is_link, kind_of
from guestfix.detect.services.access import key_files
from guestfix.detect.services.accounts import Account, accounts, key_files_of
from guestfix.detect.services.sshd import read
from guestfix.formats.shellvars import decode, encode
from guestfix.formats.sshkeys import LONGEST, SUFFIX, blob_of, fault_of

MOST_KEYS = 64


def authorize(bench: Workbench, *, user: str) -> None:
    """Add the public keys of the payload (``*.pub``) to those that sshd takes for this account.

    The file that is not there yet is for the account's owner alone, as is its folder. No account is made, no password
    changed. Raises UsageError for an unreadable payload, and for a file there that is no public key.
    """
    keys = _keys(str(bench.facts.value(PAYLOAD_DIR, "")))
    account = next((one for one in accounts(bench.fs) or () if one.name == user), None)
    if not keys:
        _tell(bench, user, f"no file *{SUFFIX} was brought with --payload", Evidence("policy.ssh_user", 0, user))
    elif account is None:
        _tell(bench, user, "the guest has no such account with a shell", Evidence("/etc/passwd"))
    else:
        _place(bench, account, keys)


def _keys(place: str) -> list[str]:
    """Return every key of the payload, in order."""
    payload = open_payload(place) if place else None
    found: dict[str, str] = {}
    for path in payload.files if payload else ():
        data = payload.read(path) if payload and path.endswith(SUFFIX) else b""
        if len(data) > LONGEST:
            raise UsageError(f"a file of public keys has at most {LONGEST} bytes", where=path)
        for number, line in enumerate(decode(data).splitlines(), 1):
            if not line.strip() or line.lstrip().startswith("#"):
                continue
            if why := fault_of(line):
                raise UsageError(f"the line {why}", where=f"{path}:{number}")
            found.setdefault(blob_of(line), line.strip())
    if len(found) > MOST_KEYS:
        raise UsageError(f"more than {MOST_KEYS} public keys in the payload", where=place)
    return list(found.values())


def _place(bench: Workbench, account: Account, keys: list[str]) -> None:
    words = key_files(read(bench.fs))
    path = next(iter(key_files_of(account.name, account.home, words)), "")
    place = Evidence("/etc/passwd", account.line, f"{account.name}: {account.home}")
    home = account.home.rstrip("/")
    inside = path.startswith(f"{home}/") and bool(home)
    folder = path.rpartition("/")[0]
    if not words:
        _tell(bench, account.name, "sshd takes keys of no file (AuthorizedKeysFile none)", place)
    elif kind_of(bench.fs, home if inside else folder) != "dir":
        _tell(bench, account.name, f"{home if inside else folder} is not there, or not part of what is seen", place)
    elif ".." in path.split("/") or any(is_link(bench.fs, one) for one in (folder, path)):
        _tell(bench, account.name, f"{path} is reached by a link, and what that names may be another's", place)
    else:
        _append(bench, path, (home, 0o600) if inside else (folder, 0o644), keys)


def _append(bench: Workbench, path: str, new: tuple[str, int], keys: list[str]) -> None:
    """Add what is lacking; a new file is whose that folder is. sshd reads it as the account, also beside its home."""
    before = bench.fs.read(path) if exists(bench.fs, path) else b""
    known = {blob_of(line) for line in decode(before).splitlines()}
    lacking = [encode(one) for one in keys if blob_of(one) not in known]
    if lacking:
        with bench.fs.permitting(path):
            bench.fs.put(path, append_lines(before, *lacking), like=new[0], mode=new[1])


def _tell(bench: Workbench, user: str, why: str, place: Evidence) -> None:
    bench.find("GF-SSH-KEY-UNPLACED", "warning", f"{user} gets no SSH key: {why}", place)
