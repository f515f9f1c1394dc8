"""A session: one guest, opened once, reported on, changed and handed over; and closed however it ends."""

from __future__ import annotations

import logging
import os
import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from types import TracebackType

from guestfix.apply.apply import Receipt, carry_out
from guestfix.apply.left import Left, left
from guestfix.apply.preflight import refuse_running_root
from guestfix.apply.status import GuestStatus, status_of
from guestfix.apply.undo import Reverted, take_back
from guestfix.backends import open_guest, open_writable, split_uri
from guestfix.backends.outcome import ImageWriter, Saved
from guestfix.backends.volumes.keys import Keys
from guestfix.base.errors import GuestfixError, UsageError
from guestfix.base.events import Event, Events
from guestfix.base.guest import Disks, GuestFS, GuestWriter
from guestfix.base.stopping import CANCEL, UNCHANGED, Stop, check, current, following, telling
from guestfix.pack.cache import Place, load_pack
from guestfix.pack.model import Pack
from guestfix.plan.model import Plan
from guestfix.plan.planner import Inspection, Options, files_of, inspect_guest, make_plan
from guestfix.plan.shown import check_plan
from guestfix.stage.outcome import AS_WERE, Outcome, finish, untouched

TYPE_CHECKING = False
if TYPE_CHECKING:
    from guestfix.base.shapes import FileOut

FINISHED = "an earlier change in place was cut off; it was finished first: {}"
UNFINISHED = "GF-APPLY-UNFINISHED"

log = logging.getLogger("guestfix")
log.addHandler(logging.NullHandler())

_LEVELS = {"progress": logging.DEBUG, "warning": logging.WARNING, "error": logging.ERROR}

Told = Callable[[Event], None]
"""What is called with each Event."""


