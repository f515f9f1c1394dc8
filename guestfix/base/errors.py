"""Every exception that guestfix raises on purpose. Each says what, where, and what to do next."""

from __future__ import annotations

from collections.abc import Sequence

from guestfix.base.secrets import masked


class GuestfixError(Exception):
    """Base of all errors of guestfix.

    ``what`` is the sentence for the user, ``where`` a path, ``path:line`` or ``path:line:column``,
    ``remedy`` what to do next. The last two may be empty. ``code`` is a row of the table of findings.
    Secrets that the sentences quote are hidden.
    """

    CODE = "GF-RUN-FAILED"
    """The code of an error that was given none of its own."""

    def __init__(self, what: str, *, where: str = "", remedy: str = "", code: str = "") -> None:
        what = masked(what)
        super().__init__(what)
        self.what = what
        self.where = where
        self.remedy = masked(remedy)
        self.code = code or self.CODE

    def __str__(self) -> str:
        return f"{self.said}\n  remedy: {self.remedy}" if self.remedy else self.said

    @property
    def said(self) -> str:
        """Where and what, without the remedy."""
        return f"{self.where}: {self.what}" if self.where else self.what


class UsageError(GuestfixError):
    """The command line or an argument of the API can't be used as given."""

    CODE = "GF-RUN-USAGE"


class GuestError(GuestfixError):
    """Something about the guest's files prevents reading or writing them."""

    CODE = "GF-GUEST-UNREADABLE"


class NotAGuest(GuestError):
    """The given place holds no guest operating system."""

    CODE = "GF-OS-NOT-FOUND"


class NotFound(GuestError):
    """The path doesn't exist in the guest."""


class Unreadable(GuestError):
    """The path exists but can't be read: permission, I/O error, or not a regular file."""


class Packed(Unreadable):
    """The file is there, but its filesystem keeps its content in a form that is not understood here."""


class TooLarge(GuestError):
    """The file is larger than what the caller was ready to hold in memory."""


class Corrupt(GuestError):
    """A file's bytes don't follow its format. ``offset`` is where, in bytes from the file's start."""

    def __init__(self, what: str, *, offset: int, where: str = "", remedy: str = "") -> None:
        super().__init__(what, where=where, remedy=remedy)
        self.offset = offset


class SymlinkLoop(GuestError):
    """Resolving the path met more symbolic links than the kernel would follow (path_resolution(7))."""


class EditError(GuestfixError):
    """An editor refuses a file because it could not change it without loss."""

    CODE = "GF-RULE-FAILED"


class Problem(GuestfixError):
    """One mistake in a rule pack or another YAML file, at ``where`` (``file:line:column``)."""

    CODE = "GF-PACK-INVALID"


class PackError(GuestfixError):
    """A rule pack or YAML file has mistakes; ``problems`` has all of them, in file order."""

    CODE = "GF-PACK-INVALID"
    SHOWN = 200
    """Mistakes that the text has; beyond, it says how many more there are."""

    def __init__(self, problems: Sequence[Problem]) -> None:
        count = len(problems)
        super().__init__(f"{count} problem{'s' if count != 1 else ''} found")
        self.problems = tuple(problems)

    def __str__(self) -> str:
        shown = [str(problem) for problem in self.problems[: self.SHOWN]]
        more = len(self.problems) - len(shown)
        return "\n".join([*shown, *([f"and {more} more"] if more else []), self.what])


class InputError(PackError, UsageError):
    """A YAML file that the command line names, such as ``--disks``, has mistakes; ``problems`` has all of them."""

    CODE = "GF-RUN-USAGE"


class PlanError(GuestfixError):
    """A plan can't be read, or doesn't belong to this guest or to its present state."""

    CODE = "GF-PLAN-INVALID"


class Blocked(GuestfixError):
    """Nothing was written, because a finding or the guest's state forbids it."""

    CODE = "GF-APPLY-BLOCKED"


class ApplyError(GuestfixError):
    """Writing failed. ``restored`` tells whether every file is as it was before."""

    CODE = "GF-APPLY-FAILED"

    def __init__(self, what: str, *, restored: bool, where: str = "", remedy: str = "") -> None:
        super().__init__(what, where=where, remedy=remedy, code="" if restored else "GF-APPLY-HALF-DONE")
        self.restored = restored


class Stopped(GuestfixError):
    """The work was stopped from outside, and the guest and its images are as they were before.

    ``by`` tells by whom: ``SIGTERM``, ``SIGINT``, ``SIGHUP``, ``cancel`` (another thread), ``timeout``, or ``callback``
    where a progress callback raised; ``because`` is what it raised.
    """

    CODE = "GF-RUN-STOPPED"

    def __init__(self, state: str, *, by: str, where: str = "", because: BaseException | None = None) -> None:
        reason = f" ({type(because).__name__}: {because})" if because is not None else ""
        super().__init__(f"stopped by {by}{reason}; {state}", where=where, remedy="to do it after all, begin again")
        self.by, self.because = by, because
