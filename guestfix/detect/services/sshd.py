"""What sshd is told: sshd_config with what it includes, in the order in which sshd reads it."""

from __future__ import annotations

from guestfix.base.errors import GuestError
from guestfix.base.facts import Evidence
from guestfix.base.globs import glob
from guestfix.base.guest import GuestFS
from guestfix.base.record import field, mutable
from guestfix.detect.files import read_small
from guestfix.formats.network.sshdconfig import MAX_OPTIONS, SshOption, options

CONFIG = "/etc/ssh/sshd_config"
SHIPPED = "/usr/etc/ssh/sshd_config"
"""Where SUSE has it since 15 SP5, where /etc has none."""

MAX_FILES, MAX_DEPTH = 64, 16


@mutable
class Sshd:
    """The options of sshd with their files. ``known``: there is a file at all."""

    options: list[tuple[str, SshOption]] = field(default_factory=list)
    files: list[str] = field(default_factory=list)
    known: bool = False

    def first(self, *keywords: str) -> str:
        """Return the value that holds for everybody, in lower case; "" where none of these keywords is said."""
        found = self.said(*keywords)
        return found[1].value.lower() if found else ""

    def said(self, *keywords: str) -> tuple[str, SshOption] | None:
        """Return the option that counts of these keywords, names of one option, with its file."""
        return next((one for one in self.options if one[1].keyword in keywords and not one[1].matched), None)

    def words(self, keyword: str) -> tuple[str, ...]:
        """Return the words of all options of this keyword, which add up."""
        return tuple(
            word for _, one in self.options if one.keyword == keyword and not one.matched for word in one.words
        )

    def places(self, *keywords: str) -> tuple[Evidence, ...]:
        """Return where options of these keywords stand."""
        rows = [one for one in self.options if one[1].keyword in keywords]
        return tuple(Evidence(path, one.line, f"{one.keyword} {' '.join(one.words)}") for path, one in rows[:4])

    def depends(self, *keywords: str) -> bool:
        """Tell whether a Match block says one of these, so that it hangs on who comes from where."""
        return any(one.keyword in keywords and one.matched for _, one in self.options)


def read(guest: GuestFS) -> Sshd:
    """Return what sshd reads. Nothing is raised for what the guest holds."""
    found = Sshd()
    main = read_small(guest, CONFIG)
    _add(guest, found, CONFIG if main is not None else SHIPPED, 0)
    return found


def _add(guest: GuestFS, found: Sshd, path: str, depth: int) -> None:
    data = read_small(guest, path)
    full = len(found.files) >= MAX_FILES or len(found.options) >= MAX_OPTIONS
    if data is None or path in found.files or full or depth > MAX_DEPTH:
        return
    found.files.append(path)
    found.known = True
    for one in options(data):
        if one.keyword != "include":
            found.options.append((path, one))
            continue
        for pattern in one.words[:MAX_DEPTH]:
            for below in _paths(guest, pattern if pattern.startswith("/") else f"/etc/ssh/{pattern}"):
                _add(guest, found, below, depth + 1)


def _paths(guest: GuestFS, pattern: str) -> tuple[str, ...]:
    try:
        return glob(guest, pattern)[:MAX_FILES]
    except GuestError:
        return ()