class Session:
    """One guest, a folder or its disk images in order, from its report to what is handed over. Use it with ``with``.

    ``disks``, ``root``, ``allow_backing``, ``image_types`` and ``keys`` are as for :func:`guestfix.open_guest`,
    ``pack`` is a Pack or what :func:`guestfix.load_pack` takes. After ``timeout`` seconds whatever is at work stops as
    after :meth:`cancel`. ``progress`` is called with each Event, in the thread that works; what it raises stops the
    work, with Stopped, which has it as ``because``. ``live`` lets the root of the system that runs here be changed too.
    The same events go to the standard library's logger ``guestfix``.

    The guest is opened when a method first needs it, and images are opened for writing by apply, revert and save. One
    thread works with a session at a time; the one that opens images must live as long as it.
    """

    def __init__(
        self,
        guest: Place | Sequence[Place],
        *,
        disks: str | Disks | None = None,
        root: str = "",
        allow_backing: Sequence[str] = (),
        image_types: Sequence[str] = (),
        keys: Keys | Sequence[str] = (),
        pack: Pack | Place | Sequence[Place] | None = None,
        timeout: float | None = None,
        progress: Told | Events | None = None,
        live: bool = False,
    ) -> None:
        self._live = live
        self._places = [os.fspath(one) for one in ([guest] if isinstance(guest, str | os.PathLike) else guest)]
        if not self._places:
            raise UsageError("a session needs a folder or at least one disk image")
        self._root, self._allowed, self._types, self._keys = root, tuple(allow_backing), tuple(image_types), keys
        self._disks, self._pack, self._progress = disks, pack, progress
        self._stop = Stop(timeout, above=current())
        self._reader: GuestFS | None = None
        self._writer: GuestWriter | None = None
        self._in_place = False
        self._saved = False
        self._closed = False
        self._work = threading.Lock()

    # its life

    def __enter__(self) -> Session:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        """Let go of every file, process and folder; what was not saved of disk images is gone. May be called twice.

        Waits for the method that another thread is in.
        """
        with self._work:
            self._closed = True
            try:
                self._let_go(self._writer)
            finally:
                reader, self._reader, self._writer = self._reader, None, None
                self._let_go(reader)

    def cancel(self) -> None:
        """Ask whatever method is at work, and all later ones, to stop with Stopped. From any thread; returns at once.

        An apply undoes what it wrote, or finishes where only its last mark is missing (``Receipt.stopped``).
        """
        log.info("%s: asked to stop", self._places[0])
        self._stop.wish(CANCEL)

    @contextmanager
    def _working(self, *stages: str) -> Iterator[Events]:
        if not self._work.acquire(blocking=False):
            raise UsageError(
                "another thread works with this session", remedy="one session for each thread; others may only cancel"
            )
        try:
            if self._closed or self._saved:
                what = "closed" if self._closed else "saved, and by that at its end"
                raise UsageError(f"this session was {what}", remedy="begin a new one: guestfix.session")
            with following(self._stop):
                check(AS_WERE if isinstance(self._writer, ImageWriter) else UNCHANGED)
                yield self._events(*stages)
        except GuestfixError as error:
            log.error("%s: %s", self._places[0], error.said)
            raise
        finally:
            self._work.release()

    def _events(self, *stages: str) -> Events:
        if isinstance(self._progress, Events):
            return self._progress
        sinks = [_logged, *([self._progress] if self._progress is not None else [])]
        return Events(stages, sinks)

    @staticmethod
    def _let_go(guest: GuestFS | None) -> None:
        close = getattr(guest, "close", None)
        if close is not None:
            close()

    # opening

    def _to_read(self) -> GuestFS:
        if self._writer is not None:
            return self._writer
        if self._reader is None:
            if split_uri(self._places[0])[0] == "dir":
                return self._to_write()
            self._reader = open_guest(
                self._places,
                disks=self._disks,
                root=self._root,
                allow_backing=self._allowed,
                image_types=self._types,
                keys=self._keys,
            )
        return self._reader

    def _to_write(self) -> GuestWriter:
        if self._writer is None:
            self._writer = open_writable(
                self._places,
                disks=self._disks,
                root=self._root,
                allow_backing=self._allowed,
                image_types=self._types,
                keys=self._keys,
                in_place=self._in_place,
            )
            if self.recovered:
                log.warning("%s: %s", self._places[0], FINISHED.format(", ".join(self.recovered)))
        return self._writer

    def _to_change(self) -> GuestWriter:
        guest = self._to_write()
        if not self._live:
            refuse_running_root(guest)
        return guest

    @property
    def is_image(self) -> bool:
        """True where the guest is in disk images, so that changes last only once they are saved. Opens the guest."""
        return isinstance(self._to_write(), ImageWriter)

    @property
    def recovered(self) -> tuple[str, ...]:
        """The disk images whose change in place had been cut off, and was finished when they were opened here."""
        return self._writer.recovered if isinstance(self._writer, ImageWriter) else ()

    @property
    def guest(self) -> GuestFS:
        """The guest, to be read as it is now, changes of this session included. Opens it."""
        return self._to_read()

    @property
    def uri(self) -> str:
        """The guest with the backend that reaches it, once it is opened: ``dir:/srv/guest``."""
        guest = self._writer or self._reader
        return guest.uri if guest is not None else ",".join(self._places)

    @property
    def files(self) -> list[FileOut]:
        """Every file of the host that was opened as a disk image or on behalf of one, and why; none for a folder."""
        guest = self._writer or self._reader
        return files_of(guest) if guest is not None else []

    def the_pack(self) -> Pack:
        """Return the session's rule pack, which is loaded when it is first needed. Raises as load_pack."""
        if not isinstance(self._pack, Pack):
            self._pack = load_pack(self._pack)
        return self._pack

    # the work

    def inspect(self, target: str | None = None) -> Inspection:
        """Return what is known about the guest. Nothing is written. Raises as :func:`guestfix.inspect_guest`."""
        with self._working("open", "read") as events:
            guest = self._to_read()
            return inspect_guest(guest, self.the_pack(), target, telling(events))

    def report(self, target: str | None = None, options: Options | None = None) -> Plan:
        """Return the Plan for this guest as it is now, earlier applies of this session included. Nothing is written.

        Raises as :func:`guestfix.make_plan`, and Stopped.
        """
        with self._working("open", "read", "plan") as events:
            pack = self.the_pack()
            events.ask(rule.id for rule in pack.rules)
            return make_plan(self._to_read(), pack, target, options, telling(events))

    def review(self, plan: Plan) -> None:
        """Raise PlanError where a saved plan is not this guestfix's and pack's, or shows another change than it makes.

        For a plan that :func:`guestfix.load_plan` returned: it was reviewed by what it shows. Nothing is written.
        """
        with self._working("open", "read"):
            check_plan(self._to_read(), plan, self.the_pack())

    def status(self) -> GuestStatus:
        """Return which applies are in the guest now, and what is still as applied. See GuestStatus."""
        with self._working("open"):
            return status_of(self._to_read())

    def can_save(
        self, *, output: str = "", in_place: bool = False, image_format: str = "", overlay: bool = False
    ) -> None:
        """Raise now, before any work, what :meth:`save` would raise for these names and permissions.

        Images that are to be changed in place are locked from now on; where an earlier change of them in place was cut
        off, that is finished first (``recovered``), and Blocked without ``in_place``.
        """
        with self._working("open") as events:
            self._in_place = in_place
            guest = self._to_write()
            if self.recovered:
                events.say("warning", FINISHED.format(", ".join(self.recovered)), code=UNFINISHED)
            _fits(isinstance(guest, ImageWriter), output, in_place, image_format, overlay)
            if isinstance(guest, ImageWriter):
                guest.can_save(in_place=in_place, output=output, fmt=_format(guest, output, image_format, overlay))

    def apply(self, plan: Plan, *, journal_copy: str | None = None) -> Receipt:
        """Carry the Plan out: in a folder at once, of disk images so that :meth:`save` makes it last.

        ``journal_copy`` names a host folder that gets a copy of the originals and of the journal too. Raises Blocked
        or PlanError before anything is written; Stopped and ApplyError (see there) where everything was put back.
        """
        with self._working("write") as events:
            guest = self._to_change()
            with self._dropping(guest), untouched(guest):
                if journal_copy is None:
                    return carry_out(guest, plan, events)
                from guestfix.apply.copies import carry_out_with_copies

                return carry_out_with_copies(guest, plan, journal_copy, events)

    def revert(self, *, force: bool = False) -> Reverted:
        """Undo every apply whose journal is in the guest, see :func:`guestfix.revert`; of images, :meth:`save` it."""
        with self._working("write") as events:
            guest = self._to_change()
            with self._dropping(guest), untouched(guest):
                return take_back(guest, force=force, progress=events)

    def left(self) -> tuple[Left, ...]:
        """Return in which state each path is that a failed apply or revert left half done; none of images."""
        if self._writer is None:
            return ()
        try:
            return left(self._writer)
        except (OSError, GuestfixError):
            return ()

    @contextmanager
    def _dropping(self, guest: GuestWriter) -> Iterator[None]:
        """Drop the overlays of images after a failure: nobody can tell what is in them."""
        try:
            yield
        except BaseException:
            if isinstance(guest, ImageWriter):
                self._writer = None
                guest.close()
            raise

    def save(
        self, *, output: str = "", in_place: bool = False, image_format: str = "", overlay: bool = False
    ) -> Outcome:
        """Check every filesystem of disk images and make the changes last; the session is at its end by that.

        By default an overlay beside each image, which needs it. ``output`` is a whole new image, in the format of its
        name unless ``image_format`` tells another, or with ``overlay`` such an overlay; ``in_place`` writes into the
        images. A folder was changed in place already. Raises UsageError for what does not go together,
        ApplyError where a filesystem is not clean or nothing can be kept, and Stopped: the images are as they were.
        """
        with self._working("check", "convert") as events:
            guest = self._to_write()
            _fits(isinstance(guest, ImageWriter), output, in_place, image_format, overlay)
            self._saved = True
            if not isinstance(guest, ImageWriter):
                return Outcome(Saved("folder", (guest.uri.removeprefix("dir:"),)), ())
            fmt = _format(guest, output, image_format, overlay)
            return finish(guest, telling(events), in_place=in_place, output=output, fmt=fmt)


def _fits(image: bool, output: str, in_place: bool, image_format: str, overlay: bool) -> None:
    if in_place and (output or image_format or overlay):
        raise UsageError("--in-place goes with neither --output nor --image-format nor --overlay")
    if overlay and image_format:
        raise UsageError("--overlay goes not with --image-format: an overlay is qcow2", remedy="leave one of them out")
    if not image and (output or image_format or overlay):
        raise UsageError("--output, --overlay and --image-format are for disk images; a folder is changed in place")


def _format(guest: ImageWriter, output: str, image_format: str, overlay: bool) -> str:
    """Return the format of a whole new image; empty where it is to be an overlay or the images themselves."""
    return image_format or (guest.format_for(output) if output and not overlay else "")


def _logged(event: Event) -> None:
    level = _LEVELS.get(event.type, logging.INFO)
    if log.isEnabledFor(level):
        log.log(level, "%s: %s", event.stage or event.type, event.message)


session = Session
"""What the documentation calls it by: ``with guestfix.session("disk.qcow2") as session``."""
