"""What becomes of changed disk images: the checks after writing, and the file that is handed over."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from guestfix.backends.damage import remedy_of
from guestfix.backends.disks.overlaydisk import MORE_ROOM, NO_ROOM, HalfWritten
from guestfix.backends.outcome import Check, ImageWriter, Saved
from guestfix.base.errors import ApplyError, GuestError, Stopped
from guestfix.base.guest import GuestFS
from guestfix.base.record import frozen
from guestfix.base.stopping import Late, between, held, wished
from guestfix.plan.planner import Progress

LENIENT = ("vfat",)
"""Filesystems whose checker calls a dirty bit or a stale backup sector an error; that is told, not fatal."""

AS_WERE = "the images are as they were"


@frozen
class Outcome:
    """Where the changed disks are, and what the filesystem checkers said of them; of a folder, the folder itself."""

    saved: Saved
    checks: tuple[Check, ...]


@contextmanager
def untouched(guest: GuestFS | ImageWriter) -> Iterator[None]:
    """Say of a failed write to an image what is true: its overlay goes, and the images are as they were.

    Where somebody wished to stop meanwhile, that is why: who ends all processes of a service ends the machine too.
    """
    try:
        yield
    except Stopped as stopped:
        if not isinstance(guest, ImageWriter):
            raise
        raise Stopped(AS_WERE, by=stopped.by, where=guest.uri, because=stopped.because) from stopped
    except (ApplyError, GuestError, OSError) as error:
        if not isinstance(guest, ImageWriter):
            raise
        if by := wished():
            raise Stopped(AS_WERE, by=by, where=guest.uri) from error
        if not isinstance(error, ApplyError) or error.restored:
            raise
        what = f"{error.what}; the disk images are as they were, for nothing was written to them yet"
        remedy = remedy_of(error.__cause__) or "fix the cause, then apply again"
        raise ApplyError(what, restored=True, where=error.where, remedy=remedy) from error


def finish(guest: ImageWriter, tell: Progress, *, in_place: bool = False, output: str = "", fmt: str = "") -> Outcome:
    """Check the filesystems and make the changes last; ``output``, ``in_place`` and ``fmt`` as ImageWriter.save has it.

    Raises ApplyError where a filesystem is not clean, and Stopped: the images are as they were then. A commit into the
    images themselves is not stopped once it has begun.
    """
    with untouched(guest):
        tell("check", 0, 1)
        checks = guest.check()
        tell("check", 1, 1)
    if guest.overlays.full():
        raise ApplyError(f"{NO_ROOM}; {AS_WERE}", restored=True, where=guest.overlays.folder, remedy=MORE_ROOM)
    bad = [one for one in checks if one.clean is False and one.filesystem not in LENIENT]
    if bad:
        raise ApplyError(
            f"{bad[0].command} finds errors on {bad[0].device} after writing; {AS_WERE}",
            restored=True,
            where=bad[0].said.strip().rpartition("\n")[2],
            remedy="check and repair the filesystem in a copy of the image, then apply again",
        )
    size = sum(one.image.block.size for one in guest.overlays.disks)
    tell("convert", 0, size)
    try:
        if not in_place:
            with untouched(guest):
                saved = guest.save(output=output, fmt=fmt)
        else:
            between()
            with held():
                saved = guest.save(in_place=True)
    except GuestError as error:
        whole = not isinstance(error, HalfWritten)
        raise ApplyError(error.what, restored=whole, where=error.where, remedy=error.remedy) from error
    Late(tell)("convert", size, size)
    return Outcome(saved, checks)
